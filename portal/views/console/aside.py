"""What the pages say of tickets that are put aside: until when, by whom, and what is due meanwhile."""

from dataclasses import dataclass
from datetime import datetime

from portal.errors import UserFault
from portal.language import gettext, pgettext
from portal.models import Ticket
from portal.rules import snoozing as rules
from portal.views.console import words
from portal.views.console.words import Reader


@dataclass(frozen=True)
class Choice:
    """A usual moment: its name, its time in words and for the form, and whether a clock runs out before it."""

    label: str
    says: str
    value: str
    is_late: bool
    at: datetime


def choices_for(ticket: Ticket, reader: Reader) -> list[Choice]:
    """The usual moments for this ticket, by the reader's own clock."""
    return [
        Choice(
            gettext(preset.label),
            reader.moment(preset.at),
            written(preset.at),
            _runs_out(ticket, preset.at, reader),
            preset.at,
        )
        for preset in rules.presets(reader.at, reader.zone)
    ]


def snoozed_line(ticket: Ticket, reader: Reader) -> str:
    """Snoozed until Tue 09:00 by Ann; "" for one that is not."""
    if ticket.snoozed_until is None:
        return ""
    is_own = ticket.snoozed_by is not None and ticket.snoozed_by.id == reader.user_id
    who = pgettext("by", "you") if is_own else reader.name(ticket.snoozed_by)
    return gettext("Snoozed until %(moment)s by %(who)s", moment=reader.moment(ticket.snoozed_until), who=who)


def snoozed_says(ticket: Ticket, reader: Reader) -> str:
    """What has been done, and what is due before it is undone by itself."""
    assert ticket.snoozed_until is not None, "it has just been snoozed"
    says = gettext(
        "Snoozed until %(moment)s, or until the customer writes.", moment=reader.moment(ticket.snoozed_until)
    )
    if _runs_out(ticket, ticket.snoozed_until, reader):
        assert ticket.next_due_at is not None, "what runs out has a time"
        label = words.clock(ticket.next_due_kind or "")
        says += " " + gettext(
            "%(clock)s is due %(moment)s, before that.",
            clock=label,
            moment=reader.moment(ticket.next_due_at),
        )
    return says


def due_sentence(ticket: Ticket, reader: Reader) -> str:
    """What the clocks do meanwhile: First response is due in 2 h."""
    if ticket.next_due_at is None or ticket.next_due_kind is None:
        if ticket.is_paused:
            return gettext("The clocks wait for the customer.")
        return gettext("No clock runs at present.")
    seconds = (ticket.next_due_at - reader.at).total_seconds()
    label = words.within(words.clock(ticket.next_due_kind))
    if seconds < 0:
        return gettext(
            "Clocks keep running: %(clock)s is %(span)s late.", clock=label, span=words.span(seconds)
        )
    when = reader.moment(ticket.next_due_at)
    return gettext(
        "Clocks keep running: %(clock)s is due in %(span)s (%(moment)s).",
        clock=label,
        span=words.span(seconds),
        moment=when,
    )


def moment_in(text: str) -> datetime:
    """The time of a field of the page, which is in the reader's zone."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=words.reader().zone)
    except ValueError as error:
        raise UserFault("Choose until when this ticket is to be snoozed.") from error


def written(moment: datetime) -> str:
    """The moment as a field of the page holds it, on the clock that it carries."""
    return f"{moment:%Y-%m-%dT%H:%M}"


def _runs_out(ticket: Ticket, until: datetime, reader: Reader) -> bool:
    """Whether it becomes late while nobody sees it; what is late already is said once."""
    is_late = ticket.next_due_at is not None and ticket.next_due_at <= reader.at
    return not is_late and rules.is_due_before(ticket.next_due_at, until)
