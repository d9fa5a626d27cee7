"""Events of invitations, however they are written."""

from datetime import UTC, datetime

import pytest

from portal.channels.email.invitations import LARGEST_BYTES, read_invitations

OUTLOOK = """BEGIN:VCALENDAR
METHOD:REQUEST
PRODID:Microsoft Exchange Server 2010
VERSION:2.0
BEGIN:VTIMEZONE
TZID:W. Europe Standard Time
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
BEGIN:VEVENT
ORGANIZER;CN=Zoë Müller:mailto:zoe@customer.test
ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;CN=Desk:mailto:desk@portal.test
UID:1
SUMMARY;LANGUAGE=de-DE:Lamp\\, repair
DTSTART;TZID=W. Europe Standard Time:20240705T140000
DTEND;TZID=W. Europe Standard Time:20240705T150000
DTSTAMP:20240701T080000Z
LOCATION:Hall 3
END:VEVENT
END:VCALENDAR
"""


def test_an_invitation_of_outlook_is_read() -> None:
    [found] = read_invitations(OUTLOOK.replace("\n", "\r\n").encode())

    assert (found.kind, found.summary, found.location) == ("request", "Lamp, repair", "Hall 3")
    assert found.organiser == "Zoë Müller"
    assert found.starts_at.astimezone(UTC) == datetime(2024, 7, 5, 12, 0, tzinfo=UTC)
    assert found.ends_at is not None
    assert found.ends_at.astimezone(UTC) == datetime(2024, 7, 5, 13, 0, tzinfo=UTC)
    assert not found.is_all_day
    assert not found.repeats


@pytest.mark.parametrize(
    ("written", "kind"),
    [("METHOD:CANCEL", "cancelled"), ("METHOD:REPLY", "answer"), ("METHOD:PUBLISH", "event"), ("", "event")],
)
def test_what_an_event_is_for_is_said(written: str, kind: str) -> None:
    [found] = read_invitations(OUTLOOK.replace("METHOD:REQUEST", written or "X-NOTHING:1").encode())

    assert found.kind == kind


def test_days_and_lengths_and_rules_are_read() -> None:
    text = (
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Fair\nDTSTART;VALUE=DATE:20240705\nDURATION:P2D\n"
        "RRULE:FREQ=YEARLY\nORGANIZER:MAILTO:zoe@customer.test\nEND:VEVENT\nEND:VCALENDAR\n"
    )
    [found] = read_invitations(text.encode())

    assert found.is_all_day
    assert found.repeats
    assert found.starts_at == datetime(2024, 7, 5, tzinfo=UTC)
    assert found.ends_at == datetime(2024, 7, 7, tzinfo=UTC)
    assert found.organiser == "zoe@customer.test"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Torn",
        b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:No date\nEND:VEVENT\nEND:VCALENDAR",
        b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:99999999T999999Z\nEND:VEVENT\nEND:VCALENDAR",
        OUTLOOK.encode() + b"X" * LARGEST_BYTES,
    ],
)
def test_what_cannot_be_read_is_left_out(content: bytes) -> None:
    assert read_invitations(content) == ()
