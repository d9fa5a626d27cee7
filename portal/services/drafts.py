"""Drafts: what somebody is writing survives a crash, opens on another machine, and is nobody else's."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import Select, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from portal import access
from portal.channels.email.html import html_to_text, sanitise_reply
from portal.errors import Conflict, UserFault
from portal.extensions import db
from portal.models import Attachment, Draft, Message, ReplyTemplate, Ticket
from portal.models.columns import now
from portal.services.transaction import transaction

LONGEST_WORDS = 2_000_000
LONGEST_ADDRESSES = 20_000
MOST_FILES = 20


@dataclass(frozen=True, kw_only=True)
class Written:
    """What stands in the composer."""

    html: str
    to: str = ""
    cc: str = ""
    bcc: str = ""
    mode: str = "reply"
    about_message_id: int | None = None
    template_id: int | None = None
    attachment_keys: Sequence[str] = ()
    seen_message_id: int | None = None


def drafts_of(user: User, ticket: Ticket) -> dict[str, Draft]:
    """The person's drafts for this ticket by kind. One statement."""
    found = access.own_drafts(user).where(Draft.ticket_id == ticket.id)
    return {draft.kind: draft for draft in db.session.scalars(found)}


def keep(
    user: User, ticket: Ticket, kind: str, written: Written, *, revision: int | None, window: str = ""
) -> int:
    """Keep what stands in the composer; return the draft's revision, 0 where an empty one was dropped. Commits.

    `revision` is the one that the `window` has last seen (0 for none yet). Raises Conflict when another window has kept
    something since; None keeps it all the same. Raises UserFault for a text beyond the limit.
    """
    if len(written.html) > LONGEST_WORDS:
        raise UserFault("This text is too long to be kept as a draft. Attach it as a file instead.")
    values = _values(ticket, written)
    with transaction():
        present = db.session.scalars(_of(user, ticket, kind).with_for_update()).one_or_none()
        is_behind = revision is not None and present is not None and present.revision != revision
        # One window may have several savings on their way at once, as when it is closed.
        if is_behind and present is not None and present.window != window[:36]:
            raise Conflict("You went on with this draft in another window. What you wrote there is newer.")
        if not (
            html_to_text(values["html"]).strip() or "<img" in values["html"] or values["attachment_keys"]
        ):
            if present is not None:
                db.session.delete(present)
            return 0
        fresh = {
            **values,
            "revision": (present.revision if present else 0) + 1,
            "updated_at": now(),
            "window": window[:36],
        }
        kept = insert(Draft).values(user_id=user.id, ticket_id=ticket.id, kind=kind, **fresh)
        db.session.execute(
            kept.on_conflict_do_update(index_elements=["user_id", "ticket_id", "kind"], set_=fresh)
        )
    return int(fresh["revision"])


def forget(user: User, ticket: Ticket, kind: str) -> None:
    """Drop the draft: it was sent. Inside the caller's transaction."""
    db.session.execute(
        delete(Draft).where(Draft.user_id == user.id, Draft.ticket_id == ticket.id, Draft.kind == kind)
    )


def take_along(ticket: Ticket, into: Ticket) -> None:
    """Drafts of a ticket that becomes part of another go there, where their writers have none. Does not commit."""
    db.session.execute(
        # Whoever merges takes everybody's drafts along.
        update(Draft)
        .where(Draft.ticket_id == ticket.id, ~_has_one(into.id).exists())
        .values(ticket_id=into.id)
        .execution_options(synchronize_session=False)
    )


def would_go_along(ticket: Ticket, into: Ticket) -> list[int]:
    """The ids of the drafts that `take_along` would take. Reads only."""
    found = select(Draft.id).where(Draft.ticket_id == ticket.id, ~_has_one(into.id).exists())
    return list(db.session.scalars(found))


def bring_back(ticket: Ticket, draft_ids: Sequence[int], since: datetime) -> None:
    """Drafts that went along with a merged ticket stand there again. Does not commit.

    One that its writer went on with since, where it went, belongs to what they see there and stays.
    """
    db.session.execute(
        update(Draft)
        .where(Draft.id.in_(draft_ids), Draft.updated_at <= since, ~_has_one(ticket.id).exists())
        .values(ticket_id=ticket.id)
        .execution_options(synchronize_session=False)
    )


def put_back(user: User, ticket: Ticket, written: Written) -> None:
    """Make words that were taken back the person's draft of a reply. Inside the caller's transaction."""
    db.session.add(Draft(user_id=user.id, ticket_id=ticket.id, kind="reply", **_values(ticket, written)))


def files_of(user: User, draft: Draft) -> list[Attachment]:
    """The person's own uploads that the draft holds, in its order; those that are gone are left out."""
    if not draft.attachment_keys:
        return []
    found = select(Attachment).where(
        Attachment.public_key.in_(draft.attachment_keys),
        Attachment.uploaded_by_id == user.id,
        Attachment.message_id.is_(None),
    )
    by_key = {each.public_key: each for each in db.session.scalars(found)}
    return [by_key[key] for key in draft.attachment_keys if key in by_key]


def _is_empty(values: dict[str, Any]) -> bool:
    """Whether nothing would be lost without it: no words, no file, and not begun on a message that was chosen."""
    has_words = html_to_text(values["html"]).strip() or "<img" in values["html"]
    return not (has_words or values["attachment_keys"] or values["about_message_id"])


def _has_one(ticket_id: int) -> Select[Any]:
    """Whether the writer of a draft has one of its kind there."""
    there = aliased(Draft)
    return select(there.id).where(
        there.ticket_id == ticket_id, there.user_id == Draft.user_id, there.kind == Draft.kind
    )


def _of(user: User, ticket: Ticket, kind: str) -> Select[Draft]:
    return access.own_drafts(user).where(Draft.ticket_id == ticket.id, Draft.kind == kind)


def _values(ticket: Ticket, written: Written) -> dict[str, Any]:
    values = asdict(written)
    values["html"] = sanitise_reply(written.html)
    for name in ("to", "cc", "bcc"):
        values[name] = values[name][:LONGEST_ADDRESSES]
    values["attachment_keys"] = list(written.attachment_keys)[:MOST_FILES]
    about = written.about_message_id
    if about is not None:
        is_here = select(Message.id).where(Message.id == about, Message.ticket_id == ticket.id)
        values["about_message_id"] = db.session.scalar(is_here)
    if written.template_id is not None and db.session.get(ReplyTemplate, written.template_id) is None:
        values["template_id"] = None
    return values
