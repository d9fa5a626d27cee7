"""Type and severity, chosen beside the criteria of the desk."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import request

from portal import access
from portal.language import gettext
from portal.models.ticket import SEVERITIES, TICKET_TYPES
from portal.services import triage
from portal.views.console import words
from portal.views.console.answers import done
from portal.views.console.blueprint import ID, blueprint, person
from portal.views.console.ticket import piece


@dataclass(frozen=True)
class Choice:
    """One type or severity with when it fits."""

    value: str
    label: str
    says: str


@dataclass(frozen=True)
class Question:
    """The field of the form, its name for people, what is chosen now, and what can be."""

    name: str
    label: str
    chosen: str
    choices: tuple[Choice, ...]


@blueprint.get(f"/tickets/<{ID}:number>/triage")
def ask_triage(number: int) -> str:
    ticket = access.access_ticket_by_number(person(), number, for_change=True)
    says = triage.criteria()
    questions = (
        Question("type", gettext("Type"), ticket.type, _choices("type", TICKET_TYPES, words.TYPES, says)),
        Question(
            "severity",
            gettext("Severity"),
            ticket.severity,
            # The worst first, which is what has to be ruled out.
            _choices("severity", SEVERITIES[::-1], words.SEVERITIES, says),
        ),
    )
    may_edit = access.ADMIN in access.role_names(person())
    return piece(
        "console/_triage.html",
        gettext("Type and severity of #%(number)s", number=number),
        ticket=ticket,
        questions=questions,
        may_edit=may_edit,
    )


@blueprint.post(f"/tickets/<{ID}:number>/triage")
def judge(number: int) -> Any:
    """Of the two, what the form holds."""
    ticket = access.access_ticket_by_number(person(), number, for_change=True)
    triage.judge(
        ticket, person(), ticket_type=request.form.get("type"), severity=request.form.get("severity")
    )
    return done(number, gettext("Type and severity are set."))


def _choices(
    kind: str, values: tuple[str, ...], labels: Mapping[str, str], says: Mapping[tuple[str, str], str]
) -> tuple[Choice, ...]:
    return tuple(Choice(value, labels[value], says.get((kind, value), "")) for value in values)
