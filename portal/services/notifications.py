"""What a person is told in the bell of the console."""

from collections.abc import Iterable

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert

from portal import live
from portal.extensions import db
from portal.models import Notification, Ticket
from portal.models.columns import now
from portal.services.transaction import affected, transaction


def notify(user_id: int, kind: str, text: str, *, fact_key: str, ticket: Ticket | None = None) -> None:
    """Tell one person a fact, once however often it is told. Does not commit."""
    db.session.execute(
        insert(Notification)
        .values(
            user_id=user_id,
            kind=kind,
            text=text,
            fact_key=fact_key[:80],
            ticket_id=ticket.id if ticket else None,
        )
        .on_conflict_do_nothing(index_elements=["user_id", "fact_key"])
    )
    live.after_commit("notified", user_id=user_id)


def people(*user_ids: int | None) -> set[int]:
    """Those who are to be told, each once; nobody for None."""
    return {user_id for user_id in user_ids if user_id is not None}


def mark_read(user_id: int, notification_ids: Iterable[int] | None = None) -> int:
    """Mark the person's notifications (all, or those) as read; return how many were not. Commits."""
    mine = update(Notification).where(Notification.user_id == user_id, Notification.read_at.is_(None))
    if notification_ids is not None:
        mine = mine.where(Notification.id.in_(list(notification_ids)))
    with transaction():
        return affected(mine.values(read_at=now()))
