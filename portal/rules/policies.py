"""Targets, and from when on which of them hold for a ticket."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from portal.rules.hours import Hours
from portal.rules.lifecycle import OPEN_STATUSES, STATUSES, usual_label
from portal.wording import N_, sentence

ClockKind = Literal["first_response", "next_response", "resolution"]

CLOCK_KINDS: tuple[ClockKind, ...] = ("first_response", "next_response", "resolution")
CLOCK_LABELS: dict[str, str] = {
    "first_response": sentence("First response"),
    "next_response": sentence("Next response"),
    "resolution": sentence("Resolution"),
}
DEFAULT_WARNINGS = (75,)
MOST_WARNINGS = 5


@dataclass(frozen=True, slots=True)
class Policy:
    """Targets in seconds per clock kind (absent: no such clock), and the statuses that pause each kind.

    `warning_percents` of a target, ascending: the moments at which people are told that it runs low.
    """

    targets: Mapping[str, int]
    is_business_time: bool = True
    paused_statuses: Mapping[str, frozenset[str]] = field(
        default_factory=lambda: {"resolution": frozenset({"pending"})}
    )
    warning_percents: tuple[int, ...] = DEFAULT_WARNINGS
    name: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a ticket is measured by from a moment on (None: from its beginning): a policy, or none, and hours.

    Time is counted as it was at the time, a stretch at a time; a target is that of the policy that holds when it is
    met, or when it is first missed, else the one of now.
    """

    since: datetime | None
    policy: Policy | None
    calendar: Hours

    def as_known(self, at: datetime) -> "Terms":
        """With the hours as they were known at that moment."""
        calendar = self.calendar.as_known(at)
        return self if calendar is self.calendar else replace(self, calendar=calendar)

    def is_paused(self, kind: str, status: str) -> bool:
        """Whether a clock of that kind stands still in that status."""
        return self.policy is not None and status in self.policy.paused_statuses.get(kind, ())

    def target_of(self, kind: str) -> int | None:
        """Seconds, or None where these terms have no such clock."""
        return self.policy.targets.get(kind) if self.policy else None


def always(policy: Policy | None, calendar: Hours) -> tuple[Terms, ...]:
    """The terms of a ticket that was always measured by the same."""
    return (Terms(None, policy, calendar),)


def terms_at(terms: Sequence[Terms], at: datetime) -> Terms:
    """Those that hold at that moment; `terms` are in their order, the first from the beginning."""
    return next(each for each in reversed(terms) if each.since is None or each.since <= at)


def policy_from_minutes(
    first_response_minutes: int | None,
    next_response_minutes: int | None,
    resolution_minutes: int | None,
    *,
    is_business_time: bool = True,
    paused_statuses: Iterable[str] | Mapping[str, Iterable[str]] = ("pending",),
    warning_percents: Iterable[int] = DEFAULT_WARNINGS,
    name: str = "",
) -> Policy:
    """A policy as an admin enters it. A plain list of paused statuses pauses the resolution clock only."""
    minutes = zip(
        CLOCK_KINDS, (first_response_minutes, next_response_minutes, resolution_minutes), strict=True
    )
    by_kind = paused_statuses if isinstance(paused_statuses, Mapping) else {"resolution": paused_statuses}
    return Policy(
        targets={kind: value * 60 for kind, value in minutes if value is not None},
        is_business_time=is_business_time,
        paused_statuses={kind: frozenset(statuses) for kind, statuses in by_kind.items()},
        warning_percents=tuple(sorted(set(warning_percents))),
        name=name,
    )


def policy_problems(policy: Policy) -> tuple[str, ...]:
    """What an admin must correct before the policy can be saved, in sentences."""
    problems = []
    if not policy.targets:
        problems.append(N_("The policy has no target: set at least one."))
    problems += [
        sentence("The target for %(clock)s must be more than 0 minutes.", clock=CLOCK_LABELS.get(kind, kind))
        for kind, seconds in policy.targets.items()
        if seconds <= 0
    ]
    if not all(0 < percent < 100 for percent in policy.warning_percents):
        problems.append(N_("A warning comes between 1 and 99 percent of the target."))
    if len(policy.warning_percents) > MOST_WARNINGS:
        problems.append(
            sentence(
                "More than %(most)s warnings a clock are noise: choose the ones that matter.",
                most=MOST_WARNINGS,
            )
        )
    pausing = frozenset().union(*policy.paused_statuses.values())
    problems += [
        sentence("%(status)s ends the clocks, so it cannot pause them.", status=usual_label(status))
        for status in STATUSES
        if status in pausing and status not in OPEN_STATUSES
    ]
    return tuple(problems)


@dataclass(frozen=True, slots=True)
class Conditions:
    """For which tickets a policy is; what is empty holds for all."""

    policy_id: int
    name: str
    branch_id: int | None = None
    priority: str | None = None
    types: Sequence[str] = ()
    channel_kinds: Sequence[str] = ()
    customer_levels: Sequence[str] = ()

    @property
    def is_automatic(self) -> bool:
        """Whether it has any condition: one without is there to be chosen by a branch or a rule."""
        return bool(
            self.branch_id or self.priority or self.types or self.channel_kinds or self.customer_levels
        )

    def hold_for(self, facts: "PolicyFacts") -> bool:
        """Whether the ticket is one of these."""
        return (
            self.branch_id in (None, facts.branch_id)
            and self.priority in (None, facts.priority)
            and (not self.types or facts.type in self.types)
            and (not self.channel_kinds or facts.channel_kind in self.channel_kinds)
            and (not self.customer_levels or facts.customer_level in self.customer_levels)
        )


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """What a policy is chosen by. `branch_policy_id` holds where no other does."""

    branch_id: int
    branch_policy_id: int | None
    priority: str
    type: str
    channel_kind: str
    customer_level: str = ""


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """The policy of a ticket, or None, and why."""

    policy_id: int | None
    rule: Literal["conditions", "branch_policy", "no_policy"]
    reason: str


def choose_policy(candidates: Iterable[Conditions], facts: PolicyFacts) -> PolicyChoice:
    """The first that holds, else the branch's own. `candidates` in the order in which they are tried."""
    for each in candidates:
        if each.is_automatic and each.hold_for(facts):
            return PolicyChoice(
                each.policy_id, "conditions", sentence("“%(name)s” is the first that fits.", name=each.name)
            )
    if facts.branch_policy_id is not None:
        return PolicyChoice(facts.branch_policy_id, "branch_policy", N_("It is the branch's own."))
    return PolicyChoice(None, "no_policy", N_("No policy fits, and the branch has none of its own."))
