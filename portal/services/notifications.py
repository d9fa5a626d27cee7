"""What a person is told in the bell of the console."""

from collections.abc import Collection, Iterable, Mapping

from flask_appbuilder.security.sqla.models import Role, User
from sqlalchemy import BigInteger, Integer, any_, cast, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
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


def notify(user_id: int, kind: str, text: str, *, fact_key: str, ticket: Ticket | None = None) -> None:
    """Tell one person a fact, once however often it is told, unless they have muted its kind. Does not commit.

    A `text` that is a Sentence is told to each in their own language.
    """
    notify_all([user_id], kind, text, fact_key=fact_key, ticket=ticket)


def notify_all(
    user_ids: Collection[int], kind: str, text: str, *, fact_key: str, ticket: Ticket | None = None
) -> None:
    """Like notify, for several people in one statement."""
    if not user_ids:
        return
    person = func.unnest(cast(sorted(user_ids), ARRAY(Integer))).column_valued("person")
    is_muted = exists().where(Agent.user_id == person, literal(kind) == any_(Agent.muted_kinds))
    fact = select(
        person,
        literal(kind),
        literal(str(text)),
        literal(as_json(text) if isinstance(text, Sentence) else None, JSONB(none_as_null=True)),
        literal(fact_key[:80]),
        literal(ticket.id if ticket else None, BigInteger),
        literal(now()),
    ).where(~is_muted)
    if ticket is not None:
        # Whoever cannot open it any more hears nothing of it.
        fact = fact.where(access.sees_branch(person, ticket.branch_id))
    columns = ["user_id", "kind", "text", "wording", "fact_key", "ticket_id", "created_at"]
    told = db.session.scalars(
        insert(Notification)
        .from_select(columns, fact)
        .on_conflict_do_nothing(index_elements=["user_id", "fact_key"])
        .returning(Notification.user_id)
    )
    for user_id in told:
        live.after_commit("notified", user_id=user_id)


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
