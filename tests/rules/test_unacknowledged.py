"""What follows where nobody acknowledges an escalation, and what the page says of it before."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.rules.escalation import (
    EscalationFacts,
    OnCall,
    Tier,
    Waiting,
    decide_unacknowledged,
    escalation_path,
    first_on_call,
)

NOW = datetime(2026, 11, 23, 14, 20, tzinfo=UTC)
ANA, TOM, EVE = OnCall(1, "Ana"), OnCall(2, "Tom"), OnCall(3, "Eve")
FRONT = Tier(1, "Front desk")


def facts(
    then: str,
    told: tuple[int, ...] = (1,),
    *,
    on_call: tuple[OnCall, ...] = (ANA, TOM),
    status: str = "open",
    level: int = 2,
    has_third: bool = True,
    acknowledge_by: datetime | None = NOW + timedelta(minutes=20),
) -> EscalationFacts:
    second = Tier(2, "Specialists", on_unacknowledged=then, on_call=on_call, members=("Ana", "Tom"))
    third = (Tier(3, "Engineers", members=("Ida",)),) if has_third else ()
    waiting = Waiting(2, NOW, acknowledge_by, told)
    return EscalationFacts(status, level, (FRONT, second, *third), frozenset({2}), waiting)


@pytest.mark.parametrize(
    ("situation", "action", "rule"),
    [
        (facts("next_on_call"), "next_on_call", "next_on_call"),
        (facts("next_on_call", told=(1, 2)), "branch_lead", "next_on_call_exhausted"),
        (facts("next_on_call", on_call=()), "branch_lead", "next_on_call_exhausted"),
        (
            facts("next_on_call", on_call=(ANA, replace(TOM, is_away=True))),
            "branch_lead",
            "next_on_call_exhausted",
        ),
        (facts("next_tier"), "next_tier", "next_tier"),
        (facts("next_tier", has_third=False), "branch_lead", "next_tier_exhausted"),
        (facts("branch_lead"), "branch_lead", "branch_lead"),
        (facts("branch_lead", status="resolved"), None, "not_open"),
        (facts("next_tier", level=1), None, "not_waiting"),
        (replace(facts("next_tier"), waiting=None), None, "not_waiting"),
    ],
)
def test_decisions(situation: EscalationFacts, action: str | None, rule: str) -> None:
    decision = decide_unacknowledged(situation)
    assert (decision.action, decision.rule) == (action, rule)
    assert decision.reason


def test_somebody_away_is_passed_over() -> None:
    tier = facts("next_on_call", on_call=(replace(ANA, is_away=True), TOM, EVE)).tiers[1]
    assert first_on_call(tier) == TOM
    assert first_on_call(tier, [2]) == EVE


PEOPLE = st.lists(st.builds(OnCall, st.integers(1, 9), st.just("Ana"), st.booleans()), max_size=6)


@given(PEOPLE, st.sampled_from(["next_on_call", "next_tier", "branch_lead"]), st.booleans())
def test_whatever_the_tier_says_it_comes_to_an_end_and_nobody_has_two_turns(
    people: list[OnCall], then: str, has_third: bool
) -> None:
    told: tuple[int, ...] = ()
    for _ in range(len(people) + 1):
        situation = facts(then, told, on_call=tuple(people), has_third=has_third)
        decision = decide_unacknowledged(situation)
        assert decision.reason
        if decision.action != "next_on_call":
            break
        assert decision.person is not None
        assert decision.person.user_id not in told
        assert not decision.person.is_away
        told = (*told, decision.person.user_id)
    assert decision.action in ("next_tier", "branch_lead")
    assert len(told) == (
        len({one.user_id for one in people if not one.is_away}) if then == "next_on_call" else 0
    )


def test_the_path_says_who_was_told_and_what_follows() -> None:
    here = escalation_path(facts("next_on_call"), [])[1]
    assert here.turn is not None
    assert (here.turn.told, here.turn.since) == ("Ana", NOW)
    assert (here.turn.action, here.turn.then) == ("next_on_call", "Tom")
    assert here.turn.then_at == NOW + timedelta(minutes=20)


def test_the_path_says_when_it_goes_on_because_nobody_acknowledges() -> None:
    here, following = escalation_path(facts("next_tier"), [])[1:]
    assert here.turn is not None
    assert (here.turn.action, here.turn.then) == ("next_tier", "Engineers")
    assert (following.at, following.unless) == (NOW + timedelta(minutes=20), "unless acknowledged")


def test_once_every_step_is_taken_nothing_is_announced() -> None:
    here = escalation_path(facts("branch_lead", acknowledge_by=None), [])[1]
    assert here.turn is not None
    assert (here.turn.action, here.turn.then_at, here.turn.is_over, here.turn.told) == (None, None, True, "")
