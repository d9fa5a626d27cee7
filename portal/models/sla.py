"""Targets, and the clocks that measure them."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.branch import PRIORITIES, Branch
from portal.models.columns import BigId, Created, JsonList, SmallId, Timestamp, one_of

CLOCK_KINDS = ("first_response", "next_response", "resolution")
CLOCK_STATES = ("running", "paused", "met", "breached", "cancelled")


class SlaPolicy(Model):
    """Targets in minutes for the tickets that match; the first matching policy by position holds."""

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
    first_response_minutes: Mapped[int | None]
    next_response_minutes: Mapped[int | None]
    resolution_minutes: Mapped[int | None]
    is_business_time: Mapped[bool] = mapped_column(default=True)
    paused_statuses: Mapped[JsonList]
    warning_percent: Mapped[int] = mapped_column(default=75)
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[Created]

    branch: Mapped[Branch | None] = relationship(foreign_keys=[branch_id])

    def __repr__(self) -> str:
        return self.name


class Clock(Model):
    """One running measurement on one ticket: a cache of what `portal.rules.sla` computes from the events.

    A breached clock keeps running until it is stopped, so `stopped_at` says whether anything is still owed;
    `warned_at` and `breached_at` are when the facts were fired into the ledger, once.
    """

    __tablename__ = "clock"
    __table_args__ = (
        UniqueConstraint("ticket_id", "kind", "cycle"),
        one_of("kind", CLOCK_KINDS),
        one_of("state", CLOCK_STATES),
        # The sweep's two questions, answered by indexes as large as what is running, not as what is stored.
        Index("ix_clock_due", "due_at", postgresql_where=text("breached_at IS NULL AND state = 'running'")),
        Index("ix_clock_warn", "warn_at", postgresql_where=text("warned_at IS NULL AND state = 'running'")),
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
    warn_at: Mapped[Timestamp | None]
    warned_at: Mapped[Timestamp | None]
    breached_at: Mapped[Timestamp | None]

    def is_due(self, at: datetime) -> bool:
        return self.state == "running" and self.due_at is not None and self.due_at <= at
