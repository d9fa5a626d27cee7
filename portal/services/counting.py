"""Open tickets counted anew by a calendar that has been changed: what that would move, and doing it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from portal.extensions import db
from portal.models import Calendar, CalendarVersion, Ticket
from portal.models.columns import now
from portal.rules import hours
from portal.rules.lifecycle import OPEN_STATUSES
from portal.rules.sla import ClockView
from portal.services import events, sla
from portal.services.transaction import transaction

MOST_COMPARED = 1000
MOST_EXAMPLES = 10
BATCH = 200
COMPARED_AT_ONCE = 500


@dataclass(frozen=True)
class Moved:
    """A running clock that would be due at another moment."""

    number: int
    subject: str
    kind: str
    due_before: datetime | None
    due_after: datetime | None
    is_late_at_once: bool


@dataclass
class Difference:
    """Open tickets of a calendar, and which running clocks of those that were compared, the newest, would move."""

    tickets: int
    compared: int = 0
    clocks: int = 0
    moved: int = 0
    late_at_once: int = 0
    examples: list[Moved] = field(default_factory=list)


def difference(calendar: Calendar, version: hours.Version) -> Difference:
    """What another version of the calendar would do to the running clocks of its open tickets. Reads only."""
    theirs = _open_tickets(calendar.id)
    found = Difference(db.session.scalar(select(func.count()).select_from(theirs.subquery())) or 0)
    draft = sla.Draft(calendar_id=calendar.id, version=version)
    chosen = db.session.scalars(theirs.order_by(Ticket.id.desc()).limit(MOST_COMPARED)).all()
    for start in range(0, len(chosen), COMPARED_AT_ONCE):
        _compare(found, chosen[start : start + COMPARED_AT_ONCE], draft)
    return found


def has_waiting() -> bool:
    """Whether a version has been recorded by which the tickets of its calendar have not been counted yet."""
    return db.session.scalar(_waiting().with_only_columns(CalendarVersion.id).limit(1)) is not None


def count_waiting(most_seconds: float) -> int:
    """Count the open tickets of changed calendars anew; how many. Commits in batches, begins none after the time.

    How far it has come stands with the version, so that the next call goes on there, whoever makes it.
    """
    end = time.monotonic() + most_seconds
    counted = 0
    while time.monotonic() < end:
        batch = _count_batch()
        if batch is None:
            break
        counted += batch
    return counted


def _count_batch() -> int | None:
    """A batch of the first version that waits and nobody has in hand; None where there is none."""
    with transaction():
        version = db.session.scalars(
            _waiting()
            .order_by(CalendarVersion.id)
            .limit(1)
            .with_for_update(skip_locked=True, of=CalendarVersion)
        ).first()
        if version is None:
            return None
        further = _open_tickets(version.calendar_id).where(Ticket.id > version.counted_to)
        batch = db.session.scalars(further.order_by(Ticket.id).limit(BATCH).with_for_update(of=Ticket)).all()
        if batch:
            _count(batch, version)
            version.counted_to = batch[-1].id
        if len(batch) < BATCH:
            version.counted_at = now()
        return len(batch)


def _waiting() -> Select[CalendarVersion]:
    # One recorded by a machine whose clock is ahead is not known here yet.
    return select(CalendarVersion).where(
        CalendarVersion.counted_at.is_(None), CalendarVersion.recorded_at <= now()
    )


def _count(tickets: Sequence[Ticket], version: CalendarVersion) -> None:
    """Those that are due at another moment say so in their ledger."""
    before = {ticket.id: ticket.next_due_at for ticket in tickets}
    sla.refresh_all(tickets)
    for ticket in tickets:
        due_before = before[ticket.id]
        if ticket.next_due_at == due_before:
            continue
        events.record(
            "hours_changed",
            ticket=ticket,
            actor=version.account,
            data={
                "calendar": version.calendar.name,
                "calendar_version_id": version.id,
                "from": due_before.isoformat() if due_before else None,
                "to": ticket.next_due_at.isoformat() if ticket.next_due_at else None,
            },
        )
        events.announce(ticket)


def _open_tickets(calendar_id: int) -> Select[Any]:
    return select(Ticket).where(Ticket.calendar_id == calendar_id, Ticket.status.in_(OPEN_STATUSES))


def _compare(found: Difference, tickets: Sequence[Ticket], draft: sla.Draft) -> None:
    at = now()
    facts = sla.facts_of(tickets)
    before, after = sla.terms_of_all(tickets, facts), sla.terms_of_all(tickets, facts, draft)
    for ticket in tickets:
        was = _running(sla.computed(facts[ticket.id], before[ticket.id], at))
        would_be = _running(sla.computed(facts[ticket.id], after[ticket.id], at))
        found.compared += 1
        found.clocks += len(was)
        for key, clock in was.items():
            changed = would_be.get(key)
            due_after = changed.due_at if changed else None
            is_late = changed is not None and changed.is_breached and not clock.is_breached
            if clock.due_at == due_after:
                continue
            found.moved += 1
            found.late_at_once += is_late
            if len(found.examples) < MOST_EXAMPLES:
                found.examples.append(
                    Moved(ticket.number, ticket.subject, clock.kind, clock.due_at, due_after, is_late)
                )


def _running(clocks: Sequence[ClockView]) -> dict[tuple[str, int], ClockView]:
    return {(clock.kind, clock.cycle): clock for clock in clocks if clock.is_running}
