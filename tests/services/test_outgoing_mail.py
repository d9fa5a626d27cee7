"""What leaves the house, as a server on loopback gets it."""

import base64
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

import dkim
import pytest
from sqlalchemy import select

from portal.channels.email import domain_keys as keys
from portal.errors import UserFault
from portal.extensions import db
from portal.models import Attachment, Branch, Delivery, Identity, Message, OutboxItem, Ticket
from portal.services import domain_keys, outbox, replies
from tests.channels.email.servers import Sink, sink_running
from tests.factory import Factory


@pytest.fixture
def sink() -> Iterator[Sink]:
    with sink_running(Sink()) as running:
        yield running


@pytest.fixture
def branch(make: Factory, sink: Sink) -> Branch:
    branch = make.branch(name="North", from_name="North Desk", signature_html="<p>Yours, the North</p>")
    make.account(
        branch, address="desk@portal.test", smtp_host="127.0.0.1", smtp_port=sink.port, smtp_security="none"
    )
    return branch


@pytest.fixture
def ticket(make: Factory, branch: Branch) -> Ticket:
    ticket = make.ticket(branch, make.customer(address="zoe@customer.test"), status="open")
    make.message(
        ticket,
        from_address="zoe@customer.test",
        text="Where is my parcel?",
        html="<p>Where is my parcel?</p>",
        message_id_header="1@customer.test",
    )
    return ticket


@pytest.fixture
def send(make: Factory, branch: Branch, ticket: Ticket) -> Callable[..., Message]:
    """An answer in the ticket, delivered."""
    agent = make.agent(branch=branch)

    def sending(html: str = "<p>It is on its way.</p>", **more) -> Message:
        message = replies.send_reply(ticket, agent, html, **more)
        deliver(message)
        return message

    return sending


def deliver(message: Message) -> None:
    outbox.deliver(item_of(message).id)


def item_of(message: Message) -> OutboxItem:
    return db.session.scalars(select(OutboxItem).where(OutboxItem.message_id == message.id)).one()


def received(sink: Sink, number: int = -1) -> EmailMessage:
    return message_from_bytes(raw_of(sink, number), policy=policy.default)


def raw_of(sink: Sink, number: int = -1) -> bytes:
    content = sink.envelopes[number].content
    assert isinstance(content, bytes)
    return content


def test_a_branch_signs_for_the_domain_that_its_mail_is_from(send, sink: Sink, branch: Branch, make) -> None:
    (line,) = domain_keys.make_branch_key(branch, make.agent("Admin"))
    assert not branch.signs_with_dkim
    branch.signs_with_dkim = True
    db.session.commit()
    send()
    name = f"{branch.dkim_selector}._domainkey.portal.test"
    assert line.startswith(f"{name}. IN TXT ")
    asked = []

    def dns(wanted: bytes, timeout: float = 5) -> bytes:
        asked.append(wanted.decode().rstrip("."))
        return branch.dkim_record.encode()

    assert dkim.verify(raw_of(sink), dnsfunc=dns)
    assert asked == [name]
    assert not dkim.verify(raw_of(sink).replace(b"on its way", b"lost forever"), dnsfunc=dns)
    assert not dkim.verify(b"From: Eve <eve@portal.test>\r\n" + raw_of(sink), dnsfunc=dns)
    stranger = keys.make_key().record.encode()
    assert not dkim.verify(raw_of(sink), dnsfunc=lambda *_asked, **_more: stranger)


def test_the_private_key_is_kept_encrypted(branch: Branch) -> None:
    domain_keys.make_branch_key(branch, None)
    sealed = branch.dkim_key_encrypted
    assert sealed
    assert b"PRIVATE KEY" not in sealed
    assert b"PRIVATE KEY" not in base64.urlsafe_b64decode(sealed)


def test_a_record_is_cut_into_strings_that_a_dns_server_takes() -> None:
    line = keys.zone_line("s1", "Müller.test", keys.make_key().record)
    assert line.startswith("s1._domainkey.xn--mller-kva.test. IN TXT ( ")
    pieces = line.split('"')[1::2]
    assert max(map(len, pieces)) <= 255
    assert "".join(pieces).startswith("v=DKIM1; k=rsa; p=")


def test_without_a_key_nothing_is_signed(send, sink: Sink) -> None:
    send()
    assert received(sink)["DKIM-Signature"] is None


def test_a_key_that_cannot_sign_fails_with_the_reason_and_can_be_tried_again(
    send, sink: Sink, branch: Branch
) -> None:
    branch.signs_with_dkim, branch.dkim_selector, branch.dkim_key_encrypted = True, "s1", b"spoilt"
    db.session.commit()
    message = send()
    assert message.delivery_state == "failed"
    assert "cannot be read" in item_of(message).last_error
    domain_keys.make_branch_key(branch, None)
    outbox.retry(item_of(message))
    deliver(message)
    assert message.delivery_state == "sent"
    assert len(sink.envelopes) == 1


def test_name_and_signature_are_the_branchs(send, sink: Sink) -> None:
    send()
    mail = received(sink)
    assert mail["From"].addresses[0].display_name == "North Desk"
    assert mail["From"].addresses[0].addr_spec == "desk@portal.test"
    assert mail["Auto-Submitted"] is None
    for kind in ("plain", "html"):
        assert "Yours, the North" in mail.get_body((kind,)).get_content()


def test_the_answered_message_is_quoted_where_the_branch_wants_it(send, sink: Sink, branch: Branch) -> None:
    send()
    assert "> Where is my parcel?" in received(sink).get_body(("plain",)).get_content()
    branch.quotes_history = False
    db.session.commit()
    send("<p>It has arrived.</p>")
    mail = received(sink)
    assert "Where is my parcel?" not in mail.as_string()
    assert mail["In-Reply-To"] == "<1@customer.test>"


def test_a_blind_copy_gets_the_mail_and_stands_nowhere_in_it(send, sink: Sink) -> None:
    send(to=["zoe@customer.test"], cc=["max@customer.test"], bcc=["boss@customer.test"])
    assert [envelope.rcpt_tos for envelope in sink.envelopes] == [
        ["zoe@customer.test"],
        ["max@customer.test"],
        ["boss@customer.test"],
    ]
    for number in range(3):
        assert b"boss" not in raw_of(sink, number)
        assert received(sink, number)["Bcc"] is None
    assert len({raw_of(sink, number) for number in range(3)}) == 1


def test_files_beyond_the_limit_are_refused_in_words_and_nothing_is_sent(
    send, sink: Sink, branch: Branch, ticket: Ticket, make: Factory
) -> None:
    branch.attachment_limit_mb = 1
    agent = make.agent(branch=branch)
    for number in range(2):
        db.session.add(
            Attachment(
                uploaded_by_id=agent.id,
                name="film.mp4",
                size_bytes=700 * 1024,
                sha256="0" * 64,
                public_key=f"key-{number}-0123456789abcdef",
            )
        )
    db.session.commit()
    files = [f"key-{number}-0123456789abcdef" for number in range(2)]
    with pytest.raises(UserFault, match=r"are 1\.4 MB together, and at most 1 MB can be sent"):
        replies.send_reply(ticket, agent, "<p>See the film.</p>", attachment_keys=files)
    assert db.session.query(OutboxItem).count() == 0
    assert db.session.query(Attachment).filter(Attachment.message_id.is_not(None)).count() == 0


@pytest.mark.parametrize(
    ("answer", "is_suppressed"),
    [("550 5.1.1 No such user", True), ("550 5.7.1 We do not like you", False), ("450 4.2.1 Later", False)],
)
def test_an_address_that_does_not_exist_gets_nothing_automatic_any_more(
    send, sink: Sink, answer: str, is_suppressed: bool
) -> None:
    sink.recipient_answers["zoe@customer.test"] = answer
    message = send(to=["zoe@customer.test"])
    delivery = db.session.scalars(select(Delivery)).one()
    assert delivery.state == message.delivery_state == ("deferred" if answer[0] == "4" else "failed")
    identity = db.session.scalars(select(Identity).where(Identity.address == "zoe@customer.test")).one()
    db.session.refresh(identity)
    assert (identity.suppressed_at is not None) is is_suppressed


def test_a_bounce_is_not_forgotten_when_the_others_get_their_mail(send, sink: Sink) -> None:
    sink.recipient_answers["max@customer.test"] = "450 4.2.1 Later"
    message = send(to=["zoe@customer.test", "max@customer.test"])
    item = item_of(message)
    item.deliveries[0].state = "bounced"
    item.next_attempt_at = item.created_at
    db.session.commit()
    sink.recipient_answers.clear()
    deliver(message)
    assert item.state == "sent"
    assert message.delivery_state == "bounced"
