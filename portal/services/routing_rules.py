"""What an admin is told of a routing rule before it is saved."""

from sqlalchemy import select

from portal.errors import UserFault
from portal.extensions import db
from portal.models import BranchMembership, EscalationTier, RoutingRule
from portal.services import escalation


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
