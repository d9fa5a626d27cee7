"""A ticket made by hand of a mail that could not become a message by itself."""

import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal import storage
from portal.channels.base import IncomingBytes
from portal.errors import Conflict, Forbidden, UserFault
from portal.extensions import db
from portal.models import Attachment, AuditEntry, Clock, InboxItem, Message, OutboxItem, Ticket, User
from portal.models.columns import now
from portal.services import events, intake, quarantine, replies
from tests.factory import Factory

MAIL = b"\r\n".join(
    [
        b"From: =?utf-8?q?Zo=C3=AB?= <zoe@customer.test>",
        b"To: desk@shop.test",
        b"Subject: Re: Where is my parcel?",
        b"Message-ID: <one@customer.test>",
        b"References: <zero@customer.test>",
        b"",
        b"It has not come yet.",
    ]
)


def put_aside(raw: bytes = MAIL, reason: str = "Its header is too long.", **values) -> InboxItem:
    item = InboxItem(
        source_key=hashlib.sha256(raw).hexdigest(),
        raw=raw,
        size_bytes=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        state="quarantined",
        reason=reason,
        created_at=now() - timedelta(hours=3),
        **values,
    )
    db.session.add(item)
    db.session.commit()
    return item


@pytest.fixture
def admin(make: Factory) -> User:
    return make.agent(role="Admin", username="root")


def test_a_mail_that_can_be_read_fills_the_form(database: None) -> None:
    readable = quarantine.read(MAIL)
    assert (readable.address, readable.name, readable.subject) == (
        "zoe@customer.test",
        "Zoë",
        "Where is my parcel?",
    )
    assert readable.text == "It has not come yet."


@pytest.mark.parametrize(
    "raw", [b"", b"\0\0\0", b"\xff" * 2000, b"From: \r\n\r\n", b"From: a\0b@c.test\r\n\r\nHi\0there"]
)
def test_what_cannot_be_read_leaves_the_form_empty_and_is_storable(database: None, raw: bytes) -> None:
    readable = quarantine.read(raw)
    for value in (readable.address, readable.name, readable.subject, readable.text):
        assert "\0" not in value
        value.encode()


def test_of_a_giant_mail_only_the_beginning_is_read(database: None) -> None:
    giant = MAIL + b"\r\nmore" * 20_000_000
    readable = quarantine.read(giant)
    assert readable.subject == "Where is my parcel?"
    assert len(readable.text) <= quarantine.LONGEST_TEXT


def test_the_ticket_has_the_sender_the_text_and_the_whole_mail(make: Factory, admin: User) -> None:
    branch = make.branch()
    account = make.account(branch)
    item = put_aside(account_id=account.id)

    ticket = quarantine.open_by_hand(
        item, branch=branch, address="Zoe@Customer.test", name="Zoë Müller", subject="Parcel", actor=admin
    )

    message = db.session.scalars(select(Message).where(Message.ticket_id == ticket.id)).one()
    assert (ticket.subject, ticket.status, ticket.branch_id, ticket.account_id) == (
        "Parcel",
        "new",
        branch.id,
        account.id,
    )
    assert [identity.address for identity in ticket.customer.identities] == ["zoe@customer.test"]
    assert (message.text, message.inbox_item_id) == ("It has not come yet.", item.id)
    assert message.message_id_header == "one@customer.test"
    assert message.references_headers == ["zero@customer.test"]
    assert message.thread_rule == "opened_by_hand"
    assert str(admin) in message.thread_evidence["reason"]
    kept = db.session.scalars(select(Attachment).where(Attachment.message_id == message.id)).one()
    assert (kept.name, storage.get(kept.sha256)) == (f"received-{item.id}.eml", MAIL)
    assert (ticket.message_count, ticket.snippet) == (1, "It has not come yet.")
    assert ticket.unread_since == ticket.created_at == item.created_at
    clock = db.session.scalars(select(Clock).filter_by(ticket_id=ticket.id, kind="first_response")).one()
    assert clock.started_at == item.created_at, "the customer waits since the mail reached us"
    assert [event.kind for event in events.of_ticket(ticket.id)][:2] == ["ticket_opened", "message_received"]
    assert db.session.query(OutboxItem).count() == 0


def test_the_item_is_done_and_keeps_its_reason(make: Factory, admin: User) -> None:
    item = put_aside()
    ticket = quarantine.open_by_hand(
        item, branch=make.branch(), address="zoe@customer.test", name="", subject="", actor=admin
    )
    assert (item.state, item.reason, item.ticket_id) == ("processed", "Its header is too long.", ticket.id)
    assert item.processed_at is not None
    assert ticket.subject == "(no subject)"
    entry = db.session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.actor_id, entry.object_id) == ("opened_by_hand", admin.id, str(item.id))


def test_it_is_opened_once(make: Factory, admin: User) -> None:
    item, branch = put_aside(), make.branch()
    again = {"branch": branch, "address": "zoe@customer.test", "name": "", "subject": "", "actor": admin}
    quarantine.open_by_hand(item, **again)
    with pytest.raises(Conflict, match="someone was faster"):
        quarantine.open_by_hand(item, **again)
    assert db.session.query(Ticket).count() == 1
    intake.retry(accepted := put_aside(MAIL + b"2"))
    with pytest.raises(Conflict):
        quarantine.open_by_hand(accepted, **again)


def test_what_cannot_be_used_is_refused_in_words_and_the_mail_stays(make: Factory, admin: User) -> None:
    item, branch, idle = put_aside(), make.branch(), make.branch(is_active=False)
    for branch_, address, words in (
        (branch, "nobody", "not an e-mail address"),
        (branch, "", "not an e-mail address"),
        (idle, "zoe@customer.test", "takes no tickets"),
    ):
        with pytest.raises(UserFault, match=words):
            quarantine.open_by_hand(item, branch=branch_, address=address, name="", subject="", actor=admin)
    auditor = make.agent(role="Auditor")
    with pytest.raises(Forbidden):
        quarantine.open_by_hand(
            item, branch=branch, address="zoe@customer.test", name="", subject="", actor=auditor
        )
    assert item.state == "quarantined"
    assert db.session.query(Ticket).count() == 0


def test_a_mail_of_which_nothing_can_be_read_still_becomes_a_ticket(make: Factory, admin: User) -> None:
    item = put_aside(b"\0\0\0")
    ticket = quarantine.open_by_hand(
        item, branch=make.branch(), address="zoe@customer.test", name="", subject="Odd", actor=admin
    )
    message = db.session.scalars(select(Message).where(Message.ticket_id == ticket.id)).one()
    assert message.text == quarantine.NO_TEXT
    assert storage.get(message.attachments[0].sha256) == b"\0\0\0"


def test_the_customers_next_mail_finds_the_ticket(make: Factory, admin: User) -> None:
    branch = make.branch()
    make.account(branch, address="desk@shop.test")
    ticket = quarantine.open_by_hand(
        put_aside(), branch=branch, address="zoe@customer.test", name="", subject="Parcel", actor=admin
    )
    answer = replies.send_reply(ticket, admin, "<p>It is on its way</p>")
    assert answer.in_reply_to_header == "one@customer.test"
    item_id = intake.accept(
        IncomingBytes(
            source_key="next",
            channel_kind="email",
            account_id=None,
            envelope_from="zoe@customer.test",
            envelope_to=("desk@shop.test",),
            received_at=now(),
            raw=b"From: zoe@customer.test\r\nMessage-ID: <two@customer.test>\r\n"
            b"In-Reply-To: <one@customer.test>\r\n\r\nAnd?",
        )
    )
    intake.process(item_id)
    assert db.session.get_one(InboxItem, item_id).ticket_id == ticket.id
