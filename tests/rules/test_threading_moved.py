"""An answer follows the message that it answers, when an agent has moved that to another ticket."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from portal.rules.threading import TicketPeople
from tests.rules.test_threading import MAIL, NORTH, SOUTH, Desk, decide, desk, our_id, signed_address

ADA = TicketPeople(3, NORTH, frozenset({"ada@customer.test"}))


def moved_desk(*, moved_from: tuple[int, ...] = (1,)) -> Desk:
    """Ada's second mail and our answer 503 to it were moved from ticket 1 to ticket 3."""
    lookup = desk()
    lookup.tickets[3] = ADA
    lookup.headers["second@customer.test"] = [3]
    lookup.messages[503] = 3
    lookup.moved = {"second@customer.test": moved_from, 503: moved_from}
    return lookup


Change = dict[str, object]
ANSWERS: list[tuple[str, Change]] = [
    ("In-Reply-To names the customer's own mail", {"in_reply_to": ("<second@customer.test>",)}),
    ("In-Reply-To names our answer", {"in_reply_to": (our_id(503),)}),
    ("only References names it", {"references": ("first@customer.test", "second@customer.test")}),
    (
        "the mail answered directly is unknown, the next one was moved",
        {"in_reply_to": ("<unknown@customer.test>",), "references": ("second@customer.test",)},
    ),
    (
        "an older reference stays in the old ticket",
        {"in_reply_to": (our_id(503),), "references": (our_id(501), our_id(503))},
    ),
]


@pytest.mark.parametrize(("_case", "change"), ANSWERS)
def test_an_answer_to_a_moved_message_follows_it_whatever_the_address_says(
    _case: str, change: Change
) -> None:
    facts = replace(MAIL, recipients=(signed_address(1),), **change)  # type: ignore[arg-type]
    assert decide(facts, desk()).ticket_id == 1, "without the move it goes by its address"
    decision = decide(facts, moved_desk())
    assert (decision.ticket_id, decision.rule) == (3, "moved_message")
    assert decision.evidence["moved_from"] == 1
    assert decision.evidence["instead_of"] == "signed_address"
    assert decision.evidence["address"] == signed_address(1)
    assert "by hand" in decision.reason


@pytest.mark.parametrize(("_case", "change"), ANSWERS)
def test_it_follows_without_a_signed_address_as_well(_case: str, change: Change) -> None:
    assert decide(replace(MAIL, **change), moved_desk()).ticket_id == 3  # type: ignore[arg-type]


def test_the_message_answered_directly_counts_not_those_before_it() -> None:
    """The conversation went on in ticket 1 after one message of it was moved away."""
    facts = replace(
        MAIL,
        recipients=(signed_address(1),),
        in_reply_to=(our_id(501),),
        references=("second@customer.test", our_id(501)),
    )
    decision = decide(facts, moved_desk())
    assert (decision.ticket_id, decision.rule) == (1, "signed_address")


def test_our_older_answer_does_not_call_back_the_answer_to_a_moved_mail() -> None:
    facts = replace(MAIL, in_reply_to=("second@customer.test",), references=(our_id(501),))
    decision = decide(facts, moved_desk())
    assert (decision.ticket_id, decision.rule) == (3, "moved_message")
    assert decision.evidence["instead_of"] == "our_message_id"


def test_a_message_that_was_moved_from_elsewhere_does_not_outvote_the_address() -> None:
    """It never stood in the ticket that the address names: two threads in one mail, and the signature decides."""
    facts = replace(MAIL, recipients=(signed_address(1),), in_reply_to=("second@customer.test",))
    decision = decide(facts, moved_desk(moved_from=(2,)))
    assert (decision.ticket_id, decision.rule) == (1, "signed_address")


def test_a_message_that_nobody_moved_does_not_outvote_the_address() -> None:
    facts = replace(MAIL, recipients=(signed_address(1),), in_reply_to=(our_id(502),))
    assert decide(facts, moved_desk()).ticket_id == 1


def test_a_message_moved_on_is_found_where_it_stands_now_by_each_address_it_had() -> None:
    lookup = moved_desk(moved_from=(1, 2))
    for old in (1, 2):
        facts = replace(MAIL, recipients=(signed_address(old),), in_reply_to=(our_id(503),))
        assert decide(facts, lookup).ticket_id == 3


def test_a_message_moved_back_stays_with_its_ticket() -> None:
    lookup = moved_desk(moved_from=(1, 3))
    lookup.messages[503] = 1
    for named in (1, 3):
        facts = replace(MAIL, recipients=(signed_address(named),), in_reply_to=(our_id(503),))
        assert decide(facts, lookup).ticket_id == 1


MERGES: list[tuple[str, Callable[[Desk], None]]] = [
    ("the ticket it was moved to", lambda lookup: lookup.merged.update({3: 4})),
    ("the ticket it was moved from", lambda lookup: lookup.merged.update({1: 2})),
]


@pytest.mark.parametrize(("_case", "merge"), MERGES)
def test_a_move_holds_after_either_ticket_was_merged(_case: str, merge: Callable[[Desk], None]) -> None:
    lookup = moved_desk()
    lookup.tickets[4] = replace(ADA, ticket_id=4)
    merge(lookup)
    facts = replace(MAIL, recipients=(signed_address(1),), in_reply_to=(our_id(503),))
    decision = decide(facts, lookup)
    assert (decision.ticket_id, decision.rule) == (lookup.merged.get(3, 3), "moved_message")


def test_once_both_tickets_are_one_there_is_nothing_to_follow() -> None:
    lookup = moved_desk()
    lookup.merged = {1: 3}
    facts = replace(MAIL, recipients=(signed_address(1),), in_reply_to=(our_id(503),))
    assert (decide(facts, lookup).ticket_id, decide(facts, lookup).rule) == (3, "signed_address")


def test_a_move_to_another_branch_is_followed_from_the_old_branchs_mailbox() -> None:
    lookup = moved_desk()
    lookup.tickets[3] = replace(ADA, branch_id=SOUTH)
    facts = replace(MAIL, recipients=(signed_address(1),), in_reply_to=("second@customer.test",))
    assert decide(facts, lookup).ticket_id == 3
