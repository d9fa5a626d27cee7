"""What the search box understands."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.rules.search import (
    LETTERS_BEFORE,
    LONGEST,
    MOST_TERMS,
    PIECE_LETTERS,
    Forms,
    Term,
    day_of,
    parse_query,
    phrase_patterns,
    piece_of,
    text_pattern,
    ts_query,
)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ()),
        ("lamp red", (Term("lamp"), Term("red"))),
        ('"red lamp" kettle', (Term("red lamp", is_phrase=True), Term("kettle"))),
        ("lamp -kettle", (Term("lamp"), Term("kettle", is_excluded=True))),
        ('-"red lamp"', (Term("red lamp", is_phrase=True, is_excluded=True),)),
        ("from:zoe@x.test is:open", (Term("zoe@x.test", "from"), Term("open", "is"))),
        ('branch:"North Leeds"', (Term("North Leeds", "branch", is_phrase=True),)),
        ("-tag:billing", (Term("billing", "tag", is_excluded=True),)),
        ("FROM:zoe", (Term("zoe", "from"),)),
        # No operator of ours: words.
        ("error:42 http://x.test", (Term("error:42"), Term("http://x.test"))),
        ("lamp lamp", (Term("lamp"),)),
        ("- : -:", ()),
        ('from: "', ()),
        ('"never closed', (Term("never closed", is_phrase=True),)),
    ],
)
def test_a_query_is_read(text: str, terms: tuple[Term, ...]) -> None:
    assert parse_query(text) == terms


@given(st.text(max_size=400))
def test_nothing_that_is_typed_raises(text: str) -> None:
    terms = parse_query(text)
    assert len(terms) <= MOST_TERMS
    ts_query(terms, {})
    piece_of(text, text_pattern(terms, {}) or "x")
    for term in terms:
        day_of(term)
        assert len(term.text) <= LONGEST


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-11-23", date(2026, 11, 23)),
        ("2026-11", date(2026, 11, 1)),
        ("2026", date(2026, 1, 1)),
        ("yesterday", None),
        ("2026-13-01", None),
        ("1-2-3-4", None),
        ("99999", None),
    ],
)
def test_days_are_read(text: str, day: date | None) -> None:
    assert day_of(Term(text, "before")) == day


def test_words_are_looked_for_by_their_stems_and_phrases_by_their_words() -> None:
    terms = parse_query('refunds "red lamp" it\'s 10482')

    assert (
        ts_query(terms, {"refunds": Forms("refund")})
        == "'refund':* & 'red' & 'lamp' & 'it':* & 's':* & ('10482' | '-10482')"
    )
    assert ts_query(parse_query("\\ ' !!"), {}) == ""
    assert phrase_patterns(terms) == [r"\mred\W+lamp\M"]


def test_what_the_database_keeps_as_one_piece_is_asked_for_as_such_too() -> None:
    assert ts_query(parse_query("AB-17"), {}) == "('ab':* & ('17' | '-17') | 'AB-17')"
    assert ts_query(parse_query("e-mail it's"), {}) == "'e':* & 'mail':* & 'it':* & 's':*"


def test_a_common_word_is_looked_for_in_its_forms() -> None:
    forms = {"refunds": Forms("refund", ("refunds", "refund", "refunded"))}

    assert ts_query(parse_query("refunds lamp"), forms) == "('refunds' | 'refund' | 'refunded') & 'lamp':*"


@pytest.mark.parametrize(
    ("query", "text", "parts"),
    [
        ("refund", "My Refunds, please", [("My ", False), ("Refunds", True), (", please", False)]),
        (
            '"red lamp"',
            "a red,\n lamp and a red kettle",
            [("a ", False), ("red, lamp", True), (" and a red kettle", False)],
        ),
        ("lamp", "clamp", [("clamp", False)]),
        ("müller", "Frau MÜLLER", [("Frau ", False), ("MÜLLER", True)]),
    ],
)
def test_a_piece_shows_where_the_words_stand(query: str, text: str, parts: list[tuple[str, bool]]) -> None:
    assert piece_of(text, text_pattern(parse_query(query), {})) == parts


def test_a_piece_of_a_long_text_begins_with_a_word_shortly_before_the_match() -> None:
    piece = piece_of("word " * 100 + "lamp " + "more " * 100, text_pattern(parse_query("lamp"), {}))
    whole = "".join(part for part, _ in piece)

    assert [part for part, is_match in piece if is_match] == ["lamp"]
    assert whole.startswith("word word")
    assert whole.index("lamp") <= LETTERS_BEFORE
    assert len(whole) <= PIECE_LETTERS
