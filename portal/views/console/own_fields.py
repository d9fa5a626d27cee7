"""The desk's own fields on a ticket's page: what each says, and how it is changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import request

from portal import access
from portal.language import gettext
from portal.models import Ticket
from portal.rules import fields as rules
from portal.rules import lifecycle
from portal.services import tickets
from portal.views.console import words
from portal.views.console.answers import done
from portal.views.console.blueprint import ID, blueprint, person


@dataclass(frozen=True)
class Option:
    """One of a list."""

    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True)
class FieldLine:
    """A field with its value: in words, and as its form has it. `is_needed`: the ticket cannot be resolved without."""

    key: str
    name: str
    help: str
    kind: str
    said: str
    written: str
    options: tuple[Option, ...]
    may_be_changed: bool
    is_needed: bool


@blueprint.post(f"/tickets/<{ID}:number>/fields/<key>")
def set_field(number: int, key: str) -> Any:
    found = access.access_ticket_by_number(person(), number, for_change=True)
    tickets.set_field(found, key, request.form.getlist("value"), person())
    return done(number, gettext("The field is changed."))


def lines_of(fields: Sequence[rules.Field], ticket: Ticket) -> tuple[FieldLine, ...]:
    """The fields of the ticket's branch, and those that only have a value left, which can be read."""
    lines = []
    for field in fields:
        value = rules.value_from(ticket.fields.get(field.key))
        has_it = field.is_active and field.is_of(ticket.branch_id)
        if has_it or value is not None:
            lines.append(_line(field, value, ticket, may_be_changed=has_it))
    return tuple(lines)


def _line(
    field: rules.Field, value: rules.Value | None, ticket: Ticket, *, may_be_changed: bool
) -> FieldLine:
    is_open = ticket.status in lifecycle.OPEN_STATUSES
    return FieldLine(
        key=field.key,
        name=field.name,
        help=field.help,
        kind=field.kind,
        said=words.field_value(value, rules.say_value(field, value)),
        written=rules.write_value(value)[0],
        options=_options(field, value),
        may_be_changed=may_be_changed,
        is_needed=may_be_changed and field.is_required and is_open and value is None,
    )


def _options(field: rules.Field, value: rules.Value | None) -> tuple[Option, ...]:
    chosen = rules.write_value(value)
    if field.kind == "yes_no":
        return tuple(Option(word, word.capitalize(), word in chosen) for word in rules.YES_NO)
    return tuple(
        Option(choice.key, choice.label + ("" if choice.is_active else " (retired)"), choice.key in chosen)
        for choice in field.choices
        if choice.is_active or choice.key in chosen
    )
