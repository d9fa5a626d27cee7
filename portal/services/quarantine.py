"""Mail that could not become a message by itself: what can be read of it, and a ticket made of it by hand."""

import re
import secrets
from dataclasses import dataclass

from flask import current_app
from flask_appbuilder.security.sqla.models import User

from portal import access, storage
from portal.channels.email.html import html_to_text
from portal.channels.email.parsing import Address, parse_mail
from portal.errors import Conflict, UserFault
from portal.extensions import db
from portal.models import Attachment, Branch, ChannelAccount, InboxItem, Message, Ticket
from portal.models.columns import now
from portal.rules import threading, tokens
from portal.services import accounts, audit, events, giving, people, sla, tickets
from portal.services.replies import snippet_of
from portal.services.transaction import transaction
from portal.wording import as_evidence, reason_in, sentence

# What is read of a mail that was put aside for its size or for the time that it took.
READ_BYTES = 512 * 1024
LONGEST_TEXT = 200_000
LONGEST_LINE = 500
NO_TEXT = "No text of this mail could be read. The mail as it came is attached."
_ADDRESS = re.compile(r"[^\s@<>\",;]+@[^\s@<>\",;]+")


@dataclass(frozen=True)
class Readable:
    """What can be read of a mail: for an admin to correct, and to make a message of. All of it may be empty."""

    address: str
    name: str
    subject: str
    text: str
    message_id: str
    references: tuple[str, ...]
    to: tuple[Address, ...]


def read(raw: bytes) -> Readable:
    """What can be read of the beginning of these bytes. Never raises; takes no longer than READ_BYTES do."""
    mail = parse_mail(raw[:READ_BYTES])
    text = mail.text or html_to_text(mail.html or "")
    message_id = threading.clean_message_id(mail.message_id or "")
    named = [*mail.references, *([mail.in_reply_to] if mail.in_reply_to else [])]
    cleaned = (threading.clean_message_id(_kept(value)) for value in named)
    return Readable(
        address=_line(mail.from_address)[:320],
        name=_line(mail.from_name)[:200],
        subject=_line(threading.strip_reply_prefixes(mail.subject)),
        text=_kept(text)[:LONGEST_TEXT].strip(),
        # Of a mail of our own that came back; another message has that id.
        message_id="" if tokens.read_message_id(_keys(), message_id) else _kept(message_id),
        references=tuple(dict.fromkeys(value for value in cleaned if value)),
        to=tuple(Address(_line(person.name or ""), _line(person.address)) for person in mail.to),
    )


def open_by_hand(
    item: InboxItem, *, branch: Branch, address: str, name: str, subject: str, actor: User
) -> Ticket:
    """A ticket of a mail in quarantine, for the sender and with the subject that the admin has entered. Commits.

    The message says what could be read and carries the whole mail as a file; the item keeps the reason for which it
    was put aside. Raises Conflict when the item is not in quarantine any more, UserFault for what cannot be used,
    Forbidden for people who only look.
    """
    access.check_may_change(actor)
    address, name, subject = address.strip(), _line(name)[:200], _line(subject)[:LONGEST_LINE]
    if not _ADDRESS.fullmatch(address) or len(address) > 320:
        raise UserFault(
            "“%(address)s” is not an e-mail address. Enter the one that answers are to go to.",
            address=address,
        )
    if not access.may_see_branch(actor, branch.id) or not branch.is_active:
        raise UserFault(
            "%(branch)s takes no tickets at present. Choose another branch.",
            branch=branch,
        )
    with transaction(item):
        if item.state != "quarantined":
            raise Conflict(
                "This mail is not in quarantine any more: someone was faster. Nothing was changed."
            )
        readable = read(item.raw)
        account = _account_of(item, branch)
        reason = sentence("It was opened by hand from quarantine by %(who)s.", who=actor)
        ticket = tickets.open_ticket(
            subject=subject or "(no subject)",
            branch=branch,
            customer=people.customer_of_address(address, name),
            account_id=account.id if account else None,
            route={
                "rule": "opened_by_hand",
                **as_evidence(reason),
                "evidence": {"inbox_item": item.id},
            },
            opened_at=item.created_at,
        )
        message = _write(item, ticket, readable, Address(name, address))
        _settle(item, ticket, message, actor)
        db.session.flush()
        giving.give_out([giving.Arrival(ticket, branch)])
    return ticket


def _write(item: InboxItem, ticket: Ticket, readable: Readable, sender: Address) -> Message:
    message = Message(
        ticket_id=ticket.id,
        direction="in",
        channel_kind=item.channel_kind,
        account_id=ticket.account_id,
        inbox_item_id=item.id,
        from_address=sender.address,
        from_name=sender.name or "",
        to=[{"name": person.name, "address": person.address} for person in readable.to],
        subject=ticket.subject,
        text=readable.text or NO_TEXT,
        message_id_header=readable.message_id,
        references_headers=list(readable.references),
        thread_rule="opened_by_hand",
        thread_evidence={**as_evidence(reason_in(ticket.route)), "quarantined_because": item.reason},
        created_at=item.created_at,
    )
    db.session.add(message)
    db.session.flush()
    db.session.add(
        Attachment(
            message_id=message.id,
            name=f"received-{item.id}.eml",
            content_type="message/rfc822",
            size_bytes=item.size_bytes,
            sha256=storage.put(item.raw),
            public_key=secrets.token_urlsafe(24),
        )
    )
    return message


def _settle(item: InboxItem, ticket: Ticket, message: Message, actor: User) -> None:
    """The item dealt with, its reason kept; the ticket as after any first message of a customer."""
    before = item.state
    item.state, item.ticket_id, item.processed_at = "processed", ticket.id, now()
    ticket.message_count = 1
    ticket.snippet = snippet_of(message.text)
    ticket.unread_since = ticket.last_customer_message_at = message.created_at
    events.record(
        "message_received",
        ticket=ticket,
        actor_kind="customer",
        message_id=message.id,
        occurred_at=message.created_at,
        data={"rule": message.thread_rule, "is_automatic": False},
    )
    audit.record_change(
        item,
        "opened_by_hand",
        actor,
        {"state": {"from": before, "to": item.state}, "ticket": {"from": None, "to": ticket.number}},
    )
    sla.refresh(ticket)
    events.announce(ticket)


def _account_of(item: InboxItem, branch: Branch) -> ChannelAccount | None:
    """The account that it came in by, where that is the branch's; else one of the branch."""
    if item.account is not None and item.account.branch_id == branch.id:
        return item.account
    return accounts.account_of_branch(branch.id)


def _line(text: str) -> str:
    return " ".join(_kept(text).split())[:LONGEST_LINE]


def _kept(text: str) -> str:
    """The text as the database takes it: what put the mail aside may have been a character."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _keys() -> tuple[bytes, ...]:
    keys: tuple[bytes, ...] = current_app.config["SETTINGS"].signing_keys
    return keys
