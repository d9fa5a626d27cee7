"""Clocks: what `portal.rules.sla` computes from a ticket's events, kept where queries can find it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from portal.extensions import db
from portal.models import Clock, EscalationTier, Ticket
from portal.models.columns import now
from portal.rules import hours
from portal.rules import sla as rules
from portal.rules.policies import CLOCK_LABELS, Policy, Terms
from portal.rules.waits import TicketEvent
from portal.services import calendars, events, policies, rows
from portal.services.transaction import transaction

KEPT_COLUMNS = (
    *("ticket_id", "kind", "cycle", "policy_id", "state", "target_seconds", "elapsed_seconds"),
    *("started_at", "stopped_at", "due_at", "warnings", "warn_at", "breached_at"),
)
BREACH = 100
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
    "policy_applied",
    "sla_started",
    "sla_warned",
    "sla_breached",
    "sla_met",
)


# What the ledger says of tickets, by ticket id.
Facts = Mapping[int, Sequence[TicketEvent]]


@dataclass(frozen=True)
class Explained:
    """A clock with the stretches that add up to its figure, closed hours shown as such."""

    clock: rules.ClockView
    label: str
    intervals: tuple[rules.Interval, ...]
    policy: str


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
    facts = facts_of(tickets)
    views = _compute_all(tickets, facts, at)
    kept = _kept_clocks(tickets)
    percents = escalation_percents({ticket.branch_id for ticket in tickets})
    changed: list[dict[str, Any]] = []
    for ticket in tickets:
        gone = kept[ticket.id]
        recorded = _recorded_in(facts[ticket.id])
        for view in views[ticket.id]:
            gone.pop((view.kind, view.cycle), None)
            _record_news(ticket, view, recorded, at)
            changed.append(_row(ticket, view, percents[ticket.branch_id], at))
        changed += [_cancelled(row, at) for row in gone.values()]
        cache_due(ticket, views[ticket.id])
    return Refreshed(views, changed)


def keep(refreshed: Refreshed) -> None:
    """Write the rows of `advance`, inside the caller's transaction."""
    rows.upsert(Clock, ("ticket_id", "kind", "cycle"), refreshed.rows)


def compute(ticket: Ticket, at: datetime) -> list[rules.ClockView]:
    """The ticket's clocks as of `at`, from its events, policies and calendars. Writes nothing."""
    return _compute_all([ticket], facts_of([ticket]), at)[ticket.id]


@dataclass(frozen=True)
class Draft:
    """What to measure by instead: targets in the place of a policy's, windows in the place of all of a calendar's.

    `version` is one that the calendar would have besides.
    """

    policy_id: int | None = None
    policy: Policy | None = None
    calendar_id: int | None = None
    windows: tuple[hours.Window, ...] = ()
    version: hours.Version | None = None

    def of(self, calendar_id: int | None, calendar: hours.Hours) -> hours.Hours:
        """These hours, or the ones in their place."""
        if calendar_id != self.calendar_id:
            return calendar
        if self.version is not None:
            calendar = hours.with_version(calendar, self.version)
        return hours.with_windows(calendar, self.windows) if self.windows else calendar


def terms_of_all(
    tickets: Sequence[Ticket], facts: Facts, draft: Draft | None = None
) -> dict[int, list[Terms]]:
    """What each ticket was measured by since when, from the facts of its ledger. Reads only.

    With a draft: what it would have been measured by.
    """
    draft = draft or Draft()
    told = {ticket.id: _measured_by(ticket, facts[ticket.id]) for ticket in tickets}
    version_ids = {version_id for steps in told.values() for _, version_id, _ in steps if version_id}
    known = policies.rules_of(version_ids, {draft.policy_id: draft.policy} if draft.policy else {})
    of = _hours_of(tickets, told)
    return {
        ticket.id: [
            Terms(since, known.get(version_id or 0), draft.of(calendar_id, of(ticket, calendar_id)))
            for since, version_id, calendar_id in told[ticket.id]
        ]
        for ticket in tickets
    }


def _hours_of(
    tickets: Sequence[Ticket], told: Mapping[int, Sequence["_Step"]]
) -> Callable[[Ticket, int | None], hours.Hours]:
    """The hours of a step; where it names none, those of the ticket's branch."""
    named = {calendar_id for steps in told.values() for _, _, calendar_id in steps if calendar_id is not None}
    without = {ticket.branch_id for ticket in tickets if any(step[2] is None for step in told[ticket.id])}
    by_id = calendars.hours_of(named) if named else {}
    by_branch = calendars.hours_of_branches(without) if without else {}

    def of(ticket: Ticket, calendar_id: int | None) -> hours.Hours:
        return by_branch[ticket.branch_id] if calendar_id is None else by_id[calendar_id]

    return of


# A moment (None: from the beginning), the id of a policy's version, and that of a calendar.
_Step = tuple[datetime | None, int | None, int | None]


def _measured_by(ticket: Ticket, facts: Sequence[TicketEvent]) -> list[_Step]:
    changes = [fact for fact in facts if fact.kind == "policy_applied"]
    if not changes:
        return [(None, policies.version_id_of(ticket), ticket.calendar_id)]
    first = changes[0].data
    return [
        (None, first["from_policy_version_id"], first["from_calendar_id"]),
        *((fact.at, fact.data["policy_version_id"], fact.data["calendar_id"]) for fact in changes),
    ]


def facts_of(tickets: Sequence[Ticket]) -> Facts:
    """What the ledger says of these tickets that clocks are computed from."""
    if not events.is_holding():
        db.session.flush()
    facts = events.facts_of_tickets(tickets, CLOCK_EVENTS)
    return {
        ticket_id: [TicketEvent(fact.kind, fact.occurred_at, fact.data, fact.message_id) for fact in told]
        for ticket_id, told in facts.items()
    }


def _compute_all(tickets: Sequence[Ticket], facts: Facts, at: datetime) -> dict[int, list[rules.ClockView]]:
    terms = terms_of_all(tickets, facts)
    return {ticket.id: computed(facts[ticket.id], terms[ticket.id], at) for ticket in tickets}


def computed(told: Sequence[TicketEvent], terms: Sequence[Terms], at: datetime) -> list[rules.ClockView]:
    """The clocks by the rules, also where a calendar that was imported has no working hour in ten years."""
    try:
        return rules.compute_clocks(told, terms, at)
    except hours.NoWorkingTimeError:
        # Refused at save; it must not stop the mail.
        return rules.compute_clocks(told, [replace(each, calendar=hours.always_open()) for each in terms], at)


def explain(ticket: Ticket) -> list[Explained]:
    """The ticket's clocks with every stretch of running and paused time. Reads only."""
    at = now()
    return [
        Explained(view, CLOCK_LABELS[view.kind], rules.explain_clock(view, at), _policy_names(view))
        for view in compute(ticket, at)
    ]


def _policy_names(view: rules.ClockView) -> str:
    """The policies that measured the clock, in their order."""
    names = [interval.terms.policy.name for interval in view.intervals if interval.terms.policy]
    return ", ".join(dict.fromkeys(names))


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


def _kept_clocks(tickets: Sequence[Ticket]) -> dict[int, dict[tuple[str, int], dict[str, Any]]]:
    kept: dict[int, dict[tuple[str, int], dict[str, Any]]] = {ticket.id: {} for ticket in tickets}
    found = select(*(getattr(Clock, name) for name in KEPT_COLUMNS)).where(Clock.ticket_id.in_(kept))
    for row in db.session.execute(found).mappings():
        kept[row["ticket_id"]][row["kind"], row["cycle"]] = dict(row)
    return kept


def escalation_percents(branch_ids: Collection[int]) -> dict[int, frozenset[int]]:
    """The percentages of a target at which tickets of these branches go to a tier by themselves. Reads only."""
    found = select(EscalationTier.branch_id, EscalationTier.escalate_at_percent).where(
        or_(EscalationTier.branch_id.in_(branch_ids), EscalationTier.branch_id.is_(None))
    )
    told: dict[int | None, set[int]] = {}
    for branch_id, percent in db.session.execute(found):
        told.setdefault(branch_id, set()).add(percent)
    return {each: frozenset(told.get(each) or told.get(None) or ()) for each in branch_ids}


# What the ledger has of a clock already: the kind of event, the clock with its cycle, and when it stopped.
_Recorded = frozenset[tuple[str, str, int, str | None]]


def _recorded_in(facts: Sequence[TicketEvent]) -> _Recorded:
    return frozenset(
        (fact.kind, fact.data["clock"], fact.data["cycle"], fact.data.get("stopped_at"))
        for fact in facts
        if fact.kind in ("sla_started", "sla_met")
    )


def _record_news(ticket: Ticket, view: rules.ClockView, recorded: _Recorded, at: datetime) -> None:
    """What happened to the clock and is not in the ledger yet."""
    if ("sla_started", view.kind, view.cycle, None) not in recorded:
        _record(ticket, "sla_started", view, at)
    if view.is_breached and view.warned_percent < BREACH:
        _record(ticket, "sla_breached", view, at, percent=BREACH)
    if view.stopped_at is None or view.state == "cancelled":
        return
    if ("sla_met", view.kind, view.cycle, view.stopped_at.isoformat()) not in recorded:
        _record(ticket, "sla_met", view, at, stopped_at=view.stopped_at.isoformat())


def _row(ticket: Ticket, view: rules.ClockView, percents: Collection[int], at: datetime) -> dict[str, Any]:
    """The clock's row as it is to be."""
    warnings = _warnings_to_come(view, percents)
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
        "warnings": warnings,
        "warn_at": warnings[0][1] if warnings else None,
        "breached_at": view.breached_at or (at if view.is_breached else None),
    }


def _warnings_to_come(view: rules.ClockView, percents: Collection[int]) -> list[tuple[int, str]]:
    """The percentages that people are told of, and at which a tier takes the ticket, each with its moment."""
    policy = view.terms.policy
    if not view.is_running or view.is_breached or policy is None:
        return []
    wanted = sorted({*policy.warning_percents, *percents})
    moments = (
        (percent, rules.moment_at_percent(view, percent))
        for percent in wanted
        if view.warned_percent < percent < BREACH
    )
    return [(percent, moment.isoformat()) for percent, moment in moments if moment is not None]


def _cancelled(row: dict[str, Any], at: datetime) -> dict[str, Any]:
    """A clock that the ticket no longer has."""
    return {
        **row,
        "state": "cancelled",
        "stopped_at": row["stopped_at"] or at,
        "due_at": None,
        "warnings": [],
        "warn_at": None,
    }


def _record(ticket: Ticket, kind: str, view: rules.ClockView, at: datetime, **more: Any) -> None:
    data = {
        "clock": view.kind,
        "cycle": view.cycle,
        "started_at": view.started_at.isoformat(),
        "due_at": view.due_at.isoformat() if view.due_at else None,
        "target_seconds": view.target_seconds,
        "elapsed_seconds": view.elapsed_seconds,
        "is_late": view.is_breached,
        **more,
    }
    events.record(kind, ticket=ticket, occurred_at=at, data=data)


def _snapshot(ticket: Ticket) -> list[tuple[Any, ...]]:
    columns = (Clock.kind, Clock.cycle, Clock.state, Clock.started_at, Clock.stopped_at, Clock.due_at)
    found = select(*columns).where(Clock.ticket_id == ticket.id).order_by(Clock.kind, Clock.cycle)
    return [tuple(row) for row in db.session.execute(found)]
