"""Prepared replies."""

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model, db
from portal.models.branch import Branch
from portal.models.columns import Created, Json, SmallId, one_of

TEMPLATE_STATES = ("draft", "published", "retired")

reply_template_branch = Table(
    "reply_template_branch",
    db.metadata,
    Column("template_id", Integer, ForeignKey("reply_template.id", ondelete="CASCADE"), primary_key=True),
    Column("branch_id", Integer, ForeignKey("branch.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class ReplyTemplate(Model):
    """A prepared reply with placeholders and optional actions; no branches means every branch."""

    __tablename__ = "reply_template"
    __table_args__ = (one_of("state", TEMPLATE_STATES), Index(None, "state", "name"))

    id: Mapped[SmallId]
    name: Mapped[str] = mapped_column(String(120), unique=True)
    shortcut: Mapped[str] = mapped_column(String(40), default="")
    category: Mapped[str] = mapped_column(String(120), default="")
    language: Mapped[str] = mapped_column(String(12), default="en")
    state: Mapped[str] = mapped_column(String(16), default="published")
    subject: Mapped[str] = mapped_column(default="")
    body_html: Mapped[str] = mapped_column(Text, default="")
    body_text: Mapped[str] = mapped_column(Text, default="")
    # {"status": …, "priority": …, "tags": […], "escalate": bool}: what sending it does besides.
    actions: Mapped[Json]
    sent_count: Mapped[int] = mapped_column(default=0)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"), index=True)
    created_at: Mapped[Created]
    updated_at: Mapped[Created]

    owner: Mapped[User | None] = relationship(User)
    branches: Mapped[list[Branch]] = relationship(secondary=reply_template_branch, order_by=Branch.name)

    def __repr__(self) -> str:
        return self.name
