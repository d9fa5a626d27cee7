"""What was accepted and is not yet proven processed; what is owed to the outside."""

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, deferred, mapped_column, relationship

from portal.extensions import Model
from portal.models.columns import BigId, Created, JsonList, Timestamp, one_of
from portal.models.customer import CHANNEL_KINDS

if TYPE_CHECKING:
    from portal.models.account import ChannelAccount
    from portal.models.message import Message

INBOX_STATES = ("accepted", "processed", "quarantined")
OUTBOX_STATES = ("queued", "sending", "sent", "deferred", "failed", "cancelled")
DELIVERY_STATES = ("queued", "sending", "sent", "deferred", "failed", "bounced")


class InboxItem(Model):
    """Raw bytes, committed before their source is told that we have them; `source_key` makes a repeat harmless.

    The bytes lie in the row, because one commit then makes them as safe as everything else.
    """

    __tablename__ = "inbox_item"
    __table_args__ = (
        UniqueConstraint("source_key"),
        one_of("state", INBOX_STATES),
        one_of("channel_kind", CHANNEL_KINDS),
        Index("ix_inbox_item_owed", "next_attempt_at", postgresql_where=text("state = 'accepted'")),
        Index("ix_inbox_item_state", "state", "id"),
        Index(None, "ticket_id"),
        Index(None, "account_id"),
    )

    id: Mapped[BigId]
    source_key: Mapped[str] = mapped_column(String(255))
    channel_kind: Mapped[str] = mapped_column(String(16), default="email")
    account_id: Mapped[int | None] = mapped_column(ForeignKey("channel_account.id"))
    envelope_from: Mapped[str] = mapped_column(default="")
    envelope_to: Mapped[JsonList]
    raw: Mapped[bytes] = deferred(mapped_column(LargeBinary))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), default="accepted")
    reason: Mapped[str] = mapped_column(default="")
    attempt_count: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[Created]
    ticket_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("ticket.id"))
    processed_at: Mapped[Timestamp | None]
    created_at: Mapped[Created]

    account: Mapped["ChannelAccount | None"] = relationship()

    def __repr__(self) -> str:
        return f"Inbox item {self.id}"


class OutboxItem(Model):
    """Something owed to the outside, written in the transaction that owes it."""

    __tablename__ = "outbox_item"
    __table_args__ = (
        one_of("state", OUTBOX_STATES),
        Index(
            "ix_outbox_item_owed",
            "next_attempt_at",
            postgresql_where=text("state IN ('queued', 'deferred', 'sending')"),
        ),
        Index("ix_outbox_item_state", "state", "id"),
        Index(None, "message_id"),
        Index(None, "account_id"),
    )

    id: Mapped[BigId]
    message_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("message.id"))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("channel_account.id"))
    state: Mapped[str] = mapped_column(String(16), default="queued")
    attempt_count: Mapped[int] = mapped_column(default=0)
    # While an item is being sent, the moment after which another worker may take it over.
    next_attempt_at: Mapped[Created]
    last_error: Mapped[str] = mapped_column(default="")
    sent_at: Mapped[Timestamp | None]
    created_at: Mapped[Created]

    message: Mapped["Message"] = relationship()
    account: Mapped["ChannelAccount | None"] = relationship()
    deliveries: Mapped[list["Delivery"]] = relationship(back_populates="outbox_item", order_by="Delivery.id")

    def __repr__(self) -> str:
        return f"Outbox item {self.id}"


class Delivery(Model):
    """What became of an outbox item for one recipient."""

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("outbox_item_id", "recipient"),
        one_of("state", DELIVERY_STATES),
        Index(None, "message_id"),
        Index(None, "recipient"),
        # What the limits of automatic mail are counted by.
        Index("ix_delivery_automatic", "recipient", "created_at", postgresql_where=text("is_automatic")),
    )

    id: Mapped[BigId]
    outbox_item_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("outbox_item.id"))
    message_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("message.id"))
    recipient: Mapped[str] = mapped_column(String(320))
    state: Mapped[str] = mapped_column(String(16), default="queued")
    code: Mapped[int | None]
    reply: Mapped[str] = mapped_column(default="")
    attempt_count: Mapped[int] = mapped_column(default=0)
    # Written by nobody; such a recipient stands in lower case.
    is_automatic: Mapped[bool] = mapped_column(default=False, server_default=false())
    sent_at: Mapped[Timestamp | None]
    created_at: Mapped[Created]

    outbox_item: Mapped[OutboxItem] = relationship(back_populates="deliveries")

    def __repr__(self) -> str:
        return f"{self.recipient}: {self.state}"
