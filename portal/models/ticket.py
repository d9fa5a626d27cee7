"""One matter of one customer."""

from typing import Any

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Sequence,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model, db
from portal.models.branch import PRIORITIES, Branch
from portal.models.columns import BigId, Created, Json, SmallId, Timestamp, one_of
from portal.models.customer import CHANNEL_KINDS, Customer
from portal.models.lifecycle import ResolutionCode
from portal.models.message import LARGE_SLICE, SMALL_SLICE
from portal.rules.lifecycle import OPEN_STATUSES, STATUSES

TICKET_TYPES = ("question", "incident", "bug", "improvement", "feature_request")
SEVERITIES = ("none", "minor", "major", "critical")
LINK_KINDS = ("related", "duplicates", "causes")
TRIAGE_KINDS = ("type", "severity")

ticket_number = Sequence("ticket_number_seq", start=10001, metadata=db.metadata)
IS_OPEN = text("status IN ({})".format(", ".join(f"'{status}'" for status in OPEN_STATUSES)))
IS_FINISHED = text("status IN ('resolved', 'closed')")
# Tickets without a running clock come last in every list that is sorted by what is due.
DUE_ORDER = text("coalesce(next_due_at, 'infinity'::timestamptz)")
# The most urgent first.
URGENCY_ORDER = text(f"array_position('{{{','.join(reversed(PRIORITIES))}}}'::text[], priority::text)")
# Likewise those that are not snoozed, in lists that are sorted by what is back soonest.
BACK_ORDER = text("coalesce(snoozed_until, 'infinity'::timestamptz)")
HAS_FIELDS = text("fields <> '{}'::jsonb")
# The words and numbers in the desk's own fields, whichever they are.
FIELD_WORDS = """jsonb_to_tsvector('simple'::regconfig, fields, '["string", "numeric"]'::jsonb)"""
# Lists of work leave out what is snoozed: with the moment in their indexes they need not look at the rows.
_WITH_SNOOZE = ["snoozed_until"]

ticket_tag = Table(
    "ticket_tag",
    db.metadata,
    Column("ticket_id", BigInteger, ForeignKey("ticket.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", Integer, ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class Tag(Model):
    __tablename__ = "tag"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[SmallId]
    name: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Created]

    def __repr__(self) -> str:
        return self.name


class Ticket(Model):
    """What a queue row needs stands here, so that a list reads no messages.

    `next_due_at` and `next_due_kind` cache the soonest running clock, `is_breached` that one is late.
    `last_*` describe the newest message that is no note; `unread_since` is set by a customer's message and
    cleared when someone of the desk opens the ticket.
    """

    __tablename__ = "ticket"
    __table_args__ = (
        UniqueConstraint("number"),
        one_of("status", STATUSES),
        one_of("priority", PRIORITIES),
        one_of("type", TICKET_TYPES),
        one_of("severity", SEVERITIES),
        one_of("channel_kind", CHANNEL_KINDS),
        Index("ix_ticket_open_due", DUE_ORDER, "id", postgresql_where=IS_OPEN),
        Index(
            "ix_ticket_open_branch_due",
            "branch_id",
            DUE_ORDER,
            "id",
            postgresql_where=IS_OPEN,
            postgresql_include=_WITH_SNOOZE,
        ),
        Index(
            "ix_ticket_open_assignee_due",
            "assignee_id",
            DUE_ORDER,
            "id",
            postgresql_where=IS_OPEN,
            postgresql_include=_WITH_SNOOZE,
        ),
        Index(
            "ix_ticket_unassigned_due",
            "branch_id",
            DUE_ORDER,
            "id",
            postgresql_where=text(f"assignee_id IS NULL AND {IS_OPEN.text}"),
            postgresql_include=_WITH_SNOOZE,
        ),
        Index(
            "ix_ticket_breached_due",
            "branch_id",
            DUE_ORDER,
            "id",
            postgresql_where=text(f"is_breached AND {IS_OPEN.text}"),
        ),
        Index(
            "ix_ticket_escalated_due",
            "branch_id",
            "tier_level",
            DUE_ORDER,
            "id",
            postgresql_where=text(f"tier_level > 1 AND {IS_OPEN.text}"),
            postgresql_include=_WITH_SNOOZE,
        ),
        # The other orders of the lists of work, for people of some branches and for those who see all of them.
        Index("ix_ticket_open_urgency", URGENCY_ORDER, DUE_ORDER, "id", postgresql_where=IS_OPEN),
        Index(
            "ix_ticket_open_branch_urgency",
            "branch_id",
            URGENCY_ORDER,
            DUE_ORDER,
            "id",
            postgresql_where=IS_OPEN,
            postgresql_include=_WITH_SNOOZE,
        ),
        Index("ix_ticket_open_created", "created_at", "id", postgresql_where=IS_OPEN),
        Index(
            "ix_ticket_open_branch_created",
            "branch_id",
            "created_at",
            "id",
            postgresql_where=IS_OPEN,
            postgresql_include=_WITH_SNOOZE,
        ),
        Index("ix_ticket_open_activity", "last_activity_at", "id", postgresql_where=IS_OPEN),
        Index(
            "ix_ticket_open_branch_activity",
            "branch_id",
            "last_activity_at",
            "id",
            postgresql_where=IS_OPEN,
            postgresql_include=_WITH_SNOOZE,
        ),
        Index("ix_ticket_snoozed", BACK_ORDER, "id", postgresql_where=text("snoozed_until IS NOT NULL")),
        Index(
            "ix_ticket_followers",
            "follower_ids",
            postgresql_using="gin",
            postgresql_where=text("follower_ids <> '{}'::integer[]"),
        ),
        # Most tickets have none: what asks for a value says so as well, and the index stays small.
        Index(
            "ix_ticket_fields",
            "fields",
            postgresql_using="gin",
            postgresql_ops={"fields": "jsonb_path_ops"},
            postgresql_where=HAS_FIELDS,
        ),
        Index(
            "ix_ticket_field_word_slices",
            text(FIELD_WORDS),
            text(f"(id >> {SMALL_SLICE})"),
            text(f"(id >> {LARGE_SLICE})"),
            postgresql_using="gin",
            postgresql_with={"gin_pending_list_limit": 128},
            postgresql_where=HAS_FIELDS,
        ),
        Index("ix_ticket_branch_status_activity", "branch_id", "status", "last_activity_at", "id"),
        # What was closed lately stands behind everything that is open and newer.
        Index(
            "ix_ticket_finished_branch_activity",
            "branch_id",
            "last_activity_at",
            "id",
            postgresql_where=IS_FINISHED,
        ),
        Index("ix_ticket_finished_activity", "last_activity_at", "id", postgresql_where=IS_FINISHED),
        Index("ix_ticket_branch_created", "branch_id", "created_at", "id"),
        Index("ix_ticket_last_activity", "last_activity_at", "id"),
        Index("ix_ticket_created", "created_at", "id"),
        Index("ix_ticket_customer", "customer_id", "branch_id", "last_activity_at"),
        Index("ix_ticket_assignee", "assignee_id", "status"),
        Index("ix_ticket_resolved", "resolved_at", postgresql_where=text("status = 'resolved'")),
        Index(
            "ix_ticket_resolution",
            "resolution_code_id",
            "last_activity_at",
            "id",
            postgresql_where=text("resolution_code_id IS NOT NULL"),
        ),
        Index("ix_ticket_follows", "follows_id", postgresql_where=text("follows_id IS NOT NULL")),
        Index("ix_ticket_merged_into", "merged_into_id", postgresql_where=text("merged_into_id IS NOT NULL")),
        Index(
            "ix_ticket_subject_slices",
            "subject",
            text(f"(id >> {SMALL_SLICE})"),
            text(f"(id >> {LARGE_SLICE})"),
            postgresql_using="gin",
            postgresql_ops={"subject": "gin_trgm_ops"},
            postgresql_with={"gin_pending_list_limit": 128},
        ),
    )

    id: Mapped[BigId]
    number: Mapped[int] = mapped_column(BigInteger, ticket_number, server_default=ticket_number.next_value())
    subject: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(String(16), default="new")
    priority: Mapped[str] = mapped_column(String(16), default="normal")
    type: Mapped[str] = mapped_column(String(24), default="question")
    severity: Mapped[str] = mapped_column(String(16), default="none")
    language: Mapped[str] = mapped_column(String(12), default="")
    branch_id: Mapped[int] = mapped_column(ForeignKey("branch.id"))
    tier_level: Mapped[int] = mapped_column(default=1)
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"))
    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"))
    channel_kind: Mapped[str] = mapped_column(String(16), default="email")
    account_id: Mapped[int | None] = mapped_column(ForeignKey("channel_account.id"), index=True)
    policy_id: Mapped[int | None] = mapped_column(ForeignKey("sla_policy.id"), index=True)
    # By which of its versions and by which hours the ticket is measured now; none: by those of now.
    policy_version_id: Mapped[int | None] = mapped_column(ForeignKey("policy_version.id"))
    calendar_id: Mapped[int | None] = mapped_column(ForeignKey("calendar.id"))
    merged_into_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("ticket.id"))
    follows_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("ticket.id"))
    # Which rule placed it and on what evidence: portal.rules.routing.RouteDecision.
    route: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")

    created_at: Mapped[Created]
    last_activity_at: Mapped[Created]
    last_customer_message_at: Mapped[Timestamp | None]
    picked_up_at: Mapped[Timestamp | None]
    first_viewed_at: Mapped[Timestamp | None]
    first_responded_at: Mapped[Timestamp | None]
    resolved_at: Mapped[Timestamp | None]
    closed_at: Mapped[Timestamp | None]
    # How the matter ended; only what is resolved or closed, or was when it went to spam or trash, has one.
    resolution_code_id: Mapped[int | None] = mapped_column(ForeignKey("resolution_code.id"))
    unread_since: Mapped[Timestamp | None]
    snippet: Mapped[str] = mapped_column(String(200), default="")
    is_last_message_ours: Mapped[bool] = mapped_column(default=False)
    message_count: Mapped[int] = mapped_column(default=0)
    reopened_count: Mapped[int] = mapped_column(default=0)
    next_due_at: Mapped[Timestamp | None]
    next_due_kind: Mapped[str | None] = mapped_column(String(16))
    is_breached: Mapped[bool] = mapped_column(default=False)
    is_paused: Mapped[bool] = mapped_column(default=False)
    # Put aside until then, or until the customer writes; both are set, or neither.
    snoozed_until: Mapped[Timestamp | None]
    snoozed_by_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"))
    # Who is told what happens to it without owning it, in the order in which they began.
    follower_ids: Mapped[list[int]] = mapped_column(ARRAY(Integer), default=list, server_default="{}")
    # Values of the desk's own fields, by key: portal.rules.fields.Value as JSON. Whatever is empty is not there.
    fields: Mapped[Json]
    # Counts every change that concerns a person who is writing an answer: the stale-send guard compares it.
    revision: Mapped[int] = mapped_column(default=0)

    branch: Mapped[Branch] = relationship()
    assignee: Mapped[User | None] = relationship(User, foreign_keys=[assignee_id])
    resolution_code: Mapped[ResolutionCode | None] = relationship()
    snoozed_by: Mapped[User | None] = relationship(User, foreign_keys=[snoozed_by_id])
    customer: Mapped[Customer] = relationship()
    tags: Mapped[list[Tag]] = relationship(secondary=ticket_tag, order_by=Tag.name)

    def __repr__(self) -> str:
        return f"#{self.number} {self.subject}"


class TicketLink(Model):
    """What one ticket has to do with another: `from` duplicates or causes `to`; related ones have no direction.

    Two tickets have at most one link; that of related ones begins with the older ticket.
    """

    __tablename__ = "ticket_link"
    __table_args__ = (
        one_of("kind", LINK_KINDS),
        CheckConstraint("from_ticket_id <> to_ticket_id", name="two_tickets"),
        Index(
            "ix_ticket_link_pair",
            text("least(from_ticket_id, to_ticket_id)"),
            text("greatest(from_ticket_id, to_ticket_id)"),
            unique=True,
        ),
        Index(None, "from_ticket_id"),
        Index(None, "to_ticket_id"),
    )

    id: Mapped[BigId]
    from_ticket_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("ticket.id"))
    to_ticket_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("ticket.id"))
    kind: Mapped[str] = mapped_column(String(16))
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"))
    created_at: Mapped[Created]

    def __repr__(self) -> str:
        return f"{self.from_ticket_id} {self.kind} {self.to_ticket_id}"


class TriageCriterion(Model):
    """When a ticket is of a type, or of a severity, in the words of whoever runs the desk."""

    __tablename__ = "triage_criterion"
    __table_args__ = (UniqueConstraint("kind", "value"), one_of("kind", TRIAGE_KINDS))

    id: Mapped[SmallId]
    kind: Mapped[str] = mapped_column(String(16))
    value: Mapped[str] = mapped_column(String(24))
    text: Mapped[str] = mapped_column(default="")

    def __repr__(self) -> str:
        return f"{self.kind} {self.value}"
