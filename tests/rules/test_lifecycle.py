"""Where a ticket may move, and what messages make of it."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.rules import lifecycle
from portal.rules.lifecycle import OPEN_STATUSES, STATUSES

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def test_the_statuses_are_those_of_the_glossary() -> None:
    assert STATUSES == ("new", "open", "pending", "on_hold", "resolved", "closed", "spam", "trash")
    assert OPEN_STATUSES == ("new", "open", "pending", "on_hold")
    assert lifecycle.label("pending") == "Waiting on customer"


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
    decision = lifecycle.check_transition(from_status, to_status)
    assert decision.allowed is ((from_status, to_status) not in ILLEGAL)
    assert decision.reason.endswith(".")
    if not decision.allowed:
        assert lifecycle.label(from_status) in decision.reason
        assert "It can become" in decision.reason


def test_an_unknown_status_is_refused() -> None:
    assert lifecycle.check_transition("open", "done").rule == "unknown_status"
    assert not lifecycle.check_transition("done", "open").allowed


@pytest.mark.parametrize("status", STATUSES)
def test_what_can_be_chosen_is_exactly_what_is_allowed(status: str) -> None:
    offered = {name for name, _ in lifecycle.choices(status)}
    assert offered == {to for to in STATUSES if lifecycle.check_transition(status, to).allowed}


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
    decision = lifecycle.status_after_customer_message(status, None, NOW, 14)
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
    decision = lifecycle.status_after_customer_message("closed", NOW - closed_ago, NOW, window_days)
    assert decision.is_follow_up is is_follow_up
    assert decision.status == ("closed" if is_follow_up else "open")


def test_a_ticket_closed_nobody_knows_when_gets_a_follow_up() -> None:
    assert lifecycle.status_after_customer_message("closed", None, NOW, 14).is_follow_up


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
    decision = lifecycle.status_after_reply(status, chosen)
    assert (decision.status, decision.rule) == (after, rule)


def test_a_resolved_ticket_closes_after_its_days() -> None:
    assert lifecycle.closes_at(NOW, 7) == NOW + timedelta(days=7)
