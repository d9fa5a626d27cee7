"""The ledger: immutable facts, written in the transaction of the change that they record."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import select, text

from portal import live
from portal.extensions import db
from portal.models import Event, Ticket
from portal.models.columns import now
from portal.services import rows

# Every kind with the version of its `data`, so that a reader knows what to expect. Meanings: docs/metrics.md.
KINDS: Mapping[str, int] = {
    "ticket_opened": 1,
    "message_received": 1,
    "ticket_viewed": 1,
    "ticket_picked_up": 1,
    "ticket_assigned": 1,
    "reply_sent": 1,
    "reply_scheduled": 1,
    "reply_held_back": 1,
    "reply_cancelled": 1,
    "message_forwarded": 1,
    "acknowledgement_sent": 1,
    "acknowledgement_withheld": 1,
    "note_added": 1,
    "template_offered": 1,
    "template_inserted": 1,
    "template_sent": 1,
    "status_changed": 1,
    "ticket_snoozed": 1,
    "ticket_woken": 1,
    "ticket_followed": 1,
    "ticket_unfollowed": 1,
    "ticket_linked": 1,
    "ticket_unlinked": 1,
    "priority_changed": 1,
    "type_changed": 1,
    "severity_changed": 1,
    "tags_changed": 1,
    "field_changed": 1,
    "branch_changed": 1,
    "customer_changed": 1,
    "messages_moved_away": 1,
    "messages_moved_here": 1,
    "ticket_merged": 1,
    "ticket_unmerged": 1,
    "ticket_escalated": 1,
    "escalation_acknowledged": 1,
    "escalation_unacknowledged": 1,
    "escalation_handed_back": 1,
    "policy_applied": 1,
    "hours_changed": 1,
    "sla_started": 2,
    "sla_warned": 2,
    "sla_breached": 2,
    "sla_met": 2,
    "mail_quarantined": 1,
    "delivery_failed": 1,
    "delivery_bounced": 1,
    "delivery_retried": 1,
    "user_logged_in": 1,
    "list_exported": 1,
}
MONTHS_AHEAD = 3


def record(
    kind: str,
    *,
    ticket: Ticket | None = None,
    actor: User | None = None,
    actor_kind: str | None = None,
    message_id: int | None = None,
    occurred_at: datetime | None = None,
    data: Mapping[str, Any] | None = None,
) -> Event:
    """Add a fact to the current transaction and return it. Does not commit.

    The actor is a person of the desk (`actor`), a customer or the system (`actor_kind`). Raises KeyError for a
    kind that is not in KINDS.
    """
    values = {
        "kind": kind,
        "version": KINDS[kind],
        "occurred_at": occurred_at or now(),
        "actor_kind": actor_kind or ("agent" if actor else "system"),
        "actor_id": actor.id if actor else None,
        "ticket_id": ticket.id if ticket else None,
        "message_id": message_id,
        "branch_id": ticket.branch_id if ticket else None,
        "tier_level": ticket.tier_level if ticket else None,
        "channel_kind": ticket.channel_kind if ticket else None,
        "data": dict(data or {}),
    }
    held = _held()
    if held is not None:
        fact = rows.new(Event, **values)
        held.append(fact)
    else:
        fact = Event(**values)
        db.session.add(fact)
    return fact


@contextmanager
def held() -> Iterator[None]:
    """Facts that are recorded within it are written at its end, all in one statement. Does not commit.

    For many at once: `facts_of_tickets` knows of them, queries do not. What they are about is written by then.
    """
    db.session.info["held_facts"] = []
    try:
        yield
        rows.insert(_held() or [])
    finally:
        del db.session.info["held_facts"]


def is_holding() -> bool:
    """Whether facts are held back at present."""
    return _held() is not None


def announce(ticket: Ticket) -> None:
    """Count the ticket's revision up, note the time, and tell open pages after the commit."""
    ticket.revision += 1
    ticket.last_activity_at = now()
    live.after_commit(
        "ticket_changed",
        ticket_id=ticket.id,
        number=ticket.number,
        branch_id=ticket.branch_id,
        assignee_id=ticket.assignee_id,
        revision=ticket.revision,
    )


def of_ticket(ticket_id: int, kinds: Sequence[str] | None = None) -> list[Event]:
    """The facts of one ticket in the order in which they happened, those of its former branches as well."""
    found = select(Event).where(Event.ticket_id == ticket_id).order_by(Event.occurred_at, Event.id)
    if kinds is not None:
        found = found.where(Event.kind.in_(kinds))
    return list(db.session.scalars(found.execution_options(is_unscoped=True)))


def facts_of_tickets(tickets: Sequence[Ticket], kinds: Sequence[str]) -> dict[int, list[Any]]:
    """Kind, moment, data and message of these tickets' facts, by ticket id, in the order in which they happened."""
    found: dict[int, list[Any]] = {ticket.id: [] for ticket in tickets}
    held = [fact for fact in _held() or () if fact.ticket_id in found and fact.kind in kinds]
    # One that was opened among them has no others.
    opened = {fact.ticket_id for fact in held if fact.kind == "ticket_opened"}
    for fact in [*_written([ticket for ticket in tickets if ticket.id not in opened], kinds), *held]:
        found[fact.ticket_id].append(fact)
    for facts in found.values():
        facts.sort(key=attrgetter("occurred_at"))
    return found


def _written(tickets: Sequence[Ticket], kinds: Sequence[str]) -> Sequence[Any]:
    if not tickets:
        return ()
    told = (
        select(Event.ticket_id, Event.kind, Event.occurred_at, Event.data, Event.message_id)
        .where(
            Event.ticket_id.in_([ticket.id for ticket in tickets]),
            Event.kind.in_(kinds),
            # Nothing happens to a ticket before it is there: the months before need not be looked at.
            Event.occurred_at >= min(ticket.created_at for ticket in tickets),
        )
        .order_by(Event.occurred_at, Event.id)
    )
    # What happened in a former branch is no less of the ticket: without it the clocks would begin anew.
    return db.session.execute(told.execution_options(is_unscoped=True)).all()


def _held() -> list[Event] | None:
    facts: list[Event] | None = db.session.info.get("held_facts")
    return facts


def ensure_partitions(since: datetime | None = None) -> list[str]:
    """Create the monthly partitions from `since` (default: now) to MONTHS_AHEAD; return the new ones. Commits."""
    month = (since or now()).astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    last = now() + timedelta(days=31 * MONTHS_AHEAD)
    there = set(
        db.session.scalars(
            text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'event'::regclass")
        )
    )
    made = []
    while month <= last:
        following = (month + timedelta(days=32)).replace(day=1)
        name = f"event_{month:%Y_%m}"
        if name not in there:
            db.session.execute(
                text(
                    f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF event "
                    f"FOR VALUES FROM ('{month.isoformat()}') TO ('{following.isoformat()}')"
                )
            )
            made.append(name)
        month = following
    db.session.commit()
    return made
