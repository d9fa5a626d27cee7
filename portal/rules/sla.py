"""The clocks of a ticket, computed from its events alone: who waits for what says `portal.rules.waits`, this counts it.

A clock is breached when more than its target has elapsed; it then runs on until it is stopped. The breach stays a fact,
and the target that was missed stays the clock's, even when the ticket is finished, moved to another policy or branch,
or when its calendar is corrected afterwards. A clock that has stopped is counted by the calendar as it was known then;
one that has not by the newest that is known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from portal.rules.hours import add_working_time, working_intervals, working_time
from portal.rules.policies import CLOCK_KINDS, ClockKind, Terms, terms_at
from portal.rules.waits import Condition, TicketEvent, Track, follow
from portal.wording import N_, sentence

ClockState = Literal["running", "paused", "met", "breached", "cancelled"]

CLOCK_STATES: tuple[ClockState, ...] = ("running", "paused", "met", "breached", "cancelled")


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of a clock's life under the same terms. `ended_at` is None for the one that still goes on.

    The `elapsed_seconds` of all intervals add up to those of the clock; they are working time in business time.
    """

    started_at: datetime
    ended_at: datetime | None
    is_running: bool
    reason: str
    terms: Terms
    elapsed_seconds: int = 0


@dataclass(frozen=True, slots=True)
class ClockView:
    """One clock as of `now`.

    `due_at` is when the target is reached (for a late clock: was), None while that cannot be said because the
    clock is paused; for a clock met or cancelled in time, when it would have been. `warn_at` likewise for the
    policy's first warning. `warned_percent` is the highest percentage that people have been told of, 100 once the
    breach is in the ledger, which it is since `breached_at`. `is_running` says whether time is counting, which a
    breached clock may do too. `is_met_late`: what was owed has been done, after the target.
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
    warned_percent: int
    breached_at: datetime | None
    is_running: bool
    is_met_late: bool
    reason: str
    intervals: tuple[Interval, ...]

    @property
    def is_breached(self) -> bool:
        return self.state == "breached"

    @property
    def percent(self) -> int:
        """Elapsed time in percent of the target, rounded down."""
        return self.elapsed_seconds * 100 // self.target_seconds

    @property
    def terms(self) -> Terms:
        """Those of the newest stretch."""
        return self.intervals[-1].terms

    @property
    def is_business_time(self) -> bool:
        """Whether only working time counts at present."""
        return _is_business_time(self.terms)


def compute_clocks(events: Sequence[TicketEvent], terms: Sequence[Terms], now: datetime) -> list[ClockView]:
    """Every clock of a ticket as of `now`, by start, then kind: a pure function of its arguments.

    `terms` in their order, the first from the beginning. Raises NoWorkingTimeError when a calendar never reaches a
    target.
    """
    return _views(follow(events, terms, now), events, terms, now)


def newest_clocks(events: Sequence[TicketEvent], terms: Sequence[Terms], now: datetime) -> list[ClockView]:
    """Of `compute_clocks` the last of each kind, which is the only one of its kind that can still run.

    A ticket with hundreds of answers has had hundreds of clocks; a page shows these.
    """
    newest = {track.kind: track for track in follow(events, terms, now)}
    return _views(list(newest.values()), events, terms, now)


def next_due(clocks: Iterable[ClockView]) -> ClockView | None:
    """The running clock that is due soonest, late ones first: what a queue sorts by. None when none runs."""
    running = [clock for clock in clocks if clock.is_running and clock.due_at is not None]
    return min(running, key=lambda clock: (clock.due_at, clock.kind), default=None)


def moment_at_percent(clock: ClockView, percent: int) -> datetime | None:
    """When a clock reaches (or reached) a percentage of its target; None while it is paused short of it."""
    return _reached_at(clock.intervals, timedelta(seconds=clock.target_seconds) * percent / 100)


def explain_clock(clock: ClockView, now: datetime) -> tuple[Interval, ...]:
    """The clock's intervals with closed hours shown as such, for the timeline; they add up to the figure."""
    pieces: list[Interval] = []
    total = timedelta()
    for interval in clock.intervals:
        if interval.is_running and _is_business_time(interval.terms):
            split, total = _split(interval, now, total)
            pieces += split
        else:
            pieces.append(interval)
            total += _counted_in(interval, now)
    return tuple(pieces)


@dataclass(frozen=True, slots=True)
class _Missed:
    """A target that was not met: its length, and when it was reached."""

    target_seconds: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class _Fired:
    """What the ledger holds of a wait: its start, what was missed, since when it knows, and what people were told."""

    started_at: datetime
    missed: _Missed | None
    at: datetime
    percent: int


def _views(
    tracks: Sequence[Track], events: Sequence[TicketEvent], terms: Sequence[Terms], now: datetime
) -> list[ClockView]:
    fired = _fired_in(events, now)
    views = [view for track in tracks if (view := _view(track, terms, fired, now)) is not None]
    return sorted(views, key=lambda clock: (clock.started_at, CLOCK_KINDS.index(clock.kind), clock.cycle))


def _fired_in(events: Sequence[TicketEvent], now: datetime) -> dict[tuple[str, int], list[_Fired]]:
    """Warnings and breaches by the clock and its cycle, in their order."""
    fired: dict[tuple[str, int], list[_Fired]] = {}
    for event in events:
        data = event.data
        if event.kind not in ("sla_warned", "sla_breached") or event.at > now or "started_at" not in data:
            continue
        missed, percent = None, int(data["percent"])
        if event.kind == "sla_breached":
            missed = _Missed(int(data["target_seconds"]), datetime.fromisoformat(data["due_at"]))
        one = _Fired(datetime.fromisoformat(data["started_at"]), missed, event.at, percent)
        fired.setdefault((str(data["clock"]), int(data["cycle"])), []).append(one)
    return fired


def _view(
    track: Track, terms: Sequence[Terms], fired: Mapping[tuple[str, int], Sequence[_Fired]], now: datetime
) -> ClockView | None:
    """The clock of a wait; None when the terms that hold at its end, or now, have no such clock."""
    marks = _settled(track.marks)
    started_at, (last_at, last) = marks[0][0], marks[-1]
    stopped_at = last_at if last.has_ended else None
    held = terms_at(terms, stopped_at or now)
    target = held.target_of(track.kind)
    if held.policy is None or target is None:
        return None
    intervals, elapsed = _intervals(marks, stopped_at or now, now)
    told = fired.get((track.kind, track.cycle), ())
    missed = _missed_in_ledger(told, started_at, stopped_at or now)
    missed = missed or _missed_before(track, terms, intervals, stopped_at or now)
    if missed is None and elapsed > timedelta(seconds=target):
        due_at = _reached_at(intervals, timedelta(seconds=target))
        assert due_at is not None, "what has elapsed has been reached"
        missed = _Missed(target, due_at)
    if missed is not None:
        target = missed.target_seconds
    length = timedelta(seconds=target)
    # One that began earlier was of a message that stands elsewhere now; what is late all the same is not told again.
    heard = [each for each in told if missed is not None or each.started_at >= started_at]
    warnings = held.policy.warning_percents
    return ClockView(
        kind=track.kind,
        cycle=track.cycle,
        state="breached" if missed else last.state,
        started_at=started_at,
        stopped_at=stopped_at,
        target_seconds=target,
        elapsed_seconds=elapsed // timedelta(seconds=1),
        due_at=missed.due_at if missed else _reached_at(intervals, length),
        warn_at=_reached_at(intervals, length * warnings[0] / 100) if warnings else None,
        warned_percent=max((each.percent for each in heard), default=0),
        breached_at=next((each.at for each in heard if each.missed and missed), None),
        is_running=last.state == "running",
        is_met_late=missed is not None and last.state == "met",
        reason=_reason(last, is_late=missed is not None),
        intervals=tuple(intervals),
    )


def _missed_in_ledger(told: Iterable[_Fired], started_at: datetime, end: datetime) -> _Missed | None:
    """What the ledger says of this very wait, unless it turned out to have ended before."""
    return next(
        (
            each.missed
            for each in told
            if each.missed and each.started_at == started_at and each.missed.due_at < end
        ),
        None,
    )


def _missed_before(
    track: Track, terms: Sequence[Terms], intervals: Sequence[Interval], end: datetime
) -> _Missed | None:
    """A target that was missed under terms that hold no more."""
    for former, later in pairwise(terms):
        target = former.target_of(track.kind)
        assert later.since is not None, "only the first terms hold from the beginning"
        if target is None or later.since > end:
            continue
        until = [each for each in intervals if each.started_at < later.since]
        due_at = _reached_at(until, timedelta(seconds=target), may_go_on=False)
        if due_at is not None and due_at < later.since:
            return _Missed(target, due_at)
    return None


def _settled(marks: Sequence[tuple[datetime, Condition]]) -> list[tuple[datetime, Condition]]:
    """The marks without those that lasted no time or changed nothing; what has ended cannot end again."""
    kept: list[tuple[datetime, Condition]] = []
    for at, condition in marks:
        if kept and kept[-1][0] == at:
            kept.pop()
        if not kept or not (kept[-1][1] == condition or (kept[-1][1].has_ended and condition.has_ended)):
            kept.append((at, condition))
    return kept


def _intervals(
    marks: Sequence[tuple[datetime, Condition]], known_at: datetime, now: datetime
) -> tuple[list[Interval], timedelta]:
    """The stretches between the marks, by the hours as they were known, and how much of them counts."""
    intervals: list[Interval] = []
    elapsed = timedelta()
    ends: list[datetime | None] = [at for at, _ in marks[1:]] + [None]
    for (at, condition), ended_at in zip(marks, ends, strict=True):
        if ended_at is None and condition.has_ended:
            break
        terms = condition.terms.as_known(known_at)
        interval = Interval(at, ended_at, condition.state == "running", condition.reason, terms)
        before = elapsed
        elapsed += _counted_in(interval, now)
        intervals.append(replace(interval, elapsed_seconds=_whole_seconds(before, elapsed)))
    return intervals, elapsed


def _is_business_time(terms: Terms) -> bool:
    return terms.policy is not None and terms.policy.is_business_time


def _counted_in(interval: Interval, now: datetime) -> timedelta:
    """How much of the stretch counts."""
    if not interval.is_running:
        return timedelta()
    end = interval.ended_at or now
    if _is_business_time(interval.terms):
        return working_time(interval.terms.calendar, interval.started_at, end)
    return end - interval.started_at


def _reached_at(
    intervals: Sequence[Interval], share: timedelta, *, may_go_on: bool = True
) -> datetime | None:
    """When the running intervals together have lasted `share`; the last running one may be taken to go on."""
    remaining = share
    for interval in intervals:
        if not interval.is_running:
            continue
        moment = (
            add_working_time(interval.terms.calendar, interval.started_at, remaining)
            if _is_business_time(interval.terms)
            else interval.started_at + remaining
        )
        is_open_ended = interval.ended_at is None or (may_go_on and interval is intervals[-1])
        if is_open_ended or (interval.ended_at is not None and moment <= interval.ended_at):
            return moment
        assert interval.ended_at is not None
        remaining -= _counted_in(interval, interval.ended_at)
    return None


def _reason(condition: Condition, *, is_late: bool) -> str:
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


def _split(interval: Interval, now: datetime, total: timedelta) -> tuple[list[Interval], timedelta]:
    """A running interval cut at opening and closing; `total` is what had elapsed before it, and what has after."""
    pieces: list[Interval] = []
    position = interval.started_at
    end = interval.ended_at or now
    for begin, finish in working_intervals(interval.terms.calendar, position, end):
        if begin > position:
            pieces.append(Interval(position, begin, False, N_("Outside working hours"), interval.terms))
        before, total = total, total + (finish - begin)
        pieces.append(
            Interval(begin, finish, True, interval.reason, interval.terms, _whole_seconds(before, total))
        )
        position = finish
    if position < end:
        pieces.append(Interval(position, end, False, N_("Outside working hours"), interval.terms))
    if pieces and interval.ended_at is None:
        pieces[-1] = replace(pieces[-1], ended_at=None)
    return pieces, total


def _whole_seconds(before: timedelta, after: timedelta) -> int:
    """Whole seconds of a running total, so that what is shown adds up to what is shown."""
    return after // timedelta(seconds=1) - before // timedelta(seconds=1)
