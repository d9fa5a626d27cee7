"""To which ticket a mail belongs, and why.

Strong evidence first: what we signed, then Message-IDs that only people with the mail can know, then what
anyone can write. A wrong join shows one customer's words to another, a wrong split costs an agent one click,
so weak evidence joins only where a person of the ticket takes part in the mail.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from portal.rules import tokens
from portal.rules.decision import Evidence
from portal.rules.subjects import strip_reply_prefixes, subject_number, subject_numbers
from portal.wording import N_

__all__ = [
    "MailFacts",
    "Place",
    "ThreadDecision",
    "ThreadLookup",
    "TicketPeople",
    "clean_message_id",
    "decide_thread",
    "strip_reply_prefixes",
    "subject_number",
]

Authentication = Literal["pass", "fail", "none"]

# References of a real thread; a longer list keeps its newest ids and the one that began it.
_MOST_IDS = 100
_MOST_NUMBERS = 3


@dataclass(frozen=True, slots=True)
class MailFacts:
    """What a mail says of its thread.

    Message-IDs with or without angle brackets, `references` oldest first. `recipients` are the addresses of
    To, Cc and the envelope; `authentication` is the verdict of the trusted hop; `branch_id` is the branch of
    the account that received it; `own_addresses` are our accounts, which say nothing about who takes part.
    """

    message_id: str
    from_address: str
    recipients: tuple[str, ...] = ()
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    subject: str = ""
    attached_message_ids: tuple[str, ...] = ()
    authentication: Authentication = "none"
    branch_id: int | None = None
    is_from_agent: bool = False
    own_addresses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TicketPeople:
    """A ticket's branch, and the addresses of its customer and of all in From, To, Cc of its messages.

    Lower-case, without our own accounts.
    """

    ticket_id: int
    branch_id: int | None
    participants: frozenset[str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stands now, and the tickets that it was moved from by hand."""

    ticket_id: int
    moved_from: tuple[int, ...] = ()


class ThreadLookup(Protocol):
    """What the decision asks of the database: one query per call, whatever the number of ids.

    A call is made only when stronger evidence has found nothing.
    """

    def survivors(self, ticket_ids: Collection[int]) -> Mapping[int, int]:
        """Per ticket that exists, the ticket it was merged into in the end, or itself."""

    def places_of_messages(self, message_ids: Collection[int]) -> Mapping[int, Place]:
        """Per message of ours, by its row's id, where it stands now."""

    def places_of_headers(self, message_ids: Collection[str]) -> Mapping[str, Sequence[Place]]:
        """Per Message-ID that stored messages carry, where they stand now, newest first."""

    def tickets_of_ancestors(self, message_ids: Collection[str]) -> Mapping[str, Sequence[int]]:
        """Per Message-ID that stored messages name as ancestor, their tickets, newest first."""

    def tickets_of_numbers(self, numbers: Collection[int]) -> Mapping[int, int]:
        """Per ticket number that exists, the ticket's id."""

    def people(self, ticket_ids: Collection[int]) -> Mapping[int, TicketPeople]:
        """Who takes part in these tickets."""


@dataclass(frozen=True, slots=True)
class ThreadDecision:
    """The ticket (None: a new one), the rule that found it, the sentence to show and what it rests on.

    `evidence["passed_over"]` lists the tickets that weak evidence named and that were not joined, with the
    reason.
    """

    ticket_id: int | None
    rule: str
    reason: str
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Match:
    """One ticket that a piece of evidence points to."""

    ticket_id: int
    evidence: Evidence


def decide_thread(facts: MailFacts, lookup: ThreadLookup, keys: Sequence[bytes]) -> ThreadDecision:
    """The ticket a mail belongs to, by the first rule that finds one; merged tickets lead to the survivor.

    Rules in order: `signed_address`, `our_message_id`, `known_message_id`, `shared_ancestor`,
    `subject_number`, `attached_message`, else `new`. The last two never count when authentication failed.
    What the first two find gives way to `moved_message`: when the message that is answered directly was moved
    by hand from that very ticket, the answer follows it. `keys` are the signing keys, newest first.
    """
    passed_over: list[Evidence] = []
    ancestors = _ancestors(facts)
    signed = _by_signed_address(facts, lookup, keys) or _by_our_message_id(ancestors, lookup, keys)
    decision = (
        (signed and _followed(signed, ancestors, lookup, keys))
        or _by_known_message_id(facts, ancestors, lookup, passed_over)
        or _by_shared_ancestor(facts, ancestors, lookup, passed_over)
        or _by_subject_number(facts, lookup, passed_over)
        or _by_attached_message(facts, lookup, keys, passed_over)
        or ThreadDecision(None, "new", N_("Nothing in the mail points to a ticket it may join."))
    )
    if passed_over:
        decision.evidence["passed_over"] = passed_over
    return decision


def clean_message_id(value: str) -> str:
    """A Message-ID without angle brackets and white space; empty when it identifies nothing."""
    bare = re.sub(r"[<>\s\0]", "", value)
    # Some senders write "<>", "<0>" or "<@host>" into every mail: that would join strangers.
    left, at, right = bare.rpartition("@")
    if len(bare) > 998 or (at and not (left and right)):
        return ""
    return bare if at or len(bare) >= 12 else ""


def _ancestors(facts: MailFacts) -> tuple[str, ...]:
    """In-Reply-To, then References from the newest to the oldest, each once, without the mail itself."""
    newest_first = [*facts.in_reply_to, *reversed(facts.references)]
    cleaned = dict.fromkeys(clean_message_id(value) for value in newest_first[: _MOST_IDS - 1])
    if facts.references:
        cleaned.setdefault(clean_message_id(facts.references[0]))
    return tuple(value for value in cleaned if value and value != clean_message_id(facts.message_id))


def _by_signed_address(
    facts: MailFacts, lookup: ThreadLookup, keys: Sequence[bytes]
) -> ThreadDecision | None:
    named: dict[int, str] = {}
    for address in facts.recipients:
        token = tokens.token_in_address(address)
        ticket_id = tokens.read_ticket_token(keys, token) if token else None
        if ticket_id is not None:
            named.setdefault(ticket_id, address)
    matches = (_Match(ticket_id, {"address": address}) for ticket_id, address in named.items())
    return _first_existing(
        matches, lookup, "signed_address", N_("It was sent to the address that we gave out for this ticket.")
    )


def _by_our_message_id(
    ancestors: Sequence[str], lookup: ThreadLookup, keys: Sequence[bytes]
) -> ThreadDecision | None:
    return _first_existing(
        _signed_matches(ancestors, lookup, keys),
        lookup,
        "our_message_id",
        N_("It answers a message that we sent from this ticket."),
    )


def _followed(
    signed: ThreadDecision, ancestors: Sequence[str], lookup: ThreadLookup, keys: Sequence[bytes]
) -> ThreadDecision:
    """The decision, or the ticket to which the answered message was moved by hand from the decided one.

    What we signed says in which ticket the thread once was; the hand of an agent has said since where it belongs.
    """
    message_id, places = _answered(ancestors, lookup, keys)
    moved = [place for place in places if place.moved_from]
    if not moved:
        return signed
    named = {each for place in moved for each in (place.ticket_id, *place.moved_from)}
    survivors = lookup.survivors(frozenset(named))
    for place in moved:
        ticket_id = survivors.get(place.ticket_id)
        origin = next((each for each in place.moved_from if survivors.get(each) == signed.ticket_id), None)
        if ticket_id in (None, signed.ticket_id) or origin is None:
            continue
        evidence: Evidence = {
            "message_id": message_id,
            "moved_from": origin,
            "instead_of": signed.rule,
            **{name: value for name, value in signed.evidence.items() if name == "address"},
        }
        reason = N_(
            "It answers a message that was moved here by hand, from the ticket that it would have gone to."
        )
        return ThreadDecision(ticket_id, "moved_message", reason, evidence)
    return signed


def _answered(
    ancestors: Sequence[str], lookup: ThreadLookup, keys: Sequence[bytes]
) -> tuple[str, Sequence[Place]]:
    """The nearest ancestor that we have, and where it stands: what the mail answers directly."""
    if not ancestors:
        return "", ()
    signed = {value: tokens.read_message_id(keys, value) for value in ancestors}
    ours = {number for number in signed.values() if number is not None}
    of_messages = lookup.places_of_messages(ours) if ours else {}
    of_headers = lookup.places_of_headers(ancestors)
    for value in ancestors:
        number = signed[value]
        if number is not None and number in of_messages:
            return value, (of_messages[number],)
        if of_headers.get(value):
            return value, of_headers[value]
    return "", ()


def _signed_matches(
    message_ids: Sequence[str], lookup: ThreadLookup, keys: Sequence[bytes]
) -> tuple[_Match, ...]:
    signed = {value: tokens.read_message_id(keys, value) for value in message_ids}
    ours = {value: number for value, number in signed.items() if number is not None}
    places = lookup.places_of_messages(frozenset(ours.values())) if ours else {}
    return tuple(
        _Match(places[number].ticket_id, {"message_id": value, "our_message": number})
        for value, number in ours.items()
        if number in places
    )


def _by_known_message_id(
    facts: MailFacts, ancestors: Sequence[str], lookup: ThreadLookup, passed_over: list[Evidence]
) -> ThreadDecision | None:
    matches = _header_matches(ancestors, _tickets_of_headers(ancestors, lookup))

    def objection(people: TicketPeople) -> str | None:
        is_elsewhere = None not in (facts.branch_id, people.branch_id) and facts.branch_id != people.branch_id
        if is_elsewhere and not _shared_people(facts, people) and not _is_trusted_agent(facts):
            return "it came to another branch, from nobody of that ticket"
        return None

    reason = N_("It answers a message that stands in this ticket.")
    return _first_joinable(matches, lookup, objection, passed_over, rule="known_message_id", reason=reason)


def _by_shared_ancestor(
    facts: MailFacts, ancestors: Sequence[str], lookup: ThreadLookup, passed_over: list[Evidence]
) -> ThreadDecision | None:
    # The mail may itself be the one that the others answered, arriving late.
    wanted = [*ancestors, *filter(None, [clean_message_id(facts.message_id)])]
    matches = _header_matches(wanted, lookup.tickets_of_ancestors(wanted) if wanted else {})

    def objection(people: TicketPeople) -> str | None:
        # Everyone who answers one newsletter shares an ancestor; that makes no thread of them.
        return None if _shared_people(facts, people) else "nobody of that ticket takes part in this mail"

    reason = N_("It answers the same earlier mail as a message in this ticket, between the same people.")
    return _first_joinable(matches, lookup, objection, passed_over, rule="shared_ancestor", reason=reason)


def _by_subject_number(
    facts: MailFacts, lookup: ThreadLookup, passed_over: list[Evidence]
) -> ThreadDecision | None:
    numbers = subject_numbers(facts.subject)[:_MOST_NUMBERS]
    found = lookup.tickets_of_numbers(numbers) if numbers else {}
    matches = [_Match(found[number], {"number": number}) for number in numbers if number in found]

    def objection(people: TicketPeople) -> str | None:
        if facts.authentication == "fail":
            return "the sender's address could not be verified"
        sender = _plain(facts.from_address)
        if sender in people.participants and tokens.without_tag(sender) not in facts.own_addresses:
            return None
        return "the sender takes no part in that ticket"

    reason = N_("The subject names the ticket, and the sender takes part in it.")
    return _first_joinable(matches, lookup, objection, passed_over, rule="subject_number", reason=reason)


def _by_attached_message(
    facts: MailFacts, lookup: ThreadLookup, keys: Sequence[bytes], passed_over: list[Evidence]
) -> ThreadDecision | None:
    attached = [value for value in map(clean_message_id, facts.attached_message_ids[:_MOST_IDS]) if value]
    if not attached:
        return None
    matches = (
        *_signed_matches(attached, lookup, keys),
        *_header_matches(attached, _tickets_of_headers(attached, lookup)),
    )

    def objection(people: TicketPeople) -> str | None:
        if facts.authentication == "fail":
            return "the sender's address could not be verified"
        if _plain(facts.from_address) in people.participants or _is_trusted_agent(facts):
            return None
        return "the sender takes no part in that ticket"

    reason = N_("A message of this ticket is attached, and the sender takes part in it.")
    return _first_joinable(matches, lookup, objection, passed_over, rule="attached_message", reason=reason)


class _Objection(Protocol):
    def __call__(self, people: TicketPeople, /) -> str | None: ...


def _tickets_of_headers(message_ids: Sequence[str], lookup: ThreadLookup) -> Mapping[str, Sequence[int]]:
    places = lookup.places_of_headers(message_ids) if message_ids else {}
    return {value: tuple(place.ticket_id for place in found) for value, found in places.items()}


def _header_matches(wanted: Sequence[str], found: Mapping[str, Sequence[int]]) -> tuple[_Match, ...]:
    return tuple(
        _Match(ticket_id, {"message_id": value}) for value in wanted for ticket_id in found.get(value, ())
    )


def _first_existing(
    matches: Iterable[_Match], lookup: ThreadLookup, rule: str, reason: str
) -> ThreadDecision | None:
    ordered = tuple(matches)
    survivors = lookup.survivors(frozenset(match.ticket_id for match in ordered)) if ordered else {}
    for match in ordered:
        if match.ticket_id in survivors:
            return _joined(match, survivors[match.ticket_id], rule, reason)
    return None


def _first_joinable(
    matches: Sequence[_Match],
    lookup: ThreadLookup,
    objection: _Objection,
    passed_over: list[Evidence],
    *,
    rule: str,
    reason: str,
) -> ThreadDecision | None:
    if not matches:
        return None
    survivors = lookup.survivors(frozenset(match.ticket_id for match in matches))
    people = lookup.people(frozenset(survivors.values())) if survivors else {}
    for match in matches:
        ticket_id = survivors.get(match.ticket_id)
        if ticket_id is None or ticket_id not in people:
            continue
        against = objection(people[ticket_id])
        if against is None:
            return _joined(match, ticket_id, rule, reason)
        passed_over.append({"rule": rule, "ticket_id": ticket_id, "why": against, **match.evidence})
    return None


def _joined(match: _Match, ticket_id: int, rule: str, reason: str) -> ThreadDecision:
    evidence = dict(match.evidence)
    if ticket_id != match.ticket_id:
        evidence["merged_from"] = match.ticket_id
        reason += " That ticket was merged into this one."
    return ThreadDecision(ticket_id, rule, reason, evidence)


def _shared_people(facts: MailFacts, people: TicketPeople) -> frozenset[str]:
    addresses = frozenset(map(_plain, (facts.from_address, *facts.recipients)))
    return frozenset(
        address
        for address in addresses & people.participants
        if tokens.without_tag(address) not in facts.own_addresses
    )


def _is_trusted_agent(facts: MailFacts) -> bool:
    return facts.is_from_agent and facts.authentication == "pass"


def _plain(address: str) -> str:
    return address.strip().strip("<>").lower()
