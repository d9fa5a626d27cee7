"""Who gets a ticket: nobody, whoever has the next turn, has least to do, or knows the customer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from portal.rules.decision import Evidence
from portal.wording import N_, Sentence, sentence

Strategy = Literal["manual", "round_robin", "least_loaded", "sticky"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member of the branch: the level there, open tickets of every branch, and the last turn (lowest is next)."""

    user_id: int
    name: str
    tier_level: int = 1
    is_available: bool = True
    capacity: int = 20
    open_count: int = 0
    turn: int = 0

    @property
    def is_free(self) -> bool:
        """Whether a ticket may be given to them by itself."""
        return self.is_available and self.open_count < self.capacity


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who gets the ticket (None: nobody, it waits in the queue), by which rule, and why.

    `warning` says that what was asked for could not be done.
    """

    user_id: int | None
    rule: str
    reason: str
    evidence: Evidence = field(default_factory=dict)
    warning: str = ""


def assign(
    strategy: str,
    tier_level: int,
    members: Sequence[Candidate],
    *,
    wanted_id: int | None = None,
    last_agent_id: int | None = None,
) -> Assignment:
    """Who of the branch's members gets a ticket of that level: the same members always give the same answer.

    `wanted_id` is the person whom a routing rule names: they get it while they are a member, also when they are away or
    have much to do, for the rule was made on purpose. `last_agent_id` is who last had a ticket of the customer. Only
    those of the ticket's own level who are available and below their capacity are given one by a strategy.
    """
    if wanted_id is not None:
        return _wanted(wanted_id, members)
    if strategy == "manual":
        return Assignment(None, "manual", N_("People of this branch take tickets themselves."))
    of_level = [each for each in members if each.tier_level == tier_level]
    free = [each for each in of_level if each.is_free]
    evidence: Evidence = {
        "strategy": strategy,
        "tier_level": tier_level,
        "free": [each.user_id for each in sorted(free, key=lambda each: each.user_id)],
        "away": sorted(each.user_id for each in of_level if not each.is_available),
        "full": sorted(each.user_id for each in of_level if each.is_available and not each.is_free),
    }
    if not free:
        return Assignment(None, "nobody_free", _why_nobody(tier_level, of_level), evidence)
    if strategy == "round_robin":
        chosen = min(free, key=lambda each: (each.turn, each.user_id))
        return Assignment(
            chosen.user_id, strategy, sentence("It was %(name)s’s turn.", name=chosen.name), evidence
        )
    if strategy == "sticky" and last_agent_id is not None:
        known = next((each for each in free if each.user_id == last_agent_id), None)
        if known is not None:
            reason = sentence("%(name)s had the customer’s last ticket.", name=known.name)
            return Assignment(known.user_id, strategy, reason, evidence)
    return _least_loaded(free, evidence)


def _wanted(user_id: int, members: Sequence[Candidate]) -> Assignment:
    person = next((each for each in members if each.user_id == user_id), None)
    if person is not None:
        reason = sentence("A routing rule gives it to %(name)s.", name=person.name)
        return Assignment(person.user_id, "named", reason)
    why = N_("The rule gives it to somebody who is not a member of this branch, so nobody has it yet.")
    return Assignment(None, "not_a_member", why, {"wanted": user_id}, warning=why)


def _least_loaded(free: Sequence[Candidate], evidence: Evidence) -> Assignment:
    chosen = min(free, key=lambda each: (each.open_count, each.turn, each.user_id))
    reason = sentence(
        "%(name)s had the least to do (open tickets: %(count)s).", name=chosen.name, count=chosen.open_count
    )
    loads = {str(each.user_id): each.open_count for each in free}
    return Assignment(chosen.user_id, "least_loaded", reason, {**evidence, "open_counts": loads})


def _why_nobody(tier_level: int, of_level: Sequence[Candidate]) -> str | Sentence:
    if not of_level:
        return sentence("Nobody of this branch works at level %(level)s.", level=tier_level)
    if not any(each.is_available for each in of_level):
        return N_("Everybody who could get it is away.")
    return N_("Everybody who is there has as many tickets as they can take.")
