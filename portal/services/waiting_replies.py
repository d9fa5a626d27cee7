"""Replies that wait: until their time comes, or until the time for second thoughts is over."""

import re

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import select, update

from portal.errors import Conflict, UserFault
from portal.extensions import db
from portal.models import ChannelAccount, Event, Message, OutboxItem, ReplyTemplate, Ticket
from portal.models.columns import now
from portal.services import (
    drafts,
    events,
    fields,
    notifications,
    outbox,
    replies,
    sla,
    snoozing,
    tickets,
    uploads,
)
from portal.services.transaction import affected, transaction
from portal.wording import sentence

_SIGNATURE = re.compile(r'<div class="signature">.*\Z', re.DOTALL)


def cancel_sending(message: Message, actor: User) -> None:
    """Take a reply back that is not on its way yet; its words are the writer's draft again. Commits.

    The ticket becomes what it was: the reply never counted. Raises Conflict when it is too late.
    """
    ticket = db.session.get_one(Ticket, message.ticket_id)
    with transaction(ticket):
        was_scheduled = message.delivery_state == "scheduled"
        stopped = was_scheduled or affected(
            update(OutboxItem)
            .where(OutboxItem.message_id == message.id, OutboxItem.state == "queued")
            .values(state="cancelled")
        )
        if not stopped:
            raise Conflict("This reply is already on its way and cannot be taken back.")
        _take_back(ticket, message, actor)
        events.record("reply_cancelled", ticket=ticket, actor=actor, message_id=message.id)
        if not was_scheduled:
            _undo_answer(ticket, message, actor)
            # What is to be written anew is not to be out of sight.
            snoozing.end(ticket, actor, "reply_taken_back")
        events.announce(ticket)


def release_due(limit: int = 50) -> int:
    """Send the replies whose time has come; return how many there were. Commits after each."""
    found = select(Message.id).where(Message.delivery_state == "scheduled", Message.send_at <= now())
    ids = list(db.session.scalars(found.order_by(Message.send_at).limit(limit)))
    for message_id in ids:
        _release(message_id)
        db.session.remove()
    return len(ids)


def has_due() -> bool:
    """Whether a reply waits whose time has come. Reads only."""
    due = select(Message.id).where(Message.delivery_state == "scheduled", Message.send_at <= now())
    return db.session.scalar(due.limit(1)) is not None


def _release(message_id: int) -> None:
    message = db.session.get_one(Message, message_id)
    ticket = db.session.get_one(Ticket, message.ticket_id)
    with transaction(ticket, message):
        if message.delivery_state != "scheduled" or message.author is None:
            return
        author = message.author
        newer = select(Message.id).where(
            Message.ticket_id == ticket.id,
            Message.direction == "in",
            ~Message.is_auto_reply,
            Message.created_at > message.created_at,
        )
        account = db.session.get(ChannelAccount, message.account_id or 0)
        if account is None or ticket.status in ("spam", "trash") or db.session.scalar(newer.limit(1)):
            _hold_back(ticket, message, author)
            return
        message.created_at, message.delivery_state = now(), "queued"
        outbox.owe(message, account)
        template = db.session.get(ReplyTemplate, message.template_id) if message.template_id else None
        then_status = _status_still_possible(ticket, message, author)
        replies.note_sent(
            ticket,
            message,
            author,
            template=template,
            then_status=then_status,
            resolution_code_id=message.then_resolution_code_id if then_status else None,
        )


def _status_still_possible(ticket: Ticket, message: Message, author: User) -> str | None:
    """The status that the reply is to bring, unless the ticket has come to lack what that needs; it is sent anyway."""
    if message.then_status in ("resolved", "closed"):
        try:
            fields.check_may_finish(ticket)
            tickets.check_code(ticket, message.then_status, message.then_resolution_code_id)
        except UserFault as fault:
            notifications.notify(
                author.id,
                "held_back",
                sentence(
                    "Your reply in #%(number)s was sent, but the ticket was not resolved. %(fault)s",
                    number=ticket.number,
                    fault=fault.sentence,
                ),
                ticket=ticket,
                fact_key=f"not-resolved-{message.id}",
            )
            return None
    return message.then_status or None


def _hold_back(ticket: Ticket, message: Message, author: User) -> None:
    """What was written before the customer wrote again may be wrong now: its writer decides."""
    _take_back(ticket, message, author)
    events.record("reply_held_back", ticket=ticket, message_id=message.id)
    notifications.notify(
        author.id,
        "held_back",
        sentence(
            "Your reply in #%(number)s was not sent, because the ticket has changed. It is your draft again.",
            number=ticket.number,
        ),
        ticket=ticket,
        fact_key=f"held-back-{message.id}",
    )
    events.announce(ticket)


def _take_back(ticket: Ticket, message: Message, actor: User) -> None:
    """The message goes nowhere, and its words and files are a draft of its writer's, unless they write one already."""
    message.delivery_state, message.send_at = "cancelled", None
    if message.author_id != actor.id or "reply" in drafts.drafts_of(actor, ticket):
        return
    keys = []
    for attachment in message.attachments:
        copy = uploads.copy_of(attachment, actor)
        message.html = message.html.replace(attachment.public_key, copy.public_key)
        if not attachment.is_inline:
            keys.append(copy.public_key)
    drafts.put_back(
        actor,
        ticket,
        drafts.Written(
            html=_SIGNATURE.sub("", message.html),
            to=", ".join(person["address"] for person in message.to),
            cc=", ".join(person["address"] for person in message.cc),
            bcc=", ".join(person["address"] for person in message.bcc),
            mode="forward" if "forwards" in message.thread_evidence else "reply",
            template_id=message.template_id,
            attachment_keys=keys,
        ),
    )


def _undo_answer(ticket: Ticket, message: Message, actor: User) -> None:
    """Status, first answer and clocks as if the message had not been written."""
    changed = db.session.scalar(
        select(Event.data)
        .where(
            Event.ticket_id == ticket.id,
            Event.kind == "status_changed",
            Event.actor_id == message.author_id,
            Event.occurred_at >= message.created_at,
            Event.data["rule"].astext.in_(("answered", "chosen")),
        )
        .order_by(Event.occurred_at.desc())
        .limit(1)
    )
    if changed and changed["to"] == ticket.status:
        tickets.change_status(ticket, changed["from"], actor, rule="taken_back")
    answers = select(Message.created_at).where(
        Message.ticket_id == ticket.id,
        replies.are_answers(),
    )
    db.session.flush()
    ticket.first_responded_at = db.session.scalar(answers.order_by(Message.created_at).limit(1))
    newest = replies.last_said(ticket.id, but=message.id)
    if newest is not None:
        ticket.snippet, ticket.is_last_message_ours = (
            replies.snippet_of(newest.text),
            newest.direction == "out",
        )
    sla.refresh(ticket)
