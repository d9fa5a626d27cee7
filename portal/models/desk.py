"""What belongs to one person's desk: saved views, notifications, and the audit of what admins changed."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.columns import BigId, Created, Json, SmallId, Timestamp, UserId
from portal.wording import from_json

if TYPE_CHECKING:
    from portal.models.ticket import Ticket


class SavedView(Model):
    """A named filter of the queue; shared with a branch, or its owner's alone."""

    __tablename__ = "saved_view"
    __table_args__ = (UniqueConstraint("owner_id", "name"), Index(None, "branch_id"))

    id: Mapped[SmallId]
    owner_id: Mapped[UserId]
    branch_id: Mapped[int | None] = mapped_column(ForeignKey("branch.id"))
    name: Mapped[str] = mapped_column(String(80))
    filter: Mapped[Json]
    position: Mapped[int] = mapped_column(Integer, default=100)
    created_at: Mapped[Created]

    owner: Mapped[User] = relationship(User)

    def __repr__(self) -> str:
        return self.name


class Notification(Model):
    """Something one person should hear of, in the bell of the console."""

    __tablename__ = "notification"
    __table_args__ = (
        Index("ix_notification_unread", "user_id", "created_at", postgresql_where=text("read_at IS NULL")),
        Index(None, "ticket_id"),
        # The same fact is told to the same person once, however often its job runs.
        UniqueConstraint("user_id", "fact_key"),
    )

    id: Mapped[BigId]
    user_id: Mapped[UserId]
    ticket_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("ticket.id"))
    kind: Mapped[str] = mapped_column(String(40))
    fact_key: Mapped[str] = mapped_column(String(80))
    # In English; `wording` (portal.wording.as_json) is how to tell it in other languages.
    text: Mapped[str] = mapped_column(default="")
    wording: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    read_at: Mapped[Timestamp | None]
    created_at: Mapped[Created]

    ticket: Mapped["Ticket | None"] = relationship()

    @property
    def said(self) -> str:
        """What it tells: a Sentence where it can be told in other languages."""
        found: str = from_json(self.wording) or self.text
        return found

    def __repr__(self) -> str:
        return self.text


class AuditEntry(Model):
    """Who changed which configuration row, and from what to what; secrets are named, never shown."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index(None, "occurred_at", "id"),
        Index(None, "object_type", "object_id"),
        Index(None, "actor_id"),
    )

    id: Mapped[BigId]
    occurred_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=text("now()"))
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"))
    action: Mapped[str] = mapped_column(String(24))
    object_type: Mapped[str] = mapped_column(String(64))
    object_id: Mapped[str] = mapped_column(String(64), default="")
    object_name: Mapped[str] = mapped_column(default="")
    changes: Mapped[Json]
    address: Mapped[str] = mapped_column(String(64), default="")

    actor: Mapped[User | None] = relationship(User)

    def __repr__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_name}"
