"""Our own people's mail: their answers, what they pass on, and what merely bears their address."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from flask import Flask
from flask_appbuilder.security.sqla.models import User
from sqlalchemy import select

from portal.channels.base import IncomingBytes
from portal.channels.email.parsing import parse_mail
from portal.extensions import db
from portal.models import Branch, Event, InboxItem, Message, Ticket
from portal.models.columns import now
from portal.services import intake, outbox, replies
from tests.channels.email.servers import Sink, sink_running
from tests.factory import Factory

DESK = "desk@portal.test"
VERIFIER = "mx.portal.test"
QUESTION = ("zoe@customer.test", "<first@customer.test>")


@dataclass
class Scene:
    """A desk with one agent and one ticket, opened by a customer's mail.

    Intake ends the session, so rows are read anew.
    """

    branch_id: int
    agent_id: int
    ticket_id: int
    sink: Sink

    @property
    def branch(self) -> Branch:
        return db.session.get_one(Branch, self.branch_id)

    @property
    def agent(self) -> User:
        return db.session.get_one(User, self.agent_id)

    @property
    def ticket(self) -> Ticket:
        return db.session.get_one(Ticket, self.ticket_id, populate_existing=True)


@pytest.fixture
def scene(app: Flask, make: Factory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    settings = replace(app.config["SETTINGS"], mail_verifiers=frozenset({VERIFIER}))
    monkeypatch.setitem(app.config, "SETTINGS", settings)
    with sink_running(Sink()) as sink:
        branch = make.branch()
        make.account(branch, address=DESK, smtp_host="127.0.0.1", smtp_port=sink.port, smtp_security="none")
        ids = branch.id, make.agent(branch=branch, username="ana").id
        arrive(mail("zoe@customer.test", "<first@customer.test>", body="My lamp is red."))
        yield Scene(*ids, db.session.scalars(select(Ticket.id)).one(), sink)


def test_an_answer_that_the_customer_has_is_kept_as_the_agents(scene: Scene) -> None:
    arrive(answer(scene, "To: zoe@customer.test", f"Cc: {DESK}"))

    message = newest(scene.ticket)
    assert (message.direction, message.author_id) == ("out", scene.agent_id)
    assert (message.from_address, message.delivery_state) == ("ana@desk.test", "sent")
    assert message.text == "It is on its way."
    assert "own mail program" in message.thread_evidence["reason"]
    assert outbox.owed_ids(10) == []
    assert scene.ticket.status == "pending"
    assert scene.ticket.first_responded_at == message.created_at
    assert scene.ticket.assignee_id == scene.agent_id
    assert [event.actor_id for event in events("reply_sent")] == [scene.agent_id]


def test_the_customer_answers_the_agents_own_mail(scene: Scene) -> None:
    arrive(answer(scene, "To: zoe@customer.test", f"Cc: {DESK}"))
    arrive(mail("zoe@customer.test", "<third@customer.test>", "In-Reply-To: <second@desk.test>"))

    message = newest(scene.ticket)
    assert (message.direction, message.thread_rule) == ("in", "known_message_id")


def test_an_answer_to_us_alone_goes_on_to_the_customer(scene: Scene) -> None:
    arrive(answer(scene, f"To: {DESK}"))

    message = newest(scene.ticket)
    assert (message.direction, message.author_id) == ("out", scene.agent_id)
    for item_id in outbox.owed_ids(10):
        outbox.deliver(item_id)
    [envelope] = scene.sink.envelopes
    sent = parse_mail(envelope.content)
    assert envelope.rcpt_tos == ["zoe@customer.test"]
    assert (sent.from_address, sent.in_reply_to) == (DESK, "first@customer.test")
    assert sent.message_id == message.message_id_header != "second@desk.test"
    assert (sent.text or "").startswith("It is on its way.")
    assert "ana@desk.test" not in envelope.content.decode()
    assert scene.ticket.first_responded_at is not None


def test_the_same_answer_by_two_mailboxes_is_sent_on_once(scene: Scene, make: Factory) -> None:
    make.account(scene.branch, address="second@portal.test")
    raw = answer(scene, f"To: {DESK}", "Cc: second@portal.test")
    arrive(raw)
    arrive(raw, recipient="second@portal.test", key="another")

    assert len(messages(scene.ticket)) == 2
    assert len(outbox.owed_ids(10)) == 1


def test_pictures_of_an_answer_go_on_inside_it(scene: Scene) -> None:
    body = "\r\n".join(
        [
            "--r",
            "Content-Type: text/html; charset=utf-8",
            "",
            '<p>Like this: <img src="cid:lamp@desk"></p><script>x</script>',
            "--r",
            "Content-Type: image/png",
            "Content-ID: <lamp@desk>",
            "Content-Transfer-Encoding: base64",
            "",
            "iVBORw0KGgo=",
            "--r--",
            "",
        ]
    )
    arrive(answer(scene, f"To: {DESK}", 'Content-Type: multipart/related; boundary="r"', body=body))
    for item_id in outbox.owed_ids(10):
        outbox.deliver(item_id)

    sent = parse_mail(scene.sink.envelopes[0].content)
    assert [one.content for one in sent.attachments] == [b"\x89PNG\r\n\x1a\n"]
    assert f"cid:{sent.attachments[0].content_id}" in (sent.html or "")
    assert "<script" not in (sent.html or "")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(("To: bob@supplier.test", f"Cc: {DESK}"), id="to somebody else"),
        pytest.param((f"To: {DESK}", "Subject: Fwd: Lamp"), id="a forward in its ticket"),
    ],
)
def test_what_is_not_for_the_customer_is_a_note(scene: Scene, headers: tuple[str, ...]) -> None:
    body = "---------- Forwarded message ---------\nFrom: Zoe <zoe@customer.test>\nDate: Mon\nSubject: Lamp\n\nRed."
    arrive(answer(scene, *headers, body=body if "Fwd" in headers[1] else "What do you think?"))

    message = newest(scene.ticket)
    assert (message.direction, message.author_id) == ("note", scene.agent_id)
    assert outbox.owed_ids(10) == []
    assert scene.ticket.first_responded_at is None


@pytest.mark.parametrize(
    "proof",
    [
        pytest.param([], id="no verdict"),
        pytest.param(
            ["Authentication-Results: mx.portal.test; dmarc=fail header.from=desk.test"], id="failed"
        ),
        pytest.param(
            [
                "Received: from x by evil.test; Mon, 5 Feb 2024 10:15:00 +0100",
                "Authentication-Results: evil.test; dkim=pass header.d=desk.test",
            ],
            id="by a server of the sender's",
        ),
        pytest.param(
            ["Authentication-Results: mx.portal.test; dkim=pass header.d=evil.test"], id="another's signature"
        ),
    ],
)
def test_an_address_alone_makes_no_agent(scene: Scene, proof: list[str]) -> None:
    arrive(answer(scene, f"To: {DESK}", proof=proof))

    message = newest(scene.ticket)
    assert (message.direction, message.author_id) == ("in", None)
    assert "nothing proves" in message.thread_evidence["reason"]
    assert outbox.owed_ids(10) == []


def test_what_nothing_proves_is_marked_as_such(scene: Scene, login) -> None:
    arrive(answer(scene, f"To: {DESK}", proof=[]))
    page = login(scene.agent).get(f"/tickets/{scene.ticket.number}").get_data(as_text=True)

    assert "Bears a colleague&#39;s address, not verified" in page


def test_an_agent_of_another_branch_is_no_agent_here(scene: Scene, make: Factory) -> None:
    make.agent(branch=make.branch(), username="eve")
    arrive(answer(scene, f"To: {DESK}", sender="eve@desk.test"))

    assert newest(scene.ticket).direction == "in"
    assert outbox.owed_ids(10) == []


def test_an_out_of_office_notice_of_an_agent_is_no_answer(scene: Scene) -> None:
    arrive(answer(scene, f"To: {DESK}", "Auto-Submitted: auto-replied"))

    assert newest(scene.ticket).direction == "in"
    assert scene.ticket.first_responded_at is None


def test_what_an_agent_passes_on_opens_a_ticket_for_its_writer(scene: Scene) -> None:
    body = (
        "Angry one, be quick.\n\n---------- Forwarded message ---------\nFrom: Max <max@customer.test>\n"
        "Date: Mon, 5 Feb 2024 at 10:15\nSubject: Where is it?\nTo: <ana@desk.test>\n\nWhere is my parcel?\n"
    )
    arrive(
        proved(
            "ana@desk.test", "<fwd@desk.test>", f"To: {DESK}", "References: <max1@customer.test>",
            "Subject: Fwd: Where is it?", body=body,
        )
    )  # fmt: skip

    ticket = db.session.scalars(select(Ticket).where(Ticket.id != scene.ticket_id)).one()
    assert (ticket.subject, ticket.customer.name) == ("Where is it?", "Max")
    ticket_id = ticket.id
    question, remark = messages(ticket)
    assert (question.direction, question.from_address) == ("in", "max@customer.test")
    assert question.text.strip() == "Where is my parcel?"
    assert (remark.direction, remark.author_id, remark.text) == (
        "note",
        scene.agent_id,
        "Angry one, be quick.",
    )
    assert ticket.message_count == 2

    reply = replies.send_reply(ticket, scene.agent, "<p>Tomorrow.</p>")
    assert [person["address"] for person in reply.to] == ["max@customer.test"]
    # The customer goes on in the thread that we never saw the beginning of.
    arrive(mail("max@customer.test", "<max2@customer.test>", "In-Reply-To: <max1@customer.test>"))
    last = db.session.scalars(select(Message).order_by(Message.id.desc())).first()
    assert last is not None
    assert (last.ticket_id, last.thread_rule) == (ticket_id, "shared_ancestor")


def test_a_forward_that_nothing_proves_is_an_ordinary_mail(scene: Scene) -> None:
    body = "---------- Forwarded message ---------\nFrom: Max <max@customer.test>\nDate: Mon\nSubject: Lamp\n\nRed."
    arrive(mail("ana@desk.test", "<fwd@desk.test>", "Subject: Fwd: Lamp", body=body))

    ticket = db.session.scalars(select(Ticket).where(Ticket.id != scene.ticket_id)).one()
    assert messages(ticket)[0].from_address == "ana@desk.test"


def test_a_colleagues_mail_is_shown_in_a_frame_of_its_own(scene: Scene, login) -> None:
    arrive(
        answer(
            scene, "To: zoe@customer.test", f"Cc: {DESK}", "Content-Type: text/html; charset=utf-8",
            body='<p style="color: red">It is on its way.</p>',
        )
    )  # fmt: skip
    page = login(scene.agent).get(f"/tickets/{scene.ticket.number}").get_data(as_text=True)

    assert "answered from their own mail program" in page
    assert "srcdoc=" in page
    assert '<p style="color' not in page


def answer(scene: Scene, *headers: str, body: str = "It is on its way.", **values) -> bytes:
    """A mail of the agent's in the customer's thread."""
    sender = values.pop("sender", "ana@desk.test")
    return proved(
        sender, "<second@desk.test>", "In-Reply-To: <first@customer.test>", *headers, body=body, **values
    )


def proved(sender: str, message_id: str, *headers: str, body: str, proof: list[str] | None = None) -> bytes:
    results = f"Authentication-Results: {VERIFIER}; dkim=pass header.d=desk.test"
    hop = f"Received: from x by {VERIFIER}; Mon, 5 Feb 2024 10:15:00 +0100"
    return mail(sender, message_id, *([results] if proof is None else proof), hop, *headers, body=body)


def mail(sender: str, message_id: str, *headers: str, body: str = "Hello") -> bytes:
    lines = [
        *headers,
        f"From: Somebody <{sender}>",
        f"Message-ID: {message_id}",
        *([] if any(one.startswith("To:") for one in headers) else [f"To: {DESK}"]),
        *([] if any(one.startswith("Subject:") for one in headers) else ["Subject: Lamp"]),
        "",
        body,
    ]
    return "\r\n".join(lines).encode()


def arrive(raw: bytes, recipient: str = DESK, key: str = "") -> None:
    key = key or f"test:{parse_mail(raw).message_id}"
    intake.accept(IncomingBytes(key, "email", None, "", (recipient,), now(), raw))
    intake.process_waiting()
    assert [item.reason for item in db.session.scalars(select(InboxItem)) if item.state != "processed"] == []


def messages(ticket: Ticket) -> list[Message]:
    found = select(Message).where(Message.ticket_id == ticket.id).order_by(Message.created_at, Message.id)
    return list(db.session.scalars(found))


def newest(ticket: Ticket) -> Message:
    return messages(ticket)[-1]


def events(kind: str) -> list[Event]:
    return list(db.session.scalars(select(Event).where(Event.kind == kind)))
