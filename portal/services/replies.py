"""What agents say: replies to customers and notes to colleagues."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from flask_appbuilder.security.sqla.models import User
from sqlalchemy import ColumnElement, Select, and_, select, update
from sqlalchemy.dialects.postgresql import distinct_on

from portal import access
from portal.channels.email.html import html_to_text, sanitise_reply
from portal.errors import Conflict, UserFault
from portal.extensions import db
from portal.models import Attachment, ChannelAccount, Message, ReplyTemplate, Ticket
from portal.models.columns import now
from portal.rules import lifecycle, subjects, tokens
from portal.rules import sla as rules
from portal.services import (
    accounts,
    assignment,
    drafts,
    escalation,
    events,
    fields,
    following,
    notifications,
    outbox,
    people,
    sla,
    tickets,
)
from portal.services import lifecycle as living
from portal.services.transaction import transaction
from portal.wording import sentence

SNIPPET_LENGTH = 160
MOST_RECIPIENTS = 50
MEGABYTE = 1024 * 1024
LONGEST_WAIT = timedelta(days=366)
_UNSENT = ("scheduled", "cancelled")
_ADDRESS = re.compile(r"[^\s@<>\",;]+@[^\s@<>\",;]+\.?[^\s@<>\",;]*")
_MENTION = re.compile(r'data-mention="@([^"\s]{1,64})"')
_UPLOAD = re.compile(r"/files/([A-Za-z0-9_-]{20,64})/")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What goes out: the words as HTML, to whom, and what is to happen with it.

    Without `to` it goes to whoever wrote last, else to the customer. `about_message_id` is the message that it answers
    or passes on (default: the last one). `seen_message_id` is the newest one that its writer had before them. With
    `send_at` it waits until then. `is_from_draft`: it stood in the writer's draft, which is dropped with the commit.
    `hold_seconds` is how long it can be taken back (default: as long as every answer).
    """

    html: str
    to: Sequence[str] = ()
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    template_id: int | None = None
    attachment_keys: Sequence[str] = ()
    then_status: str | None = None
    resolution_code_id: int | None = None
    about_message_id: int | None = None
    seen_message_id: int | None = None
    send_at: datetime | None = None
    is_from_draft: bool = False
    hold_seconds: int | None = None


def send_reply(ticket: Ticket, actor: User, html: str, **more: Any) -> Message:
    """Answer the customer with these words; `more` are the other fields of an Answer. See `send`."""
    return send(ticket, actor, Answer(html=html, **more))


def send(ticket: Ticket, actor: User, answer: Answer) -> Message:
    """Answer the customer: message, outbox item, status, clocks and event in one commit; delivery follows.

    Conflict when there is a newer message from someone else than the one its writer has seen. Raises UserFault for an
    empty answer, an unfilled placeholder, a bad address or time, or a ticket that takes no answers.
    """
    clean = _checked_html(answer.html, answer.attachment_keys)
    _check_send_at(answer.send_at)
    with transaction(ticket):
        _check_answerable(ticket, actor, answer.seen_message_id)
        account = _speaker(ticket)
        parent = _said(ticket, answer.about_message_id) or last_said(ticket.id)
        message = _outgoing(ticket, actor, clean, account, parent)
        message.to = _recipients(answer.to) or default_recipients(ticket, parent)
        message.cc, message.bcc = _recipients(answer.cc), _recipients(answer.bcc)
        _write(message, actor, account, clean, answer)
        template = _note_template(ticket, actor, message, answer.template_id)
        if answer.send_at is not None:
            _schedule(ticket, message, actor, answer)
        else:
            undo_seconds = current_app.config["SETTINGS"].undo_seconds
            outbox.owe(
                message,
                account,
                wait_seconds=undo_seconds if answer.hold_seconds is None else answer.hold_seconds,
            )
            note_sent(
                ticket,
                message,
                actor,
                template=template,
                then_status=answer.then_status,
                resolution_code_id=answer.resolution_code_id,
            )
    return message


def forward(ticket: Ticket, actor: User, answer: Answer) -> Message:
    """Pass a message on to somebody else. It is no answer to the customer: status and clocks stay. Commits.

    Raises UserFault without an address to send it to, and as `send` does.
    """
    clean = _checked_html(answer.html, answer.attachment_keys)
    with transaction(ticket):
        _check_answerable(ticket, actor, None)
        account = _speaker(ticket)
        about = _said(ticket, answer.about_message_id)
        message = _outgoing(ticket, actor, clean, account, None)
        message.subject = subjects.forwarded_subject(
            about.subject if about is not None and about.subject else ticket.subject, ticket.number
        )
        message.to = _recipients(answer.to)
        message.cc, message.bcc = _recipients(answer.cc), _recipients(answer.bcc)
        if not message.to:
            raise UserFault("Enter an address to forward this message to.")
        message.thread_evidence = {"forwards": about.id if about is not None else None}
        _write(message, actor, account, clean, answer)
        outbox.owe(message, account, wait_seconds=current_app.config["SETTINGS"].undo_seconds)
        ticket.message_count += 1
        events.record(
            "message_forwarded",
            ticket=ticket,
            actor=actor,
            message_id=message.id,
            data={"to": [person["address"] for person in message.to]},
        )
        events.announce(ticket)
    return message


def _write(message: Message, actor: User, account: ChannelAccount, clean: str, answer: Answer) -> None:
    """The row with its Message-ID and files; the draft that it stood in is dropped."""
    ticket = db.session.get_one(Ticket, message.ticket_id)
    db.session.add(message)
    db.session.flush()
    message.message_id_header = tokens.message_id_for(_signing_key(), message.id, _domain(account))
    size_bytes = _claim_uploads(message, actor, clean, answer.attachment_keys)
    _check_size(size_bytes, ticket.branch.attachment_limit_mb)
    if answer.is_from_draft:
        drafts.forget(actor, ticket, "reply")


def note_sent(
    ticket: Ticket,
    message: Message,
    actor: User,
    *,
    template: ReplyTemplate | None = None,
    then_status: str | None = None,
    resolution_code_id: int | None = None,
) -> None:
    """What an answer does to its ticket: assignee, event, status and clocks. Inside the caller's transaction.

    Raises UserFault where the ticket cannot take the chosen status.
    """
    _take_if_unassigned(ticket, actor)
    fact = events.record(
        "reply_sent",
        ticket=ticket,
        actor=actor,
        message_id=message.id,
        occurred_at=message.created_at,
        data={"template_id": template.id if template else None},
    )
    following.tell(
        ticket,
        f"{actor} answered #{ticket.number} {ticket.subject}",
        fact_key=f"followed-{message.id}",
        but=[actor.id],
    )
    is_first = ticket.first_responded_at is None
    clocks = _after_reply(ticket, message, then_status or _status_of(template), actor, resolution_code_id)
    if is_first:
        fact.data = {**fact.data, **_first_response(ticket, message, clocks)}


def add_note(
    ticket: Ticket,
    actor: User,
    html: str,
    *,
    attachment_keys: Sequence[str] = (),
    is_from_draft: bool = False,
) -> Message:
    """Write something that only colleagues see. Commits. Raises UserFault when it is empty."""
    clean = _checked_html(html, attachment_keys)
    with transaction(ticket):
        tickets.check_not_merged(ticket)
        note = Message(
            ticket_id=ticket.id,
            direction="note",
            channel_kind=ticket.channel_kind,
            author_id=actor.id,
            from_name=str(actor),
            html=clean,
            text=html_to_text(clean),
        )
        db.session.add(note)
        db.session.flush()
        _claim_uploads(note, actor, clean, attachment_keys)
        if is_from_draft:
            drafts.forget(actor, ticket, "note")
        ticket.message_count += 1
        mentioned = _tell_mentioned(ticket, note, actor)
        events.record(
            "note_added", ticket=ticket, actor=actor, message_id=note.id, data={"mentioned": mentioned}
        )
        events.announce(ticket)
    return note


def _tell_mentioned(ticket: Ticket, note: Message, actor: User) -> list[int]:
    """Tell the colleagues whom a note names, if they may see the ticket; their ids."""
    usernames = set(_MENTION.findall(note.html)[:MOST_RECIPIENTS])
    if not usernames:
        return []
    found = select(User).where(User.username.in_(usernames), User.active, User.id != actor.id)
    told = [user for user in db.session.scalars(found) if access.may_see_branch(user, ticket.branch_id)]
    for user in told:
        notifications.notify(
            user.id,
            "mentioned",
            sentence(
                "%(who)s mentioned you in #%(number)s %(subject)s",
                who=actor,
                number=ticket.number,
                subject=ticket.subject,
            ),
            ticket=ticket,
            fact_key=f"mentioned-{note.id}",
        )
    return [user.id for user in told]


def _schedule(ticket: Ticket, message: Message, actor: User, answer: Answer) -> None:
    """Until its time the reply counts for nothing: the customer has no answer yet."""
    if answer.then_status in ("resolved", "closed"):
        fields.check_may_finish(ticket)
        tickets.check_code(ticket, answer.then_status, answer.resolution_code_id)
    message.delivery_state, message.send_at = "scheduled", answer.send_at
    message.then_status = answer.then_status or ""
    message.then_resolution_code_id = answer.resolution_code_id
    _take_if_unassigned(ticket, actor)
    assert answer.send_at is not None, "only what has a time is scheduled"
    events.record(
        "reply_scheduled",
        ticket=ticket,
        actor=actor,
        message_id=message.id,
        data={"send_at": answer.send_at.isoformat()},
    )
    events.announce(ticket)


def _check_send_at(send_at: datetime | None) -> None:
    if send_at is not None and not timedelta() < send_at - now() < LONGEST_WAIT:
        raise UserFault("Choose a time within the next year to send this reply at.")


def _speaker(ticket: Ticket) -> ChannelAccount:
    account = accounts.account_for(ticket)
    if account is None:
        raise UserFault("This branch has no mail account to answer from. Ask an admin to add one.")
    return account


def _said(ticket: Ticket, message_id: int | None) -> Message | None:
    """The message of that id in this ticket that somebody outside has or wrote."""
    found = select(Message).where(
        Message.id == message_id, Message.ticket_id == ticket.id, Message.direction != "note"
    )
    return db.session.scalar(found) if message_id is not None else None


def is_answer(message: Message) -> bool:
    """Whether the customer has the message as an answer of a person: not automatic, not passed on, not held back."""
    was_sent = message.delivery_state not in _UNSENT and not message.is_automatic
    return message.direction == "out" and was_sent and "forwards" not in message.thread_evidence


def are_answers() -> ColumnElement[bool]:
    """The condition that says the same of the messages of a query."""
    return and_(
        Message.direction == "out",
        ~Message.is_automatic,
        Message.delivery_state.not_in(_UNSENT),
        ~Message.thread_evidence.has_key("forwards"),
    )


def snippet_of(text: str) -> str:
    """The first words of a text, on one line, for a queue row."""
    return " ".join(text[: SNIPPET_LENGTH * 4].split())[:SNIPPET_LENGTH]


def _checked_html(html: str, attachment_keys: Sequence[str]) -> str:
    if len(html) > drafts.LONGEST_WORDS:
        raise UserFault("This text is too long to be sent as a message. Attach it as a file instead.")
    clean = sanitise_reply(html)
    if "data-unfilled" in clean:
        raise UserFault(
            "A placeholder is still unfilled (it is marked in the text). Fill it in or remove it."
        )
    if not html_to_text(clean).strip() and "<img" not in clean and not attachment_keys:
        raise UserFault("There is nothing to send yet. Write something first.")
    return clean


def _check_answerable(ticket: Ticket, actor: User, seen_message_id: int | None) -> None:
    tickets.check_not_merged(ticket)
    if ticket.status in ("spam", "trash"):
        raise UserFault(
            "This ticket is in %(label)s. Restore it before you answer.",
            label=lifecycle.label(ticket.status, living.current()),
        )
    if seen_message_id is None:
        return
    newer = select(Message).where(
        Message.ticket_id == ticket.id, Message.id > seen_message_id, Message.direction != "note"
    )
    for message in db.session.scalars(newer.order_by(Message.id)):
        if message.author_id != actor.id:
            who = str(message.author) if message.author else message.from_name or message.from_address
            raise Conflict(
                "Meanwhile %(who)s wrote in this ticket. Read it, then send or change your answer.",
                who=who,
            )


def last_said(ticket_id: int, but: int | None = None) -> Message | None:
    """The newest message that has been said to or by the customer, the customer's own first; never the one `but`."""
    found = _said_in([ticket_id]).where(Message.id.is_distinct_from(but)).limit(1)
    return db.session.scalar(found)


def last_said_of(ticket_ids: Collection[int]) -> dict[int, Message]:
    """The same for many tickets at once, by ticket; those in which nothing was said are left out. One statement."""
    found = _said_in(ticket_ids).ext(distinct_on(Message.ticket_id))
    return {message.ticket_id: message for message in db.session.scalars(found)}


def _said_in(ticket_ids: Collection[int]) -> Select[Message]:
    """What can be answered in these tickets, the customer's own and the newest first in each."""
    return (
        select(Message)
        .where(
            Message.ticket_id.in_(ticket_ids),
            Message.direction != "note",
            Message.message_id_header != "",
            ~Message.is_bounce,
            Message.delivery_state.not_in(_UNSENT),
        )
        .order_by(
            Message.ticket_id,
            (Message.direction == "in").desc(),
            Message.created_at.desc(),
            Message.id.desc(),
        )
    )


def _outgoing(
    ticket: Ticket, actor: User, clean: str, account: ChannelAccount, parent: Message | None
) -> Message:
    subject = subjects.strip_reply_prefixes(parent.subject if parent and parent.subject else ticket.subject)
    return Message(
        ticket_id=ticket.id,
        direction="out",
        channel_kind="email",
        account_id=account.id,
        author_id=actor.id,
        from_name=ticket.branch.from_name or ticket.branch.name,
        from_address=account.address,
        subject=subjects.numbered_subject(subject, ticket.number),
        html=signed(clean, ticket, actor),
        text=html_to_text(clean),
        in_reply_to_header=parent.message_id_header if parent else "",
        references_headers=thread_of(parent) if parent else [],
        delivery_state="queued",
        then_status="",
        thread_evidence={},
        created_at=now(),
    )


def thread_of(parent: Message) -> list[str]:
    """The References of an answer to it (RFC 5322 §3.6.4): those of the parent, then the parent."""
    return list(dict.fromkeys([*parent.references_headers, parent.message_id_header]))


def signed(clean: str, ticket: Ticket, actor: User) -> str:
    """The words with the signature of the agent, else of the branch, below."""
    agent = getattr(actor, "agent", None)
    signature = (agent.signature_html if agent else "") or ticket.branch.signature_html
    if not signature.strip():
        return clean
    return f'{clean}<div class="signature">{sanitise_reply(signature)}</div>'


def _recipients(addresses: Iterable[str]) -> list[dict[str, str]]:
    people_: dict[str, dict[str, str]] = {}
    for given in addresses:
        address = given.strip()
        if not address:
            continue
        if not _ADDRESS.fullmatch(address) or len(address) > 320:
            raise UserFault(f"{address!r} is not an e-mail address. Correct it and send again.")
        people_.setdefault(address.lower(), {"name": "", "address": address})
    if len(people_) > MOST_RECIPIENTS:
        raise UserFault(
            "A reply can go to at most %(most)s addresses.",
            most=MOST_RECIPIENTS,
        )
    return list(people_.values())


def default_recipients(
    ticket: Ticket, parent: Message | None, address: str | None = None
) -> list[dict[str, str]]:
    """Where an answer goes when nobody says otherwise: to whoever wrote last. Raises UserFault when nobody is known.

    `address` is the customer's, for callers that ask for many; read here otherwise.
    """
    if parent is not None and parent.direction == "in":
        answer_to = parent.reply_to or [{"name": parent.from_name, "address": parent.from_address}]
        usable = [person for person in answer_to if "@" in person["address"]]
        if usable:
            return usable
    if address is None:
        address = people.address_of(ticket.customer)
    if not address:
        raise UserFault("No e-mail address of this customer is known. Enter one to send the answer to.")
    return [{"name": ticket.customer.name, "address": address}]


def _claim_uploads(message: Message, actor: User, clean: str, attachment_keys: Sequence[str]) -> int:
    """Make the writer's uploads part of the message: those attached, and the pictures the text shows.

    Returns how many bytes they are together.
    """
    shown = set(_UPLOAD.findall(clean))
    wanted = shown | set(attachment_keys)
    if not wanted:
        return 0
    uploads = db.session.scalars(
        select(Attachment).where(
            Attachment.public_key.in_(wanted),
            Attachment.message_id.is_(None),
            Attachment.uploaded_by_id == actor.id,
        )
    )
    found = set()
    size_bytes = 0
    for upload in uploads:
        upload.message_id = message.id
        upload.is_inline = upload.public_key in shown
        upload.content_id = f"{upload.public_key}@inline" if upload.is_inline else ""
        found.add(upload.public_key)
        size_bytes += upload.size_bytes
    missing = set(attachment_keys) - found
    if missing:
        raise UserFault("An attached file is no longer there. Attach it again, then send.")
    return size_bytes


def _check_size(size_bytes: int, limit_mb: int) -> None:
    if size_bytes > limit_mb * MEGABYTE:
        raise UserFault(
            f"The files of this reply are {size_bytes / MEGABYTE:.1f} MB together, and at most {limit_mb} MB can be "
            "sent. Your text is kept: remove a file, or write where it can be downloaded."
        )


def _take_if_unassigned(ticket: Ticket, actor: User) -> None:
    """Whoever answers a ticket that nobody has, has it."""
    if ticket.assignee_id is None and assignment.may_work_in(actor, ticket.branch_id):
        assignment.place(ticket, actor, actor)


def _note_template(
    ticket: Ticket, actor: User, message: Message, template_id: int | None
) -> ReplyTemplate | None:
    template = db.session.get(ReplyTemplate, template_id) if template_id else None
    if template is None:
        return None
    message.template_id = template.id
    db.session.execute(
        update(ReplyTemplate)
        .where(ReplyTemplate.id == template.id)
        .values(sent_count=ReplyTemplate.sent_count + 1)
    )
    events.record(
        "template_sent",
        ticket=ticket,
        actor=actor,
        message_id=message.id,
        data={"template": template.id, "name": template.name},
    )
    return template


def _status_of(template: ReplyTemplate | None) -> str | None:
    chosen: Any = template.actions.get("status") if template else None
    return chosen if chosen in lifecycle.STATUSES else None


def _after_reply(
    ticket: Ticket, message: Message, then_status: str | None, actor: User, resolution_code_id: int | None
) -> list[rules.ClockView]:
    ticket.first_responded_at = ticket.first_responded_at or message.created_at
    ticket.message_count += 1
    ticket.snippet, ticket.is_last_message_ours = snippet_of(message.text), True
    ticket.unread_since = None
    decision = lifecycle.status_after_reply(ticket.status, living.current(), then_status)
    if decision.rule == "not_allowed":
        raise UserFault(decision.reason)
    tickets.change_status(
        ticket, decision.status, actor, rule=decision.rule, resolution_code_id=resolution_code_id
    )
    _acknowledge_own(ticket, actor)
    clocks = sla.refresh(ticket)
    events.announce(ticket)
    return clocks


def _first_response(ticket: Ticket, message: Message, clocks: list[rules.ClockView]) -> dict[str, int]:
    """How long the customer waited for the first answer: by the calendar, and in working time where it is measured."""
    waited = {"first_response_seconds": int((message.created_at - ticket.created_at).total_seconds())}
    measured = next((clock for clock in clocks if clock.kind == "first_response"), None)
    if measured is not None and measured.is_business_time:
        waited["business_seconds"] = measured.elapsed_seconds
    return waited


def _acknowledge_own(ticket: Ticket, actor: User) -> None:
    """An answer from the tier it went to acknowledges an escalation."""
    escalation.acknowledge_open(ticket, actor)


def _signing_key() -> bytes:
    key: bytes = current_app.config["SETTINGS"].signing_keys[0]
    return key


def _domain(account: ChannelAccount) -> str:
    return account.address.rpartition("@")[2]
