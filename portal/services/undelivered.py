"""What customers did not get: found for the people who answer for it, and sent again."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import ColumnElement, func, select, true, tuple_

from portal.errors import Conflict, NotFound, UserFault
from portal.extensions import db
from portal.models import Branch, Delivery, Message, OutboxItem, Ticket
from portal.models.columns import now
from portal.services import events, outbox

PAGE_SIZE = 50
# What is counted beside the list's entry: trouble that nobody can have known for long, and that does not end by itself.
NEWS = timedelta(days=7)
MOST_COUNTED = 100
_STATES = ("deferred", "failed", "bounced")
DAMAGED = "The address of this page is damaged. Open the list again from its first page."
_FINAL_STATES = ("failed", "bounced")


@dataclass(frozen=True)
class Undelivered:
    """A recipient who does not have a message: `state` is deferred (tried again by itself), failed or bounced."""

    delivery_id: int
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


@dataclass(frozen=True)
class Page:
    """Some of them, the newest first; `next_cursor` names where the page after it begins, empty on the last one."""

    rows: list[Undelivered]
    next_cursor: str


def undelivered(branch_ids: Collection[int] | None, cursor: str = "", page_size: int = PAGE_SIZE) -> Page:
    """A page of those on tickets of those branches (None: of all). One statement; reads only.

    Raises UserFault for a cursor that is none of ours.
    """
    found = (
        select(
            Delivery.id,
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
        .where(Message.delivery_state.in_(_STATES), Delivery.state.in_(_STATES), _within(branch_ids))
        .order_by(Message.created_at.desc(), Delivery.id.desc())
        .limit(page_size + 1)
    )
    if cursor:
        written_at, delivery_id = _read(cursor)
        # The first of the two is what the index can begin at.
        found = found.where(
            Message.created_at <= written_at,
            tuple_(Message.created_at, Delivery.id) < tuple_(written_at, delivery_id),
        )
    fetched: Iterable[Any] = db.session.execute(found)
    rows = [Undelivered(*row) for row in fetched]
    is_last = len(rows) <= page_size
    rows = rows[:page_size]
    return Page(rows, "" if is_last else f"{rows[-1].written_at.isoformat()}~{rows[-1].delivery_id}")


def count_of_news(branch_ids: Collection[int] | None) -> int:
    """How many recipients lack a mail for good that was written in the last NEWS, up to MOST_COUNTED.

    One statement; reads only.
    """
    found = (
        select(Delivery.id)
        .join(Message, Message.id == Delivery.message_id)
        .join(Ticket, Ticket.id == Message.ticket_id)
        .where(
            Message.delivery_state.in_(_STATES),
            Message.created_at > now() - NEWS,
            Delivery.state.in_(_FINAL_STATES),
            _within(branch_ids),
        )
        .limit(MOST_COUNTED)
    )
    return db.session.scalar(select(func.count()).select_from(found.subquery())) or 0


def retry(outbox_item_id: int, branch_ids: Collection[int] | None, actor: User) -> list[str]:
    """Send that mail again to those who do not have it, and return them. Commits.

    Raises NotFound for one of another branch, Conflict when it is on its way or everybody has it.
    """
    found = (
        select(OutboxItem, Ticket)
        .join(Message, Message.id == OutboxItem.message_id)
        .join(Ticket, Ticket.id == Message.ticket_id)
        .where(OutboxItem.id == outbox_item_id, _within(branch_ids))
    )
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


def _within(branch_ids: Collection[int] | None) -> ColumnElement[bool]:
    return true() if branch_ids is None else Ticket.branch_id.in_(branch_ids)


def _read(cursor: str) -> tuple[datetime, int]:
    moment, _, number = cursor.partition("~")
    try:
        written_at, delivery_id = datetime.fromisoformat(moment), int(number)
    except ValueError:
        raise UserFault(DAMAGED) from None
    if written_at.tzinfo is None or not 0 <= delivery_id < 2**63:
        raise UserFault(DAMAGED)
    return written_at, delivery_id
