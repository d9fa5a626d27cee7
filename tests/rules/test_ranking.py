"""The fitting template comes first, in any script, and says why."""

import csv
import random
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.rules.ranking import Candidate, RankFacts, build_index, rank, rank_index, tokenise
from tests.shared import shared_path

PARCEL = Candidate(1, "Where is my parcel", "Your parcel was delivered to a neighbour.", category="delivery")
REFUND = Candidate(2, "Refund sent", "We have refunded your money.", category="billing")
PASSWORD = Candidate(3, "Reset your password", "Use this link to choose a new password.", category="account")
GERMAN = Candidate(4, "Paket verspätet", "Ihr Paket ist verspätet.", category="delivery", language="de")
CHINESE = Candidate(5, "退款说明", "我们已经为您办理退款。", language="zh")
ALL = [PARCEL, REFUND, PASSWORD, GERMAN, CHINESE]
NOTHING = RankFacts()


def first(text: str, facts: RankFacts = NOTHING, candidates: list[Candidate] = ALL) -> int | None:
    found = rank(text, candidates, facts)
    return found[0].template_id if found else None


def test_the_words_decide_and_are_named() -> None:
    (best, *_) = rank("Hello, my parcel was not delivered!", ALL, NOTHING)
    assert best.template_id == 1
    assert best.reason == "matches: parcel, delivered"


def test_endings_do_not_hide_a_match() -> None:
    assert first("I forgot my passwords") == 3
    (best, *_) = rank("delivering", ALL, NOTHING)
    assert (best.template_id, best.reason) == (1, "matches: deliv…")


def test_any_script_is_understood() -> None:
    assert first("Mein Paket ist noch nicht da") == 4
    assert first("请问什么时候退款") == 5
    assert first("ПАРОЛЬ", candidates=[*ALL, Candidate(6, "Новый пароль")]) == 6
    assert first("비밀번호를 잊었어요", candidates=[*ALL, Candidate(7, "비밀번호 재설정")]) == 7


def test_tokens() -> None:
    assert tokenise("Ｃafé don't 12-b") == ["café", "don't", "12", "b"]
    assert tokenise("退款说明") == ["退款", "款说", "说明"]
    assert tokenise("iPhone手机壳") == ["iphone", "手机", "机壳"]


def test_past_uses_teach_what_the_template_does_not_say() -> None:
    taught = Candidate(8, "Answer 12", past_texts=("my card was swallowed by the machine",))
    assert first("the machine swallowed it", candidates=[*ALL, taught]) == 8


def test_nothing_matching_is_no_suggestion() -> None:
    assert rank("xyzzy", ALL, NOTHING) == []
    assert rank("the and of my", ALL, NOTHING) == []
    assert rank("", ALL, NOTHING) == []
    assert rank("parcel", [], NOTHING) == []


@pytest.mark.parametrize(
    ("fitting", "facts"),
    [
        (Candidate(2, "parcel", branch_ids=frozenset({7})), RankFacts(branch_id=7)),
        (Candidate(2, "parcel", language="en-GB"), RankFacts(language="en")),
        (Candidate(2, "parcel", category="parcel"), RankFacts(topics=frozenset({"Parcel"}))),
    ],
)
def test_of_equals_the_branch_the_language_and_the_category_choose(
    fitting: Candidate, facts: RankFacts
) -> None:
    plain = Candidate(1, "parcel", category=fitting.category and "parcel ")
    assert first("parcel", NOTHING, [plain, fitting]) == 1
    assert first("parcel", facts, [plain, fitting]) == 2


def test_another_language_steps_back() -> None:
    french, plain = Candidate(1, "parcel", language="fr"), Candidate(2, "parcel")
    assert first("parcel", RankFacts(language="en"), [french, plain]) == 2


def test_what_made_a_template_fit_is_said() -> None:
    here = Candidate(2, "parcel", category="delivery", branch_ids=frozenset({7}))
    (found,) = rank("parcel", [here], RankFacts(branch_id=7, topics=frozenset({"delivery"})))
    assert found.reason == "matches: parcel; made for this branch; category delivery"


def test_the_more_often_sent_comes_first_among_equals() -> None:
    same = [
        Candidate(1, "parcel", sent_count=2),
        Candidate(2, "parcel", sent_count=9),
        Candidate(3, "parcel"),
    ]
    assert [found.template_id for found in rank("parcel", same, NOTHING)] == [2, 1, 3]


@given(st.text(max_size=200), st.randoms())
def test_the_order_of_the_candidates_does_not_matter(text: str, shuffler: random.Random) -> None:
    shuffled = ALL[:]
    shuffler.shuffle(shuffled)
    found = rank(text, ALL, NOTHING)
    assert found == rank(text, shuffled, NOTHING)
    assert len(found) <= 5
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


def test_customer_questions_of_a_bank_find_their_category() -> None:
    """Ten past questions a category, others held out: the first version's floor, to be raised."""
    questions: dict[str, list[str]] = defaultdict(list)
    with (shared_path("templates") / "banking77-train.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            questions[row["category"]].append(row["text"])
    shuffler = random.Random(1)
    candidates, held_out = [], []
    for number, (category, texts) in enumerate(sorted(questions.items())):
        shuffler.shuffle(texts)
        candidates.append(Candidate(number, category.replace("_", " "), past_texts=tuple(texts[:10])))
        held_out += [(text, number) for text in texts[30:45]]
    index = build_index(candidates)
    places = [[s.template_id for s in rank_index(text, index, NOTHING)[:3]] for text, _ in held_out]
    top_one = sum(place[:1] == [number] for place, (_, number) in zip(places, held_out, strict=True))
    top_three = sum(number in place for place, (_, number) in zip(places, held_out, strict=True))
    assert top_one / len(held_out) > 0.68
    assert top_three / len(held_out) > 0.83
