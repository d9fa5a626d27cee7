"""Business time as plainly as it can be said: by looking at the wall clock minute by minute."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from portal.rules.hours import Calendar, Version

MINUTE = timedelta(minutes=1)
Span = tuple[date, int, int]


@lru_cache(maxsize=5000)
def spans_of(calendar: Calendar, day: date) -> list[Span]:
    """The windows that start on a date, with that date."""
    for holiday in calendar.holidays:
        if holiday.date == day:
            return [(day, *span) for span in holiday.windows]
    return [(day, w.start_minute, w.end_minute) for w in calendar.windows if w.weekday == day.weekday()]


def spans_at(calendar: Calendar, at: datetime) -> Iterable[Span]:
    """The windows in which the wall clock of the calendar's zone stands at that moment."""
    wall = at.astimezone(ZoneInfo(calendar.time_zone))
    minute, today = wall.hour * 60 + wall.minute, wall.date()
    for days_ago, day in enumerate((today, today - timedelta(days=1))):
        for span in spans_of(calendar, day):
            if span[1] <= minute + 1440 * days_ago < span[2]:
                yield span


def working_minutes(versions: Sequence[Version], start: datetime, end: datetime) -> list[bool]:
    """For each minute between the two moments whether it is working time, by versions in the order of recording."""
    # No window that is open at the start has begun before.
    margin = 30 * 60
    minutes = [start + number * MINUTE for number in range(-margin, int((end - start) / MINUTE))]
    # One that was recorded later for the same date stands in the place of the former.
    standing = [
        each
        for number, each in enumerate(versions)
        if all(later.valid_from != each.valid_from for later in versions[number + 1 :])
    ]
    begins = [_first_minute_of(version, minutes) for version in standing]

    def version_at(moment: datetime) -> Version:
        begun = [each for each, begin in zip(standing, begins, strict=True) if begin <= moment]
        if begun:
            return max(begun, key=lambda each: each.valid_from)
        return min(standing, key=lambda each: each.valid_from)

    worked = [False] * len(minutes)
    for version in versions:
        started: dict[Span, bool] = {}
        for index, moment in enumerate(minutes):
            for span in spans_at(version.calendar, moment):
                if span not in started:
                    started[span] = version_at(moment) is version
                worked[index] |= started[span]
    return worked[margin:]


def _first_minute_of(version: Version, minutes: Sequence[datetime]) -> datetime:
    zone = ZoneInfo(version.calendar.time_zone)
    reached = (each for each in minutes if each.astimezone(zone).date() >= version.valid_from)
    return next(reached, minutes[-1] + MINUTE)
