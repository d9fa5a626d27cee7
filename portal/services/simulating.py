"""What would have been: the tickets of the last days, measured by a draft in the place of what holds."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import load_only

from portal.extensions import db
from portal.models import Ticket
from portal.models.columns import now
from portal.rules.sla import ClockView
from portal.services import sla

MOST_TICKETS = 5000
MOST_EXAMPLES = 25
BATCH = 500
# What people were told is of what was; what would have been is computed from what happened.
_TOLD = frozenset({"sla_warned", "sla_breached", "sla_met", "sla_started"})


@dataclass
class Tally:
    """Clocks of one kind in one branch: how many were owed, and how many of them late, before and after."""

    owed_before: int = 0
    late_before: int = 0
    owed_after: int = 0
    late_after: int = 0


@dataclass(frozen=True)
class Change:
    """A clock that would have ended otherwise. Seconds; `is_late` as it would have been."""

    number: int
    subject: str
    branch_id: int
    kind: str
    is_late: bool
    elapsed_before: int
    elapsed_after: int


@dataclass
class Simulation:
    """The tallies by branch and kind of clock, the newest clocks that change, and how much was looked at."""

    since: datetime
    ticket_count: int
    looked_at: int = 0
    tallies: dict[tuple[int, str], Tally] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    change_count: int = 0

    @property
    def is_cut(self) -> bool:
        return self.looked_at < self.ticket_count


def simulate(draft: sla.Draft, branch_ids: Collection[int], days: int) -> Simulation:
    """Measure the tickets of these branches opened in the last days again, the newest first. Reads only.

    At most MOST_TICKETS of them. Tickets of other policies and hours come out as they are.
    """
    at = now()
    since = at - timedelta(days=days)
    is_meant = (Ticket.branch_id.in_(branch_ids), Ticket.created_at >= since, Ticket.merged_into_id.is_(None))
    counted = select(func.count()).select_from(select(Ticket.id).where(*is_meant).subquery())
    found = Simulation(since, db.session.scalar(counted) or 0)
    newest = (
        select(Ticket)
        .where(*is_meant)
        .order_by(Ticket.created_at.desc(), Ticket.id.desc())
        .limit(MOST_TICKETS)
        .options(
            load_only(
                Ticket.number,
                Ticket.subject,
                Ticket.branch_id,
                Ticket.policy_id,
                Ticket.policy_version_id,
                Ticket.calendar_id,
                Ticket.created_at,
            )
        )
        .execution_options(yield_per=BATCH)
    )
    for batch in db.session.scalars(newest).partitions():
        _measure(found, batch, draft, at)
    return found


def _measure(found: Simulation, tickets: Sequence[Ticket], draft: sla.Draft, at: datetime) -> None:
    facts = sla.facts_of(tickets)
    before, after = sla.terms_of_all(tickets, facts), sla.terms_of_all(tickets, facts, draft)
    for ticket in tickets:
        happened = [fact for fact in facts[ticket.id] if fact.kind not in _TOLD]
        was = _owed(sla.computed(facts[ticket.id], before[ticket.id], at))
        would_be = _owed(sla.computed(happened, after[ticket.id], at))
        found.looked_at += 1
        _tally(found, ticket, was, would_be)


def _owed(clocks: Sequence[ClockView]) -> dict[tuple[str, int], ClockView]:
    return {(clock.kind, clock.cycle): clock for clock in clocks if clock.state != "cancelled"}


def _tally(
    found: Simulation,
    ticket: Ticket,
    was: dict[tuple[str, int], ClockView],
    would_be: dict[tuple[str, int], ClockView],
) -> None:
    for clock in was.values():
        tally = found.tallies.setdefault((ticket.branch_id, clock.kind), Tally())
        tally.owed_before += 1
        tally.late_before += clock.is_breached
    for key, clock in would_be.items():
        tally = found.tallies.setdefault((ticket.branch_id, clock.kind), Tally())
        tally.owed_after += 1
        tally.late_after += clock.is_breached
        former = was.get(key)
        if former is not None and former.is_breached == clock.is_breached:
            continue
        if former is None and not clock.is_breached:
            continue
        found.change_count += 1
        if len(found.changes) < MOST_EXAMPLES:
            found.changes.append(
                Change(
                    number=ticket.number,
                    subject=ticket.subject,
                    branch_id=ticket.branch_id,
                    kind=clock.kind,
                    is_late=clock.is_breached,
                    elapsed_before=former.elapsed_seconds if former else 0,
                    elapsed_after=clock.elapsed_seconds,
                )
            )
