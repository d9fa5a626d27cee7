"""Routing decisions per second: new mails against many rules, of which the last one holds."""

import time
from datetime import UTC, datetime

from portal.rules.conditions import Condition, RouteFacts, parse_condition
from portal.rules.routing import Places, Rule, route

RULES = 500
MAILS = 400
OPERATORS = ("contains", "any_word", "matches", "equals", "ends_with")
FIELDS = ("subject", "body", "sender", "domain", "body")


def run() -> None:
    """Print how many decisions are made in a second, of one process."""
    rules = [Rule(number, f"Rule {number}", number, condition=_condition(number)) for number in range(RULES)]
    rules[-1] = Rule(RULES, "Everything else", RULES, priority="low")
    mails = [_mail(number) for number in range(MAILS)]
    start = time.perf_counter()
    reached = {route(mail, rules, 1, 1, Places({1})).rule_id for mail in mails}
    seconds = time.perf_counter() - start
    assert reached == {RULES}, "every mail goes past all rules"
    print(f"routing: {MAILS / seconds:,.0f} decisions a second with {RULES} rules")


def _condition(number: int) -> Condition:
    field, operator = FIELDS[number % 5], OPERATORS[number % 5]
    value = ["zebra", f"quagga{number}"] if operator == "any_word" else f"okapi{number}"
    first = {"field": field, "operator": operator, "value": value}
    other = {"field": "subject", "operator": "contains", "value": f"tapir{number}"}
    return parse_condition({"any": [first, {"all": [other, {"not": first}]}]})


def _mail(number: int) -> RouteFacts:
    return RouteFacts(
        sender=f"person{number}@customer{number % 50}.test",
        subject=f"Order {number} has not come",
        body=f"Hello, my order {number} has not come. " + "It was to be here last week. " * 60,
        at=datetime(2026, 6, 1, tzinfo=UTC),
    )
