"""What the form of a rule shows is what the rule says, and what it sends is what is stored."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.rules.condition_form import (
    BLOCK_KINDS,
    Block,
    Form,
    Row,
    fault_of,
    form_of,
    json_of,
    with_block,
    with_row,
    without_row,
)
from portal.rules.conditions import (
    FIELDS,
    TEXT_OPERATORS,
    WEEKDAYS,
    RouteFacts,
    condition_json,
    matched_tests,
    parse_condition,
)

TEXTS = st.text("abc ,;-ä", min_size=1, max_size=6).map(str.strip).filter(bool)


@st.composite
def comparisons(draw: st.DrawFn) -> dict[str, Any]:
    field = draw(st.sampled_from(sorted(FIELDS)))
    known = FIELDS[field]
    named = {"name": draw(st.sampled_from(["X-Shop", "order"]))} if known.is_named else {}
    if known.kind == "yes_no":
        return {"field": field, "operator": "equals", "value": draw(st.booleans())}
    if known.kind == "days":
        days = draw(st.sets(st.sampled_from(sorted(WEEKDAYS)), min_size=1))
        return {"field": field, "operator": "in", "value": sorted(days)}
    if known.kind == "times":
        return {"field": field, "operator": "between", "value": "18:00–06:00"}
    operator = draw(st.sampled_from(sorted(TEXT_OPERATORS)))
    value: Any = draw(TEXTS)
    if TEXT_OPERATORS[operator].takes == "list":
        value = draw(st.lists(TEXTS, min_size=1, max_size=3))
    return {"field": field, **named, "operator": operator, "value": value}


ROWS = st.one_of(comparisons(), comparisons().map(lambda test: {"not": test}))
LISTS = st.lists(ROWS, min_size=1, max_size=3)
BLOCKS = st.one_of(
    LISTS.map(lambda rows: {"all": rows}),
    LISTS.map(lambda rows: {"any": rows}),
    LISTS.map(lambda rows: {"not": {"any": rows}}),
)
MIXED = st.lists(st.one_of(ROWS, BLOCKS), min_size=1, max_size=3)
READABLE = st.one_of(
    st.just({}),
    ROWS,
    BLOCKS,
    MIXED.map(lambda parts: {"all": parts}),
    MIXED.map(lambda parts: {"any": parts}),
)
FACTS = st.builds(
    RouteFacts,
    subject=st.text("abc ,;-ä", max_size=6),
    body=st.text("abc ", max_size=6),
    sender=st.sampled_from(["", "a@b.test", "abc@a.test"]),
    tags=st.lists(TEXTS, max_size=2).map(tuple),
    has_attachment=st.booleans(),
    is_known_customer=st.booleans(),
    headers=st.sampled_from([(), (("X-Shop", "a"),)]),
)


@given(READABLE, st.lists(FACTS, min_size=1, max_size=4))
def test_a_form_says_the_same_as_its_condition(value: dict[str, Any], facts: list[RouteFacts]) -> None:
    condition = parse_condition(value)
    form = form_of(condition)
    assert form is not None
    again = parse_condition(json_of(form))
    for each in facts:
        assert (matched_tests(condition, each) is None) == (matched_tests(again, each) is None)
    # From then on nothing changes any more: what is saved is what was shown.
    assert form_of(again) == form
    assert condition_json(parse_condition(json_of(form))) == condition_json(again)


@given(READABLE)
def test_what_can_be_stored_has_no_fault_in_the_form(value: dict[str, Any]) -> None:
    form = form_of(parse_condition(value))
    assert form is not None
    assert [fault_of(row) for block in form.blocks for row in block.rows if fault_of(row)] == []


SUBJECT = {"field": "subject", "operator": "contains", "value": "refund"}


@pytest.mark.parametrize(
    "value",
    [
        {"all": [{"any": [{"all": [SUBJECT, SUBJECT]}, SUBJECT]}]},
        {"not": {"all": [SUBJECT, SUBJECT]}},
        {"not": {"not": SUBJECT}},
        {"field": "body", "operator": "in", "value": ["two\nlines"]},
        {"field": "body", "operator": "contains", "value": "two\nlines"},
    ],
)
def test_what_a_form_would_change_has_none(value: dict[str, Any]) -> None:
    assert form_of(parse_condition(value)) is None


def test_a_rule_without_conditions_has_an_empty_form() -> None:
    assert form_of(parse_condition({})) == Form()
    assert json_of(Form()) == {}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (Row(value=""), "needs a text"),
        (Row("subject", "matches", "("), "bracket"),
        (Row("weekday", "in"), "at least one day"),
        (Row("time", "between", "18:00"), "time of day"),
        (Row("header", "equals", "x"), "needs its name"),
        (Row("nonsense", "equals", "x"), "no field"),
        (Row("subject", "nonsense", "x"), "can be compared with"),
        (Row("subject", "any_word", " \n "), "at least one text"),
    ],
)
def test_a_row_says_what_is_wrong_with_it(row: Row, said: str) -> None:
    assert said in fault_of(row)


def test_rows_and_blocks_come_and_go() -> None:
    form = with_row(with_block(Form()), 0)
    assert [len(block.rows) for block in form.blocks] == [2]
    form = with_block(form)
    assert without_row(form, 1, 0).blocks == form.blocks[:1], "a block goes with its last row"
    assert with_row(form, 7) == form
    assert without_row(form, 7, 0) == form
    assert without_row(form, 0, 9) == form


@pytest.mark.parametrize("kind", BLOCK_KINDS)
def test_every_kind_of_block_is_kept(kind: Any) -> None:
    form = Form("any", (Block(kind, (Row(value="a"),)), Block("all", (Row(value="b"), Row(value="c")))))
    known = form_of(parse_condition(json_of(form)))
    assert known is not None
    assert known.kind == "any"
    assert len(known.blocks) == 2
