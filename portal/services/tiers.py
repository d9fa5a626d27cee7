"""Tiers that take tickets by themselves and have nobody: refused at save, and said where they come about otherwise."""

from dataclasses import dataclass

from sqlalchemy import select

from portal.errors import UserFault
from portal.extensions import db
from portal.models import Branch, EscalationRule, EscalationTier
from portal.services import escalation
from portal.services.escalation import Ladder
from portal.wording import Sentence, sentence


@dataclass(frozen=True)
class Nobody:
    """A tier of a branch that tickets go to by themselves, and that has no people."""

    branch: str
    tier: str
    level: int

    def says(self) -> Sentence:
        """What is wrong, what happens meanwhile, and what to do."""
        return sentence(
            "Nobody works at %(tier)s (level %(level)s) of %(branch)s, where tickets go by themselves. Until somebody "
            "does, whoever leads the branch is told of them.",
            tier=self.tier,
            level=self.level,
            branch=self.branch,
        )


def check_tier(row: EscalationTier) -> None:
    """Raise UserFault for a tier that tickets would go to by themselves while nobody works there.

    One of every branch needs people in one of the branches that it holds for; where there is none yet, it may wait.
    """
    if row.level < 2 or not row.escalate_at_percent:
        return
    with db.session.no_autoflush:
        branches = [row.branch] if row.branch is not None else _branches()
        ladders = escalation.ladders_of([branch.id for branch in branches])
    if row.branch is None:
        branches = [one for one in branches if not _has_own(ladders[one.id])]
    if branches and not any(ladders[one.id].names.get(row.level) for one in branches):
        raise UserFault(
            "Nobody works at level %(level)s yet, so nobody would take what escalates by itself. "
            "Give the level its people first, or set “Escalate by itself at” to 0 until then.",
            level=row.level,
        )


def without_people(branch_ids: frozenset[int] | None = None) -> list[Nobody]:
    """The tiers of branches in use (None: all of them) that tickets go to by themselves and where nobody works.

    Four statements.
    """
    branches = [one for one in _branches() if branch_ids is None or one.id in branch_ids]
    ladders = escalation.ladders_of([branch.id for branch in branches])
    rules = db.session.execute(
        select(EscalationRule.branch_id, EscalationRule.to_level).where(EscalationRule.is_active)
    ).all()
    found = []
    for branch in branches:
        ladder = ladders[branch.id]
        aimed_at = {level for branch_id, level in rules if branch_id in (None, branch.id)}
        found += [
            Nobody(branch.name, tier.name, tier.level)
            for tier in ladder.tiers
            if not ladder.names.get(tier.level) and (tier.level in aimed_at or _is_target(tier, ladder))
        ]
    return found


def _is_target(tier: EscalationTier, ladder: Ladder) -> bool:
    """Whether tickets come there by a clock, or because nobody of the level below acknowledges."""
    below = max(
        (one for one in ladder.tiers if one.level < tier.level), key=lambda one: one.level, default=None
    )
    if below is None:
        return False
    goes_on = below.on_unacknowledged == "next_tier" and below.level > 1
    return tier.escalate_at_percent > 0 or goes_on


def _has_own(ladder: Ladder) -> bool:
    return any(tier.branch_id is not None for tier in ladder.tiers)


def _branches() -> list[Branch]:
    return list(db.session.scalars(select(Branch).where(Branch.is_active).order_by(Branch.name)))
