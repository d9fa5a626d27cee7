"""What the search box finds: a number, words of a subject, a customer's name or address, within reach."""

import re
from typing import Any

from sqlalchemy import ColumnElement, Select, select, union_all

from portal import access
from portal.models import Customer, Identity, Ticket, User

# A word that half the desk uses matches hundreds of thousands of tickets; nobody reads further than this.
MOST_MATCHES = 2000
_NUMBER = re.compile(r"#?\s*(\d{1,18})")


def matches(text: str, user: User) -> ColumnElement[bool]:
    """The condition that a ticket is found by that text, of at most MOST_MATCHES a way of finding it.

    Each way is a select of its own with its own index: joined by OR they would read the whole table.
    """
    pattern = f"%{_escaped(text)}%"
    reachable = access.visible_tickets(user).with_only_columns(Ticket.id)
    by_name = select(Customer.id).where(Customer.name.ilike(pattern)).limit(MOST_MATCHES)
    by_address = select(Identity.customer_id).where(Identity.address.ilike(pattern)).limit(MOST_MATCHES)
    ways = [
        reachable.where(Ticket.subject.ilike(pattern)),
        reachable.where(Ticket.customer_id.in_(by_name)),
        reachable.where(Ticket.customer_id.in_(by_address)),
    ]
    number = number_in(text)
    if number is not None:
        ways.append(reachable.where(Ticket.number == number))
    return Ticket.id.in_(union_all(*(_capped(way) for way in ways)))


def number_in(text: str) -> int | None:
    """The ticket number that a text is, if it is one: `10482` or `#10482`."""
    found = _NUMBER.fullmatch(text.strip())
    return int(found[1]) if found else None


def _capped(way: Select[Any]) -> Select[Any]:
    capped = way.limit(MOST_MATCHES).subquery()
    return select(capped.c.id)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
