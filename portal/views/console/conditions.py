"""What a filter asks for, as conditions of a statement."""

import json
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    String,
    and_,
    cast,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

from portal import access
from portal.models import Identity, Message, Tag, Ticket, User
from portal.models.customer import IDENTITY_KINDS
from portal.models.ticket import ticket_tag
from portal.rules.fields import Condition
from portal.rules.lifecycle import OPEN_STATUSES
from portal.services import fields
from portal.views.console import paging, search

if TYPE_CHECKING:
    from portal.views.console.filters import TicketFilter

AT_RISK_MINUTES = 60

# The words stand in the statement itself: a partial index is not chosen for a parameter.
IS_OPEN = Ticket.status.in_([literal_column(f"'{status}'") for status in OPEN_STATUSES])
IS_SNOOZED = Ticket.snoozed_until.is_not(None)
IS_FOLLOWED = Ticket.follower_ids != literal_column("'{}'::integer[]")
IS_FINISHED = Ticket.status.in_([literal_column("'resolved'"), literal_column("'closed'")])


def conditions_of(wanted: "TicketFilter", user: User) -> list[ColumnElement[bool]]:
    """What the tickets of that filter satisfy; for `user`, who is meant by "me" and "my"."""
    given: list[ColumnElement[bool] | None] = [
        _of_view(wanted.view, user),
        Ticket.status.in_(wanted.status) if wanted.status else None,
        Ticket.branch_id.in_(wanted.branch) if wanted.branch else None,
        Ticket.tier_level == wanted.tier if wanted.tier else None,
        _of_assignee(wanted.assignee, user),
        Ticket.priority.in_(wanted.priority) if wanted.priority else None,
        Ticket.type.in_(wanted.type) if wanted.type else None,
        Ticket.severity.in_(wanted.severity) if wanted.severity else None,
        Ticket.channel_kind.in_(wanted.channel) if wanted.channel else None,
        _tagged(wanted) if wanted.tag or wanted.tag_id or wanted.is_untagged else None,
        _of_customer(wanted.customer) if wanted.customer else None,
        _with_template(wanted.template) if wanted.template else None,
        _of_sla(wanted.sla),
        *_of_days(wanted),
        *_of_fields(wanted.fields, user),
        search.matches(wanted.text, user, wanted.zone) if wanted.text else None,
    ]
    return [condition for condition in given if condition is not None]


def _of_view(view: str, user: User) -> ColumnElement[bool] | None:
    # What is snoozed leaves the lists of work; where clocks or statuses are looked at it stays, for clocks run on.
    narrowed: dict[str, Callable[[], ColumnElement[bool] | None]] = {
        "mine": lambda: and_(~IS_SNOOZED, Ticket.assignee_id == user.id),
        "unassigned": lambda: and_(~IS_SNOOZED, Ticket.assignee_id.is_(None)),
        "branch": lambda: and_(~IS_SNOOZED, _in_own_branches(user)),
        "at_risk": lambda: _of_sla("at_risk"),
        "breached": lambda: and_(Ticket.is_breached),
        "escalated": lambda: and_(~IS_SNOOZED, _on_own_tier(user)),
        "following": lambda: and_(IS_FOLLOWED, Ticket.follower_ids.contains([user.id])),
        "snoozed": lambda: IS_SNOOZED,
        "waiting": lambda: Ticket.status == literal_column("'pending'"),
    }
    if view in narrowed:
        condition = narrowed[view]()
        return IS_OPEN if condition is None else and_(IS_OPEN, condition)
    return {"open": IS_OPEN, "closed": IS_FINISHED}.get(view)


def _in_own_branches(user: User) -> ColumnElement[bool]:
    """The branches that the person is a member of; for someone who sees every branch without one, all of them."""
    own = list(access.memberships(user))
    if not own and access.branch_ids(user) is None:
        return true()
    return Ticket.branch_id.in_(own)


def _on_own_tier(user: User) -> ColumnElement[bool]:
    raised = Ticket.tier_level > literal_column("1")
    places = [
        and_(Ticket.branch_id == branch_id, Ticket.tier_level == place.tier_level)
        for branch_id, place in access.memberships(user).items()
        if place.tier_level > 1
    ]
    return and_(raised, or_(*places)) if places else false()


def _of_assignee(assignees: tuple[str, ...], user: User) -> ColumnElement[bool] | None:
    if not assignees:
        return None
    ids = [user.id if each == "me" else int(each) for each in assignees if each != "none"]
    found = [Ticket.assignee_id.in_(ids)] if ids else []
    return or_(*found, Ticket.assignee_id.is_(None)) if "none" in assignees else found[0]


def _tagged(wanted: "TicketFilter") -> ColumnElement[bool]:
    ids = [select(Tag.id).where(Tag.name.in_(wanted.tag))] if wanted.tag else []
    is_meant = or_(*(ticket_tag.c.tag_id.in_(each) for each in ids), ticket_tag.c.tag_id.in_(wanted.tag_id))
    any_tag = select(ticket_tag.c.ticket_id).where(ticket_tag.c.ticket_id == Ticket.id)
    found = [exists(any_tag.where(is_meant))] if wanted.tag or wanted.tag_id else []
    return or_(*found, ~exists(any_tag)) if wanted.is_untagged else found[0]


def _of_customer(customer: str) -> ColumnElement[bool]:
    if customer.isdigit():
        return Ticket.customer_id == int(customer)
    # By an address of theirs, of whatever kind: the index begins with the kind.
    owners = select(Identity.customer_id).where(
        Identity.kind.in_(IDENTITY_KINDS), Identity.address == customer
    )
    return Ticket.customer_id.in_(owners)


def _with_template(template_ids: tuple[int, ...]) -> ColumnElement[bool]:
    """An answer was written from one of these templates, and was sent."""
    # The table, not the class: the tickets are limited to the person's reach already.
    message = Message.__table__.c
    return exists(
        select(message.id).where(
            message.ticket_id == Ticket.id,
            message.template_id.in_(template_ids),
            message.template_id.is_not(None),
            message.delivery_state.not_in(("scheduled", "cancelled")),
        )
    )


def _of_fields(conditions: tuple[Condition, ...], user: User) -> list[ColumnElement[bool]]:
    """As portal.rules.fields.Condition says. Who asks for what is empty means tickets that have the field."""
    asks_for_empty = any(condition.or_empty for condition in conditions)
    known = {field.key: field for field in fields.visible_definitions(user)} if asks_for_empty else {}
    found = []
    for condition in conditions:
        held = _with_value(condition) if condition.asks_for_value else []
        if not condition.or_empty:
            found += held
            continue
        places = known[condition.key].branch_ids if condition.key in known else frozenset()
        has_field = [Ticket.branch_id.in_(sorted(places))] if places else []
        is_empty = and_(~Ticket.fields.has_key(condition.key), *has_field)
        found.append(or_(is_empty, and_(*held)) if held else is_empty)
    return found


def _with_value(condition: Condition) -> list[ColumnElement[bool]]:
    """The first one lets the index of tickets with values be used."""
    stored = Ticket.fields[condition.key]
    found: list[ColumnElement[bool]] = [Ticket.fields != literal_column("'{}'::jsonb")]
    if condition.any_of:
        wanted = ([value] if condition.is_many else value for value in condition.any_of)
        found.append(or_(*(Ticket.fields.op("@>")(_json({condition.key: value})) for value in wanted)))
    if condition.first is not None:
        found.append(stored >= _json(condition.first))
    if condition.last is not None:
        found.append(stored <= _json(condition.last))
    return found


def _json(value: Any) -> ColumnElement[Any]:
    # As text, which COPY takes as well.
    return cast(literal(json.dumps(value), String), JSONB)


def _of_sla(state: str) -> ColumnElement[bool] | None:
    # The database's clock: the statement is then the same a minute later.
    at: ColumnElement[datetime] = func.statement_timestamp()
    soon = at + literal_column(f"interval '{AT_RISK_MINUTES} minutes'")
    match state:
        case "late":
            return Ticket.is_breached.is_(True)
        case "at_risk":
            return and_(~Ticket.is_breached, paging.DUE.between(at, soon))
        case "in_time":
            return and_(~Ticket.is_breached, Ticket.next_due_at > soon)
        case "paused":
            return Ticket.is_paused.is_(True)
        case "none":
            return and_(Ticket.next_due_at.is_(None), ~Ticket.is_paused)
    return None


def _of_days(wanted: "TicketFilter") -> list[ColumnElement[bool]]:
    zone = ZoneInfo(wanted.zone or "UTC")
    answered = _between(Ticket.first_responded_at, wanted.answered_from, wanted.answered_to, zone)
    if wanted.is_unanswered:
        is_unanswered = Ticket.first_responded_at.is_(None)
        answered = [or_(is_unanswered, and_(*answered)) if answered else is_unanswered]
    return [
        *_between(Ticket.created_at, wanted.opened_from, wanted.opened_to, zone),
        *answered,
        *_between(Ticket.last_activity_at, wanted.activity_from, wanted.activity_to, zone),
    ]


def _between(column: Any, first: date | None, last: date | None, zone: ZoneInfo) -> list[ColumnElement[bool]]:
    begins = [column >= _midnight(first, zone)] if first else []
    return begins + ([column < _midnight(last + timedelta(days=1), zone)] if last else [])


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, tzinfo=zone)
