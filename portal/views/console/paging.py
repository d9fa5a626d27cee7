"""Pages of a list by key: page 1,000 costs what page 1 costs, and a row that moves is neither lost nor doubled.

An address carries where the last page ended (`after`), never how many rows to skip.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, DateTime, Integer, Select, func, literal_column, tuple_
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import InstrumentedAttribute

from portal.errors import UserFault
from portal.language import lazy_gettext
from portal.models import Ticket
from portal.models.branch import PRIORITIES
from portal.models.ticket import URGENCY_ORDER

if TYPE_CHECKING:
    from portal.views.console.lists import Listed

PAGE_SIZE = 50
NEVER = "infinity"
# As in portal.models.ticket.DUE_ORDER, which the indexes hold, with the table's name.
DUE = func.coalesce(Ticket.next_due_at, literal_column(f"'{NEVER}'::timestamptz"))
BACK = func.coalesce(Ticket.snoozed_until, literal_column(f"'{NEVER}'::timestamptz"))
# As in portal.models.ticket.URGENCY_ORDER, which the indexes hold, with the table's name.
URGENCY: ColumnElement[int] = literal_column(
    URGENCY_ORDER.text.replace("priority:", "ticket.priority:"), Integer()
)


@dataclass(frozen=True)
class Key:
    """One part of an order: what the database compares, and its text for a row and back."""

    column: ColumnElement[Any] | InstrumentedAttribute[Any]
    write: Callable[[Any], str]
    read: Callable[[str], Any]


@dataclass(frozen=True)
class Order:
    """A sorting whose parts all run the same way, so that one row comparison finds where to go on."""

    name: str
    label: str
    keys: tuple[Key, ...]
    is_descending: bool = False

    def applied(self, tickets: Select[Any]) -> Select[Any]:
        """The select in this order."""
        parts = [key.column for key in self.keys]
        return tickets.order_by(*(part.desc() for part in parts) if self.is_descending else parts)

    def beyond(self, cursor: str) -> ColumnElement[bool]:
        """The rows that come after the one that the cursor names. Raises UserFault for a damaged one."""
        parts = cursor.split("~")
        if len(parts) != len(self.keys):
            raise UserFault(DAMAGED)
        try:
            values = [key.read(part) for key, part in zip(self.keys, parts, strict=True)]
        except (ValueError, OverflowError) as error:
            raise UserFault(DAMAGED) from error
        columns = tuple_(*(key.column for key in self.keys))
        return columns < tuple_(*values) if self.is_descending else columns > tuple_(*values)

    def cursor(self, ticket: "Ticket | Listed") -> str:
        """The cursor that names this row."""
        return "~".join(key.write(ticket) for key in self.keys)


DAMAGED = "The address of this page is damaged. Open the list again from its first page."


def _moment(text: str) -> Any:
    if text == NEVER:
        return literal_column(f"'{NEVER}'::timestamptz")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment without its zone")
    return sql_cast(moment, DateTime(timezone=True))


def _number(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**63:
        raise ValueError("not an id")
    return number


def _due(ticket: "Ticket | Listed") -> str:
    return ticket.next_due_at.isoformat() if ticket.next_due_at else NEVER


def _back(ticket: "Ticket | Listed") -> str:
    return ticket.snoozed_until.isoformat() if ticket.snoozed_until else NEVER


_ID = Key(Ticket.id, lambda ticket: str(ticket.id), _number)
_DUE = Key(DUE, _due, _moment)
_BACK = Key(BACK, _back, _moment)
_OPENED = Key(Ticket.created_at, lambda ticket: ticket.created_at.isoformat(), _moment)
_ACTIVITY = Key(Ticket.last_activity_at, lambda ticket: ticket.last_activity_at.isoformat(), _moment)
_URGENCY = Key(URGENCY, lambda ticket: str(len(PRIORITIES) - PRIORITIES.index(ticket.priority)), _number)

ORDERS: dict[str, Order] = {
    order.name: order
    for order in (
        Order("due", lazy_gettext("Due first"), (_DUE, _ID)),
        Order("newest", lazy_gettext("Newest first"), (_OPENED, _ID), is_descending=True),
        Order("oldest", lazy_gettext("Oldest first"), (_OPENED, _ID)),
        Order("priority", lazy_gettext("Most urgent first"), (_URGENCY, _DUE, _ID)),
        Order("back", lazy_gettext("Back soonest"), (_BACK, _ID)),
        Order("activity", lazy_gettext("Latest activity"), (_ACTIVITY, _ID), is_descending=True),
    )
}
