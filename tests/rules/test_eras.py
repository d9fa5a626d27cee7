"""Calendars whose hours change, against a reference that looks at the wall clock minute by minute."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.rules.hours import (
    Calendar,
    Eras,
    Holiday,
    NoWorkingTimeError,
    Version,
    Window,
    add_working_time,
    always_open,
    hours_at,
    with_windows,
    working_intervals,
    working_seconds,
    working_time,
)
from portal.rules.policies import Policy, always
from portal.rules.sla import ClockView, compute_clocks
from portal.rules.waits import TicketEvent
from tests.rules.test_hours import CHANGES, OFFICE, utc, windows
from tests.rules.wall_clock import MINUTE, working_minutes

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
ZONES = [zone for zone, _ in CHANGES] + ["Pacific/Kiritimati", "Pacific/Pago_Pago", "America/Sao_Paulo"]


@dataclass(frozen=True)
class Situation:
    """Versions of a calendar in the order of recording, and a stretch about a day on which something changes."""

    versions: tuple[Version, ...]
    start: datetime
    end: datetime

    @property
    def eras(self) -> Eras:
        return Eras(self.versions)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    zone, day = draw(st.sampled_from(CHANGES))
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    start = midnight + draw(st.integers(-2 * 1440, 1440)) * MINUTE
    end = start + draw(st.integers(1, 3 * 1440)) * MINUTE
    return Situation(draw(versions_about(zone, day, start, end)), start, end)


@st.composite
def versions_about(
    draw: st.DrawFn, zone: str, day: date, start: datetime, end: datetime
) -> tuple[Version, ...]:
    """One to four versions that begin within days of `day`, recorded before, during and after the stretch."""
    length = int((end - start) / MINUTE)
    recorded = sorted(draw(st.lists(st.integers(-600, length + 600), min_size=1, max_size=4)))
    found = []
    for minutes in recorded:
        half_day = st.sampled_from([(), ((0, 720),), ((540, 700), (800, 1000)), ((1200, 1600),)])
        holidays = tuple(
            Holiday(day + timedelta(days=distance), draw(half_day))
            for distance in sorted(draw(st.sets(st.integers(-3, 4), max_size=3)))
        )
        own_zone = draw(st.just(zone) | st.sampled_from(ZONES))
        hours = draw(windows(day.weekday()) | st.just(always_open().windows))
        found.append(
            Version(
                day + timedelta(days=draw(st.integers(-3, 4))),
                start + minutes * MINUTE,
                Calendar(own_zone, hours, holidays),
            )
        )
    return tuple(found)


@settings(max_examples=50, deadline=None)
@given(situations())
def test_time_over_new_hours_is_what_the_wall_clock_says_minute_by_minute(seen: Situation) -> None:
    worked = working_minutes(seen.versions, seen.start, seen.end)
    assert working_seconds(seen.eras, seen.start, seen.end) == 60 * sum(worked)


@settings(max_examples=50, deadline=None)
@given(situations(), st.integers(1, 40 * 86_400 * 10**6), st.integers(0, 60))
def test_adding_over_new_hours_is_the_inverse_of_measuring(
    seen: Situation, micros: int, days_before: int
) -> None:
    amount, start = timedelta(microseconds=micros), seen.start - timedelta(days=days_before)
    try:
        due = add_working_time(seen.eras, start, amount)
    except NoWorkingTimeError:
        assert working_time(seen.eras, start, start + timedelta(days=3600)) < amount
        return
    assert working_time(seen.eras, start, due) == amount
    assert working_time(seen.eras, start, due - timedelta(microseconds=1)) < amount
    listed = sum((end - begin for begin, end in working_intervals(seen.eras, start, due)), timedelta())
    assert listed == amount


@settings(max_examples=40, deadline=None)
@given(situations(), st.integers(-70, 70))
def test_two_parts_over_new_hours_make_the_whole(seen: Situation, days: int) -> None:
    start, end = seen.start - timedelta(days=60), seen.end + timedelta(days=60)
    middle = max(start, min(end, seen.start + timedelta(days=days)))
    parts = working_time(seen.eras, start, middle) + working_time(seen.eras, middle, end)
    assert parts == working_time(seen.eras, start, end)


@settings(max_examples=40, deadline=None)
@given(situations(), st.integers(0, 4))
def test_what_is_recorded_later_is_unknown_before(seen: Situation, count: int) -> None:
    at = seen.versions[min(count, len(seen.versions) - 1)].recorded_at
    known = tuple(version for version in seen.versions if version.recorded_at <= at)
    assert seen.eras.as_known(at) == Eras(known)
    assert seen.eras.as_known(LONG_AGO) == Eras(seen.versions[:1])


@settings(max_examples=40, deadline=None)
@given(situations())
def test_around_the_clock_stays_so_in_whatever_zone(seen: Situation) -> None:
    everywhere = with_windows(
        Eras(tuple(v._replace(calendar=Calendar(v.calendar.time_zone, ())) for v in seen.versions)),
        always_open().windows,
    )
    assert working_time(everywhere, seen.start, seen.end) == seen.end - seen.start


@st.composite
def stories(draw: st.DrawFn) -> tuple[Situation, list[tuple[int, str]], int]:
    """A situation, what happened to a ticket at which of its minutes, and a target in minutes."""
    seen = draw(situations())
    length = int((seen.end - seen.start) / MINUTE)
    moments = sorted(draw(st.sets(st.integers(1, length - 1), max_size=8))) if length > 1 else []
    happened: list[tuple[int, str]] = []
    for minute in moments:
        # What a reply to a finished ticket means is told in test_sla.
        is_resolved = [what for _, what in happened if what != "reply"][-1:] == ["resolved"]
        after = ["open", "pending"] if is_resolved else ["open", "pending", "resolved", "reply"]
        happened.append((minute, draw(st.sampled_from(after))))
    return seen, happened, draw(st.integers(1, 400))


@settings(max_examples=80, deadline=None)
@given(stories())
def test_clocks_of_a_ticket_are_what_is_counted_minute_by_minute(
    story: tuple[Situation, list[tuple[int, str]], int],
) -> None:
    seen, happened, target = story
    policy = Policy({"first_response": target * 60, "resolution": target * 60})
    clocks = {
        clock.kind: clock
        for clock in compute_clocks(_events(seen, happened), always(policy, seen.eras), seen.end)
    }
    length = int((seen.end - seen.start) / MINUTE)
    for kind, (running, stopped) in _reference(happened, length).items():
        clock = clocks[kind]
        assert clock.stopped_at == (None if stopped is None else seen.start + stopped * MINUTE)
        known_at = seen.end if stopped is None else seen.start + stopped * MINUTE
        known = [each for each in seen.versions if each.recorded_at <= known_at] or seen.versions[:1]
        worked = working_minutes(known, seen.start, seen.end)
        counted = [run and work for run, work in zip(running, worked, strict=True)]
        assert clock.elapsed_seconds == 60 * sum(counted)
        assert clock.is_breached is (sum(counted) > target)
        if clock.is_breached:
            assert clock.due_at == seen.start + _reached(counted, target) * MINUTE


def _events(seen: Situation, happened: Sequence[tuple[int, str]]) -> list[TicketEvent]:
    told = [TicketEvent("ticket_opened", seen.start, {}), TicketEvent("message_received", seen.start, {})]
    for minute, what in happened:
        at = seen.start + minute * MINUTE
        told.append(
            TicketEvent("reply_sent", at, {})
            if what == "reply"
            else TicketEvent("status_changed", at, {"to": what})
        )
    return told


def _reference(happened: Sequence[tuple[int, str]], length: int) -> dict[str, tuple[list[bool], int | None]]:
    """Which minutes of the first response and the resolution run, and at which minute they have stopped."""
    by_minute = dict(happened)
    status = "new"
    resolved: int | None = None
    answered: int | None = None
    resolution, first = [], []
    for minute in range(length):
        what = by_minute.get(minute, status)
        if what == "reply":
            answered = minute if answered is None else answered
        else:
            status = what
        if status != "resolved":
            resolved = None
        elif resolved is None:
            resolved = minute
        resolution.append(status in ("new", "open"))
        first.append(answered is None and status != "resolved")
    # What is resolved without an answer is owed none, until it is opened again.
    ended = answered if answered is not None else resolved
    return {"resolution": (resolution, resolved), "first_response": (first, ended)}


def _reached(counted: Sequence[bool], target: int) -> int:
    """The number of the minute at whose end the target has been counted."""
    total = 0
    for minute, counts in enumerate(counted):
        total += counts
        if total == target:
            return minute + 1
    raise AssertionError


MONDAY = utc("2026-11-23T09:00")
DAY_OFF = Calendar("Europe/London", OFFICE.windows, (Holiday(date(2026, 11, 23)),))
TARGET = Policy({"first_response": 2 * 3600}, name="Two hours")


def version(valid_from: str, recorded_at: str, calendar: Calendar) -> Version:
    return Version(date.fromisoformat(valid_from), utc(recorded_at), calendar)


def first_response(calendar: Eras, now: str, *events: TicketEvent) -> ClockView:
    opened = [TicketEvent("ticket_opened", MONDAY, {}), TicketEvent("message_received", MONDAY, {})]
    (clock,) = compute_clocks([*opened, *events], always(TARGET, calendar), utc(now))
    return clock


# Recorded at noon of the day itself.
ADDED = Eras(
    (version("1970-01-01", "2020-01-01T00:00", OFFICE), version("2026-11-23", "2026-11-23T12:00", DAY_OFF))
)


def test_holiday_added_after_the_fact_does_not_change_a_met_clock() -> None:
    reply = TicketEvent("reply_sent", utc("2026-11-23T10:00"), {})
    met = first_response(ADDED, "2026-11-24T12:00", reply)
    assert (met.state, met.elapsed_seconds) == ("met", 3600)
    late = TicketEvent("reply_sent", utc("2026-11-23T11:30"), {})
    missed = first_response(ADDED, "2026-11-24T12:00", late)
    assert (missed.state, missed.elapsed_seconds, missed.is_met_late) == ("breached", 9000, True)


def test_holiday_added_after_the_fact_moves_a_running_clock() -> None:
    before = first_response(ADDED, "2026-11-23T10:00")
    assert (before.elapsed_seconds, before.due_at) == (3600, utc("2026-11-23T11:00"))
    after = first_response(ADDED, "2026-11-24T10:00")
    assert (after.state, after.elapsed_seconds, after.due_at) == ("running", 3600, utc("2026-11-24T11:00"))


def test_holiday_added_after_the_fact_does_not_undo_a_breach_that_was_fired() -> None:
    told = {"clock": "first_response", "cycle": 1, "started_at": MONDAY.isoformat(), "percent": 100}
    due_at = utc("2026-11-23T11:00")
    breach = TicketEvent(
        "sla_breached", due_at, {**told, "target_seconds": 7200, "due_at": due_at.isoformat()}
    )
    clock = first_response(ADDED, "2026-11-24T09:30", breach)
    assert (clock.state, clock.due_at, clock.elapsed_seconds) == ("breached", due_at, 1800)


def test_a_reopened_ticket_is_counted_by_what_is_known_when_it_runs_again() -> None:
    events = [
        TicketEvent("ticket_opened", MONDAY, {}),
        TicketEvent("status_changed", utc("2026-11-23T10:00"), {"to": "resolved"}),
        TicketEvent("status_changed", utc("2026-11-24T09:00"), {"to": "open"}),
    ]
    policy = Policy({"resolution": 3600 * 4})
    (held,) = compute_clocks(events[:2], always(policy, ADDED), utc("2026-11-23T18:00"))
    (again,) = compute_clocks(events, always(policy, ADDED), utc("2026-11-24T10:00"))
    assert (held.elapsed_seconds, again.elapsed_seconds) == (3600, 3600)


NEW_YORK = Calendar("America/New_York", OFFICE.windows)
EVENINGS = Calendar("Europe/London", (Window(0, 22 * 60, 30 * 60), Window(1, 22 * 60, 30 * 60)))


@pytest.mark.parametrize(
    ("former", "later", "valid_from", "start", "end", "worked"),
    [
        # Tuesday is counted by other hours than Monday.
        (OFFICE, EVENINGS, "2026-11-24", "2026-11-23T00:00", "2026-11-24T00:00", 8),
        (OFFICE, EVENINGS, "2026-11-24", "2026-11-24T00:00", "2026-11-25T00:00", 2),
        # A shift that began under former hours goes on to its end, past midnight.
        (EVENINGS, OFFICE, "2026-11-24", "2026-11-23T00:00", "2026-11-25T00:00", 16),
        (EVENINGS, Calendar("Europe/London", ()), "2026-11-24", "2026-11-24T00:00", "2026-11-25T00:00", 6),
        # An office that moves: the hours are those of the new place from that date on.
        (OFFICE, NEW_YORK, "2026-11-24", "2026-11-23T09:00", "2026-11-23T17:00", 8),
        (OFFICE, NEW_YORK, "2026-11-24", "2026-11-24T09:00", "2026-11-24T17:00", 3),
        (OFFICE, NEW_YORK, "2026-11-24", "2026-11-24T14:00", "2026-11-24T22:00", 8),
        # A leap day can be the first.
        (EVENINGS, OFFICE, "2028-02-29", "2028-02-28T00:00", "2028-03-01T00:00", 16),
    ],
)
def test_hours_change_with_the_day(
    former: Calendar, later: Calendar, valid_from: str, start: str, end: str, worked: int
) -> None:
    calendar = Eras(
        (version("1970-01-01", "2020-01-01T00:00", former), version(valid_from, "2020-01-02T00:00", later))
    )
    assert working_seconds(calendar, utc(start), utc(end)) == worked * 3600


def test_the_latest_date_counts_and_of_the_same_date_what_was_recorded_last() -> None:
    summer, winter, better = (Calendar("UTC", (Window(day, 0, 60),)) for day in (1, 2, 3))
    calendar = Eras(
        (
            version("2026-10-01", "2026-01-01T00:00", winter),
            version("2026-04-01", "2026-02-01T00:00", summer),
            version("2026-10-01", "2026-03-01T00:00", better),
        )
    )
    assert hours_at(calendar, utc("2026-03-31T23:59")) == summer
    assert hours_at(calendar, utc("2026-09-30T23:59")) == summer
    assert hours_at(calendar, utc("2026-10-01T00:00")) == better
    assert hours_at(calendar.as_known(utc("2026-02-28T00:00")), utc("2026-10-01T00:00")) == winter
    assert calendar.valid_on(date(2026, 1, 1)).calendar == summer
    assert calendar.valid_on(date(2027, 1, 1)).calendar == better


def test_years_of_changing_hours_are_measured_by_whole_weeks_too() -> None:
    calendar = Eras(
        tuple(
            version(f"{year}-01-01", "2010-01-01T00:00", Calendar("UTC", (Window(0, 0, 60 * (year - 2009)),)))
            for year in range(2010, 2020)
        )
    )
    by_year = [
        working_seconds(calendar, datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
        for year in range(2010, 2020)
    ]
    mondays = [52, 52, 53, 52, 52, 52, 52, 52, 53, 52]
    assert by_year == [3600 * (number + 1) * count for number, count in enumerate(mondays)]
    assert working_seconds(calendar, utc("2010-01-01T00:00"), utc("2020-01-01T00:00")) == sum(by_year)
