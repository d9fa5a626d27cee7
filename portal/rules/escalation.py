"""When a ticket goes to a higher tier, and where it will go if nobody acts."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from portal.rules.decision import Evidence
from portal.rules.lifecycle import OPEN_STATUSES
from portal.rules.policies import CLOCK_LABELS
from portal.rules.sla import ClockView, moment_at_percent
from portal.wording import N_, sentence

TriggerKind = Literal["manual", "sla_warning", "sla_breach", "unacknowledged"]
NextAction = Literal["next_on_call", "next_tier", "branch_lead"]
LONGEST_REASON = 2000
_UNLESS = {
    "first_response": N_("unless answered"),
    "next_response": N_("unless answered"),
    "resolution": N_("unless resolved"),
}


@dataclass(frozen=True, slots=True)
class OnCall:
    """Somebody of a tier who is told personally when it is their turn."""

    user_id: int
    name: str
    is_away: bool = False


@dataclass(frozen=True, slots=True)
class Tier:
    """A level of a branch. At `escalate_at_percent` of a clock, tickets come here from below; 0: never.

    `on_call` are the members who have a place in the order of being on call, in that order; `on_unacknowledged` is
    what happens when an escalation to here has not been acknowledged within its minutes.
    """

    level: int
    name: str
    escalate_at_percent: int = 100
    acknowledge_within_minutes: int = 20
    members: tuple[str, ...] = ()
    on_unacknowledged: str = "branch_lead"
    on_call: tuple[OnCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """An open escalation that nobody has acknowledged.

    `since` is when somebody was told last, `acknowledge_by` when the next step follows (None: nothing more follows by
    itself), `told_ids` whose turns have been, in their order.
    """

    to_level: int
    since: datetime | None = None
    acknowledge_by: datetime | None = None
    told_ids: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class EscalationFacts:
    """Where a ticket stands. `open_levels` are the levels to which an escalation of it is still open.

    `waiting` is the one to its present level, where nobody has acknowledged it yet.
    """

    status: str
    tier_level: int
    tiers: tuple[Tier, ...]
    open_levels: Collection[int] = frozenset()
    waiting: Waiting | None = None
    # The status in users' words, for the reasons; only one that is not open is ever named.
    status_label: str = ""


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
class Unacknowledged:
    """What follows where nobody has acknowledged in time: nothing more where `action` is None.

    `person` is whose turn it is for `next_on_call`, `to_level` where the ticket goes for `next_tier`. `reason` says
    why; it is stored and shown.
    """

    action: NextAction | None
    rule: str
    reason: str
    person: OnCall | None = None
    to_level: int | None = None
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """Who has been told of an escalation that nobody has acknowledged, since when, and what follows at `then_at`.

    `told` is "" where a whole level was told and nobody in particular; `then` names the person on call or the tier,
    and is "" for whoever leads the branch. `is_over`: every step has been taken, the last one at `since`.
    """

    told: str
    since: datetime | None
    action: NextAction | None
    then: str
    then_at: datetime | None
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class PathStep:
    """One level as the side panel shows it.

    `state` is `passed`, `here`, `next` or `later`. `at` is when the ticket goes there by itself, None when
    only by hand or when the clock is paused; `unless` says what prevents it, `who` is on that level. `turn` is set
    where the level has not acknowledged yet.
    """

    level: int
    name: str
    state: Literal["passed", "here", "next", "later"]
    at: datetime | None
    clock_kind: str
    unless: str
    who: tuple[str, ...]
    turn: Turn | None = None


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
        reason = sentence("It has already been escalated to %(name)s.", name=target.name)
        return EscalationDecision(None, "already_escalated", reason, evidence)
    if (
        trigger.kind in ("sla_warning", "sla_breach")
        and not 0 < target.escalate_at_percent <= trigger.percent
    ):
        reason = sentence(
            "%(name)s takes tickets at %(percent)s percent of a target.",
            name=target.name,
            percent=target.escalate_at_percent,
        )
        if target.escalate_at_percent <= 0:
            reason = sentence("%(name)s takes tickets by hand only.", name=target.name)
        return EscalationDecision(None, "below_percent", reason, evidence)
    if not target.members:
        evidence["warnings"] = [sentence("%(name)s has no members yet.", name=target.name)]
    return EscalationDecision(target.level, trigger.kind, _reason(trigger), evidence)


def first_on_call(tier: Tier, told_ids: Collection[int] = ()) -> OnCall | None:
    """Whose turn it is: the first in the order who is there and has not been told; None where nobody is left."""
    return next((one for one in tier.on_call if not one.is_away and one.user_id not in told_ids), None)


def decide_unacknowledged(facts: EscalationFacts) -> Unacknowledged:
    """What happens at the moment by which somebody should have acknowledged. The page shows it before it happens.

    The next person on call, in turn, as long as there is one; a higher tier; and where there is no such, or the tier
    says so, whoever leads the branch. After that nothing more happens by itself.
    """
    waiting = facts.waiting
    evidence: Evidence = {"level": facts.tier_level, "told": list(waiting.told_ids) if waiting else []}
    tier = next((tier for tier in facts.tiers if tier.level == facts.tier_level), None)
    if facts.status not in OPEN_STATUSES:
        reason = sentence(
            "The ticket is %(status)s; nobody needs to acknowledge it.",
            status=facts.status_label or facts.status,
        )
        return Unacknowledged(None, "not_open", reason, evidence=evidence)
    if waiting is None or waiting.to_level != facts.tier_level:
        return Unacknowledged(None, "not_waiting", N_("It does not wait for this level."), evidence=evidence)
    wish = tier.on_unacknowledged if tier else "branch_lead"
    name: str = tier.name if tier else sentence("Level %(level)s", level=facts.tier_level)
    if tier and wish == "next_on_call" and (person := first_on_call(tier, waiting.told_ids)):
        reason = sentence(
            "Nobody of %(name)s acknowledged in time; %(person)s is next on call.",
            name=name,
            person=person.name,
        )
        return Unacknowledged("next_on_call", "next_on_call", reason, person=person, evidence=evidence)
    if wish == "next_tier":
        decision = decide_escalation(facts, Trigger("unacknowledged"))
        if decision.to_level is not None:
            return Unacknowledged(
                "next_tier", "next_tier", decision.reason, to_level=decision.to_level, evidence=evidence
            )
    why = {
        "next_on_call": sentence(
            "Nobody of %(name)s acknowledged in time, and nobody else is on call.", name=name
        ),
        "next_tier": sentence(
            "Nobody of %(name)s acknowledged in time, and no tier above it can take it.", name=name
        ),
    }.get(wish, sentence("Nobody of %(name)s acknowledged in time.", name=name))
    return Unacknowledged(
        "branch_lead", f"{wish}_exhausted" if wish != "branch_lead" else wish, why, evidence=evidence
    )


def escalation_path(facts: EscalationFacts, clocks: Iterable[ClockView]) -> tuple[PathStep, ...]:
    """The levels of a ticket in order, each with when the ticket goes there by itself if nothing happens."""
    is_open = facts.status in OPEN_STATUSES
    next_tier = _tier_above(facts.tiers, facts.tier_level) if is_open else None
    soonest = _soonest(next_tier, clocks) if next_tier else None
    turn = turn_of(facts) if is_open else None
    steps = []
    for tier in _ordered(facts.tiers):
        is_next = tier == next_tier
        at, unless = (soonest[0], _UNLESS[soonest[1]]) if is_next and soonest else (None, "")
        kind = soonest[1] if at and soonest else ""
        if (
            is_next
            and turn
            and turn.action == "next_tier"
            and turn.then_at
            and (at is None or turn.then_at < at)
        ):
            at, kind, unless = turn.then_at, "", N_("unless acknowledged")
        state = _step_state(tier.level, facts.tier_level, is_next)
        shown = turn if state == "here" else None
        steps.append(PathStep(tier.level, tier.name, state, at, kind, unless, tier.members, shown))
    return tuple(steps)


def turn_of(facts: EscalationFacts) -> Turn | None:
    """Whose turn it is to acknowledge, and what follows; None where nothing waits for the ticket's level."""
    waiting = facts.waiting
    if waiting is None:
        return None
    tier = next((tier for tier in facts.tiers if tier.level == facts.tier_level), None)
    names = {one.user_id: one.name for one in tier.on_call} if tier else {}
    told = names.get(waiting.told_ids[-1], "") if waiting.told_ids else ""
    if waiting.acknowledge_by is None:
        return Turn("", waiting.since, None, "", None, is_over=True)
    follows = decide_unacknowledged(facts)
    then = follows.person.name if follows.person else ""
    if follows.to_level is not None:
        then = next(tier.name for tier in facts.tiers if tier.level == follows.to_level)
    return Turn(told, waiting.since, follows.action, then, waiting.acknowledge_by)


def _refusal(facts: EscalationFacts, trigger: Trigger) -> tuple[str, str] | None:
    if facts.status not in OPEN_STATUSES:
        return "not_open", sentence(
            "The ticket is %(status)s; only open tickets are escalated.",
            status=facts.status_label or facts.status,
        )
    if trigger.kind != "manual":
        return None
    if not trigger.reason.strip():
        return "reason_required", N_(
            "Say in a few words why it is escalated: the next tier starts from there."
        )
    if len(trigger.reason) > LONGEST_REASON:
        return "reason_too_long", sentence(
            "The reason can have at most %(most)s characters.", most=LONGEST_REASON
        )
    if trigger.to_level is not None and trigger.to_level <= facts.tier_level:
        return "not_higher", sentence("The ticket is already on level %(level)s.", level=facts.tier_level)
    return None


def _target(facts: EscalationFacts, trigger: Trigger) -> Tier | None:
    if trigger.to_level is None:
        return _tier_above(facts.tiers, facts.tier_level)
    above = (tier for tier in facts.tiers if tier.level == trigger.to_level > facts.tier_level)
    return next(above, None)


def _no_tier(facts: EscalationFacts, trigger: Trigger) -> str:
    if trigger.to_level is not None and trigger.to_level > facts.tier_level:
        return sentence("This branch has no level %(to_level)s.", to_level=trigger.to_level)
    return sentence("Level %(level)s is the highest of this branch.", level=facts.tier_level)


def _reason(trigger: Trigger) -> str:
    clock = CLOCK_LABELS.get(trigger.clock_kind, sentence("A clock"))
    return {
        "manual": trigger.reason.strip(),
        "sla_warning": sentence(
            "%(clock)s has used %(percent)s percent of its time.", clock=clock, percent=trigger.percent
        ),
        "sla_breach": sentence("%(clock)s is late.", clock=clock),
        "unacknowledged": N_("Nobody acknowledged the escalation in time."),
    }[trigger.kind]


def _soonest(tier: Tier, clocks: Iterable[ClockView]) -> tuple[datetime, str] | None:
    # A clock asks for nothing once it is late: more than 100 percent is never.
    if not 0 < tier.escalate_at_percent <= 100:
        return None
    moments = (
        (moment_at_percent(clock, tier.escalate_at_percent), clock.kind)
        for clock in clocks
        # What was reached once is not reached again.
        if clock.is_running and clock.warned_percent < tier.escalate_at_percent
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
