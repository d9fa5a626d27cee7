"""Of what type a ticket is and how severe, and by what criteria people judge it."""

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import select

from portal.errors import UserFault
from portal.extensions import db
from portal.models import Ticket, TriageCriterion
from portal.models.ticket import SEVERITIES, TICKET_TYPES
from portal.rules import triggers as trigger_rules
from portal.services import events, policies, sla, tickets, triggers
from portal.services.transaction import transaction


def judge(
    ticket: Ticket, actor: User | None, *, ticket_type: str | None = None, severity: str | None = None
) -> None:
    """Say what kind of matter it is, how severe, or both; what is not given stays. Commits.

    One event for each that changes. Raises UserFault for a type or severity that there is not.
    """
    if ticket_type is not None and ticket_type not in TICKET_TYPES:
        raise UserFault("There is no ticket type “%(name)s”.", name=ticket_type)
    if severity is not None and severity not in SEVERITIES:
        raise UserFault("There is no severity “%(name)s”.", name=severity)
    with transaction(ticket):
        tickets.check_not_merged(ticket)
        wanted = {"type": ticket_type, "severity": severity}
        changed = {
            name: value for name, value in wanted.items() if value not in (None, getattr(ticket, name))
        }
        for name, value in changed.items():
            data = {"from": getattr(ticket, name), "to": value}
            setattr(ticket, name, value)
            events.record(f"{name}_changed", ticket=ticket, actor=actor, data=data)
        if "type" in changed:
            policies.place_anew(ticket, ticket.branch, actor, "type_changed")
            sla.refresh(ticket)
            triggers.after_change(ticket, trigger_rules.Change(type=changed["type"]))
        if changed:
            events.announce(ticket)


def criteria() -> dict[tuple[str, str], str]:
    """The text of each type and severity, by kind and value. One statement."""
    found = select(TriageCriterion.kind, TriageCriterion.value, TriageCriterion.text)
    return {(kind, value): text for kind, value, text in db.session.execute(found)}
