"""What one action makes of each of many tickets, and what it leaves alone."""

from dataclasses import replace
from typing import Any

import pytest

from portal.rules import bulk
from portal.rules.bulk import Letter, Standing, decide
from portal.rules.escalation import EscalationFacts, Tier
from portal.rules.lifecycle import Lifecycle

TIERS = (Tier(1, "Front desk"), Tier(2, "Specialists", members=("bob",)))
OPEN = Standing(
    number=7,
    status="open",
    priority="normal",
    tags=("billing",),
    branch_id=1,
    branch="North",
    assignee_id=5,
    assignee="Ann",
    escalation=EscalationFacts("open", 1, TIERS),
    letter=Letter("zoe@shop.test", "<p>Dear Zoë</p>", newest_message_id=3),
)
ASSIGN = bulk.Assign(6, "Ben", frozenset({1}))


def standing(**values: Any) -> Standing:
    return replace(OPEN, **values)


@pytest.mark.parametrize(
    ("ticket", "action", "before", "after"),
    [
        (OPEN, ASSIGN, "Ann", "Ben"),
        (OPEN, bulk.Assign(None), "Ann", "nobody"),
        (standing(assignee_id=None, assignee=""), ASSIGN, "nobody", "Ben"),
        (standing(branch_id=2), bulk.Assign(6, "Ben", None), "Ann", "Ben"),
        (OPEN, bulk.Move(2, "South"), "North", "South"),
        (OPEN, bulk.Prioritise("urgent"), "Normal", "Urgent"),
        (OPEN, bulk.SetStatus("resolved"), "Open", "Resolved"),
        (OPEN, bulk.Label(added=("vip",)), "billing", "billing, vip"),
        (OPEN, bulk.Label(removed=("billing",)), "billing", "no tags"),
        (OPEN, bulk.Escalate("Same fault"), "Front desk", "Specialists"),
        (OPEN, bulk.Answer(1), "to zoe@shop.test", "<p>Dear Zoë</p>"),
        (OPEN, bulk.Merge(9, "The lid"), "#7", "#9 The lid"),
    ],
)
def test_what_changes(ticket: Standing, action: bulk.Action, before: str, after: str) -> None:
    change = decide(ticket, action, Lifecycle())
    assert (change.is_change, change.before, change.after) == (True, before, after)


@pytest.mark.parametrize(
    ("ticket", "action", "rule"),
    [
        (standing(is_merged=True), bulk.Prioritise("urgent"), "merged"),
        (standing(is_merged=True), bulk.Merge(9), "merged"),
        (standing(assignee_id=6, assignee="Ben"), ASSIGN, "unchanged"),
        (standing(assignee_id=None), bulk.Assign(None), "unchanged"),
        (standing(branch_id=2, branch="South"), ASSIGN, "not_a_member"),
        (OPEN, bulk.Move(1, "North"), "unchanged"),
        (OPEN, bulk.Move(2, "South", is_active=False), "branch_closed"),
        (OPEN, bulk.Prioritise("normal"), "unchanged"),
        (OPEN, bulk.SetStatus("open"), "unchanged"),
        (standing(status="closed"), bulk.SetStatus("pending"), "not_allowed"),
        (OPEN, bulk.Label(added=("billing",)), "unchanged"),
        (OPEN, bulk.Label(removed=("vip",)), "unchanged"),
        (OPEN, bulk.Escalate(" "), "reason_required"),
        (
            standing(escalation=EscalationFacts("resolved", 1, TIERS)),
            bulk.Escalate("Same fault"),
            "not_open",
        ),
        (standing(status="spam"), bulk.Answer(1), "not_answerable"),
        (standing(letter=Letter("z@shop.test", "", ("ticket.number",))), bulk.Answer(1), "unfilled"),
        (standing(letter=Letter("", "", fault="No address is known.")), bulk.Answer(1), "no_address"),
        (OPEN, bulk.Merge(7), "target"),
        (OPEN, bulk.Merge(9, is_open_to_it=False), "not_answerable"),
    ],
)
def test_what_is_left_alone(ticket: Standing, action: bulk.Action, rule: str) -> None:
    change = decide(ticket, action, Lifecycle())
    assert (change.is_change, change.rule) == (False, rule)
    assert change.reason


def test_a_mark_changes_with_what_was_shown_and_with_nothing_else() -> None:
    shown = decide(OPEN, ASSIGN, Lifecycle()).mark
    assert decide(standing(priority="urgent", tags=()), ASSIGN, Lifecycle()).mark == shown
    assert decide(standing(assignee_id=8, assignee="Eve"), ASSIGN, Lifecycle()).mark != shown
    mail = decide(OPEN, bulk.Answer(1), Lifecycle()).mark
    later = Letter("zoe@shop.test", "<p>Dear Zoë</p>", newest_message_id=4)
    assert decide(standing(letter=later), bulk.Answer(1), Lifecycle()).mark != mail
