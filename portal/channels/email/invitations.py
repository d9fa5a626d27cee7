"""Invitations in a mail: the events of its text/calendar parts (RFC 5545, RFC 5546)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from icalendar import Calendar

CONTENT_TYPES = frozenset({"text/calendar", "application/ics"})
# Whoever sends more than this sends a calendar, not an invitation.
LARGEST_BYTES = 256 * 1024
MOST_EVENTS = 5
LONGEST_WORDS = 500

Kind = Literal["request", "cancelled", "answer", "event"]
_KINDS: dict[str, Kind] = {
    "REQUEST": "request",
    "CANCEL": "cancelled",
    "REPLY": "answer",
    "COUNTER": "answer",
}


@dataclass(frozen=True, slots=True)
class Invitation:
    """An event: when it is, where, and who calls it. Times are aware; `ends_at` is the first moment after it.

    `is_all_day`: the times are the midnights of its days, in UTC, and mean dates.
    """

    kind: Kind
    summary: str
    starts_at: datetime
    ends_at: datetime | None
    is_all_day: bool
    location: str
    organiser: str
    repeats: bool


def read_invitations(content: bytes) -> tuple[Invitation, ...]:
    """The events in a calendar part. Never raises: what cannot be read is left out, and stays a file."""
    if len(content) > LARGEST_BYTES:
        return ()
    try:
        calendars = Calendar.from_ical(content, multiple=True)
        found = [one for calendar in calendars for one in _events(calendar)]
    except (ValueError, KeyError, IndexError, AttributeError, TypeError, RecursionError, OverflowError):
        return ()
    return tuple(found[:MOST_EVENTS])


def _events(calendar: Any) -> Iterator[Invitation]:
    kind = _KINDS.get(str(calendar.get("METHOD", "")).upper(), "event")
    for event in calendar.walk("VEVENT")[:MOST_EVENTS]:
        begins = _moment(event.get("DTSTART"))
        if begins is None:
            continue
        is_cancelled = str(event.get("STATUS", "")).upper() == "CANCELLED"
        yield Invitation(
            kind="cancelled" if is_cancelled else kind,
            summary=_words(event.get("SUMMARY")),
            starts_at=begins,
            ends_at=_end(event, begins),
            is_all_day=not isinstance(event["DTSTART"].dt, datetime),
            location=_words(event.get("LOCATION")),
            organiser=_organiser(event.get("ORGANIZER")),
            repeats="RRULE" in event,
        )


def _end(event: Any, begins: datetime) -> datetime | None:
    end = _moment(event.get("DTEND"))
    if end is not None:
        return end
    length = getattr(event.get("DURATION"), "dt", None)
    return begins + length if isinstance(length, timedelta) else None


def _moment(value: Any) -> datetime | None:
    found = getattr(value, "dt", None)
    if isinstance(found, datetime):
        # A time without a zone is everybody's own; there is no better guess than UTC.
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return datetime.combine(found, time(), UTC) if isinstance(found, date) else None


def _organiser(value: Any) -> str:
    if value is None:
        return ""
    name = str(getattr(value, "params", {}).get("CN", ""))
    address = str(value)
    return _words(name) or _words(address.removeprefix("mailto:").removeprefix("MAILTO:"))


def _words(value: Any) -> str:
    return " ".join(str(value or "").split())[:LONGEST_WORDS]
