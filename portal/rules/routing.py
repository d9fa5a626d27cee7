"""Where a new ticket goes: the address decides the branch, then ordered rules refine or overrule it.

What a rule may ask is in `portal.rules.conditions`, who gets the ticket in `portal.rules.assigning`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from portal.rules.conditions import Condition, Group, RouteFacts, matched_tests
from portal.rules.decision import Evidence
from portal.wording import N_, sentence

ALWAYS = Group("all")


@dataclass(frozen=True, slots=True)
class Rule:
    """One ordered rule: if the condition holds, everything named here is set. None and () set nothing.

    What an earlier rule has set stays; tags add up. After a matching rule with `is_last` no other is looked
    at. `strategy` or `assignee_id` say who gets the ticket, instead of the branch's own strategy.
    """

    id: int
    name: str
    position: int = 100
    is_active: bool = True
    condition: Condition = ALWAYS
    branch_id: int | None = None
    tier_level: int | None = None
    priority: str | None = None
    type: str | None = None
    tags: tuple[str, ...] = ()
    policy_id: int | None = None
    assignee_id: int | None = None
    strategy: str | None = None
    is_last: bool = True


@dataclass(frozen=True, slots=True)
class Places:
    """The branches that tickets may go to.

    `active` are those that take tickets, `fall_backs` where tickets for another branch go instead, `levels` the
    levels of each branch besides the first; of a branch that it does not know every level is there.
    """

    active: Collection[int]
    fall_backs: Mapping[int, int] = field(default_factory=dict)
    levels: Mapping[int, Collection[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """Where the ticket goes.

    `rule` is what chose the branch: `routing_rule`, `account_branch` or `fall_back_branch`.
    `rule_id` is the routing rule that chose the branch, else the first that matched. None leaves a value to
    the branch's own default. `evidence["rules"]` lists what matched and why, `evidence["warnings"]` what could
    not be done as it was asked, in sentences.
    """

    branch_id: int
    tier_level: int | None
    priority: str | None
    type: str | None
    tags: tuple[str, ...]
    policy_id: int | None
    assignee_id: int | None
    strategy: str | None
    rule_id: int | None
    rule: str
    reason: str
    evidence: Evidence = field(default_factory=dict)


_Matched = Sequence[tuple[Rule, list[Evidence]]]


def route(
    facts: RouteFacts,
    rules: Sequence[Rule],
    fall_back_branch_id: int,
    account_branch_id: int | None,
    places: Places,
    *,
    warnings: Sequence[str] = (),
) -> RouteDecision:
    """The place of a new ticket: the same facts and rules always give the same answer.

    Rules are taken by (position, id), each sees the tags that those before it have given. One that sends to a branch
    which takes no tickets sends to that branch's fall-back, or else to `fall_back_branch_id`, with a warning. Without
    a rule the account's branch holds, and where that takes none either, the fall-back branch: no ticket is lost.
    `warnings` are what is known to be wrong with the rules as a whole; they come first.
    """
    matched: list[tuple[Rule, list[Evidence]]] = []
    for rule in sorted(rules, key=lambda each: (each.position, each.id)):
        tests = matched_tests(rule.condition, facts) if rule.is_active else None
        if tests is None:
            continue
        matched.append((rule, tests))
        if rule.tags:
            facts = replace(facts, tags=(*facts.tags, *rule.tags))
        if rule.is_last:
            break
    return _decide(matched, [*warnings], fall_back_branch_id, account_branch_id, places)


def _decide(
    matched: _Matched,
    warnings: list[str],
    fall_back_branch_id: int,
    account_branch_id: int | None,
    places: Places,
) -> RouteDecision:
    rules = [rule for rule, _ in matched]
    chooser = next((rule for rule in rules if rule.branch_id is not None), None)
    reason: str
    if chooser is not None and chooser.branch_id is not None:
        branch_id, name = chooser.branch_id, "routing_rule"
        reason = sentence("The rule “%(name)s” sends it here.", name=chooser.name)
        if branch_id not in places.active:
            branch_id = places.fall_backs.get(branch_id, fall_back_branch_id)
            name = "fall_back_branch"
            reason = sentence(
                "The rule “%(name)s” sends it to a branch that is disabled, so it went to the fall-back branch.",
                name=chooser.name,
            )
            warnings.append(reason)
    elif account_branch_id is not None and account_branch_id in places.active:
        branch_id, name, reason = (
            account_branch_id,
            "account_branch",
            N_("It was sent to an address of this branch."),
        )
    else:
        branch_id, name = fall_back_branch_id, "fall_back_branch"
        reason = N_("No active branch was named, so it went to the fall-back branch.")
        warnings.append(_fall_back_warning(account_branch_id, branch_id, places.active))
    tier_level = _level(rules, branch_id, places, warnings)
    evidence: Evidence = {
        "account_branch_id": account_branch_id,
        "rules": [{"id": rule.id, "name": rule.name, "tests": tests} for rule, tests in matched],
        "warnings": warnings,
    }
    first = chooser or next(iter(rules), None)
    giver = next((rule for rule in rules if rule.assignee_id is not None or rule.strategy), None)
    return RouteDecision(
        branch_id=branch_id,
        tier_level=tier_level,
        priority=next((rule.priority for rule in rules if rule.priority), None),
        type=next((rule.type for rule in rules if rule.type), None),
        tags=tuple(dict.fromkeys(tag for rule in rules for tag in rule.tags)),
        policy_id=next((rule.policy_id for rule in rules if rule.policy_id is not None), None),
        assignee_id=giver.assignee_id if giver else None,
        strategy=giver.strategy if giver else None,
        rule_id=first.id if first else None,
        rule=name,
        reason=reason,
        evidence=evidence,
    )


def _level(rules: Sequence[Rule], branch_id: int, places: Places, warnings: list[str]) -> int | None:
    chooser = next((rule for rule in rules if rule.tier_level is not None), None)
    if chooser is None or chooser.tier_level is None:
        return None
    levels = places.levels.get(branch_id)
    if chooser.tier_level == 1 or levels is None or chooser.tier_level in levels:
        return chooser.tier_level
    warnings.append(
        sentence(
            "The rule “%(name)s” asks for level %(level)s, which this branch does not have: it is at level 1.",
            name=chooser.name,
            level=chooser.tier_level,
        )
    )
    return 1


def _fall_back_warning(account_branch_id: int | None, branch_id: int, active: Collection[int]) -> str:
    if branch_id in active:
        return (
            N_("It came to no known address, so it went to the fall-back branch.")
            if account_branch_id is None
            else N_("The branch of its address is disabled, so it went to the fall-back branch.")
        )
    return (
        N_("It came to no known address, so it went to the fall-back branch, which is disabled too.")
        if account_branch_id is None
        else N_(
            "The branch of its address is disabled, so it went to the fall-back branch, which is disabled too."
        )
    )
