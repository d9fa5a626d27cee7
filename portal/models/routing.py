"""Ordered rules that place a new ticket."""

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.branch import PRIORITIES, STRATEGIES, Branch
from portal.models.columns import Created, Json, JsonList, SmallId, one_of
from portal.models.sla import SlaPolicy


class RoutingRule(Model):
    """Conditions in the JSON form of `portal.rules.conditions.parse_condition`, and what follows from them."""

    __tablename__ = "routing_rule"
    __table_args__ = (
        UniqueConstraint("name"),
        one_of("priority", PRIORITIES),
        one_of("strategy", STRATEGIES),
        CheckConstraint("assignee_id IS NULL OR strategy IS NULL", name="one_way_to_assign"),
    )

    id: Mapped[SmallId]
    name: Mapped[str] = mapped_column(String(120))
    position: Mapped[int] = mapped_column(default=100)
    is_active: Mapped[bool] = mapped_column(default=True)
    conditions: Mapped[Json]
    branch_id: Mapped[int | None] = mapped_column(ForeignKey("branch.id"), index=True)
    policy_id: Mapped[int | None] = mapped_column(ForeignKey("sla_policy.id"), index=True)
    tier_level: Mapped[int | None]
    priority: Mapped[str | None] = mapped_column(String(16))
    ticket_type: Mapped[str | None] = mapped_column(String(24))
    tags: Mapped[JsonList]
    # Who gets the ticket: one person, or whoever the strategy finds; neither leaves it to the branch.
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"), index=True)
    strategy: Mapped[str | None] = mapped_column(String(16))
    is_last: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[Created]

    branch: Mapped[Branch | None] = relationship()
    assignee: Mapped[User | None] = relationship(User)
    policy: Mapped[SlaPolicy | None] = relationship()

    def __repr__(self) -> str:
        return self.name
