"""Figures in words."""

from datetime import date

import pytest

from portal.services.metrics import PER_WEEK, SECONDS, SHARE, Metric
from portal.views.leads import wording


def metric(value: float | None, previous: float | None, unit: str = SECONDS) -> Metric:
    return Metric("m", "M", value, previous, 1, 1, unit, "", is_lower_better=unit == SECONDS)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (90, "2 min"),
        (3599, "1 h"),
        (4800, "1 h 20 min"),
        (86_399, "1 d"),
        (86_400, "1 d"),
        (183_600, "2 d 3 h"),
    ],
)
def test_durations_have_at_most_two_units(seconds: float | None, words: str) -> None:
    assert wording.duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"), [(None, "–"), (0.0, "0 %"), (0.054, "5.4 %"), (0.5, "50 %"), (1.0, "100 %")]
)
def test_shares_are_percents(value: float | None, words: str) -> None:
    assert wording.share(value) == words


@pytest.mark.parametrize(
    ("value", "previous", "unit", "words", "direction"),
    [
        (50, 100, SECONDS, "50 % faster", "better"),
        (150, 100, SECONDS, "50 % slower", "worse"),
        (400, 100, SECONDS, "4.0 times as long", "worse"),
        (100, 100, SECONDS, "as before", "same"),
        (100, None, SECONDS, "", "same"),
        (100, 0, SECONDS, "", "same"),
        (0.6, 0.5, SHARE, "10.0 points up", "better"),
        (0.5, 0.6, SHARE, "10.0 points down", "worse"),
        (2.0, 1.0, PER_WEEK, "100 % more", "better"),
    ],
)
def test_a_movement_says_how_far_and_whether_it_is_good(
    value: float, previous: float | None, unit: str, words: str, direction: str
) -> None:
    found = metric(value, previous, unit)
    assert (wording.change(found), wording.direction(found)) == (words, direction)


def test_days_name_the_year_once_where_it_is_the_same() -> None:
    assert wording.days(date(2026, 3, 1), date(2026, 3, 9)) == "1 Mar – 9 Mar 2026"
    assert wording.days(date(2025, 12, 31), date(2026, 1, 1)) == "31 Dec 2025 – 1 Jan 2026"
    assert wording.days(date(2026, 3, 1), date(2026, 3, 1)) == "1 Mar 2026"
