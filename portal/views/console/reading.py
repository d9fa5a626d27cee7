"""Reads of one ticket: itself, what was said in it, what happened to it, where it stands.

Bodies are fetched no further than they are shown at once: long ones, quoted text and pictures load where they stand.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    any_,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import aliased, defer, joinedload, selectinload

from portal import access
from portal.errors import NotFound
from portal.extensions import db
from portal.models import (
    Attachment,
    Branch,
    Customer,
    Escalation,
    Event,
    Identity,
    Message,
    PolicyVersion,
    Ticket,
    TicketLink,
    User,
)
from portal.rules import escalation as escalation_rules
from portal.rules import sla as sla_rules
from portal.rules.fields import Field
from portal.rules.waits import TicketEvent
from portal.services import escalation, fields, sla
from portal.services.linking import RELATIONS
from portal.views.console import search

MESSAGES_AT_ONCE = 30
MOST_MESSAGES_AT_ONCE = 500
# HTML up to this size stands in the page itself; more of it is fetched by the frame that shows it.
INLINE_LETTERS = 16_000
TEXT_LETTERS = 40_000
OTHER_TICKETS = 8
MOST_CANDIDATES = 10


@dataclass(frozen=True)
class Linked:
    """A ticket that another one has to do with; only what it is to it, where it is out of reach."""

    relation: str
    number: int | None = None
    subject: str = ""
    status: str = ""


@dataclass(frozen=True)
class Found:
    """A ticket, its policy, its open escalations, its followers' names, the desk's own fields, and linked tickets."""

    ticket: Ticket
    policy: PolicyVersion | None
    escalations: tuple[Escalation, ...]
    followers: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    links: tuple[Linked, ...] = ()

    @property
    def escalation(self) -> Escalation | None:
        """The one to its present tier."""
        return next((one for one in self.escalations if one.to_level == self.ticket.tier_level), None)


@dataclass(frozen=True)
class Body:
    """What is shown of a message at once. `html` is empty where it is too long to stand in the page."""

    html: str
    html_length: int
    text: str
    text_length: int
    has_quote: bool


@dataclass(frozen=True)
class Said:
    """A message with the part of its body that is shown at once, and its files."""

    message: Message
    body: Body
    attachments: tuple[Attachment, ...]


@dataclass(frozen=True)
class Thread:
    """Some messages of a ticket, oldest first, and whether there are older ones."""

    said: tuple[Said, ...]
    has_older: bool


@dataclass(frozen=True)
class Fact:
    """An event of the ledger with the name of who did it."""

    id: int
    kind: str
    at: datetime
    actor_id: int | None
    actor_name: str
    actor_kind: str
    message_id: int | None
    data: dict[str, Any]


@dataclass(frozen=True)
class Standing:
    """The ticket's clocks, the newest of each kind, and its escalation path as of now."""

    clocks: tuple[sla_rules.ClockView, ...]
    path: tuple[escalation_rules.PathStep, ...]
    policy: str


def ticket_of(user: User, number: int) -> Found:
    """The ticket with what its page names. Two statements. Raises NotFound out of reach."""
    found = (
        access.visible_tickets(user)
        .add_columns(PolicyVersion, Escalation, _follower_names(), fields.definitions_as_json(), _links())
        .outerjoin(PolicyVersion, PolicyVersion.id == Ticket.policy_version_id)
        # At most one is open for a level, and levels are few.
        .outerjoin(Escalation, and_(Escalation.ticket_id == Ticket.id, Escalation.ended_at.is_(None)))
        .where(Ticket.number == number)
        .options(
            joinedload(Ticket.branch),
            joinedload(Ticket.assignee),
            joinedload(Ticket.snoozed_by),
            joinedload(Ticket.customer).joinedload(Customer.identities),
            selectinload(Ticket.tags),
        )
    )
    rows = db.session.execute(found).unique().all()
    if not rows:
        raise NotFound("There is no such ticket within your reach.")
    ticket, policy, _, followers, definitions, links = rows[0]
    escalations = tuple(row[2] for row in rows if row[2] is not None)
    return Found(
        ticket,
        policy,
        escalations,
        tuple((followers or "").splitlines()),
        fields.keep_definitions(definitions),
        tuple(_linked(user, *each) for each in json.loads(links or "[]")),
    )


@cache
def _follower_names() -> ColumnElement[str]:
    """Those who follow the ticket and may still see it, a name a line."""
    follower = aliased(User)
    name = func.trim(follower.first_name + " " + follower.last_name)
    return (
        select(func.string_agg(name, aggregate_order_by(literal("\n"), name)))
        .where(follower.id == any_(Ticket.follower_ids), access.sees_branch(follower.id, Ticket.branch_id))
        .correlate(Ticket)
        .scalar_subquery()
    )


@cache
def _links() -> ColumnElement[str]:
    """The ticket's links as a JSON text, those to tickets that went into another one left out."""
    # Tables, not rows of the session: what may be shown of a ticket out of reach is decided link by link.
    link, other = TicketLink.__table__.alias(), Ticket.__table__.alias()
    begins_here = link.c.from_ticket_id == Ticket.id
    told = func.json_build_array(
        link.c.kind, begins_here, other.c.branch_id, other.c.number, other.c.subject, other.c.status
    )
    return (
        select(sql_cast(func.json_agg(aggregate_order_by(told, link.c.id)), Text))
        .select_from(link)
        .join(other, other.c.id == case((begins_here, link.c.to_ticket_id), else_=link.c.from_ticket_id))
        .where(or_(begins_here, link.c.to_ticket_id == Ticket.id), other.c.merged_into_id.is_(None))
        .correlate(Ticket)
        .scalar_subquery()
    )


def _linked(  # noqa: PLR0917 - the parts of a link, as _links puts them together
    user: User, kind: str, begins_here: bool, branch_id: int, number: int, subject: str, status: str
) -> Linked:
    relation = RELATIONS[kind, begins_here]
    if not access.may_see_branch(user, branch_id):
        return Linked(relation)
    return Linked(relation, number, subject, status)


def thread_of(ticket: Ticket, *, before: int | None = None, size: int = MESSAGES_AT_ONCE) -> Thread:
    """The newest messages of the ticket, or those before the message of that id. Two statements."""
    found = _with_bodies().where(Message.ticket_id == ticket.id)
    if before is not None:
        border = select(Message.created_at).where(Message.id == before, Message.ticket_id == ticket.id)
        edge = border.scalar_subquery()
        found = found.where(
            or_(Message.created_at < edge, and_(Message.created_at == edge, Message.id < before))
        )
    newest_first = found.order_by(Message.created_at.desc(), Message.id.desc()).limit(size + 1)
    rows = db.session.execute(newest_first).all()
    shown = rows[:size][::-1]
    files = _attachments_of([row[0].id for row in shown])
    said = (Said(message, Body(*body), files.get(message.id, ())) for message, *body in shown)
    return Thread(tuple(said), has_older=len(rows) > size)


def facts_of(ticket: Ticket) -> list[Fact]:
    """Everything that happened to the ticket, in its order, in its former branches as well. One statement."""
    found = (
        select(
            Event.id,
            Event.kind,
            Event.occurred_at,
            Event.actor_id,
            User.first_name,
            User.last_name,
            Event.actor_kind,
            Event.message_id,
            Event.data,
        )
        .outerjoin(User, User.id == Event.actor_id)
        .where(Event.ticket_id == ticket.id)
        .order_by(Event.occurred_at, Event.id)
        .execution_options(is_unscoped=True)
    )
    return [
        Fact(id_, kind, at, actor_id, f"{first or ''} {last or ''}".strip(), actor_kind, message_id, data)
        for id_, kind, at, actor_id, first, last, actor_kind, message_id, data in db.session.execute(found)
    ]


def standing_of(found: Found, facts: list[Fact], at: datetime) -> Standing:
    """Clocks and path from the facts that the page has read already. Reads the calendar and the tiers."""
    ticket = found.ticket
    told = [TicketEvent(fact.kind, fact.at, fact.data, fact.message_id) for fact in facts]
    terms = sla.terms_of_all([ticket], {ticket.id: told})[ticket.id]
    clocks = sla_rules.newest_clocks(told, terms, at)
    path = escalation_rules.escalation_path(escalation.facts_of(ticket, found.escalations), clocks)
    return Standing(tuple(clocks), path, found.policy.name if found.policy else "")


def other_tickets_of(user: User, ticket: Ticket) -> list[Ticket]:
    """The customer's latest other tickets within the person's reach."""
    found = (
        access.visible_tickets(user)
        .where(
            Ticket.customer_id == ticket.customer_id,
            Ticket.id != ticket.id,
            Ticket.merged_into_id.is_(None),
        )
        .order_by(Ticket.last_activity_at.desc(), Ticket.id.desc())
        .limit(OTHER_TICKETS)
    )
    return list(db.session.scalars(found))


def candidates_of(user: User, ticket: Ticket, message: Message | None, text: str) -> list[Ticket]:
    """Tickets that a message, or all of the ticket, could belong to, those of the same customer first.

    Without a text only these, the sender of the message counted as well; else what a search for it finds.
    """
    is_of_customer = Ticket.customer_id == ticket.customer_id
    if message is not None and message.direction == "in" and message.from_address:
        address = message.from_address.strip().lower()
        sender = select(Identity.customer_id).where(Identity.kind == "email", Identity.address == address)
        is_of_customer |= Ticket.customer_id.in_(sender)
    found = (
        access.visible_tickets(user)
        .where(
            search.matches(text, user) if text else is_of_customer,
            Ticket.id != ticket.id,
            Ticket.merged_into_id.is_(None),
            Ticket.status.not_in(("spam", "trash")),
        )
        .order_by(is_of_customer.desc(), Ticket.last_activity_at.desc(), Ticket.id.desc())
        .limit(MOST_CANDIDATES)
        .options(
            defer(Ticket.route),
            joinedload(Ticket.customer).load_only(Customer.id, Customer.name),
            joinedload(Ticket.branch).load_only(Branch.id, Branch.name),
        )
    )
    return list(db.session.scalars(found))


def count_later(message: Message) -> int:
    """How many messages of the ticket came after that one."""
    is_later = or_(
        Message.created_at > message.created_at,
        and_(Message.created_at == message.created_at, Message.id > message.id),
    )
    counted: int = db.session.execute(
        select(func.count()).where(Message.ticket_id == message.ticket_id, is_later)
    ).scalar_one()
    return counted


def merged_number(ticket: Ticket, number: int) -> int | None:
    """The number, if the ticket of it was merged into this one."""
    found = select(Ticket.number).where(Ticket.number == number, Ticket.merged_into_id == ticket.id)
    merged: int | None = db.session.scalar(found)
    return merged


def newer_than(ticket: Ticket, message_id: int, user: User) -> list[Said]:
    """What others have said to or from the customer since that message, oldest first."""
    found = _with_bodies().where(
        Message.ticket_id == ticket.id,
        Message.id > message_id,
        Message.direction != "note",
        or_(Message.author_id.is_(None), Message.author_id != user.id),
    )
    rows = db.session.execute(found.order_by(Message.id).limit(MESSAGES_AT_ONCE)).all()
    files = _attachments_of([row[0].id for row in rows])
    return [Said(message, Body(*body), files.get(message.id, ())) for message, *body in rows]


def newest_message_id(ticket: Ticket) -> int | None:
    """The id of the newest message of the ticket, notes included. One statement."""
    found = select(Message.id).where(Message.ticket_id == ticket.id)
    newest: int | None = db.session.scalar(
        found.order_by(Message.created_at.desc(), Message.id.desc()).limit(1)
    )
    return newest


def _with_bodies() -> Select[Any]:
    html_length, text_length = func.length(Message.html), func.length(Message.text)
    return select(
        Message,
        case((html_length <= INLINE_LETTERS, Message.html), else_=""),
        html_length,
        case((html_length == 0, func.left(Message.text, literal_column(str(TEXT_LETTERS)))), else_=""),
        text_length,
        or_(Message.quoted_text != "", Message.quoted_html != ""),
    ).options(joinedload(Message.author).load_only(User.id, User.first_name, User.last_name))


def _attachments_of(message_ids: list[int]) -> dict[int, tuple[Attachment, ...]]:
    if not message_ids:
        return {}
    found = select(Attachment).where(Attachment.message_id.in_(message_ids)).order_by(Attachment.id)
    files: dict[int, tuple[Attachment, ...]] = {}
    for attachment in db.session.scalars(found):
        assert attachment.message_id is not None
        files[attachment.message_id] = (*files.get(attachment.message_id, ()), attachment)
    return files
