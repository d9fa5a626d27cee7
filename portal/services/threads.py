"""What `portal.rules.threading` asks of the database, one query a question."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import cast, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from portal.extensions import db
from portal.models import Identity, Message, Ticket
from portal.rules.threading import TicketPeople

# Strangers' mail may name ids that thousands of messages share; the newest few settle the question.
MOST_MESSAGES = 50
MERGE_DEPTH = 20


class DatabaseLookup:
    """The ThreadLookup of the running system. Reads only; `own_addresses` are left out of the participants."""

    def __init__(self, own_addresses: frozenset[str]) -> None:
        self._own_addresses = own_addresses

    def survivors(self, ticket_ids: Collection[int]) -> Mapping[int, int]:
        walk = text(
            """
            WITH RECURSIVE chain(origin, id, merged_into_id, depth) AS (
                SELECT id, id, merged_into_id, 0 FROM ticket WHERE id = ANY(:ids)
                UNION ALL
                SELECT chain.origin, ticket.id, ticket.merged_into_id, chain.depth + 1
                FROM chain JOIN ticket ON ticket.id = chain.merged_into_id WHERE chain.depth < :depth
            )
            SELECT DISTINCT ON (origin) origin, id FROM chain ORDER BY origin, depth DESC
            """
        )
        rows = db.session.execute(walk, {"ids": list(ticket_ids), "depth": MERGE_DEPTH})
        return dict(rows.tuples().all())

    def tickets_of_messages(self, message_ids: Collection[int]) -> Mapping[int, int]:
        found = select(Message.id, Message.ticket_id).where(Message.id.in_(list(message_ids)))
        return dict(db.session.execute(found).tuples().all())

    def tickets_of_headers(self, message_ids: Collection[str]) -> Mapping[str, Sequence[int]]:
        found = (
            select(Message.message_id_header, Message.ticket_id)
            .where(Message.message_id_header.in_(list(message_ids)), Message.message_id_header != "")
            .order_by(Message.created_at.desc(), Message.id.desc())
            .limit(MOST_MESSAGES)
        )
        return _grouped(db.session.execute(found))

    def tickets_of_ancestors(self, message_ids: Collection[str]) -> Mapping[str, Sequence[int]]:
        wanted = list(message_ids)
        # In-Reply-To is stored among the references, so that one index answers.
        found = (
            select(Message.references_headers, Message.ticket_id)
            .where(Message.references_headers.overlap(cast(wanted, ARRAY(Text))))
            .order_by(Message.created_at.desc(), Message.id.desc())
            .limit(MOST_MESSAGES)
        )
        asked = set(wanted)
        pairs = [
            (reference, ticket_id)
            for references, ticket_id in db.session.execute(found)
            for reference in references
            if reference in asked
        ]
        return _grouped(pairs)

    def tickets_of_numbers(self, numbers: Collection[int]) -> Mapping[int, int]:
        found = select(Ticket.number, Ticket.id).where(Ticket.number.in_(list(numbers)))
        return dict(db.session.execute(found).tuples().all())

    def people(self, ticket_ids: Collection[int]) -> Mapping[int, TicketPeople]:
        ids = list(ticket_ids)
        branches = dict(
            db.session.execute(select(Ticket.id, Ticket.branch_id).where(Ticket.id.in_(ids))).tuples().all()
        )
        people: dict[int, set[str]] = {ticket_id: set() for ticket_id in branches}
        identities = (
            select(Ticket.id, Identity.address)
            .join(Identity, Identity.customer_id == Ticket.customer_id)
            .where(Ticket.id.in_(ids), Identity.kind == "email")
        )
        for ticket_id, address in db.session.execute(identities):
            people[ticket_id].add(address)
        correspondents = select(Message.ticket_id, Message.from_address, Message.to, Message.cc).where(
            Message.ticket_id.in_(ids), Message.direction != "note"
        )
        for ticket_id, from_address, to, cc in db.session.execute(correspondents.limit(500)):
            people[ticket_id].update(
                {from_address.lower(), *(person["address"].lower() for person in [*to, *cc])}
            )
        return {
            ticket_id: TicketPeople(
                ticket_id=ticket_id,
                branch_id=branches[ticket_id],
                participants=frozenset(addresses - self._own_addresses - {""}),
            )
            for ticket_id, addresses in people.items()
        }


def _grouped(pairs: Any) -> dict[str, list[int]]:
    grouped: dict[str, list[int]] = {}
    for key, ticket_id in pairs:
        tickets = grouped.setdefault(key, [])
        if ticket_id not in tickets:
            tickets.append(ticket_id)
    return grouped
