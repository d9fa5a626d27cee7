"""Which days a page of figures is about, read from its address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from portal.errors import UserFault
from portal.language import gettext
from portal.services.metrics import Period
from portal.wording import N_

PRESETS = (7, 30, 90)
DEFAULT_DAYS = 30
LONGEST_DAYS = 3 * 366
EARLIEST = date(2000, 1, 1)


@dataclass(frozen=True)
class Preset:
    """A period one click away."""

    days: int
    label: str
    is_current: bool


def period_from(args: Mapping[str, str], today: date, time_zone: str) -> Period:
    """`first` and `last` as ISO dates, else the `days` up to today. Raises UserFault with what to change."""
    if not args.get("first") and not args.get("last"):
        return _last_days(_days(args.get("days", "")), today, time_zone)
    last = _date(args.get("last", ""), N_("The last day")) or today
    first = _date(args.get("first", ""), N_("The first day")) or last - timedelta(days=DEFAULT_DAYS - 1)
    if first > last:
        raise UserFault(
            "The first day (%(isoformat)s) lies after the last day (%(isoformat_2)s). Swap "
            "them, or choose other days.",
            isoformat=first.isoformat(),
            isoformat_2=last.isoformat(),
        )
    if first < EARLIEST or last > today + timedelta(days=366):
        raise UserFault("Choose days between the year 2000 and a year from now.")
    period = Period(first, last, time_zone)
    if period.day_count > LONGEST_DAYS:
        raise UserFault("That is more than three years. Choose a shorter period.")
    return period


def presets(period: Period | None, today: date) -> list[Preset]:
    """The usual periods, with the one that is shown marked."""
    return [
        Preset(
            days,
            gettext("%(amount)s days", amount=days),
            period is not None and period.last == today and period.day_count == days,
        )
        for days in PRESETS
    ]


def _last_days(days: int, today: date, time_zone: str) -> Period:
    return Period(today - timedelta(days=days - 1), today, time_zone)


def _days(text: str) -> int:
    if not text:
        return DEFAULT_DAYS
    if not text.isdecimal() or not 1 <= int(text[:6]) <= LONGEST_DAYS:
        raise UserFault(
            "The number of days must be between 1 and %(longest)s.",
            longest=LONGEST_DAYS,
        )
    return int(text)


def _date(text: str, name: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UserFault(
            "%(name)s is not a date. Write it like 2026-11-23.",
            name=gettext(name),
        ) from error
