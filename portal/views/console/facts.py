"""Events of the ledger as sentences of the timeline."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from flask import url_for

from portal.language import gettext, ngettext, pgettext, tell
from portal.rules import triggers
from portal.views.console import words
from portal.views.console.reading import Fact
from portal.views.console.words import Reader
from portal.wording import N_, reason_in

# What one person does in one go stands on one line.
TOGETHER = timedelta(minutes=2)
# What is later than a sweep or two takes is worth saying.
NOTICED_LATE_SECONDS = 60


@dataclass(frozen=True)
class Line:
    """One line between the messages: what happened, who did it, when; `tone` is "", "warn" or "late"."""

    key: str
    who: str
    sentence: str
    reason: str
    time: str
    # The same without the day while it is today.
    since: str
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
        since=reader.since(fact.at),
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
    sentence = line.sentence.removesuffix(gettext(" by %(who)s", who=line.who))
    both = gettext("%(before)s, %(then)s", before=before.sentence, then=words.continued(sentence))
    # Only the last one of a line can have a reason: whatever follows one begins a line of its own.
    return replace(before, sentence=both, reason=line.reason, fact=line.fact)


def _told(fact: Fact, reader: Reader) -> str:
    tell = _SENTENCES.get(fact.kind)
    return tell(fact, reader) if tell else ""


def _who(fact: Fact, reader: Reader) -> str:
    if fact.actor_id == reader.user_id and fact.actor_id is not None:
        return pgettext("by", "you")
    if fact.actor_name:
        return fact.actor_name
    return pgettext("by", "the customer") if fact.actor_kind == "customer" else "Portal"


def _status(fact: Fact, reader: Reader) -> str:
    name = words.status(str(fact.data.get("to", "")))
    within, who = words.within(name), _who(fact, reader)
    if fact.data.get("rule") == "message_moved_here":
        return gettext("Now %(status)s, because of the message", status=within)
    if fact.data.get("rule") == "taken_back":
        return gettext("Back to %(status)s, taken back by %(who)s", status=name, who=who)
    if fact.data.get("rule") == "answered":
        return gettext("Now %(status)s", status=within)
    if fact.actor_kind == "customer":
        return gettext("Now %(status)s, because the customer wrote", status=within)
    return gettext("Set to %(status)s by %(who)s", status=name, who=who)


def _assigned(fact: Fact, reader: Reader) -> str:
    who, to = _who(fact, reader), fact.data.get("to")
    if to is None:
        return gettext("Given back to the queue by %(who)s", who=who)
    name = pgettext("to", "you") if to == reader.user_id else fact.data.get("name") or gettext("a colleague")
    given = gettext("Assigned to %(name)s by %(who)s", name=name, who=who)
    why = tell(reason_in(fact.data))
    return f"{given}. {why}" if why else given


def _customer_changed(fact: Fact, reader: Reader) -> str:
    name = fact.data.get("to_name") or gettext("another customer")
    return gettext("Given to %(name)s by %(who)s", name=name, who=_who(fact, reader))


def _changed(sentence_of: str, names: dict[str, str]) -> Callable[[Fact, Reader], str]:
    def sentence(fact: Fact, reader: Reader) -> str:
        value = str(fact.data.get("to", ""))
        return gettext(sentence_of, value=names.get(value, value), who=_who(fact, reader))

    return sentence


def _tags(fact: Fact, reader: Reader) -> str:
    before, after = set(fact.data.get("from", ())), set(fact.data.get("to", ()))
    added, removed = ", ".join(sorted(after - before)), ", ".join(sorted(before - after))
    who = _who(fact, reader)
    if added and removed:
        return gettext(
            "Tagged %(added)s; tag removed: %(removed)s by %(who)s", added=added, removed=removed, who=who
        )
    if added:
        return gettext("Tagged %(added)s by %(who)s", added=added, who=who)
    if removed:
        return gettext("Tag removed: %(removed)s by %(who)s", removed=removed, who=who)
    return gettext("Tags changed by %(who)s", who=who)


def _field(fact: Fact, reader: Reader) -> str:
    name = str(fact.data.get("name") or "")
    before, after = (
        words.field_value(fact.data.get(value), str(fact.data.get(f"{value}_name") or ""))
        for value in ("from", "to")
    )
    if not after:
        return gettext(
            "%(field)s emptied (was %(before)s) by %(who)s", field=name, before=before, who=_who(fact, reader)
        )
    if not before:
        return gettext(
            "%(field)s set to %(after)s by %(who)s", field=name, after=after, who=_who(fact, reader)
        )
    return gettext(
        "%(field)s set to %(after)s (was %(before)s) by %(who)s",
        field=name,
        after=after,
        before=before,
        who=_who(fact, reader),
    )


def _moved(fact: Fact, reader: Reader) -> str:
    return gettext(
        "Moved from %(before)s to %(after)s by %(who)s",
        before=fact.data.get("from_name"),
        after=fact.data.get("to_name"),
        who=_who(fact, reader),
    )


def _moved_away(fact: Fact, reader: Reader) -> str:
    """Message moved to #10482 by you; 3 messages split off as #10482 by Ann."""
    if fact.data["how"] == "unmerged":
        return gettext(
            "#%(number)s is a ticket of its own again, taken back by %(who)s",
            number=fact.data["number"],
            who=_who(fact, reader),
        )
    amount, told = len(fact.data["messages"]), {"number": fact.data["number"], "who": _who(fact, reader)}
    if fact.data["how"] == "split_off":
        return ngettext(
            "Message split off as #%(number)s by %(who)s",
            "%(num)s messages split off as #%(number)s by %(who)s",
            amount,
            **told,
        )
    return ngettext(
        "Message moved to #%(number)s by %(who)s",
        "%(num)s messages moved to #%(number)s by %(who)s",
        amount,
        **told,
    )


def _moved_here(fact: Fact, reader: Reader) -> str:
    number, who = fact.data["number"], _who(fact, reader)
    if fact.data["how"] == "merged":
        return gettext("#%(number)s merged into this ticket by %(who)s", number=number, who=who)
    amount = len(fact.data["messages"])
    if fact.data["how"] == "split_off":
        return ngettext(
            "Message split off from #%(number)s by %(who)s",
            "%(num)s messages split off from #%(number)s by %(who)s",
            amount,
            number=number,
            who=who,
        )
    return ngettext(
        "Message moved here from #%(number)s by %(who)s",
        "%(num)s messages moved here from #%(number)s by %(who)s",
        amount,
        number=number,
        who=who,
    )


def _snoozed(fact: Fact, reader: Reader) -> str:
    until = reader.moment(datetime.fromisoformat(fact.data["until"]))
    return gettext("Snoozed until %(moment)s by %(who)s", moment=until, who=_who(fact, reader))


def _woken(fact: Fact, reader: Reader) -> str:
    """Why it came back; what somebody did to it besides stands before, on the same line."""
    return {
        "time": gettext("Back: its snooze is over"),
        "customer_wrote": gettext("Back before its time, because the customer wrote"),
        "by_hand": gettext("Woken by %(who)s", who=_who(fact, reader)),
    }.get(str(fact.data.get("cause")), gettext("No longer snoozed by %(who)s", who=_who(fact, reader)))


def _linked(fact: Fact, reader: Reader) -> str:
    told = {
        "related": N_("Linked to #%(number)s by %(who)s"),
        "duplicates": N_("Marked as a duplicate of #%(number)s by %(who)s"),
        "duplicated_by": N_("#%(number)s marked as a duplicate of this by %(who)s"),
        "causes": N_("Marked as the cause of #%(number)s by %(who)s"),
        "caused_by": N_("Marked as caused by #%(number)s by %(who)s"),
    }[str(fact.data["relation"])]
    return gettext(told, number=fact.data["number"], who=_who(fact, reader))


def _escalated(fact: Fact, reader: Reader) -> str:
    name = fact.data.get("to_name") or gettext("Tier %(level)s", level=fact.data.get("to_level"))
    how = {
        "sla_warning": N_("Escalated to %(name)s because a clock runs low"),
        "sla_breach": N_("Escalated to %(name)s because a clock ran out"),
        "unacknowledged": N_("Escalated to %(name)s because nobody acknowledged"),
        **dict.fromkeys(triggers.KINDS, N_("Escalated to %(name)s by a rule")),
    }.get(str(fact.data.get("trigger")))
    return gettext(how or N_("Escalated to %(name)s by %(who)s"), name=name, who=_who(fact, reader))


def _unacknowledged(fact: Fact, reader: Reader) -> str:
    """What followed, and when it should have been, where Portal noticed only later."""
    sentence = {
        "next_on_call": gettext("Nobody acknowledged in time: %(who)s was told", who=fact.data.get("told")),
        "next_tier": gettext("Nobody acknowledged in time: it goes on to the next tier"),
    }.get(
        str(fact.data.get("action")),
        gettext("Nobody acknowledged in time: whoever leads the branch was told"),
    )
    if int(fact.data.get("late_seconds") or 0) < NOTICED_LATE_SECONDS:
        return sentence
    due = reader.at_moment(datetime.fromisoformat(fact.data["due_at"]))
    return sentence + " " + gettext("(due %(moment)s, noticed later)", moment=due)


def _measured(fact: Fact, reader: Reader) -> str:
    told = {
        "priority_changed": N_("Measured by “%(policy)s” since the priority changed"),
        "type_changed": N_("Measured by “%(policy)s” since the type changed"),
        "branch_changed": N_("Measured by “%(policy)s” and the hours of its new branch"),
        "customer_changed": N_("Measured by “%(policy)s” since the customer changed"),
        "applied_again": N_("Measured by the newest targets of “%(policy)s”, applied by %(who)s"),
    }[str(fact.data["why"])]
    if not fact.data["to"]:
        return gettext("Measured by no policy any more")
    return gettext(told, policy=fact.data["to"], who=_who(fact, reader))


def _hours(fact: Fact, reader: Reader) -> str:
    before, after = (
        reader.moment(datetime.fromisoformat(fact.data[name])) if fact.data[name] else "–"
        for name in ("from", "to")
    )
    told = N_("The hours of “%(calendar)s” were changed: due %(after)s, before that %(before)s")
    return gettext(told, calendar=fact.data["calendar"], before=before, after=after)


def _clock(what: str) -> Callable[[Fact, Reader], str]:
    def sentence(fact: Fact, _reader: Reader) -> str:
        return gettext(what, clock=words.clock(str(fact.data.get("clock"))))

    return sentence


def _met(fact: Fact, _reader: Reader) -> str:
    label = words.clock(str(fact.data.get("clock")))
    elapsed = fact.data.get("elapsed_seconds")
    is_late = bool(fact.data.get("is_late"))
    if not isinstance(elapsed, int | float):
        return (
            gettext("%(clock)s met late", clock=label) if is_late else gettext("%(clock)s met", clock=label)
        )
    span = words.span(elapsed)
    if is_late:
        return gettext("%(clock)s met late after %(span)s", clock=label, span=span)
    return gettext("%(clock)s met after %(span)s", clock=label, span=span)


def _said(sentence: str) -> Callable[[Fact, Reader], str]:
    return lambda fact, reader: gettext(sentence, who=_who(fact, reader))


def _reason(fact: Fact) -> str:
    if fact.kind == "ticket_escalated" and fact.data.get("trigger") in triggers.KINDS:
        return tell(reason_in(fact.data))
    if fact.kind == "ticket_escalated" and fact.data.get("trigger") == "manual":
        return str(fact.data.get("reason") or "")
    if fact.kind == "escalation_handed_back":
        return str(fact.data.get("note") or "")
    if fact.kind in ("acknowledgement_withheld", "escalation_unacknowledged"):
        return tell(reason_in(fact.data))
    if fact.kind in ("delivery_failed", "delivery_bounced"):
        return str(fact.data.get("reply") or fact.data.get("reason") or "")
    return ""


def _tone(fact: Fact) -> str:
    if fact.kind in ("sla_breached", "delivery_failed", "delivery_bounced"):
        return "late"
    return "warn" if fact.kind in ("sla_warned", "ticket_escalated", "escalation_unacknowledged") else ""


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
    "ticket_picked_up": _said(N_("Picked up by %(who)s")),
    "ticket_assigned": _assigned,
    "reply_cancelled": _said(N_("A reply was taken back by %(who)s")),
    "reply_held_back": _said(N_("A reply for later was held back by %(who)s")),
    "customer_changed": _customer_changed,
    "status_changed": _status,
    "priority_changed": _changed(N_("Priority set to %(value)s by %(who)s"), words.PRIORITIES),
    "ticket_snoozed": _snoozed,
    "ticket_woken": _woken,
    "type_changed": _changed(N_("Type set to %(value)s by %(who)s"), words.TYPES),
    "severity_changed": _changed(N_("Severity set to %(value)s by %(who)s"), words.SEVERITIES),
    "tags_changed": _tags,
    "field_changed": _field,
    "branch_changed": _moved,
    "messages_moved_away": _moved_away,
    "messages_moved_here": _moved_here,
    "ticket_merged": lambda fact, reader: gettext(
        "Merged into #%(number)s by %(who)s", number=fact.data["number"], who=_who(fact, reader)
    ),
    "ticket_unmerged": lambda fact, reader: gettext(
        "No longer part of #%(number)s, taken back by %(who)s",
        number=fact.data["number"],
        who=_who(fact, reader),
    ),
    "ticket_linked": _linked,
    "ticket_unlinked": lambda fact, reader: gettext(
        "Link to #%(number)s removed by %(who)s", number=fact.data["number"], who=_who(fact, reader)
    ),
    "ticket_escalated": _escalated,
    "escalation_acknowledged": _said(N_("Escalation acknowledged by %(who)s")),
    "escalation_unacknowledged": _unacknowledged,
    "escalation_handed_back": _said(N_("Handed back to the tier below by %(who)s")),
    "policy_applied": _measured,
    "hours_changed": _hours,
    "sla_warned": _clock(N_("%(clock)s runs low")),
    "sla_breached": _clock(N_("%(clock)s is late")),
    "acknowledgement_sent": lambda _fact, _reader: gettext("Acknowledged automatically"),
    "delivery_retried": _said(N_("An undelivered mail was sent again by %(who)s")),
    "delivery_failed": lambda _fact, _reader: gettext("A reply could not be delivered"),
    "delivery_bounced": lambda _fact, _reader: gettext("A reply came back undelivered"),
}


def _plainly(fact: Fact, reader: Reader) -> str:
    """The facts that only the history tells."""
    who = _who(fact, reader)
    more: dict[str, Any] = {
        "ticket_opened": gettext("Opened by %(who)s", who=who),
        "message_received": gettext("A message came in"),
        "ticket_viewed": gettext("Looked at by %(who)s for the first time", who=who)
        if fact.data.get("is_first")
        else gettext("Looked at by %(who)s", who=who),
        "reply_sent": gettext("Answered by %(who)s", who=who),
        "acknowledgement_withheld": gettext("No automatic acknowledgement"),
        "ticket_followed": gettext("Followed by %(who)s", who=who),
        "ticket_unfollowed": gettext("Not followed by %(who)s any more", who=who),
        "note_added": gettext("Note written by %(who)s", who=who),
        "template_offered": gettext("Templates suggested to %(who)s", who=who),
        "template_inserted": gettext(
            "Template “%(name)s” inserted by %(who)s", name=fact.data.get("name"), who=who
        ),
        "template_sent": gettext("Template “%(name)s” sent by %(who)s", name=fact.data.get("name"), who=who),
        "sla_started": _clock(N_("%(clock)s started"))(fact, reader),
        "sla_met": _met(fact, reader),
    }
    return str(more.get(fact.kind) or fact.kind.replace("_", " ").capitalize())
