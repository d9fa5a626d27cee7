"""What people do to a ticket besides writing: each a form of its own, each one call of a service."""

from typing import Any

from flask import flash, jsonify, redirect, request, url_for

from portal import access
from portal.errors import Forbidden, NotFound, UserFault
from portal.errors_pages import wants_partial
from portal.extensions import db
from portal.language import gettext
from portal.models import Branch, Escalation, Ticket, User
from portal.rules import lifecycle
from portal.services import assignment, escalation, following, people, sla, tickets, triage
from portal.views.console.blueprint import ID, blueprint, person
from portal.views.console.filters import LARGEST_SMALL_ID
from portal.views.console.side import effects_line
from portal.views.console.timeline import sender_of

MOST_TAGS = 30


@blueprint.post("/pick-up-next")
def pick_up_next() -> Any:
    """The most urgent ticket that nobody has, now this person's."""
    access.check_may_change(person())
    found = tickets.pick_up_next(person())
    if found is None:
        says = gettext("Nothing waits to be picked up in your branches. Well done.")
        if wants_partial():
            return jsonify(says=says)
        flash(says, "info")
        return redirect(url_for("console.queue", view="mine"), 303)
    url = url_for("console.ticket", number=found.number, view="mine")
    return jsonify(url=url) if wants_partial() else redirect(url, 303)


@blueprint.post(f"/tickets/<{ID}:number>/assign")
def assign(number: int) -> Any:
    found = _ticket(number)
    wanted = request.form.get("assignee", "")
    if wanted == "me":
        assignment.pick_up(found, person())
    else:
        assignment.assign(found, _colleague(wanted), person())
    return _done(number, gettext("Assigned."))


@blueprint.post(f"/tickets/<{ID}:number>/status")
def set_status(number: int) -> Any:
    found = _ticket(number)
    status, code_id = lifecycle.read_choice(request.form.get("status", ""))
    tickets.set_status(found, status, person(), resolution_code_id=code_id)
    effects = effects_line(found)
    says = gettext("The status is changed.")
    return _done(number, f"{says} {effects}" if effects else says, is_news=bool(effects))


@blueprint.post(f"/tickets/<{ID}:number>/clocks")
def recompute_clocks(number: int) -> Any:
    """For admins: the stored clocks computed anew from the ledger."""
    found = _ticket(number)
    if access.ADMIN not in access.role_names(person()):
        raise Forbidden("Only an admin computes clocks anew.")
    says = (
        gettext("Computed anew from the ledger: the clocks were stored otherwise and are corrected.")
        if sla.recompute(found)
        else gettext("Computed anew from the ledger: nothing changed.")
    )
    return _done(number, says, is_news=True)


@blueprint.post(f"/tickets/<{ID}:number>/priority")
def set_priority(number: int) -> Any:
    tickets.set_priority(_ticket(number), request.form.get("priority", ""), person())
    return _done(number, gettext("The priority is changed."))


@blueprint.post(f"/tickets/<{ID}:number>/type")
def set_type(number: int) -> Any:
    triage.judge(_ticket(number), person(), ticket_type=request.form.get("type", ""))
    return _done(number, gettext("The type is changed."))


@blueprint.post(f"/tickets/<{ID}:number>/severity")
def set_severity(number: int) -> Any:
    triage.judge(_ticket(number), person(), severity=request.form.get("severity", ""))
    return _done(number, gettext("The severity is changed."))


@blueprint.post(f"/tickets/<{ID}:number>/follow")
def follow(number: int) -> Any:
    following.follow(_ticket(number), person())
    return _done(number, gettext("You follow this ticket: the bell tells you what happens to it."))


@blueprint.post(f"/tickets/<{ID}:number>/unfollow")
def unfollow(number: int) -> Any:
    following.unfollow(_ticket(number), person())
    return _done(number, gettext("You do not follow this ticket any more."))


@blueprint.post(f"/tickets/<{ID}:number>/tags")
def set_tags(number: int) -> Any:
    names = [name for name in request.form.get("tags", "").replace(";", ",").split(",") if name.strip()]
    if len(names) > MOST_TAGS:
        raise UserFault(
            "A ticket can have at most %(most)s tags.",
            most=MOST_TAGS,
        )
    tickets.set_tags(_ticket(number), names, person())
    return _done(number, gettext("The tags are changed."))


@blueprint.post(f"/tickets/<{ID}:number>/branch")
def move_to_branch(number: int) -> Any:
    found = _ticket(number)
    wanted = _number_in(request.form.get("branch", ""))
    branch = db.session.get(Branch, wanted) if wanted else None
    if branch is None:
        raise UserFault("Choose the branch that is to have the ticket.")
    tickets.move_to_branch(found, branch, person())
    if access.may_see_branch(person(), branch.id):
        return _done(number, gettext("Moved to %(branch)s.", branch=branch))
    says = gettext(
        "#%(number)s moved to %(branch)s, which lies outside your reach.", number=number, branch=branch
    )
    if wants_partial():
        return jsonify(says=says, url=url_for("console.queue"))
    flash(says, "success")
    return redirect(url_for("console.queue"), 303)


@blueprint.post(f"/tickets/<{ID}:number>/escalate")
def escalate(number: int) -> Any:
    found = _ticket(number)
    to_level = _number_in(request.form.get("level", ""))
    raised = escalation.escalate(found, person(), request.form.get("reason", ""), to_level)
    return _done(number, gettext("Escalated to tier %(to_level)s.", to_level=raised.to_level))


@blueprint.post(f"/tickets/<{ID}:number>/escalations/<{ID}:escalation_id>/acknowledge")
def acknowledge(number: int, escalation_id: int) -> Any:
    escalation.acknowledge(_escalation(number, escalation_id), person())
    return _done(number, gettext("Acknowledged: it is in your hands."))


@blueprint.post(f"/tickets/<{ID}:number>/escalations/<{ID}:escalation_id>/hand-back")
def hand_back(number: int, escalation_id: int) -> Any:
    escalation.hand_back(_escalation(number, escalation_id), person(), request.form.get("note", ""))
    return _done(number, gettext("Handed back to the tier below."))


def _ticket(number: int) -> Ticket:
    return access.access_ticket_by_number(person(), number, for_change=True)


def _colleague(text: str) -> User | None:
    """The person of that id; nobody for an empty text."""
    try:
        return access.access_colleague(person(), _number_in(text) or 0) if text else None
    except NotFound as fault:
        raise UserFault("There is no such colleague. Choose one from the list.") from fault


def _escalation(number: int, escalation_id: int) -> Escalation:
    found = _ticket(number)
    row = db.session.get(Escalation, escalation_id)
    if row is None or row.ticket_id != found.id:
        raise NotFound("There is no such escalation of this ticket.")
    return row


def _number_in(text: str) -> int | None:
    is_number = text.isascii() and text.isdigit() and len(text) < 11
    return int(text) if is_number and int(text) <= LARGEST_SMALL_ID else None


@blueprint.post(f"/messages/<{ID}:message_id>/trust-pictures")
def trust_pictures(message_id: int) -> Any:
    """Load the pictures of this sender's mails from now on, here and for everyone."""
    message = access.access_message(person(), message_id, for_change=True)
    sender = sender_of(message.ticket, message)
    if sender is None:
        raise NotFound("This sender is nobody that pictures could be shown of.")
    people.show_pictures(sender, person())
    return _done(
        message.ticket.number,
        gettext("Pictures of %(address)s are shown from now on.", address=sender.address),
    )


def _done(number: int, says: str, *, is_news: bool = False) -> Any:
    """A script fetches what has changed by itself; a page without scripts goes back to the ticket.

    What is news is said in any case, also where the page itself shows what was done.
    """
    if wants_partial():
        return jsonify(says=says, is_news=is_news)
    flash(says, "success")
    arguments: dict[str, Any] = request.args.to_dict()
    return redirect(url_for("console.ticket", number=number, **arguments), 303)
