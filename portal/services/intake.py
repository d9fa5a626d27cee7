"""From raw bytes to a message in a ticket: accept first, acknowledge after, parse later.

`accept` is what a source waits for: one row, one commit. `process` does the rest in a job, as often as it takes,
and makes one message of one mail however many workers try at once.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta

import structlog
from flask import current_app
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import undefer

from portal import enqueue, storage
from portal.channels.base import IncomingBytes
from portal.channels.email.html import html_to_text, sanitise
from portal.channels.email.parsing import Address, ParsedMail, parse_mail
from portal.channels.email.quoting import split_html, split_reply
from portal.errors import Retryable
from portal.extensions import db
from portal.models import (
    Attachment,
    Branch,
    ChannelAccount,
    Delivery,
    InboxItem,
    Message,
    RoutingRule,
    Ticket,
)
from portal.models.columns import now
from portal.rules import lifecycle, routing, threading, tokens
from portal.services import accounts, events, notifications, people, sla, tickets
from portal.services.replies import snippet_of
from portal.services.threads import DatabaseLookup
from portal.services.transaction import transaction

MOST_ATTEMPTS = 5
FIRST_PAUSE = timedelta(seconds=10)
LONGEST_SUBJECT = 500
MOST_REFERENCES = 100

log = structlog.get_logger()


def accept(incoming: IncomingBytes, *, problem: str = "") -> int:
    """Keep the bytes and return the inbox item's id. Commits; only then may the source be told.

    Bytes under a source key that is known already are not kept twice. With a `problem` (a mail that its mailbox could
    not give whole) the item goes to quarantine for someone to look. Raises sqlalchemy.exc.OperationalError when
    the database does not take them: the source must then be told to try again.
    """
    with transaction():
        item_id = db.session.scalar(
            insert(InboxItem)
            .values(
                source_key=incoming.source_key,
                channel_kind=incoming.channel_kind,
                account_id=incoming.account_id,
                envelope_from=incoming.envelope_from,
                envelope_to=list(incoming.envelope_to),
                raw=incoming.raw,
                size_bytes=len(incoming.raw),
                sha256=hashlib.sha256(incoming.raw).hexdigest(),
                state="quarantined" if problem else "accepted",
                reason=problem,
                attempt_count=0,
                next_attempt_at=now(),
                created_at=incoming.received_at,
            )
            .on_conflict_do_nothing(index_elements=["source_key"])
            .returning(InboxItem.id)
        )
        if item_id is not None and problem:
            events.record("mail_quarantined", data={"inbox_item": item_id, "reason": problem})
        elif item_id is not None:
            enqueue.after_commit("portal.jobs.intake.process_inbox_item", item_id, queue="intake")
    if item_id is None:
        item_id = db.session.scalar(select(InboxItem.id).where(InboxItem.source_key == incoming.source_key))
    assert item_id is not None, "a key that was in the way belongs to an item"
    return item_id


def owed_ids(limit: int) -> list[int]:
    """Ids of accepted items whose time has come, the oldest first. Reads only."""
    found = select(InboxItem.id).where(InboxItem.state == "accepted", InboxItem.next_attempt_at <= now())
    return list(db.session.scalars(found.order_by(InboxItem.next_attempt_at).limit(limit)))


def process(inbox_item_id: int) -> None:
    """Make a message of one accepted item, or put it into quarantine with the reason. Commits.

    Does nothing when that has happened already or another worker is at it. What goes wrong is tried again with
    growing pauses; after MOST_ATTEMPTS the item waits in quarantine for someone to look.
    """
    try:
        with transaction():
            item = db.session.scalar(
                select(InboxItem)
                .where(InboxItem.id == inbox_item_id, InboxItem.state == "accepted")
                .options(undefer(InboxItem.raw))
                .with_for_update(skip_locked=True)
            )
            if item is not None:
                _process(item)
    except Exception as error:
        log.exception("intake_failed", inbox_item_id=inbox_item_id)
        _note_failure(inbox_item_id, error)


def retry(item: InboxItem) -> None:
    """Process a quarantined item again. Commits."""
    with transaction(item):
        item.state, item.reason, item.attempt_count, item.next_attempt_at = "accepted", "", 0, now()
        enqueue.after_commit("portal.jobs.intake.process_inbox_item", item.id, queue="intake")


def _process(item: InboxItem) -> None:
    mail = parse_mail(item.raw)
    if mail.limit_exceeded:
        _quarantine(item, mail.limit_exceeded)
        return
    # Two copies of one mail, and two answers to one that we never saw, must see each other.
    for key in sorted({mail.message_id or item.sha256, *(mail.references[:1] or ())}):
        db.session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})
    account = _account_of(item, mail)
    if account is None:
        _quarantine(item, "None of its recipients is an address of ours.")
        return
    if _is_own_mail(mail):
        _finish(item, None, "Our own mail came back to us; it stands in its ticket already.")
        return
    twin = _twin(mail)
    if twin is not None:
        _finish(item, twin.ticket_id, "The same mail is in its ticket already.")
        return
    ticket, decision, is_new = _ticket_for(item, mail, account)
    message = _write_message(item, mail, ticket, account, decision)
    if mail.is_bounce:
        _note_bounce(item, mail, ticket, message)
    _after_message(ticket, message, mail, is_new)
    _finish(item, ticket.id, "")


def _account_of(item: InboxItem, mail: ParsedMail) -> ChannelAccount | None:
    """The account that received it: the one that fetched it, else the first recipient that is ours."""
    if item.account_id is not None:
        return db.session.get(ChannelAccount, item.account_id)
    named = [*item.envelope_to] or [person.address for person in (*mail.to, *mail.cc)]
    for recipient in named:
        account = accounts.account_of_recipient(recipient)
        if account is not None:
            item.account_id = account.id
            return account
    return None


def _is_own_mail(mail: ParsedMail) -> bool:
    return bool(mail.message_id and tokens.read_message_id(_keys(), mail.message_id))


def _twin(mail: ParsedMail) -> Message | None:
    """The message that this very mail has already become, by way of another mailbox or a repeated delivery."""
    message_id = threading.clean_message_id(mail.message_id or "")
    if not message_id:
        return None
    found = select(Message).where(
        Message.message_id_header == message_id,
        Message.message_id_header != "",
        Message.direction == "in",
        Message.from_address == mail.from_address,
    )
    return db.session.scalar(found.limit(1))


def _ticket_for(
    item: InboxItem, mail: ParsedMail, account: ChannelAccount
) -> tuple[Ticket, threading.ThreadDecision, bool]:
    own = accounts.own_addresses()
    facts = threading.MailFacts(
        message_id=mail.message_id or "",
        from_address=people.normalise_address(mail.from_address or ""),
        recipients=_recipients(item, mail),
        in_reply_to=(mail.in_reply_to,) if mail.in_reply_to else (),
        references=tuple(mail.references),
        subject=mail.subject or "",
        attached_message_ids=tuple(mail.attached_message_ids),
        authentication=mail.authentication,
        branch_id=account.branch_id,
        own_addresses=own,
    )
    bounced = _bounced_ticket_id(item, mail)
    if bounced is not None:
        decision = threading.ThreadDecision(
            bounced, "bounce", "It reports what became of a message that we sent from this ticket."
        )
    else:
        decision = threading.decide_thread(facts, DatabaseLookup(own), _keys())
    if decision.ticket_id is None:
        return _open(item, mail, account), decision, True
    ticket = db.session.scalar(select(Ticket).where(Ticket.id == decision.ticket_id).with_for_update())
    assert ticket is not None, "a ticket that was just found is not deleted"
    if mail.is_bounce or mail.is_auto_reply:
        return ticket, decision, False
    after = lifecycle.status_after_customer_message(
        ticket.status, ticket.closed_at, now(), ticket.branch.reopen_window_days
    )
    if after.is_follow_up:
        followed = threading.ThreadDecision(None, "follow_up", after.reason, {"follows": ticket.number})
        return _open(item, mail, account, follows=ticket), followed, True
    return ticket, decision, False


def _open(
    item: InboxItem, mail: ParsedMail, account: ChannelAccount, follows: Ticket | None = None
) -> Ticket:
    """A new ticket, placed by the rules, its decision kept with it."""
    customer = people.customer_of_address(
        mail.from_address or "unknown@invalid", mail.from_name or _local_part(mail.from_address)
    )
    if follows is not None:
        customer = follows.customer
    active = set(db.session.scalars(select(Branch.id).where(Branch.is_active)))
    decision = routing.route(
        routing.RouteFacts(
            channel="email",
            account=account.address,
            sender=(mail.from_address or "").lower(),
            sender_name=mail.from_name or "",
            recipients=tuple(person.address for person in (*mail.to, *mail.cc)),
            subject=mail.subject or "",
            body=mail.text or html_to_text(mail.html or ""),
            language=mail.language or "",
            has_attachment=any(not attachment.is_inline for attachment in mail.attachments),
            attachment_names=tuple(attachment.name or "" for attachment in mail.attachments),
        ),
        _routing_rules(),
        _fall_back_branch_id(account, active),
        account.branch_id,
        active,
    )
    branch = db.session.get(Branch, decision.branch_id)
    assert branch is not None, "routing chooses among branches that exist"
    return tickets.open_ticket(
        subject=threading.strip_reply_prefixes(mail.subject or "")[:LONGEST_SUBJECT] or "(no subject)",
        branch=branch,
        customer=customer,
        account_id=account.id,
        route={
            "rule": decision.rule,
            "reason": decision.reason,
            "rule_id": decision.rule_id,
            "evidence": decision.evidence,
        },
        tier_level=decision.tier_level or 1,
        priority=decision.priority,
        ticket_type=decision.type,
        policy_id=decision.policy_id,
        tags=decision.tags,
        follows_id=follows.id if follows else None,
        language=mail.language or "",
        opened_at=item.created_at,
    )


def _routing_rules() -> list[routing.Rule]:
    rules = []
    for row in db.session.scalars(select(RoutingRule).where(RoutingRule.is_active)):
        try:
            condition = routing.parse_condition(row.conditions)
        except ValueError:
            # Refused at save; an imported one must not stop the mail.
            log.warning("routing_rule_unreadable", rule_id=row.id)
            continue
        rules.append(
            routing.Rule(
                id=row.id,
                name=row.name,
                position=row.position,
                condition=condition,
                branch_id=row.branch_id,
                tier_level=row.tier_level,
                priority=row.priority,
                type=row.ticket_type,
                tags=tuple(row.tags),
                policy_id=row.policy_id,
                is_last=row.is_last,
            )
        )
    return rules


def _fall_back_branch_id(account: ChannelAccount, active: set[int]) -> int:
    branch: Branch | None = account.branch
    seen: set[int] = set()
    while branch is not None and branch.id not in active and branch.id not in seen:
        seen.add(branch.id)
        branch = branch.fall_back_branch
    if branch is not None and branch.id in active:
        return branch.id
    # Nowhere to fall back to: where the mail came in is better than nowhere.
    return min(active, default=account.branch_id)


def _write_message(
    item: InboxItem,
    mail: ParsedMail,
    ticket: Ticket,
    account: ChannelAccount,
    decision: threading.ThreadDecision,
) -> Message:
    split = split_reply(mail.text, mail.html)
    clean = sanitise(mail.html) if mail.html else None
    html, quoted_html = split_html(clean.html) if clean else ("", "")
    message = Message(
        ticket_id=ticket.id,
        direction="in",
        channel_kind="email",
        account_id=account.id,
        inbox_item_id=item.id,
        from_address=mail.from_address or "",
        from_name=mail.from_name or "",
        to=_as_json(mail.to),
        cc=_as_json(mail.cc),
        reply_to=_as_json(mail.reply_to),
        subject=(mail.subject or "")[:LONGEST_SUBJECT],
        text=split.new,
        quoted_text="\n".join(part for part in (split.signature, split.quoted) if part),
        html=html,
        quoted_html=quoted_html,
        has_remote_images=bool(clean and clean.has_remote_images),
        is_auto_reply=mail.is_auto_reply,
        is_bounce=mail.is_bounce,
        message_id_header=threading.clean_message_id(mail.message_id or ""),
        in_reply_to_header=threading.clean_message_id(mail.in_reply_to or ""),
        references_headers=_references(mail),
        thread_rule=decision.rule,
        thread_evidence={"reason": decision.reason, **decision.evidence},
        created_at=item.created_at,
    )
    db.session.add(message)
    db.session.flush()
    for attachment in mail.attachments:
        db.session.add(
            Attachment(
                message_id=message.id,
                name=(attachment.name or "")[:200],
                content_type=(attachment.content_type or "application/octet-stream")[:255],
                size_bytes=len(attachment.content),
                sha256=storage.put(attachment.content),
                content_id=attachment.content_id or "",
                is_inline=attachment.is_inline,
                public_key=secrets.token_urlsafe(24),
            )
        )
    return message


def _after_message(ticket: Ticket, message: Message, mail: ParsedMail, is_new: bool) -> None:
    """Counters, status, clocks and the event that a customer's message brings."""
    is_automatic = mail.is_auto_reply or mail.is_bounce
    at = message.created_at
    ticket.message_count += 1
    ticket.snippet = snippet_of(message.text or html_to_text(message.html))
    ticket.is_last_message_ours = False
    ticket.unread_since = ticket.unread_since or at
    if not is_automatic:
        ticket.last_customer_message_at = at
    events.record(
        "message_received",
        ticket=ticket,
        actor_kind="customer",
        message_id=message.id,
        occurred_at=at,
        data={"rule": message.thread_rule, "is_automatic": is_automatic},
    )
    if not is_new and not is_automatic:
        after = lifecycle.status_after_customer_message(
            ticket.status, ticket.closed_at, now(), ticket.branch.reopen_window_days
        )
        tickets.change_status(ticket, after.status, None, rule=after.rule, actor_kind="customer")
    sla.refresh(ticket)
    if ticket.assignee_id is not None and not is_new:
        who = message.from_name or message.from_address
        notifications.notify(
            ticket.assignee_id,
            "answered",
            f"{who} wrote in #{ticket.number} {ticket.subject}",
            ticket=ticket,
            fact_key=f"answered-{message.id}",
        )
    events.announce(ticket)


def _bounced_ticket_id(item: InboxItem, mail: ParsedMail) -> int | None:
    """The ticket of the delivery that a bounce is about."""
    delivery = _bounced_delivery(item, mail) if mail.is_bounce else None
    if delivery is None:
        return None
    return db.session.scalar(select(Message.ticket_id).where(Message.id == delivery.message_id))


def _bounced_delivery(item: InboxItem, mail: ParsedMail) -> Delivery | None:
    """By our signed return path, else by our Message-ID in the returned part."""
    for recipient in item.envelope_to:
        delivery_id = tokens.read_return_path(_keys(), recipient)
        if delivery_id is not None:
            return db.session.get(Delivery, delivery_id)
    returned = mail.returned_message_id
    message_id = tokens.read_message_id(_keys(), returned) if returned else None
    if message_id is None:
        return None
    found = select(Delivery).where(Delivery.message_id == message_id)
    failed = [recipient.lower() for recipient in mail.failed_recipients]
    # The recipient that the bounce names first, else whoever got the mail first.
    is_named = func.lower(Delivery.recipient).in_(failed)
    delivery: Delivery | None = db.session.scalar(found.order_by(is_named.desc(), Delivery.id).limit(1))
    return delivery


def _note_bounce(item: InboxItem, mail: ParsedMail, ticket: Ticket, message: Message) -> None:
    """Mark the delivery that bounced and tell whoever wrote the mail. A delay is no failure yet."""
    delivery = _bounced_delivery(item, mail)
    if delivery is None or mail.is_temporary_bounce:
        return
    delivery.state = "bounced"
    delivery.reply = snippet_of(message.text)
    answered = db.session.get(Message, delivery.message_id)
    assert answered is not None, "a delivery's message is kept by its foreign key"
    answered.delivery_state = "bounced"
    events.record(
        "delivery_bounced",
        ticket=ticket,
        message_id=answered.id,
        data={"recipient": delivery.recipient, "status": mail.bounce_status or ""},
    )
    for user_id in notifications.people(answered.author_id, ticket.assignee_id):
        notifications.notify(
            user_id,
            "bounced",
            f"Your answer in #{ticket.number} did not reach {delivery.recipient}",
            ticket=ticket,
            fact_key=f"bounced-{delivery.id}",
        )


def _quarantine(item: InboxItem, reason: str) -> None:
    item.state, item.reason, item.processed_at = "quarantined", reason[:1000], now()
    events.record("mail_quarantined", data={"inbox_item": item.id, "reason": item.reason})


def _finish(item: InboxItem, ticket_id: int | None, reason: str) -> None:
    item.state, item.ticket_id, item.reason, item.processed_at = "processed", ticket_id, reason, now()


def _note_failure(inbox_item_id: int, error: Exception) -> None:
    with transaction():
        item = db.session.get(InboxItem, inbox_item_id, with_for_update=True)
        if item is None or item.state != "accepted":
            return
        item.attempt_count += 1
        item.reason = f"{type(error).__name__}: {error}"[:1000]
        if item.attempt_count >= MOST_ATTEMPTS and not isinstance(error, Retryable):
            _quarantine(item, item.reason)
        else:
            item.next_attempt_at = now() + FIRST_PAUSE * 2 ** min(item.attempt_count, 8)


def _recipients(item: InboxItem, mail: ParsedMail) -> tuple[str, ...]:
    named = [*item.envelope_to, *(person.address for person in (*mail.to, *mail.cc))]
    return tuple(dict.fromkeys(address for address in named if address))


def _references(mail: ParsedMail) -> list[str]:
    """References with In-Reply-To at the end, so that one index finds every ancestor."""
    named = [*mail.references, *([mail.in_reply_to] if mail.in_reply_to else [])]
    cleaned = dict.fromkeys(threading.clean_message_id(reference) for reference in named)
    return [reference for reference in cleaned if reference][-MOST_REFERENCES:]


def _as_json(people_: Sequence[Address]) -> list[dict[str, str]]:
    return [{"name": person.name or "", "address": person.address} for person in people_]


def _local_part(address: str | None) -> str:
    return (address or "").partition("@")[0]


def _keys() -> tuple[bytes, ...]:
    keys: tuple[bytes, ...] = current_app.config["SETTINGS"].signing_keys
    return keys
