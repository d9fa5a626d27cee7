"""Reads of the queue: a page of tickets, and how many stand in each view. No statement reads a whole table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, String, and_, cast, func, literal, select, true, union_all
from sqlalchemy.dialects.postgresql import aggregate_order_by, array

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
from portal.models.ticket import ticket_tag
from portal.views.console import statements
from portal.views.console.filters import VIEWS, TicketFilter, filter_from
from portal.views.console.paging import PAGE_SIZE

COUNT_CAP = 1000
MOST_SAVED_VIEWS = 20
MOST_COLLEAGUES = 500
# More places than this are read in one walk along the order instead of one walk each.
MOST_WALKS = 25
# The orders in which an index holds each branch's open tickets.
WALKED = ("due", "newest", "oldest", "priority", "activity")
WORK = frozenset(VIEWS) - {"closed"}


class Listed(NamedTuple):
    """What a list shows of a ticket. Not the ticket itself, which takes several times as long to be made."""

    id: int
    number: int
    subject: str
    status: str
    priority: str
    severity: str
    tier_level: int
    channel_kind: str
    snippet: str
    is_last_message_ours: bool
    unread_since: datetime | None
    is_paused: bool
    next_due_at: datetime | None
    next_due_kind: str | None
    created_at: datetime
    last_activity_at: datetime
    snoozed_until: datetime | None
    customer_name: str
    branch_name: str
    assignee_id: int | None
    assignee_name: str | None
    tags: list[str] | None
    # Of the open escalation to its tier.
    raised_at: datetime | None
    acknowledge_by: datetime | None
    acknowledged_at: datetime | None


@dataclass(frozen=True)
class Page:
    """Some tickets of a list in its order, and the cursor of the page after it; "" when this is the last."""

    tickets: tuple[Listed, ...]
    next_cursor: str


def page_of(wanted: TicketFilter, user: User, after: str = "", size: int = PAGE_SIZE) -> Page:
    """The page of that list that begins after the cursor. One statement."""
    order = wanted.order
    found = order.applied(_narrowed(wanted, user, after, size + 1)).limit(size + 1)
    tickets = [Listed._make(row) for row in db.session.execute(_as_listed(found))]
    has_more = len(tickets) > size
    return Page(tuple(tickets[:size]), order.cursor(tickets[size - 1]) if has_more else "")


def numbers_of(wanted: TicketFilter, user: User, most: int) -> list[int]:
    """The numbers of the first tickets of that list. One statement."""
    found = wanted.order.applied(_narrowed(wanted, user, "", most)).limit(most)
    return list(db.session.scalars(found.with_only_columns(Ticket.number)))


def counts_of(filters: Mapping[str, TicketFilter], user: User) -> dict[str, int]:
    """How many tickets match each filter, counted up to COUNT_CAP, in one statement."""
    if not filters:
        return {}
    asked = tuple(filters.values())
    if all(wanted.is_plain for wanted in asked):
        text, values = statements.kept(("counts", *asked), user, lambda: _as_text(_counting(asked, user)))
        counted = db.session.connection().exec_driver_sql(text, values).one()
    else:
        counted = db.session.execute(_counting(asked, user)).one()
    return dict(zip(filters, counted, strict=True))


def _counting(filters: Sequence[TicketFilter], user: User) -> Select[Any]:
    columns = []
    for index, wanted in enumerate(filters):
        matching = wanted.apply(access.visible_tickets(user), user).with_only_columns(Ticket.id)
        capped = matching.limit(COUNT_CAP).subquery()
        columns.append(select(func.count()).select_from(capped).scalar_subquery().label(f"count_{index}"))
    return select(*columns)


def _as_text(statement: Select[Any]) -> tuple[str, Mapping[str, Any]]:
    """What the driver gets of a statement, which takes longer to make than to run."""
    compiled = statement.compile(db.engine, compile_kwargs={"render_postcompile": True})
    return str(compiled), compiled.params


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


def _as_listed(tickets: Select[Any]) -> Select[Any]:
    names = (
        select(func.array_agg(aggregate_order_by(Tag.name, Tag.name)))
        .join(ticket_tag, ticket_tag.c.tag_id == Tag.id)
        .where(ticket_tag.c.ticket_id == Ticket.id)
        .correlate(Ticket)
    )
    own = [getattr(Ticket, name) for name in Listed._fields if hasattr(Ticket, name) and name != "tags"]
    shown = {
        **{column.key: column for column in own},
        "customer_name": Customer.name,
        "branch_name": Branch.name,
        "assignee_name": func.trim(User.first_name + " " + User.last_name),
        "tags": names.scalar_subquery(),
        "raised_at": Escalation.created_at,
        "acknowledge_by": Escalation.acknowledge_by,
        "acknowledged_at": Escalation.acknowledged_at,
    }
    return (
        tickets.with_only_columns(*(shown[name] for name in Listed._fields), maintain_column_froms=True)
        .join(Customer, Customer.id == Ticket.customer_id)
        .join(Branch, Branch.id == Ticket.branch_id)
        .outerjoin(User, User.id == Ticket.assignee_id)
        # At most one is open for a level.
        .outerjoin(
            Escalation,
            and_(
                Escalation.ticket_id == Ticket.id,
                Escalation.to_level == Ticket.tier_level,
                Escalation.ended_at.is_(None),
            ),
        )
    )


def _after(tickets: Select[Any], wanted: TicketFilter, after: str) -> Select[Any]:
    return tickets.where(wanted.order.beyond(after)) if after else tickets
