"""A mail lands in the right ticket, or in none: never in a stranger's."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.rules import tokens
from portal.rules.threading import (
    MailFacts,
    Place,
    ThreadDecision,
    TicketPeople,
    clean_message_id,
    decide_thread,
)

KEY = b"k" * 32
NORTH, SOUTH = 1, 2
OWN = frozenset({"support@north.test", "support@south.test"})
MAIL = MailFacts(
    message_id="new@customer.test",
    from_address="ada@customer.test",
    recipients=("support@north.test",),
    branch_id=NORTH,
    own_addresses=OWN,
)


@dataclass
class Desk:
    """A whole desk in memory, which counts the questions it is asked."""

    tickets: dict[int, TicketPeople] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)
    merged: dict[int, int] = field(default_factory=dict)
    messages: dict[int, int] = field(default_factory=dict)
    headers: dict[str, list[int]] = field(default_factory=dict)
    ancestors: dict[str, list[int]] = field(default_factory=dict)
    # Per message, by row or Message-ID, the tickets it was moved from.
    moved: dict[int | str, tuple[int, ...]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def survivors(self, ticket_ids: Collection[int]) -> Mapping[int, int]:
        self.asked.append("survivors")
        known = {each: each for each in ticket_ids if each in self.tickets}
        return {each: self.merged.get(each, each) for each in known}

    def places_of_messages(self, message_ids: Collection[int]) -> Mapping[int, Place]:
        self.asked.append("messages")
        return {
            each: Place(self.messages[each], self.moved.get(each, ()))
            for each in message_ids
            if each in self.messages
        }

    def places_of_headers(self, message_ids: Collection[str]) -> Mapping[str, Sequence[Place]]:
        self.asked.append("headers")
        return {
            each: [Place(ticket_id, self.moved.get(each, ())) for ticket_id in self.headers[each]]
            for each in message_ids
            if each in self.headers
        }

    def tickets_of_ancestors(self, message_ids: Collection[str]) -> Mapping[str, Sequence[int]]:
        self.asked.append("ancestors")
        return {each: self.ancestors[each] for each in message_ids if each in self.ancestors}

    def tickets_of_numbers(self, numbers: Collection[int]) -> Mapping[int, int]:
        self.asked.append("numbers")
        return {each: self.numbers[each] for each in numbers if each in self.numbers}

    def people(self, ticket_ids: Collection[int]) -> Mapping[int, TicketPeople]:
        self.asked.append("people")
        return {each: self.tickets[each] for each in ticket_ids if each in self.tickets}


def desk() -> Desk:
    """Ticket 1 (#10001): Ada writes to North, Bob in copy. Ticket 2 (#10002): Eve writes to South."""
    return Desk(
        tickets={
            1: TicketPeople(1, NORTH, frozenset({"ada@customer.test", "bob@customer.test"})),
            2: TicketPeople(2, SOUTH, frozenset({"eve@other.test"})),
        },
        numbers={10001: 1, 10002: 2},
        messages={501: 1, 502: 2},
        headers={"first@customer.test": [1], "first@other.test": [2]},
        ancestors={"unseen@customer.test": [1], "newsletter@shop.test": [2, 1]},
    )


def decide(facts: MailFacts, lookup: Desk | None = None) -> ThreadDecision:
    return decide_thread(facts, lookup or desk(), [KEY])


def signed_address(ticket_id: int) -> str:
    return tokens.reply_address("support@north.test", tokens.ticket_token(KEY, ticket_id))


def our_id(message_id: int) -> str:
    return f"<{tokens.message_id_for(KEY, message_id, 'north.test')}>"


def test_a_mail_without_any_trace_opens_a_ticket_and_asks_only_for_its_own_message_id() -> None:
    lookup = desk()
    decision = decide(MAIL, lookup)
    assert (decision.ticket_id, decision.rule) == (None, "new")
    assert lookup.asked == ["ancestors"]


RULES = [
    ("signed_address", {"recipients": (signed_address(1),)}),
    ("our_message_id", {"in_reply_to": (our_id(501),)}),
    ("our_message_id", {"references": ("x@y.test", our_id(501), "z@y.test")}),
    ("known_message_id", {"in_reply_to": ("<first@customer.test>",)}),
    ("known_message_id", {"references": ("<first@customer.test>", "<gone@customer.test>")}),
    ("shared_ancestor", {"references": ("<unseen@customer.test>",)}),
    ("shared_ancestor", {"message_id": "<unseen@customer.test>"}),
    ("subject_number", {"subject": "Where is it? [#10001]"}),
    ("attached_message", {"attached_message_ids": (our_id(501),)}),
    ("attached_message", {"attached_message_ids": ("<first@customer.test>",)}),
]


@pytest.mark.parametrize(("rule", "change"), RULES)
def test_each_rule_finds_the_ticket_and_says_so(rule: str, change: dict[str, object]) -> None:
    decision = decide(replace(MAIL, **change))  # type: ignore[arg-type]
    assert (decision.ticket_id, decision.rule) == (1, rule)
    assert decision.evidence
    assert decision.reason.endswith(".")


@pytest.mark.parametrize("strong", range(len(RULES)))
@pytest.mark.parametrize("weak", range(len(RULES)))
def test_stronger_evidence_wins(strong: int, weak: int) -> None:
    names = list(dict.fromkeys(rule for rule, _ in RULES))
    changes = {**RULES[weak][1], **RULES[strong][1]}
    decision = decide(replace(MAIL, **changes))  # type: ignore[arg-type]
    possible = [names.index(RULES[strong][0]), names.index(RULES[weak][0])]
    shared = set(RULES[strong][1]) & set(RULES[weak][1])
    expected = names[possible[0] if shared else min(possible)]
    assert decision.rule == expected


def test_our_newest_message_counts_first() -> None:
    decision = decide(replace(MAIL, references=(our_id(501), our_id(502))))
    assert decision.ticket_id == 2


def test_in_reply_to_counts_before_references() -> None:
    decision = decide(replace(MAIL, in_reply_to=(our_id(501),), references=(our_id(502),)))
    assert decision.ticket_id == 1


def test_strong_evidence_asks_no_more_than_it_needs() -> None:
    lookup = desk()
    decide(replace(MAIL, recipients=(signed_address(1),), references=(our_id(502),)), lookup)
    # Where the answered message stands is asked as well: it may have been moved.
    assert lookup.asked == ["survivors", "messages", "headers"]
    lookup = desk()
    decide(replace(MAIL, recipients=(signed_address(1),)), lookup)
    assert lookup.asked == ["survivors"]


def test_a_thousand_references_are_one_question_each_rule() -> None:
    lookup = desk()
    facts = replace(MAIL, references=tuple(f"{number}@x.test" for number in range(1000)))
    decide(facts, lookup)
    assert lookup.asked == ["headers", "ancestors"]


def test_the_mail_that_began_a_very_long_thread_is_still_found() -> None:
    references = ("first@customer.test", *(f"{number}@x.test" for number in range(1000)))
    assert decide(replace(MAIL, references=references)).ticket_id == 1


@pytest.mark.parametrize(("rule", "change"), RULES)
def test_a_merged_ticket_leads_to_the_survivor(rule: str, change: dict[str, object]) -> None:
    lookup = desk()
    lookup.merged = {1: 3}
    lookup.tickets[3] = replace(lookup.tickets[1], ticket_id=3)
    decision = decide(replace(MAIL, **change), lookup)  # type: ignore[arg-type]
    assert (decision.ticket_id, decision.rule) == (3, rule)
    assert decision.evidence["merged_from"] == 1


@pytest.mark.parametrize(("rule", "change"), RULES)
def test_a_ticket_that_is_gone_is_not_found(rule: str, change: dict[str, object]) -> None:
    lookup = desk()
    del lookup.tickets[1]
    assert decide(replace(MAIL, **change), lookup).ticket_id is None  # type: ignore[arg-type]


@pytest.mark.parametrize(("rule", "change"), RULES)
def test_a_moved_ticket_keeps_its_thread(rule: str, change: dict[str, object]) -> None:
    lookup = desk()
    lookup.tickets[1] = replace(lookup.tickets[1], branch_id=SOUTH)
    assert decide(replace(MAIL, **change), lookup).rule == rule  # type: ignore[arg-type]


@pytest.mark.parametrize("token", ["aaaaaaaaaaaaaaaa", tokens.ticket_token(b"x" * 32, 1)])
def test_a_forged_address_is_no_evidence(token: str) -> None:
    facts = replace(MAIL, recipients=(tokens.reply_address("support@north.test", token),))
    assert decide(facts).rule == "new"


def test_a_forged_message_id_of_ours_is_no_evidence() -> None:
    forged = tokens.message_id_for(b"x" * 32, 501, "north.test")
    assert decide(replace(MAIL, in_reply_to=(forged,))).rule == "new"


STRANGER = replace(MAIL, from_address="mallory@strange.test", message_id="m@strange.test")


@given(
    number=st.sampled_from([10001, 10002]),
    subject=st.text(max_size=40),
    authentication=st.sampled_from(["pass", "fail", "none"]),
    branch_id=st.sampled_from([NORTH, SOUTH, None]),
    copies=st.lists(st.sampled_from(["ada@customer.test", "eve@other.test", *OWN]), max_size=3),
)
def test_a_stranger_never_joins_by_a_number(number, subject, authentication, branch_id, copies) -> None:  # type: ignore[no-untyped-def]
    facts = replace(
        STRANGER,
        subject=f"{subject} [#{number}]",
        authentication=authentication,
        branch_id=branch_id,
        recipients=tuple(copies),
    )
    decision = decide(facts)
    assert decision.ticket_id is None
    assert decision.evidence["passed_over"][0]["rule"] == "subject_number"


def test_one_customer_never_joins_anothers_ticket_by_a_number() -> None:
    decision = decide(replace(MAIL, subject="[#10002]"))
    assert decision.rule == "new"
    assert decision.evidence["passed_over"] == [
        {
            "rule": "subject_number",
            "ticket_id": 2,
            "why": "the sender takes no part in that ticket",
            "number": 10002,
        }
    ]


def test_of_two_numbers_the_senders_own_counts() -> None:
    assert decide(replace(MAIL, subject="[#10002] Re: [#10001]")).ticket_id == 1


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "[#10001]"},
        {"attached_message_ids": ("first@customer.test",)},
        {"attached_message_ids": (our_id(501),)},
    ],
)
def test_a_sender_who_failed_authentication_never_joins_by_weak_evidence(change: dict[str, object]) -> None:
    decision = decide(replace(MAIL, authentication="fail", **change))  # type: ignore[arg-type]
    assert decision.ticket_id is None
    assert "verified" in decision.evidence["passed_over"][0]["why"]


def test_a_failed_authentication_leaves_strong_evidence_its_worth() -> None:
    assert decide(replace(MAIL, authentication="fail", in_reply_to=(our_id(501),))).ticket_id == 1


def test_an_own_address_as_sender_is_nobodys_part_in_a_ticket() -> None:
    lookup = desk()
    lookup.tickets[1] = replace(lookup.tickets[1], participants=frozenset({"support@north.test"}))
    facts = replace(MAIL, from_address="support@north.test", subject="[#10001]")
    assert decide(facts, lookup).ticket_id is None


def test_strangers_who_answer_one_newsletter_stay_strangers() -> None:
    decision = decide(replace(STRANGER, in_reply_to=("newsletter@shop.test",)))
    assert decision.ticket_id is None
    assert [item["ticket_id"] for item in decision.evidence["passed_over"]] == [2, 1]


def test_a_newsletter_joins_the_ticket_in_which_the_sender_takes_part() -> None:
    assert decide(replace(MAIL, in_reply_to=("newsletter@shop.test",))).ticket_id == 1


def test_our_own_address_in_copy_makes_no_common_people() -> None:
    lookup = desk()
    lookup.tickets[1] = replace(
        lookup.tickets[1], participants=frozenset({"support@north.test", "support+t-aaaaaaaa@north.test"})
    )
    facts = replace(
        STRANGER,
        in_reply_to=("unseen@customer.test",),
        recipients=("support@north.test", "support+t-aaaaaaaa@north.test"),
    )
    assert decide(facts, lookup).ticket_id is None


def test_siblings_of_a_mail_we_never_saw_belong_together_when_one_person_is_in_both() -> None:
    facts = replace(
        STRANGER,
        references=("unseen@customer.test",),
        recipients=("support@north.test", "Bob@Customer.test"),
    )
    assert decide(facts).rule == "shared_ancestor"


def test_a_known_message_id_from_a_colleague_in_the_same_branch_joins() -> None:
    assert decide(replace(STRANGER, in_reply_to=("first@customer.test",))).rule == "known_message_id"


def test_a_known_message_id_from_a_stranger_at_another_branch_does_not() -> None:
    decision = decide(replace(STRANGER, in_reply_to=("first@customer.test",), branch_id=SOUTH))
    assert decision.ticket_id is None
    assert decision.evidence["passed_over"][0]["rule"] == "known_message_id"


def test_an_attached_message_joins_for_those_who_take_part_and_for_verified_agents_only() -> None:
    attached = replace(STRANGER, attached_message_ids=("first@customer.test",))
    assert decide(attached).ticket_id is None
    assert decide(replace(attached, is_from_agent=True)).ticket_id is None
    assert decide(replace(attached, is_from_agent=True, authentication="pass")).ticket_id == 1


def test_a_mail_that_names_itself_as_its_ancestor_is_not_its_own_sibling_twice() -> None:
    facts = replace(STRANGER, message_id="first@customer.test", in_reply_to=("<first@customer.test>",))
    assert decide(facts).ticket_id is None


@pytest.mark.parametrize("empty", ["", "<>", "<@>", "<@host>", "<0>", "<id@>", " ", "<" + "a" * 1000 + "@b>"])
def test_message_ids_that_identify_nothing_are_nothing(empty: str) -> None:
    assert clean_message_id(empty) == ""
    lookup = desk()
    lookup.headers[""] = lookup.ancestors[""] = [1]
    assert decide(replace(STRANGER, message_id=empty, in_reply_to=(empty,)), lookup).ticket_id is None


@given(
    st.builds(
        MailFacts,
        message_id=st.text(max_size=30),
        from_address=st.text(max_size=30),
        recipients=st.lists(st.text(max_size=30), max_size=4).map(tuple),
        in_reply_to=st.lists(st.text(max_size=30), max_size=4).map(tuple),
        references=st.lists(st.text(max_size=30), max_size=4).map(tuple),
        subject=st.text(max_size=60),
        attached_message_ids=st.lists(st.text(max_size=30), max_size=4).map(tuple),
        authentication=st.sampled_from(["pass", "fail", "none"]),
        branch_id=st.none() | st.integers(1, 3),
    )
)
def test_no_mail_of_a_stranger_raises_or_joins_by_chance(facts: MailFacts) -> None:
    assert decide(facts).rule == "new"
