"""Putting a ticket aside for a while: the dialog that asks until when, and what it does."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import request, url_for

from portal import access
from portal.errors import UserFault
from portal.models import Ticket
from portal.rules import snoozing as rules
from portal.rules.sla import CLOCK_LABELS
from portal.services import snoozing
from portal.views.console import words
from portal.views.console.answers import done
from portal.views.console.blueprint import ID, blueprint, person
from portal.views.console.side import snoozed_line
from portal.views.console.ticket import piece
from portal.views.console.words import Reader


@dataclass(frozen=True)
class Choice:
    """A usual moment: its name, its time in words and for the form, and whether a clock runs out before it."""

    label: str
    says: str
    value: str
    is_late: bool


@blueprint.get(f"/tickets/<{ID}:number>/snooze")
def ask_snooze(number: int) -> str:
    """Until when, with what is due meanwhile."""
    ticket = access.access_ticket_by_number(person(), number, for_change=True)
    reader = words.reader()
    choices = [
        Choice(
            preset.label,
            reader.moment(preset.at),
            _written(preset.at),
            _runs_out_before(ticket, preset.at, reader),
        )
        for preset in rules.presets(reader.at, reader.zone)
    ]
    return piece(
        "console/_snooze.html",
        f"Snooze #{number}",
        ticket=ticket,
        choices=choices,
        due=due_sentence(ticket, reader),
        snoozed=snoozed_line(ticket, reader),
        earliest=_written(reader.at.astimezone(reader.zone)),
        zone=reader.zone.key,
    )


@blueprint.post(f"/tickets/<{ID}:number>/snooze")
def snooze(number: int) -> Any:
    ticket = access.access_ticket_by_number(person(), number, for_change=True)
    until = moment_in(request.form.get("until", ""))
    snoozing.snooze(ticket, until, person())
    return done(number, snoozed_says(ticket, words.reader()), action=wake_action(number))


@blueprint.post(f"/tickets/<{ID}:number>/wake")
def wake(number: int) -> Any:
    ticket = access.access_ticket_by_number(person(), number, for_change=True)
    snoozing.wake(ticket, person())
    return done(number, f"#{number} is back.")


def snoozed_says(ticket: Ticket, reader: Reader) -> str:
    """What has been done, and what is due before it is undone by itself."""
    assert ticket.snoozed_until is not None, "it has just been snoozed"
    says = f"Snoozed until {reader.moment(ticket.snoozed_until)}, or until the customer writes."
    if _runs_out_before(ticket, ticket.snoozed_until, reader):
        assert ticket.next_due_at is not None, "what runs out has a time"
        label = CLOCK_LABELS[ticket.next_due_kind or ""]
        says += f" {label} is due {reader.moment(ticket.next_due_at)}, before that."
    return says


def due_sentence(ticket: Ticket, reader: Reader) -> str:
    """What the clocks do meanwhile: First response is due in 2 h."""
    if ticket.next_due_at is None or ticket.next_due_kind is None:
        return "No clock runs at present." if not ticket.is_paused else "The clocks wait for the customer."
    seconds = (ticket.next_due_at - reader.at).total_seconds()
    label = CLOCK_LABELS[ticket.next_due_kind]
    if seconds < 0:
        return f"Clocks keep running: {label.lower()} is {words.span(seconds)} late."
    when = reader.moment(ticket.next_due_at)
    return f"Clocks keep running: {label.lower()} is due in {words.span(seconds)} ({when})."


def wake_action(number: int) -> dict[str, Any]:
    """How a script takes a snooze back."""
    return {"label": "Undo", "post": url_for("console.wake", number=number), "fields": {}}


def moment_in(text: str) -> datetime:
    """The time of a field of the page, which is in the reader's zone."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=words.reader().zone)
    except ValueError as error:
        raise UserFault("Choose until when this ticket is to be snoozed.") from error


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M}"


def _runs_out_before(ticket: Ticket, until: datetime, reader: Reader) -> bool:
    """Whether it becomes late while nobody sees it; what is late already is said once."""
    is_late = ticket.next_due_at is not None and ticket.next_due_at <= reader.at
    return not is_late and rules.is_due_before(ticket.next_due_at, until)
