"""Targets, and the clocks that measure them."""

from datetime import datetime
from typing import Annotated, Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.branch import PRIORITIES, Branch
from portal.models.columns import BigId, Created, JsonList, SmallId, Timestamp, one_of

CLOCK_KINDS = ("first_response", "next_response", "resolution")
CLOCK_STATES = ("running", "paused", "met", "breached", "cancelled")
WaitingList = Annotated[
    list[Any], mapped_column(JSONB, default=lambda: ["pending"], server_default='["pending"]')
]
WarningList = Annotated[list[Any], mapped_column(JSONB, default=lambda: [75], server_default="[75]")]


class Targets:
    """Columns of what is promised: minutes per clock, by which time, when the clocks pause, when people are warned."""

    first_response_minutes: Mapped[int | None]
    next_response_minutes: Mapped[int | None]
    resolution_minutes: Mapped[int | None]
    is_business_time: Mapped[bool] = mapped_column(default=True)
    # Statuses in which each clock stands still.
    first_response_paused_in: Mapped[JsonList]
    next_response_paused_in: Mapped[JsonList]
    resolution_paused_in: Mapped[WaitingList]
    # Of the target, in percent.
    warning_percents: Mapped[WarningList]


class SlaPolicy(Targets, Model):
    """Targets for the tickets that match; the first matching policy by position holds.

    The targets are those of the newest version. A ticket is measured by the version that held when it came under the
    policy, until it is put under another on purpose.
    """

    __tablename__ = "sla_policy"
    __table_args__ = (
        UniqueConstraint("name"),
        one_of("priority", PRIORITIES),
        Index(None, "branch_id"),
    )

    id: Mapped[SmallId]
    name: Mapped[str] = mapped_column(String(120))
    position: Mapped[int] = mapped_column(default=100)
    branch_id: Mapped[int | None] = mapped_column(ForeignKey("branch.id"))
    priority: Mapped[str | None] = mapped_column(String(16))
    # Of which one must be the ticket's; none of them: whatever it is.
    types: Mapped[JsonList]
    channel_kinds: Mapped[JsonList]
    customer_levels: Mapped[JsonList]
    is_active: Mapped[bool] = mapped_column(default=True)
    # The newest, made by `portal.services.policies` when the targets have changed.
    version_id: Mapped[int | None] = mapped_column(
        ForeignKey("policy_version.id", use_alter=True), index=True
    )
    created_at: Mapped[Created]

    branch: Mapped[Branch | None] = relationship(foreign_keys=[branch_id])
    version: Mapped["PolicyVersion | None"] = relationship(foreign_keys=[version_id], lazy="joined")

    def __repr__(self) -> str:
        return self.name


class PolicyVersion(Targets, Model):
    """The targets of a policy as they were from one change to the next; never changed."""

    __tablename__ = "policy_version"
    __table_args__ = (UniqueConstraint("policy_id", "number"),)

    id: Mapped[SmallId]
    policy_id: Mapped[int] = mapped_column(ForeignKey("sla_policy.id", ondelete="CASCADE"))
    number: Mapped[int]
    # The policy's at that time.
    name: Mapped[str] = mapped_column(String(120))
    created_at: Mapped[Created]

    policy: Mapped[SlaPolicy] = relationship(foreign_keys=[policy_id])

    def __repr__(self) -> str:
        return f"{self.name}, version {self.number}"


class Clock(Model):
    """One running measurement on one ticket: a cache of what `portal.rules.sla` computes from the events.

    A breached clock keeps running until it is stopped, so `stopped_at` says whether anything is still owed;
    `breached_at` is when the breach was fired into the ledger, once. `warnings` are those to come, as [percent,
    moment] in their order; `warn_at` is the moment of the first.
    """

    __tablename__ = "clock"
    __table_args__ = (
        UniqueConstraint("ticket_id", "kind", "cycle"),
        one_of("kind", CLOCK_KINDS),
        one_of("state", CLOCK_STATES),
        # The sweep's two questions, answered by indexes as large as what is running, not as what is stored.
        Index("ix_clock_due", "due_at", postgresql_where=text("breached_at IS NULL AND state = 'running'")),
        Index("ix_clock_warn", "warn_at", postgresql_where=text("warn_at IS NOT NULL AND state = 'running'")),
    )

    id: Mapped[BigId]
    ticket_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("ticket.id"))
    policy_id: Mapped[int | None] = mapped_column(ForeignKey("sla_policy.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    cycle: Mapped[int] = mapped_column(default=1)
    state: Mapped[str] = mapped_column(String(16))
    target_seconds: Mapped[int]
    elapsed_seconds: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[Timestamp]
    stopped_at: Mapped[Timestamp | None]
    due_at: Mapped[Timestamp | None]
    warnings: Mapped[JsonList]
    warn_at: Mapped[Timestamp | None]
    breached_at: Mapped[Timestamp | None]

    def is_due(self, at: datetime) -> bool:
        return self.state == "running" and self.due_at is not None and self.due_at <= at
