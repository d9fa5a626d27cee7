"""Clocks: what `portal.rules.sla` computes from a ticket's events, kept where queries can find it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from portal.extensions import db
from portal.models import Branch, Clock, SlaPolicy, Ticket
from portal.models import Calendar as CalendarRow
from portal.models.columns import now
from portal.rules import hours
from portal.rules import sla as rules
from portal.services import events
from portal.services.transaction import transaction

CLOCK_EVENTS = ("ticket_opened", "message_received", "reply_sent", "status_changed", "ticket_merged")


@dataclass(frozen=True)
class Explained:
    """A clock with the stretches that add up to its figure, closed hours shown as such."""

    clock: rules.ClockView
    label: str
    intervals: tuple[rules.Interval, ...]
    policy: str


def policy_for(ticket: Ticket, branch: Branch) -> int | None:
    """The id of the policy that holds for the ticket: the first that matches, else the branch's own."""
    matching = (
        select(SlaPolicy.id)
        .where(
            SlaPolicy.is_active,
            or_(SlaPolicy.branch_id.is_(None), SlaPolicy.branch_id == branch.id),
            or_(SlaPolicy.priority.is_(None), SlaPolicy.priority == ticket.priority),
            # One without any condition is there to be chosen by a branch or a rule.
            or_(SlaPolicy.branch_id.is_not(None), SlaPolicy.priority.is_not(None)),
        )
        .order_by(SlaPolicy.position, SlaPolicy.id)
        .limit(1)
    )
    return db.session.scalar(matching) or branch.policy_id


def refresh(ticket: Ticket) -> list[rules.ClockView]:
    """Compute the ticket's clocks anew and keep them, inside the caller's transaction; return them.

    A clock that starts, is met, or turns out to have been late is recorded once. The ticket is locked by the caller.
    """
    at = now()
    views = compute(ticket, at)
    rows = {
        (row.kind, row.cycle): row
        for row in db.session.scalars(select(Clock).where(Clock.ticket_id == ticket.id))
    }
    for view in views:
        row = rows.pop((view.kind, view.cycle), None)
        if row is None:
            row = Clock(ticket_id=ticket.id, kind=view.kind, cycle=view.cycle)
            db.session.add(row)
            _record(ticket, "sla_started", view, at)
        _write(ticket, row, view, at)
    for row in rows.values():
        row.state, row.stopped_at, row.due_at, row.warn_at = "cancelled", row.stopped_at or at, None, None
    cache_due(ticket, views)
    return views


def compute(ticket: Ticket, at: datetime) -> list[rules.ClockView]:
    """The ticket's clocks as of `at`, from its events, policy and calendar. Writes nothing."""
    policy = db.session.get(SlaPolicy, ticket.policy_id) if ticket.policy_id else None
    if policy is None:
        return []
    facts, rule = _facts(ticket), policy_rule(policy)
    try:
        return rules.compute_clocks(facts, rule, calendar_of(ticket.branch_id), at)
    except hours.NoWorkingTimeError:
        # Refused at save; an imported calendar without a working hour in ten years must not stop the mail.
        return rules.compute_clocks(facts, rule, hours.always_open(), at)


def explain(ticket: Ticket) -> list[Explained]:
    """The ticket's clocks with every stretch of running and paused time. Reads only."""
    at = now()
    calendar = calendar_of(ticket.branch_id)
    policy = db.session.get(SlaPolicy, ticket.policy_id) if ticket.policy_id else None
    return [
        Explained(view, rules.CLOCK_LABELS[view.kind], rules.explain_clock(view, calendar, at), str(policy))
        for view in compute(ticket, at)
    ]


def recompute(ticket: Ticket) -> bool:
    """Compute a ticket's clocks from its events and say whether that changed anything. Commits."""
    with transaction(ticket):
        before = _snapshot(ticket)
        refresh(ticket)
        db.session.flush()
        return _snapshot(ticket) != before


def cache_due(ticket: Ticket, views: list[rules.ClockView]) -> None:
    """Keep on the ticket what a queue sorts by."""
    due = rules.next_due(views)
    owed = [view for view in views if view.stopped_at is None]
    ticket.next_due_at = due.due_at if due else None
    ticket.next_due_kind = due.kind if due else None
    ticket.is_breached = any(view.is_breached for view in owed)
    ticket.is_paused = bool(owed) and not any(view.is_running for view in owed)


def policy_rule(policy: SlaPolicy) -> rules.Policy:
    """The row as the rules know it."""
    return rules.policy_from_minutes(
        policy.first_response_minutes,
        policy.next_response_minutes,
        policy.resolution_minutes,
        is_business_time=policy.is_business_time,
        paused_statuses=policy.paused_statuses or ("pending",),
        warning_percent=policy.warning_percent,
        id=policy.id,
    )


def calendar_of(branch_id: int) -> hours.Calendar:
    """The branch's working hours, in the branch's time zone; always open where they cannot be read."""
    found = (
        select(CalendarRow.windows, CalendarRow.holidays, Branch.time_zone)
        .join(Branch, Branch.calendar_id == CalendarRow.id)
        .where(Branch.id == branch_id)
    )
    windows, holidays, time_zone = db.session.execute(found).one()
    try:
        return hours.parse_calendar({"windows": windows, "holidays": holidays}, time_zone)
    except ValueError:
        # Refused at save; an imported one must not stop the mail.
        return hours.always_open()


def _facts(ticket: Ticket) -> list[rules.TicketEvent]:
    db.session.flush()
    return [
        rules.TicketEvent(fact.kind, fact.occurred_at, fact.data)
        for fact in events.of_ticket(ticket.id, CLOCK_EVENTS)
    ]


def _write(ticket: Ticket, row: Clock, view: rules.ClockView, at: datetime) -> None:
    was_stopped = row.stopped_at is not None
    row.policy_id = ticket.policy_id
    row.state, row.target_seconds, row.elapsed_seconds = view.state, view.target_seconds, view.elapsed_seconds
    row.started_at, row.stopped_at = view.started_at, view.stopped_at
    row.due_at, row.warn_at = view.due_at, view.warn_at
    if view.state == "breached" and row.breached_at is None:
        row.breached_at = at
        _record(ticket, "sla_breached", view, at)
    if view.stopped_at is not None and not was_stopped and view.state != "cancelled":
        _record(ticket, "sla_met", view, at)


def _record(ticket: Ticket, kind: str, view: rules.ClockView, at: datetime) -> None:
    events.record(kind, ticket=ticket, occurred_at=at, data=_clock_data(view))


def _clock_data(view: rules.ClockView) -> dict[str, Any]:
    return {
        "clock": view.kind,
        "cycle": view.cycle,
        "due_at": view.due_at.isoformat() if view.due_at else None,
        "target_seconds": view.target_seconds,
        "elapsed_seconds": view.elapsed_seconds,
        "is_late": view.state == "breached",
    }


def _snapshot(ticket: Ticket) -> list[tuple[Any, ...]]:
    columns = (Clock.kind, Clock.cycle, Clock.state, Clock.started_at, Clock.stopped_at, Clock.due_at)
    found = select(*columns).where(Clock.ticket_id == ticket.id).order_by(Clock.kind, Clock.cycle)
    return [tuple(row) for row in db.session.execute(found)]
