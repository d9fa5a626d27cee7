"""Where a ticket may move, and what messages make of it."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.rules import hours, lifecycle, sla
from portal.rules.lifecycle import OPEN_STATUSES, STATUSES, Lifecycle, ResolutionCode
from portal.rules.policies import Policy, Terms
from portal.rules.waits import TicketEvent

USUAL = Lifecycle()
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def test_the_statuses_are_those_of_the_glossary() -> None:
    assert STATUSES == ("new", "open", "pending", "on_hold", "resolved", "closed", "spam", "trash")
    assert OPEN_STATUSES == ("new", "open", "pending", "on_hold")
    assert lifecycle.label("pending", USUAL) == "Waiting on customer"


ILLEGAL = {
    ("open", "new"),
    ("pending", "new"),
    ("on_hold", "new"),
    ("resolved", "new"),
    *(("closed", to) for to in ("new", "pending", "on_hold", "resolved")),
    *(("spam", to) for to in ("new", "pending", "on_hold", "resolved", "closed")),
    *(("trash", to) for to in ("new", "pending", "on_hold", "resolved", "closed")),
}


@pytest.mark.parametrize("from_status", STATUSES)
@pytest.mark.parametrize("to_status", STATUSES)
def test_every_move_is_allowed_or_refused_with_a_reason(from_status: str, to_status: str) -> None:
    decision = lifecycle.check_transition(from_status, to_status, USUAL)
    assert decision.allowed is ((from_status, to_status) not in ILLEGAL)
    assert decision.reason.endswith(".")
    if not decision.allowed:
        assert lifecycle.label(from_status, USUAL) in decision.reason
        assert "It can become" in decision.reason


def test_an_unknown_status_is_refused() -> None:
    assert lifecycle.check_transition("open", "done", USUAL).rule == "unknown_status"
    assert not lifecycle.check_transition("done", "open", USUAL).allowed


@pytest.mark.parametrize("status", STATUSES)
def test_what_can_be_chosen_is_exactly_what_is_allowed(status: str) -> None:
    offered = {name for name, _ in lifecycle.choices(status, USUAL)}
    assert offered == {to for to in STATUSES if lifecycle.check_transition(status, to, USUAL).allowed}


@pytest.mark.parametrize(
    ("status", "after", "rule"),
    [
        ("new", "new", "still_new"),
        ("open", "open", "still_open"),
        ("pending", "open", "customer_answered"),
        ("on_hold", "open", "customer_answered"),
        ("resolved", "open", "reopened"),
        ("spam", "spam", "stays_spam"),
        ("trash", "open", "restored"),
    ],
)
def test_a_customers_message_opens_a_ticket(status: str, after: str, rule: str) -> None:
    decision = lifecycle.status_after_customer_message(status, None, NOW, 14, USUAL)
    assert (decision.status, decision.rule, decision.is_follow_up) == (after, rule, False)


@pytest.mark.parametrize(
    ("closed_ago", "window_days", "is_follow_up"),
    [
        (timedelta(days=13), 14, False),
        (timedelta(days=14), 14, False),
        (timedelta(days=14, microseconds=1), 14, True),
        (timedelta(seconds=1), 0, True),
        (timedelta(days=400), 14, True),
    ],
)
def test_a_closed_ticket_reopens_within_its_window_only(
    closed_ago: timedelta, window_days: int, is_follow_up: bool
) -> None:
    decision = lifecycle.status_after_customer_message("closed", NOW - closed_ago, NOW, window_days, USUAL)
    assert decision.is_follow_up is is_follow_up
    assert decision.status == ("closed" if is_follow_up else "open")


def test_a_ticket_closed_nobody_knows_when_gets_a_follow_up() -> None:
    assert lifecycle.status_after_customer_message("closed", None, NOW, 14, USUAL).is_follow_up


@pytest.mark.parametrize(
    ("status", "chosen", "after", "rule"),
    [
        ("new", None, "pending", "answered"),
        ("open", None, "pending", "answered"),
        ("on_hold", None, "on_hold", "kept"),
        ("resolved", None, "resolved", "kept"),
        ("open", "resolved", "resolved", "chosen"),
        ("open", "open", "open", "chosen"),
        ("closed", "pending", "closed", "not_allowed"),
    ],
)
def test_a_reply_waits_for_the_customer_unless_the_agent_chose(
    status: str, chosen: str | None, after: str, rule: str
) -> None:
    decision = lifecycle.status_after_reply(status, USUAL, chosen)
    assert (decision.status, decision.rule) == (after, rule)


@pytest.mark.parametrize(
    ("of_desk", "of_branch", "days"),
    [(14, None, 14), (14, 3, 3), (14, 0, None), (0, None, None), (0, 7, 7), (1, 3650, 3650)],
)
def test_a_branch_closes_after_its_own_days_else_those_of_the_desk_and_after_0_never(
    of_desk: int, of_branch: int | None, days: int | None
) -> None:
    assert lifecycle.closing_days(Lifecycle(close_after_days=of_desk), of_branch) == days


OWN = Lifecycle(labels={"pending": "Ball with them", "open": "In work"})


def test_a_label_of_the_desk_is_shown_as_it_is_and_ours_can_be_translated() -> None:
    assert lifecycle.label("pending", OWN) == "Ball with them"
    assert lifecycle.label("on_hold", OWN) == "On hold"
    assert lifecycle.label("on_hold", OWN).message == "On hold"
    assert lifecycle.label("pending", OWN).message == "%(words)s"
    percent = Lifecycle(labels={"pending": "100 %(done)s"})
    assert lifecycle.label("pending", percent) == "100 %(done)s"
    assert "In work" in lifecycle.check_transition("open", "new", OWN).reason
    assert [name for _, name in lifecycle.choices("closed", OWN)] == ["In work", "Closed", "Spam", "Trash"]


def test_a_renamed_status_changes_no_clock() -> None:
    """What is counted knows nothing of words; only what is told of it has the desk's."""
    zone = hours.always_open()
    policy = Policy({"resolution": 3600}, paused_statuses={"resolution": frozenset({"pending"})})
    told = [
        TicketEvent("ticket_opened", NOW, {}, None),
        TicketEvent("status_changed", NOW + timedelta(minutes=10), {"from": "new", "to": "pending"}, None),
    ]
    (clock,) = sla.compute_clocks(told, [Terms(None, policy, zone)], NOW + timedelta(hours=5))
    assert (clock.state, clock.elapsed_seconds) == ("paused", 600)
    reasons = [interval.reason for interval in clock.intervals]
    assert reasons == ["New", "Waiting on customer"]
    assert [lifecycle.relabelled(reason, OWN) for reason in reasons] == ["New", "Ball with them"]
    assert [lifecycle.relabelled(reason, USUAL) for reason in reasons] == reasons


def moves(**changed: set[str]) -> dict[str, frozenset[str]]:
    return {**lifecycle.USUAL_MOVES, **{name: frozenset(ways) for name, ways in changed.items()}}


@pytest.mark.parametrize(
    ("changed", "at", "words"),
    [
        ({}, None, ""),
        ({"closed": set(), "resolved": set(), "spam": set(), "trash": set()}, None, ""),
        ({"on_hold": {"open"}}, None, ""),
        ({"on_hold": set()}, "on_hold", "at least one way out"),
        ({"on_hold": {"on_hold"}}, "on_hold", "at least one way out"),
        ({"new": set()}, "new", "at least one way out"),
        ({"open": {"new", "closed"}}, "open", "Nothing becomes New again"),
        ({"open": {"closed", "done"}}, "open", "no status"),
    ],
)
def test_moves_that_would_leave_a_ticket_stuck_are_refused_with_a_sentence(
    changed: dict[str, set[str]], at: str | None, words: str
) -> None:
    problems = lifecycle.problems_of_moves(moves(**changed), USUAL)
    assert list(problems) == ([at] if at else [])
    assert words in problems.get(at or "", "")


@pytest.mark.parametrize(
    ("labels", "at"),
    [
        ({}, []),
        ({"pending": "Ball with them"}, []),
        ({"pending": "x" * 41}, ["pending"]),
        ({"pending": "Waiting\nfor"}, ["pending"]),
        ({"pending": "open"}, ["open", "pending"]),
        ({"pending": "Open", "open": "In work"}, []),
    ],
)
def test_labels_that_nobody_could_tell_apart_are_refused(labels: dict[str, str], at: list[str]) -> None:
    assert list(lifecycle.problems_of_labels(labels)) == at


SOLVED, OLD = ResolutionCode(1, "Solved"), ResolutionCode(2, "Fixed", is_active=False)
STRICT = Lifecycle(codes=(SOLVED, OLD), requires_code=True)
LAX = Lifecycle(codes=(SOLVED, OLD))


@pytest.mark.parametrize(
    ("life", "of_branch", "before", "after", "code_id", "rule"),
    [
        (LAX, None, "open", "resolved", None, "not_required"),
        (LAX, None, "open", "resolved", 1, "coded"),
        (LAX, True, "open", "resolved", None, "code_required"),
        (STRICT, None, "open", "resolved", None, "code_required"),
        (STRICT, None, "new", "closed", None, "code_required"),
        (STRICT, False, "open", "resolved", None, "not_required"),
        (STRICT, None, "open", "resolved", 1, "coded"),
        (STRICT, None, "open", "resolved", 2, "retired_code"),
        (STRICT, None, "open", "resolved", 3, "unknown_code"),
        (STRICT, None, "open", "pending", None, "not_required"),
        (STRICT, None, "open", "pending", 1, "no_resolution"),
        (STRICT, None, "resolved", "closed", None, "not_required"),
        (STRICT, None, "open", "spam", None, "not_required"),
        # Nothing can be asked for that nobody could give.
        (Lifecycle(codes=(OLD,), requires_code=True), None, "open", "resolved", None, "not_required"),
    ],
)
def test_a_resolution_code_is_asked_for_where_work_ends(
    life: Lifecycle, of_branch: bool | None, before: str, after: str, code_id: int | None, rule: str
) -> None:
    decision = lifecycle.check_resolution(
        life, is_required=of_branch, before=before, after=after, code_id=code_id
    )
    assert decision.rule == rule
    assert decision.allowed is (rule in ("not_required", "coded"))
    assert decision.reason.endswith(".")
