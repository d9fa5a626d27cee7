"""What a person is told in the bell of the console."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from flask_appbuilder.security.sqla.models import Role, User
from sqlalchemy import (
    BigInteger,
    Integer,
    TableValuedAlias,
    Text,
    any_,
    cast,
    column,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import joinedload

from portal import access, live
from portal.extensions import db
from portal.models import Agent, Notification, Ticket
from portal.models.columns import now
from portal.services.transaction import affected, transaction
from portal.wording import N_, Sentence, as_json

# What people are told, in the words of the page where they choose what they want to hear of.
KINDS: Mapping[str, str] = {
    "assigned": N_("A ticket is assigned to me"),
    "answered": N_("A customer writes in a ticket of mine"),
    "followed": N_("Something happens in a ticket that I follow"),
    "woken": N_("A ticket that I snoozed, or a snoozed one of mine, is back"),
    "mentioned": N_("A colleague mentions me in a note"),
    "escalated": N_("A ticket is escalated to my tier"),
    "unacknowledged": N_("An escalation needs me: I am next on call, or lead the branch"),
    "sla_warned": N_("A ticket of mine is nearly due"),
    "sla_breached": N_("A ticket of mine is late"),
    "bounced": N_("An answer of mine came back undelivered"),
    "delivery_failed": N_("An answer of mine could not be delivered"),
    "mailbox_warning": N_("A mailbox is about to stop working (admins)"),
    "target_failing": N_("A chat service or webhook of a tier keeps failing (admins)"),
    "held_back": N_("An answer that I wrote for later was held back"),
}
MOST_SHOWN = 30
MOST_COUNTED = 100
_HELD = "held_notifications"


def notify(user_id: int, kind: str, text: str, *, fact_key: str, ticket: Ticket | None = None) -> None:
    """Tell one person a fact, once however often it is told, unless they have muted its kind. Does not commit.

    A `text` that is a Sentence is told to each in their own language.
    """
    notify_all([user_id], kind, text, fact_key=fact_key, ticket=ticket)


def notify_all(
    user_ids: Collection[int], kind: str, text: str, *, fact_key: str, ticket: Ticket | None = None
) -> None:
    """Like notify, for several people in one statement."""
    wording = as_json(text) if isinstance(text, Sentence) else None
    about = {"ticket_id": ticket.id, "branch_id": ticket.branch_id} if ticket else {}
    fact = {"kind": kind, "text": str(text), "wording": wording, "fact_key": fact_key[:80], **about}
    tellings = [{"person": user_id, **fact} for user_id in sorted(user_ids)]
    held = db.session.info.get(_HELD)
    if held is None:
        _tell(tellings)
    else:
        held.extend(tellings)


@contextmanager
def held() -> Iterator[None]:
    """What people are told of within it is written at its end, all in one statement. Does not commit."""
    tellings: list[dict[str, Any]] = []
    db.session.info[_HELD] = tellings
    try:
        yield
    finally:
        del db.session.info[_HELD]
    _tell(tellings)


def _tell(tellings: Sequence[Mapping[str, Any]]) -> None:
    """Those who have not muted it, and can still open the ticket where it is about one."""
    if not tellings:
        return
    told = _told(tellings)
    is_muted = exists().where(Agent.user_id == told.c.person, told.c.kind == any_(Agent.muted_kinds))
    may_open = or_(told.c.ticket_id.is_(None), access.sees_branch(told.c.person, told.c.branch_id))
    columns = ["user_id", "kind", "text", "wording", "fact_key", "ticket_id", "created_at"]
    facts = select(
        *(told.c[name] for name in ("person", "kind", "text", "wording", "fact_key", "ticket_id")),
        literal(now()),
    )
    written = db.session.scalars(
        insert(Notification)
        .from_select(columns, facts.where(~is_muted, may_open))
        .on_conflict_do_nothing(index_elements=["user_id", "fact_key"])
        .returning(Notification.user_id)
    )
    for user_id in written:
        live.after_commit("notified", user_id=user_id)


def _told(tellings: Sequence[Mapping[str, Any]]) -> TableValuedAlias:
    rows = func.jsonb_to_recordset(cast(tellings, JSONB)).table_valued(
        column("person", Integer),
        column("kind", Text),
        column("text", Text),
        column("wording", JSONB),
        column("fact_key", Text),
        column("ticket_id", BigInteger),
        column("branch_id", Integer),
        name="told",
    )
    return rows.render_derived(with_types=True)


def newest_of(user: User) -> list[Notification]:
    """The person's newest notifications, with their tickets. One statement."""
    found = access.visible_notifications(user).options(joinedload(Notification.ticket))
    return list(db.session.scalars(found.order_by(Notification.created_at.desc()).limit(MOST_SHOWN)))


def count_unread(user: User) -> int:
    """How many the person has not read; MOST_COUNTED stands for that many or more. One statement."""
    unread = access.visible_notifications(user).where(Notification.read_at.is_(None)).limit(MOST_COUNTED)
    return db.session.scalar(select(func.count()).select_from(unread.subquery())) or 0


def people(*user_ids: int | None) -> set[int]:
    """Those who are to be told, each once; nobody for None."""
    return {user_id for user_id in user_ids if user_id is not None}


def admin_ids() -> list[int]:
    """The ids of everybody who may set up the desk. One statement."""
    found = select(User.id).join(User.roles).where(Role.name == "Admin", User.active.is_(True))
    return list(db.session.scalars(found.order_by(User.id)))


def mark_read(user_id: int, notification_ids: Iterable[int] | None = None) -> int:
    """Mark the person's notifications (all, or those) as read; return how many were not. Commits."""
    mine = update(Notification).where(Notification.user_id == user_id, Notification.read_at.is_(None))
    if notification_ids is not None:
        mine = mine.where(Notification.id.in_(list(notification_ids)))
    with transaction():
        return affected(mine.values(read_at=now()))
