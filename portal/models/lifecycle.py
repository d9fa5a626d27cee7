"""What admins have made of the life of a ticket; the statuses themselves stand in portal.rules.lifecycle."""

from sqlalchemy import CheckConstraint, String, UniqueConstraint, false, text, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.columns import Created, SmallId, one_of
from portal.rules.lifecycle import STATUSES, TABLE


class LifecycleStatus(Model):
    """The desk's own words for a status (empty: the usual ones), and where agents may move tickets from it."""

    __tablename__ = "lifecycle_status"
    __table_args__ = (UniqueConstraint("name"), one_of("name", STATUSES))

    id: Mapped[SmallId]
    name: Mapped[str] = mapped_column(String(16))
    label: Mapped[str] = mapped_column(String(40), default="", server_default="")
    may_become: Mapped[list[str]] = mapped_column(ARRAY(String(16)), default=list)

    def __repr__(self) -> str:
        return self.label or TABLE[self.name].label


class LifecycleSetting(Model):
    """The one row of what holds for every branch that does not say otherwise."""

    __tablename__ = "lifecycle_setting"
    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("close_after_days BETWEEN 0 AND 3650", name="close_after_days"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    requires_code: Mapped[bool] = mapped_column(default=False, server_default=false())
    # After how many days a resolved ticket closes by itself; 0: never.
    close_after_days: Mapped[int] = mapped_column(default=14, server_default=text("14"))

    def __repr__(self) -> str:
        return "life of a ticket"


class ResolutionCode(Model):
    """How a matter ended. One that tickets have is disabled rather than deleted."""

    __tablename__ = "resolution_code"
    __table_args__ = (UniqueConstraint("label"),)

    id: Mapped[SmallId]
    label: Mapped[str] = mapped_column(String(60))
    position: Mapped[int] = mapped_column(default=100, server_default=text("100"))
    is_active: Mapped[bool] = mapped_column(default=True, server_default=true())
    created_at: Mapped[Created]

    def __repr__(self) -> str:
        return self.label
