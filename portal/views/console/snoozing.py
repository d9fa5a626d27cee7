"""Putting a ticket aside for a while: the dialog that asks until when, and what it does."""

from typing import Any

from flask import request, url_for

from portal import access
from portal.language import gettext
from portal.services import snoozing
from portal.views.console import words
from portal.views.console.answers import done
from portal.views.console.aside import (
    choices_for,
    due_sentence,
    moment_in,
    snoozed_line,
    snoozed_says,
    written,
)
from portal.views.console.blueprint import ID, blueprint, person
from portal.views.console.ticket import piece


@blueprint.get(f"/tickets/<{ID}:number>/snooze")
def ask_snooze(number: int) -> str:
    """Until when, with what is due meanwhile."""
    ticket = access.access_ticket_by_number(person(), number, for_change=True)
    reader = words.reader()
    return piece(
        "console/_snooze.html",
        gettext("Snooze #%(number)s", number=number),
        ticket=ticket,
        choices=choices_for(ticket, reader),
        due=due_sentence(ticket, reader),
        snoozed=snoozed_line(ticket, reader),
        earliest=written(reader.at.astimezone(reader.zone)),
        zone=reader.zone.key,
    )


@blueprint.post(f"/tickets/<{ID}:number>/snooze")
def snooze(number: int) -> Any:
    ticket = access.access_ticket_by_number(person(), number, for_change=True)
    snoozing.snooze(ticket, moment_in(request.form.get("until", "")), person())
    back = {"label": gettext("Undo"), "post": url_for("console.wake", number=number), "fields": {}}
    return done(number, snoozed_says(ticket, words.reader()), action=back)


@blueprint.post(f"/tickets/<{ID}:number>/wake")
def wake(number: int) -> Any:
    ticket = access.access_ticket_by_number(person(), number, for_change=True)
    snoozing.wake(ticket, person())
    return done(number, gettext("#%(number)s is back.", number=number))
