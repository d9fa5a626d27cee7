"""Working hours."""

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.columns import Created, JsonList, SmallId


class Calendar(Model):
    """Working windows and holidays, read by `portal.rules.hours.parse_calendar` in the branch's time zone."""

    __tablename__ = "calendar"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[SmallId]
    name: Mapped[str] = mapped_column(String(120))
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    windows: Mapped[JsonList]
    holidays: Mapped[JsonList]
    created_at: Mapped[Created]

    def __repr__(self) -> str:
        return self.name
