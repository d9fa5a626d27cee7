"""The handing of a ticket from one tier to another, the rules that do it by themselves, and who hears of it where."""

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, deferred, mapped_column, relationship

from portal.extensions import Model
from portal.models.branch import Branch, EscalationTier
from portal.models.columns import BigId, Created, SmallId, Timestamp, one_of
from portal.models.ticket import Ticket

ALERT_STATES = ("queued", "sending", "deferred", "sent", "failed")
RULE_KINDS = ("priority", "type", "reopened", "customer_waits", "keyword")
TRIGGERS = ("manual", "sla_warning", "sla_breach", "unacknowledged", *RULE_KINDS)


class EscalationRule(Model):
    """At a change of this kind, tickets of the branch (none: of every one) go up. See portal.rules.triggers."""

    __tablename__ = "escalation_rule"
    __table_args__ = (UniqueConstraint("name"), one_of("kind", RULE_KINDS))

    id: Mapped[SmallId]
    name: Mapped[str] = mapped_column(String(120))
    branch_id: Mapped[int | None] = mapped_column(ForeignKey("branch.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    value: Mapped[str] = mapped_column(String(1000))
    to_level: Mapped[int] = mapped_column(default=2)
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[Created]

    branch: Mapped[Branch | None] = relationship()

    def __repr__(self) -> str:
        return self.name


class Escalation(Model):
    """Open until it is handed back or the ticket is resolved; at most one is open on a ticket for one level."""

    __tablename__ = "escalation"
    __table_args__ = (
        one_of("trigger", TRIGGERS),
        Index(
            "uq_escalation_open",
            "ticket_id",
            "to_level",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index(None, "ticket_id"),
        Index(
            "ix_escalation_unacknowledged",
            "acknowledge_by",
            postgresql_where=text("acknowledged_at IS NULL AND ended_at IS NULL"),
        ),
    )

    id: Mapped[BigId]
    ticket_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("ticket.id"))
    branch_id: Mapped[int] = mapped_column(ForeignKey("branch.id"), index=True)
    from_level: Mapped[int]
    to_level: Mapped[int]
    trigger: Mapped[str] = mapped_column(String(16))
    # By which rule, where it was one.
    rule_id: Mapped[int | None] = mapped_column(
        ForeignKey("escalation_rule.id", ondelete="SET NULL"), index=True
    )
    reason: Mapped[str] = mapped_column(default="")
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"))
    created_at: Mapped[Created]
    # When the next step follows unless somebody acknowledges; none once all of them have been taken.
    acknowledge_by: Mapped[Timestamp | None]
    # Whose turns on call have been, in their order; and how often nobody acknowledged in time, the last time when.
    told_ids: Mapped[list[int]] = mapped_column(ARRAY(Integer), default=list, server_default="{}")
    step_count: Mapped[int] = mapped_column(default=0, server_default="0")
    stepped_at: Mapped[Timestamp | None]
    acknowledged_at: Mapped[Timestamp | None]
    acknowledged_by_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"))
    ended_at: Mapped[Timestamp | None]
    ended_by_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"))
    # "handed_back" or "resolved"
    ended_how: Mapped[str] = mapped_column(String(16), default="")
    note: Mapped[str] = mapped_column(default="")

    created_by: Mapped[User | None] = relationship(User, foreign_keys=[created_by_id])
    acknowledged_by: Mapped[User | None] = relationship(User, foreign_keys=[acknowledged_by_id])

    def __repr__(self) -> str:
        return f"Level {self.from_level} to {self.to_level}"


class NotifyTarget(Model):
    """A chat service or webhook that hears of a tier's escalations, by an address of Apprise.

    The address is a secret: encrypted by `portal.secrets_box`, of which only `shown` may be seen again.
    """

    __tablename__ = "notify_target"
    __table_args__ = (UniqueConstraint("tier_id", "name"),)

    id: Mapped[SmallId]
    tier_id: Mapped[int] = mapped_column(ForeignKey("escalation_tier.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(120))
    url_encrypted: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    shown: Mapped[str] = mapped_column(String(200), default="")
    may_reach_internal: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)
    # Since when it has failed without a success between, how often, and what was answered last.
    failing_since: Mapped[Timestamp | None]
    failure_count: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str] = mapped_column(String(400), default="")
    created_at: Mapped[Created]

    tier: Mapped[EscalationTier] = relationship()

    def __repr__(self) -> str:
        return self.name


class Alert(Model):
    """What is owed to one target, or as mail to one person: each fact once. Times as in OutboxItem."""

    __tablename__ = "alert"
    __table_args__ = (
        one_of("state", ALERT_STATES),
        CheckConstraint("(target_id IS NULL) <> (user_id IS NULL)", name="one_receiver"),
        UniqueConstraint("target_id", "fact_key"),
        UniqueConstraint("user_id", "fact_key"),
        Index(None, "ticket_id"),
        Index(
            "ix_alert_owed",
            "next_attempt_at",
            postgresql_where=text("state IN ('queued', 'sending', 'deferred')"),
        ),
    )

    id: Mapped[BigId]
    target_id: Mapped[int | None] = mapped_column(ForeignKey("notify_target.id", ondelete="CASCADE"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"))
    ticket_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("ticket.id"))
    fact_key: Mapped[str] = mapped_column(String(80))
    title: Mapped[str]
    text: Mapped[str]
    state: Mapped[str] = mapped_column(String(16), default="queued")
    attempt_count: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[Timestamp]
    last_error: Mapped[str] = mapped_column(String(400), default="")
    created_at: Mapped[Created]
    sent_at: Mapped[Timestamp | None]

    target: Mapped[NotifyTarget | None] = relationship()
    user: Mapped[User | None] = relationship(User)
    ticket: Mapped[Ticket] = relationship()

    def __repr__(self) -> str:
        return self.title
