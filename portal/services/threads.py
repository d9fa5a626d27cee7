"""What `portal.rules.threading` asks of the database, asked once for a whole batch of mails."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar

from sqlalchemy import text

from portal.extensions import db
from portal.models import Message, Ticket
from portal.rules.threading import MailFacts, Place, TicketPeople, decide_thread

# Strangers' mail may name ids that thousands of messages share; the newest few settle the question.
MOST_MESSAGES = 50
# Whoever takes part in a ticket is found among its newest messages.
MOST_CORRESPONDENCE = 200
MERGE_DEPTH = 20

_SURVIVORS = text(
    """
    WITH RECURSIVE chain(origin, id, merged_into_id, depth) AS (
        SELECT id, id, merged_into_id, 0 FROM ticket WHERE id = ANY(:wanted)
        UNION ALL
        SELECT chain.origin, ticket.id, ticket.merged_into_id, chain.depth + 1
        FROM chain JOIN ticket ON ticket.id = chain.merged_into_id WHERE chain.depth < :depth
    )
    SELECT DISTINCT ON (origin) origin, id FROM chain ORDER BY origin, depth DESC
    """
)
_OF_MESSAGES = text("SELECT id, ticket_id, moved_from_ticket_ids FROM message WHERE id = ANY(:wanted)")
_OF_HEADERS = text(
    """
    SELECT wanted, found.ticket_id, found.moved_from_ticket_ids
    FROM unnest(CAST(:wanted AS text[])) AS wanted CROSS JOIN LATERAL (
        SELECT ticket_id, moved_from_ticket_ids FROM message
        WHERE message_id_header = wanted AND message_id_header <> ''
        ORDER BY created_at DESC, id DESC LIMIT :most
    ) AS found
    """
)
# In-Reply-To is stored among the references, so that one index answers.
_OF_ANCESTORS = text(
    """
    SELECT wanted, found.ticket_id FROM unnest(CAST(:wanted AS text[])) AS wanted CROSS JOIN LATERAL (
        SELECT ticket_id FROM message WHERE references_headers @> ARRAY[wanted]
        ORDER BY created_at DESC, id DESC LIMIT :most
    ) AS found
    """
)
_OF_NUMBERS = text("SELECT number, id FROM ticket WHERE number = ANY(:wanted)")
_PEOPLE = text(
    """
    SELECT ticket.id, ticket.branch_id,
        ARRAY(
            SELECT identity.address FROM identity
            WHERE identity.kind = 'email' AND identity.customer_id IN (
                SELECT ticket.customer_id
                UNION ALL SELECT merged.customer_id FROM ticket AS merged WHERE merged.merged_into_id = ticket.id
            )
        ) AS customer,
        ARRAY(
            SELECT DISTINCT lower(address) FROM (
                SELECT from_address, "to", cc FROM message
                WHERE message.ticket_id = ticket.id AND direction <> 'note'
                ORDER BY created_at DESC, id DESC LIMIT :most
            ) AS said CROSS JOIN LATERAL (
                SELECT said.from_address AS address
                UNION ALL SELECT person ->> 'address' FROM jsonb_array_elements(said."to" || said.cc) AS person
            ) AS named
        ) AS correspondents
    FROM ticket WHERE ticket.id = ANY(:wanted)
    """
)

_Key = TypeVar("_Key", int, str)
_Found = TypeVar("_Found", int, Place)


class ThreadBook:
    """The ThreadLookup of a batch: what the database knew before it, and what the batch itself has added.

    Reads only. `own_addresses` are left out of the participants.
    """

    def __init__(self, own_addresses: frozenset[str]) -> None:
        self._own_addresses = own_addresses
        self._messages: dict[int, Place] = {}
        self._headers: dict[str, list[Place]] = {}
        self._ancestors: dict[str, list[int]] = {}
        self._numbers: dict[int, int] = {}
        self._survivors: dict[int, int] = {}
        self._people: dict[int, TicketPeople] = {}

    def read(self, mails: Iterable[MailFacts], keys: Sequence[bytes]) -> None:
        """Look up all that deciding about these mails may ask: six statements, however many mails."""
        asked = _Asked()
        for facts in mails:
            decide_thread(facts, asked, keys)
        self._messages = dict(_places(_OF_MESSAGES, asked.message_rows))
        self._headers = _grouped(_places(_OF_HEADERS, asked.headers, most=MOST_MESSAGES))
        self._ancestors = _grouped(_pairs(_OF_ANCESTORS, asked.ancestors, most=MOST_MESSAGES))
        self._numbers = dict(_pairs(_OF_NUMBERS, asked.numbers))
        named = {*asked.tickets, *self._numbers.values()}
        named.update(*self._ancestors.values())
        for place in chain(self._messages.values(), *self._headers.values()):
            named.update((place.ticket_id, *place.moved_from))
        self._survivors = dict(_pairs(_SURVIVORS, named, depth=MERGE_DEPTH))
        self._read_people(set(self._survivors.values()))

    def add(self, ticket: Ticket, message: Message) -> None:
        """Let mails that come later in the batch find this message, as if it had been committed."""
        self._survivors.setdefault(ticket.id, ticket.id)
        named = {message.from_address, *(person["address"] for person in [*message.to, *message.cc])}
        known = self._people.get(ticket.id) or TicketPeople(ticket.id, ticket.branch_id, frozenset())
        self._people[ticket.id] = TicketPeople(
            ticket.id,
            ticket.branch_id,
            known.participants | self._participants(address.lower() for address in named),
        )
        if message.message_id_header:
            _put_first(self._headers, message.message_id_header, Place(ticket.id))
        for reference in message.references_headers:
            _put_first(self._ancestors, reference, ticket.id)

    def survivors(self, ticket_ids: Collection[int]) -> Mapping[int, int]:
        return _known(self._survivors, ticket_ids)

    def places_of_messages(self, message_ids: Collection[int]) -> Mapping[int, Place]:
        return _known(self._messages, message_ids)

    def places_of_headers(self, message_ids: Collection[str]) -> Mapping[str, Sequence[Place]]:
        return _known(self._headers, message_ids)

    def tickets_of_ancestors(self, message_ids: Collection[str]) -> Mapping[str, Sequence[int]]:
        return _known(self._ancestors, message_ids)

    def tickets_of_numbers(self, numbers: Collection[int]) -> Mapping[int, int]:
        return _known(self._numbers, numbers)

    def people(self, ticket_ids: Collection[int]) -> Mapping[int, TicketPeople]:
        return _known(self._people, ticket_ids)

    def _read_people(self, ticket_ids: set[int]) -> None:
        if not ticket_ids:
            return
        rows = db.session.execute(_PEOPLE, {"wanted": sorted(ticket_ids), "most": MOST_CORRESPONDENCE})
        for ticket_id, branch_id, customer, correspondents in rows:
            participants = self._participants([*customer, *correspondents])
            self._people[ticket_id] = TicketPeople(ticket_id, branch_id, participants)

    def _participants(self, addresses: Iterable[str]) -> frozenset[str]:
        return frozenset(addresses) - self._own_addresses - {""}


class _Asked:
    """A lookup that knows nothing and remembers what it was asked: with no evidence found, every rule asks."""

    def __init__(self) -> None:
        self.tickets: set[int] = set()
        self.message_rows: set[int] = set()
        self.headers: set[str] = set()
        self.ancestors: set[str] = set()
        self.numbers: set[int] = set()

    def survivors(self, ticket_ids: Collection[int]) -> Mapping[int, int]:
        return _remembered(self.tickets, ticket_ids)

    def places_of_messages(self, message_ids: Collection[int]) -> Mapping[int, Place]:
        return _remembered(self.message_rows, message_ids)

    def places_of_headers(self, message_ids: Collection[str]) -> Mapping[str, Sequence[Place]]:
        return _remembered(self.headers, message_ids)

    def tickets_of_ancestors(self, message_ids: Collection[str]) -> Mapping[str, Sequence[int]]:
        return _remembered(self.ancestors, message_ids)

    def tickets_of_numbers(self, numbers: Collection[int]) -> Mapping[int, int]:
        return _remembered(self.numbers, numbers)

    def people(self, ticket_ids: Collection[int]) -> Mapping[int, TicketPeople]:
        return _remembered(self.tickets, ticket_ids)


def _remembered(kept: set[Any], asked: Collection[Any]) -> Mapping[Any, Any]:
    kept.update(asked)
    return {}


def _known(found: Mapping[_Key, Any], wanted: Collection[_Key]) -> dict[_Key, Any]:
    return {key: found[key] for key in wanted if key in found}


def _pairs(statement: Any, wanted: Collection[Any], **more: int) -> list[tuple[Any, Any]]:
    if not wanted:
        return []
    rows = db.session.execute(statement, {"wanted": sorted(wanted), **more})
    return [(key, value) for key, value in rows]


def _places(statement: Any, wanted: Collection[Any], **more: int) -> list[tuple[Any, Place]]:
    if not wanted:
        return []
    rows = db.session.execute(statement, {"wanted": sorted(wanted), **more})
    return [(key, Place(ticket_id, tuple(moved_from))) for key, ticket_id, moved_from in rows]


def _grouped(pairs: Iterable[tuple[str, _Found]]) -> dict[str, list[_Found]]:
    grouped: dict[str, list[_Found]] = {}
    for key, value in pairs:
        found = grouped.setdefault(key, [])
        if value not in found:
            found.append(value)
    return grouped


def _put_first(grouped: dict[str, list[_Found]], key: str, value: _Found) -> None:
    found = grouped.setdefault(key, [])
    if value in found:
        found.remove(value)
    found.insert(0, value)
