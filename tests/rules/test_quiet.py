"""Quiet hours delay a mail to their end and no further."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.rules.quiet import QuietHours, mail_at

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietHours(time(22), time(7), BERLIN)
NOON = QuietHours(time(12), time(13), BERLIN)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("quiet", "at", "goes"),
    [
        (NIGHT, "2026-11-23 21:59", "2026-11-23 21:59"),
        (NIGHT, "2026-11-23 22:00", "2026-11-24 07:00"),
        (NIGHT, "2026-11-24 03:00", "2026-11-24 07:00"),
        (NIGHT, "2026-11-24 07:00", "2026-11-24 07:00"),
        (NOON, "2026-11-24 12:30", "2026-11-24 13:00"),
        (NOON, "2026-11-24 03:00", "2026-11-24 03:00"),
        # The nights in which the clocks change.
        (NIGHT, "2026-10-24 23:00", "2026-10-25 07:00"),
        (NIGHT, "2027-03-27 23:00", "2027-03-28 07:00"),
        (None, "2026-11-24 03:00", "2026-11-24 03:00"),
    ],
)
def test_when_a_mail_goes(quiet: QuietHours | None, at: str, goes: str) -> None:
    assert mail_at(quiet, berlin(at)) == berlin(goes)
    assert mail_at(quiet, berlin(at), is_on_call=True) == berlin(at)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)),
    st.times(),
    st.times(),
    st.sampled_from(["Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe", "UTC"]),
)
def test_it_waits_less_than_a_day_and_is_never_early(at: datetime, begin: time, end: time, zone: str) -> None:
    quiet = QuietHours(begin, end, ZoneInfo(zone))
    moment = at.replace(tzinfo=UTC)
    goes = mail_at(quiet, moment)
    assert moment <= goes <= moment + timedelta(hours=25)
