"""What the search box understands."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.rules.search import LONGEST, MOST_TERMS, Term, day_of, parse_query, ts_query


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


def test_words_are_looked_for_by_their_stems_and_phrases_as_they_stand() -> None:
    terms = parse_query('refunds "red lamp" it\'s')

    assert ts_query(terms, {"refunds": "refund"}) == "'refund':* & ('red' <-> 'lamp') & 'it':* & 's':*"
    assert ts_query(parse_query("\\ ' !!"), {}) == ""
