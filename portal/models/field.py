"""Fields that the desk defines for its own tickets."""

from sqlalchemy import Column, ForeignKey, Integer, String, Table
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model, db
from portal.models.branch import Branch
from portal.models.columns import Created, JsonList, SmallId, one_of
from portal.rules.fields import KINDS, LONGEST_KEY, LONGEST_NAME

ticket_field_branch = Table(
    "ticket_field_branch",
    db.metadata,
    Column("field_id", Integer, ForeignKey("ticket_field.id", ondelete="CASCADE"), primary_key=True),
    Column("branch_id", Integer, ForeignKey("branch.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class TicketField(Model):
    """A field that tickets have; no branches means every branch. Its values stand in `ticket.fields` by its key."""

    __tablename__ = "ticket_field"
    __table_args__ = (one_of("kind", tuple(KINDS)),)

    id: Mapped[SmallId]
    # Stands in addresses, templates and on every ticket: it never changes.
    key: Mapped[str] = mapped_column(String(LONGEST_KEY), unique=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    kind: Mapped[str] = mapped_column(String(16), default="text")
    help_text: Mapped[str] = mapped_column(String(200), default="")
    # [{"key": …, "label": …, "is_active": bool}], in their order: portal.rules.fields.Choice.
    choices: Mapped[JsonList]
    is_required: Mapped[bool] = mapped_column(default=False)
    is_in_filter: Mapped[bool] = mapped_column(default=True)
    position: Mapped[int] = mapped_column(default=100)
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[Created]

    branches: Mapped[list[Branch]] = relationship(secondary=ticket_field_branch, order_by=Branch.name)

    def __repr__(self) -> str:
        return self.name
