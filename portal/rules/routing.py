"""Where a new ticket goes: the address decides the branch, then ordered rules refine or overrule it.

Conditions are plain JSON, so that a form can build them and a person can read them: `{"all": […]}`, `{"any":
[…]}`, `{"not": …}` around `{"field": "subject", "operator": "contains", "value": "refund"}`; `{}` always
holds. A new operator is one entry in `_TEXT_TESTS`.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from portal.rules.decision import Evidence
from portal.wording import N_, sentence

_MOST_CONDITIONS = 200
_DEEPEST = 10
_LONGEST_TEXT = 100_000
_SHOWN_TEXT = 120


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """What is known of a new ticket when it is placed. Comparisons ignore case and character width."""

    channel: str = "email"
    account: str = ""
    sender: str = ""
    sender_name: str = ""
    recipients: tuple[str, ...] = ()
    subject: str = ""
    body: str = ""
    language: str = ""
    has_attachment: bool = False
    attachment_names: tuple[str, ...] = ()
    customer_tags: tuple[str, ...] = ()

    @property
    def domain(self) -> str:
        """What stands after the @ of the sender."""
        return self.sender.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison: `field` of the facts, an operator, and the value to compare with."""

    field: str
    operator: str
    value: str | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions of which all, any or (`not`) none must hold; an empty `all` always holds."""

    kind: Literal["all", "any", "not"]
    conditions: "tuple[Condition, ...]" = ()


Condition = Test | Group


@dataclass(frozen=True, slots=True)
class Rule:
    """One ordered rule: if the condition holds, everything named here is set. None and () set nothing.

    What an earlier rule has set stays; tags add up. After a matching rule with `is_last` no other is looked
    at.
    """

    id: int
    name: str
    position: int = 100
    is_active: bool = True
    condition: Condition = Group("all")
    branch_id: int | None = None
    tier_level: int | None = None
    priority: str | None = None
    type: str | None = None
    tags: tuple[str, ...] = ()
    policy_id: int | None = None
    is_last: bool = True


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """Where the ticket goes.

    `rule` is what chose the branch: `routing_rule`, `account_branch` or `fall_back_branch`.
    `rule_id` is the routing rule that chose the branch, else the first that matched. None leaves a value to
    the branch's own default. `evidence["rules"]` lists what matched and why, `evidence["warnings"]` what was
    passed over, in sentences.
    """

    branch_id: int
    tier_level: int | None
    priority: str | None
    type: str | None
    tags: tuple[str, ...]
    policy_id: int | None
    rule_id: int | None
    rule: str
    reason: str
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator as a form shows it: its label and whether its value is a list."""

    label: str
    takes_list: bool = False


TEXT_OPERATORS: dict[str, Operator] = {
    "equals": Operator("is"),
    "in": Operator("is one of", takes_list=True),
    "contains": Operator("contains"),
    "starts_with": Operator("starts with"),
    "ends_with": Operator("ends with"),
    "all_words": Operator("has all of the words", takes_list=True),
    "any_word": Operator("has any of the words", takes_list=True),
}

# Fields by name: the label of the form and the kind of value.
FIELDS: dict[str, tuple[str, Literal["text", "yes_no"]]] = {
    "channel": ("Channel", "text"),
    "account": ("Our address", "text"),
    "sender": ("Sender's address", "text"),
    "sender_name": ("Sender's name", "text"),
    "domain": ("Sender's domain", "text"),
    "recipients": ("Any recipient", "text"),
    "subject": ("Subject", "text"),
    "body": ("Text", "text"),
    "language": ("Language", "text"),
    "has_attachment": ("Has a file attached", "yes_no"),
    "attachment_names": ("Name of a file", "text"),
    "customer_tags": ("Customer's tag", "text"),
}


def parse_condition(value: Any) -> Condition:
    """The condition of its JSON form; raises ValueError with a sentence that an admin understands."""
    condition = _parse(value, depth=0)
    if _size(condition) > _MOST_CONDITIONS:
        raise ValueError(sentence("A rule can have at most %(most)s conditions.", most=_MOST_CONDITIONS))
    return condition


def condition_json(condition: Condition) -> dict[str, Any]:
    """The JSON form of a condition: `parse_condition` of it gives an equal one."""
    if isinstance(condition, Test):
        value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
        return {"field": condition.field, "operator": condition.operator, "value": value}
    parts = [condition_json(part) for part in condition.conditions]
    return {"not": parts[0]} if condition.kind == "not" else {condition.kind: parts}


def matched_tests(condition: Condition, facts: RouteFacts) -> list[Evidence] | None:
    """The comparisons that make a condition hold, as evidence; None when it does not hold."""
    if isinstance(condition, Test):
        found = _found(condition, facts)
        return None if found is None else [_test_evidence(condition, found)]
    results = [matched_tests(part, facts) for part in condition.conditions]
    if condition.kind == "not":
        return [{"not": condition_json(condition.conditions[0])}] if results[0] is None else None
    if condition.kind == "any":
        return next((result for result in results if result is not None), None)
    if any(result is None for result in results):
        return None
    return [item for result in results for item in result or ()]


def route(
    facts: RouteFacts,
    rules: Sequence[Rule],
    fall_back_branch_id: int,
    account_branch_id: int | None,
    active_branch_ids: Collection[int],
) -> RouteDecision:
    """The place of a new ticket: the same facts and rules always give the same answer.

    Rules are taken by (position, id). A rule that sends to a branch which is not active is passed over whole,
    with a warning. Without a rule the account's branch holds; when that is not active either, the fall-back
    branch does, with a warning, so that no ticket is lost.
    """
    warnings: list[str] = []
    matched: list[tuple[Rule, list[Evidence]]] = []
    for rule in sorted(rules, key=lambda each: (each.position, each.id)):
        tests = matched_tests(rule.condition, facts) if rule.is_active else None
        if tests is None:
            continue
        if rule.branch_id is not None and rule.branch_id not in active_branch_ids:
            warnings.append(
                sentence(
                    "The rule “%(name)s” was passed over: the branch it sends to is disabled.", name=rule.name
                )
            )
            continue
        matched.append((rule, tests))
        if rule.is_last:
            break
    return _decide(matched, warnings, fall_back_branch_id, account_branch_id, active_branch_ids)


def _decide(
    matched: Sequence[tuple[Rule, list[Evidence]]],
    warnings: list[str],
    fall_back_branch_id: int,
    account_branch_id: int | None,
    active_branch_ids: Collection[int],
) -> RouteDecision:
    rules = [rule for rule, _ in matched]
    chooser = next((rule for rule in rules if rule.branch_id is not None), None)
    if chooser is not None and chooser.branch_id is not None:
        branch_id, name = chooser.branch_id, "routing_rule"
        reason: str = sentence("The rule “%(name)s” sends it here.", name=chooser.name)
    elif account_branch_id is not None and account_branch_id in active_branch_ids:
        branch_id, name, reason = (
            account_branch_id,
            "account_branch",
            N_("It was sent to an address of this branch."),
        )
    else:
        branch_id, name = fall_back_branch_id, "fall_back_branch"
        reason = N_("No active branch was named, so it went to the fall-back branch.")
        warnings.append(_fall_back_warning(account_branch_id, branch_id, active_branch_ids))
    evidence: Evidence = {
        "account_branch_id": account_branch_id,
        "rules": [{"id": rule.id, "name": rule.name, "tests": tests} for rule, tests in matched],
        "warnings": warnings,
    }
    first = chooser or next(iter(rules), None)
    return RouteDecision(
        branch_id=branch_id,
        tier_level=next((rule.tier_level for rule in rules if rule.tier_level is not None), None),
        priority=next((rule.priority for rule in rules if rule.priority), None),
        type=next((rule.type for rule in rules if rule.type), None),
        tags=tuple(dict.fromkeys(tag for rule in rules for tag in rule.tags)),
        policy_id=next((rule.policy_id for rule in rules if rule.policy_id is not None), None),
        rule_id=first.id if first else None,
        rule=name,
        reason=reason,
        evidence=evidence,
    )


def _fall_back_warning(account_branch_id: int | None, branch_id: int, active: Collection[int]) -> str:
    if branch_id in active:
        return (
            N_("It came to no known address, so it went to the fall-back branch.")
            if account_branch_id is None
            else N_("The branch of its address is disabled, so it went to the fall-back branch.")
        )
    return (
        N_("It came to no known address, so it went to the fall-back branch, which is disabled too.")
        if account_branch_id is None
        else N_(
            "The branch of its address is disabled, so it went to the fall-back branch, which is disabled too."
        )
    )


def _parse(value: Any, depth: int) -> Condition:
    if depth > _DEEPEST:
        raise ValueError(sentence("Conditions can be nested %(most)s deep at most.", most=_DEEPEST))
    if not isinstance(value, Mapping):
        raise ValueError(  # noqa: TRY004
            sentence("A condition has “all”, “any”, “not” or “field”, not %(value)s.", value=_shown(value))
        )
    if not value:
        return Group("all")
    if "field" in value:
        return _parse_test(value)
    if len(value) == 1:
        ((kind, content),) = value.items()
        if kind == "not":
            return Group("not", (_parse(content, depth + 1),))
        if kind in ("all", "any"):
            return _parse_group(kind, content, depth)
    raise ValueError(
        sentence(
            "A condition has exactly one of “all”, “any”, “not” or “field”, not %(value)s.",
            value=_shown(value),
        )
    )


def _parse_group(kind: Literal["all", "any"], content: Any, depth: int) -> Group:
    if not isinstance(content, list | tuple):
        raise ValueError(sentence("“%(kind)s” needs a list of conditions.", kind=kind))  # noqa: TRY004
    if kind == "any" and not content:
        raise ValueError(N_("“any” without conditions would never hold: add one or remove it."))
    if len(content) > _MOST_CONDITIONS:
        raise ValueError(sentence("A rule can have at most %(most)s conditions.", most=_MOST_CONDITIONS))
    return Group(kind, tuple(_parse(item, depth + 1) for item in content))


def _parse_test(value: Mapping[str, Any]) -> Test:
    unknown = sorted(set(map(str, value)) - {"field", "operator", "value"})
    if unknown:
        raise ValueError(
            sentence(
                "A condition has a field, an operator and a value, but no “%(unknown)s”.", unknown=unknown[0]
            )
        )
    name = value["field"]
    if not isinstance(name, str) or name not in FIELDS:
        raise ValueError(
            sentence(
                "There is no field %(name)s. Fields are: %(fields)s.",
                name=_shown(name),
                fields=", ".join(FIELDS),
            )
        )
    label, kind = FIELDS[name]
    if kind == "yes_no":
        operator, wanted = value.get("operator", "equals"), value.get("value", True)
        if operator != "equals" or not isinstance(wanted, bool):
            raise ValueError(
                sentence("“%(label)s” is compared with “equals” and true or false.", label=label)
            )
        return Test(name, "equals", wanted)
    operator = value.get("operator")
    if not isinstance(operator, str) or operator not in TEXT_OPERATORS:
        raise ValueError(
            sentence(
                "“%(label)s” can be compared with: %(operators)s; not with %(operator)s.",
                label=label,
                operators=", ".join(TEXT_OPERATORS),
                operator=_shown(operator),
            )
        )
    return Test(name, operator, _parse_value(value.get("value"), label, TEXT_OPERATORS[operator]))


def _parse_value(value: Any, label: str, operator: Operator) -> str | tuple[str, ...]:
    if not operator.takes_list:
        if not isinstance(value, str) or not value.strip():
            raise ValueError(
                sentence(
                    "“%(label)s %(other)s” needs a text to compare with.", label=label, other=operator.label
                )
            )
        return value.strip()
    items = re.split(r"[,;\n]", value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError(
            sentence("“%(label)s %(other)s” needs a list of texts.", label=label, other=operator.label)
        )
    texts = tuple(item.strip() for item in items if item.strip())
    if not texts:
        raise ValueError(
            sentence("“%(label)s %(other)s” needs at least one text.", label=label, other=operator.label)
        )
    return texts


def _size(condition: Condition) -> int:
    return 1 if isinstance(condition, Test) else 1 + sum(_size(part) for part in condition.conditions)


def _found(test: Test, facts: RouteFacts) -> str | None:
    """The text of the facts that satisfies the test; None when none does."""
    actual = getattr(facts, test.field)
    if isinstance(actual, bool):
        return ("yes" if actual else "no") if actual is test.value else None
    wanted = tuple(map(_folded, test.value)) if isinstance(test.value, tuple) else (_folded(str(test.value)),)
    for text in actual if isinstance(actual, tuple) else (actual,):
        if _TEXT_TESTS[test.operator](_folded(text[:_LONGEST_TEXT]), wanted):
            return str(text)
    return None


def _test_evidence(test: Test, found: str) -> Evidence:
    return {
        **condition_json(test),
        "found": found if len(found) <= _SHOWN_TEXT else found[:_SHOWN_TEXT] + "…",
    }


def _has_word(text: str, word: str) -> bool:
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        if not (_joins(text[start - 1 : start], word[0]) or _joins(word[-1], text[end : end + 1])):
            return True
        start = text.find(word, start + 1)
    return False


def _joins(left: str, right: str) -> bool:
    """Whether two neighbours belong to one word. Scripts without spaces have no such neighbours."""
    return _is_spaced(left) and _is_spaced(right)


def _is_spaced(character: str) -> bool:
    return character.isalnum() and not (
        "\u0e00" <= character <= "\u109f" or "\u3040" <= character <= "\u9fff"
    )


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


_TEXT_TESTS: dict[str, Callable[[str, tuple[str, ...]], bool]] = {
    "equals": lambda text, wanted: text == wanted[0],
    "in": lambda text, wanted: text in wanted,
    "contains": lambda text, wanted: wanted[0] in text,
    "starts_with": lambda text, wanted: text.startswith(wanted[0]),
    "ends_with": lambda text, wanted: text.endswith(wanted[0]),
    "all_words": lambda text, wanted: all(_has_word(text, word) for word in wanted),
    "any_word": lambda text, wanted: any(_has_word(text, word) for word in wanted),
}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
