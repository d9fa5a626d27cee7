"""What customers did not get: found for the people who answer for it, and sent again."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import select

from portal.errors import Conflict, NotFound
from portal.extensions import db
from portal.models import Branch, Delivery, Message, OutboxItem, Ticket
from portal.services import events, outbox

# Recipients on the page; the newest trouble first.
MOST = 100
_STATES = ("deferred", "failed", "bounced")


@dataclass(frozen=True)
class Undelivered:
    """A recipient who does not have a message: `state` is deferred (tried again by itself), failed or bounced."""

    outbox_item_id: int
    recipient: str
    state: str
    code: int | None
    reason: str
    attempt_count: int
    next_attempt_at: datetime
    written_at: datetime
    is_automatic: bool
    ticket_number: int
    ticket_subject: str
    branch_name: str


def undelivered(branch_ids: Collection[int] | None, limit: int = MOST) -> list[Undelivered]:
    """The newest ones on tickets of those branches (None: of all). One statement; reads only."""
    found = (
        select(
            OutboxItem.id,
            Delivery.recipient,
            Delivery.state,
            Delivery.code,
            Delivery.reply,
            Delivery.attempt_count,
            OutboxItem.next_attempt_at,
            Message.created_at,
            Message.is_automatic,
            Ticket.number,
            Ticket.subject,
            Branch.name,
        )
        .join(Delivery, Delivery.message_id == Message.id)
        .join(OutboxItem, OutboxItem.id == Delivery.outbox_item_id)
        .join(Ticket, Ticket.id == Message.ticket_id)
        .join(Branch, Branch.id == Ticket.branch_id)
        .where(Message.delivery_state.in_(_STATES), Delivery.state.in_(_STATES))
        .order_by(Message.created_at.desc(), Delivery.id)
        .limit(limit)
    )
    if branch_ids is not None:
        found = found.where(Ticket.branch_id.in_(branch_ids))
    rows: Iterable[Any] = db.session.execute(found)
    return [Undelivered(*row) for row in rows]


def retry(outbox_item_id: int, branch_ids: Collection[int] | None, actor: User) -> list[str]:
    """Send that mail again to those who do not have it, and return them. Commits.

    Raises NotFound for one of another branch, Conflict when it is on its way or everybody has it.
    """
    found = (
        select(OutboxItem, Ticket)
        .join(Message, Message.id == OutboxItem.message_id)
        .join(Ticket, Ticket.id == Message.ticket_id)
        .where(OutboxItem.id == outbox_item_id)
    )
    if branch_ids is not None:
        found = found.where(Ticket.branch_id.in_(branch_ids))
    row = db.session.execute(found).one_or_none()
    if row is None:
        raise NotFound("There is no such mail within your reach.")
    item, ticket = row
    recipients = [each.recipient for each in item.deliveries if each.state in _STATES]
    if item.state in ("queued", "sending", "cancelled") or not recipients:
        raise Conflict("This mail is on its way already, or everybody has it. Load the page again.")
    events.record(
        "delivery_retried",
        ticket=ticket,
        actor=actor,
        message_id=item.message_id,
        data={"recipients": recipients},
    )
    outbox.retry(item)
    return recipients
