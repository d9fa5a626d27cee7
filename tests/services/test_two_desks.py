"""Two desks that acknowledge each other: whatever the way between them does to the mails, they fall silent.

Each desk has its own signing keys and knows its own addresses only; every mail goes by SMTP to the other's server
and read anew from its bytes.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest
from flask import Flask
from sqlalchemy import select

from portal.channels.email.parsing import ParsedMail, parse_mail
from portal.extensions import db
from portal.models import Branch, Customer, Identity, Message, OutboxItem, Ticket
from portal.rules import tokens
from portal.services import acknowledging, outbox
from tests.channels.email.servers import Sink, sink_running
from tests.factory import Factory

ANYTHING = 100
OPENING = b"\r\n".join(
    [
        b"From: Desk <desk@south.test>",
        b"To: desk@north.test",
        b"Subject: Where is it?",
        b"Message-ID: <first@south.test>",
        b"",
        b"Hello",
    ]
)


@dataclass
class Desk:
    """One installation: its keys, its address, and the server that takes what it sends."""

    branch: Branch
    address: str
    keys: tuple[bytes, ...]
    sends_to: Sink
    received: list[str] = field(default_factory=list)


Relay = Callable[[bytes, int], bytes]


def honest(raw: bytes, _number: int) -> bytes:
    return raw


def without_marks(raw: bytes, _number: int) -> bytes:
    """As some gateways do: what says that a machine wrote it is gone, the thread is left."""
    return without(raw, "Auto-Submitted", "X-Auto-Response-Suppress", "X-Loop")


def like_a_stranger(raw: bytes, number: int) -> bytes:
    """As if a person wrote anew each time: no mark, no thread, no number, another Message-ID and text."""
    raw = without(
        raw,
        *("Auto-Submitted", "X-Auto-Response-Suppress", "X-Loop"),
        *("In-Reply-To", "References", "Reply-To", "Message-ID", "Subject"),
    )
    return f"Message-ID: <{number}@relay.test>\r\nSubject: Matter {number}\r\n".encode() + raw


def without(raw: bytes, *names: str) -> bytes:
    head, blank, body = raw.partition(b"\r\n\r\n")
    for name in names:
        head = re.sub(rb"(?im)^" + name.encode() + rb":.*(?:\r\n[ \t].*)*(?:\r\n|\Z)", b"", head)
    return head.rstrip(b"\r\n") + blank + body


@pytest.fixture
def desks(make: Factory) -> Iterator[tuple[Desk, Desk]]:
    with sink_running(Sink()) as to_south, sink_running(Sink()) as to_north:
        yield desk_named(make, "north", to_south), desk_named(make, "south", to_north)


def desk_named(make: Factory, name: str, sends_to: Sink) -> Desk:
    branch = make.branch(
        name=name,
        sends_acknowledgement=True,
        acknowledgement_html="<p>Your mail has arrived as #{{ ticket.number }}.</p>",
    )
    address = f"desk@{name}.test"
    make.account(
        branch, address=address, smtp_host="127.0.0.1", smtp_port=sends_to.port, smtp_security="none"
    )
    return Desk(branch, address, (f"key of {name}".encode(),), sends_to)


@contextmanager
def keys_of(app: Flask, desk: Desk) -> Iterator[None]:
    before = app.config["SETTINGS"]
    app.config["SETTINGS"] = replace(before, signing_keys=desk.keys)
    try:
        yield
    finally:
        app.config["SETTINGS"] = before


def arrive(app: Flask, make: Factory, desk: Desk, raw: bytes) -> bytes | None:
    """What the desk does with a mail; the acknowledgement as the other's server gets it, if there is one."""
    mail = parse_mail(raw)
    with keys_of(app, desk):
        ticket = ticket_of(desk, mail)
        is_new = ticket is None
        ticket = ticket or make.ticket(desk.branch, customer_of(make, mail), subject=mail.subject)
        message = make.message(
            ticket,
            message_id_header=mail.message_id or "",
            from_address=mail.from_address,
            subject=mail.subject,
        )
        written = acknowledging.acknowledge(ticket, message, mail, {desk.address}) if is_new else None
        db.session.commit()
        if written is None:
            return None
        item = db.session.scalars(select(OutboxItem).where(OutboxItem.message_id == written.id)).one()
        outbox.deliver(item.id)
    content = desk.sends_to.envelopes[-1].content
    assert isinstance(content, bytes)
    return content


def ticket_of(desk: Desk, mail: ParsedMail) -> Ticket | None:
    """By the desk's own signed ids: in an address, then in the thread."""
    for person in mail.to:
        token = tokens.token_in_address(person.address)
        ticket_id = tokens.read_ticket_token(desk.keys, token) if token else None
        if ticket_id is not None:
            return db.session.get(Ticket, ticket_id)
    for named in (mail.in_reply_to, *reversed(mail.references)):
        message_id = tokens.read_message_id(desk.keys, named) if named else None
        message = db.session.get(Message, message_id) if message_id else None
        if message is not None:
            return message.ticket
    return None


def customer_of(make: Factory, mail: ParsedMail) -> Customer:
    known = db.session.scalar(select(Identity).where(Identity.address == mail.from_address))
    return known.customer if known else make.customer(address=mail.from_address)


def exchange(app: Flask, make: Factory, desks: tuple[Desk, Desk], relay: Relay) -> int:
    """How many mails went between them after the first one, until one of them was silent."""
    raw: bytes | None = OPENING
    for number in range(ANYTHING):
        raw = arrive(app, make, desks[number % 2], relay(raw, number))
        if raw is None:
            return number
    return ANYTHING


@pytest.mark.parametrize(("relay", "most"), [(honest, 1), (without_marks, 2), (like_a_stranger, 10)])
def test_they_fall_silent_by_themselves(app: Flask, make: Factory, desks, relay: Relay, most: int) -> None:
    assert exchange(app, make, desks, relay) == most


def test_the_limit_is_what_ends_the_worst_case(app: Flask, make: Factory, desks) -> None:
    for desk in desks:
        desk.branch.automatic_per_recipient = 3
    db.session.commit()
    assert exchange(app, make, desks, like_a_stranger) == 6
    assert [len(desk.sends_to.envelopes) for desk in desks] == [3, 3]
    for desk in desks:
        desk.branch.automatic_per_recipient = ANYTHING
    db.session.commit()
    # Without the limit nothing would: the test is about it, and not about something else that ends the exchange.
    assert exchange(app, make, desks, like_a_stranger) == ANYTHING
