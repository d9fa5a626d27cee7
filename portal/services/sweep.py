"""Firing what has come due: each warning and breach once, whoever looks, however late."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select

from portal.extensions import db
from portal.models import Clock, Escalation, SlaPolicy, Ticket
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
    for condition, fire in (
        ((Clock.breached_at.is_(None), Clock.due_at), _fire_breach),
        ((Clock.warned_at.is_(None), Clock.warn_at), _fire_warning),
    ):
        not_fired, moment = condition
        while batch := _fire_batch(not_fired & (Clock.state == "running"), moment, fire):
            fired += batch
    return fired


def _fire_batch(is_owed: ColumnElement[bool], moment: Any, fire: Fire) -> int:
    at = now()
    is_due = is_owed & (moment <= at)
    with transaction(), db.session.no_autoflush, events.held():
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
        for clock in clocks:
            fire(work, tickets[clock.ticket_id], clock)
        rows.update_changed(list(tickets.values()))
        rows.update_changed(clocks)
    return len(clocks)


def _fire_warning(work: _Round, ticket: Ticket, clock: Clock) -> None:
    clock.warned_at = work.at
    percent = _percent_at_warning(clock)
    _record(ticket, clock, "sla_warned", clock.warn_at, work.at)
    _tell_assignee(ticket, clock, "sla_warned", NEARLY_DUE[clock.kind])
    _escalate(work, ticket, clock, "sla_warning", percent)


def _fire_breach(work: _Round, ticket: Ticket, clock: Clock) -> None:
    clock.breached_at, clock.state = work.at, "breached"
    # One that went by unseen is too late to warn of.
    clock.warned_at = clock.warned_at or work.at
    ticket.is_breached = True
    _record(ticket, clock, "sla_breached", clock.due_at, work.at)
    _tell_assignee(ticket, clock, "sla_breached", LATE[clock.kind])
    _escalate(work, ticket, clock, "sla_breach", 100)


def _record(ticket: Ticket, clock: Clock, kind: str, due_at: datetime | None, at: datetime) -> None:
    events.record(
        kind,
        ticket=ticket,
        occurred_at=at,
        data={
            "clock": clock.kind,
            "cycle": clock.cycle,
            "due_at": due_at.isoformat() if due_at else None,
            "late_seconds": int((at - due_at) / timedelta(seconds=1)) if due_at else 0,
            "target_seconds": clock.target_seconds,
        },
    )
    events.announce(ticket)


def _tell_assignee(ticket: Ticket, clock: Clock, kind: str, message: str) -> None:
    if ticket.assignee_id is not None:
        notifications.notify(
            ticket.assignee_id,
            kind,
            sentence(message, number=ticket.number, subject=ticket.subject),
            ticket=ticket,
            fact_key=f"{kind}-{ticket.id}-{clock.kind}-{clock.cycle}",
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


def _percent_at_warning(clock: Clock) -> int:
    policy = db.session.get(SlaPolicy, clock.policy_id) if clock.policy_id else None
    return policy.warning_percent if policy else 0
