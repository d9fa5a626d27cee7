"""The clocks of a ticket, computed from its events alone.

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
Automatic messages, notes and status changes answer nobody. A clock is breached when more than its target has
elapsed; it then runs on until it is stopped, and the breach stays a fact even when the ticket is finished
later.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from portal.rules.hours import Calendar, add_working_time, working_intervals, working_time
from portal.rules.lifecycle import label
from portal.wording import N_, sentence

ClockKind = Literal["first_response", "next_response", "resolution"]
ClockState = Literal["running", "paused", "met", "breached", "cancelled"]

CLOCK_KINDS: tuple[ClockKind, ...] = ("first_response", "next_response", "resolution")
CLOCK_STATES: tuple[ClockState, ...] = ("running", "paused", "met", "breached", "cancelled")
CLOCK_LABELS: dict[str, str] = {
    "first_response": sentence("First response"),
    "next_response": sentence("Next response"),
    "resolution": sentence("Resolution"),
}
_FINISHED = frozenset({"resolved", "closed"})
_ASIDE = frozenset({"spam", "trash"})
_ENDED = frozenset({"met", "cancelled"})
_ANSWERS: frozenset[ClockKind] = frozenset({"first_response", "next_response"})
_MOVES = frozenset({"messages_moved_away", "messages_moved_here"})


@dataclass(frozen=True, slots=True)
class Policy:
    """Targets in seconds per clock kind (absent: no such clock), and the statuses that pause each kind."""

    targets: Mapping[str, int]
    is_business_time: bool = True
    paused_statuses: Mapping[str, frozenset[str]] = field(
        default_factory=lambda: {"resolution": frozenset({"pending"})}
    )
    warning_percent: int = 75
    id: int | None = None


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
class Interval:
    """A stretch of a clock's life. `ended_at` is None for the one that still goes on.

    The `elapsed_seconds` of all intervals add up to those of the clock; they are working time in business
    time.
    """

    started_at: datetime
    ended_at: datetime | None
    is_running: bool
    reason: str
    elapsed_seconds: int = 0


@dataclass(frozen=True, slots=True)
class ClockView:
    """One clock as of `now`.

    `due_at` is when the target is reached (for a late clock: was), None while that cannot be said because the
    clock is paused; for a clock met or cancelled in time, when it would have been. `warn_at` likewise for the
    policy's warning percentage. `is_running` says whether time is counting, which a breached clock may do
    too. `is_met_late`: what was owed has been done, after the target.
    """

    kind: ClockKind
    cycle: int
    state: ClockState
    started_at: datetime
    stopped_at: datetime | None
    target_seconds: int
    elapsed_seconds: int
    due_at: datetime | None
    warn_at: datetime | None
    is_running: bool
    is_met_late: bool
    is_business_time: bool
    reason: str
    intervals: tuple[Interval, ...]

    @property
    def is_breached(self) -> bool:
        return self.state == "breached"

    @property
    def percent(self) -> int:
        """Elapsed time in percent of the target, rounded down."""
        return self.elapsed_seconds * 100 // self.target_seconds


def policy_from_minutes(
    first_response_minutes: int | None,
    next_response_minutes: int | None,
    resolution_minutes: int | None,
    *,
    is_business_time: bool = True,
    paused_statuses: Iterable[str] | Mapping[str, Iterable[str]] = ("pending",),
    warning_percent: int = 75,
    id: int | None = None,  # noqa: A002 - the policy's own
) -> Policy:
    """A policy as an admin enters it. A plain list of paused statuses pauses the resolution clock only."""
    minutes = zip(
        CLOCK_KINDS, (first_response_minutes, next_response_minutes, resolution_minutes), strict=True
    )
    by_kind = paused_statuses if isinstance(paused_statuses, Mapping) else {"resolution": paused_statuses}
    return Policy(
        targets={kind: value * 60 for kind, value in minutes if value is not None},
        is_business_time=is_business_time,
        paused_statuses={kind: frozenset(statuses) for kind, statuses in by_kind.items()},
        warning_percent=warning_percent,
        id=id,
    )


def policy_problems(policy: Policy) -> tuple[str, ...]:
    """What an admin must correct before the policy can be saved, in sentences."""
    problems = []
    if not policy.targets:
        problems.append(N_("The policy has no target: set at least one."))
    problems += [
        sentence(
            "The target for %(clock)s must be more than 0 minutes.",
            clock=CLOCK_LABELS.get(kind, kind),
        )
        for kind, seconds in policy.targets.items()
        if seconds <= 0
    ]
    if not 0 <= policy.warning_percent < 100:
        problems.append(N_("The warning comes between 0 and 99 percent of the target (0: no warning)."))
    unpausable = (_FINISHED | _ASIDE) & frozenset().union(*policy.paused_statuses.values())
    problems += [
        sentence("%(status)s ends the clocks, so it cannot pause them.", status=label(status))
        for status in sorted(unpausable)
    ]
    return tuple(problems)


def compute_clocks(
    events: Sequence[TicketEvent], policy: Policy, calendar: Calendar, now: datetime
) -> list[ClockView]:
    """Every clock of a ticket as of `now`, by start, then kind: a pure function of its arguments.

    Events may come in any order; those of one moment keep the order in which they are given, except that
    status changes come last. Events after `now` are ignored. Raises NoWorkingTimeError when the calendar
    never reaches a target.
    """
    return _views(_tracks(events, policy, now), policy, calendar, now)


def newest_clocks(
    events: Sequence[TicketEvent], policy: Policy, calendar: Calendar, now: datetime
) -> list[ClockView]:
    """Of `compute_clocks` the last of each kind, which is the only one of its kind that can still run.

    A ticket with hundreds of answers has had hundreds of clocks; a page shows these.
    """
    newest = {track.kind: track for track in _tracks(events, policy, now)}
    return _views(list(newest.values()), policy, calendar, now)


def next_due(clocks: Iterable[ClockView]) -> ClockView | None:
    """The running clock that is due soonest, late ones first: what a queue sorts by. None when none runs."""
    running = [clock for clock in clocks if clock.is_running and clock.due_at is not None]
    return min(running, key=lambda clock: (clock.due_at, clock.kind), default=None)


def moment_at_percent(clock: ClockView, calendar: Calendar, percent: int) -> datetime | None:
    """When a clock reaches (or reached) a percentage of its target; None while it is paused short of it."""
    return _reached_at(
        clock.intervals,
        timedelta(seconds=clock.target_seconds) * percent / 100,
        clock.is_business_time,
        calendar,
    )


def explain_clock(clock: ClockView, calendar: Calendar, now: datetime) -> tuple[Interval, ...]:
    """The clock's intervals with closed hours shown as such, for the timeline; they add up to the figure."""
    if not clock.is_business_time:
        return clock.intervals
    pieces: list[Interval] = []
    total = timedelta()
    for interval in clock.intervals:
        if interval.is_running:
            split, total = _split(interval, calendar, now, total)
            pieces += split
        else:
            pieces.append(interval)
    return tuple(pieces)


@dataclass(frozen=True, slots=True)
class _Condition:
    """What a clock does from a moment on: it runs, is paused, or has ended (met, cancelled)."""

    state: Literal["running", "paused", "met", "cancelled"]
    reason: str


@dataclass(slots=True)
class _Track:
    """A clock being followed: each mark is a moment from which a condition holds."""

    kind: ClockKind
    cycle: int
    marks: list[tuple[datetime, _Condition]]


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
    """The state of the walk over the events; it lives only inside compute_clocks."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.status = "new"
        self.is_opened = False
        self.is_over = False
        self.has_first_response = False
        self.tracks: list[_Track] = []
        self.live: dict[ClockKind, _Track] = {}

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
                self._end(kind, at, _Condition("met", sentence("Answered")))
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
            self._end(kind, at, _Condition("cancelled", sentence("Merged into another ticket")))
        self.is_over = True

    def _start(self, kind: ClockKind, at: datetime) -> None:
        cycle = 1 + next((track.cycle for track in reversed(self.tracks) if track.kind == kind), 0)
        track = _Track(kind, cycle, [(at, self._condition(kind))])
        self.tracks.append(track)
        self.live[kind] = track

    def _end(self, kind: ClockKind, at: datetime, condition: _Condition) -> None:
        track = self.live.pop(kind)
        track.marks = [*(mark for mark in track.marks if mark[0] <= at), (at, condition)]

    def _condition(self, kind: ClockKind) -> _Condition:
        name = label(self.status)
        if self.status in _FINISHED:
            return _Condition("met" if kind == "resolution" else "cancelled", name)
        if self.status in _ASIDE:
            return _Condition("cancelled", name)
        is_paused = self.status in self.policy.paused_statuses.get(kind, ())
        return _Condition("paused" if is_paused else "running", name)


def _tracks(events: Sequence[TicketEvent], policy: Policy, now: datetime) -> list[_Track]:
    happened = sorted(
        (event for event in events if event.at <= now),
        key=lambda each: (each.at, each.kind == "status_changed"),
    )
    ledger = _Ledger(policy)
    for event in _where_they_stand(happened):
        ledger.apply(event)
    return [track for track in ledger.tracks if track.kind in policy.targets]


def _views(tracks: Sequence[_Track], policy: Policy, calendar: Calendar, now: datetime) -> list[ClockView]:
    views = (_view(track, policy, calendar, now) for track in tracks)
    return sorted(views, key=lambda clock: (clock.started_at, CLOCK_KINDS.index(clock.kind), clock.cycle))


def _view(track: _Track, policy: Policy, calendar: Calendar, now: datetime) -> ClockView:
    target = timedelta(seconds=policy.targets[track.kind])
    marks = _settled(track.marks)
    intervals, elapsed = _intervals(marks, policy.is_business_time, calendar, now)
    last_at, last = marks[-1]
    stopped_at = last_at if last.state in _ENDED else None
    is_late = elapsed > target

    def reached(share: timedelta) -> datetime | None:
        return _reached_at(intervals, share, policy.is_business_time, calendar)

    return ClockView(
        kind=track.kind,
        cycle=track.cycle,
        state="breached" if is_late else last.state,
        started_at=marks[0][0],
        stopped_at=stopped_at,
        target_seconds=policy.targets[track.kind],
        elapsed_seconds=elapsed // timedelta(seconds=1),
        due_at=reached(target),
        warn_at=reached(target * policy.warning_percent / 100) if policy.warning_percent else None,
        is_running=last.state == "running",
        is_met_late=is_late and last.state == "met",
        is_business_time=policy.is_business_time,
        reason=_reason(last, is_late),
        intervals=tuple(intervals),
    )


def _settled(marks: Sequence[tuple[datetime, _Condition]]) -> list[tuple[datetime, _Condition]]:
    """The marks without those that lasted no time or changed nothing; what has ended cannot end again."""
    kept: list[tuple[datetime, _Condition]] = []
    for at, condition in marks:
        if kept and kept[-1][0] == at:
            kept.pop()
        if not kept or not (kept[-1][1] == condition or {kept[-1][1].state, condition.state} <= _ENDED):
            kept.append((at, condition))
    return kept


def _intervals(
    marks: Sequence[tuple[datetime, _Condition]], is_business_time: bool, calendar: Calendar, now: datetime
) -> tuple[list[Interval], timedelta]:
    intervals: list[Interval] = []
    elapsed = timedelta()
    ends: list[datetime | None] = [at for at, _ in marks[1:]] + [None]
    for (at, condition), ended_at in zip(marks, ends, strict=True):
        if ended_at is None and condition.state in _ENDED:
            break
        is_running = condition.state == "running"
        before = elapsed
        if is_running:
            elapsed += _counted(at, ended_at or now, is_business_time, calendar)
        seconds = _whole_seconds(before, elapsed)
        intervals.append(Interval(at, ended_at, is_running, condition.reason, seconds))
    return intervals, elapsed


def _counted(start: datetime, end: datetime, is_business_time: bool, calendar: Calendar) -> timedelta:
    return working_time(calendar, start, end) if is_business_time else end - start


def _reached_at(
    intervals: Sequence[Interval], share: timedelta, is_business_time: bool, calendar: Calendar
) -> datetime | None:
    """When the running intervals together have lasted `share`; the last running one is taken to go on."""
    remaining = share
    running = [interval for interval in intervals if interval.is_running]
    for interval in running:
        is_open_ended = interval.ended_at is None or interval is intervals[-1]
        moment = (
            add_working_time(calendar, interval.started_at, remaining)
            if is_business_time
            else interval.started_at + remaining
        )
        if is_open_ended or (interval.ended_at is not None and moment <= interval.ended_at):
            return moment
        assert interval.ended_at is not None
        remaining -= _counted(interval.started_at, interval.ended_at, is_business_time, calendar)
    return None


def _reason(condition: _Condition, is_late: bool) -> str:
    words = {
        "running": N_("Running: %(status)s"),
        "paused": N_("Paused: %(status)s"),
        "met": N_("Met: %(status)s"),
        "cancelled": N_("No longer owed: %(status)s"),
    }
    late = {
        "running": N_("Late: %(status)s"),
        "paused": N_("Late, paused: %(status)s"),
        "met": N_("Met late: %(status)s"),
        "cancelled": N_("Late, no longer owed: %(status)s"),
    }
    return sentence((late if is_late else words)[condition.state], status=condition.reason)


def _split(
    interval: Interval, calendar: Calendar, now: datetime, total: timedelta
) -> tuple[list[Interval], timedelta]:
    """A running interval cut at opening and closing; `total` is what had elapsed before it, and what has after."""
    pieces: list[Interval] = []
    position = interval.started_at
    end = interval.ended_at or now
    for begin, finish in working_intervals(calendar, position, end):
        if begin > position:
            pieces.append(Interval(position, begin, False, N_("Outside working hours")))
        before, total = total, total + (finish - begin)
        pieces.append(Interval(begin, finish, True, interval.reason, _whole_seconds(before, total)))
        position = finish
    if position < end:
        pieces.append(Interval(position, end, False, N_("Outside working hours")))
    if pieces and interval.ended_at is None:
        pieces[-1] = replace(pieces[-1], ended_at=None)
    return pieces, total


def _whole_seconds(before: timedelta, after: timedelta) -> int:
    """Whole seconds of a running total, so that what is shown adds up to what is shown."""
    return after // timedelta(seconds=1) - before // timedelta(seconds=1)
