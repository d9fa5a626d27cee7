"""Putting tickets that are there under the newest targets of their policy: what that would change, and doing it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import Select, func, select

from portal.extensions import db
from portal.models import SlaPolicy, Ticket
from portal.models.columns import now
from portal.rules.lifecycle import OPEN_STATUSES
from portal.rules.policies import Terms
from portal.rules.sla import ClockView, next_due
from portal.services import audit, events, policies, sla
from portal.services.transaction import transaction

MOST_COMPARED = 1000
MOST_EXAMPLES = 20
MOST_AT_ONCE = 1000
BATCH = 200


@dataclass(frozen=True)
class Moved:
    """A ticket whose next moment would be another one; None where no clock would run."""

    number: int
    subject: str
    due_before: datetime | None
    due_after: datetime | None
    is_late_at_once: bool


@dataclass
class Difference:
    """Open tickets under former targets, and what the newest would do to those that were compared, the newest ones."""

    waiting: int
    compared: int = 0
    sooner: int = 0
    later: int = 0
    late_at_once: int = 0
    examples: list[Moved] = field(default_factory=list)

    @property
    def unchanged(self) -> int:
        return self.compared - self.sooner - self.later


def difference(policy: SlaPolicy) -> Difference:
    """What the policy's newest targets would do to the open tickets that are measured by former ones. Reads only."""
    waiting = _under_former_targets(policy)
    counted = db.session.scalar(select(func.count()).select_from(waiting.subquery())) or 0
    found = Difference(counted)
    chosen = db.session.scalars(waiting.order_by(Ticket.id.desc()).limit(MOST_COMPARED)).all()
    for start in range(0, len(chosen), BATCH):
        _compare(found, chosen[start : start + BATCH], policy)
    return found


def apply_again(policy: SlaPolicy, actor: User) -> int:
    """Put open tickets under the newest targets from now on, MOST_AT_ONCE at most; how many. Commits in batches.

    What is late stays late; each ticket's ledger says since when and by whom.
    """
    done = 0
    while done < MOST_AT_ONCE:
        with transaction():
            waiting = _under_former_targets(policy).order_by(Ticket.id).limit(BATCH)
            batch = db.session.scalars(waiting.with_for_update(skip_locked=True, of=Ticket)).all()
            for ticket in batch:
                calendar_id = ticket.calendar_id or ticket.branch.calendar_id
                policies.apply(ticket, policy.id, calendar_id, actor, why="applied_again")
                events.announce(ticket)
            sla.refresh_all(batch)
            if batch:
                audit.record_change(policy, "applied", actor, {"tickets": [None, len(batch)]})
        done += len(batch)
        if len(batch) < BATCH:
            break
    return done


def _under_former_targets(policy: SlaPolicy) -> Select[Any]:
    newest = policies.newest_version(policy)
    return select(Ticket).where(
        Ticket.policy_id == policy.id,
        Ticket.status.in_(OPEN_STATUSES),
        Ticket.policy_version_id.is_distinct_from(newest.id),
    )


def _due_at(clocks: Sequence[ClockView]) -> datetime | None:
    soonest = next_due(clocks)
    return soonest.due_at if soonest else None


def _compare(found: Difference, tickets: Sequence[Ticket], policy: SlaPolicy) -> None:
    at = now()
    facts = sla.facts_of(tickets)
    terms = sla.terms_of_all(tickets, facts)
    tried = policies.rule_from(policies.newest_version(policy))
    for ticket in tickets:
        held = terms[ticket.id]
        was = sla.computed(facts[ticket.id], held, at)
        would_be = sla.computed(facts[ticket.id], [*held, Terms(at, tried, held[-1].calendar)], at)
        due_before, due_after = _due_at(was), _due_at(would_be)
        late_before = {(clock.kind, clock.cycle) for clock in was if clock.is_breached}
        is_late = any(
            clock.is_breached and (clock.kind, clock.cycle) not in late_before for clock in would_be
        )
        found.compared += 1
        found.late_at_once += is_late
        if due_before == due_after and not is_late:
            continue
        is_sooner = due_after is not None and (due_before is None or due_after < due_before)
        found.sooner += is_sooner
        found.later += not is_sooner
        if len(found.examples) < MOST_EXAMPLES:
            found.examples.append(Moved(ticket.number, ticket.subject, due_before, due_after, is_late))
