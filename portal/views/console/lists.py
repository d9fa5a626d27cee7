"""Reads of the queue: a page of tickets, and how many stand in each view. No statement reads a whole table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, String, cast, func, literal, select, true, union_all
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import defer, joinedload, selectinload

from portal import access
from portal.extensions import db
from portal.models import (
    Branch,
    BranchMembership,
    Customer,
    Escalation,
    ReplyTemplate,
    SavedView,
    Tag,
    Ticket,
    User,
)
from portal.views.console.filters import VIEWS, TicketFilter, filter_from
from portal.views.console.paging import PAGE_SIZE
from portal.views.console.rows import Raised

COUNT_CAP = 1000
MOST_SAVED_VIEWS = 20
MOST_COLLEAGUES = 500
# More places than this are read in one walk along the order instead of one walk each.
MOST_WALKS = 25
# The orders in which an index holds each branch's open tickets.
WALKED = ("due", "newest", "oldest", "priority", "activity")
WORK = frozenset(VIEWS) - {"closed"}


@dataclass(frozen=True)
class Page:
    """Some tickets of a list in its order, and the cursor of the page after it; "" when this is the last."""

    tickets: tuple[Ticket, ...]
    next_cursor: str


def page_of(wanted: TicketFilter, user: User, after: str = "", size: int = PAGE_SIZE) -> Page:
    """The page of that list that begins after the cursor. Two statements: the tickets, their tags."""
    order = wanted.order
    found = order.applied(_narrowed(wanted, user, after, size + 1)).limit(size + 1)
    tickets = db.session.scalars(found.options(*_what_rows_show())).all()
    has_more = len(tickets) > size
    return Page(tuple(tickets[:size]), order.cursor(tickets[size - 1]) if has_more else "")


def raised_of(tickets: Sequence[Ticket]) -> dict[int, Raised]:
    """The open escalations to the tiers where these tickets are. One statement; none where all are at the first."""
    higher = {ticket.id: ticket.tier_level for ticket in tickets if ticket.tier_level > 1}
    if not higher:
        return {}
    columns = (Escalation.created_at, Escalation.acknowledge_by, Escalation.acknowledged_at)
    found = select(Escalation.ticket_id, Escalation.to_level, *columns).where(
        Escalation.ticket_id.in_(higher), Escalation.ended_at.is_(None)
    )
    return {
        ticket_id: Raised(since, acknowledge_by, acknowledged_at)
        for ticket_id, level, since, acknowledge_by, acknowledged_at in db.session.execute(found)
        if level == higher[ticket_id]
    }


def numbers_of(wanted: TicketFilter, user: User, most: int) -> list[int]:
    """The numbers of the first tickets of that list. One statement."""
    found = wanted.order.applied(_narrowed(wanted, user, "", most)).limit(most)
    return list(db.session.scalars(found.with_only_columns(Ticket.number)))


def counts_of(filters: Mapping[str, TicketFilter], user: User) -> dict[str, int]:
    """How many tickets match each filter, counted up to COUNT_CAP, in one statement."""
    if not filters:
        return {}
    columns = []
    for index, wanted in enumerate(filters.values()):
        matching = wanted.apply(access.visible_tickets(user), user).with_only_columns(Ticket.id)
        capped = matching.limit(COUNT_CAP).subquery()
        columns.append(select(func.count()).select_from(capped).scalar_subquery().label(f"count_{index}"))
    counted = db.session.execute(select(*columns)).one()
    return dict(zip(filters, counted, strict=True))


def view_filters() -> dict[str, TicketFilter]:
    """The filters of the views whose tickets are counted."""
    return {view.name: TicketFilter(view=view.name) for view in VIEWS.values() if view.has_count}


def saved_views(user: User) -> list[SavedView]:
    """The person's saved views and those shared with their branches, in their order."""
    found = access.visible_views(user).order_by(SavedView.position, SavedView.name).limit(MOST_SAVED_VIEWS)
    return list(db.session.scalars(found))


def filter_of(view: SavedView, user: User) -> TicketFilter:
    """The filter that was saved. Raises UserFault where it can no longer be read, or asks beyond the person's reach."""
    return filter_from(kept_in(view), user)


def kept_in(view: SavedView) -> dict[str, str]:
    """The arguments of the address that was saved, whether or not they can still be read."""
    return {name: str(value) for name, value in view.filter.items()}


def branches_of(user: User) -> list[Branch]:
    """The branches within the person's reach, by name."""
    ids = access.branch_ids(user)
    found = select(Branch).order_by(Branch.name)
    return list(db.session.scalars(found if ids is None else found.where(Branch.id.in_(ids))))


def active_branches() -> list[Branch]:
    """The branches that a ticket can be moved to, by name: also those that the person cannot look into."""
    return list(db.session.scalars(select(Branch).where(Branch.is_active).order_by(Branch.name)))


def colleagues_of(user: User) -> list[User]:
    """The people of the branches within the person's reach, by name."""
    ids = access.branch_ids(user)
    places = select(BranchMembership.user_id)
    members = places if ids is None else places.where(BranchMembership.branch_id.in_(ids))
    found = select(User).where(User.active, User.id.in_(members))
    return list(db.session.scalars(found.order_by(User.first_name, User.last_name).limit(MOST_COLLEAGUES)))


def names_in(wanted: TicketFilter, user: User) -> dict[tuple[str, str], str]:
    """What the ids of that filter are called, by its part and the id; not what is out of reach. One statement."""
    ids = access.branch_ids(user)
    members = select(BranchMembership.id).where(BranchMembership.user_id == User.id)
    is_colleague = members if ids is None else members.where(BranchMembership.branch_id.in_(ids))
    assignees = [int(one) for one in wanted.assignee if one.isdigit()]
    customers = [int(wanted.customer)] if wanted.customer.isdigit() else []
    parts = {
        "branch": (wanted.branch, Branch.id, Branch.name, true()),
        "assignee": (assignees, User.id, User.first_name + " " + User.last_name, is_colleague.exists()),
        "tag_id": (wanted.tag_id, Tag.id, Tag.name, true()),
        "template": (
            wanted.template,
            ReplyTemplate.id,
            ReplyTemplate.name,
            ReplyTemplate.id.in_(access.visible_templates(user).with_only_columns(ReplyTemplate.id)),
        ),
        "customer": (
            customers,
            Customer.id,
            Customer.name,
            Customer.id.in_(access.visible_customers(user).with_only_columns(Customer.id)),
        ),
    }
    selects = [
        select(literal(part), cast(key, String), name).where(key.in_(asked), is_seen)
        for part, (asked, key, name, is_seen) in parts.items()
        if asked
    ]
    if not selects:
        return {}
    return {(part, key): name for part, key, name in db.session.execute(union_all(*selects))}


def lasting(wanted: TicketFilter) -> TicketFilter:
    """The same filter, fit to be kept: tags by their ids, which stay when a tag is renamed."""
    if not wanted.tag:
        return wanted
    found = dict(db.session.execute(select(Tag.name, Tag.id).where(Tag.name.in_(wanted.tag))).all())
    unknown = tuple(name for name in wanted.tag if name not in found)
    return wanted.with_(tag=unknown, tag_id=tuple(sorted({*wanted.tag_id, *found.values()})))


def _narrowed(wanted: TicketFilter, user: User, after: str, size: int) -> Select[Any]:
    """The tickets to choose the page from.

    An index holds each branch's tickets in order, but those of several branches together stand in no index:
    so each branch gives its first `size`, and the page is chosen among these.
    """
    places = sorted(wanted.branch or access.branch_ids(user) or ())
    is_walked = wanted.order.name in (WALKED if wanted.view in WORK else ("due",))
    by_branch = 1 < len(places) <= MOST_WALKS and is_walked
    if not by_branch:
        return _after(wanted.apply(access.visible_tickets(user), user), wanted, after)
    branches = select(func.unnest(array(places)).label("id")).subquery("place")
    one = wanted.apply(select(Ticket.id).where(Ticket.branch_id == branches.c.id), user)
    firsts = wanted.order.applied(_after(one, wanted, after)).limit(size)
    walked = firsts.correlate(branches).lateral("first")
    chosen = select(walked.c.id).select_from(branches.join(walked, true()))
    return select(Ticket).where(Ticket.id.in_(chosen))


def _after(tickets: Select[Any], wanted: TicketFilter, after: str) -> Select[Any]:
    return tickets.where(wanted.order.beyond(after)) if after else tickets


def _what_rows_show() -> tuple[Any, ...]:
    return (
        defer(Ticket.route),
        joinedload(Ticket.customer).load_only(Customer.id, Customer.name),
        joinedload(Ticket.assignee).load_only(User.id, User.first_name, User.last_name),
        joinedload(Ticket.branch).load_only(Branch.id, Branch.name),
        selectinload(Ticket.tags),
    )
