"""The desk's own fields: their definitions, and what these say of a ticket's values. `tickets.set_field` writes one."""

import json
from functools import cache, lru_cache

from flask import g, has_request_context
from flask_appbuilder.security.sqla.models import User
from sqlalchemy import ScalarSelect, Text, cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from portal import access
from portal.errors import UserFault
from portal.extensions import db
from portal.models import Ticket, TicketField
from portal.models.field import ticket_field_branch
from portal.rules import fields as rules


def check_may_finish(ticket: Ticket) -> None:
    """Raise UserFault, naming them, while fields are empty that the ticket's branch requires for resolving it."""
    reason = why_unfinished(ticket)
    if reason:
        raise UserFault(reason)


def why_unfinished(ticket: Ticket) -> str:
    """Why the ticket cannot be resolved yet; "" where it can. One statement a request."""
    decision = rules.may_finish(definitions(), ticket.fields, ticket.branch_id)
    return "" if decision.allowed else decision.reason


def values_in_words(ticket: Ticket) -> dict[str, str]:
    """What the ticket's fields say, by key, for templates. Reads the definitions only where there is a value."""
    if not ticket.fields:
        return {}
    return {
        field.key: rules.say_value(field, rules.value_from(ticket.fields[field.key]))
        for field in definitions()
        if field.key in ticket.fields
    }


def definitions() -> tuple[rules.Field, ...]:
    """Every field, retired ones included, in their order. One statement a request."""
    kept: tuple[rules.Field, ...] | None = g.get("field_definitions") if has_request_context() else None
    return kept if kept is not None else keep_definitions(db.session.scalar(select(definitions_as_json())))


def visible_definitions(user: User) -> list[rules.Field]:
    """The fields of the branches within the person's reach."""
    ids = access.branch_ids(user)
    return [field for field in definitions() if ids is None or not field.branch_ids or field.branch_ids & ids]


@cache
def definitions_as_json() -> ScalarSelect[str]:
    """Every field in one text of a row: a page that reads a row anyway takes them along, for `keep_definitions`."""
    branches = (
        select(func.jsonb_agg(ticket_field_branch.c.branch_id))
        .where(ticket_field_branch.c.field_id == TicketField.id)
        .correlate(TicketField)
        .scalar_subquery()
    )
    parts = {
        "id": TicketField.id,
        "key": TicketField.key,
        "name": TicketField.name,
        "kind": TicketField.kind,
        "help": TicketField.help_text,
        "choices": TicketField.choices,
        "branch_ids": branches,
        "is_required": TicketField.is_required,
        "is_in_filter": TicketField.is_in_filter,
        "is_active": TicketField.is_active,
    }
    pairs = [item for name, column in parts.items() for item in (literal_column(f"'{name}'"), column)]
    one = func.jsonb_build_object(*pairs)
    ordered = aggregate_order_by(one, TicketField.position, TicketField.name, TicketField.id)
    return select(cast(func.jsonb_agg(ordered), Text)).scalar_subquery()


def keep_definitions(found: str | None) -> tuple[rules.Field, ...]:
    """The fields that `definitions_as_json` has read, kept for the rest of the request."""
    fields = _parsed(found or "[]")
    if has_request_context():
        g.field_definitions = fields
    return fields


@lru_cache(maxsize=8)
def _parsed(text: str) -> tuple[rules.Field, ...]:
    return tuple(
        rules.Field(
            **{
                **one,
                "choices": tuple(rules.Choice(**choice) for choice in one["choices"]),
                "branch_ids": frozenset(one["branch_ids"] or ()),
            }
        )
        for one in json.loads(text)
    )


def is_used(key: str) -> bool:
    """Whether any ticket has a value of that field. Reads every ticket that has values."""
    has_value = select(Ticket.id).where(
        Ticket.fields != literal_column("'{}'::jsonb"), Ticket.fields.has_key(key)
    )
    return bool(db.session.scalar(select(has_value.exists()).execution_options(is_unscoped=True)))
