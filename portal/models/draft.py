"""What somebody is writing: a reply or a note that is not sent yet."""

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.columns import BigId, Created, UserId, one_of

DRAFT_KINDS = ("reply", "note")
# What a reply does with the message that it is about.
DRAFT_MODES = ("reply", "forward")


class Draft(Model):
    """One person's words for one ticket. `revision` counts how often they were kept: two windows know of each other."""

    __tablename__ = "draft"
    __table_args__ = (
        one_of("kind", DRAFT_KINDS),
        one_of("mode", DRAFT_MODES),
        UniqueConstraint("user_id", "ticket_id", "kind"),
        Index(None, "ticket_id"),
        Index("ix_draft_message", "about_message_id"),
    )

    id: Mapped[BigId]
    user_id: Mapped[UserId]
    ticket_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("ticket.id"))
    kind: Mapped[str] = mapped_column(String(8))
    mode: Mapped[str] = mapped_column(String(8), default="reply")
    about_message_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("message.id"))
    html: Mapped[str] = mapped_column(Text, default="")
    # As they were typed: a half-written address is kept too.
    to: Mapped[str] = mapped_column(Text, default="")
    cc: Mapped[str] = mapped_column(Text, default="")
    bcc: Mapped[str] = mapped_column(Text, default="")
    template_id: Mapped[int | None] = mapped_column(ForeignKey("reply_template.id"))
    attachment_keys: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")
    # The newest message that its writer had before them when they began.
    seen_message_id: Mapped[int | None] = mapped_column(BigInteger)
    revision: Mapped[int] = mapped_column(default=1)
    # The window that kept it last, by a name that it gave itself.
    window: Mapped[str] = mapped_column(String(36), default="")
    updated_at: Mapped[Created]
