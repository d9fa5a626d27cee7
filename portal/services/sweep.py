"""Firing what has come due: each warning and breach once, whoever looks, however late."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select

from portal import faults
from portal.extensions import db
from portal.models import Clock, Escalation, Ticket
from portal.models.columns import now
from portal.rules import escalation as escalation_rules
from portal.services import escalation, events, notifications, rows
from portal.services.transaction import transaction
from portal.wording import N_, sentence

BATCH = 200
NEARLY_DUE = {
    "first_response": N_("#%(number)s: first response is nearly due – %(subject)s"),
    "next_response": N_("#%(number)s: next response is nearly due – %(subject)s"),
    "resolution": N_("#%(number)s: resolution is nearly due – %(subject)s"),
}
LATE = {
    "first_response": N_("#%(number)s: first response is late – %(subject)s"),
    "next_response": N_("#%(number)s: next response is late – %(subject)s"),
    "resolution": N_("#%(number)s: resolution is late – %(subject)s"),
}


@dataclass(frozen=True)
class _Round:
    """What is known while a batch is fired: the tiers of the branches, and the tickets' open escalations."""

    at: datetime
    ladders: dict[int, escalation.Ladder]
    still_open: dict[int, list[Escalation]]


Fire = Callable[[_Round, Ticket, Clock], None]


def sweep() -> int:
    """Fire every warning and breach that is due; return how many. Commits in batches of tickets.

    The cost grows with what is due: both questions are answered by partial indexes over running clocks. A ticket
    that another worker has in hand is passed over and found again by the next sweep.
    """
    fired = 0
    for is_owed, moment, fire in (
        (Clock.breached_at.is_(None), Clock.due_at, _fire_breach),
        (Clock.warn_at.is_not(None), Clock.warn_at, _fire_warnings),
    ):
        while batch := _fire_batch(is_owed & (Clock.state == "running"), moment, fire):
            fired += batch
    return fired


def _fire_batch(is_owed: ColumnElement[bool], moment: Any, fire: Fire) -> int:
    at = now()
    is_due = is_owed & (moment <= at)
    with transaction(), db.session.no_autoflush, events.held(), notifications.held():
        due = select(Clock.ticket_id).where(is_due).order_by(moment).limit(BATCH)
        ticket_ids = set(db.session.scalars(due))
        if not ticket_ids:
            return 0
        # Tickets are locked before their clocks, as everywhere.
        tickets = {
            ticket.id: ticket
            for ticket in db.session.scalars(
                select(Ticket)
                .where(Ticket.id.in_(ticket_ids))
                .order_by(Ticket.id)
                .with_for_update(skip_locked=True)
                .execution_options(populate_existing=True)
            )
        }
        clocks = db.session.scalars(
            select(Clock)
            .where(is_due, Clock.ticket_id.in_(tickets))
            .order_by(moment, Clock.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).all()
        ladders = escalation.ladders_of({ticket.branch_id for ticket in tickets.values()})
        work = _Round(at, ladders, escalation.open_among(tickets.values()))
        faults.point("sweep_claimed")
        for clock in clocks:
            fire(work, tickets[clock.ticket_id], clock)
        rows.update_changed(list(tickets.values()))
        rows.update_changed(clocks)
        faults.point("sweep_written")
    faults.point("sweep_committed")
    return len(clocks)


def _fire_warnings(work: _Round, ticket: Ticket, clock: Clock) -> None:
    """Every one that has come due is recorded; people are told of the highest."""
    percent = _record_warnings(work, ticket, clock)
    _tell_assignee(ticket, clock, "sla_warned", NEARLY_DUE[clock.kind], percent)
    _escalate(work, ticket, clock, "sla_warning", percent)


def _record_warnings(work: _Round, ticket: Ticket, clock: Clock) -> int:
    """The percentages reached by now, into the ledger, each with its true moment; return the highest, 0 for none."""
    reached = 0
    while clock.warnings and datetime.fromisoformat(clock.warnings[0][1]) <= work.at:
        (reached, moment), *coming = clock.warnings
        _record(ticket, clock, "sla_warned", datetime.fromisoformat(moment), work.at, percent=reached)
        clock.warnings = coming
    clock.warn_at = datetime.fromisoformat(clock.warnings[0][1]) if clock.warnings else None
    return reached


def _fire_breach(work: _Round, ticket: Ticket, clock: Clock) -> None:
    # Those that went by unseen are too late to tell anybody of, but they are facts.
    _record_warnings(work, ticket, clock)
    clock.breached_at, clock.state, clock.warnings, clock.warn_at = work.at, "breached", [], None
    ticket.is_breached = True
    _record(ticket, clock, "sla_breached", clock.due_at, work.at, percent=100)
    _tell_assignee(ticket, clock, "sla_breached", LATE[clock.kind], 100)
    _escalate(work, ticket, clock, "sla_breach", 100)


def _record(
    ticket: Ticket, clock: Clock, kind: str, due_at: datetime | None, at: datetime, *, percent: int
) -> None:
    events.record(
        kind,
        ticket=ticket,
        occurred_at=at,
        data={
            "clock": clock.kind,
            "cycle": clock.cycle,
            "started_at": clock.started_at.isoformat(),
            "percent": percent,
            "due_at": due_at.isoformat() if due_at else None,
            "late_seconds": int((at - due_at) / timedelta(seconds=1)) if due_at else 0,
            "target_seconds": clock.target_seconds,
        },
    )
    events.announce(ticket)


def _tell_assignee(ticket: Ticket, clock: Clock, kind: str, message: str, percent: int) -> None:
    if ticket.assignee_id is not None:
        notifications.notify(
            ticket.assignee_id,
            kind,
            sentence(message, number=ticket.number, subject=ticket.subject),
            ticket=ticket,
            fact_key=f"{kind}-{ticket.id}-{clock.kind}-{clock.cycle}-{percent}",
        )


def _escalate(
    work: _Round, ticket: Ticket, clock: Clock, trigger: escalation_rules.TriggerKind, percent: int
) -> None:
    ladder, still_open = work.ladders[ticket.branch_id], work.still_open[ticket.id]
    decision = escalation_rules.decide_escalation(
        escalation.facts_of(ticket, still_open, ladder),
        escalation_rules.Trigger(trigger, clock_kind=clock.kind, percent=percent),
    )
    if decision.to_level is not None:
        still_open.append(escalation.perform(ticket, decision, trigger=trigger, actor=None, ladder=ladder))
