"""Quiet hours: when a person's mail waits, and until when."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one time of the day to another, past midnight where the second is not later; in the person's own zone."""

    begins_at: time
    ends_at: time
    zone: ZoneInfo


def mail_at(quiet: QuietHours | None, at: datetime, *, is_on_call: bool = False) -> datetime:
    """When a mail that is due `at` (aware) may go, in UTC: then, or when the quiet hours are over. Never before `at`.

    Whoever is on call is told at once. Where the clocks change meanwhile, it is the wall clock that counts.
    """
    if quiet is None or is_on_call or quiet.begins_at == quiet.ends_at:
        return at
    local = at.astimezone(quiet.zone)
    now, begin, end = local.time(), quiet.begins_at, quiet.ends_at
    is_quiet = begin <= now < end if begin < end else now >= begin or now < end
    if not is_quiet:
        return at
    day = local.date() + timedelta(days=1 if now >= end else 0)
    return max(at, datetime.combine(day, end, quiet.zone).astimezone(UTC))
