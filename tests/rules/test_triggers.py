"""Which changes escalate a ticket by rule, and why."""

import pytest

from portal.rules.escalation import EscalationFacts, Tier
from portal.rules.triggers import Change, Rule, RuleKind, decide_rules, rule_problem, why_held

FACTS = EscalationFacts("open", 1, (Tier(1, "Front desk"), Tier(2, "Specialists"), Tier(3, "Engineers")))


def rule(kind: RuleKind, value: str, to_level: int = 2, *, id: int = 1, branch_id: int | None = None) -> Rule:  # noqa: A002
    return Rule(id, f"Rule {id}", kind, value, to_level, branch_id)


@pytest.mark.parametrize(
    ("asked", "change", "holds"),
    [
        (rule("priority", "urgent"), Change(priority="urgent"), True),
        (rule("priority", "urgent"), Change(priority="high"), False),
        (rule("priority", "urgent"), Change(), False),
        (rule("type", "bug"), Change(type="bug"), True),
        (rule("type", "bug"), Change(priority="urgent", type="question"), False),
        (rule("reopened", "2"), Change(reopened_count=2), True),
        (rule("reopened", "2"), Change(reopened_count=5), True),
        (rule("reopened", "2"), Change(reopened_count=1), False),
        (rule("reopened", "2"), Change(waiting_count=9), False),
        (rule("customer_waits", "3"), Change(waiting_count=3), True),
        (rule("customer_waits", "3"), Change(waiting_count=2), False),
        (rule("keyword", "lawyer, press"), Change(words=("My LAWYER will write",)), True),
        (rule("keyword", "lawyer"), Change(words=("The lawyers' office",)), False),
        (rule("keyword", "cancel my contract"), Change(words=("Please cancel\n my  contract!",)), True),
        (rule("keyword", "kündigen"), Change(words=("Ich will KÜNDIGEN.",)), True),
        (rule("keyword", "c++"), Change(words=("Written in C++, you see",)), True),
        (rule("keyword", "lawyer"), Change(words=("nothing", "a lawyer")), True),
        (rule("keyword", " , "), Change(words=("anything",)), False),
        # What was imported and means nothing holds never.
        (rule("reopened", "often"), Change(reopened_count=9), False),
        (rule("priority", "moon"), Change(priority="moon"), False),
    ],
)
def test_when_a_rule_holds(asked: Rule, change: Change, holds: bool) -> None:
    assert bool(why_held(asked, change)) is holds


URGENT = Change(priority="urgent")


@pytest.mark.parametrize(
    ("facts", "rules", "spent", "to_level", "name"),
    [
        (FACTS, [rule("priority", "urgent")], (), 2, "priority"),
        (FACTS, [rule("priority", "urgent"), rule("priority", "urgent", 3, id=2)], (), 3, "priority"),
        (FACTS, [rule("priority", "urgent")], (1,), None, "already_escalated"),
        (FACTS, [rule("priority", "urgent", branch_id=9)], (), None, "no_rule"),
        (FACTS, [rule("priority", "urgent", branch_id=7)], (), 2, "priority"),
        (FACTS, [rule("priority", "urgent", 8)], (), None, "no_such_tier"),
        (FACTS, [rule("priority", "urgent", 8), rule("priority", "urgent", id=2)], (), 2, "priority"),
        (EscalationFacts("open", 2, FACTS.tiers), [rule("priority", "urgent")], (), None, "not_higher"),
        (EscalationFacts("closed", 1, FACTS.tiers), [rule("priority", "urgent")], (), None, "not_open"),
        (
            EscalationFacts("open", 1, FACTS.tiers, {2}),
            [rule("priority", "urgent")],
            (),
            None,
            "already_escalated",
        ),
    ],
)
def test_decisions(
    facts: EscalationFacts, rules: list[Rule], spent: tuple[int, ...], to_level: int | None, name: str
) -> None:
    chosen, decision = decide_rules(facts, rules, URGENT, branch_id=7, spent=spent)
    assert (decision.to_level, decision.rule) == (to_level, name)
    assert decision.reason
    assert (chosen is not None) is (to_level is not None or name == "no_such_tier")


def test_the_reason_names_the_fact_and_the_rule() -> None:
    _, decision = decide_rules(FACTS, [rule("keyword", "lawyer")], Change(words=("A lawyer!",)), branch_id=7)
    assert decision.reason == "The customer's message says “lawyer” (rule “Rule 1”)."
    assert decision.evidence["rule_id"] == 1


@pytest.mark.parametrize(
    ("kind", "value", "is_refused"),
    [
        ("keyword", " , ", True),
        ("keyword", "lawyer", False),
        ("reopened", "", True),
        ("reopened", "0", True),
        ("reopened", "-1", True),
        ("customer_waits", "three", True),
        ("customer_waits", "100", True),
        ("customer_waits", "3", False),
        ("priority", " ", True),
    ],
)
def test_values_that_mean_nothing_are_refused(kind: str, value: str, is_refused: bool) -> None:
    assert bool(rule_problem(kind, value)) is is_refused
