"""Ordered rules that place a new ticket."""

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.branch import PRIORITIES, Branch
from portal.models.columns import Created, Json, JsonList, SmallId, one_of


class RoutingRule(Model):
    """Conditions in the JSON form of `portal.rules.routing.parse_condition`, and what follows from them."""

    __tablename__ = "routing_rule"
    __table_args__ = (UniqueConstraint("name"), one_of("priority", PRIORITIES))

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
    is_last: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[Created]

    branch: Mapped[Branch | None] = relationship()

    def __repr__(self) -> str:
        return self.name
