"""The clocks of a ticket, named by what goes wrong elsewhere."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.rules.hours import Calendar, Holiday, Window, always_open, working_time
from portal.rules.lifecycle import STATUSES
from portal.rules.policies import Policy, Terms, always, policy_from_minutes, policy_problems
from portal.rules.sla import (
    ClockView,
    compute_clocks,
    explain_clock,
    moment_at_percent,
    newest_clocks,
    next_due,
)
from portal.rules.waits import TicketEvent

OFFICE = Calendar("Europe/London", tuple(Window(day, 9 * 60, 17 * 60) for day in range(5)))
# One hour for the first answer, two for the next ones, eight to resolve, in business time.
POLICY = policy_from_minutes(60, 120, 480)
MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return MONDAY + timedelta(minutes=minutes)


def event(kind: str, minutes: float, **data: Any) -> TicketEvent:
    return TicketEvent(kind, at(minutes), data)


def status(minutes: float, to: str) -> TicketEvent:
    return TicketEvent("status_changed", at(minutes), {"to": to})


def opened(minutes: float = 0) -> list[TicketEvent]:
    return [event("ticket_opened", minutes), event("message_received", minutes)]


def clocks(
    events: list[TicketEvent], now: float, policy: Policy = POLICY, calendar: Calendar = OFFICE
) -> dict[tuple[str, int], ClockView]:
    found = compute_clocks(events, always(policy, calendar), at(now))
    return {(clock.kind, clock.cycle): clock for clock in found}


FIRST, NEXT, RESOLUTION = ("first_response", 1), ("next_response", 1), ("resolution", 1)


def test_a_new_ticket_runs_two_clocks() -> None:
    found = clocks(opened(), 10)
    assert set(found) == {FIRST, RESOLUTION}
    first = found[FIRST]
    assert (first.state, first.elapsed_seconds, first.due_at, first.warn_at) == (
        "running",
        600,
        at(60),
        at(45),
    )
    assert first.stopped_at is None


@pytest.mark.parametrize(
    "answer",
    [
        event("reply_sent", 20, is_automatic=True),
        event("note_added", 20),
        status(20, "open"),
        event("ticket_assigned", 20),
        event("message_received", 20),
    ],
)
def test_what_is_no_human_answer_meets_nothing(answer: TicketEvent) -> None:
    assert clocks([*opened(), answer], 30)[FIRST].state == "running"


def test_a_human_reply_meets_the_first_response() -> None:
    first = clocks([*opened(), event("reply_sent", 30)], 300)[FIRST]
    assert (first.state, first.stopped_at, first.elapsed_seconds, first.is_met_late) == (
        "met",
        at(30),
        1800,
        False,
    )


def test_a_reply_at_the_very_moment_it_is_due_is_in_time() -> None:
    assert clocks([*opened(), event("reply_sent", 60)], 300)[FIRST].state == "met"
    late = clocks([*opened(), TicketEvent("reply_sent", at(60) + timedelta(microseconds=1))], 300)[FIRST]
    assert (late.state, late.is_met_late) == ("breached", True)


def test_a_late_clock_is_breached_runs_on_and_stays_breached_when_met() -> None:
    late = clocks(opened(), 90)[FIRST]
    assert (late.state, late.is_running, late.stopped_at, late.due_at) == ("breached", True, None, at(60))
    met = clocks([*opened(), event("reply_sent", 100)], 300)[FIRST]
    assert (met.state, met.is_met_late, met.stopped_at, met.elapsed_seconds) == (
        "breached",
        True,
        at(100),
        6000,
    )
    assert met.due_at == at(60)


def test_breach_evidence_survives_resolving_without_an_answer() -> None:
    first = clocks([*opened(), status(90, "resolved")], 300)[FIRST]
    assert (first.state, first.is_met_late, first.is_running) == ("breached", False, False)


def test_resolving_without_an_answer_ends_the_wait_for_one() -> None:
    first = clocks([*opened(), status(30, "resolved")], 300)[FIRST]
    assert (first.state, first.stopped_at, first.elapsed_seconds) == ("cancelled", at(30), 1800)


def test_the_next_response_starts_at_the_first_unanswered_message() -> None:
    events = [
        *opened(),
        event("reply_sent", 10),
        event("message_received", 50),
        event("message_received", 80),
        event("reply_sent", 100),
        event("message_received", 200),
    ]
    found = clocks(events, 210)
    assert (found[NEXT].started_at, found[NEXT].stopped_at, found[NEXT].state) == (at(50), at(100), "met")
    assert found["next_response", 2].started_at == at(200)
    assert found["next_response", 2].due_at == at(320)


def test_messages_before_the_first_answer_start_no_next_response() -> None:
    assert NEXT not in clocks([*opened(), event("message_received", 5), event("reply_sent", 10)], 30)


def test_an_automatic_message_of_the_customer_starts_nothing() -> None:
    events = [*opened(), event("reply_sent", 10), event("message_received", 50, is_automatic=True)]
    assert NEXT not in clocks(events, 60)


def test_the_next_response_does_not_run_after_resolving() -> None:
    events = [*opened(), event("reply_sent", 10), event("message_received", 20), status(30, "resolved")]
    found = clocks(events, 400)[NEXT]
    assert (found.state, found.is_running, found.elapsed_seconds) == ("cancelled", False, 600)


def test_a_message_that_reopens_starts_a_wait_of_its_own() -> None:
    events = [
        *opened(),
        event("reply_sent", 10),
        event("message_received", 20),
        status(30, "resolved"),
        event("message_received", 60),
        status(60, "open"),
    ]
    found = clocks(events, 70)
    assert found[NEXT].state == "cancelled"
    assert found["next_response", 2].elapsed_seconds == 600
    assert found["next_response", 2].state == "running"


def test_sending_and_resolving_at_once_counts_as_an_answer_in_any_order() -> None:
    for events in (
        [event("reply_sent", 30), status(30, "resolved")],
        [status(30, "resolved"), event("reply_sent", 30)],
    ):
        found = clocks([*opened(), *events], 60)
        assert found[FIRST].state == "met"
        assert found[RESOLUTION].state == "met"


def test_answering_the_next_message_and_resolving_at_once_counts_in_any_order() -> None:
    asked = [*opened(), event("reply_sent", 10), event("message_received", 20)]
    for events in (
        [event("reply_sent", 30), status(30, "resolved")],
        [status(30, "resolved"), event("reply_sent", 30)],
    ):
        assert clocks([*asked, *events], 60)[NEXT].state == "met"


def test_a_status_change_does_not_end_the_wait_for_the_next_response() -> None:
    events = [*opened(), event("reply_sent", 10), event("message_received", 20), status(30, "on_hold")]
    assert clocks(events, 50)[NEXT].elapsed_seconds == 1800
    assert clocks([*events, event("reply_sent", 60)], 90)[NEXT].state == "met"


def test_resolution_pauses_while_waiting_for_the_customer() -> None:
    events = [*opened(), event("reply_sent", 30), status(30, "pending")]
    paused = clocks(events, 120)[RESOLUTION]
    assert (paused.state, paused.elapsed_seconds, paused.due_at, paused.is_running) == (
        "paused",
        1800,
        None,
        False,
    )
    events += [event("message_received", 240), status(240, "open")]
    running = clocks(events, 250)[RESOLUTION]
    assert (running.state, running.elapsed_seconds) == ("running", 2400)
    assert running.due_at == MONDAY + timedelta(days=1, minutes=210)
    assert [interval.reason for interval in running.intervals] == ["New", "Waiting on customer", "Open"]


def test_waiting_for_the_customer_does_not_pause_the_answers_owed() -> None:
    assert clocks([*opened(), status(10, "pending")], 30)[FIRST].state == "running"


def test_each_clock_has_its_own_pausing_statuses() -> None:
    policy = policy_from_minutes(60, None, 480, paused_statuses={"first_response": ["on_hold"]})
    found = clocks([*opened(), status(10, "on_hold")], 30, policy)
    assert (found[FIRST].state, found[RESOLUTION].state) == ("paused", "running")


def test_a_clock_breaches_in_its_own_time_and_not_during_a_pause() -> None:
    policy = policy_from_minutes(None, None, 60)
    events = [*opened(), status(50, "pending"), status(300, "open")]
    assert clocks(events, 299, policy)[RESOLUTION].state == "paused"
    assert clocks(events, 310, policy)[RESOLUTION].state == "running"
    late = clocks(events, 320, policy)[RESOLUTION]
    assert (late.state, late.due_at) == ("breached", at(310))


def test_a_breached_clock_that_pauses_stays_breached() -> None:
    policy = policy_from_minutes(None, None, 60)
    late = clocks([*opened(), status(90, "pending")], 300, policy)[RESOLUTION]
    assert (late.state, late.is_running, late.elapsed_seconds, late.due_at) == (
        "breached",
        False,
        5400,
        at(60),
    )


def test_reopening_continues_the_same_resolution() -> None:
    events = [*opened(), status(60, "resolved"), status(120, "open")]
    stopped = clocks(events, 90)[RESOLUTION]
    assert (stopped.state, stopped.stopped_at, stopped.elapsed_seconds) == ("met", at(60), 3600)
    going_on = clocks(events, 150)[RESOLUTION]
    assert (going_on.state, going_on.stopped_at, going_on.elapsed_seconds) == ("running", None, 5400)


def test_closing_or_discarding_after_resolving_changes_nothing() -> None:
    for later in ("closed", "trash"):
        found = clocks([*opened(), status(60, "resolved"), status(400, later)], 500)[RESOLUTION]
        assert (found.state, found.stopped_at, found.elapsed_seconds) == ("met", at(60), 3600)


@pytest.mark.parametrize("aside", ["spam", "trash"])
def test_spam_and_trash_owe_nothing_until_restored(aside: str) -> None:
    events = [*opened(), status(10, aside)]
    assert {clock.state for clock in clocks(events, 400).values()} == {"cancelled"}
    restored = clocks([*events, status(100, "open")], 110)
    assert restored[FIRST].elapsed_seconds == 1200


def test_a_merged_ticket_owes_nothing_more() -> None:
    events = [*opened(), event("reply_sent", 10), event("ticket_merged", 30, into=7)]
    found = clocks([*events, event("message_received", 40), status(50, "open")], 400)
    assert set(found) == {FIRST, RESOLUTION}
    assert (found[RESOLUTION].state, found[RESOLUTION].stopped_at) == ("cancelled", at(30))


def test_a_ticket_that_we_opened_owes_no_first_response() -> None:
    events = [event("ticket_opened", 0, opened_by="agent"), event("reply_sent", 0)]
    assert set(clocks(events, 10)) == {RESOLUTION}
    assert clocks([*events, event("message_received", 20)], 30)[NEXT].due_at == at(140)


def test_a_ticket_opened_outside_working_hours_waits_for_the_opening() -> None:
    saturday = -2 * 1440 + 180
    first = clocks(opened(saturday), -60)[FIRST]
    assert (first.elapsed_seconds, first.due_at) == (0, at(60))


def test_a_holiday_added_after_the_fact_moves_what_is_due() -> None:
    closed = Calendar("Europe/London", OFFICE.windows, (Holiday(MONDAY.date()),))
    assert clocks(opened(), 30, calendar=closed)[FIRST].due_at == MONDAY + timedelta(days=1, hours=1)


def test_a_window_past_midnight_counts_through_the_night() -> None:
    night = Calendar("UTC", (Window(0, 22 * 60, 30 * 60),))
    first = clocks(opened(), 24 * 60, policy_from_minutes(180, None, None), night)[FIRST]
    assert first.due_at == datetime(2026, 11, 24, 1, 0, tzinfo=UTC)


def test_split_shifts_leave_out_lunch() -> None:
    shifts = Calendar("UTC", (Window(0, 540, 570), Window(0, 660, 1020)))
    assert clocks(opened(), 40, calendar=shifts)[FIRST].due_at == at(150)


def test_a_clock_change_is_not_worked() -> None:
    """Over the night in which London's clocks go back, a day's work is still a day's work."""
    friday = datetime(2026, 10, 23, 16, 0, tzinfo=ZoneInfo("Europe/London"))
    events = [TicketEvent("ticket_opened", friday)]
    (first, _) = compute_clocks(events, always(policy_from_minutes(120, None, 480), OFFICE), friday)
    assert first.due_at == datetime(2026, 10, 26, 10, 0, tzinfo=ZoneInfo("Europe/London"))


def test_calendar_time_ignores_closing_time() -> None:
    policy = policy_from_minutes(60, None, 24 * 60, is_business_time=False)
    assert clocks(opened(), 10, policy)[RESOLUTION].due_at == MONDAY + timedelta(days=1)


def test_without_targets_there_are_no_clocks() -> None:
    assert clocks(opened(), 10, policy_from_minutes(None, None, None)) == {}
    assert set(clocks(opened(), 10, policy_from_minutes(None, None, 60))) == {RESOLUTION}


def test_what_has_not_happened_yet_does_not_count() -> None:
    events = [*opened(), event("reply_sent", 30), status(30, "resolved")]
    assert clocks(events, 20)[FIRST].state == "running"
    assert clocks(events, -5) == {}


def test_the_soonest_running_clock_is_due_next() -> None:
    found = compute_clocks([*opened(), status(5, "pending")], always(POLICY, OFFICE), at(10))
    soonest = next_due(found)
    assert soonest is not None
    assert soonest.kind == "first_response"
    answered = [*opened(), event("reply_sent", 5), status(5, "pending")]
    assert next_due(compute_clocks(answered, always(POLICY, OFFICE), at(10))) is None


def test_any_percentage_has_its_moment() -> None:
    first = clocks(opened(), 10)[FIRST]
    assert moment_at_percent(first, 50) == at(30)
    assert moment_at_percent(first, 150) == at(90)
    assert (first.percent, clocks(opened(), 90)[FIRST].percent) == (16, 150)


def test_no_warning_is_asked_for() -> None:
    assert (
        clocks(opened(), 10, policy_from_minutes(60, None, None, warning_percents=()))[FIRST].warn_at is None
    )


def test_a_policy_that_cannot_be_is_refused_in_words() -> None:
    assert policy_problems(POLICY) == ()
    assert "no target" in policy_problems(policy_from_minutes(None, None, None))[0]
    assert "more than 0" in policy_problems(policy_from_minutes(0, None, None))[0]
    assert "99 percent" in policy_problems(policy_from_minutes(1, None, None, warning_percents=[100]))[0]
    assert (
        "Resolved ends"
        in policy_problems(policy_from_minutes(1, None, None, paused_statuses=["resolved"]))[0]
    )


EVENTS = st.lists(
    st.builds(
        TicketEvent,
        kind=st.sampled_from(
            ["message_received", "reply_sent", "status_changed", "status_changed", "note_added"]
        ),
        at=st.integers(0, 30 * 86_400_000).map(
            lambda milliseconds: MONDAY + timedelta(milliseconds=milliseconds)
        ),
        data=st.fixed_dictionaries({"to": st.sampled_from(STATUSES), "is_automatic": st.booleans()}),
    ),
    max_size=14,
)
MOMENTS = st.integers(0, 40 * 86_400).map(lambda seconds: MONDAY + timedelta(seconds=seconds))
POLICIES = st.builds(
    policy_from_minutes,
    st.none() | st.integers(1, 3000),
    st.none() | st.integers(1, 3000),
    st.none() | st.integers(1, 9000),
    is_business_time=st.booleans(),
    paused_statuses=st.sampled_from([(), ("pending",), ("pending", "on_hold")]),
    warning_percents=st.sets(st.integers(1, 99), max_size=3),
)


@settings(max_examples=120, deadline=None)
@given(EVENTS, POLICIES, MOMENTS, st.sampled_from([OFFICE, always_open()]))
def test_every_figure_adds_up(
    events: list[TicketEvent], policy: Policy, now: datetime, calendar: Calendar
) -> None:
    events = [*opened(), *events]
    found = compute_clocks(events, always(policy, calendar), now)
    assert found == compute_clocks(
        list(reversed(events[2:])) + events[:2], always(policy, calendar), now
    ) or _has_ties(events)
    assert newest_clocks(events, always(policy, calendar), now) == list(
        {clock.kind: clock for clock in found}.values()
    )
    for clock in found:
        assert sum(interval.elapsed_seconds for interval in clock.intervals) == clock.elapsed_seconds
        explained = explain_clock(clock, now)
        assert sum(interval.elapsed_seconds for interval in explained) == clock.elapsed_seconds
        ends = [interval.ended_at or now for interval in clock.intervals]
        starts = [interval.started_at for interval in clock.intervals]
        assert starts[1:] == ends[:-1]
        assert (clock.stopped_at is None) or not clock.is_running
        if clock.due_at is not None:
            assert (clock.state == "breached") is (clock.due_at < (clock.stopped_at or now))
        else:
            assert not clock.is_running
        if clock.is_running and clock.due_at is not None:
            counted = working_time if policy.is_business_time else _real_time
            open_interval = clock.intervals[-1]
            earlier = clock.elapsed_seconds - open_interval.elapsed_seconds
            if clock.due_at >= open_interval.started_at:
                left = counted(calendar, open_interval.started_at, clock.due_at) // timedelta(seconds=1)
                assert abs(earlier + left - clock.target_seconds) <= 1


def _real_time(calendar: Calendar, start: datetime, end: datetime) -> timedelta:
    return end - start


def _has_ties(events: list[TicketEvent]) -> bool:
    times = [each.at for each in events[1:]]
    return len(set(times)) < len(times)


@settings(max_examples=60, deadline=None)
@given(EVENTS, POLICIES, MOMENTS, MOMENTS)
def test_a_breach_once_seen_is_seen_ever_after(
    events: list[TicketEvent], policy: Policy, one: datetime, other: datetime
) -> None:
    earlier, later = sorted((one, other))
    before = compute_clocks([*opened(), *events], always(policy, OFFICE), earlier)
    after = {
        (c.kind, c.cycle): c for c in compute_clocks([*opened(), *events], always(policy, OFFICE), later)
    }
    for clock in before:
        if clock.state == "breached":
            assert after[clock.kind, clock.cycle].state == "breached"
            assert after[clock.kind, clock.cycle].due_at == clock.due_at


def moved(kind: str, minutes: float, *messages: tuple[int, str, float]) -> TicketEvent:
    """A move at a moment: of messages by their id, direction, and when they were said."""
    told = [
        {"id": number, "direction": direction, "at": at(said).isoformat(), "counts": True}
        for number, direction, said in messages
    ]
    return TicketEvent(kind, at(minutes), {"messages": told})


def said(kind: str, minutes: float, message_id: int) -> TicketEvent:
    return TicketEvent(kind, at(minutes), {}, message_id)


ANSWERED = [*opened(), event("reply_sent", 10)]


def test_a_message_that_was_moved_away_is_owed_no_answer() -> None:
    events = [*ANSWERED, said("message_received", 20, 7)]
    assert clocks(events, 60)[NEXT].state == "running"
    assert NEXT not in clocks([*events, moved("messages_moved_away", 50, (7, "in", 20))], 60)


def test_another_message_that_waits_here_still_does() -> None:
    events = [*ANSWERED, said("message_received", 20, 7), said("message_received", 30, 8)]
    found = clocks([*events, moved("messages_moved_away", 50, (7, "in", 20))], 60)[NEXT]
    assert (found.state, found.started_at) == ("running", at(30))


def test_a_reply_that_was_moved_away_answered_nobody() -> None:
    events = [*opened(), said("reply_sent", 10, 7)]
    assert clocks(events, 70)[FIRST].state == "met"
    found = clocks([*events, moved("messages_moved_away", 30, (7, "out", 10))], 70)[FIRST]
    assert (found.state, found.elapsed_seconds) == ("breached", 70 * 60)


def test_a_message_that_was_moved_here_waits_since_it_was_said_whatever_was_answered_meanwhile() -> None:
    events = [*opened(), event("reply_sent", 30), moved("messages_moved_here", 50, (7, "in", 20))]
    found = clocks(events, 60)[NEXT]
    assert (found.state, found.started_at, found.elapsed_seconds) == ("running", at(20), 40 * 60)


def test_the_longest_wait_counts_when_one_more_message_is_moved_here() -> None:
    waiting = [*ANSWERED, event("message_received", 30)]
    found = clocks([*waiting, moved("messages_moved_here", 50, (7, "in", 20))], 60)
    assert found[NEXT].started_at == at(20)
    assert ("next_response", 2) not in found
    younger = clocks([*waiting, moved("messages_moved_here", 50, (7, "in", 40))], 60)
    assert younger[NEXT].started_at == at(30)


def test_a_message_and_its_answer_that_are_moved_together_owe_nothing() -> None:
    events = [*ANSWERED, moved("messages_moved_here", 50, (8, "out", 40), (7, "in", 20))]
    found = clocks(events, 60)[NEXT]
    assert (found.state, found.started_at, found.stopped_at) == ("met", at(20), at(40))


def test_an_answer_that_is_moved_here_meets_what_it_came_after_and_no_more() -> None:
    met = clocks([*opened(), moved("messages_moved_here", 50, (7, "out", 20))], 60)[FIRST]
    assert (met.state, met.stopped_at, met.elapsed_seconds) == ("met", at(20), 1200)
    older = clocks([*opened(30), moved("messages_moved_here", 50, (7, "out", 20))], 60)[FIRST]
    assert older.state == "running"


def test_what_happened_between_an_answer_and_its_move_does_not_count() -> None:
    events = [*opened(), status(30, "pending"), moved("messages_moved_here", 50, (7, "out", 20))]
    pausing = policy_from_minutes(60, 120, 480, paused_statuses={"first_response": ["pending"]})
    found = clocks(events, 60, pausing)[FIRST]
    assert (found.state, found.stopped_at, len(found.intervals)) == ("met", at(20), 1)


def test_there_and_back_again_changes_no_clock() -> None:
    events = [*ANSWERED, said("message_received", 20, 7)]
    there = moved("messages_moved_away", 30, (7, "in", 20))
    back = moved("messages_moved_here", 40, (7, "in", 20))
    assert clocks([*events, there, back], 60) == clocks(events, 60)
    assert NEXT not in clocks([*events, there, back, moved("messages_moved_away", 50, (7, "in", 20))], 60)


def test_a_message_that_came_and_went_on_leaves_no_trace() -> None:
    came, went = (
        moved("messages_moved_here", 30, (7, "in", 20)),
        moved("messages_moved_away", 40, (7, "in", 20)),
    )
    assert clocks([*ANSWERED, came], 60)[NEXT].state == "running"
    assert clocks([*ANSWERED, came, went], 60) == clocks(ANSWERED, 60)


def test_automatic_mail_and_notes_that_are_moved_start_and_answer_nothing() -> None:
    note = moved("messages_moved_here", 50, (7, "note", 20))
    automatic = moved("messages_moved_here", 50, (8, "in", 20))
    automatic.data["messages"][0]["counts"] = False
    assert clocks([*ANSWERED, note, automatic], 60) == clocks(ANSWERED, 60)


def test_a_reply_that_was_moved_and_then_called_back_answered_nobody_anywhere() -> None:
    came = moved("messages_moved_here", 20, (7, "out", 15))
    assert clocks([*opened(), came], 30)[FIRST].state == "met"
    assert clocks([*opened(), came, said("reply_cancelled", 21, 7)], 30)[FIRST].state == "running"


def test_a_reply_that_was_called_back_elsewhere_does_not_count_when_it_returns() -> None:
    events = [*opened(), said("reply_sent", 10, 7), moved("messages_moved_away", 20, (7, "out", 10))]
    back = moved("messages_moved_here", 30, (7, "out", 10))
    assert clocks([*events, back], 40)[FIRST].state == "met"
    back.data["messages"][0]["counts"] = False
    assert clocks([*events, back], 40)[FIRST].state == "running"


def measured(
    events: list[TicketEvent], now: float, *terms: tuple[float | None, Policy | None]
) -> dict[tuple[str, int], ClockView]:
    """The clocks under policies that hold one after the other, each from a minute on."""
    told = [Terms(None if since is None else at(since), policy, OFFICE) for since, policy in terms]
    return {(clock.kind, clock.cycle): clock for clock in compute_clocks(events, told, at(now))}


SLOW, QUICK = (
    policy_from_minutes(240, None, None, name="Slow"),
    policy_from_minutes(60, None, None, name="Quick"),
)


def test_a_policy_edited_mid_ticket_measures_the_whole_wait_from_then_on() -> None:
    first = measured(opened(), 30, (None, SLOW), (20, QUICK))[FIRST]
    assert (first.elapsed_seconds, first.target_seconds, first.due_at) == (1800, 3600, at(60))
    assert [(each.started_at, each.terms.policy) for each in first.intervals] == [
        (at(0), SLOW),
        (at(20), QUICK),
    ]


def test_a_clock_that_was_met_keeps_the_policy_of_its_time() -> None:
    events = [*opened(), event("reply_sent", 100)]
    first = measured(events, 300, (None, SLOW), (200, QUICK))[FIRST]
    assert (first.state, first.target_seconds) == ("met", 240 * 60)


def test_a_softer_policy_does_not_undo_what_was_missed() -> None:
    first = measured(opened(), 100, (None, QUICK), (90, SLOW))[FIRST]
    assert (first.state, first.due_at, first.target_seconds) == ("breached", at(60), 3600)
    in_time = measured(opened(), 100, (None, QUICK), (50, SLOW))[FIRST]
    assert (in_time.state, in_time.due_at) == ("running", at(240))


def test_a_stricter_policy_is_missed_at_once_when_its_time_is_up() -> None:
    first = measured(opened(), 100, (None, SLOW), (90, QUICK))[FIRST]
    assert (first.state, first.due_at) == ("breached", at(60))
    kept = measured(opened(), 200, (None, SLOW), (90, QUICK), (95, SLOW))[FIRST]
    assert (kept.state, kept.target_seconds) == ("breached", 3600)


def test_a_policy_without_the_target_ends_the_clock_and_one_with_it_begins_it() -> None:
    assert measured(opened(), 30, (None, QUICK), (20, None)) == {}
    assert measured(opened(), 30, (None, None), (20, QUICK))[FIRST].due_at == at(60)


def test_each_stretch_is_counted_by_the_hours_of_its_time() -> None:
    """Moved from an office that is closed to one that is open."""
    closed = Calendar("Europe/London", (Window(5, 9 * 60, 17 * 60),))
    terms = [Terms(None, QUICK, closed), Terms(at(30), QUICK, OFFICE)]
    (first,) = compute_clocks(opened(), terms, at(50))
    assert (first.elapsed_seconds, first.due_at) == (20 * 60, at(90))
    assert sum(each.elapsed_seconds for each in explain_clock(first, at(50))) == first.elapsed_seconds


def fired(kind: str, minutes: float, **more: Any) -> TicketEvent:
    told = {"clock": "first_response", "cycle": 1, "started_at": at(0).isoformat(), "percent": 100, **more}
    return TicketEvent(kind, at(minutes), told)


def test_a_breach_in_the_ledger_stays_one_whatever_the_calendar_says_later() -> None:
    breach = fired("sla_breached", 60, target_seconds=3600, due_at=at(60).isoformat())
    closed = Calendar("Europe/London", OFFICE.windows, (Holiday(MONDAY.date()),))
    first = clocks([*opened(), breach], 90, calendar=closed)[FIRST]
    assert (first.state, first.due_at, first.elapsed_seconds, first.warned_percent) == (
        "breached",
        at(60),
        0,
        100,
    )


def test_an_answer_that_turns_out_to_be_older_than_the_breach_was_in_time() -> None:
    breach = fired("sla_breached", 60, target_seconds=3600, due_at=at(60).isoformat())
    came = moved("messages_moved_here", 90, (7, "out", 20))
    assert clocks([*opened(), breach, came], 100)[FIRST].state == "met"


def test_what_people_were_told_of_is_known_from_the_ledger() -> None:
    assert clocks([*opened(), fired("sla_warned", 30, percent=50)], 40)[FIRST].warned_percent == 50
    of_one_that_went = fired("sla_warned", 30, percent=50, started_at=at(-5).isoformat())
    assert clocks([*opened(), of_one_that_went], 40)[FIRST].warned_percent == 0


TERMS = st.lists(
    st.tuples(MOMENTS, st.none() | POLICIES, st.sampled_from([OFFICE, always_open()])), max_size=3
)


@settings(max_examples=120, deadline=None)
@given(EVENTS, st.none() | POLICIES, TERMS, MOMENTS, MOMENTS)
def test_figures_add_up_and_breaches_stay_whatever_held_when(
    events: list[TicketEvent],
    first: Policy | None,
    later: list[tuple[datetime, Policy | None, Calendar]],
    one: datetime,
    other: datetime,
) -> None:
    terms = [Terms(None, first, OFFICE), *(Terms(*each) for each in sorted(later, key=lambda each: each[0]))]
    earlier, now = sorted((one, other))
    after = {(c.kind, c.cycle): c for c in compute_clocks([*opened(), *events], terms, now)}
    for clock in after.values():
        assert sum(interval.elapsed_seconds for interval in clock.intervals) == clock.elapsed_seconds
        assert sum(each.elapsed_seconds for each in explain_clock(clock, now)) == clock.elapsed_seconds
    for clock in compute_clocks([*opened(), *events], terms, earlier):
        same = after.get((clock.kind, clock.cycle))
        if clock.is_breached and same is not None:
            assert (same.state, same.due_at, same.target_seconds) == (
                "breached",
                clock.due_at,
                clock.target_seconds,
            )
