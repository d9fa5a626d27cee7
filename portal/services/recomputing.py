"""Every clock computed anew from the ledger, to see that what is stored is what happened."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select

from portal.extensions import db
from portal.models import Ticket
from portal.services import sla

BATCH = 200


@dataclass(frozen=True)
class Looked:
    """So many tickets were computed anew, up to one; the numbers of those whose stored clocks were others."""

    many: int
    last_id: int
    differing: tuple[int, ...]


def recompute_all(after_id: int = 0) -> Iterator[Looked]:
    """Compute the clocks of every ticket anew, by their ids, from the one after `after_id` on; one at a time is locked.

    Each is committed by itself, so that it can be broken off and gone on with, and run twice.
    """
    while True:
        wanted = select(Ticket.id, Ticket.number).where(Ticket.id > after_id).order_by(Ticket.id).limit(BATCH)
        found = db.session.execute(wanted).all()
        db.session.rollback()
        if not found:
            return
        differing = []
        for ticket_id, number in found:
            ticket = db.session.get(Ticket, ticket_id)
            if ticket is not None and sla.recompute(ticket):
                differing.append(number)
            db.session.expunge_all()
        after_id = found[-1][0]
        yield Looked(len(found), after_id, tuple(differing))
