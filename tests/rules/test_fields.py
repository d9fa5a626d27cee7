"""The desk's own fields: what a value may be, how it is said, what has to be filled in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.rules.fields import (
    Choice,
    Condition,
    Field,
    UnreadableValueError,
    check_key,
    choices_from,
    may_finish,
    read_condition,
    read_value,
    say_value,
    value_from,
    write_condition,
    write_value,
)

COLOURS = (Choice("blue", "Dark blue"), Choice("red", "Red"), Choice("pink", "Pink", is_active=False))
TEXT = Field("order", "Order number", "text")
NUMBER = Field("amount", "Amount", "number")
DATE = Field("bought_on", "Bought on", "date")
YES_NO = Field("is_insured", "Insured", "yes_no")
CHOICE = Field("colour", "Colour", "choice", choices=COLOURS)
CHOICES = Field("colours", "Colours", "choices", choices=COLOURS)


@pytest.mark.parametrize(
    ("field", "written", "value", "said"),
    [
        (TEXT, ["  A-17 \t b\0 "], "A-17 b", "A-17 b"),
        (TEXT, ["= 1,2"], "= 1,2", "= 1,2"),
        (NUMBER, ["12"], 12, "12"),
        (NUMBER, ["-0.50"], -0.5, "-0.5"),
        (NUMBER, ["3.0"], 3, "3"),
        (NUMBER, ["999999999999.999"], 999999999999.999, "999999999999.999"),
        (DATE, ["2026-11-03"], "2026-11-03", "3 November 2026"),
        (YES_NO, ["yes"], True, "Yes"),
        (YES_NO, ["no"], False, "No"),
        (CHOICE, ["blue"], "blue", "Dark blue"),
        (CHOICES, ["red", "blue", "red"], ("blue", "red"), "Dark blue, Red"),
    ],
)
def test_a_value_is_read_said_and_written_back(field, written, value, said) -> None:
    found = read_value(field, written)
    assert (found, type(found)) == (value, type(value))
    assert say_value(field, found) == said
    assert read_value(field, write_value(found)) == found


@pytest.mark.parametrize("field", [TEXT, NUMBER, DATE, YES_NO, CHOICE, CHOICES])
@pytest.mark.parametrize("written", [[], [""], ["  \t\0"], ["", " "]])
def test_empty_words_are_no_value(field: Field, written: list[str]) -> None:
    assert read_value(field, written) is None
    assert say_value(field, None) == ""


@pytest.mark.parametrize(
    ("field", "written", "says"),
    [
        (TEXT, "x" * 501, "takes 500 characters at most; these are 501"),
        (NUMBER, "1,234", "“Amount” must be a number like 12 or 12.5"),
        (NUMBER, "1e9", "must be a number"),
        (NUMBER, "nan", "must be a number"),
        (NUMBER, "１２", "must be a number"),
        (NUMBER, "1" * 13, "at most 12 figures"),
        (DATE, "3.11.2026", "“Bought on” must be a day like 2026-11-23, not “3.11.2026”"),
        (DATE, "2026-02-30", "must be a day"),
        (YES_NO, "maybe", "“Insured” must be yes or no, not “maybe”"),
        (CHOICE, "green", "“green” cannot be chosen for “Colour”"),
        (CHOICE, "pink", "“Pink” cannot be chosen for “Colour”"),
        (CHOICES, "pink", "“Pink” cannot be chosen"),
    ],
)
def test_what_a_field_cannot_take_is_refused_in_words(field: Field, written: str, says: str) -> None:
    with pytest.raises(UnreadableValueError, match=says):
        read_value(field, [written])


def test_a_retired_choice_stays_where_it_was_chosen() -> None:
    assert read_value(CHOICE, ["pink"], "pink") == "pink"
    assert read_value(CHOICES, ["red", "pink"], ("pink",)) == ("red", "pink")
    assert say_value(CHOICE, "pink") == "Pink"


def test_a_choice_that_is_gone_altogether_is_said_as_it_is() -> None:
    assert say_value(CHOICE, "gold") == "gold"
    assert say_value(DATE, "long ago") == "long ago"


@pytest.mark.parametrize(
    ("stored", "value"),
    [(["a", "b"], ("a", "b")), ([], None), (None, None), ({}, None), (False, False), (0, 0)],
)
def test_json_is_read_as_a_value(stored: object, value: object) -> None:
    assert value_from(stored) == value


@pytest.mark.parametrize(
    ("field", "written", "wanted"),
    [
        (TEXT, {"": "A-17, b"}, Condition("order", ("A-17, b",))),
        (NUMBER, {"": "5"}, Condition("amount", (5,))),
        (NUMBER, {"from": "0", "to": "10.5"}, Condition("amount", (), 0, 10.5)),
        (DATE, {"from": "2026-11-01"}, Condition("bought_on", (), "2026-11-01")),
        (YES_NO, {"": "no"}, Condition("is_insured", (False,))),
        (CHOICE, {"": "red,pink"}, Condition("colour", ("red", "pink"))),
        (CHOICES, {"": "blue"}, Condition("colours", ("blue",), is_many=True)),
        (CHOICES, {"": " , "}, Condition("colours", is_many=True)),
    ],
)
def test_a_condition_is_read_and_written_back(
    field: Field, written: dict[str, str], wanted: Condition
) -> None:
    assert read_condition(field, written) == wanted
    assert read_condition(field, write_condition(wanted)) == wanted


@pytest.mark.parametrize(
    ("field", "written", "says"),
    [
        (CHOICE, {"": "red,gold"}, "“gold” cannot be chosen"),
        (NUMBER, {"from": "many"}, "must be a number"),
        (DATE, {"": "today"}, "must be a day"),
        (TEXT, {"from": "a"}, "has no order"),
        (YES_NO, {"": "yes,no"}, "must be yes or no"),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused(field: Field, written: dict[str, str], says: str) -> None:
    with pytest.raises(UnreadableValueError, match=says):
        read_condition(field, written)


@given(st.decimals(min_value=-(10**12) + 1, max_value=10**12 - 1, places=3))
def test_every_number_of_the_allowed_size_survives(number) -> None:
    value = read_value(NUMBER, [f"{number:f}"])
    assert read_value(NUMBER, write_value(value)) == value
    assert float(number) == value


REQUIRED = Field("order", "Order number", "text", is_required=True)
OF_NORTH = Field("colour", "Colour", "choice", choices=COLOURS, branch_ids=frozenset({1}), is_required=True)
RETIRED = Field("old", "Old", "text", is_required=True, is_active=False)


@pytest.mark.parametrize(
    ("fields", "values", "branch_id", "missing"),
    [
        ((REQUIRED, OF_NORTH, RETIRED, TEXT), {}, 1, ["order", "colour"]),
        ((REQUIRED, OF_NORTH, RETIRED, TEXT), {}, 2, ["order"]),
        ((REQUIRED, OF_NORTH), {"order": "7", "colour": "red"}, 1, None),
        ((OF_NORTH,), {"colour": []}, 1, ["colour"]),
        ((Field("n", "N", "number", is_required=True),), {"n": 0}, 1, None),
        ((Field("n", "N", "yes_no", is_required=True),), {"n": False}, 1, None),
        ((), {}, 1, None),
    ],
)
def test_what_is_required_has_to_be_filled_in_before_resolving(fields, values, branch_id, missing) -> None:
    decision = may_finish(fields, values, branch_id)
    assert decision.allowed == (missing is None)
    assert decision.evidence.get("fields") == missing


def test_the_refusal_names_the_fields() -> None:
    reason = may_finish((REQUIRED, OF_NORTH), {}, 1).reason
    assert reason.startswith("Fill in “Order number” and “Colour” first")


@pytest.mark.parametrize("key", ["", "Order", "1st", "a-b", "a b", "ä", "x" * 41, "a.b"])
def test_a_key_that_cannot_stand_in_an_address_is_refused(key: str) -> None:
    with pytest.raises(UnreadableValueError):
        check_key(key)


def test_choices_are_written_a_line_each_and_keep_their_keys() -> None:
    first = choices_from(["Dark blue", "red = Red: light", "  ", "Note: none"])
    assert [(choice.key, choice.label) for choice in first] == [
        ("dark_blue", "Dark blue"),
        ("red", "Red: light"),
        ("note_none", "Note: none"),
    ]
    second = choices_from(["red = Crimson", "Dark blue"], first)
    assert second == (
        Choice("red", "Crimson"),
        Choice("dark_blue", "Dark blue"),
        Choice("note_none", "Note: none", is_active=False),
    )
    third = choices_from(["Note: none"], second)
    assert [(choice.key, choice.is_active) for choice in third] == [
        ("note_none", True),
        ("red", False),
        ("dark_blue", False),
    ]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["blue = One", "blue = Two"], "same key"),
        (["日本"], "Write a key before"),
        ([f"c{n}" for n in range(201)], "at most 200"),
        (["x" * 501], "too long"),
    ],
)
def test_choices_that_cannot_be_kept_are_refused(lines: list[str], says: str) -> None:
    with pytest.raises(UnreadableValueError, match=says):
        choices_from(lines)
