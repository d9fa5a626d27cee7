"""Events of the ledger as sentences of the timeline."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from flask import url_for

from portal.rules import lifecycle
from portal.rules.sla import CLOCK_LABELS
from portal.views.console import words
from portal.views.console.reading import Fact
from portal.views.console.words import Reader

# What one person does in one go stands on one line.
TOGETHER = timedelta(minutes=2)


@dataclass(frozen=True)
class Line:
    """One line between the messages: what happened, who did it, when; `tone` is "", "warn" or "late"."""

    key: str
    who: str
    sentence: str
    reason: str
    time: str
    exactly: str
    tone: str
    fact: Fact
    # The ticket that it tells of.
    url: str = ""


def lines_of(facts: Sequence[Fact], reader: Reader) -> list[Line]:
    """The facts that people look for between messages, those of one go joined."""
    lines: list[Line] = []
    for fact in facts:
        sentence = _told(fact, reader)
        if not sentence:
            continue
        line = _line(fact, sentence, reader)
        if lines and _belongs_to(lines[-1], line):
            lines[-1] = _joined(lines[-1], line)
        else:
            lines.append(line)
    return lines


def history_of(facts: Sequence[Fact], reader: Reader) -> list[Line]:
    """Every fact, newest first, one a line."""
    return [
        _line(fact, _told(fact, reader) or _plainly(fact, reader), reader)
        for fact in sorted(facts, key=lambda each: (each.at, each.id), reverse=True)
    ]


def _line(fact: Fact, sentence: str, reader: Reader) -> Line:
    return Line(
        key=str(fact.id),
        who=_who(fact, reader),
        sentence=sentence,
        reason=_reason(fact),
        time=reader.moment(fact.at),
        exactly=reader.exactly(fact.at),
        tone=_tone(fact),
        fact=fact,
        url=_url(fact),
    )


def merged_numbers(happened: Iterable[Fact]) -> tuple[int, ...]:
    """The numbers of the tickets that are part of this one now, oldest merge first."""
    numbers: dict[int, None] = {}
    for fact in happened:
        if fact.kind == "messages_moved_here" and fact.data["how"] == "merged":
            numbers[fact.data["number"]] = None
        elif fact.kind == "messages_moved_away" and fact.data["how"] == "unmerged":
            numbers.pop(fact.data["number"], None)
    return tuple(numbers)


def _url(fact: Fact) -> str:
    """The other ticket that the fact tells of; a merged one would only lead back here."""
    if fact.kind not in _OF_TWO_TICKETS or (fact.kind, fact.data.get("how")) == (
        "messages_moved_here",
        "merged",
    ):
        return ""
    return url_for("console.ticket", number=fact.data["number"])


def _belongs_to(before: Line, line: Line) -> bool:
    same_person = before.fact.actor_id == line.fact.actor_id and line.fact.actor_id is not None
    is_close = line.fact.at - before.fact.at <= TOGETHER
    of_two = {before.fact.kind, line.fact.kind} & _OF_TWO_TICKETS
    is_plain = not (before.tone or line.tone or before.reason or of_two)
    return same_person and is_close and is_plain


def _joined(before: Line, line: Line) -> Line:
    """Picked up by you, now waiting on customer."""
    sentence = line.sentence.removesuffix(f" by {line.who}")
    return replace(before, sentence=f"{before.sentence}, {sentence[0].lower()}{sentence[1:]}", fact=line.fact)


def _told(fact: Fact, reader: Reader) -> str:
    tell = _SENTENCES.get(fact.kind)
    return tell(fact, reader) if tell else ""


def _who(fact: Fact, reader: Reader) -> str:
    if fact.actor_id == reader.user_id and fact.actor_id is not None:
        return "you"
    if fact.actor_name:
        return fact.actor_name
    return "the customer" if fact.actor_kind == "customer" else "Portal"


def _status(fact: Fact, reader: Reader) -> str:
    name = lifecycle.label(str(fact.data.get("to", "")))
    if fact.data.get("rule") == "message_moved_here":
        return f"Now {name.lower()}, because of the message"
    if fact.data.get("rule") == "taken_back":
        return f"Back to {name}, taken back by {_who(fact, reader)}"
    if fact.data.get("rule") == "answered":
        return f"Now {name.lower()}"
    if fact.actor_kind == "customer":
        return f"Now {name.lower()}, because the customer wrote"
    return f"Set to {name} by {_who(fact, reader)}"


def _assigned(fact: Fact, reader: Reader) -> str:
    who, to = _who(fact, reader), fact.data.get("to")
    if to is None:
        return f"Given back to the queue by {who}"
    name = "you" if to == reader.user_id else str(fact.data.get("name") or "a colleague")
    return f"Assigned to {name} by {who}"


def _customer_changed(fact: Fact, reader: Reader) -> str:
    return f"Given to {fact.data.get('to_name') or 'another customer'} by {_who(fact, reader)}"


def _changed(noun: str, names: dict[str, str]) -> Callable[[Fact, Reader], str]:
    def sentence(fact: Fact, reader: Reader) -> str:
        value = str(fact.data.get("to", ""))
        return f"{noun} set to {names.get(value, value)} by {_who(fact, reader)}"

    return sentence


def _tags(fact: Fact, reader: Reader) -> str:
    before, after = set(fact.data.get("from", ())), set(fact.data.get("to", ()))
    parts = []
    if after - before:
        parts.append("tagged " + ", ".join(sorted(after - before)))
    if before - after:
        parts.append("tag removed: " + ", ".join(sorted(before - after)))
    said = "; ".join(parts) or "tags changed"
    return f"{said[0].upper()}{said[1:]} by {_who(fact, reader)}"


def _field(fact: Fact, reader: Reader) -> str:
    name, before, after = (str(fact.data.get(part) or "") for part in ("name", "from_name", "to_name"))
    if not after:
        return f"{name} emptied (was {before}) by {_who(fact, reader)}"
    return f"{name} set to {after}" + (f" (was {before})" if before else "") + f" by {_who(fact, reader)}"


def _moved(fact: Fact, reader: Reader) -> str:
    return f"Moved from {fact.data.get('from_name')} to {fact.data.get('to_name')} by {_who(fact, reader)}"


def _moved_away(fact: Fact, reader: Reader) -> str:
    """Message moved to #10482 by you; 3 messages split off as #10482 by Ann."""
    if fact.data["how"] == "unmerged":
        return f"#{fact.data['number']} is a ticket of its own again, taken back by {_who(fact, reader)}"
    way = "split off as" if fact.data["how"] == "split_off" else "moved to"
    return f"{_messages(fact)} {way} #{fact.data['number']} by {_who(fact, reader)}"


def _moved_here(fact: Fact, reader: Reader) -> str:
    number, who = fact.data["number"], _who(fact, reader)
    if fact.data["how"] == "merged":
        return f"#{number} merged into this ticket by {who}"
    way = "split off" if fact.data["how"] == "split_off" else "moved here"
    return f"{_messages(fact)} {way} from #{number} by {who}"


def _messages(fact: Fact) -> str:
    amount = len(fact.data["messages"])
    return "Message" if amount == 1 else f"{amount} messages"


def _snoozed(fact: Fact, reader: Reader) -> str:
    until = reader.moment(datetime.fromisoformat(fact.data["until"]))
    return f"Snoozed until {until} by {_who(fact, reader)}"


def _woken(fact: Fact, reader: Reader) -> str:
    """Why it came back; what somebody did to it besides stands before, on the same line."""
    return {
        "time": "Back: its snooze is over",
        "customer_wrote": "Back before its time, because the customer wrote",
        "by_hand": f"Woken by {_who(fact, reader)}",
    }.get(str(fact.data.get("cause")), f"No longer snoozed by {_who(fact, reader)}")


def _linked(fact: Fact, reader: Reader) -> str:
    number = f"#{fact.data['number']}"
    told = {
        "related": f"Linked to {number}",
        "duplicates": f"Marked as a duplicate of {number}",
        "duplicated_by": f"{number} marked as a duplicate of this",
        "causes": f"Marked as the cause of {number}",
        "caused_by": f"Marked as caused by {number}",
    }[str(fact.data["relation"])]
    return f"{told} by {_who(fact, reader)}"


def _escalated(fact: Fact, reader: Reader) -> str:
    name = fact.data.get("to_name") or f"Tier {fact.data.get('to_level')}"
    how = {
        "sla_warning": "because a clock runs low",
        "sla_breach": "because a clock ran out",
        "unacknowledged": "because nobody acknowledged",
    }.get(str(fact.data.get("trigger")))
    return f"Escalated to {name} {how or 'by ' + _who(fact, reader)}"


def _clock(what: str) -> Callable[[Fact, Reader], str]:
    def sentence(fact: Fact, _reader: Reader) -> str:
        return f"{CLOCK_LABELS.get(str(fact.data.get('clock')), 'A clock')} {what}"

    return sentence


def _met(fact: Fact, _reader: Reader) -> str:
    label = CLOCK_LABELS.get(str(fact.data.get("clock")), "A clock")
    elapsed = fact.data.get("elapsed_seconds")
    took = f" after {words.span(elapsed)}" if isinstance(elapsed, int | float) else ""
    return f"{label} {'met late' if fact.data.get('is_late') else 'met'}{took}"


def _said(sentence: str) -> Callable[[Fact, Reader], str]:
    return lambda fact, reader: f"{sentence} by {_who(fact, reader)}"


def _reason(fact: Fact) -> str:
    if fact.kind == "ticket_escalated" and fact.data.get("trigger") == "manual":
        return str(fact.data.get("reason") or "")
    if fact.kind == "escalation_handed_back":
        return str(fact.data.get("note") or "")
    if fact.kind == "acknowledgement_withheld":
        return str(fact.data.get("reason") or "")
    if fact.kind in ("delivery_failed", "delivery_bounced"):
        return str(fact.data.get("reply") or fact.data.get("reason") or "")
    return ""


def _tone(fact: Fact) -> str:
    if fact.kind in ("sla_breached", "delivery_failed", "delivery_bounced"):
        return "late"
    return "warn" if fact.kind in ("sla_warned", "ticket_escalated") else ""


_OF_TWO_TICKETS = frozenset(
    {
        "messages_moved_away",
        "messages_moved_here",
        "ticket_merged",
        "ticket_unmerged",
        "ticket_linked",
        "ticket_unlinked",
    }
)
_SENTENCES: dict[str, Callable[[Fact, Reader], str]] = {
    "ticket_picked_up": _said("Picked up"),
    "ticket_assigned": _assigned,
    "reply_cancelled": _said("A reply was taken back"),
    "reply_held_back": _said("A reply for later was held back"),
    "customer_changed": _customer_changed,
    "status_changed": _status,
    "priority_changed": _changed("Priority", words.PRIORITIES),
    "ticket_snoozed": _snoozed,
    "ticket_woken": _woken,
    "type_changed": _changed("Type", words.TYPES),
    "severity_changed": _changed("Severity", words.SEVERITIES),
    "tags_changed": _tags,
    "field_changed": _field,
    "branch_changed": _moved,
    "messages_moved_away": _moved_away,
    "messages_moved_here": _moved_here,
    "ticket_merged": lambda fact, reader: f"Merged into #{fact.data['number']} by {_who(fact, reader)}",
    "ticket_unmerged": lambda fact, reader: (
        f"No longer part of #{fact.data['number']}, taken back by {_who(fact, reader)}"
    ),
    "ticket_linked": _linked,
    "ticket_unlinked": lambda fact, reader: f"Link to #{fact.data['number']} removed by {_who(fact, reader)}",
    "ticket_escalated": _escalated,
    "escalation_acknowledged": _said("Escalation acknowledged"),
    "escalation_handed_back": _said("Handed back to the tier below"),
    "sla_warned": _clock("runs low"),
    "sla_breached": _clock("is late"),
    "acknowledgement_sent": lambda _fact, _reader: "Acknowledged automatically",
    "delivery_retried": _said("An undelivered mail was sent again"),
    "delivery_failed": lambda _fact, _reader: "A reply could not be delivered",
    "delivery_bounced": lambda _fact, _reader: "A reply came back undelivered",
}


def _plainly(fact: Fact, reader: Reader) -> str:
    """The facts that only the history tells."""
    who = _who(fact, reader)
    more: dict[str, Any] = {
        "ticket_opened": f"Opened by {who}",
        "message_received": "A message came in",
        "ticket_viewed": f"Looked at by {who}" + (" for the first time" if fact.data.get("is_first") else ""),
        "reply_sent": f"Answered by {who}",
        "acknowledgement_withheld": "No automatic acknowledgement",
        "ticket_followed": f"Followed by {who}",
        "ticket_unfollowed": f"Not followed by {who} any more",
        "note_added": f"Note written by {who}",
        "template_offered": f"Templates suggested to {who}",
        "template_inserted": f"Template “{fact.data.get('name')}” inserted by {who}",
        "template_sent": f"Template “{fact.data.get('name')}” sent by {who}",
        "sla_started": _clock("started")(fact, reader),
        "sla_met": _met(fact, reader),
    }
    return str(more.get(fact.kind) or fact.kind.replace("_", " ").capitalize())
