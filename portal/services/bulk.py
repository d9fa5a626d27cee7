"""One action on many tickets: what it will do, doing it, and taking it back.

Each ticket is decided anew under its lock and changed in a transaction of its own, so that one that cannot be changed
holds back no other. What somebody agreed to is known by the marks of the preview (portal.rules.bulk.Change): where a
ticket has changed since in what the action rests on, it is left alone.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import current_app
from flask_appbuilder.security.sqla.models import User
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload, selectinload

from portal import access
from portal.errors import Conflict, UserFault
from portal.extensions import db
from portal.models import Branch, ChannelAccount, Escalation, Message, ReplyTemplate, Ticket
from portal.models.columns import now
from portal.rules import bulk as rules
from portal.rules.bulk import MOST_TICKETS, Action, Change, Letter, Standing
from portal.services import (
    assignment,
    escalation,
    events,
    fields,
    lifecycle,
    moving,
    people,
    replies,
    sla,
    snoozing,
    templates,
    tickets,
    waiting_replies,
)
from portal.services.transaction import transaction
from portal.wording import N_, sentence

log = logging.getLogger(__name__)

UNDO_SECONDS = 600
# A hundred mails are looked over for longer than one.
HOLD_FACTOR = 4


@dataclass(frozen=True)
class Planned:
    """A ticket and what the action makes of it."""

    ticket: Ticket
    change: Change


@dataclass(frozen=True)
class Done:
    """How it went: the numbers that were changed, the reason for each that was left alone, and how to take it back."""

    changed: tuple[int, ...]
    left: Mapping[int, str]
    undo: str = ""


def plan(actor: User, numbers: Sequence[int], action: Action) -> list[Planned]:
    """What the action would make of the tickets of these numbers, in their order. Reads only.

    Numbers beyond the person's reach are passed over, as if there were none. Raises UserFault for too many.
    """
    found = _tickets(actor, numbers)
    standings, life = _standings(found, action, actor), lifecycle.current()
    return [Planned(ticket, rules.decide(standings[ticket.id], action, life)) for ticket in found]


def apply(actor: User, agreed: Mapping[int, str], action: Action) -> Done:
    """Do it to the tickets that were previewed with these marks, by number. Commits once for each ticket.

    Raises UserFault for too many, Forbidden for people who only look.
    """
    access.check_may_change(actor)
    changed: list[int] = []
    left: dict[int, str] = {}
    steps: list[dict[str, Any]] = []
    for ticket in _tickets(actor, list(agreed)):
        number = ticket.number
        try:
            steps.append(_apply_to(ticket, actor, agreed[number], action))
            changed.append(number)
        except UserFault as fault:
            left[number] = fault.sentence
        except Exception:
            # What was done before stays done, and whoever did it must be able to take it back.
            log.exception("a ticket could not be changed with others", extra={"ticket": number})
            left[number] = N_("It could not be changed just now. Try again.")
        finally:
            # A service that had nothing to do has left its lock.
            db.session.rollback()
    for number in agreed.keys() - changed - left.keys():
        left[number] = N_("It is not within your reach.")
    return Done(tuple(changed), left, _sealed(actor, steps) if steps else "")


def merge(ticket: Ticket, into: Ticket, actor: User) -> str:
    """Make one ticket part of another, as `moving.merge` does, and give what `take_back` takes. Commits."""
    action = rules.Merge(into.number)
    _lock(ticket, actor, action)
    return _sealed(actor, [_step(ticket, actor, action)])


def undo_seconds(action: Action) -> int:
    """How long the action can be taken back: a mail until it goes out."""
    if isinstance(action, rules.Answer):
        return min(UNDO_SECONDS, HOLD_FACTOR * int(current_app.config["SETTINGS"].undo_seconds))
    return UNDO_SECONDS


def take_back(actor: User, sealed: str) -> Done:
    """Undo what `apply` did, ticket by ticket. Commits once for each.

    A ticket to which something has happened since is left alone. Raises UserFault where the undo is not this person's,
    is too old or was altered.
    """
    access.check_may_change(actor)
    changed: list[int] = []
    left: dict[int, str] = {}
    for step in reversed(_unsealed(actor, sealed)):
        try:
            ticket = _taken_back(step)
            _UNDO[step["did"]](ticket, actor, step)
            snoozing.resume(ticket, actor, step["snoozed"])
            changed.append(step["number"])
        except UserFault as fault:
            left[step["number"]] = fault.sentence
        finally:
            db.session.rollback()
    return Done(tuple(reversed(changed)), left)


def _tickets(actor: User, numbers: Sequence[int]) -> list[Ticket]:
    if len(set(numbers)) > MOST_TICKETS:
        raise UserFault(
            "Choose at most %(most)s tickets at once.",
            most=MOST_TICKETS,
        )
    wanted = access.visible_tickets(actor).where(Ticket.number.in_(numbers))
    found = wanted.options(
        joinedload(Ticket.branch),
        joinedload(Ticket.assignee),
        joinedload(Ticket.customer),
        selectinload(Ticket.tags),
    )
    by_number = {ticket.number: ticket for ticket in db.session.scalars(found)}
    return [by_number[number] for number in dict.fromkeys(numbers) if number in by_number]


def _standings(found: Sequence[Ticket], action: Action, actor: User) -> dict[int, Standing]:
    """Where these tickets stand; the number of statements does not depend on how many there are."""
    ladders, still_open, letters = {}, {}, {}
    if isinstance(action, rules.Escalate):
        ladders = escalation.ladders_of({ticket.branch_id for ticket in found})
        still_open = escalation.open_among(found)
    if isinstance(action, rules.Answer):
        letters = _letters(found, action.template_id, actor)
    return {
        ticket.id: Standing(
            number=ticket.number,
            status=ticket.status,
            priority=ticket.priority,
            tags=tuple(sorted(tag.name for tag in ticket.tags)),
            branch_id=ticket.branch_id,
            branch=ticket.branch.name,
            assignee_id=ticket.assignee_id,
            assignee=str(ticket.assignee) if ticket.assignee else "",
            is_merged=ticket.merged_into_id is not None,
            escalation=escalation.facts_of(ticket, still_open[ticket.id], ladders[ticket.branch_id])
            if ladders
            else None,
            letter=letters.get(ticket.id),
            requires_code=ticket.branch.requires_code,
            unfinished=fields.why_unfinished(ticket) if isinstance(action, rules.SetStatus) else "",
        )
        for ticket in found
    }


def _letters(found: Sequence[Ticket], template_id: int, actor: User) -> dict[int, Letter]:
    """The template as it would go out for each of these tickets."""
    template = templates.access_template(template_id, actor)
    parents = replies.last_said_of([ticket.id for ticket in found])
    newest = _newest_messages(found)
    speakers = _speakers({ticket.branch_id for ticket in found})
    customers = people.addresses_of({ticket.customer_id for ticket in found})
    letters, life = {}, lifecycle.current()
    for ticket in found:
        addresses = templates.Addresses(
            customers.get(ticket.customer_id, ""), speakers.get(ticket.branch_id, ""), life
        )
        letter = _letter(ticket, template, actor, addresses, parents.get(ticket.id))
        letters[ticket.id] = replace(letter, newest_message_id=newest.get(ticket.id))
    return letters


def _letter(
    ticket: Ticket,
    template: ReplyTemplate,
    actor: User,
    addresses: templates.Addresses,
    parent: Message | None,
) -> Letter:
    try:
        people_ = replies.default_recipients(ticket, parent, addresses.customer)
    except UserFault as fault:
        return Letter("", "", fault=fault.sentence)
    to = ", ".join(person["address"] for person in people_)
    if not addresses.branch:
        return Letter(
            to,
            "",
            fault=sentence("%(branch)s has no mail account to answer from.", branch=ticket.branch.name),
        )
    if template.branches and ticket.branch_id not in {branch.id for branch in template.branches}:
        return Letter(
            to,
            "",
            fault=sentence(
                "“%(template)s” is not a template of %(branch)s.",
                template=template.name,
                branch=ticket.branch.name,
            ),
        )
    filled = templates.filled_body(template, ticket, actor, addresses)
    return Letter(to, filled.html, filled.unfilled)


def _newest_messages(found: Sequence[Ticket]) -> dict[int, int]:
    newest = (
        select(Message.ticket_id, func.max(Message.id).label("newest_id"))
        .where(Message.ticket_id.in_([ticket.id for ticket in found]), Message.direction != "note")
        .group_by(Message.ticket_id)
    )
    return {row.ticket_id: row.newest_id for row in db.session.execute(newest)}


def _speakers(branch_ids: set[int]) -> dict[int, str]:
    """The address of each branch's first active mail account, by branch."""
    accounts = (
        select(ChannelAccount.branch_id, ChannelAccount.address)
        .where(
            ChannelAccount.is_active,
            ChannelAccount.kind == "email",
            ChannelAccount.branch_id.in_(branch_ids),
        )
        .order_by(ChannelAccount.id.desc())
    )
    return {row.branch_id: row.address for row in db.session.execute(accounts)}


def _apply_to(ticket: Ticket, actor: User, mark: str, action: Action) -> dict[str, Any]:
    """Change one ticket, if it stands as it was previewed; what it takes to take that back."""
    _lock(ticket, actor, action)
    change = rules.decide(_standings([ticket], action, actor)[ticket.id], action, lifecycle.current())
    if not change.is_change:
        raise UserFault(change.reason)
    if change.mark != mark:
        raise Conflict("It has changed since you looked.")
    return _step(ticket, actor, action)


def _step(ticket: Ticket, actor: User, action: Action) -> dict[str, Any]:
    """Change a ticket that is locked; what it takes to take that back."""
    way, snoozed = _WAYS[type(action)], snoozing.kept(ticket)
    before = way.do(ticket, actor, action)
    return {
        "did": type(action).__name__,
        "number": ticket.number,
        "id": ticket.id,
        "revision": ticket.revision,
        "snoozed": snoozed,
        **before,
    }


def _lock(ticket: Ticket, actor: User, action: Action) -> None:
    """The ticket, read anew. One that goes into another is locked with it in the order in which a merge locks them."""
    wanted = [ticket]
    if isinstance(action, rules.Merge) and action.into != ticket.number:
        wanted.append(access.access_ticket_by_number(actor, action.into, for_change=True))
    for each in sorted(wanted, key=lambda one: one.id):
        db.session.refresh(each, with_for_update={"of": Ticket})
    # What hangs on it may have been read for the page.
    db.session.expire(ticket, ["branch", "assignee", "tags"])


# --- each action and the way back -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Way:
    """`do` calls the service of an action and gives what `undo` needs, JSON-able, to take it back."""

    do: Callable[[Ticket, User, Any], dict[str, Any]]
    undo: Callable[[Ticket, User, Mapping[str, Any]], None]


def _taken_back(step: Mapping[str, Any]) -> Ticket:
    """The ticket of that step. Whoever moved it out of their own reach may still take that back: the seal says so."""
    found = select(Ticket).where(Ticket.id == step["id"]).execution_options(is_unscoped=True)
    return db.session.scalars(found).one()


def _assign(ticket: Ticket, actor: User, action: rules.Assign) -> dict[str, Any]:
    before = ticket.assignee_id
    assignee = db.session.get(User, action.user_id) if action.user_id else None
    assignment.assign(ticket, assignee, actor)
    return {"assignee": before}


def _undo_assign(ticket: Ticket, actor: User, step: Mapping[str, Any]) -> None:
    with transaction(ticket):
        _check_untouched(ticket, step)
        before = db.session.get(User, step["assignee"]) if step["assignee"] else None
        if before is not None and not assignment.may_work_in(before, ticket.branch_id):
            raise UserFault(
                "%(before)s is not a member of %(branch)s any more.",
                before=before,
                branch=ticket.branch,
            )
        assignment.place(ticket, before, actor)


def _move(ticket: Ticket, actor: User, action: rules.Move) -> dict[str, Any]:
    before = {
        "branch": ticket.branch_id,
        "tier": ticket.tier_level,
        "assignee": ticket.assignee_id,
        "at": now().isoformat(),
    }
    tickets.move_to_branch(ticket, db.session.get_one(Branch, action.branch_id), actor)
    return before


def _undo_move(ticket: Ticket, actor: User, step: Mapping[str, Any]) -> None:
    with transaction(ticket):
        _check_untouched(ticket, step)
        tickets.change_branch(ticket, db.session.get_one(Branch, step["branch"]), actor)
        escalation.reopen(ticket, since=datetime.fromisoformat(step["at"]), how="handed_back")
        ticket.tier_level, ticket.assignee_id = step["tier"], step["assignee"]


def _prioritise(ticket: Ticket, actor: User, action: rules.Prioritise) -> dict[str, Any]:
    before = ticket.priority
    tickets.set_priority(ticket, action.priority, actor)
    return {"priority": before}


def _undo_prioritise(ticket: Ticket, actor: User, step: Mapping[str, Any]) -> None:
    with transaction(ticket):
        _check_untouched(ticket, step)
        tickets.change_priority(ticket, step["priority"], actor)


def _set_status(ticket: Ticket, actor: User, action: rules.SetStatus) -> dict[str, Any]:
    before = {
        "status": ticket.status,
        "resolved_at": _written(ticket.resolved_at),
        "closed_at": _written(ticket.closed_at),
        "reopened_count": ticket.reopened_count,
        "resolution": ticket.resolution_code_id,
        "at": now().isoformat(),
    }
    tickets.set_status(ticket, action.status, actor, resolution_code_id=action.resolution_code_id)
    return before


def _undo_set_status(ticket: Ticket, actor: User, step: Mapping[str, Any]) -> None:
    with transaction(ticket):
        _check_untouched(ticket, step)
        tickets.change_status(ticket, step["status"], actor, rule="taken_back")
        ticket.resolved_at, ticket.closed_at = _read(step["resolved_at"]), _read(step["closed_at"])
        ticket.reopened_count, ticket.resolution_code_id = step["reopened_count"], step["resolution"]
        escalation.reopen(ticket, since=datetime.fromisoformat(step["at"]), how="resolved")
        sla.refresh(ticket)
        events.announce(ticket)


def _label(ticket: Ticket, actor: User, action: rules.Label) -> dict[str, Any]:
    before = [tag.name for tag in ticket.tags]
    tickets.set_tags(ticket, (set(before) | set(action.added)) - set(action.removed), actor)
    return {"tags": before}


def _undo_label(ticket: Ticket, actor: User, step: Mapping[str, Any]) -> None:
    with transaction(ticket):
        _check_untouched(ticket, step)
        tickets.change_tags(ticket, step["tags"], actor)


def _escalate(ticket: Ticket, actor: User, action: rules.Escalate) -> dict[str, Any]:
    before = ticket.assignee_id
    return {"assignee": before, "escalation": escalation.escalate(ticket, actor, action.reason).id}


def _undo_escalate(ticket: Ticket, actor: User, step: Mapping[str, Any]) -> None:
    with transaction(ticket):
        _check_untouched(ticket, step)
        escalation.take_back(db.session.get_one(Escalation, step["escalation"]), ticket, actor)
        ticket.assignee_id = step["assignee"]


def _answer(ticket: Ticket, actor: User, action: rules.Answer) -> dict[str, Any]:
    letter = _letters([ticket], action.template_id, actor)[ticket.id]
    answer = replies.Answer(
        html=letter.html,
        template_id=action.template_id,
        seen_message_id=letter.newest_message_id,
        hold_seconds=HOLD_FACTOR * current_app.config["SETTINGS"].undo_seconds,
    )
    before = ticket.assignee_id
    return {"assignee": before, "message": replies.send(ticket, actor, answer).id}


def _undo_answer(ticket: Ticket, actor: User, step: Mapping[str, Any]) -> None:
    # Not by the revision: what the customer wrote meanwhile is no reason to let the mail go out.
    waiting_replies.cancel_sending(db.session.get_one(Message, step["message"]), actor)
    if step["assignee"] is None and ticket.assignee_id == actor.id:
        # Whoever answers takes the ticket; a hundred at once were not meant to be kept.
        assignment.assign(ticket, None, actor)


def _merge(ticket: Ticket, actor: User, action: rules.Merge) -> dict[str, Any]:
    into = access.access_ticket_by_number(actor, action.into, for_change=True)
    before = moving.before_merge(ticket, into)
    moving.merge([ticket], into, actor)
    return before


_WAYS: dict[type[Action], _Way] = {
    rules.Assign: _Way(_assign, _undo_assign),
    rules.Move: _Way(_move, _undo_move),
    rules.Prioritise: _Way(_prioritise, _undo_prioritise),
    rules.SetStatus: _Way(_set_status, _undo_set_status),
    rules.Label: _Way(_label, _undo_label),
    rules.Escalate: _Way(_escalate, _undo_escalate),
    rules.Answer: _Way(_answer, _undo_answer),
    rules.Merge: _Way(_merge, moving.unmerge),
}
_UNDO = {kind.__name__: way.undo for kind, way in _WAYS.items()}


def _check_untouched(ticket: Ticket, step: Mapping[str, Any]) -> None:
    if ticket.revision != step["revision"]:
        raise Conflict("Something has happened to it since.")


def _sealed(actor: User, steps: Sequence[Mapping[str, Any]]) -> str:
    return str(_sealer().dumps({"by": actor.id, "steps": steps}))


def _unsealed(actor: User, sealed: str) -> list[dict[str, Any]]:
    try:
        kept = _sealer().loads(sealed, max_age=UNDO_SECONDS)
    except SignatureExpired:
        raise UserFault(
            "It is too late to take this back as a whole. Change the tickets themselves."
        ) from None
    except BadSignature:
        raise UserFault("This cannot be taken back: what it says about the tickets was altered.") from None
    if kept["by"] != actor.id:
        raise UserFault("Only whoever did this can take it back.")
    steps: list[dict[str, Any]] = kept["steps"]
    return steps


def _sealer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="bulk-undo")


def _written(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _read(moment: str | None) -> datetime | None:
    return datetime.fromisoformat(moment) if moment else None
