"""What an admin is told of a routing rule before it is saved."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from sqlalchemy import literal, select, union_all

from portal.errors import UserFault
from portal.extensions import db
from portal.models import (
    BranchMembership,
    ChannelAccount,
    EscalationTier,
    RoutingRule,
    Tag,
    TicketField,
    User,
)
from portal.services import audit, escalation
from portal.services.transaction import transaction

MOST_WORDS = 300
STEP = 10
LONGEST_NAME = 120
COPIED = (
    *("position", "conditions", "branch_id", "policy_id", "tier_level", "priority", "ticket_type", "tags"),
    *("assignee_id", "strategy", "is_last"),
)


def check_rule(row: RoutingRule) -> None:
    """Raise UserFault, with a sentence, for a rule that could not do what it says. Reads only."""
    with db.session.no_autoflush:
        if row.branch is not None and not row.branch.is_active:
            raise UserFault(
                "%(branch)s is disabled and takes no tickets. Choose another branch, or enable it first.",
                branch=row.branch,
            )
        if row.policy is not None and not row.policy.is_active:
            raise UserFault("The policy “%(policy)s” is disabled. Choose another one.", policy=row.policy)
        if row.assignee is not None and row.strategy:
            raise UserFault("Choose either one person or a strategy, not both.")
        _check_level(row)
        _check_assignee(row)


def _check_level(row: RoutingRule) -> None:
    level = row.tier_level
    if level is None or level == 1:
        return
    if row.branch is not None:
        levels = {tier.level for tier in escalation.ladders_of([row.branch.id])[row.branch.id].tiers}
        if level not in levels:
            raise UserFault(
                "%(branch)s has no level %(level)s. Choose another level, or set up that tier first.",
                branch=row.branch,
                level=level,
            )
    elif db.session.scalar(select(EscalationTier.id).where(EscalationTier.level == level).limit(1)) is None:
        raise UserFault(
            "No branch has a level %(level)s. Choose another level, or set up that tier first.", level=level
        )


def _check_assignee(row: RoutingRule) -> None:
    person = row.assignee
    if person is None:
        return
    if not person.is_active:
        raise UserFault("%(person)s cannot log in any more. Choose somebody else.", person=person)
    is_there = select(BranchMembership.id).where(BranchMembership.user_id == person.id)
    if row.branch is not None:
        is_there = is_there.where(BranchMembership.branch_id == row.branch.id)
    if db.session.scalar(is_there.limit(1)) is not None:
        return
    if row.branch is None:
        raise UserFault("%(person)s is a member of no branch. Choose somebody else.", person=person)
    raise UserFault(
        "%(person)s is not a member of %(branch)s, so tickets there cannot be theirs. "
        "Choose somebody else, or make them a member first.",
        person=person,
        branch=row.branch,
    )


@dataclass(frozen=True)
class KnownWords:
    """What conditions can be compared with, as a form suggests it: our addresses, tags, keys of own fields."""

    accounts: tuple[str, ...]
    tags: tuple[str, ...]
    fields: tuple[str, ...]


def known_words() -> KnownWords:
    """The words of this desk, at most MOST_WORDS of each kind. One statement."""
    kinds = {
        "account": select(ChannelAccount.address.label("word")).order_by(ChannelAccount.address),
        "tag": select(Tag.name.label("word")).order_by(Tag.name),
        "field": select(TicketField.key.label("word")).order_by(TicketField.key),
    }
    parts = [
        select(literal(kind).label("kind"), words.limit(MOST_WORDS).subquery().c.word)
        for kind, words in kinds.items()
    ]
    found: dict[str, list[str]] = {kind: [] for kind in kinds}
    for kind, word in db.session.execute(union_all(*parts)):
        found[kind].append(word)
    return KnownWords(tuple(found["account"]), tuple(found["tag"]), tuple(found["field"]))


def move(rule_ids: Collection[int], by: int, actor: User) -> int:
    """Move these rules one place up (`by` -1) or down (1), together; return how many positions changed. Commits.

    Positions are numbered anew in steps of ten. All rules are locked meanwhile: two who order them wait for each other.
    """
    with transaction():
        rules = list(_all_locked())
        order = rules[:: -1 if by > 0 else 1]
        for place, rule in enumerate(order):
            if place and rule.id in rule_ids and order[place - 1].id not in rule_ids:
                order[place - 1], order[place] = rule, order[place - 1]
        order = order[:: -1 if by > 0 else 1]
        if [rule.id for rule in order] == [rule.id for rule in rules]:
            return 0
        return sum(_set(rule, "position", STEP * place, actor) for place, rule in enumerate(order, start=1))


def set_active(rule_ids: Collection[int], is_active: bool, actor: User) -> int:
    """Switch these rules on or off; return how many were not. Commits. Raises UserFault for one that could not work."""
    with transaction():
        rules = [rule for rule in _all_locked() if rule.id in rule_ids]
        if is_active:
            for rule in rules:
                check_rule(rule)
        return sum(_set(rule, "is_active", is_active, actor) for rule in rules)


def duplicate(rule_ids: Collection[int], actor: User) -> list[int]:
    """A copy below each, switched off; return their ids. Commits."""
    with transaction():
        rules = list(_all_locked())
        names = {rule.name for rule in rules}
        copies = []
        for rule in (each for each in rules if each.id in rule_ids):
            copy = RoutingRule(**{name: getattr(rule, name) for name in COPIED})
            copy.name = next(name for name in _names_after(rule.name) if name not in names)
            copy.is_active = False
            names.add(copy.name)
            db.session.add(copy)
            copies.append(copy)
        db.session.flush()
        for copy in copies:
            audit.record_change(copy, "added", actor)
        return [copy.id for copy in copies]


def _all_locked() -> Sequence[RoutingRule]:
    found = select(RoutingRule).order_by(RoutingRule.position, RoutingRule.id)
    return db.session.scalars(found.with_for_update().execution_options(populate_existing=True)).all()


def _set(rule: RoutingRule, name: str, value: Any, actor: User) -> bool:
    before = getattr(rule, name)
    if before == value:
        return False
    setattr(rule, name, value)
    audit.record_change(rule, "changed", actor, {name: {"from": before, "to": value}})
    return True


def _names_after(name: str) -> Iterator[str]:
    for number in count(2):
        ending = f" ({number})"
        yield name[: LONGEST_NAME - len(ending)] + ending
