"""Business time against a reference that looks at the wall clock minute by minute."""

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.rules.calendars import parse_calendar
from portal.rules.hours import (
    Calendar,
    Holiday,
    NoWorkingTimeError,
    Window,
    add_working_seconds,
    add_working_time,
    always_open,
    is_working,
    next_opening,
    working_intervals,
    working_seconds,
    working_time,
)

MINUTE = timedelta(minutes=1)
# Days on which clocks change: forwards and back, by 60 and by 30 minutes, at midnight, in zones with half and
# three-quarter hours; and zones where nothing happens.
CHANGES = [
    ("Europe/London", date(2026, 3, 29)),
    ("Europe/London", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("America/St_Johns", date(2026, 3, 8)),
    ("America/St_Johns", date(2006, 10, 29)),
    ("Asia/Beirut", date(2026, 3, 29)),
    ("Asia/Beirut", date(2026, 10, 25)),
    ("Pacific/Chatham", date(2026, 4, 5)),
    ("Asia/Kolkata", date(2026, 6, 1)),
    ("Asia/Kathmandu", date(2028, 2, 29)),
    ("UTC", date(2026, 12, 31)),
]
OFFICE = Calendar("Europe/London", tuple(Window(day, 9 * 60, 17 * 60) for day in range(5)))


def works_at(calendar: Calendar, at: datetime) -> bool:
    """The definition, said as plainly as possible."""
    wall = at.astimezone(ZoneInfo(calendar.time_zone))
    minute = wall.hour * 60 + wall.minute

    def windows_of(day: date) -> list[tuple[int, int]]:
        for holiday in calendar.holidays:
            if holiday.date == day:
                return list(holiday.windows)
        return [(w.start_minute, w.end_minute) for w in calendar.windows if w.weekday == day.weekday()]

    yesterday = wall.date() - timedelta(days=1)
    return any(start <= minute < end for start, end in windows_of(wall.date())) or any(
        start <= minute + 1440 < end for start, end in windows_of(yesterday)
    )


def reference_minutes(calendar: Calendar, start: datetime, end: datetime) -> int:
    minutes = int((end - start) / MINUTE)
    return sum(works_at(calendar, start + number * MINUTE) for number in range(minutes))


@st.composite
def windows(draw: st.DrawFn, weekday: int) -> tuple[Window, ...]:
    """Disjoint windows of a week, some past midnight, with ends close to when clocks change on `weekday`."""
    week = 7 * 1440
    near_change = st.integers(-90, 240).map(lambda minute: (weekday * 1440 + minute) % week)
    cuts = sorted(draw(st.sets(st.integers(0, week - 1) | near_change, min_size=2, max_size=10)))
    return tuple(
        Window(start // 1440, start % 1440, start % 1440 + min(end - start, 1440))
        for start, end in zip(cuts[::2], cuts[1::2], strict=False)
    )


@dataclass(frozen=True)
class Situation:
    """A calendar with a clock change in sight, and a stretch of time about it, to the minute."""

    calendar: Calendar
    start: datetime
    end: datetime


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    zone, day = draw(st.sampled_from(CHANGES))
    half_day = st.sampled_from([(), ((0, 720),), ((540, 700), (800, 1000)), ((1200, 1600),)])
    holidays = tuple(
        Holiday(day + timedelta(days=distance), draw(half_day))
        for distance in sorted(draw(st.sets(st.integers(-12, 12), max_size=3)))
    )
    calendar = Calendar(zone, draw(windows(day.weekday())), holidays)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    start = midnight + draw(st.integers(-2 * 1440, 1440)) * MINUTE
    return Situation(calendar, start, start + draw(st.integers(0, 3 * 1440)) * MINUTE)


@settings(max_examples=150, deadline=None)
@given(situations())
def test_working_time_is_what_the_wall_clock_says_minute_by_minute(seen: Situation) -> None:
    assert working_seconds(seen.calendar, seen.start, seen.end) == 60 * reference_minutes(
        seen.calendar, seen.start, seen.end
    )


@settings(max_examples=10, deadline=None)
@given(situations(), st.integers(15, 30))
def test_skipping_whole_weeks_skips_nothing_else(seen: Situation, days_before: int) -> None:
    start = seen.start - timedelta(days=days_before)
    end = start + timedelta(days=45)
    assert working_seconds(seen.calendar, start, end) == 60 * reference_minutes(seen.calendar, start, end)


@settings(max_examples=100, deadline=None)
@given(situations(), st.integers(1, 70 * 86_400 * 10**6))
def test_adding_is_the_inverse_of_measuring(seen: Situation, micros: int) -> None:
    amount = timedelta(microseconds=micros)
    try:
        due = add_working_time(seen.calendar, seen.start, amount)
    except NoWorkingTimeError:  # a minute of work a week, and little else
        assert working_time(seen.calendar, seen.start, seen.start + timedelta(days=3600)) < amount
        return
    assert working_time(seen.calendar, seen.start, due) == amount
    assert working_time(seen.calendar, seen.start, due - timedelta(microseconds=1)) < amount


@settings(max_examples=50, deadline=None)
@given(situations(), st.integers(-60 * 1440, 60 * 1440))
def test_two_parts_make_the_whole(seen: Situation, minutes: int) -> None:
    start, end = seen.start - timedelta(days=50), seen.end + timedelta(days=50)
    middle = seen.start + minutes * MINUTE
    middle = max(start, min(end, middle))
    parts = working_time(seen.calendar, start, middle) + working_time(seen.calendar, middle, end)
    assert parts == working_time(seen.calendar, start, end)


@settings(max_examples=50, deadline=None)
@given(situations())
def test_the_intervals_are_in_order_apart_and_add_up(seen: Situation) -> None:
    found = list(working_intervals(seen.calendar, seen.start, seen.end))
    total = sum((end - start for start, end in found), timedelta())
    assert total == working_time(seen.calendar, seen.start, seen.end)
    for (_, end), (start, _) in pairwise(found):
        assert end < start
    for start, end in found:
        assert is_working(seen.calendar, start)
        assert end == seen.end or not is_working(seen.calendar, end)


@given(situations())
def test_without_closing_time_business_time_is_real_time(seen: Situation) -> None:
    calendar = always_open(seen.calendar.time_zone)
    assert working_time(calendar, seen.start, seen.end) == seen.end - seen.start


def test_a_day_that_a_zone_skipped_has_no_working_time() -> None:
    """Samoa went from Thursday 29 December 2011 to Saturday the 31st."""
    calendar = Calendar("Pacific/Apia", (Window(4, 0, 1440),))
    start, end = datetime(2011, 12, 28, tzinfo=UTC), datetime(2012, 1, 3, tzinfo=UTC)
    assert working_seconds(calendar, start, end) == 0
    assert working_time(always_open("Pacific/Apia"), start, end) == end - start


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "seconds", "due"),
    [
        ("2026-11-23T09:00", 3600, "2026-11-23T10:00"),
        ("2026-11-23T09:00", 8 * 3600, "2026-11-23T17:00"),  # closing time, not the next opening
        ("2026-11-23T16:30", 3600, "2026-11-24T09:30"),
        ("2026-11-20T16:00", 7200, "2026-11-23T10:00"),  # over the weekend
        ("2026-11-21T12:00", 60, "2026-11-23T09:01"),  # opened outside working hours
        ("2026-11-21T12:00", 0, "2026-11-21T12:00"),
        ("2026-03-27T16:00", 7200, "2026-03-30T09:00"),  # over the change to summer time
        ("2026-10-23T15:00", 7200, "2026-10-26T10:00"),  # and back
        ("2028-02-28T16:30", 3600, "2028-02-29T09:30"),  # a leap day
    ],
)
def test_due_moments_of_an_office(start: str, seconds: int, due: str) -> None:
    assert add_working_seconds(OFFICE, utc(start), seconds) == utc(due)


def test_a_night_shift_runs_into_a_holiday_that_is_not_its_own() -> None:
    calendar = Calendar("UTC", (Window(4, 22 * 60, 30 * 60),), (Holiday(date(2026, 11, 28)),))
    assert working_seconds(calendar, utc("2026-11-27T00:00"), utc("2026-11-29T00:00")) == 8 * 3600


def test_a_half_day_overlapping_the_night_shift_before_it_counts_once() -> None:
    calendar = Calendar("UTC", (Window(4, 22 * 60, 30 * 60),), (Holiday(date(2026, 11, 28), ((0, 720),)),))
    assert working_seconds(calendar, utc("2026-11-27T00:00"), utc("2026-11-29T00:00")) == 14 * 3600


def test_lunch_is_not_work() -> None:
    calendar = Calendar("UTC", (Window(0, 540, 720), Window(0, 780, 1020)))
    assert add_working_seconds(calendar, utc("2026-11-23T11:30"), 3600) == utc("2026-11-23T13:30")


def test_the_next_opening() -> None:
    assert next_opening(OFFICE, utc("2026-11-21T12:00")) == utc("2026-11-23T09:00")
    assert next_opening(OFFICE, utc("2026-11-23T12:00")) == utc("2026-11-23T12:00")


def test_an_end_before_its_start_is_no_time() -> None:
    assert working_seconds(OFFICE, utc("2026-11-24T12:00"), utc("2026-11-23T12:00")) == 0


def test_too_little_working_time_is_said_and_not_sought_for_ever() -> None:
    once = Calendar("UTC", (), (Holiday(date(2026, 12, 1), ((0, 60),)),))
    started = time.perf_counter()
    assert add_working_seconds(once, utc("2026-11-23T00:00"), 3600) == utc("2026-12-01T01:00")
    with pytest.raises(NoWorkingTimeError, match="ten years"):
        add_working_seconds(once, utc("2026-11-23T00:00"), 3601)
    assert time.perf_counter() - started < 2


def test_a_moment_needs_a_time_zone_and_time_runs_forwards() -> None:
    with pytest.raises(ValueError, match="time zone"):
        working_seconds(OFFICE, datetime(2026, 1, 1), utc("2026-01-02T00:00"))
    with pytest.raises(ValueError, match="backwards"):
        add_working_seconds(OFFICE, utc("2026-01-02T00:00"), -1)


def test_a_year_is_measured_fast() -> None:
    working_seconds(OFFICE, utc("2020-01-01T00:00"), utc("2020-02-01T00:00"))
    started = time.perf_counter()
    for hour in range(50):
        working_seconds(OFFICE, utc("2016-01-01T00:00") + timedelta(hours=hour), utc("2026-01-01T00:00"))
    assert (time.perf_counter() - started) / 50 < 0.05


@pytest.mark.parametrize(
    ("value", "zone", "words"),
    [
        ({}, "UTC", "no working time"),
        ({"windows": []}, "UTC", "no working time"),
        ({"windows": "nine to five"}, "UTC", "must be a list"),
        ({"windows": [7]}, "UTC", "needs a weekday"),
        ({"windows": [{"weekday": 7, "start": "09:00", "end": "17:00"}]}, "UTC", "0 (Monday) to 6"),
        ({"windows": [{"weekday": True, "start": "09:00", "end": "17:00"}]}, "UTC", "0 (Monday) to 6"),
        ({"windows": [{"weekday": 0, "start": "9", "end": "17:00"}]}, "UTC", "looks like 09:00"),
        ({"windows": [{"weekday": 0, "start": "09:60", "end": "17:00"}]}, "UTC", "looks like 09:00"),
        ({"windows": [{"weekday": 0, "end": "17:00"}]}, "UTC", "looks like 09:00"),
        ({"windows": [{"weekday": 0, "start": "09:00", "end": "09:00"}]}, "UTC", "starts and ends"),
        ({"windows": [{"weekday": 0, "start": 540, "end": 2880}]}, "UTC", "not possible"),
        (
            {
                "windows": [
                    {"weekday": 0, "start": a, "end": b} for a, b in (("09:00", "13:00"), ("12:00", "17:00"))
                ]
            },
            "UTC",
            "overlap: Monday 09:00 to 13:00 and Monday 12:00 to 17:00",
        ),
        (
            {
                "windows": [
                    {"weekday": 6, "start": "22:00", "end": "06:00"},
                    {"weekday": 0, "start": "05:00", "end": "09:00"},
                ]
            },
            "UTC",
            "overlap: Sunday 22:00 to 06:00 and Monday 05:00",
        ),
        ({"windows": [{"weekday": 0, "start": "09:00", "end": "17:00"}]}, "Europe/Lundun", "no time zone"),
        ({"windows": [{"weekday": 0, "start": "09:00", "end": "17:00"}]}, "../etc/passwd", "no time zone"),
        ({"windows": [{"weekday": 0, "start": "09:00", "end": "17:00"}]}, "", "no time zone"),
        (
            {"windows": [{"weekday": 0, "start": "09:00", "end": "17:00"}], "days": ["25.12."]},
            "UTC",
            "looks like 2026-12-25",
        ),
        (
            {"windows": [{"weekday": 0, "start": "09:00", "end": "17:00"}], "days": ["2026-12-25"] * 2},
            "UTC",
            "25 December 2026 is listed twice",
        ),
        (
            {
                "windows": [{"weekday": 0, "start": "09:00", "end": "17:00"}],
                "days": [
                    {"date": "2026-12-24", "windows": [{"start": 0, "end": 9}, {"start": 8, "end": 20}]}
                ],
            },
            "UTC",
            "overlap on 24 December 2026",
        ),
    ],
)
def test_a_calendar_that_cannot_be_is_refused_in_words(
    value: dict[str, object], zone: str, words: str
) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the words are compared below
        parse_calendar(value, zone)
    assert words in str(refusal.value)


def test_a_calendar_is_read_from_what_the_admin_entered() -> None:
    calendar = parse_calendar(
        {
            "windows": [
                {"weekday": 4, "start": "22:00", "end": "06:00"},
                {"weekday": 0, "start": "09:00", "end": "24:00"},
            ],
            "days": [
                "2026-12-25",
                {
                    "date": "2026-12-24",
                    "name": "Christmas Eve",
                    "windows": [{"start": "09:00", "end": "12:00"}],
                },
            ],
        },
        "Asia/Kolkata",
    )
    assert calendar.windows == (Window(0, 540, 1440), Window(4, 1320, 1800))
    assert calendar.holidays == (
        Holiday(date(2026, 12, 24), ((540, 720),), "Christmas Eve"),
        Holiday(date(2026, 12, 25)),
    )


def test_windows_that_touch_are_one_stretch() -> None:
    calendar = parse_calendar(
        {"windows": [{"weekday": d, "start": "00:00", "end": "24:00"} for d in range(7)]}, "UTC"
    )
    assert list(working_intervals(calendar, utc("2026-11-23T00:00"), utc("2026-11-30T00:00"))) == [
        (utc("2026-11-23T00:00"), utc("2026-11-30T00:00"))
    ]
