"""Clocks computed per second: a ticket's events in, its clocks with their due times out, of one process."""

import time
from datetime import UTC, date, datetime, timedelta

from portal.rules.hours import Calendar, Holiday, Window
from portal.rules.policies import always, policy_from_minutes
from portal.rules.sla import compute_clocks
from portal.rules.waits import TicketEvent

TICKETS = 2_000
LUNCH = tuple(Window(day, *hours) for day in range(5) for hours in ((480, 720), (780, 1080)))
CALENDAR = Calendar("Europe/Berlin", LUNCH, tuple(Holiday(date(2026, month, 1)) for month in range(1, 13)))
TERMS = always(policy_from_minutes(60, 120, 2_400, warning_percents=(50, 80)), CALENDAR)
OPENED = datetime(2026, 3, 2, 9, tzinfo=UTC)
# What happened, so many hours after opening: asked, answered, asked again, answered, resolved.
SHORT = ((0, "ticket_opened"), (0, "message_received"))
LONG = (*SHORT, (1, "reply_sent"), (30, "message_received"), (32, "reply_sent"), (50, "status_changed"))


def run() -> None:
    """Print how many tickets' clocks are computed in a second: of new tickets, and of such as have been worked on."""
    for name, story in (("new", SHORT), ("worked on", LONG)):
        tickets = [_events(story, OPENED + timedelta(minutes=97 * number)) for number in range(TICKETS)]
        start = time.perf_counter()
        clocks = sum(len(compute_clocks(events, TERMS, events[-1].at)) for events in tickets)
        seconds = time.perf_counter() - start
        assert clocks >= 2 * TICKETS
        print(
            f"clocks: {TICKETS / seconds:,.0f} tickets, {clocks / seconds:,.0f} due times a second ({name})"
        )


def _events(story: tuple[tuple[int, str], ...], start: datetime) -> list[TicketEvent]:
    return [
        TicketEvent(
            kind,
            start + timedelta(hours=hours),
            {"from": "open", "to": "resolved"} if kind == "status_changed" else {},
        )
        for hours, kind in story
    ]
