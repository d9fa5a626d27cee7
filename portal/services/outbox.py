"""What is owed to the outside, and its delivery: every recipient once, whatever stops us in between."""

import re
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from flask import current_app
from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import undefer

from portal import enqueue, faults, storage
from portal.channels.base import RecipientResult
from portal.channels.email import domain_keys
from portal.channels.email.composing import InlineImage, MailAttachment, Mailbox, OutgoingMail, compose
from portal.channels.email.smtp import send
from portal.errors import Permanent, Retryable
from portal.extensions import db
from portal.models import ChannelAccount, Delivery, Message, OutboxItem, Ticket
from portal.models.columns import now
from portal.rules import tokens
from portal.secrets_box import unseal
from portal.services import accounts, events, notifications, rows, suppression
from portal.services.transaction import affected, transaction
from portal.wording import N_, sentence

# While a worker has an item in hand nobody else takes it; after this it is taken to be dead.
LEASE = timedelta(minutes=5)
ITEMS_AT_ONCE = 20
GIVE_UP_AFTER = timedelta(days=3)
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=4)
_IMAGE_ADDRESS = re.compile(r"""(src\s*=\s*["'])/files/([A-Za-z0-9_-]{20,64})/[^"']*""")

# RFC 3463 §3.2: the address itself is wrong, not our mail or its sender.
_NO_SUCH_MAILBOX = re.compile(r"\b5\.1\.(?:1|2|3|6|10)\b")

log = structlog.get_logger()


def owed_ids(limit: int) -> list[int]:
    """Ids of items whose time has come, the longest waiting first. Reads only."""
    found = select(OutboxItem.id).where(_is_owed(now())).order_by(OutboxItem.next_attempt_at).limit(limit)
    return list(db.session.scalars(found))


def owe(message: Message, account: ChannelAccount, *, wait_seconds: int = 0) -> OutboxItem:
    """Write what is owed to each recipient of the message, inside the caller's transaction; delivery follows it.

    Nothing leaves before `wait_seconds` are over: the time for second thoughts.
    """
    item = OutboxItem(
        message_id=message.id, account_id=account.id, next_attempt_at=now() + timedelta(seconds=wait_seconds)
    )
    db.session.add(item)
    db.session.flush()
    db.session.add_all(
        Delivery(outbox_item_id=item.id, message_id=message.id, **values)
        for values in _deliveries_of(message)
    )
    # Within the time for second thoughts nobody needs to hurry: reconcile finds what is owed when that is over.
    if not wait_seconds:
        enqueue.wake_after_commit("portal.jobs.deliver.deliver_waiting", queue="deliver")
    return item


def owe_now(owed: Sequence[tuple[Message, ChannelAccount]]) -> None:
    """Like owe, for many mails that wait for nothing, in as many statements as for one."""
    items, deliveries = [], []
    for (message, account), item_id in zip(owed, rows.reserve_ids(OutboxItem, len(owed)), strict=True):
        items.append(rows.new(OutboxItem, id=item_id, message_id=message.id, account_id=account.id))
        deliveries += [
            rows.new(Delivery, outbox_item_id=item_id, message_id=message.id, **values)
            for values in _deliveries_of(message)
        ]
    rows.insert(items)
    rows.insert(deliveries)
    enqueue.wake_after_commit("portal.jobs.deliver.deliver_waiting", queue="deliver")


def has_owed() -> bool:
    """Whether an item waits whose time has come. Reads only."""
    return bool(owed_ids(1))


def deliver_waiting(most_seconds: float) -> None:
    """Send every item whose time has come, the longest waiting first. Commits after each recipient.

    Begins no further item after `most_seconds`; `has_owed` then says whether more is left.
    """
    end = time.monotonic() + most_seconds
    while time.monotonic() < end:
        ids = owed_ids(ITEMS_AT_ONCE)
        if not ids:
            return
        for outbox_item_id in ids:
            deliver(outbox_item_id)
            db.session.remove()
            if time.monotonic() >= end:
                return


def deliver(outbox_item_id: int) -> None:
    """Send one item to the recipients that do not have it yet. Commits after each of them.

    Does nothing when the item is not due or another worker has it. The Message-ID stands in the message, so a crash
    between the server's 250 and our commit sends the same mail again, which mail programs show once.
    """
    if not _claim(outbox_item_id):
        return
    faults.point("delivery_claimed")
    item = db.session.get(OutboxItem, outbox_item_id)
    assert item is not None, "a claimed item exists"
    try:
        raw = _signed(compose(_mail_of(item)), item)
        relay = accounts.relay_of(item.account)
    except (Permanent, ValueError) as error:
        _settle(item, problem=str(error), is_final=True)
        return
    except Retryable as error:
        _settle(item, problem=str(error), is_final=False)
        return
    for delivery in [each for each in item.deliveries if each.state in ("queued", "sending", "deferred")]:
        results = send(relay, _return_path(item, delivery), [delivery.recipient], raw)
        faults.point("delivery_sent")
        with transaction():
            _note(delivery, results[0])
        faults.point("delivery_noted")
    _settle(item)


def retry(item: OutboxItem) -> None:
    """Try failed recipients again from now on. Commits."""
    with transaction(item):
        for delivery in item.deliveries:
            if delivery.state in ("failed", "bounced"):
                delivery.state, delivery.attempt_count = "queued", 0
        item.state, item.next_attempt_at, item.attempt_count = "queued", now(), 0
        item.created_at = now()
        message = db.session.get(Message, item.message_id)
        if message is not None:
            message.delivery_state = "queued"


def _is_owed(at: datetime) -> ColumnElement[bool]:
    # An item in state "sending" whose time has come was left behind by a worker that died.
    return or_(
        OutboxItem.state == "queued", OutboxItem.state == "deferred", OutboxItem.state == "sending"
    ) & (OutboxItem.next_attempt_at <= at)


def _claim(outbox_item_id: int) -> bool:
    at = now()
    with transaction():
        claimed = affected(
            update(OutboxItem)
            .where(OutboxItem.id == outbox_item_id, _is_owed(at))
            .values(state="sending", attempt_count=OutboxItem.attempt_count + 1, next_attempt_at=at + LEASE)
        )
    return bool(claimed)


def _note(delivery: Delivery, result: RecipientResult) -> None:
    delivery.attempt_count += 1
    delivery.state, delivery.code, delivery.reply = result.state, result.code, result.reply[:1000]
    if result.state == "sent":
        delivery.sent_at = now()
    elif result.state == "failed" and _NO_SUCH_MAILBOX.search(result.reply):
        suppression.suppress(delivery.recipient, result.reply)


def _settle(item: OutboxItem, *, problem: str = "", is_final: bool = False) -> None:
    """Say what became of the item: done, to be tried again, or failed and told to someone. Commits."""
    message = db.session.get(Message, item.message_id)
    assert message is not None, "an item's message is kept by its foreign key"
    ticket = db.session.get(Ticket, message.ticket_id)
    assert ticket is not None, "a message's ticket is kept by its foreign key"
    with transaction(ticket, item):
        at = now()
        waiting = [each for each in item.deliveries if each.state in ("queued", "sending", "deferred")]
        if waiting and (is_final or at - item.created_at > GIVE_UP_AFTER):
            for delivery in waiting:
                delivery.state = "failed"
                delivery.reply = (
                    problem or delivery.reply or "The mail could not be delivered within three days."
                )
            waiting = []
        failed = [each for each in item.deliveries if each.state == "failed"]
        has_bounced = any(each.state == "bounced" for each in item.deliveries)
        item.last_error = problem or next((each.reply for each in [*failed, *waiting] if each.reply), "")
        if waiting:
            item.state = message.delivery_state = "deferred"
            item.next_attempt_at = at + pause_after(item.attempt_count)
        elif failed:
            item.state = message.delivery_state = "failed"
            _tell_failure(ticket, message, failed)
        else:
            item.state, item.sent_at, message.sent_at = "sent", at, at
            # A recipient's mail may have come back while another's was still on its way.
            message.delivery_state = "bounced" if has_bounced else "sent"
        events.announce(ticket)


def _deliveries_of(message: Message) -> list[dict[str, Any]]:
    """One for each address that the message names, whatever the field."""
    people = [*message.to, *message.cc, *message.bcc]
    addresses = dict.fromkeys(person["address"] for person in people if person["address"])
    return [
        {
            "recipient": address.lower() if message.is_automatic else address,
            "is_automatic": message.is_automatic,
        }
        for address in addresses
    ]


def pause_after(attempt_count: int) -> timedelta:
    """How long to wait after that many tries: doubling from half a minute up to four hours."""
    doublings = min(max(attempt_count - 1, 0), 16)
    return min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)


def _tell_failure(ticket: Ticket, message: Message, failed: list[Delivery]) -> None:
    reasons = "; ".join(f"{each.recipient}: {each.reply}" for each in failed)
    events.record(
        "delivery_failed",
        ticket=ticket,
        message_id=message.id,
        data={"recipients": [each.recipient for each in failed], "reasons": reasons[:1000]},
    )
    told = (
        N_("The acknowledgement in #%(number)s did not reach %(recipient)s")
        if message.is_automatic
        else N_("Your answer in #%(number)s did not reach %(recipient)s")
    )
    for user_id in notifications.people(message.author_id, ticket.assignee_id):
        notifications.notify(
            user_id,
            "delivery_failed",
            sentence(told, number=ticket.number, recipient=failed[0].recipient),
            ticket=ticket,
            fact_key=f"delivery_failed-{message.id}",
        )


def _return_path(item: OutboxItem, delivery: Delivery) -> str:
    """A signed envelope sender, so that a bounce names the very delivery that it is about."""
    account = item.account
    assert account is not None, "a mail is sent by an account"
    key: bytes = current_app.config["SETTINGS"].signing_keys[0]
    try:
        return tokens.return_path_for(key, delivery.id, account.address)
    except ValueError:
        # A local part too long to carry a signature still gets its bounces, matched by Message-ID.
        return account.address


def _mail_of(item: OutboxItem) -> OutgoingMail:
    """The mail as it goes out: the same bytes at every try."""
    message = db.session.scalars(
        select(Message)
        .where(Message.id == item.message_id)
        .options(undefer(Message.html), undefer(Message.text))
    ).one()
    account = item.account
    if account is None:
        raise Permanent("The mail account of this reply is gone. Send the answer from another one.")
    html, inline = _with_inline_images(message)
    quoted_html, quoted_text = _history(message) if account.branch.quotes_history else (None, None)
    return OutgoingMail(
        from_name=message.from_name,
        from_address=message.from_address,
        to=_mailboxes(message.to),
        cc=_mailboxes(message.cc),
        reply_to=_reply_to(message, account),
        subject=message.subject,
        html=html,
        text=None,
        inline_images=inline,
        attachments=tuple(
            MailAttachment(name=each.name, content_type=each.content_type, content=storage.get(each.sha256))
            for each in message.attachments
            if not each.is_inline
        ),
        message_id=message.message_id_header,
        in_reply_to=message.in_reply_to_header or None,
        references=tuple(message.references_headers),
        date=message.created_at,
        is_automatic=message.is_automatic,
        # Whoever strips the standard's header may still know this one: our own mail is never answered.
        extra_headers=(("X-Loop", account.address),) if message.is_automatic else (),
        quoted_html=quoted_html,
        quoted_text=quoted_text,
    )


def _signed(raw: bytes, item: OutboxItem) -> bytes:
    """The mail with the signature of the account's branch, for the domain that it is from."""
    branch = item.account.branch if item.account else None
    if branch is None or not branch.signs_with_dkim or not branch.dkim_key_encrypted:
        return raw
    domain = item.message.from_address.rpartition("@")[2]
    private_pem = unseal(branch.dkim_key_encrypted)
    return domain_keys.sign(raw, selector=branch.dkim_selector, domain=domain, private_pem=private_pem)


def _mailboxes(people: list[dict[str, str]]) -> tuple[Mailbox, ...]:
    return tuple(Mailbox(name=person["name"], address=person["address"]) for person in people)


def _reply_to(message: Message, account: ChannelAccount) -> str:
    key: bytes = current_app.config["SETTINGS"].signing_keys[0]
    try:
        return tokens.reply_address(account.address, tokens.ticket_token(key, message.ticket_id))
    except ValueError:
        return account.address


def _with_inline_images(message: Message) -> tuple[str, tuple[InlineImage, ...]]:
    """The HTML with our own pictures as cid: references, and those pictures."""
    inline = {each.public_key: each for each in message.attachments if each.is_inline}

    def as_cid(found: re.Match[str]) -> str:
        attachment = inline.get(found.group(2))
        return f"{found.group(1)}cid:{attachment.content_id}" if attachment else found.group(0)

    html = _IMAGE_ADDRESS.sub(as_cid, message.html)
    images = tuple(
        InlineImage(
            content_id=each.content_id,
            name=each.name,
            content_type=each.content_type,
            content=storage.get(each.sha256),
        )
        for each in inline.values()
    )
    return html, images


def _history(message: Message) -> tuple[str | None, str | None]:
    """The message that is being answered, to be quoted below; (None, None) for the first one of a ticket."""
    if not message.in_reply_to_header:
        return None, None
    parent = db.session.scalar(
        select(Message)
        .where(
            Message.ticket_id == message.ticket_id,
            Message.message_id_header == message.in_reply_to_header,
            Message.direction != "note",
        )
        .options(undefer(Message.html), undefer(Message.text))
        .limit(1)
    )
    if parent is None:
        return None, None
    from portal.channels.email.composing import quote

    return quote(
        html=parent.html or None,
        text=parent.text,
        author=parent.from_name or parent.from_address,
        written_at=parent.created_at,
    )
