"""Messages to where they belong: the dialogs that ask where to, and what they do."""

from dataclasses import dataclass
from typing import Any

from flask import flash, jsonify, redirect, render_template, request, url_for

from portal import access
from portal.errors import UserFault
from portal.errors_pages import wants_partial
from portal.language import gettext
from portal.models import Ticket
from portal.services import bulk, moving
from portal.views.console import reading, words
from portal.views.console.answers import done
from portal.views.console.blueprint import ID, blueprint, person
from portal.views.console.bulk import undo_action
from portal.views.console.finding import number_in
from portal.views.console.ticket import piece
from portal.wording import N_

LONGEST_SEARCH = 200
LARGEST_NUMBER = 2**63 - 1


@dataclass(frozen=True)
class Candidate:
    """A ticket that can be chosen; `is_of_customer` says that it belongs to the same person."""

    number: int
    subject: str
    says: str
    is_of_customer: bool


@blueprint.get(f"/messages/<{ID}:message_id>/move")
def choose_ticket(message_id: int) -> str:
    """Where to move a message: the customer's other tickets first, any other by number, subject or name."""
    message = access.access_message(person(), message_id, for_change=True)
    ticket = message.ticket
    return _asked(
        ticket,
        gettext("Move to another ticket"),
        message=message,
        is_whole=moving.is_only_message(message),
        find_url=url_for("console.choose_ticket", message_id=message_id),
    )


@blueprint.post(f"/messages/<{ID}:message_id>/move")
def move_message(message_id: int) -> Any:
    message = access.access_message(person(), message_id, for_change=True)
    from_number = message.ticket.number
    to_ticket = chosen_ticket(N_("Choose the ticket that it belongs to."))
    moving.move_message(message, to_ticket, person())
    says = gettext("Moved to #%(number)s. Later answers to it go there as well.", number=to_ticket.number)
    back = {
        "label": gettext("Move back"),
        "post": url_for("console.move_message", message_id=message_id),
        "fields": {"number": from_number},
    }
    return done(from_number, says, action=back)


@blueprint.get(f"/messages/<{ID}:message_id>/split")
def ask_split(message_id: int) -> str:
    message = access.access_message(person(), message_id, for_change=True)
    return piece(
        "console/_split.html",
        gettext("Split off as a new ticket"),
        ticket=message.ticket,
        message=message,
        author=words.person(message.from_name, message.from_address),
        later_count=reading.count_later(message),
    )


@blueprint.post(f"/messages/<{ID}:message_id>/split")
def split_off(message_id: int) -> Any:
    message = access.access_message(person(), message_id, for_change=True)
    from_number = message.ticket.number
    made = moving.split_off(message, person(), with_later=request.form.get("later") == "1")
    opened = {
        "label": gettext("Open #%(number)s", number=made.number),
        "url": url_for("console.ticket", number=made.number),
    }
    return done(from_number, gettext("#%(number)s is made of it.", number=made.number), action=opened)


@blueprint.get(f"/tickets/<{ID}:number>/merge")
def choose_merge(number: int) -> str:
    ticket = access.access_ticket_by_number(person(), number, for_change=True)
    return _asked(
        ticket,
        gettext("Merge into another ticket"),
        message=None,
        is_whole=True,
        find_url=url_for("console.choose_merge", number=number),
    )


@blueprint.post(f"/tickets/<{ID}:number>/merge")
def merge(number: int) -> Any:
    ticket = access.access_ticket_by_number(person(), number, for_change=True)
    into = chosen_ticket(N_("Choose the ticket that it belongs to."))
    undo = bulk.merge(ticket, into, person())
    flash(
        gettext(
            "#%(number)s is part of this ticket now. Its number and later answers lead here.", number=number
        ),
        "success",
    )
    url = url_for("console.ticket", number=into.number)
    if wants_partial():
        says = gettext("#%(number)s was merged into #%(into)s.", number=number, into=into.number)
        return jsonify(url=url, says=says, action=undo_action(undo, bulk.UNDO_SECONDS))
    return redirect(url, 303)


def _asked(ticket: Ticket, heading: str, **context: Any) -> str:
    """The dialog, or only what a search in it finds."""
    text = request.args.get("q", "").strip()[:LONGEST_SEARCH]
    found = reading.candidates_of(person(), ticket, context["message"], text)
    context |= {"ticket": ticket, "text": text, "candidates": [candidate_of(each, ticket) for each in found]}
    if wants_partial() and "q" in request.args:
        return render_template("console/_candidates.html", **context)
    return piece("console/_move.html", heading, **context)


def candidate_of(found: Ticket, ticket: Ticket) -> Candidate:
    """A ticket to choose beside the one at hand."""
    moment = words.reader().moment(found.last_activity_at)
    name = words.person(found.customer.name)
    parts = (f"#{found.number}", name, words.within(words.status(found.status)), found.branch.name, moment)
    return Candidate(
        number=found.number,
        subject=found.subject or "(no subject)",
        says=" · ".join(parts),
        is_of_customer=found.customer_id == ticket.customer_id,
    )


def chosen_ticket(otherwise: str) -> Ticket:
    """The ticket whose number the form holds, to be changed. Raises UserFault(otherwise) where it holds none."""
    number = number_in(request.form.get("number", ""))
    if number is None or number > LARGEST_NUMBER:
        raise UserFault(otherwise)
    return access.access_ticket_by_number(person(), number, for_change=True)
