"""Messages into the ticket where they belong: moved, split off, or a whole ticket merged into another one.

A message takes its files and deliveries with it and keeps the decision that first placed it. What it means for the
clocks is told by one fact in the ledger of each ticket: portal.rules.sla. Answers follow: portal.rules.threading.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import false, func, or_, select, update
from sqlalchemy.orm import undefer

from portal import access
from portal.channels.email.html import html_to_text
from portal.errors import Conflict, UserFault
from portal.extensions import db
from portal.models import Branch, Event, InboxItem, Message, Ticket
from portal.models.columns import now
from portal.rules import lifecycle, subjects
from portal.services import (
    drafts,
    escalation,
    events,
    following,
    giving,
    linking,
    notifications,
    people,
    replies,
    sla,
    snoozing,
    tickets,
)
from portal.services import lifecycle as living
from portal.services.replies import snippet_of
from portal.services.transaction import transaction
from portal.wording import sentence

LONGEST_SUBJECT = 500


def move_message(message: Message, to_ticket: Ticket, actor: User) -> None:
    """Put one message into another ticket; later answers to it follow. Commits.

    Raises NotFound or Forbidden where the person may not change both tickets, UserFault where the message cannot go
    there or would leave nothing behind, Conflict when someone else moved it meanwhile.
    """
    from_ticket = _ticket_of(message, actor)
    access.access_ticket(actor, to_ticket.id, for_change=True)
    if to_ticket.id == from_ticket.id:
        raise UserFault(
            "This message stands in #%(number)s already.",
            number=to_ticket.number,
        )
    if message.delivery_state in ("scheduled", "queued", "sending"):
        # It carries the subject, number and thread of the ticket in which it was written.
        raise UserFault("This reply is not sent yet. Take it back, or move it when it has gone out.")
    with transaction(*_in_order([from_ticket, to_ticket])):
        _check_takes(to_ticket)
        moved = _checked(message, from_ticket, [message])
        _move(moved, from_ticket, to_ticket, actor, how="moved")


def split_off(message: Message, actor: User, *, with_later: bool = False) -> Ticket:
    """A new ticket of the same branch made of a customer's message, and of what came after it if wanted. Commits.

    It belongs to the sender of the message and follows the old ticket; its clocks run since the message reached us.
    Raises as move_message does.
    """
    from_ticket = _ticket_of(message, actor)
    if message.direction != "in":
        raise UserFault("Only what a customer wrote can become a ticket of its own.")
    with transaction(from_ticket):
        later = _later_than(message) if with_later else []
        moved = _checked(message, from_ticket, [message, *later])
        branch = db.session.get_one(Branch, from_ticket.branch_id)
        new_ticket = tickets.open_ticket(
            subject=_subject_of(message, from_ticket),
            branch=branch,
            customer=people.customer_of_address(message.from_address, message.from_name)
            if message.from_address
            else from_ticket.customer,
            channel_kind=message.channel_kind,
            account_id=message.account_id or from_ticket.account_id,
            route={
                "rule": "split_off",
                "reason": f"It was split off from #{from_ticket.number} by {actor}.",
                "evidence": {"from": from_ticket.number},
            },
            follows_id=from_ticket.id,
            language=from_ticket.language,
            opened_at=message.created_at,
        )
        _move(moved, from_ticket, new_ticket, actor, how="split_off")
        db.session.flush()
        giving.give_out([giving.Arrival(new_ticket, branch)])
    return new_ticket


def merge(merged: Sequence[Ticket], into: Ticket, actor: User) -> None:
    """Make these tickets part of another: it has their messages, and their numbers and answers lead to it. Commits.

    What was merged into one of them before leads there as well, so that nothing ever leads on twice. Raises NotFound
    or Forbidden where the person may not change all of them, UserFault where it makes no sense.
    """
    for ticket in (*merged, into):
        access.access_ticket(actor, ticket.id, for_change=True)
    if any(ticket.id == into.id for ticket in merged):
        raise UserFault("A ticket cannot be merged into itself. Choose another one.")
    with transaction(*_in_order([*merged, into])):
        _check_takes(into)
        for ticket in merged:
            tickets.check_not_merged(ticket)
            _merge_one(ticket, into, actor)


def before_merge(ticket: Ticket, into: Ticket) -> dict[str, Any]:
    """What `unmerge` will need to make the two tickets what they are now: JSON-able. Reads only."""
    earlier = select(Ticket.id).where(Ticket.merged_into_id == ticket.id)
    return {
        "status": ticket.status,
        "resolved_at": ticket.resolved_at and ticket.resolved_at.isoformat(),
        "closed_at": ticket.closed_at and ticket.closed_at.isoformat(),
        "earlier": list(db.session.scalars(earlier.execution_options(is_unscoped=True))),
        "drafts": drafts.would_go_along(ticket, into),
        "followers": [each for each in ticket.follower_ids if each not in into.follower_ids],
        "links": linking.would_go_along(ticket, into),
        "at": now().isoformat(),
    }


def unmerge(ticket: Ticket, actor: User, before: Mapping[str, Any]) -> None:
    """Make a merged ticket one of its own again, as `before_merge` saw it. Commits.

    It gets back what it brought along and what still stands there, drafts, followers and links included; what came to
    the other ticket since stays. Raises Conflict where it is no longer merged, NotFound or Forbidden where the person
    may not change both.
    """
    if ticket.merged_into_id is None:
        raise Conflict(
            "#%(number)s is not merged into another ticket any more.",
            number=ticket.number,
        )
    into = access.access_ticket(actor, ticket.merged_into_id, for_change=True)
    since = datetime.fromisoformat(before["at"])
    with transaction(*_in_order([ticket, into])):
        if ticket.merged_into_id != into.id:
            raise Conflict(
                "Meanwhile #%(number)s has gone elsewhere. Nothing was changed.",
                number=ticket.number,
            )
        moved = _brought_by(ticket, into)
        _place(moved, into, ticket, actor, how="unmerged")
        db.session.execute(
            update(Ticket)
            .where(Ticket.id.in_(before["earlier"]))
            .values(merged_into_id=ticket.id)
            .execution_options(synchronize_session=False)
        )
        ticket.merged_into_id = None
        drafts.bring_back(ticket, before["drafts"], since)
        following.bring_back(into, before["followers"])
        linking.bring_back(ticket, into, before["links"])
        tickets.change_status(ticket, before["status"], actor, rule="taken_back")
        ticket.reopened_count -= before["status"] in lifecycle.OPEN_STATUSES
        ticket.resolved_at = _moment(before["resolved_at"])
        ticket.closed_at = _moment(before["closed_at"])
        escalation.reopen(ticket, since=since, how="resolved")
        told = [_told(message) for message in moved]
        events.record(
            "ticket_unmerged",
            ticket=ticket,
            actor=actor,
            data={"ticket": into.id, "number": into.number, "message_count": len(moved)},
        )
        events.record(
            "messages_moved_away",
            ticket=into,
            actor=actor,
            data={"how": "unmerged", "ticket": ticket.id, "number": ticket.number, "messages": told},
        )
        _recount(ticket)
        _recount(into)
        _let_rest(into, since, actor)
        sla.refresh_all([ticket, into])
        events.announce(ticket)
        events.announce(into)


def way_back(message: Message) -> int | None:
    """The id of the ticket that the message was moved from last, if it stands in another one now."""
    origins = [each for each in message.moved_from_ticket_ids if each != message.ticket_id]
    return origins[-1] if origins else None


def is_only_message(message: Message) -> bool:
    """Whether its ticket would have nothing to say without it. Reads only."""
    return not _is_anything_left(message.ticket_id, [message.id])


def _ticket_of(message: Message, actor: User) -> Ticket:
    access.access_message(actor, message.id, for_change=True)
    return access.access_ticket(actor, message.ticket_id, for_change=True)


def _in_order(wanted: Iterable[Ticket]) -> list[Ticket]:
    """Two people who move between the same tickets lock them in the same order."""
    return sorted({ticket.id: ticket for ticket in wanted}.values(), key=lambda ticket: ticket.id)


def _check_takes(ticket: Ticket) -> None:
    tickets.check_not_merged(ticket)
    if ticket.status in ("spam", "trash"):
        raise UserFault(
            "#%(number)s is in %(label)s. Restore it first, or choose another ticket.",
            number=ticket.number,
            label=lifecycle.label(ticket.status, living.current()),
        )


def _checked(message: Message, from_ticket: Ticket, moved: list[Message]) -> list[Message]:
    """The messages, locked, if they are still where the person saw them and leave something behind."""
    db.session.refresh(message, with_for_update={"of": Message})
    if message.ticket_id != from_ticket.id:
        number = tickets.number_of(message.ticket_id)
        raise Conflict(
            "Meanwhile a colleague moved this message to #%(number)s. Nothing was changed.",
            number=number,
        )
    if not _is_anything_left(from_ticket.id, [each.id for each in moved]):
        raise UserFault(
            "That would leave nothing in #%(number)s. Merge the whole ticket into the other one instead.",
            number=from_ticket.number,
        )
    return moved


def _is_anything_left(ticket_id: int, without: Sequence[int]) -> bool:
    """Whether the customer or we have said something else in the ticket; notes and automatic mail say nothing."""
    said = select(Message.id).where(
        Message.ticket_id == ticket_id,
        Message.id.not_in(without),
        or_(Message.direction == "in", replies.are_answers()),
    )
    return db.session.scalar(said.limit(1)) is not None


def _later_than(message: Message) -> list[Message]:
    is_later = or_(
        Message.created_at > message.created_at,
        (Message.created_at == message.created_at) & (Message.id > message.id),
    )
    found = select(Message).where(Message.ticket_id == message.ticket_id, is_later)
    return list(
        db.session.scalars(found.order_by(Message.created_at, Message.id).with_for_update(of=Message))
    )


def _subject_of(message: Message, from_ticket: Ticket) -> str:
    """The message's own subject, without the number of the ticket that it leaves."""
    bare = subjects.bare_subject(message.subject or from_ticket.subject)
    return bare[:LONGEST_SUBJECT] or "(no subject)"


def _move(moved: Sequence[Message], from_ticket: Ticket, to_ticket: Ticket, actor: User, *, how: str) -> None:
    """Messages from one ticket to the other, with the facts, figures, status and clocks of both."""
    _place(moved, from_ticket, to_ticket, actor, how=how)
    told = [_told(message) for message in moved]
    only_id = moved[0].id if len(moved) == 1 else None
    _recount(from_ticket)
    _recount(to_ticket)
    _wake(to_ticket, moved, actor)
    for kind, ticket, other in (
        ("messages_moved_away", from_ticket, to_ticket),
        ("messages_moved_here", to_ticket, from_ticket),
    ):
        events.record(
            kind,
            ticket=ticket,
            actor=actor,
            message_id=only_id,
            data={"how": how, "ticket": other.id, "number": other.number, "messages": told},
        )
    sla.refresh_all([from_ticket, to_ticket])
    events.announce(from_ticket)
    events.announce(to_ticket)


def _merge_one(ticket: Ticket, into: Ticket, actor: User) -> None:
    found = select(Message).where(Message.ticket_id == ticket.id).order_by(Message.created_at, Message.id)
    moved = list(db.session.scalars(found.with_for_update(of=Message)))
    _place(moved, ticket, into, actor, how="merged")
    db.session.execute(
        update(Ticket)
        .where(Ticket.merged_into_id == ticket.id)
        .values(merged_into_id=into.id)
        .execution_options(synchronize_session=False)
    )
    ticket.merged_into_id = into.id
    drafts.take_along(ticket, into)
    following.take_along(ticket, into)
    linking.take_along(ticket, into)
    # First the merge, which ends the clocks: being closed by it is no success.
    events.record(
        "ticket_merged",
        ticket=ticket,
        actor=actor,
        data={"ticket": into.id, "number": into.number, "message_count": len(moved)},
    )
    tickets.change_status(ticket, "closed", actor, rule="merged")
    _recount(ticket)
    _recount(into)
    _wake(into, moved, actor)
    events.record(
        "messages_moved_here",
        ticket=into,
        actor=actor,
        data={
            "how": "merged",
            "ticket": ticket.id,
            "number": ticket.number,
            "messages": [_told(message) for message in moved],
        },
    )
    sla.refresh_all([ticket, into])
    events.announce(ticket)
    events.announce(into)


def _brought_by(ticket: Ticket, into: Ticket) -> list[Message]:
    """What came into the other ticket with this one and has not been moved since, locked."""
    found = select(Message).where(
        Message.ticket_id == into.id,
        Message.thread_evidence["moved_by_hand"][-1]["how"].astext == "merged",
        Message.thread_evidence["moved_by_hand"][-1]["from"].as_integer() == ticket.number,
    )
    ordered = found.order_by(Message.created_at, Message.id).with_for_update(of=Message)
    return list(db.session.scalars(ordered))


def _let_rest(ticket: Ticket, since: datetime, actor: User) -> None:
    """The status that a ticket had before a merge woke it, where nothing has changed it since."""
    changed = (
        select(Event.occurred_at, Event.data)
        .where(Event.ticket_id == ticket.id, Event.kind == "status_changed")
        .order_by(Event.occurred_at.desc(), Event.id.desc())
        .limit(1)
    )
    last = db.session.execute(changed).one_or_none()
    if last is not None and last.occurred_at >= since and last.data["rule"] == "message_moved_here":
        tickets.change_status(ticket, last.data["from"], actor, rule="taken_back")


def _moment(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written else None


def _place(
    moved: Sequence[Message], from_ticket: Ticket, to_ticket: Ticket, actor: User, *, how: str
) -> None:
    note = {
        "how": how,
        "from": from_ticket.number,
        "to": to_ticket.number,
        "by": str(actor),
        "at": now().isoformat(),
    }
    for message in moved:
        message.ticket_id = to_ticket.id
        earlier = message.thread_evidence.get("moved_by_hand", [])
        message.thread_evidence = {**message.thread_evidence, "moved_by_hand": [*earlier, note]}
        if how not in ("merged", "unmerged"):
            others = [each for each in message.moved_from_ticket_ids if each != from_ticket.id]
            message.moved_from_ticket_ids = [*others, from_ticket.id]
    item_ids = [message.inbox_item_id for message in moved if message.inbox_item_id is not None]
    if item_ids:
        db.session.execute(update(InboxItem).where(InboxItem.id.in_(item_ids)).values(ticket_id=to_ticket.id))
    db.session.flush()
    for message in moved:
        db.session.expire(message, ["ticket"])


def _told(message: Message) -> dict[str, Any]:
    """What the ledger keeps of a moved message: enough for the clocks."""
    return {
        "id": message.id,
        "direction": message.direction,
        "at": message.created_at.isoformat(),
        "counts": _counts(message),
    }


def _counts(message: Message) -> bool:
    """Whether a customer said it, or has it as an answer of ours."""
    if message.direction == "in":
        return not (message.is_auto_reply or message.is_bounce)
    return replies.is_answer(message)


def _recount(ticket: Ticket) -> None:
    """Counter, newest words and times of the ticket, from the messages that it has now."""
    by_customer = (Message.direction == "in") & ~Message.is_auto_reply & ~Message.is_bounce
    is_answer = replies.are_answers()
    since = ticket.unread_since
    is_unread = (Message.direction == "in") & (Message.created_at >= since) if since is not None else false()
    counted = db.session.execute(
        select(
            func.count(),
            func.max(Message.created_at).filter(by_customer),
            func.min(Message.created_at).filter(is_answer),
            func.min(Message.created_at).filter(is_unread),
        ).where(Message.ticket_id == ticket.id)
    ).one()
    (
        ticket.message_count,
        ticket.last_customer_message_at,
        ticket.first_responded_at,
        ticket.unread_since,
    ) = counted
    newest = db.session.scalar(
        select(Message)
        .where(Message.ticket_id == ticket.id, or_(Message.direction == "in", is_answer))
        .order_by(Message.created_at.desc(), Message.id.desc())
        .limit(1)
        .options(undefer(Message.text), undefer(Message.html))
    )
    ticket.snippet = snippet_of(newest.text or html_to_text(newest.html)) if newest is not None else ""
    ticket.is_last_message_ours = newest is not None and newest.direction == "out"


def _wake(ticket: Ticket, moved: Sequence[Message], actor: User) -> None:
    """What a customer's words bring to the ticket they come to: it is unread and open, and its agent is told."""
    said = [message for message in moved if _counts(message)]
    words = [message for message in said if message.direction == "in"]
    if not words:
        return
    snoozing.end(ticket, actor, "customer_wrote")
    if ticket.assignee_id != actor.id:
        ticket.unread_since = min(filter(None, [ticket.unread_since, words[0].created_at]))
    if said[-1].direction == "in":
        branch = db.session.get_one(Branch, ticket.branch_id)
        after = lifecycle.status_after_customer_message(
            ticket.status, ticket.closed_at, now(), branch.reopen_window_days, living.current()
        )
        # Whoever moves something to a closed ticket has decided that the matter goes on there.
        status = "open" if after.is_follow_up else after.status
        tickets.change_status(ticket, status, actor, rule="message_moved_here")
    elif ticket.status == "new":
        tickets.change_status(ticket, "pending", actor, rule="answered")
    if ticket.assignee_id not in (None, actor.id):
        notifications.notify(
            ticket.assignee_id,
            "answered",
            sentence(
                "%(who)s moved a customer's message to #%(number)s %(subject)s",
                who=actor,
                number=ticket.number,
                subject=ticket.subject,
            ),
            ticket=ticket,
            fact_key=f"moved-{words[0].id}-{ticket.id}-{ticket.revision}",
        )
