"""Who waits for what on a ticket, followed through its events.

What starts, pauses and stops them:
- first_response starts when a customer opens the ticket and is met by the first human reply.
- next_response starts at the first customer message that no reply has answered yet, once a first reply was
  given, and is met by the next human reply; each such wait is a cycle of its own. Finishing the ticket ends
  it.
- resolution starts with the ticket, is met when it is resolved or closed, and continues when it is opened
  again.
- a message that was moved by hand counts in the ticket where it stands now, at the time at which it was said:
  the ticket it left counts as if it had never come, and where it went a customer's message is owed an answer
  since it reached us, whatever was answered there before it came.
Automatic messages, notes and status changes answer nobody.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from portal.rules.lifecycle import usual_label
from portal.rules.policies import ClockKind, Terms
from portal.wording import sentence

_FINISHED = frozenset({"resolved", "closed"})
_ASIDE = frozenset({"spam", "trash"})
_ANSWERS: frozenset[ClockKind] = frozenset({"first_response", "next_response"})
_MOVES = frozenset({"messages_moved_away", "messages_moved_here"})


@dataclass(frozen=True, slots=True)
class TicketEvent:
    """One fact of the ledger, `at` aware. Kinds that matter, and what their `data` holds:

    - ticket_opened: `status` ("new" when absent), `opened_by` ("customer" when absent, or "agent")
    - message_received: `is_automatic`
    - reply_sent: `is_automatic`
    - reply_cancelled: the reply was called back before it left, and never counted
    - status_changed: `from`, `to`
    - ticket_merged: this ticket went into another one
    - ticket_unmerged: that was taken back, and what it did to the ticket never counted
    - messages_moved_away, messages_moved_here: `messages`, each with `id`, `direction`, `at` (ISO 8601, when
      it was said) and `counts` (false for notes, automatic mail, and what no customer has got as an answer)

    `message_id` is that of the one message that the fact is about.
    """

    kind: str
    at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    message_id: int | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """What a clock does from a moment on: it runs, is paused, or has ended (met, cancelled)."""

    state: Literal["running", "paused", "met", "cancelled"]
    reason: str
    terms: Terms

    @property
    def has_ended(self) -> bool:
        return self.state in ("met", "cancelled")


@dataclass(slots=True)
class Track:
    """A wait being followed: each mark is a moment from which a condition holds."""

    kind: ClockKind
    cycle: int
    marks: list[tuple[datetime, Condition]]


def follow(events: Sequence[TicketEvent], terms: Sequence[Terms], now: datetime) -> list[Track]:
    """Every wait of a ticket as of `now`, in the order of their beginning.

    Events may come in any order; those of one moment keep the order in which they are given, except that status
    changes come last. Those after `now` are ignored, and so are terms.
    """
    happened = sorted(
        (event for event in events if event.at <= now),
        key=lambda each: (each.at, each.kind == "status_changed"),
    )
    coming = [(each.since, each) for each in terms if each.since is not None and each.since <= now]
    ledger = _Ledger(next(each for each in terms if each.since is None))
    for event in _where_they_stand(happened):
        while coming and coming[0][0] <= event.at:
            ledger.take_terms(*coming.pop(0))
        ledger.apply(event)
    for since, each in coming:
        ledger.take_terms(since, each)
    return ledger.tracks


def _where_they_stand(events: Sequence[TicketEvent]) -> list[TicketEvent]:
    """The events without what was never sent, and without messages that stand in another ticket now.

    Each message that came is counted once.
    """
    events = _without_merges_taken_back(events)
    cancelled = {event.message_id for event in events if event.kind == "reply_cancelled"}
    if cancelled:
        events = [each for each in events if each.kind != "reply_sent" or each.message_id not in cancelled]
    last_moves = {
        message["id"]: (event, message)
        for event in events
        if event.kind in _MOVES
        for message in event.data["messages"]
    }
    if not last_moves:
        return list(events)
    # One may have lost its worth while it stood elsewhere: a reply that was called back there.
    away = {
        number
        for number, (event, message) in last_moves.items()
        if event.kind == "messages_moved_away" or not message["counts"]
    }
    said_here = {event.message_id for event in events if event.kind in ("message_received", "reply_sent")}
    kept = []
    for event in events:
        if event.kind == "messages_moved_here":
            # One that left and came back is counted where it was said first.
            came = [
                message
                for message in event.data["messages"]
                if last_moves[message["id"]][0] is event and message["id"] not in said_here | cancelled
            ]
            kept.append(replace(event, data={**event.data, "messages": came}))
        elif event.message_id not in away or event.kind not in ("message_received", "reply_sent"):
            kept.append(event)
    return kept


def _without_merges_taken_back(events: Sequence[TicketEvent]) -> list[TicketEvent]:
    """From being merged to being itself again, nothing happens to a ticket that its clocks know."""
    kept: list[TicketEvent] = []
    for event in events:
        if event.kind != "ticket_unmerged":
            kept.append(event)
            continue
        merged = max((at for at, one in enumerate(kept) if one.kind == "ticket_merged"), default=len(kept))
        del kept[merged:]
    return kept


class _Ledger:
    """The state of the walk over the events; it lives only inside `follow`."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.status = "new"
        self.is_opened = False
        self.is_over = False
        self.has_first_response = False
        self.tracks: list[Track] = []
        self.live: dict[ClockKind, Track] = {}

    def apply(self, event: TicketEvent) -> None:
        if self.is_over:
            return
        if event.kind == "ticket_opened":
            self._open(event.at, event.data)
        elif event.kind == "message_received" and not event.data.get("is_automatic"):
            self._receive(event.at)
        elif event.kind == "reply_sent" and not event.data.get("is_automatic"):
            self._reply(event.at)
        elif event.kind == "status_changed":
            self._change_status(event.at, str(event.data["to"]))
        elif event.kind == "messages_moved_here":
            self._take(event.data["messages"])
        elif event.kind == "ticket_merged":
            self._merge(event.at)

    def take_terms(self, at: datetime, terms: Terms) -> None:
        """From now on these hold, for what runs as well."""
        self.terms = terms
        for kind, track in self.live.items():
            track.marks.append((at, self._condition(kind)))

    def _open(self, at: datetime, data: Mapping[str, Any]) -> None:
        if self.is_opened:
            return
        self.is_opened = True
        self.status = str(data.get("status") or "new")
        self._start("resolution", at)
        if data.get("opened_by") == "agent":
            self.has_first_response = True
        else:
            self._start("first_response", at)

    def _receive(self, at: datetime) -> None:
        # A ledger that was imported may lack the opening; the first message then stands for it.
        self._open(at, {"status": self.status})
        if self.has_first_response and "next_response" not in self.live:
            self._start("next_response", at)
        for kind in _ANSWERS & self.live.keys():
            began_at, condition = self.live[kind].marks[0]
            # One that was moved here may have waited for longer than those that stood here.
            self.live[kind].marks[0] = (min(began_at, at), condition)

    def _reply(self, at: datetime) -> None:
        self._open(at, {"opened_by": "agent", "status": self.status})
        for kind in _ANSWERS & self.live.keys():
            # One that was moved here may be older than what waits here; that it does not answer.
            if self.live[kind].marks[0][0] <= at:
                self._end(kind, at, self._ended("met", sentence("Answered")))
        self.has_first_response = "first_response" not in self.live

    def _take(self, messages: Iterable[Mapping[str, Any]]) -> None:
        """Messages that were moved here, in the order in which they were said."""
        for message in sorted(messages, key=lambda each: (str(each["at"]), int(each["id"]))):
            said_at = datetime.fromisoformat(message["at"])
            if not message["counts"]:
                continue
            if message["direction"] == "in":
                self._receive(said_at)
            elif message["direction"] == "out":
                self._reply(said_at)

    def _change_status(self, at: datetime, status: str) -> None:
        self.status = status
        for kind, track in tuple(self.live.items()):
            condition = self._condition(kind)
            track.marks.append((at, condition))
            # An unanswered message of a finished ticket is owed no answer; another message begins a new wait.
            if kind == "next_response" and status in _FINISHED:
                del self.live[kind]

    def _merge(self, at: datetime) -> None:
        for kind in tuple(self.live):
            self._end(kind, at, self._ended("cancelled", sentence("Merged into another ticket")))
        self.is_over = True

    def _start(self, kind: ClockKind, at: datetime) -> None:
        cycle = 1 + next((track.cycle for track in reversed(self.tracks) if track.kind == kind), 0)
        track = Track(kind, cycle, [(at, self._condition(kind))])
        self.tracks.append(track)
        self.live[kind] = track

    def _end(self, kind: ClockKind, at: datetime, condition: Condition) -> None:
        track = self.live.pop(kind)
        track.marks = [*(mark for mark in track.marks if mark[0] <= at), (at, condition)]

    def _condition(self, kind: ClockKind) -> Condition:
        name = usual_label(self.status)
        if self.status in _FINISHED:
            return self._ended("met" if kind == "resolution" else "cancelled", name)
        if self.status in _ASIDE:
            return self._ended("cancelled", name)
        is_paused = self.terms.is_paused(kind, self.status)
        return Condition("paused" if is_paused else "running", name, self.terms)

    def _ended(self, state: Literal["met", "cancelled"], reason: str) -> Condition:
        return Condition(state, reason, self.terms)
