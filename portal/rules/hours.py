"""Business time: how much of it lies between two moments, and when a given amount of it has passed.

A calendar says what the wall clock of its time zone shows during work; a moment is working time when its wall
clock time lies in a window. So an hour that a clock change skips is no working time, and one that it repeats
counts twice. Whole weeks without holiday, clock change or new hours are counted at once.

Hours that change over the years are `Eras`: versions of a calendar, each valid from a date on. How calendars are
written down says `portal.rules.calendars`.
"""

import heapq
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

from portal.wording import sentence

DAY_MINUTES = 24 * 60
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SECOND = 1_000_000  # moments are counted in microseconds since 1970, UTC
_DAY = 86_400 * _SECOND
_WEEK = 7 * _DAY
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LOOK_AHEAD_DAYS = 3660
_BEGINNING, _END = -(2**62), 2**62


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

    @property
    def eras(self) -> "tuple[tuple[int, Calendar], ...]":
        """As of `Eras`: this one, always."""
        return ((_BEGINNING, self),)

    def as_known(self, at: datetime) -> Self:  # noqa: ARG002
        """As of `Eras`: itself."""
        return self


class Version(NamedTuple):
    """What a calendar says from the beginning of a date on, and since when that is known."""

    valid_from: date
    recorded_at: datetime
    calendar: Calendar


@dataclass(frozen=True, slots=True)
class Eras:
    """A calendar whose hours change: its versions in the order in which they were recorded, at least one.

    A day is counted by the version with the latest "valid from" that it has reached, of those with the same date by
    the one recorded last, and before the first date by the first. A version begins with the midnight of its date in
    its own time zone; a window counts when it starts before the next version begins, and then to its end.
    """

    versions: tuple[Version, ...]
    # Since when (microseconds) which hours hold.
    eras: tuple[tuple[int, Calendar], ...] = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash(self.versions))
        object.__setattr__(self, "eras", _eras_of(self.versions))

    def __hash__(self) -> int:
        return self._hash

    def as_known(self, at: datetime) -> "Eras":
        """Without the versions recorded after that moment; the first one was always known."""
        if all(version.recorded_at <= at for version in self.versions):
            return self
        known = tuple(version for version in self.versions if version.recorded_at <= at)
        return _kept_eras(known or self.versions[:1])

    def valid_on(self, day: date) -> Version:
        """The version that counts on that date."""
        standing = standing_versions(self.versions)
        reached = [version for version in standing if version.valid_from <= day]
        return reached[-1] if reached else standing[0]


Hours = Calendar | Eras


def standing_versions(versions: Sequence[Version]) -> list[Version]:
    """By date, without those that a version recorded later for the same date has replaced."""
    by_date = {version.valid_from: version for version in versions}
    return [by_date[day] for day in sorted(by_date)]


def with_windows(calendar: Hours, windows: tuple[Window, ...]) -> Hours:
    """The same days and time zones with other windows in every week."""
    if isinstance(calendar, Calendar):
        return Calendar(calendar.time_zone, windows, calendar.holidays)
    return Eras(
        tuple(
            version._replace(
                calendar=Calendar(version.calendar.time_zone, windows, version.calendar.holidays)
            )
            for version in calendar.versions
        )
    )


def with_version(calendar: Hours, version: Version) -> Eras:
    """The calendar with another version, recorded last."""
    return Eras((*(calendar.versions if isinstance(calendar, Eras) else ()), version))


def always_open(time_zone: str = "UTC") -> Calendar:
    """A calendar without closing time: its working time is real time."""
    return Calendar(time_zone, tuple(Window(weekday, 0, DAY_MINUTES) for weekday in range(7)))


def working_time(calendar: Hours, start: datetime, end: datetime) -> timedelta:
    """Exact working time between two aware moments; zero when `end` is not after `start`."""
    return timedelta(microseconds=_working(calendar, _micros(start), _micros(end)))


def working_seconds(calendar: Hours, start: datetime, end: datetime) -> int:
    """Whole seconds of working time between two aware moments; 0 when `end` is not after `start`."""
    return _working(calendar, _micros(start), _micros(end)) // _SECOND


def add_working_time(calendar: Hours, start: datetime, amount: timedelta) -> datetime:
    """The first moment (UTC) by which `amount` of working time has passed since `start`.

    At the end of a day this is closing time, not the next opening. Raises NoWorkingTimeError when it is more
    than ten years away and ValueError when `amount` is negative.
    """
    remaining = amount // timedelta(microseconds=1)
    if remaining < 0:
        raise ValueError("working time cannot be added backwards")
    position = _micros(start)
    limit = position + _LOOK_AHEAD_DAYS * _DAY
    while remaining > 0:
        weekly = _week_total(_era_at(calendar, position))
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


def add_working_seconds(calendar: Hours, start: datetime, seconds: int) -> datetime:
    """The first moment (UTC) by which that many working seconds have passed: see `add_working_time`."""
    return add_working_time(calendar, start, timedelta(seconds=seconds))


def working_intervals(calendar: Hours, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
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


def day_windows(calendar: Hours, day: date) -> tuple[tuple[int, int], ...]:
    """The windows that start on a local date, in minutes after its midnight, in order."""
    version = calendar.valid_on(day).calendar if isinstance(calendar, Eras) else calendar
    return tuple(sorted(_day_windows(version, day.toordinal())))


def hours_at(calendar: Hours, at: datetime) -> Calendar:
    """What the calendar says at that moment."""
    return _era_at(calendar, _micros(at))


def is_working(calendar: Hours, at: datetime) -> bool:
    """Whether the moment is working time; the opening moment is, the closing one is not."""
    return any(_intervals(calendar, _micros(at), _micros(at) + 1))


def next_opening(calendar: Hours, at: datetime) -> datetime:
    """The next working moment (UTC), `at` itself while open. Raises as `add_working_time` does."""
    return at if is_working(calendar, at) else _reached(calendar, at)


def _reached(calendar: Hours, at: datetime) -> datetime:
    return add_working_time(calendar, at, timedelta(microseconds=1)) - timedelta(microseconds=1)


def _working(calendar: Hours, start: int, end: int) -> int:
    total = 0
    while end - start >= _WEEK:
        weeks = _plain_weeks(calendar, start, (end - start) // _WEEK)
        if weeks:
            total += weeks * _week_total(_era_at(calendar, start))
        else:
            weeks = 1
            total += sum(finish - begin for begin, finish in _intervals(calendar, start, start + _WEEK))
        start += weeks * _WEEK
    return total + sum(finish - begin for begin, finish in _intervals(calendar, start, end))


def _plain_weeks(calendar: Hours, start: int, most: int) -> int:
    """How many weeks from `start`, at most `most`, have no holiday, clock change or new hours near them."""
    if most <= 0:
        return 0
    days = _special_days(calendar)
    first = _utc_day(start) - 3
    index = bisect_left(days, first)
    if index < len(days):
        most = min(most, (days[index] - first - 6) // 7)
    time_zone = _era_at(calendar, start).time_zone
    offset = _offset(time_zone, start - 3 * _DAY)
    weeks = 0
    while weeks < most and _offset(time_zone, start + (weeks + 1) * _WEEK + 3 * _DAY) == offset:
        weeks += 1
    return weeks


def _intervals(calendar: Hours, start: int, end: int) -> Iterator[tuple[int, int]]:
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
def _day_intervals(calendar: Hours, day: int) -> tuple[tuple[int, int], ...]:
    """The working intervals of the windows that start on a local date (an ordinal)."""
    midnight = (day - _EPOCH_DAY) * _DAY
    found: list[tuple[int, int]] = []
    for (begin, hours), (until, _) in pairwise([*calendar.eras, (_END, None)]):
        # In UTC a window starts within two days of its own.
        if hours is None or begin > midnight + 3 * _DAY or until < midnight - 2 * _DAY:
            continue
        for start, end in _day_windows(hours, day):
            pieces = _wall_to_utc(
                hours.time_zone, midnight + start * 60 * _SECOND, midnight + end * 60 * _SECOND
            )
            if pieces and begin <= pieces[0][0] < until:
                found += pieces
    return tuple(found)


def _day_windows(calendar: Calendar, day: int) -> Sequence[tuple[int, int]]:
    holidays = _holidays_by_day(calendar)
    if day in holidays:
        return holidays[day]
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
def _holidays_by_day(calendar: Calendar) -> dict[int, tuple[tuple[int, int], ...]]:
    return {holiday.date.toordinal(): holiday.windows for holiday in calendar.holidays}


@lru_cache(maxsize=1000)
def _special_days(calendar: Hours) -> list[int]:
    """Holidays, and the days on which new hours begin."""
    days = {day for _, hours in calendar.eras for day in _holidays_by_day(hours)}
    return sorted(days | {_utc_day(begin) for begin, _ in calendar.eras[1:]})


def _era_at(calendar: Hours, at: int) -> Calendar:
    """The hours that hold at that moment."""
    return next(hours for begin, hours in reversed(calendar.eras) if begin <= at)


def _eras_of(versions: Sequence[Version]) -> tuple[tuple[int, Calendar], ...]:
    eras: list[tuple[int, Calendar]] = []
    for version in standing_versions(versions):
        begin = _day_start(version.calendar.time_zone, version.valid_from.toordinal())
        # A later date can begin earlier, in a zone far to the east.
        while eras and eras[-1][0] >= begin:
            eras.pop()
        eras.append((begin, version.calendar))
    return ((_BEGINNING, eras[0][1]), *eras[1:])


@lru_cache(maxsize=1000)
def _kept_eras(versions: tuple[Version, ...]) -> Eras:
    return Eras(versions)


def _day_start(time_zone: str, day: int) -> int:
    """The first moment of a local date; of the next one where the zone skipped it."""
    midnight = (day - _EPOCH_DAY) * _DAY
    pieces = _wall_to_utc(time_zone, midnight, midnight + _DAY)
    return pieces[0][0] if pieces else _day_start(time_zone, day + 1)


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
                start=clock_text(start),
                end=clock_text(end),
                day=day,
            )
        )


def _shown(window: Window) -> str:
    return f"{WEEKDAYS[window.weekday]} {clock_text(window.start_minute)} to {clock_text(window.end_minute)}"


def clock_text(minute: int) -> str:
    """Minutes after midnight as HH:MM, those of the next day as well."""
    return f"{minute // 60 % 24:02}:{minute % 60:02}" if minute != DAY_MINUTES else "24:00"
