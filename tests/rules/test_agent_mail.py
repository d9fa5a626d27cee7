"""What a mail of one of our own people becomes."""

from dataclasses import replace

import pytest

from portal.rules.agent_mail import AgentMailFacts, decide_agent_mail

ANSWER = AgentMailFacts(
    is_verified=True,
    is_automatic=False,
    thread_rule="our_message_id",
    may_work_in_ticket=True,
    customer_addresses=frozenset({"zoe@customer.test"}),
)
TO_ZOE = frozenset({"zoe@customer.test"})
TO_ANOTHER = frozenset({"bob@supplier.test"})


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({}, "reply_to_send"),
        ({"thread_rule": "signed_address"}, "reply_to_send"),
        ({"thread_rule": "known_message_id"}, "reply_to_send"),
        ({"recipients": TO_ZOE}, "reply_sent"),
        ({"recipients": TO_ZOE | TO_ANOTHER}, "reply_sent"),
        ({"recipients": TO_ZOE, "thread_rule": "shared_ancestor"}, "reply_sent"),
        ({"recipients": TO_ANOTHER}, "note"),
        ({"thread_rule": "shared_ancestor"}, "note"),
        ({"thread_rule": "subject_number"}, "note"),
        ({"is_forward": True}, "note"),
        ({"is_forward": True, "recipients": TO_ZOE}, "note"),
        ({"is_answerable": False}, "note"),
        ({"thread_rule": "", "is_forward": True}, "forward"),
        ({"thread_rule": ""}, "as_customer"),
        ({"may_work_in_ticket": False}, "as_customer"),
        ({"is_verified": False}, "as_customer"),
        ({"is_verified": False, "thread_rule": "", "is_forward": True}, "as_customer"),
        ({"is_automatic": True}, "as_customer"),
        ({"is_automatic": True, "thread_rule": "", "is_forward": True}, "as_customer"),
    ],
)
def test_only_a_certain_answer_to_us_alone_goes_on_to_the_customer(changed, outcome: str) -> None:
    decision = decide_agent_mail(replace(ANSWER, **changed))

    assert decision.outcome == outcome
    assert decision.reason.endswith(".")
