"""When a ticket goes to a higher tier, and where it will go if nobody acts."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from portal.rules.decision import Evidence
from portal.rules.hours import Calendar
from portal.rules.lifecycle import OPEN_STATUSES, label
from portal.rules.sla import CLOCK_LABELS, ClockView, moment_at_percent
from portal.wording import N_

TriggerKind = Literal["manual", "sla_warning", "sla_breach", "unacknowledged"]
LONGEST_REASON = 2000
_UNLESS = {
    "first_response": N_("unless answered"),
    "next_response": N_("unless answered"),
    "resolution": N_("unless resolved"),
}


@dataclass(frozen=True, slots=True)
class Tier:
    """A level of a branch. At `escalate_at_percent` of a clock, tickets come here from below; 0: never."""

    level: int
    name: str
    escalate_at_percent: int = 100
    acknowledge_within_minutes: int = 20
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EscalationFacts:
    """Where a ticket stands. `open_levels` are the levels to which an escalation of it is still open."""

    status: str
    tier_level: int
    tiers: tuple[Tier, ...]
    open_levels: Collection[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Trigger:
    """What asks for it: a person with a `reason`, or a clock that reached a `percent` of its target.

    `to_level` is for a person to choose; None means the next level.
    """

    kind: TriggerKind
    reason: str = ""
    to_level: int | None = None
    clock_kind: str = ""
    percent: int = 100


@dataclass(frozen=True, slots=True)
class EscalationDecision:
    """The level to go to, or None. `reason` says why or why not; it is stored and shown."""

    to_level: int | None
    rule: str
    reason: str
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PathStep:
    """One level as the side panel shows it.

    `state` is `passed`, `here`, `next` or `later`. `at` is when the ticket goes there by itself, None when
    only by hand or when the clock is paused; `unless` says what prevents it, `who` is on that level.
    """

    level: int
    name: str
    state: Literal["passed", "here", "next", "later"]
    at: datetime | None
    clock_kind: str
    unless: str
    who: tuple[str, ...]


def decide_escalation(facts: EscalationFacts, trigger: Trigger) -> EscalationDecision:
    """Whether and whereto a ticket is escalated. The same trigger twice escalates once.

    By hand: to any higher level that exists, with a reason of at most 2,000 characters. By a clock: one level
    up, when the percentage reached is at least that level's own. Only open tickets are escalated.
    """
    evidence: Evidence = {"trigger": trigger.kind, "from_level": facts.tier_level, "percent": trigger.percent}
    refused = _refusal(facts, trigger)
    if refused is not None:
        return EscalationDecision(None, *refused, evidence)
    target = _target(facts, trigger)
    if target is None:
        return EscalationDecision(None, "no_such_tier", _no_tier(facts, trigger), evidence)
    evidence["to_level"] = target.level
    if target.level in facts.open_levels:
        reason = f"It has already been escalated to {target.name}."
        return EscalationDecision(None, "already_escalated", reason, evidence)
    if (
        trigger.kind in ("sla_warning", "sla_breach")
        and not 0 < target.escalate_at_percent <= trigger.percent
    ):
        reason = f"{target.name} takes tickets at {target.escalate_at_percent} percent of a target."
        if target.escalate_at_percent <= 0:
            reason = f"{target.name} takes tickets by hand only."
        return EscalationDecision(None, "below_percent", reason, evidence)
    if not target.members:
        evidence["warnings"] = [f"{target.name} has no members yet."]
    return EscalationDecision(target.level, trigger.kind, _reason(trigger), evidence)


def escalation_path(
    facts: EscalationFacts, clocks: Iterable[ClockView], calendar: Calendar
) -> tuple[PathStep, ...]:
    """The levels of a ticket in order, each with when the ticket goes there by itself if nothing happens."""
    is_open = facts.status in OPEN_STATUSES
    next_tier = _tier_above(facts.tiers, facts.tier_level) if is_open else None
    soonest = _soonest(next_tier, clocks, calendar) if next_tier else None
    steps = []
    for tier in _ordered(facts.tiers):
        is_next = tier == next_tier
        at, kind = soonest if is_next and soonest else (None, "")
        state = _step_state(tier.level, facts.tier_level, is_next)
        steps.append(PathStep(tier.level, tier.name, state, at, kind, _UNLESS.get(kind, ""), tier.members))
    return tuple(steps)


def _refusal(facts: EscalationFacts, trigger: Trigger) -> tuple[str, str] | None:
    if facts.status not in OPEN_STATUSES:
        return "not_open", f"The ticket is {label(facts.status)}; only open tickets are escalated."
    if trigger.kind != "manual":
        return None
    if not trigger.reason.strip():
        return "reason_required", "Say in a few words why it is escalated: the next tier starts from there."
    if len(trigger.reason) > LONGEST_REASON:
        return "reason_too_long", f"The reason can have at most {LONGEST_REASON} characters."
    if trigger.to_level is not None and trigger.to_level <= facts.tier_level:
        return "not_higher", f"The ticket is already on level {facts.tier_level}."
    return None


def _target(facts: EscalationFacts, trigger: Trigger) -> Tier | None:
    if trigger.to_level is None:
        return _tier_above(facts.tiers, facts.tier_level)
    above = (tier for tier in facts.tiers if tier.level == trigger.to_level > facts.tier_level)
    return next(above, None)


def _no_tier(facts: EscalationFacts, trigger: Trigger) -> str:
    if trigger.to_level is not None and trigger.to_level > facts.tier_level:
        return f"This branch has no level {trigger.to_level}."
    return f"Level {facts.tier_level} is the highest of this branch."


def _reason(trigger: Trigger) -> str:
    clock = CLOCK_LABELS.get(trigger.clock_kind, "A clock")
    return {
        "manual": trigger.reason.strip(),
        "sla_warning": f"{clock} has used {trigger.percent} percent of its time.",
        "sla_breach": f"{clock} is late.",
        "unacknowledged": "Nobody acknowledged the escalation in time.",
    }[trigger.kind]


def _soonest(tier: Tier, clocks: Iterable[ClockView], calendar: Calendar) -> tuple[datetime, str] | None:
    if tier.escalate_at_percent <= 0:
        return None
    moments = (
        (moment_at_percent(clock, calendar, tier.escalate_at_percent), clock.kind)
        for clock in clocks
        if clock.is_running
    )
    return min(((at, kind) for at, kind in moments if at is not None), default=None)


def _step_state(level: int, current: int, is_next: bool) -> Literal["passed", "here", "next", "later"]:
    if level == current:
        return "here"
    if level < current:
        return "passed"
    return "next" if is_next else "later"


def _tier_above(tiers: Sequence[Tier], level: int) -> Tier | None:
    return next((tier for tier in _ordered(tiers) if tier.level > level), None)


def _ordered(tiers: Sequence[Tier]) -> list[Tier]:
    return sorted(tiers, key=lambda tier: tier.level)
