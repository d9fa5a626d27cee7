"""Business time: how much of it lies between two moments, and when a given amount of it has passed.

A calendar says what the wall clock of its time zone shows during work; a moment is working time when its wall
clock time lies in a window. So an hour that a clock change skips is no working time, and one that it repeats
counts twice. Whole weeks without holiday or clock change are counted at once.
"""

import heapq
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from portal.wording import N_, sentence

DAY_MINUTES = 24 * 60
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SECOND = 1_000_000  # moments are counted in microseconds since 1970, UTC
_DAY = 86_400 * _SECOND
_WEEK = 7 * _DAY
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LOOK_AHEAD_DAYS = 3660


class NoWorkingTimeError(ValueError):
    """The calendar has not enough working time within ten years."""


class Window(NamedTuple):
    """Work on a weekday (0 is Monday), in minutes after its midnight; an end over 1440 is past midnight."""

    weekday: int
    start_minute: int
    end_minute: int


class Holiday(NamedTuple):
    """A date whose own (start, end) windows replace the weekday's; none for a whole day off."""

    date: date
    windows: tuple[tuple[int, int], ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Working hours in a time zone. A window belongs to the date on which it starts, past midnight too.

    Raises ValueError for overlapping windows, windows outside their bounds or an unknown time zone.
    """

    time_zone: str
    windows: tuple[Window, ...]
    holidays: tuple[Holiday, ...] = ()
    # What its days are kept by, asked for many times over.
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.time_zone, self.windows, self.holidays)))
        _zone(self.time_zone)
        _check_windows(self.windows)
        for holiday in self.holidays:
            _check_day(holiday.windows, f"{holiday.date:%d %B %Y}")

    def __hash__(self) -> int:
        return self._hash


def parse_calendar(value: Mapping[str, Any], time_zone: str) -> Calendar:
    """The calendar of `{"windows": […], "holidays": […]}`; else ValueError with a sentence to show.

    A window is `{"weekday": 0, "start": "09:00", "end": "17:30"}`: weekday 0 is Monday, times are "HH:MM" or
    minutes after midnight, "24:00" is allowed, and an end not after the start is on the next day. A holiday
    is `"2026-12-25"` or `{"date": "2026-12-24", "name": "Christmas Eve", "windows": [{"start": …, "end":
    …}]}`. A calendar needs at least one window in the week.
    """
    windows = tuple(_parse_window(item) for item in _list_in(value, "windows"))
    holidays = tuple(_parse_holiday(item) for item in _list_in(value, "holidays"))
    if not windows:
        raise ValueError(N_("The calendar has no working time: add at least one window."))
    dates = [holiday.date for holiday in holidays]
    for day in dates:
        if dates.count(day) > 1:
            raise ValueError(sentence("%(day)s is listed twice among the holidays.", day=f"{day:%d %B %Y}"))
    return Calendar(time_zone, tuple(sorted(windows)), tuple(sorted(holidays)))


def always_open(time_zone: str = "UTC") -> Calendar:
    """A calendar without closing time: its working time is real time."""
    return Calendar(time_zone, tuple(Window(weekday, 0, DAY_MINUTES) for weekday in range(7)))


def working_time(calendar: Calendar, start: datetime, end: datetime) -> timedelta:
    """Exact working time between two aware moments; zero when `end` is not after `start`."""
    return timedelta(microseconds=_working(calendar, _micros(start), _micros(end)))


def working_seconds(calendar: Calendar, start: datetime, end: datetime) -> int:
    """Whole seconds of working time between two aware moments; 0 when `end` is not after `start`."""
    return _working(calendar, _micros(start), _micros(end)) // _SECOND


def add_working_time(calendar: Calendar, start: datetime, amount: timedelta) -> datetime:
    """The first moment (UTC) by which `amount` of working time has passed since `start`.

    At the end of a day this is closing time, not the next opening. Raises NoWorkingTimeError when it is more
    than ten years away and ValueError when `amount` is negative.
    """
    remaining = amount // timedelta(microseconds=1)
    if remaining < 0:
        raise ValueError("working time cannot be added backwards")
    position = _micros(start)
    limit = position + _LOOK_AHEAD_DAYS * _DAY
    weekly = _week_total(calendar)
    while remaining > 0:
        weeks = _plain_weeks(calendar, position, (remaining - 1) // weekly) if weekly else 0
        if weeks:
            position += weeks * _WEEK
            remaining -= weeks * weekly
            continue
        if position > limit:
            raise NoWorkingTimeError(
                sentence(
                    "There is not enough working time within ten years of %(start)s.",
                    start=f"{start:%d %B %Y}",
                )
            )
        for begin, finish in _intervals(calendar, position, position + _WEEK):
            if finish - begin >= remaining:
                return _moment(begin + remaining)
            remaining -= finish - begin
        position += _WEEK
    return _moment(position)


def add_working_seconds(calendar: Calendar, start: datetime, seconds: int) -> datetime:
    """The first moment (UTC) by which that many working seconds have passed: see `add_working_time`."""
    return add_working_time(calendar, start, timedelta(seconds=seconds))


def working_intervals(
    calendar: Calendar, start: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """The stretches of working time between two moments, in order, UTC, touching ones joined."""
    pending: tuple[int, int] | None = None
    for begin, finish in _intervals(calendar, _micros(start), _micros(end)):
        if pending and pending[1] == begin:
            pending = (pending[0], finish)
            continue
        if pending:
            yield _moment(pending[0]), _moment(pending[1])
        pending = (begin, finish)
    if pending:
        yield _moment(pending[0]), _moment(pending[1])


def is_working(calendar: Calendar, at: datetime) -> bool:
    """Whether the moment is working time; the opening moment is, the closing one is not."""
    return any(_intervals(calendar, _micros(at), _micros(at) + 1))


def next_opening(calendar: Calendar, at: datetime) -> datetime:
    """The next working moment (UTC), `at` itself while open. Raises as `add_working_time` does."""
    return at if is_working(calendar, at) else _reached(calendar, at)


def _reached(calendar: Calendar, at: datetime) -> datetime:
    return add_working_time(calendar, at, timedelta(microseconds=1)) - timedelta(microseconds=1)


def _working(calendar: Calendar, start: int, end: int) -> int:
    total = 0
    while end - start >= _WEEK:
        weeks = _plain_weeks(calendar, start, (end - start) // _WEEK)
        if weeks:
            total += weeks * _week_total(calendar)
        else:
            weeks = 1
            total += sum(finish - begin for begin, finish in _intervals(calendar, start, start + _WEEK))
        start += weeks * _WEEK
    return total + sum(finish - begin for begin, finish in _intervals(calendar, start, end))


def _plain_weeks(calendar: Calendar, start: int, most: int) -> int:
    """How many weeks from `start`, at most `most`, have neither a holiday nor a clock change near them."""
    if most <= 0:
        return 0
    days = _holiday_days(calendar)
    first = _utc_day(start) - 3
    index = bisect_left(days, first)
    if index < len(days):
        most = min(most, (days[index] - first - 6) // 7)
    offset = _offset(calendar.time_zone, start - 3 * _DAY)
    weeks = 0
    while weeks < most and _offset(calendar.time_zone, start + (weeks + 1) * _WEEK + 3 * _DAY) == offset:
        weeks += 1
    return weeks


def _intervals(calendar: Calendar, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The working intervals within [start, end), ascending and disjoint."""
    if end <= start:
        return
    waiting: list[tuple[int, int]] = []
    covered = start
    for day in range(_utc_day(start) - 3, _utc_day(end) + 2):
        for interval in _day_intervals(calendar, day):
            heapq.heappush(waiting, interval)
        # No zone is 16 hours ahead of UTC: later days bring nothing that starts before this.
        horizon = (day - _EPOCH_DAY + 1) * _DAY - 16 * 3600 * _SECOND
        while waiting and waiting[0][0] < horizon:
            begin, finish = heapq.heappop(waiting)
            begin, finish = max(begin, covered), min(finish, end)
            if begin < finish:
                yield begin, finish
                covered = finish
        if covered >= end:
            return
    for begin, finish in sorted(waiting):
        begin, finish = max(begin, covered), min(finish, end)  # noqa: PLW2901
        if begin < finish:
            yield begin, finish
            covered = finish


@lru_cache(maxsize=20_000)
def _day_intervals(calendar: Calendar, day: int) -> tuple[tuple[int, int], ...]:
    """The working intervals of the windows that start on a local date (an ordinal)."""
    midnight = (day - _EPOCH_DAY) * _DAY
    return tuple(
        interval
        for start, end in _day_windows(calendar, day)
        for interval in _wall_to_utc(
            calendar.time_zone, midnight + start * 60 * _SECOND, midnight + end * 60 * _SECOND
        )
    )


def _day_windows(calendar: Calendar, day: int) -> Sequence[tuple[int, int]]:
    for holiday in calendar.holidays:
        if holiday.date.toordinal() == day:
            return holiday.windows
    weekday = (day - 1) % 7
    return [
        (window.start_minute, window.end_minute) for window in calendar.windows if window.weekday == weekday
    ]


def _wall_to_utc(time_zone: str, start: int, end: int) -> list[tuple[int, int]]:
    """The moments at which the wall clock shows [start, end), both as if UTC."""
    low, high = start - 26 * 3600 * _SECOND, end + 26 * 3600 * _SECOND
    before, after = _offset(time_zone, low), _offset(time_zone, high)
    if before == after:
        return [(start - before, end - before)]
    change = _change(time_zone, low, high)
    pieces = [(start - before, min(end - before, change)), (max(start - after, change), end - after)]
    return [(begin, finish) for begin, finish in pieces if begin < finish]


def _change(time_zone: str, low: int, high: int) -> int:
    """The first moment with the offset of `high`, to the second."""
    target = _offset(time_zone, high)
    first, last = low // _SECOND, high // _SECOND
    while last - first > 1:
        middle = (first + last) // 2
        if _offset(time_zone, middle * _SECOND) == target:
            last = middle
        else:
            first = middle
    return last * _SECOND


def _offset(time_zone: str, at: int) -> int:
    offset = _moment(at).astimezone(_zone(time_zone)).utcoffset()
    assert offset is not None
    return offset // timedelta(microseconds=1)


@lru_cache(maxsize=1000)
def _week_total(calendar: Calendar) -> int:
    return sum(window.end_minute - window.start_minute for window in calendar.windows) * 60 * _SECOND


@lru_cache(maxsize=1000)
def _holiday_days(calendar: Calendar) -> list[int]:
    return sorted(holiday.date.toordinal() for holiday in calendar.holidays)


@lru_cache(maxsize=1000)
def _zone(time_zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            sentence(
                "There is no time zone %(time_zone)s; write it like Europe/London.", time_zone=repr(time_zone)
            )
        ) from error


def _micros(at: datetime) -> int:
    if at.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return (at - _EPOCH) // timedelta(microseconds=1)


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _utc_day(micros: int) -> int:
    return _EPOCH_DAY + micros // _DAY


def _check_windows(windows: Sequence[Window]) -> None:
    for window in windows:
        if not 0 <= window.weekday <= 6:
            raise ValueError(
                sentence("A weekday is 0 (Monday) to 6 (Sunday), not %(weekday)s.", weekday=window.weekday)
            )
        _check_bounds(window.start_minute, window.end_minute, WEEKDAYS[window.weekday])
    week = 7 * DAY_MINUTES
    spans = sorted(
        (w.weekday * DAY_MINUTES + w.start_minute, w.end_minute - w.start_minute, w) for w in windows
    )
    for (start, length, first), (following, _, second) in zip(
        spans, [*spans[1:], *[(s + week, n, w) for s, n, w in spans[:1]]], strict=True
    ):
        if start + length > following:
            raise ValueError(
                sentence(
                    "Two windows overlap: %(first)s and %(second)s.",
                    first=_shown(first),
                    second=_shown(second),
                )
            )


def _check_day(windows: Sequence[tuple[int, int]], day: str) -> None:
    for start, end in windows:
        _check_bounds(start, end, day)
    ordered = sorted(windows)
    for (_, end), (start, _) in pairwise(ordered):
        if end > start:
            raise ValueError(sentence("Two windows overlap on %(day)s.", day=day))


def _check_bounds(start: int, end: int, day: str) -> None:
    if not 0 <= start < DAY_MINUTES or not start < end <= start + DAY_MINUTES:
        raise ValueError(
            sentence(
                "The window %(start)s to %(end)s on %(day)s is not possible.",
                start=_clock(start),
                end=_clock(end),
                day=day,
            )
        )


def _shown(window: Window) -> str:
    return f"{WEEKDAYS[window.weekday]} {_clock(window.start_minute)} to {_clock(window.end_minute)}"


def _clock(minute: int) -> str:
    return f"{minute // 60 % 24:02}:{minute % 60:02}" if minute != DAY_MINUTES else "24:00"


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


def _parse_holiday(item: Any) -> Holiday:
    fields = item if isinstance(item, Mapping) else {"date": item}
    raw = fields.get("date")
    try:
        day = raw if isinstance(raw, date) else date.fromisoformat(str(raw))
    except ValueError as error:
        raise ValueError(
            sentence("A holiday's date looks like 2026-12-25, not %(raw)s.", raw=repr(raw))
        ) from error
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
            sentence("A window on %(day)s starts and ends at %(start)s.", day=day, start=_clock(start))
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
