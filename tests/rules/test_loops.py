"""Machines are not answered by machines."""

from dataclasses import replace
from itertools import count

import pytest

from portal.rules.loops import AutomaticCounts, Caps, MailOrigin, is_no_reply_address, may_answer, within_caps

PERSON = MailOrigin(from_address="ada@customer.test")
OWN = frozenset({"support@north.test"})


def test_a_person_is_answered() -> None:
    assert may_answer(PERSON, OWN).allowed


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"from_address": ""}, "no_sender"),
        ({"is_ours": True}, "ours"),
        ({"is_bounce": True}, "bounce"),
        ({"is_feedback_report": True}, "feedback_report"),
        ({"has_null_return_path": True}, "null_return_path"),
        ({"auto_submitted": "auto-replied"}, "auto_submitted"),
        ({"auto_submitted": "Auto-Generated"}, "auto_submitted"),
        ({"is_auto_reply": True}, "auto_reply"),
        ({"is_list": True}, "list"),
        ({"precedence": "Bulk"}, "precedence"),
        ({"precedence": "auto_reply"}, "precedence"),
        ({"suppressed_responses": ("All",)}, "responses_suppressed"),
        ({"suppressed_responses": ("DR", "OOF")}, "responses_suppressed"),
        ({"from_address": "no-reply@shop.test"}, "no_reply_address"),
        ({"reply_to_address": "noreply@shop.test"}, "no_reply_address"),
        ({"from_address": "Support@North.test"}, "own_address"),
        ({"from_address": "support+t-abc@north.test"}, "own_address"),
        ({"reply_to_address": "support@north.test"}, "own_address"),
        ({"from_address": "gone@customer.test"}, "suppressed"),
    ],
)
def test_machines_lists_and_ourselves_are_not(change: dict[str, object], rule: str) -> None:
    decision = may_answer(replace(PERSON, **change), OWN, {"gone@customer.test"})  # type: ignore[arg-type]
    assert (decision.allowed, decision.rule) == (False, rule)
    assert decision.reason


@pytest.mark.parametrize(
    "change",
    [{"auto_submitted": "no"}, {"precedence": "first-class"}, {"suppressed_responses": ("DR", "NDR", "RN")}],
)
def test_headers_that_forbid_nothing(change: dict[str, object]) -> None:
    assert may_answer(replace(PERSON, **change), OWN).allowed  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "address",
    [
        *("no-reply@a.test", "NoReply@a.test", "no_reply@a.test", "no.reply+1@a.test", "donotreply@a.test"),
        *("do-not-reply@a.test", "orders-noreply@a.test", "noreply-orders@a.test", "nicht-antworten@a.test"),
        *("ne-pas-repondre@a.test", "MAILER-DAEMON@a.test", "postmaster@a.test", "owner-list@a.test"),
        *(
            "list-request@a.test",
            "list-bounces@a.test",
            "bounces+7-x@a.test",
            "majordomo@a.test",
            "<noreply@a.test>",
        ),
    ],
)
def test_addresses_that_nobody_reads(address: str) -> None:
    assert is_no_reply_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "ada@a.test",
        "reply@a.test",
        "norep@a.test",
        "owner@a.test",
        "request@a.test",
        "ada@noreply.test",
        "bouncer@a.test",
    ],
)
def test_addresses_that_somebody_reads(address: str) -> None:
    assert not is_no_reply_address(address)


@pytest.mark.parametrize(
    ("counts", "rule"),
    [((0, 0), "within_caps"), ((4, 2), "within_caps"), ((5, 0), "recipient_cap"), ((0, 3), "ticket_cap")],
)
def test_caps(counts: tuple[int, int], rule: str) -> None:
    decision = within_caps(AutomaticCounts(*counts), Caps(per_recipient=5, per_ticket=3))
    assert decision.rule == rule
    assert decision.allowed is (rule == "within_caps")


def test_a_cap_of_nought_forbids_all() -> None:
    assert not within_caps(AutomaticCounts(0, 0), Caps(per_recipient=0)).allowed


def test_two_desks_that_do_not_know_each_other_for_machines_fall_silent_within_the_caps() -> None:
    """Each answers the other's automatic mail with one of its own, all marks of a machine lost on the way."""
    caps = Caps(per_recipient=5, per_ticket=3)
    sent = {"a@one.test": 0, "b@two.test": 0}
    writer, reader = "a@one.test", "b@two.test"
    for step in count():
        assert step < 20, "the exchange does not end"
        answers = may_answer(MailOrigin(from_address=writer), {reader}).allowed
        if not (answers and within_caps(AutomaticCounts(sent[reader], sent[reader]), caps).allowed):
            break
        sent[reader] += 1
        writer, reader = reader, writer
    assert all(number <= caps.per_ticket for number in sent.values())
