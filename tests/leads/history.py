"""Facts of the ledger for tests, each told in one line."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from portal.extensions import db
from portal.models import Branch, Ticket, User
from portal.services import events, metrics
from portal.services.metrics import Board, Period
from tests.factory import Factory

# A period of ten days in the past, so that nothing depends on when the tests run.
PERIOD = Period(date(2026, 3, 11), date(2026, 3, 20))
DURING = datetime(2026, 3, 12, 9, tzinfo=UTC)
BEFORE = datetime(2026, 3, 4, 9, tzinfo=UTC)
LONG_BEFORE = datetime(2026, 2, 4, 9, tzinfo=UTC)


def opened(make: Factory, branch: Branch, at: datetime = DURING, **values: Any) -> Ticket:
    """A ticket with its opening in the ledger."""
    ticket = make.ticket(branch, created_at=at, **values)
    tell("ticket_opened", ticket, at, actor_kind="customer")
    return ticket


def answered(ticket: Ticket, agent: User, after: timedelta, **data: Any) -> None:
    """The first answer of the ticket, so long after it was opened."""
    seconds = int(after.total_seconds())
    message_id = data.pop("message_id", None)
    facts = {"template_id": None, "first_response_seconds": seconds, **data}
    tell("reply_sent", ticket, ticket.created_at + after, actor=agent, data=facts, message_id=message_id)


def tell(kind: str, ticket: Ticket | None, at: datetime, **more: Any) -> None:
    """Any fact at any time."""
    events.record(kind, ticket=ticket, occurred_at=at, **more)
    db.session.flush()


def board(*branches: Branch, period: Period = PERIOD) -> Board:
    """The figures of those branches."""
    return metrics.board(branches, period)
