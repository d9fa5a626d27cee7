"""What becomes of a mail that one of our own people sent from their mail program.

Sending on to a customer what was meant for a colleague cannot be taken back; a note can be sent later. So only a mail
that answers a ticket for certain, and was sent to us alone, goes on to the customer.
"""

from dataclasses import dataclass
from typing import Literal

from portal.wording import N_

Outcome = Literal["reply_sent", "reply_to_send", "note", "forward", "as_customer"]

# What points to a ticket beyond doubt (portal.rules.threading).
CERTAIN_RULES = frozenset({"signed_address", "our_message_id", "known_message_id"})


@dataclass(frozen=True, slots=True)
class AgentMailFacts:
    """A mail from an address of one of our people, and the ticket that it belongs to.

    Addresses in lower case. `recipients` are those of To and Cc that are neither ours nor their own;
    `customer_addresses` those that the ticket's customer writes from. `thread_rule` says how the ticket was found
    (empty without one).
    """

    is_verified: bool
    is_automatic: bool
    thread_rule: str = ""
    may_work_in_ticket: bool = False
    is_answerable: bool = True
    is_forward: bool = False
    recipients: frozenset[str] = frozenset()
    customer_addresses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AgentMailDecision:
    """What the mail becomes, and the sentence that says why."""

    outcome: Outcome
    reason: str


def decide_agent_mail(facts: AgentMailFacts) -> AgentMailDecision:
    """What a mail of one of our people becomes.

    `reply_sent`: their answer, which the customer has already. `reply_to_send`: their answer, to be sent on.
    `note`: seen by colleagues only. `forward`: a new ticket of whoever wrote the mail inside. `as_customer`: an
    ordinary mail.
    """
    if facts.is_automatic:
        return AgentMailDecision("as_customer", N_("A machine wrote it, not the colleague."))
    if not facts.is_verified:
        reason = N_("It bears a colleague's address, but nothing proves that they sent it.")
        return AgentMailDecision("as_customer", reason)
    if not facts.thread_rule:
        if facts.is_forward:
            return AgentMailDecision(
                "forward", N_("A colleague passed it on; it opens a ticket for its writer.")
            )
        return AgentMailDecision("as_customer", N_("A colleague wrote to us about something new."))
    if not facts.may_work_in_ticket:
        return AgentMailDecision(
            "as_customer", N_("It is from a colleague who does not work in this branch.")
        )
    return _in_ticket(facts)


def _in_ticket(facts: AgentMailFacts) -> AgentMailDecision:
    if facts.is_forward:
        return AgentMailDecision("note", N_("A colleague passed on a mail of this ticket."))
    if facts.recipients & facts.customer_addresses:
        return AgentMailDecision("reply_sent", N_("A colleague answered from their own mail program."))
    if facts.recipients:
        return AgentMailDecision("note", N_("A colleague wrote to others than the customer."))
    if facts.thread_rule not in CERTAIN_RULES:
        return AgentMailDecision(
            "note", N_("A colleague wrote to us; that it is meant for the customer is not certain.")
        )
    if not facts.is_answerable:
        return AgentMailDecision("note", N_("A colleague answered, but this ticket takes no answers."))
    return AgentMailDecision(
        "reply_to_send",
        N_("A colleague answered from their own mail program; we sent it on to the customer."),
    )
