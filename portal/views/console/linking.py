"""Tickets that have to do with each other: the dialog that links them, and the way back."""

from typing import Any

from flask import render_template, request, url_for

from portal import access
from portal.errors import UserFault
from portal.errors_pages import wants_partial
from portal.language import gettext
from portal.models import Ticket
from portal.services import linking
from portal.views.console import reading, words
from portal.views.console.answers import done
from portal.views.console.blueprint import ID, blueprint, person
from portal.views.console.moving import LONGEST_SEARCH, candidate_of, chosen_ticket
from portal.views.console.ticket import piece
from portal.wording import N_


@blueprint.get(f"/tickets/<{ID}:number>/link")
def choose_link(number: int) -> str:
    """To which ticket: the customer's others first, any other by number, subject or name."""
    ticket = _ticket(number)
    text = request.args.get("q", "").strip()[:LONGEST_SEARCH]
    found = reading.candidates_of(person(), ticket, None, text)
    context = {
        "ticket": ticket,
        "text": text,
        "candidates": [candidate_of(each, ticket) for each in found],
        "relations": words.RELATIONS,
        "find_url": url_for("console.choose_link", number=number),
    }
    if wants_partial() and "q" in request.args:
        return render_template("console/_candidates.html", **context)
    return piece(
        "console/_link.html", gettext("Link #%(number)s to another ticket", number=number), **context
    )


@blueprint.post(f"/tickets/<{ID}:number>/link")
def link(number: int) -> Any:
    ticket, other = _ticket(number), chosen_ticket(N_("Choose the ticket to link to."))
    linking.link(ticket, other, request.form.get("relation", ""), person())
    back = {
        "label": gettext("Undo"),
        "post": url_for("console.unlink", number=number),
        "fields": {"number": other.number},
    }
    return done(number, gettext("Linked to #%(number)s.", number=other.number), action=back)


@blueprint.post(f"/tickets/<{ID}:number>/unlink")
def unlink(number: int) -> Any:
    ticket, other = _ticket(number), chosen_ticket(N_("Choose the link to remove."))
    relation = linking.unlink(ticket, other, person())
    if relation is None:
        raise UserFault(
            "There is no link to #%(number)s any more.",
            number=other.number,
        )
    fields = {"number": other.number, "relation": relation}
    back = {"label": gettext("Undo"), "post": url_for("console.link", number=number), "fields": fields}
    return done(number, gettext("The link to #%(number)s is removed.", number=other.number), action=back)


def _ticket(number: int) -> Ticket:
    return access.access_ticket_by_number(person(), number, for_change=True)
