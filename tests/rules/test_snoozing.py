"""Until when a ticket is put aside."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from portal.rules import snoozing
from portal.rules.lifecycle import Lifecycle

LONDON = ZoneInfo("Europe/London")
# A Monday.
AT = datetime(2026, 11, 23, 10, 20, tzinfo=UTC)


def labels(at: datetime, zone: ZoneInfo = LONDON) -> list[tuple[str, str]]:
    return [(each.label, f"{each.at:%a %d %b %H:%M}") for each in snoozing.presets(at, zone)]


def test_the_usual_moments_are_those_of_the_readers_own_clock() -> None:
    assert labels(AT) == [
        ("Later today", "Mon 23 Nov 13:00"),
        ("Tomorrow morning", "Tue 24 Nov 09:00"),
        ("Monday", "Mon 30 Nov 09:00"),
    ]
    assert labels(AT, ZoneInfo("Asia/Tokyo"))[0] == ("Tomorrow morning", "Tue 24 Nov 09:00")


def test_in_the_middle_of_a_week_monday_and_a_week_are_two_moments() -> None:
    assert labels(AT + timedelta(days=2))[1:] == [
        ("Tomorrow morning", "Thu 26 Nov 09:00"),
        ("Monday", "Mon 30 Nov 09:00"),
        ("In a week", "Wed 02 Dec 09:00"),
    ]


def test_on_a_sunday_tomorrow_is_monday_and_said_once() -> None:
    assert [label for label, _ in labels(AT + timedelta(days=6))] == [
        "Later today",
        "Tomorrow morning",
        "In a week",
    ]


def test_a_morning_after_a_night_in_which_clocks_change_is_still_nine() -> None:
    before = datetime(2026, 10, 24, 12, 0, tzinfo=UTC)
    tomorrow = next(each for each in snoozing.presets(before, LONDON) if each.label == "Tomorrow morning")
    assert tomorrow.at.astimezone(UTC) == datetime(2026, 10, 25, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize("hour", range(24))
def test_every_moment_offered_is_still_to_come(hour: int) -> None:
    at = AT.replace(hour=hour, minute=59)
    assert all(each.at > at for each in snoozing.presets(at, LONDON))


@pytest.mark.parametrize(
    ("status", "until", "rule"),
    [
        ("new", AT + timedelta(minutes=1), "allowed"),
        ("pending", AT + timedelta(days=300), "allowed"),
        ("open", AT, "passed"),
        ("open", AT - timedelta(days=1), "passed"),
        ("open", AT + timedelta(days=400), "too_long"),
        ("resolved", AT + timedelta(days=1), "not_open"),
        ("closed", AT + timedelta(days=1), "not_open"),
        ("spam", AT + timedelta(days=1), "not_open"),
    ],
)
def test_only_open_tickets_and_only_for_a_time_ahead(status: str, until: datetime, rule: str) -> None:
    decision = snoozing.check_snooze(status, until, AT, Lifecycle())
    assert (decision.allowed, decision.rule) == (rule == "allowed", rule)


def test_a_clock_that_runs_out_before_the_ticket_is_back_is_noticed() -> None:
    assert snoozing.is_due_before(AT, AT + timedelta(hours=1))
    assert not snoozing.is_due_before(AT + timedelta(hours=2), AT + timedelta(hours=1))
    assert not snoozing.is_due_before(None, AT)
