"""Tickets as plain data, for the command line."""

from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import joinedload, selectinload

from portal.extensions import db
from portal.models import Customer, Identity, Message, Ticket
from portal.services.patterns import containing


def tickets_as_data(query: str = "") -> list[dict[str, Any]]:
    """Tickets with their messages, oldest first; `query` matches number, subject and the customer's address or name."""
    found = (
        select(Ticket)
        .options(
            joinedload(Ticket.branch),
            joinedload(Ticket.assignee),
            joinedload(Ticket.customer).selectinload(Customer.identities),
            selectinload(Ticket.messages).undefer(Message.text),
        )
        .order_by(Ticket.id)
    )
    if query.strip():
        found = found.where(_matches(query.strip()))
    return [_ticket(ticket) for ticket in db.session.scalars(found).unique()]


def _matches(query: str) -> Any:
    pattern = containing(query)
    reached: list[ColumnElement[bool]] = [
        Ticket.subject.ilike(pattern),
        Ticket.customer_id.in_(select(Identity.customer_id).where(Identity.address.ilike(pattern))),
        Ticket.customer_id.in_(select(Customer.id).where(Customer.name.ilike(pattern))),
    ]
    if query.lstrip("#").isdigit():
        reached.append(Ticket.number == int(query.lstrip("#")))
    return or_(*reached)


def _ticket(ticket: Ticket) -> dict[str, Any]:
    messages = sorted(ticket.messages, key=lambda message: (message.created_at, message.id))
    return {
        "number": ticket.number,
        "subject": ticket.subject,
        "status": ticket.status,
        "branch": ticket.branch.code,
        "tier": ticket.tier_level,
        "assignee": ticket.assignee.username if ticket.assignee else None,
        "customer": ticket.customer.identities[0].address
        if ticket.customer.identities
        else ticket.customer.name,
        "messages": [_message(message) for message in messages],
    }


def _message(message: Message) -> dict[str, Any]:
    return {
        "direction": message.direction,
        "channel": message.channel_kind,
        "from_address": message.from_address,
        "message_id": message.message_id_header,
        "in_reply_to": message.in_reply_to_header,
        "text": message.text,
        "thread_rule": message.thread_rule,
        "delivery_state": message.delivery_state,
    }
