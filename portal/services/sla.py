"""Clocks: what `portal.rules.sla` computes from a ticket's events, kept where queries can find it."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import select

from portal.extensions import db
from portal.models import Branch, Clock, SlaPolicy, Ticket
from portal.models import Calendar as CalendarRow
from portal.models.columns import now
from portal.rules import hours
from portal.rules import sla as rules
from portal.services import events, rows
from portal.services.transaction import transaction

KEPT_COLUMNS = (
    *("ticket_id", "kind", "cycle", "policy_id", "state", "target_seconds", "elapsed_seconds"),
    *("started_at", "stopped_at", "due_at", "warn_at", "warned_at", "breached_at"),
)
CLOCK_EVENTS = (
    "ticket_opened",
    "message_received",
    "reply_sent",
    "reply_cancelled",
    "status_changed",
    "messages_moved_away",
    "messages_moved_here",
    "ticket_merged",
    "ticket_unmerged",
)


@dataclass(frozen=True)
class Explained:
    """A clock with the stretches that add up to its figure, closed hours shown as such."""

    clock: rules.ClockView
    label: str
    intervals: tuple[rules.Interval, ...]
    policy: str


def policy_for(ticket: Ticket, branch: Branch, policies: Sequence[SlaPolicy] | None = None) -> int | None:
    """The id of the policy that holds for the ticket: the first that matches, else the branch's own.

    `policies` are the active ones in their order, for callers that place many tickets; read here otherwise.
    """
    for policy in active_policies() if policies is None else policies:
        # One without any condition is there to be chosen by a branch or a rule.
        has_condition = policy.branch_id is not None or policy.priority is not None
        fits = policy.branch_id in (None, branch.id) and policy.priority in (None, ticket.priority)
        if has_condition and fits:
            return policy.id
    return branch.policy_id


def active_policies() -> list[SlaPolicy]:
    """Every policy that may be chosen, in the order in which they are tried. Reads only."""
    found = select(SlaPolicy).where(SlaPolicy.is_active).order_by(SlaPolicy.position, SlaPolicy.id)
    return list(db.session.scalars(found))


def refresh(ticket: Ticket) -> list[rules.ClockView]:
    """Compute the ticket's clocks anew and keep them, inside the caller's transaction; return them.

    A clock that starts, is met, or turns out to have been late is recorded once. The ticket is locked by the caller.
    """
    return refresh_all([ticket])[ticket.id]


def refresh_all(tickets: Sequence[Ticket]) -> dict[int, list[rules.ClockView]]:
    """Like refresh, for many tickets in as many statements as for one; their views by ticket id."""
    refreshed = advance(tickets)
    keep(refreshed)
    return refreshed.views


@dataclass(frozen=True)
class Refreshed:
    """Clocks as of one moment: the views by ticket id, and the rows that `keep` writes."""

    views: dict[int, list[rules.ClockView]]
    rows: list[dict[str, Any]]


def advance(tickets: Sequence[Ticket]) -> Refreshed:
    """Compute the clocks of these tickets, cache on each what is due and record what happened to them.

    In as many statements as for one. The rows are the caller's to `keep`, once the tickets are written.
    """
    at = now()
    views = _compute_all(tickets, at)
    kept = _kept_clocks(tickets)
    changed: list[dict[str, Any]] = []
    for ticket in tickets:
        gone = kept[ticket.id]
        changed += [
            _row(ticket, gone.pop((view.kind, view.cycle), None), view, at) for view in views[ticket.id]
        ]
        changed += [_cancelled(row, at) for row in gone.values()]
        cache_due(ticket, views[ticket.id])
    return Refreshed(views, changed)


def keep(refreshed: Refreshed) -> None:
    """Write the rows of `advance`, inside the caller's transaction."""
    rows.upsert(Clock, ("ticket_id", "kind", "cycle"), refreshed.rows)


def compute(ticket: Ticket, at: datetime) -> list[rules.ClockView]:
    """The ticket's clocks as of `at`, from its events, policy and calendar. Writes nothing."""
    return _compute_all([ticket], at)[ticket.id]


def _compute_all(tickets: Sequence[Ticket], at: datetime) -> dict[int, list[rules.ClockView]]:
    if not events.is_holding():
        db.session.flush()
    facts = events.facts_of_tickets(tickets, CLOCK_EVENTS)
    calendars = calendars_of({ticket.branch_id for ticket in tickets})
    policies = _policy_rules({ticket.policy_id for ticket in tickets})
    views = {}
    for ticket in tickets:
        told = [
            rules.TicketEvent(fact.kind, fact.occurred_at, fact.data, fact.message_id)
            for fact in facts[ticket.id]
        ]
        views[ticket.id] = _computed(told, policies[ticket.policy_id], calendars[ticket.branch_id], at)
    return views


def _policy_rules(policy_ids: Collection[int | None]) -> dict[int | None, rules.Policy | None]:
    rows_by_id = {row_id: db.session.get(SlaPolicy, row_id) if row_id else None for row_id in policy_ids}
    return {row_id: policy_rule(row) if row else None for row_id, row in rows_by_id.items()}


def _computed(
    told: list[rules.TicketEvent], policy: rules.Policy | None, calendar: hours.Calendar, at: datetime
) -> list[rules.ClockView]:
    if policy is None:
        return []
    try:
        return rules.compute_clocks(told, policy, calendar, at)
    except hours.NoWorkingTimeError:
        # Refused at save; an imported calendar without a working hour in ten years must not stop the mail.
        return rules.compute_clocks(told, policy, hours.always_open(), at)


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
    return calendars_of([branch_id])[branch_id]


def calendars_of(branch_ids: Collection[int]) -> dict[int, hours.Calendar]:
    """The working hours of these branches, each in its time zone; always open where they cannot be read."""
    found = (
        select(Branch.id, CalendarRow.windows, CalendarRow.holidays, Branch.time_zone)
        .join(Branch, Branch.calendar_id == CalendarRow.id)
        .where(Branch.id.in_(branch_ids))
    )
    return {
        branch_id: _parsed_calendar(json.dumps({"windows": windows, "holidays": holidays}), time_zone)
        for branch_id, windows, holidays, time_zone in db.session.execute(found)
    }


@lru_cache(maxsize=500)
def _parsed_calendar(hours_text: str, time_zone: str) -> hours.Calendar:
    try:
        return hours.parse_calendar(json.loads(hours_text), time_zone)
    except ValueError:
        # Refused at save; an imported one must not stop the mail.
        return hours.always_open()


def _kept_clocks(tickets: Sequence[Ticket]) -> dict[int, dict[tuple[str, int], dict[str, Any]]]:
    kept: dict[int, dict[tuple[str, int], dict[str, Any]]] = {ticket.id: {} for ticket in tickets}
    found = select(*(getattr(Clock, name) for name in KEPT_COLUMNS)).where(Clock.ticket_id.in_(kept))
    for row in db.session.execute(found).mappings():
        kept[row["ticket_id"]][row["kind"], row["cycle"]] = dict(row)
    return kept


def _row(
    ticket: Ticket, before: dict[str, Any] | None, view: rules.ClockView, at: datetime
) -> dict[str, Any]:
    """The clock's row as it is to be; what happened to the clock is recorded."""
    if before is None:
        _record(ticket, "sla_started", view, at)
    was_stopped = before is not None and before["stopped_at"] is not None
    if before is not None and before["started_at"] < view.started_at and not view.is_breached:
        # It was of an earlier wait, whose message was moved to another ticket.
        before = None
    breached_at = before["breached_at"] if before else None
    if view.state == "breached" and breached_at is None:
        breached_at = at
        _record(ticket, "sla_breached", view, at)
    if view.stopped_at is not None and not was_stopped and view.state != "cancelled":
        _record(ticket, "sla_met", view, at)
    return {
        "ticket_id": ticket.id,
        "kind": view.kind,
        "cycle": view.cycle,
        "policy_id": ticket.policy_id,
        "state": view.state,
        "target_seconds": view.target_seconds,
        "elapsed_seconds": view.elapsed_seconds,
        "started_at": view.started_at,
        "stopped_at": view.stopped_at,
        "due_at": view.due_at,
        "warn_at": view.warn_at,
        "warned_at": before["warned_at"] if before else None,
        "breached_at": breached_at,
    }


def _cancelled(row: dict[str, Any], at: datetime) -> dict[str, Any]:
    """A clock that the ticket no longer has."""
    return {
        **row,
        "state": "cancelled",
        "stopped_at": row["stopped_at"] or at,
        "due_at": None,
        "warn_at": None,
    }


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
