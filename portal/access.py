"""The only doors to rows: who may see what, in every view, export, count, live event and API alike.

Admins and auditors see every branch, agents and leads the branches they are members of. The functions here are
what views and services call; `scope_session` applies the same limits beneath every ORM query of a request, so
that a query which forgot its door (a row action, a drop-down, a foreign key in a REST body) still finds nothing.
"""

from functools import lru_cache
from typing import Any

from flask import g, has_request_context
from flask_login import current_user
from sqlalchemy import ColumnElement, Select, false, or_, select, true
from sqlalchemy.orm import ORMExecuteState, joinedload, with_loader_criteria

from portal.errors import Forbidden, NotFound
from portal.extensions import db
from portal.models import (
    Attachment,
    Branch,
    BranchMembership,
    Clock,
    Customer,
    Draft,
    Escalation,
    Event,
    Message,
    Notification,
    ReplyTemplate,
    Role,
    SavedView,
    Ticket,
    User,
)
from portal.models.template import reply_template_branch

ADMIN, LEAD, AGENT, AUDITOR = "Admin", "Lead", "Agent", "Auditor"
SEES_EVERYTHING = frozenset({ADMIN, AUDITOR})
MAY_CHANGE_TICKETS = frozenset({ADMIN, LEAD, AGENT})


def role_names(user: User) -> frozenset[str]:
    """The names of the person's roles; none for someone who is not logged in."""
    if not getattr(user, "is_authenticated", False):
        return frozenset()
    return _kept_for_request(f"role_names_{user.id}", lambda: frozenset(role.name for role in user.roles))


def memberships(user: User) -> dict[int, BranchMembership]:
    """The person's places, by branch id."""
    if not getattr(user, "is_authenticated", False):
        return {}
    return _kept_for_request(f"memberships_{user.id}", lambda: _load_memberships(user.id))


def branch_ids(user: User) -> frozenset[int] | None:
    """The branches whose rows the person may see; None means every branch."""
    if role_names(user) & SEES_EVERYTHING:
        return None
    return frozenset(memberships(user))


def led_branch_ids(user: User) -> frozenset[int] | None:
    """The branches whose people and figures the person may see; None means every branch."""
    names = role_names(user)
    if names & SEES_EVERYTHING:
        return None
    if LEAD not in names:
        return frozenset()
    return frozenset(branch_id for branch_id, place in memberships(user).items() if place.is_lead)


def may_see_branch(user: User, branch_id: int | None) -> bool:
    """Whether rows of that branch are within the person's reach."""
    ids = branch_ids(user)
    return ids is None or branch_id in ids


def check_may_change(user: User) -> None:
    """Raise Forbidden for people who only look: auditors, and accounts without a role."""
    if not role_names(user) & MAY_CHANGE_TICKETS:
        raise Forbidden("Your role lets you look at tickets but not change them.")


def visible_tickets(user: User) -> Select[Ticket]:
    """A select of the tickets the person may see, to be narrowed further."""
    return select(Ticket).where(_in_branches(user, Ticket.branch_id))


def access_ticket(user: User, ticket_id: int, *, for_change: bool = False) -> Ticket:
    """The ticket with that id. Raises NotFound out of reach, Forbidden for a change by someone who only looks."""
    return _access_one(user, visible_tickets(user).where(Ticket.id == ticket_id), for_change=for_change)


def access_ticket_by_number(user: User, number: int, *, for_change: bool = False) -> Ticket:
    """Like access_ticket, by the number people use."""
    return _access_one(user, visible_tickets(user).where(Ticket.number == number), for_change=for_change)


def access_message(user: User, message_id: int, *, for_change: bool = False) -> Message:
    """The message with that id, where its ticket is within reach."""
    ids = branch_ids(user)
    found = select(Message).where(Message.id == message_id)
    if ids is not None:
        found = found.join(Ticket, Ticket.id == Message.ticket_id).where(Ticket.branch_id.in_(ids))
    return _access_one(user, found, for_change=for_change, noun="message")


def access_attachment(user: User, public_key: str) -> Attachment:
    """The file under that key: of a ticket within reach, or the person's own upload."""
    ids = branch_ids(user)
    found = select(Attachment).where(Attachment.public_key == public_key)
    if ids is not None:
        reachable = (
            select(Ticket.id)
            .join(Message, Message.ticket_id == Ticket.id)
            .where(Message.id == Attachment.message_id, Ticket.branch_id.in_(ids))
            .exists()
        )
        is_own_upload = Attachment.message_id.is_(None) & (Attachment.uploaded_by_id == user.id)
        found = found.where(or_(reachable, is_own_upload))
    return _access_one(user, found, noun="file")


def visible_customers(user: User) -> Select[Customer]:
    """A select of the customers who have a ticket within the person's reach."""
    ids = branch_ids(user)
    if ids is None:
        return select(Customer)
    has_ticket = (
        select(Ticket.id).where(Ticket.customer_id == Customer.id, Ticket.branch_id.in_(ids)).exists()
    )
    return select(Customer).where(has_ticket)


def access_customer(user: User, customer_id: int, *, for_change: bool = False) -> Customer:
    """The customer with that id, where the person has a ticket of theirs within reach."""
    found = visible_customers(user).where(Customer.id == customer_id)
    return _access_one(user, found, for_change=for_change, noun="customer")


def access_colleague(user: User, user_id: int) -> User:
    """The person of that id: oneself, or who works in a branch within reach. Nobody else is told by name."""
    found = select(User).where(User.id == user_id)
    ids = branch_ids(user)
    if ids is not None:
        place = select(BranchMembership.id).where(
            BranchMembership.user_id == User.id, BranchMembership.branch_id.in_(ids)
        )
        found = found.where(or_(User.id == user.id, place.exists()))
    return _access_one(user, found, noun="colleague")


def visible_templates(user: User) -> Select[ReplyTemplate]:
    """A select of the published templates of the person's branches and of every branch."""
    found = select(ReplyTemplate).where(ReplyTemplate.state == "published")
    ids = branch_ids(user)
    if ids is None:
        return found
    scopes = select(reply_template_branch.c.branch_id).where(
        reply_template_branch.c.template_id == ReplyTemplate.id
    )
    return found.where(
        or_(~scopes.exists(), scopes.where(reply_template_branch.c.branch_id.in_(ids)).exists())
    )


def visible_views(user: User) -> Select[SavedView]:
    """A select of the person's own saved views and those shared with their branches."""
    return select(SavedView).where(
        or_(
            SavedView.owner_id == user.id,
            SavedView.branch_id.is_not(None) & _in_branches(user, SavedView.branch_id),
        )
    )


def own_drafts(user: User) -> Select[Draft]:
    """A select of what the person is writing: drafts are nobody else's, whatever their role."""
    return select(Draft).where(Draft.user_id == user.id)


def visible_notifications(user: User) -> Select[Notification]:
    """A select of what the person's bell holds; what concerns tickets out of reach now is not told any more."""
    reachable = select(Ticket.id).where(
        Ticket.id == Notification.ticket_id, _in_branches(user, Ticket.branch_id)
    )
    return select(Notification).where(
        Notification.user_id == user.id, or_(Notification.ticket_id.is_(None), reachable.exists())
    )


def sees_branch(person: Any, branch_id: Any) -> ColumnElement[bool]:
    """The condition that the person of that id may see that branch's rows: may_see_branch for many; ids or columns."""
    place = select(BranchMembership.id).where(
        BranchMembership.user_id == person, BranchMembership.branch_id == branch_id
    )
    # Within a query of its own the columns are still those of the one around it.
    place = place.correlate_except(BranchMembership)
    role = select(User.id).where(User.id == person, User.roles.any(Role.name.in_(SEES_EVERYTHING)))
    return or_(place.exists(), role.exists())


def scope_session(session: Any) -> None:
    """Limit every ORM query of a person's request to what that person may see.

    `execution_options(is_unscoped=True)` lifts it for the rare query that must look further; each says why.
    """
    from sqlalchemy import event

    event.listen(session, "do_orm_execute", _apply_scope)


def _apply_scope(state: ORMExecuteState) -> None:
    if not state.is_orm_statement or state.is_column_load or state.is_relationship_load:
        return
    if not has_request_context() or state.execution_options.get("is_unscoped") or g.get("is_scope_loading"):
        return
    ids = _scope_of_request()
    if ids is not None:
        state.statement = state.statement.options(*_criteria(ids))


def _scope_of_request() -> frozenset[int] | None:
    """The branches of the person whose request this is; None where nothing is limited.

    Asking flask-login loads the user, which is itself a query: it must not ask again.
    """
    g.is_scope_loading = True
    try:
        return branch_ids(current_user) if current_user and current_user.is_authenticated else None
    finally:
        g.is_scope_loading = False


@lru_cache(maxsize=1000)
def _criteria(ids: frozenset[int]) -> tuple[Any, ...]:
    """Made once for the same branches: every statement of a page takes them along."""
    tickets = select(Ticket.id).where(Ticket.branch_id.in_(ids))
    return (
        with_loader_criteria(Ticket, Ticket.branch_id.in_(ids), include_aliases=True),
        with_loader_criteria(Escalation, Escalation.branch_id.in_(ids), include_aliases=True),
        with_loader_criteria(Event, Event.branch_id.in_(ids), include_aliases=True),
        with_loader_criteria(Message, Message.ticket_id.in_(tickets), include_aliases=True),
        with_loader_criteria(Clock, Clock.ticket_id.in_(tickets), include_aliases=True),
    )


def _in_branches(user: User, column: Any) -> ColumnElement[bool]:
    ids = branch_ids(user)
    if ids is None:
        return true()
    return column.in_(ids) if ids else false()


def _access_one(user: User, found: Select[Any], *, for_change: bool = False, noun: str = "ticket") -> Any:
    row = db.session.execute(found).scalar_one_or_none()
    if row is None:
        raise NotFound(
            "There is no such %(noun)s within your reach.",
            noun=noun,
        )
    if for_change:
        check_may_change(user)
    return row


def _load_memberships(user_id: int) -> dict[int, BranchMembership]:
    # The scope of a request is made of these: asking for it here would ask for them twice.
    found = (
        select(BranchMembership)
        .where(BranchMembership.user_id == user_id)
        .options(joinedload(BranchMembership.branch).load_only(Branch.id, Branch.name))
    )
    places = db.session.scalars(found.execution_options(is_unscoped=True))
    return {place.branch_id: place for place in places}


def _kept_for_request(name: str, load: Any) -> Any:
    if not has_request_context():
        return load()
    if name not in g:
        setattr(g, name, load())
    return g.get(name)
