"""Working hours."""

from datetime import date

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.columns import Created, JsonList, SmallId, Timestamp

# The date from which the first version of a calendar counts: all days before are counted by it as well.
FROM_THE_BEGINNING = date(1970, 1, 1)


class Calendar(Model):
    """A name for working hours; what they are say its versions."""

    __tablename__ = "calendar"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[SmallId]
    name: Mapped[str] = mapped_column(String(120))
    created_at: Mapped[Created]

    versions: Mapped[list["CalendarVersion"]] = relationship(
        order_by="(CalendarVersion.recorded_at, CalendarVersion.id)",
        back_populates="calendar",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )

    def __repr__(self) -> str:
        return self.name


class CalendarVersion(Model):
    """What a calendar says from a date on, in its own time zone; never changed, only followed by others.

    `windows`, `days` and `public_holidays` are read by `portal.rules.calendars.parse_calendar`. The public holidays are
    those of the country and its subdivision for the years around the recording, with their names.
    """

    __tablename__ = "calendar_version"
    __table_args__ = (Index(None, "calendar_id", "recorded_at"),)

    id: Mapped[SmallId]
    calendar_id: Mapped[int] = mapped_column(ForeignKey("calendar.id", ondelete="CASCADE"))
    valid_from: Mapped[date] = mapped_column(default=FROM_THE_BEGINNING)
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    windows: Mapped[JsonList]
    days: Mapped[JsonList]
    country: Mapped[str] = mapped_column(String(8), default="", server_default="")
    subdivision: Mapped[str] = mapped_column(String(16), default="", server_default="")
    public_holidays: Mapped[JsonList]
    note: Mapped[str] = mapped_column(String(500), default="", server_default="")
    recorded_at: Mapped[Created]
    # Nobody: the years that a job has added, and what there was before versions.
    account_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id"), index=True)
    # When the open tickets of the calendar had been counted by it, and up to which of them they have been.
    counted_at: Mapped[Timestamp | None]
    counted_to: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))

    account: Mapped[User | None] = relationship(User)
    calendar: Mapped[Calendar] = relationship(back_populates="versions")

    def __repr__(self) -> str:
        return f"{self.calendar} from {self.valid_from:%d %B %Y}"
