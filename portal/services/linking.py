"""What tickets have to do with each other: related ones, duplicates, a problem and what it causes."""

from collections.abc import Collection, Mapping

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from portal import access
from portal.errors import UserFault
from portal.extensions import db
from portal.models import Ticket, TicketLink
from portal.rules.lifecycle import OPEN_STATUSES
from portal.services import events, tickets
from portal.services.transaction import transaction

MOST_LINKS = 200
# What a ticket is to the other one, by the kind of the link and whether the link begins with it; and the way back.
RELATIONS: Mapping[tuple[str, bool], str] = {
    ("related", True): "related",
    ("related", False): "related",
    ("duplicates", True): "duplicates",
    ("duplicates", False): "duplicated_by",
    ("causes", True): "causes",
    ("causes", False): "caused_by",
}
_KIND_OF = {relation: (kind, is_from) for (kind, is_from), relation in RELATIONS.items()}
_OTHER_SIDE = {relation: RELATIONS[kind, not is_from] for relation, (kind, is_from) in _KIND_OF.items()}


def link(ticket: Ticket, other: Ticket, relation: str, actor: User) -> TicketLink:
    """Say what the ticket is to another one; two tickets have one link, which is changed if there is one. Commits.

    Raises NotFound or Forbidden where the person may not change both, UserFault where it makes no sense.
    """
    if relation not in _KIND_OF:
        raise UserFault("Choose what these two tickets have to do with each other.")
    _check_reach(ticket, other, actor)
    with transaction(*sorted((ticket, other), key=lambda each: each.id)):
        tickets.check_not_merged(ticket)
        tickets.check_not_merged(other)
        kind, begins, ends = _ends(ticket.id, other.id, relation)
        found = _between(ticket, other)
        if found is None:
            _check_room(ticket)
            _check_room(other)
            found = TicketLink(created_by_id=actor.id)
            db.session.add(found)
        elif (found.kind, found.from_ticket_id) == (kind, begins):
            return found
        found.kind, found.from_ticket_id, found.to_ticket_id = kind, begins, ends
        db.session.flush()
        _tell("ticket_linked", ticket, other, relation, actor)
    return found


def unlink(ticket: Ticket, other: Ticket, actor: User) -> str | None:
    """Take the link between the two away; what the first was to the other, None where there was none. Commits.

    Raises NotFound or Forbidden where the person may not change both.
    """
    _check_reach(ticket, other, actor)
    with transaction(*sorted((ticket, other), key=lambda each: each.id)):
        found = _between(ticket, other)
        if found is None:
            return None
        relation = RELATIONS[found.kind, found.from_ticket_id == ticket.id]
        db.session.delete(found)
        _tell("ticket_unlinked", ticket, other, relation, actor)
    return relation


def take_along(ticket: Ticket, into: Ticket) -> None:
    """What a merged ticket is linked to, the one that it went into is linked to as well. Does not commit.

    The merged one keeps its links, unseen, for the day on which the merge is taken back.
    """
    for kept in db.session.scalars(select(TicketLink).where(_is_of(ticket.id)).order_by(TicketLink.id)):
        other_id = _other(kept, ticket.id)
        if other_id == into.id:
            continue
        kind, begins, ends = _ends(into.id, other_id, _relation(kept, ticket.id))
        values = {"kind": kind, "from_ticket_id": begins, "to_ticket_id": ends}
        copied = insert(TicketLink).values(created_by_id=kept.created_by_id, **values)
        db.session.execute(copied.on_conflict_do_nothing())


def would_go_along(ticket: Ticket, into: Ticket) -> list[int]:
    """The ids of the tickets to which `take_along` would link the one that it goes into. Reads only."""
    return sorted(_linked_to(ticket.id) - _linked_to(into.id) - {into.id})


def bring_back(ticket: Ticket, into: Ticket, other_ids: Collection[int]) -> None:
    """Take away the links that came with a merged ticket, where they still say the same. Does not commit."""
    kept = db.session.scalars(select(TicketLink).where(_is_of(ticket.id), _among(ticket.id, other_ids)))
    relations = {_other(each, ticket.id): _relation(each, ticket.id) for each in kept}
    came = select(TicketLink).where(_is_of(into.id), _among(into.id, other_ids))
    for each in db.session.scalars(came):
        if relations.get(_other(each, into.id)) == _relation(each, into.id):
            db.session.delete(each)


def count_open_effects(ticket: Ticket) -> int:
    """How many of the tickets that this one causes are still open. Reads only."""
    effects = (
        select(func.count())
        .select_from(TicketLink)
        .join(Ticket, Ticket.id == TicketLink.to_ticket_id)
        .where(
            TicketLink.from_ticket_id == ticket.id,
            TicketLink.kind == "causes",
            Ticket.status.in_(OPEN_STATUSES),
        )
        # Those of other branches wait as well; a number tells nothing of them.
        .execution_options(is_unscoped=True)
    )
    return db.session.scalar(effects) or 0


def _ends(ticket_id: int, other_id: int, relation: str) -> tuple[str, int, int]:
    """The kind of the link, where it begins and where it ends."""
    kind, is_from = _KIND_OF[relation]
    if kind == "related":
        return kind, min(ticket_id, other_id), max(ticket_id, other_id)
    return (kind, ticket_id, other_id) if is_from else (kind, other_id, ticket_id)


def _check_reach(ticket: Ticket, other: Ticket, actor: User) -> None:
    if ticket.id == other.id:
        raise UserFault("A ticket cannot be linked to itself. Choose another one.")
    for each in (ticket, other):
        access.access_ticket(actor, each.id, for_change=True)


def _check_room(ticket: Ticket) -> None:
    if (db.session.scalar(select(func.count()).where(_is_of(ticket.id))) or 0) >= MOST_LINKS:
        raise UserFault(
            "#%(number)s has %(most)s links already, and more would help nobody.",
            number=ticket.number,
            most=MOST_LINKS,
        )


def _between(ticket: Ticket, other: Ticket) -> TicketLink | None:
    found: TicketLink | None = db.session.scalar(
        select(TicketLink).where(_is_of(ticket.id), _is_of(other.id))
    )
    return found


def _is_of(ticket_id: int) -> ColumnElement[bool]:
    return or_(TicketLink.from_ticket_id == ticket_id, TicketLink.to_ticket_id == ticket_id)


def _among(ticket_id: int, other_ids: Collection[int]) -> ColumnElement[bool]:
    """The links whose other end is one of these."""
    others = {*other_ids} - {ticket_id}
    return or_(TicketLink.from_ticket_id.in_(others), TicketLink.to_ticket_id.in_(others))


def _linked_to(ticket_id: int) -> set[int]:
    return {
        _other(each, ticket_id) for each in db.session.scalars(select(TicketLink).where(_is_of(ticket_id)))
    }


def _other(found: TicketLink, ticket_id: int) -> int:
    return found.to_ticket_id if found.from_ticket_id == ticket_id else found.from_ticket_id


def _relation(found: TicketLink, ticket_id: int) -> str:
    """What that ticket is to the other one."""
    return RELATIONS[found.kind, found.from_ticket_id == ticket_id]


def _tell(kind: str, ticket: Ticket, other: Ticket, relation: str, actor: User) -> None:
    """Each of the two has its fact, seen from its own side."""
    for one, far, what in ((ticket, other, relation), (other, ticket, _OTHER_SIDE[relation])):
        data = {"relation": what, "ticket": far.id, "number": far.number}
        events.record(kind, ticket=one, actor=actor, data=data)
        events.announce(one)
