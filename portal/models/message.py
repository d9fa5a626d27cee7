"""What was said in a ticket, and the files that came with it."""

from typing import TYPE_CHECKING, Any

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import BigInteger, ColumnElement, ForeignKey, Index, String, Text, literal_column, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, deferred, mapped_column, relationship

from portal.extensions import Model
from portal.models.columns import BigId, Created, Json, JsonList, Timestamp, one_of
from portal.models.customer import CHANNEL_KINDS

if TYPE_CHECKING:
    from portal.models.ticket import Ticket

DIRECTIONS = ("in", "out", "note")
MESSAGE_DELIVERY_STATES = (
    "",
    "scheduled",
    "queued",
    "sending",
    "sent",
    "deferred",
    "failed",
    "bounced",
    "cancelled",
)


# What a search in messages looks at; the index is on these very words. A longer text is found by its beginning.
# The newest are looked through first: the index cuts the messages into slices of this many bits of their ids, small
# ones for the newest and large ones for the rest.
SMALL_SLICE, LARGE_SLICE = 14, 18
SEARCHED_TEXT = "to_tsvector('simple'::regconfig, \"left\"(text, 100000))"
SEARCHED_WORDS: ColumnElement[Any] = literal_column(
    "to_tsvector('simple'::regconfig, \"left\"(message.text, 100000))"
)


class Message(Model):
    """Something said in a ticket. `html` is sanitised when stored; bodies load only where they are shown.

    `html`/`text` hold the new part, `quoted_html`/`quoted_text` what was folded away from it.
    """

    __tablename__ = "message"
    __table_args__ = (
        one_of("direction", DIRECTIONS),
        one_of("channel_kind", CHANNEL_KINDS),
        one_of("delivery_state", MESSAGE_DELIVERY_STATES),
        Index("ix_message_ticket", "ticket_id", "created_at", "id"),
        Index("ix_message_header", "message_id_header", postgresql_where=text("message_id_header <> ''")),
        # Siblings of a mail that we never saw are found by the ancestor that both name.
        Index("ix_message_references", "references_headers", postgresql_using="gin"),
        Index(
            "ix_message_inbox_item",
            "inbox_item_id",
            unique=True,
            postgresql_where=text("inbox_item_id IS NOT NULL"),
        ),
        Index(
            "ix_message_undelivered",
            "created_at",
            postgresql_where=text("delivery_state IN ('deferred', 'failed', 'bounced')"),
        ),
        Index(
            "ix_message_word_slices",
            text(SEARCHED_TEXT),
            text(f"(id >> {SMALL_SLICE})"),
            text(f"(id >> {LARGE_SLICE})"),
            postgresql_using="gin",
            # What waits to be sorted in is read with every slice.
            postgresql_with={"gin_pending_list_limit": 128},
        ),
        Index("ix_message_scheduled", "send_at", postgresql_where=text("delivery_state = 'scheduled'")),
        Index("ix_message_template", "template_id", postgresql_where=text("template_id IS NOT NULL")),
    )

    id: Mapped[BigId]
    ticket_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("ticket.id"))
    direction: Mapped[str] = mapped_column(String(8))
    channel_kind: Mapped[str] = mapped_column(String(16), default="email")
    account_id: Mapped[int | None] = mapped_column(ForeignKey("channel_account.id"), index=True)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"), index=True)
    template_id: Mapped[int | None] = mapped_column(ForeignKey("reply_template.id"))
    inbox_item_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("inbox_item.id"))
    from_address: Mapped[str] = mapped_column(default="")
    from_name: Mapped[str] = mapped_column(default="")
    # Lists of {"name", "address"}.
    to: Mapped[JsonList]
    cc: Mapped[JsonList]
    reply_to: Mapped[JsonList]
    bcc: Mapped[JsonList]
    subject: Mapped[str] = mapped_column(default="")
    text: Mapped[str] = deferred(mapped_column(Text, default=""))
    html: Mapped[str] = deferred(mapped_column(Text, default=""))
    quoted_text: Mapped[str] = deferred(mapped_column(Text, default=""))
    quoted_html: Mapped[str] = deferred(mapped_column(Text, default=""))
    has_remote_images: Mapped[bool] = mapped_column(default=False)
    is_auto_reply: Mapped[bool] = mapped_column(default=False)
    is_bounce: Mapped[bool] = mapped_column(default=False)
    is_automatic: Mapped[bool] = mapped_column(default=False)
    message_id_header: Mapped[str] = mapped_column(default="")
    in_reply_to_header: Mapped[str] = mapped_column(default="")
    references_headers: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")
    # Why it is here: portal.rules.threading.ThreadDecision.
    thread_rule: Mapped[str] = mapped_column(String(40), default="")
    thread_evidence: Mapped[Json]
    # The tickets it was moved from by hand, the latest last: answers to it follow it from there.
    moved_from_ticket_ids: Mapped[list[int]] = mapped_column(
        ARRAY(BigInteger), default=list, server_default="{}"
    )
    delivery_state: Mapped[str] = mapped_column(String(16), default="")
    # When a reply that was written for later goes out, and what its ticket becomes then.
    send_at: Mapped[Timestamp | None]
    then_status: Mapped[str] = mapped_column(String(16), default="", server_default="")
    then_resolution_code_id: Mapped[int | None] = mapped_column(ForeignKey("resolution_code.id"))
    sent_at: Mapped[Timestamp | None]
    created_at: Mapped[Created]

    ticket: Mapped["Ticket"] = relationship(backref="messages")
    author: Mapped[User | None] = relationship(User)
    attachments: Mapped[list["Attachment"]] = relationship(back_populates="message", order_by="Attachment.id")

    def __repr__(self) -> str:
        return self.subject or f"Message {self.id}"


class Attachment(Model):
    """A file of a message; its bytes lie in the storage under their SHA-256.

    Without a message it is an upload of a draft, reachable by its uploader alone.
    """

    __tablename__ = "attachment"
    __table_args__ = (
        Index(None, "message_id"),
        Index(None, "sha256"),
        Index(
            "ix_attachment_name_trgm", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}
        ),
        Index("ix_attachment_uploader", "uploaded_by_id", postgresql_where=text("message_id IS NULL")),
    )

    id: Mapped[BigId]
    message_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("message.id"))
    uploaded_by_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"))
    name: Mapped[str] = mapped_column(default="")
    content_type: Mapped[str] = mapped_column(String(255), default="application/octet-stream")
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    content_id: Mapped[str] = mapped_column(default="")
    is_inline: Mapped[bool] = mapped_column(default=False)
    # Unguessable name under which the file is served.
    public_key: Mapped[str] = mapped_column(String(43), unique=True)
    created_at: Mapped[Created]

    message: Mapped[Message | None] = relationship(back_populates="attachments")

    def __repr__(self) -> str:
        return self.name or f"File {self.id}"
