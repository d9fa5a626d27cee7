"""Escalations that nobody has acknowledged in time: the next step of each, once, whoever looks, however late."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select

from portal import faults
from portal.extensions import db
from portal.models import Escalation, Ticket
from portal.models.columns import now
from portal.rules import escalation as rules
from portal.services import alerts, escalation, events, notifications, rows
from portal.services.transaction import transaction
from portal.wording import as_evidence, sentence

BATCH = 200


def fire_due() -> int:
    """Take the next step of every escalation whose time is over; return how many. Commits in batches of tickets.

    The cost grows with what is due: the question is answered by a partial index over what nobody has acknowledged. A
    ticket that another worker has in hand is passed over: that worker takes the step, or the next call does.
    """
    fired = 0
    while batch := _fire_batch():
        fired += batch
    return fired


def _fire_batch() -> int:
    at = now()
    with transaction(), db.session.no_autoflush, events.held():
        # Tickets are locked before what hangs on them, as everywhere.
        tickets = {
            ticket.id: ticket
            for ticket in db.session.scalars(
                select(Ticket)
                .join(Escalation, Escalation.ticket_id == Ticket.id)
                .where(_is_due(at))
                .order_by(Escalation.acknowledge_by)
                .limit(BATCH)
                .with_for_update(skip_locked=True, of=Ticket)
                .execution_options(populate_existing=True)
            )
        }
        if not tickets:
            return 0
        ladders = escalation.ladders_of({ticket.branch_id for ticket in tickets.values()})
        still_open = escalation.open_among(tickets.values())
        due = db.session.scalars(
            select(Escalation)
            .where(_is_due(at), Escalation.ticket_id.in_(tickets))
            .order_by(Escalation.acknowledge_by, Escalation.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).all()
        faults.point("step_claimed")
        for row in due:
            ticket = tickets[row.ticket_id]
            _take_step(row, ticket, ladders[ticket.branch_id], still_open[ticket.id], at)
        rows.update_changed(list(tickets.values()))
        rows.update_changed(due)
        faults.point("step_written")
    faults.point("step_committed")
    return len(due)


def _is_due(at: datetime) -> ColumnElement[bool]:
    return (
        Escalation.acknowledged_at.is_(None)
        & Escalation.ended_at.is_(None)
        & (Escalation.acknowledge_by <= at)
    )


def _take_step(
    row: Escalation, ticket: Ticket, ladder: escalation.Ladder, still_open: list[Escalation], at: datetime
) -> None:
    due_at = row.acknowledge_by
    assert due_at is not None, "what is due has a time"
    decision = rules.decide_unacknowledged(
        escalation.facts_of(ticket, [row, *(other for other in still_open if other is not row)], ladder)
    )
    row.acknowledge_by = None
    if decision.action is None:
        return
    row.step_count, row.stepped_at = row.step_count + 1, at
    told = ""
    if decision.person is not None:
        # Told late or not, whoever is asked now has the whole time.
        row.acknowledge_by = at + timedelta(minutes=ladder.tier(row.to_level).acknowledge_within_minutes)
        row.told_ids = [*row.told_ids, decision.person.user_id]
        told = decision.person.name
    _record(row, ticket, decision, due_at, at, told)
    key = f"unacknowledged-{row.id}-{row.step_count}"
    if decision.person is not None:
        says = sentence(
            "You are next on call for #%(number)s %(subject)s: %(reason)s",
            number=ticket.number,
            subject=ticket.subject,
            reason=decision.reason,
        )
        notifications.notify(decision.person.user_id, "unacknowledged", says, ticket=ticket, fact_key=key)
        turn = [decision.person.user_id]
        announced = sentence(
            "#%(number)s %(subject)s: %(reason)s",
            number=ticket.number,
            subject=ticket.subject,
            reason=decision.reason,
        )
        alerts.owe(
            ticket, ladder.tier(row.to_level), announced, fact_key=key, user_ids=turn, on_call_ids=turn
        )
    elif decision.to_level is not None:
        raised = rules.EscalationDecision(
            decision.to_level,
            decision.rule,
            decision.reason,
            {**decision.evidence, "due_at": due_at.isoformat()},
        )
        still_open.append(
            escalation.perform(ticket, raised, trigger="unacknowledged", actor=None, ladder=ladder)
        )
        return
    else:
        says = sentence(
            "#%(number)s %(subject)s waits for somebody: %(reason)s",
            number=ticket.number,
            subject=ticket.subject,
            reason=decision.reason,
        )
        tier = next((one for one in ladder.tiers if one.level == row.to_level), None)
        escalation.tell_leads(ticket, ladder, says, fact_key=key, tier=tier)
    events.announce(ticket)


def _record(  # noqa: PLR0917 - the parts of one fact
    row: Escalation,
    ticket: Ticket,
    decision: rules.Unacknowledged,
    due_at: datetime,
    at: datetime,
    told: str,
) -> None:
    data: dict[str, Any] = {
        "escalation": row.id,
        "level": row.to_level,
        "step": row.step_count,
        "action": decision.action,
        "rule": decision.rule,
        **as_evidence(decision.reason),
        "evidence": decision.evidence,
        "told": told,
        "due_at": due_at.isoformat(),
        "late_seconds": int((at - due_at) / timedelta(seconds=1)),
    }
    events.record("escalation_unacknowledged", ticket=ticket, occurred_at=at, data=data)
