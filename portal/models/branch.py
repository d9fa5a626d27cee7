"""Branches and the levels of their agents."""

from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint, false, text, true
from sqlalchemy.orm import Mapped, deferred, mapped_column, relationship

from portal.extensions import Model
from portal.models.calendar import Calendar
from portal.models.columns import Created, SmallId, one_of

if TYPE_CHECKING:
    from portal.models.sla import SlaPolicy

PRIORITIES = ("low", "normal", "high", "urgent")
STRATEGIES = ("manual", "round_robin", "least_loaded", "sticky")
ON_UNACKNOWLEDGED = ("next_on_call", "next_tier", "branch_lead")


class Branch(Model):
    """An office, shop or department: time zone, calendar, members, addresses."""

    __tablename__ = "branch"
    __table_args__ = (
        UniqueConstraint("code"),
        one_of("default_priority", PRIORITIES),
        one_of("assignment_strategy", STRATEGIES),
    )

    id: Mapped[SmallId]
    code: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(120))
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    language: Mapped[str] = mapped_column(String(12), default="en")
    calendar_id: Mapped[int] = mapped_column(ForeignKey("calendar.id"), index=True)
    policy_id: Mapped[int | None] = mapped_column(ForeignKey("sla_policy.id", use_alter=True), index=True)
    fall_back_branch_id: Mapped[int | None] = mapped_column(ForeignKey("branch.id"), index=True)
    default_priority: Mapped[str] = mapped_column(String(16), default="normal")
    assignment_strategy: Mapped[str] = mapped_column(String(16), default="manual")
    from_name: Mapped[str] = mapped_column(String(120), default="")
    signature_html: Mapped[str] = mapped_column(default="")
    reopen_window_days: Mapped[int] = mapped_column(default=14)
    # None: as the desk says (LifecycleSetting). 0: resolved tickets stay resolved.
    close_after_days: Mapped[int | None]
    requires_code: Mapped[bool | None]
    # Whether a reply shows the message that it answers below it.
    quotes_history: Mapped[bool] = mapped_column(default=True, server_default=true())
    # All files of one reply together, pictures in the text included.
    attachment_limit_mb: Mapped[int] = mapped_column(default=20, server_default=text("20"))
    # The key that mails are signed with (RFC 6376): its name and what the DNS must say of it. The private half is
    # encrypted by `portal.secrets_box` and never shown.
    signs_with_dkim: Mapped[bool] = mapped_column(default=False, server_default=false())
    dkim_selector: Mapped[str] = mapped_column(String(63), default="", server_default="")
    dkim_record: Mapped[str] = mapped_column(default="", server_default="")
    dkim_key_encrypted: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    # What a new ticket is answered with by itself, and how many automatic mails an address and a ticket get a day.
    sends_acknowledgement: Mapped[bool] = mapped_column(default=False, server_default=false())
    acknowledgement_html: Mapped[str] = mapped_column(default="", server_default="")
    automatic_per_recipient: Mapped[int] = mapped_column(default=5, server_default=text("5"))
    automatic_per_ticket: Mapped[int] = mapped_column(default=3, server_default=text("3"))
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[Created]

    calendar: Mapped[Calendar] = relationship()
    policy: Mapped["SlaPolicy | None"] = relationship(foreign_keys=[policy_id])
    fall_back_branch: Mapped["Branch | None"] = relationship(remote_side="Branch.id")
    tiers: Mapped[list["EscalationTier"]] = relationship(
        back_populates="branch", order_by="EscalationTier.level"
    )

    def __repr__(self) -> str:
        return self.name


class EscalationTier(Model):
    """A level of a branch's agents: 1 answers first, 2 is escalated to. No branch: for every branch without its own."""

    __tablename__ = "escalation_tier"
    __table_args__ = (
        UniqueConstraint("branch_id", "level", postgresql_nulls_not_distinct=True),
        one_of("on_unacknowledged", ON_UNACKNOWLEDGED),
        Index(None, "branch_id"),
    )

    id: Mapped[SmallId]
    branch_id: Mapped[int | None] = mapped_column(ForeignKey("branch.id"))
    level: Mapped[int]
    name: Mapped[str] = mapped_column(String(120))
    acknowledge_within_minutes: Mapped[int] = mapped_column(default=20)
    on_unacknowledged: Mapped[str] = mapped_column(String(16), default="branch_lead")
    # Percentage of a clock's target at which a ticket of the level below comes here by itself; 0: never.
    escalate_at_percent: Mapped[int] = mapped_column(default=100)
    # Whether its people get a mail of each escalation, besides the bell.
    mails_members: Mapped[bool] = mapped_column(default=False, server_default=false())

    branch: Mapped[Branch | None] = relationship(back_populates="tiers")

    def __repr__(self) -> str:
        return f"{self.name} (level {self.level})"
