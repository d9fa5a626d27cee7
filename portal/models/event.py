"""The ledger: immutable facts, each written with the change it records."""

from datetime import datetime
from typing import TYPE_CHECKING

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.columns import Json, now, one_of

if TYPE_CHECKING:
    from portal.models.ticket import Ticket

ACTOR_KINDS = ("agent", "customer", "system")


class Event(Model):
    """One fact. Partitioned by month; `portal.services.events.ensure_partitions` makes the months ahead."""

    __tablename__ = "event"
    __table_args__ = (
        one_of("actor_kind", ACTOR_KINDS),
        Index("ix_event_ticket", "ticket_id", "occurred_at", postgresql_where=text("ticket_id IS NOT NULL")),
        Index("ix_event_kind", "kind", "occurred_at", "branch_id"),
        Index("ix_event_actor", "actor_id", "occurred_at", postgresql_where=text("actor_id IS NOT NULL")),
        Index("ix_event_occurred", "occurred_at", "id"),
        {"postgresql_partition_by": "RANGE (occurred_at)"},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    occurred_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True, default=now)
    kind: Mapped[str] = mapped_column(String(40))
    version: Mapped[int] = mapped_column(SmallInteger, default=1)
    actor_kind: Mapped[str] = mapped_column(String(16))
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"))
    ticket_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("ticket.id"))
    message_id: Mapped[int | None] = mapped_column(BigInteger)
    branch_id: Mapped[int | None] = mapped_column(ForeignKey("branch.id"))
    tier_level: Mapped[int | None] = mapped_column(SmallInteger)
    channel_kind: Mapped[str | None] = mapped_column(String(16))
    data: Mapped[Json]

    actor: Mapped[User | None] = relationship(User)
    # In one flush a ticket is written before the facts about it.
    ticket: Mapped["Ticket | None"] = relationship()

    def __repr__(self) -> str:
        return self.kind
