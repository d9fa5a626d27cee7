"""Calendars as they are written down: hours of a week, own days, public holidays. Read, or refused in words."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from portal.rules.hours import DAY_MINUTES, WEEKDAYS, Calendar, Holiday, Window, clock_text
from portal.wording import N_, sentence

_SPAN = re.compile(r"(\d{1,2}:\d{2})\s*[-–]\s*(\d{1,2}:\d{2})")


def parse_calendar(value: Mapping[str, Any], time_zone: str) -> Calendar:
    """The calendar of `{"windows": […], "days": […], "public_holidays": […]}`; else ValueError with a sentence to show.

    A window is `{"weekday": 0, "start": "09:00", "end": "17:30"}`: weekday 0 is Monday, times are "HH:MM" or
    minutes after midnight, "24:00" is allowed, and an end not after the start is on the next day. A day is
    `"2026-12-25"`, off, or `{"date": "2026-12-24", "name": "Christmas Eve", "windows": [{"start": …, "end":
    …}]}`, and wins over a public holiday, `{"date": …, "name": …}`, which is off unless it says `"is_worked": true`.
    A calendar needs at least one window in the week.
    """
    windows = tuple(_parse_window(item) for item in _list_in(value, "windows"))
    days = tuple(_parse_day(item) for item in _list_in(value, "days"))
    if not windows:
        raise ValueError(N_("The calendar has no working time: add at least one window."))
    dates = [day.date for day in days]
    for day in dates:
        if dates.count(day) > 1:
            raise ValueError(sentence("%(day)s is listed twice among the days.", day=f"{day:%d %B %Y}"))
    off = {day.date: day for day in _public_days_off(_list_in(value, "public_holidays"))}
    special = {**off, **{day.date: day for day in days}}
    return Calendar(time_zone, tuple(sorted(windows)), tuple(sorted(special.values())))


def spans_in(text: str) -> list[dict[str, str]]:
    """The windows of “09:00–12:30, 13:30–17:00”, to be put into a day. Raises ValueError with a sentence to show."""
    spans = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        matched = _SPAN.fullmatch(part)
        if matched is None:
            raise ValueError(
                sentence("Write hours like 09:00–12:30, 13:30–17:00, not “%(span)s”.", span=part)
            )
        spans.append({"start": matched[1], "end": matched[2]})
    return spans


def _public_days_off(items: Sequence[Any]) -> list[Holiday]:
    is_worked = [isinstance(item, Mapping) and item.get("is_worked") is True for item in items]
    return [_parse_day(item) for item, worked in zip(items, is_worked, strict=True) if not worked]


def _list_in(value: Mapping[str, Any], key: str) -> Sequence[Any]:
    items = value.get(key) or []
    if not isinstance(items, list | tuple):
        raise ValueError(sentence("The calendar's %(key)s must be a list.", key=key))  # noqa: TRY004
    return items


def _parse_window(item: Any) -> Window:
    if not isinstance(item, Mapping):
        raise ValueError(  # noqa: TRY004
            sentence("A window needs a weekday, a start and an end, not %(item)s.", item=repr(item))
        )
    weekday = item.get("weekday")
    if isinstance(weekday, bool) or not isinstance(weekday, int) or not 0 <= weekday <= 6:
        raise ValueError(
            sentence("A weekday is 0 (Monday) to 6 (Sunday), not %(weekday)s.", weekday=repr(weekday))
        )
    return Window(weekday, *_parse_span(item, WEEKDAYS[weekday]))


def _parse_day(item: Any) -> Holiday:
    fields = item if isinstance(item, Mapping) else {"date": item}
    raw = fields.get("date")
    try:
        day = raw if isinstance(raw, date) else date.fromisoformat(str(raw))
    except ValueError as error:
        raise ValueError(sentence("A day looks like 2026-12-25, not %(raw)s.", raw=repr(raw))) from error
    spans = tuple(sorted(_parse_span(window, f"{day:%d %B %Y}") for window in _list_in(fields, "windows")))
    return Holiday(day, spans, str(fields.get("name") or ""))


def _parse_span(item: Any, day: str) -> tuple[int, int]:
    if not isinstance(item, Mapping):
        raise ValueError(  # noqa: TRY004
            sentence("A window on %(day)s needs a start and an end, not %(item)s.", day=day, item=repr(item))
        )
    start, end = _parse_minute(item.get("start"), day), _parse_minute(item.get("end"), day)
    if end == start:
        raise ValueError(
            sentence("A window on %(day)s starts and ends at %(start)s.", day=day, start=clock_text(start))
        )
    return start, end if end > start else end + DAY_MINUTES


def _parse_minute(value: Any, day: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2 * DAY_MINUTES:
        return value
    hours, _, minutes = str(value).partition(":")
    if hours.isdecimal() and minutes.isdecimal() and len(minutes) == 2:
        minute = int(hours) * 60 + int(minutes)
        if int(minutes) < 60 and minute <= DAY_MINUTES:
            return minute
    raise ValueError(
        sentence("A time on %(day)s looks like 09:00, not %(value)s.", day=day, value=repr(value))
    )
