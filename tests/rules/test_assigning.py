"""Who gets a ticket that comes to a branch."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.rules.assigning import Candidate, assign

ADA = Candidate(1, "Ada", open_count=5, turn=3)
BEN = Candidate(2, "Ben", open_count=2, turn=9)
CHI = Candidate(3, "Chi", open_count=2, turn=4)
DEE = Candidate(4, "Dee", tier_level=2, open_count=0, turn=0)
EVERYBODY = [ADA, BEN, CHI, DEE]


@pytest.mark.parametrize(
    ("strategy", "level", "last", "person", "rule"),
    [
        ("manual", 1, None, None, "manual"),
        ("round_robin", 1, None, 1, "round_robin"),
        ("round_robin", 2, None, 4, "round_robin"),
        ("least_loaded", 1, None, 3, "least_loaded"),
        ("sticky", 1, 2, 2, "sticky"),
        ("sticky", 1, 4, 3, "least_loaded"),
        ("sticky", 1, None, 3, "least_loaded"),
        ("round_robin", 3, None, None, "nobody_free"),
    ],
)
def test_strategies(strategy: str, level: int, last: int | None, person: int | None, rule: str) -> None:
    decision = assign(strategy, level, EVERYBODY, last_agent_id=last)
    assert (decision.user_id, decision.rule) == (person, rule)
    assert decision.reason.endswith(".")


@pytest.mark.parametrize("strategy", ["round_robin", "least_loaded", "sticky"])
def test_nobody_who_is_away_or_full_is_given_a_ticket_by_itself(strategy: str) -> None:
    away, full = replace(ADA, is_available=False), replace(BEN, capacity=2)
    decision = assign(strategy, 1, [away, full, CHI], last_agent_id=1)
    assert decision.user_id == CHI.user_id
    assert (decision.evidence["away"], decision.evidence["full"]) == ([1], [2])
    assert assign(strategy, 1, [away, full]).reason == (
        "Everybody who is there has as many tickets as they can take."
    )
    assert assign(strategy, 1, [away]).reason == "Everybody who could get it is away."
    assert assign(strategy, 1, []).reason == "Nobody of this branch works at level 1."


def test_whom_a_rule_names_gets_it_while_they_are_a_member() -> None:
    away = replace(ADA, is_available=False, capacity=0)
    assert assign("manual", 1, [away, BEN], wanted_id=1).user_id == 1
    decision = assign("round_robin", 1, [BEN], wanted_id=1)
    assert (decision.user_id, decision.rule) == (None, "not_a_member")
    assert "not a member" in decision.warning


CANDIDATES = st.lists(
    st.builds(
        Candidate,
        st.integers(1, 9),
        st.just("x"),
        st.integers(1, 2),
        st.booleans(),
        st.integers(0, 4),
        st.integers(0, 5),
        st.integers(0, 3),
    ),
    unique_by=lambda each: each.user_id,
    max_size=6,
)


@given(
    CANDIDATES, st.sampled_from(["round_robin", "least_loaded", "sticky"]), st.integers(1, 9), st.randoms()
)
def test_the_order_of_the_members_does_not_matter_and_only_the_free_get_anything(
    members: list[Candidate], strategy: str, last: int, shuffler: random.Random
) -> None:
    first = assign(strategy, 1, members, last_agent_id=last)
    shuffler.shuffle(members)
    assert assign(strategy, 1, members, last_agent_id=last) == first
    free = {each.user_id for each in members if each.is_free and each.tier_level == 1}
    assert (first.user_id in free) if free else (first.user_id is None)


@given(st.integers(1, 6), st.integers(1, 40))
def test_going_round_gives_everybody_the_same_within_one(people: int, tickets: int) -> None:
    members = {number: Candidate(number, f"p{number}", capacity=100) for number in range(1, people + 1)}
    for turn in range(1, tickets + 1):
        user_id = assign("round_robin", 1, list(members.values())).user_id
        assert user_id is not None
        known = members[user_id]
        members[user_id] = replace(known, open_count=known.open_count + 1, turn=turn)
    counts = [each.open_count for each in members.values()]
    assert max(counts) - min(counts) <= 1
