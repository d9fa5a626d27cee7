"""Tickets as the rows of a list."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from flask import url_for
from markupsafe import Markup

from portal.language import gettext
from portal.models import Ticket
from portal.rules import lifecycle
from portal.views.console import words
from portal.views.console.conditions import AT_RISK_MINUTES
from portal.views.console.filters import TicketFilter
from portal.views.console.lists import Listed
from portal.views.console.presence import Present
from portal.views.console.words import Reader

MOST_TAGS = 2


@dataclass(frozen=True)
class Chip:
    """Which clock, how long, and how worried to be: "", "warn" or "late". The moments let the page count on."""

    word: str
    text: str
    tone: str
    title: str
    due_at: str = ""
    warn_at: str = ""

    @property
    def says(self) -> str:
        """What stands in it."""
        return f"{self.word} {self.text}".strip()


@dataclass(frozen=True)
class Row:
    """What a list shows of one ticket; two rows that look the same have the same `mark`."""

    number: int
    url: str
    customer: str
    subject: str
    snippet: str | Markup
    is_ours: bool
    is_unread: bool
    chip: Chip | None
    channel: str
    channel_label: str
    branch: str
    tier: str
    assignee: str
    status: str
    priority: str
    tags: tuple[str, ...]
    more_tags: str
    activity: str
    activity_exactly: str
    present: tuple[Present, ...]
    snoozed: str = ""
    severity: str = ""
    is_urgent: bool = False
    is_critical: bool = False
    has_assignee: bool = False
    # Of an escalation to its tier: how long somebody still has to acknowledge it, or that somebody has.
    acknowledge: Chip | None = None
    acknowledged: str = ""

    @property
    def mark(self) -> str:
        return f"{zlib.crc32(repr(self).encode()):x}"


def rows_of(
    tickets: Sequence[Listed],
    wanted: TicketFilter,
    reader: Reader,
    *,
    presence: Mapping[int, tuple[Present, ...]] | None = None,
    shows_branch: bool = False,
    found: Mapping[int, Markup] | None = None,
) -> list[Row]:
    """The rows of these tickets.

    `found` are the pieces of messages in which a search found its words; they stand in the place of the last words.
    """
    # One address for all: making it anew would take longer than the rest of a row.
    before, after = url_for("console.ticket", number=0, **wanted.to_args()).split("/tickets/0", 1)
    rows = [
        _row(
            ticket,
            f"{before}/tickets/{ticket.number}{after}",
            reader,
            (presence or {}).get(ticket.id, ()),
            shows_branch,
        )
        for ticket in tickets
    ]
    if not found:
        return rows
    return [
        replace(row, snippet=found[ticket.id], is_ours=False) if ticket.id in found else row
        for ticket, row in zip(tickets, rows, strict=True)
    ]


def chip_of(ticket: Ticket | Listed, reader: Reader) -> Chip | None:
    """The clock that a list shows: the one due soonest, that it is paused, or none."""
    if ticket.status not in lifecycle.OPEN_STATUSES:
        return None
    if ticket.next_due_at is None or ticket.next_due_kind is None:
        if not ticket.is_paused:
            return None
        return Chip(
            "", gettext("paused"), "", gettext("The clocks stand still while we wait on the customer.")
        )
    seconds = (ticket.next_due_at - reader.at).total_seconds()
    return Chip(
        word=str(words.SHORT_CLOCKS[ticket.next_due_kind]),
        text=words.countdown(seconds),
        tone=tone_of(ticket.next_due_at, reader.at),
        title=_chip_title(ticket, reader, seconds),
        due_at=ticket.next_due_at.isoformat(),
        warn_at=(ticket.next_due_at - timedelta(minutes=AT_RISK_MINUTES)).isoformat(),
    )


def _escalation_of(ticket: Listed, reader: Reader) -> dict[str, Any]:
    """What a row says of it: acknowledged, so long left, or that all steps have been taken."""
    if ticket.raised_at is None:
        return {}
    if ticket.acknowledged_at is not None:
        return {"acknowledged": reader.moment(ticket.acknowledged_at)}
    word = gettext("Acknowledge")
    if ticket.acknowledge_by is None:
        title = gettext("Nobody has acknowledged it, and everybody has been told.")
        return {"acknowledge": Chip("", gettext("not acknowledged"), "warn", title)}
    seconds = (ticket.acknowledge_by - reader.at).total_seconds()
    when = reader.moment(ticket.acknowledge_by)
    return {
        "acknowledge": Chip(
            word=word,
            text=words.countdown(seconds),
            tone="late" if seconds < 0 else "warn",
            title=gettext("Nobody has acknowledged it yet. Next step: %(moment)s", moment=when),
            due_at=ticket.acknowledge_by.isoformat(),
            warn_at=ticket.raised_at.isoformat(),
        )
    }


def tone_of(due_at: datetime, at: datetime) -> str:
    """late once it is due, warn within the last hour before."""
    seconds = (due_at - at).total_seconds()
    if seconds < 0:
        return "late"
    return "warn" if seconds <= AT_RISK_MINUTES * 60 else ""


def _chip_title(ticket: Ticket | Listed, reader: Reader, seconds: float) -> str:
    assert ticket.next_due_at is not None
    label = words.clock(ticket.next_due_kind or "")
    when = reader.moment(ticket.next_due_at)
    if seconds < 0:
        return gettext(
            "%(clock)s was due %(when)s: %(span)s late", clock=label, when=when, span=words.span(seconds)
        )
    return gettext("%(clock)s due %(when)s: %(span)s left", clock=label, when=when, span=words.span(seconds))


def _assignee(ticket: Listed, reader: Reader) -> str:
    if ticket.assignee_id == reader.user_id:
        return gettext("you")
    return ticket.assignee_name or gettext("unassigned")


def _row(
    ticket: Listed,
    url: str,
    reader: Reader,
    present: tuple[Present, ...],
    shows_branch: bool,
) -> Row:
    tags = ticket.tags or []
    is_usual = ticket.status in ("new", "open")
    return Row(
        number=ticket.number,
        url=url,
        customer=words.person(ticket.customer_name),
        subject=ticket.subject or gettext("(no subject)"),
        snippet=ticket.snippet,
        is_ours=ticket.is_last_message_ours,
        is_unread=ticket.unread_since is not None,
        chip=chip_of(ticket, reader),
        channel=ticket.channel_kind,
        channel_label=str(words.CHANNELS.get(ticket.channel_kind, ticket.channel_kind)),
        branch=ticket.branch_name if shows_branch else "",
        tier=gettext("Tier %(level)s", level=ticket.tier_level) if ticket.tier_level > 1 else "",
        assignee=_assignee(ticket, reader),
        status="" if is_usual else words.within(words.status(ticket.status)),
        priority=str(words.PRIORITIES[ticket.priority]) if ticket.priority in ("high", "urgent") else "",
        tags=tuple(tags[:MOST_TAGS]),
        more_tags=", ".join(tags[MOST_TAGS:]),
        activity=reader.moment(ticket.last_activity_at),
        activity_exactly=reader.exactly(ticket.last_activity_at),
        snoozed=gettext("until %(moment)s", moment=reader.moment(ticket.snoozed_until))
        if ticket.snoozed_until
        else "",
        severity=str(words.SEVERITIES[ticket.severity]) if ticket.severity in ("major", "critical") else "",
        is_urgent=ticket.priority == "urgent",
        is_critical=ticket.severity == "critical",
        has_assignee=ticket.assignee_id is not None,
        present=tuple(person for person in present if person.user_id != reader.user_id),
        **_escalation_of(ticket, reader),
    )
