"""Tickets that are put aside until a moment, or until the customer writes, whichever comes first.

No clock stands still for it. Whatever hands the ticket to somebody, or finishes it, ends its snooze too.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import func, literal_column, select

from portal.errors import UserFault
from portal.extensions import db
from portal.models import Ticket
from portal.models.columns import now
from portal.rules import snoozing as rules
from portal.services import events, lifecycle, notifications
from portal.services.transaction import transaction
from portal.wording import sentence

Cause = Literal[
    "time",
    "customer_wrote",
    "by_hand",
    "reply_taken_back",
    "assigned",
    "escalated",
    "handed_back",
    "moved",
    "finished",
]
BATCH = 200


def snooze(ticket: Ticket, until: datetime, actor: User) -> None:
    """Put the ticket aside until that moment (aware), or until the customer writes. Commits.

    Raises UserFault for one that is not open, or a moment that has passed or lies more than a year ahead.
    """
    with transaction(ticket):
        decision = rules.check_snooze(ticket.status, until, now(), lifecycle.current())
        if not decision.allowed:
            raise UserFault(decision.reason)
        if (ticket.snoozed_until, ticket.snoozed_by_id) == (until, actor.id):
            return
        _put_aside(ticket, until, actor.id, actor)


def wake(ticket: Ticket, actor: User) -> None:
    """Take the ticket back before its time. Commits; one that is not snoozed stays as it is."""
    with transaction(ticket):
        if end(ticket, actor, "by_hand"):
            events.announce(ticket)


def kept(ticket: Ticket) -> dict[str, Any] | None:
    """What `resume` needs to put the ticket aside again as it is now, JSON-able; None where it is not."""
    if ticket.snoozed_until is None:
        return None
    return {"until": ticket.snoozed_until.isoformat(), "by": ticket.snoozed_by_id}


def resume(ticket: Ticket, actor: User, before: Mapping[str, Any] | None) -> None:
    """Put the ticket aside again as `kept` saw it, after what ended that has been taken back. Commits.

    Nothing happens where its time has come meanwhile, or somebody has snoozed it anew.
    """
    if before is None:
        return
    until = datetime.fromisoformat(before["until"])
    with transaction(ticket):
        is_free = (
            ticket.snoozed_until is None
            and rules.check_snooze(ticket.status, until, now(), lifecycle.current()).allowed
        )
        if is_free:
            _put_aside(ticket, until, before["by"], actor)


def end(ticket: Ticket, actor: User | None, cause: Cause, *, actor_kind: str | None = None) -> bool:
    """End the ticket's snooze and say why, inside the caller's transaction; whether it was snoozed."""
    until, snoozed_by_id = ticket.snoozed_until, ticket.snoozed_by_id
    if until is None:
        return False
    ticket.snoozed_until = ticket.snoozed_by_id = None
    events.record(
        "ticket_woken",
        ticket=ticket,
        actor=actor,
        actor_kind=actor_kind,
        data={"cause": cause, "until": until.isoformat(), "snoozed_by": snoozed_by_id},
    )
    return True


def end_for_customer(ticket: Ticket, who: str, message_id: int) -> None:
    """The customer has written: the ticket is back, and whoever put it aside is told. Does not commit.

    Its assignee is not told by this, but by the message.
    """
    snoozed_by_id = ticket.snoozed_by_id
    if not end(ticket, None, "customer_wrote", actor_kind="customer"):
        return
    notifications.notify_all(
        notifications.people(snoozed_by_id) - notifications.people(ticket.assignee_id),
        "woken",
        sentence(
            "%(who)s wrote in #%(number)s %(subject)s, which you had snoozed",
            who=who,
            number=ticket.number,
            subject=ticket.subject,
        ),
        ticket=ticket,
        fact_key=f"woken-{ticket.id}-{message_id}",
    )


def wake_due() -> int:
    """Bring back every ticket whose moment has come, each once; return how many. Commits in batches.

    One that another worker has in hand is passed over: that worker brings it back, or the next call does.
    """
    woken = 0
    while batch := _wake_batch():
        woken += batch
    return woken


def _put_aside(ticket: Ticket, until: datetime, by_id: int, actor: User) -> None:
    ticket.snoozed_until, ticket.snoozed_by_id = until, by_id
    due_at = ticket.next_due_at
    events.record(
        "ticket_snoozed",
        ticket=ticket,
        actor=actor,
        data={"until": until.isoformat(), "due_at": due_at.isoformat() if due_at else None},
    )
    events.announce(ticket)


def _wake_batch() -> int:
    at = now()
    # As in portal.models.ticket.BACK_ORDER, which the index holds, with the table's name.
    back_at = func.coalesce(Ticket.snoozed_until, literal_column("'infinity'::timestamptz"))
    with transaction():
        due = db.session.scalars(
            select(Ticket)
            .where(Ticket.snoozed_until.is_not(None), back_at <= at)
            .order_by(back_at, Ticket.id)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
            .execution_options(populate_existing=True)
        ).all()
        for ticket in due:
            _bring_back(ticket, at)
    return len(due)


def _bring_back(ticket: Ticket, at: datetime) -> None:
    told = notifications.people(ticket.snoozed_by_id, ticket.assignee_id)
    end(ticket, None, "time")
    ticket.unread_since = ticket.unread_since or at
    notifications.notify_all(
        told,
        "woken",
        sentence(
            "#%(number)s %(subject)s is back: it was snoozed until now",
            number=ticket.number,
            subject=ticket.subject,
        ),
        ticket=ticket,
        fact_key=f"woken-{ticket.id}-at-{ticket.revision}",
    )
    events.announce(ticket)
