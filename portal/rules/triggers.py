"""What escalates a ticket by itself besides its clocks: rules over what a change has brought."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from portal.rules.escalation import EscalationDecision, EscalationFacts
from portal.rules.lifecycle import OPEN_STATUSES
from portal.wording import N_, Sentence, sentence

RuleKind = Literal["priority", "type", "reopened", "customer_waits", "keyword"]
KINDS: dict[str, str] = {
    "priority": N_("The priority becomes"),
    "type": N_("The type becomes"),
    "reopened": N_("Opened again so many times"),
    "customer_waits": N_("The customer has written so many times without an answer"),
    "keyword": N_("The customer writes one of these words"),
}
PRIORITIES = {
    "low": sentence("Low"),
    "normal": sentence("Normal"),
    "high": sentence("High"),
    "urgent": sentence("Urgent"),
}
TYPES = {
    "question": sentence("Question"),
    "incident": sentence("Incident"),
    "bug": sentence("Bug"),
    "improvement": sentence("Improvement"),
    "feature_request": sentence("Feature request"),
}
MOST_TIMES = 99
# Of a message of any size only so much is looked at: what matters to a person stands there.
MOST_LETTERS = 100_000


@dataclass(frozen=True, slots=True)
class Rule:
    """At a change of this `kind` to this `value`, tickets of the branch (None: of every one) go to `to_level`.

    `value` is a priority or type, a number of times, or words with commas between them, as an admin enters it.
    """

    id: int
    name: str
    kind: RuleKind
    value: str
    to_level: int
    branch_id: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What has just become of a ticket. None and () stand for what has not changed.

    `waiting_count` is how often the customer has written since the last answer, `words` what they have just said.
    """

    priority: str | None = None
    type: str | None = None
    reopened_count: int | None = None
    waiting_count: int | None = None
    words: Sequence[str] = field(default=())


def decide_rules(
    facts: EscalationFacts,
    rules: Sequence[Rule],
    change: Change,
    *,
    branch_id: int,
    spent: Collection[int] = (),
) -> tuple[Rule | None, EscalationDecision]:
    """Whether and whereto a change escalates the ticket, and by which rule: of those that hold, the highest level.

    `spent` are the rules by which it has been escalated and not been handed back since: each counts once. A level that
    the branch does not have is `no_such_tier`, with the rule, so that somebody can be told.
    """
    evidence = {"from_level": facts.tier_level, "rules": [rule.id for rule in rules]}
    if facts.status not in OPEN_STATUSES:
        reason = sentence(
            "The ticket is %(status)s; only open tickets are escalated.",
            status=facts.status_label or facts.status,
        )
        return None, EscalationDecision(None, "not_open", reason, evidence)
    held = [
        (rule, why)
        for rule in rules
        if rule.branch_id in (None, branch_id) and (why := why_held(rule, change))
    ]
    fresh = [each for each in held if each[0].id not in spent]
    if not fresh:
        name = "already_escalated" if held else "no_rule"
        why_not = N_("It was escalated by the same rule already.") if held else N_("No rule asks for it.")
        return None, EscalationDecision(None, name, why_not, evidence)
    higher = [each for each in fresh if each[0].to_level > facts.tier_level]
    if not higher:
        reason = sentence("The ticket is already on level %(level)s.", level=facts.tier_level)
        return None, EscalationDecision(None, "not_higher", reason, evidence)
    there = {tier.level: tier for tier in facts.tiers}
    rule, why = max(higher, key=lambda each: (each[0].to_level in there, each[0].to_level, -each[0].id))
    evidence |= {"rule_id": rule.id, "rule_name": rule.name, "value": rule.value, "to_level": rule.to_level}
    if rule.to_level not in there:
        reason = sentence(
            "The rule “%(name)s” escalates to level %(level)s, which this branch does not have.",
            name=rule.name,
            level=rule.to_level,
        )
        return rule, EscalationDecision(None, "no_such_tier", reason, evidence)
    if rule.to_level in facts.open_levels:
        reason = sentence("It has already been escalated to %(name)s.", name=there[rule.to_level].name)
        return None, EscalationDecision(None, "already_escalated", reason, evidence)
    reason = sentence("%(why)s (rule “%(name)s”).", why=why, name=rule.name)
    return rule, EscalationDecision(rule.to_level, rule.kind, reason, evidence)


def why_held(rule: Rule, change: Change) -> Sentence | None:
    """Why the rule holds for that change, as the beginning of a sentence; None where it does not."""
    if rule.kind == "priority" and change.priority == rule.value in PRIORITIES:
        return sentence("Its priority became %(value)s", value=PRIORITIES[rule.value])
    if rule.kind == "type" and change.type == rule.value in TYPES:
        return sentence("Its type became %(value)s", value=TYPES[rule.value])
    if rule.kind == "keyword":
        found = next((word for words in change.words if (word := _word_in(rule.value, words))), "")
        return sentence("The customer's message says “%(found)s”", found=found) if found else None
    count = change.reopened_count if rule.kind == "reopened" else change.waiting_count
    is_counted = rule.kind in ("reopened", "customer_waits") and count is not None and is_times(rule.value)
    if not is_counted or count is None or count < int(rule.value):
        return None
    if rule.kind == "reopened":
        return sentence("Times it was opened again: %(count)s", count=count)
    return sentence("Messages of the customer that wait for an answer: %(count)s", count=count)


def rule_problem(kind: str, value: str) -> str:
    """What is wrong with a rule's value, in a sentence of N_; "" for nothing."""
    if kind in ("reopened", "customer_waits"):
        return "" if is_times(value) else N_("Enter how many times, as a number from 1 to 99.")
    if kind == "keyword":
        return (
            ""
            if phrases(value)
            else N_("Enter at least one word that customers write, with commas between several.")
        )
    return "" if value.strip() else N_("Choose what it has to become.")


def is_times(value: str) -> bool:
    """Whether the text is a number of times."""
    return value.isascii() and value.isdigit() and len(value) <= 2 and 1 <= int(value) <= MOST_TIMES


@lru_cache(maxsize=500)
def phrases(value: str) -> tuple[str, ...]:
    """The words and phrases of a rule's value in small letters, with single spaces; each has a letter or digit."""
    split = (" ".join(part.split()).casefold() for part in re.split(r"[,\n]", value))
    return tuple(dict.fromkeys(part for part in split if re.search(r"\w", part)))


def _word_in(value: str, words: str) -> str:
    """The first of the phrases that stands in the words as whole words."""
    text = " ".join(words[:MOST_LETTERS].casefold().split())
    return next((phrase for phrase in phrases(value) if phrase in text and _stands_alone(phrase, text)), "")


def _stands_alone(phrase: str, text: str) -> bool:
    begin = text.find(phrase)
    while begin >= 0:
        end = begin + len(phrase)
        is_begun = begin == 0 or not (_is_letter(text[begin - 1]) and _is_letter(phrase[0]))
        is_ended = end == len(text) or not (_is_letter(text[end]) and _is_letter(phrase[-1]))
        if is_begun and is_ended:
            return True
        begin = text.find(phrase, begin + 1)
    return False


def _is_letter(sign: str) -> bool:
    return sign.isalnum() or sign == "_"
