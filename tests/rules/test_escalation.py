"""When a ticket goes up, and what is shown before it does."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.rules.escalation import EscalationFacts, Tier, Trigger, decide_escalation, escalation_path
from portal.rules.hours import always_open
from portal.rules.policies import always, policy_from_minutes
from portal.rules.sla import ClockView, compute_clocks
from portal.rules.waits import TicketEvent

FIRST = Tier(1, "Front desk", members=("ada",))
SECOND = Tier(2, "Specialists", escalate_at_percent=100, members=("bob", "eve"))
THIRD = Tier(3, "Engineers", escalate_at_percent=0)
FACTS = EscalationFacts("open", 1, (THIRD, FIRST, SECOND))
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
BREACH = Trigger("sla_breach", clock_kind="first_response")


def facts(status: str = "open", level: int = 1, open_levels: frozenset[int] = frozenset()) -> EscalationFacts:
    return EscalationFacts(status, level, FACTS.tiers, open_levels)


@pytest.mark.parametrize(
    ("situation", "trigger", "to_level", "rule"),
    [
        (facts(), Trigger("manual", "needs a refund"), 2, "manual"),
        (facts(), Trigger("manual", "needs code", to_level=3), 3, "manual"),
        (facts(level=2), Trigger("manual", "needs code"), 3, "manual"),
        (facts(), Trigger("manual", "  \n"), None, "reason_required"),
        (facts(), Trigger("manual", "x" * 2001), None, "reason_too_long"),
        (facts(level=2), Trigger("manual", "down?", to_level=1), None, "not_higher"),
        (facts(level=2), Trigger("manual", "again", to_level=2), None, "not_higher"),
        (facts(), Trigger("manual", "up", to_level=9), None, "no_such_tier"),
        (facts(level=3), Trigger("manual", "up"), None, "no_such_tier"),
        (facts(open_levels=frozenset({2})), Trigger("manual", "again"), None, "already_escalated"),
        (facts(status="resolved"), Trigger("manual", "late"), None, "not_open"),
        (facts(), BREACH, 2, "sla_breach"),
        (facts(status="new"), BREACH, 2, "sla_breach"),
        (facts(), Trigger("sla_warning", clock_kind="resolution", percent=75), None, "below_percent"),
        (facts(level=2), BREACH, None, "below_percent"),
        (facts(open_levels=frozenset({2})), BREACH, None, "already_escalated"),
        (facts(status="closed"), BREACH, None, "not_open"),
        (facts(level=2), Trigger("unacknowledged"), 3, "unacknowledged"),
    ],
)
def test_decisions(situation: EscalationFacts, trigger: Trigger, to_level: int | None, rule: str) -> None:
    decision = decide_escalation(situation, trigger)
    assert (decision.to_level, decision.rule) == (to_level, rule)
    assert decision.reason


def test_a_tier_may_take_tickets_at_the_warning() -> None:
    tiers = (FIRST, Tier(2, "Specialists", escalate_at_percent=75, members=("bob",)))
    decision = decide_escalation(
        EscalationFacts("open", 1, tiers), Trigger("sla_warning", clock_kind="resolution", percent=75)
    )
    assert decision.to_level == 2
    assert decision.reason == "Resolution has used 75 percent of its time."


def test_a_tier_without_members_still_gets_the_ticket_with_a_warning() -> None:
    decision = decide_escalation(facts(level=2), Trigger("manual", "needs code"))
    assert decision.to_level == 3
    assert decision.evidence["warnings"] == ["Engineers has no members yet."]


def test_the_reason_of_a_person_is_kept_without_the_space_around_it() -> None:
    assert decide_escalation(facts(), Trigger("manual", "  refund over 500 \n")).reason == "refund over 500"


def ticket_clocks(now: datetime, *events: TicketEvent) -> list[ClockView]:
    policy = policy_from_minutes(60, 60, 480)
    return compute_clocks([TicketEvent("ticket_opened", NOW), *events], always(policy, always_open()), now)


def test_the_path_says_when_a_ticket_goes_up_by_itself() -> None:
    path = escalation_path(FACTS, ticket_clocks(NOW))
    assert [(step.level, step.state) for step in path] == [(1, "here"), (2, "next"), (3, "later")]
    step = path[1]
    assert (step.at, step.clock_kind, step.unless) == (
        NOW + timedelta(hours=1),
        "first_response",
        "unless answered",
    )
    assert step.who == ("bob", "eve")
    assert path[0].at is path[2].at is None


def test_the_soonest_running_clock_decides_and_an_answer_moves_it() -> None:
    answered = TicketEvent("reply_sent", NOW + timedelta(minutes=5))
    step = escalation_path(FACTS, ticket_clocks(NOW + timedelta(minutes=6), answered))[1]
    assert (step.at, step.unless) == (NOW + timedelta(hours=8), "unless resolved")


def test_nothing_goes_up_by_itself_while_paused_nor_to_a_level_reached_by_hand_only() -> None:
    pausing = [
        TicketEvent("reply_sent", NOW),
        TicketEvent("status_changed", NOW, {"to": "pending"}),
    ]
    clocks = ticket_clocks(NOW + timedelta(minutes=6), *pausing)
    assert escalation_path(FACTS, clocks)[1].at is None
    by_hand = escalation_path(facts(level=2), ticket_clocks(NOW))
    assert [(step.state, step.at) for step in by_hand] == [("passed", None), ("here", None), ("next", None)]


def test_a_finished_ticket_goes_nowhere() -> None:
    path = escalation_path(facts(status="resolved"), ticket_clocks(NOW))
    assert {step.state for step in path} == {"here", "later"}
    assert all(step.at is None for step in path)


def test_a_share_beyond_the_target_is_never_reached_and_never_announced() -> None:
    tiers = (FIRST, Tier(2, "Specialists", escalate_at_percent=120, members=("bob",)))
    beyond = EscalationFacts("open", 1, tiers)
    assert decide_escalation(beyond, BREACH).to_level is None
    assert escalation_path(beyond, ticket_clocks(NOW))[1].at is None
