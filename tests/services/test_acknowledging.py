"""Who is told by itself that their mail has arrived, who is not, and why."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.channels.email.composing import compose
from portal.channels.email.parsing import parse_mail
from portal.extensions import db
from portal.models import Branch, Delivery, Event, Identity, Message, OutboxItem, Ticket
from portal.models.columns import as_of, now
from portal.services import acknowledging, events, outbox, suppression
from tests.factory import Factory

WORDS = "<p>Dear {{ customer.first_name }}, #{{ ticket.number }} has arrived. {{ customer.company }}</p>"


def mail_of(*headers: str, sender: str = "zoe@customer.test", body: str = "Where is it?") -> bytes:
    lines = [
        f"From: Zoe <{sender}>",
        "To: desk@portal.test",
        "Subject: My parcel",
        "Message-ID: <1@customer.test>",
    ]
    return "\r\n".join([*lines, *headers, "", body]).encode()


@pytest.fixture
def branch(make: Factory) -> Branch:
    branch = make.branch(
        name="North",
        from_name="North Desk",
        signature_html="<p>The North</p>",
        sends_acknowledgement=True,
        acknowledgement_html=WORDS,
    )
    make.account(branch, address="desk@portal.test")
    return branch


@pytest.fixture
def arrive(make: Factory, branch: Branch) -> Callable[[bytes], tuple[Ticket, Message | None]]:
    """A mail that opens a ticket of the branch, and its acknowledgement."""

    def arriving(raw: bytes, ticket: Ticket | None = None) -> tuple[Ticket, Message | None]:
        mail = parse_mail(raw)
        known = db.session.scalar(select(Identity).where(Identity.address == mail.from_address))
        customer = known.customer if known else make.customer(name="Zoë Müller", address=mail.from_address)
        ticket = ticket or make.ticket(branch, customer, subject=mail.subject)
        message = make.message(
            ticket, message_id_header=mail.message_id or "", from_address=mail.from_address
        )
        written = acknowledging.acknowledge(ticket, message, mail)
        db.session.commit()
        return ticket, written

    return arriving


def last_decision(ticket: Ticket) -> Event:
    return events.of_ticket(ticket.id, ["acknowledgement_sent", "acknowledgement_withheld"])[-1]


def test_a_new_ticket_is_acknowledged_in_the_branchs_words(arrive) -> None:
    ticket, message = arrive(mail_of())
    assert message is not None
    assert f"Dear Zoë, #{ticket.number} has arrived." in message.html
    assert "The North" in message.html
    assert "data-unfilled" not in message.html
    assert message.from_name == "North Desk"
    assert message.to == [{"name": "", "address": "zoe@customer.test"}]
    assert message.subject == f"Re: My parcel [#{ticket.number}]"
    assert message.in_reply_to_header == "1@customer.test"
    item = db.session.scalars(select(OutboxItem)).one()
    assert item.message_id == message.id
    assert item.state == "queued"
    assert last_decision(ticket).kind == "acknowledgement_sent"


def test_it_says_in_its_headers_that_a_machine_wrote_it(arrive) -> None:
    arrive(mail_of())
    item = db.session.scalars(select(OutboxItem)).one()
    raw = compose(outbox._mail_of(item))
    head = raw.partition(b"\r\n\r\n")[0]
    assert b"Auto-Submitted: auto-replied" in head
    assert b"X-Auto-Response-Suppress: OOF, AutoReply" in head
    assert b"X-Loop: desk@portal.test" in head
    assert parse_mail(raw).is_auto_reply


def test_it_answers_nobodys_clock(arrive) -> None:
    ticket, message = arrive(mail_of())
    assert message is not None
    assert ticket.first_responded_at is None
    assert not ticket.is_last_message_ours
    assert events.of_ticket(ticket.id, ["reply_sent"]) == []


def test_a_branch_that_sends_none_costs_no_statement(arrive, branch: Branch, make, count_queries) -> None:
    branch.sends_acknowledgement = False
    db.session.commit()
    ticket = make.ticket(branch)
    message = make.message(ticket)
    mail = parse_mail(mail_of())
    assert db.session.get(Branch, ticket.branch_id) is not None
    with count_queries() as statements:
        assert acknowledging.acknowledge(ticket, message, mail) is None
    assert statements == []


def test_an_ordinary_mail_costs_few_statements(make, branch: Branch, count_queries) -> None:
    ticket = make.ticket(branch)
    message = make.message(ticket)
    mail = parse_mail(mail_of())
    db.session.refresh(ticket)
    db.session.refresh(message)
    with count_queries() as statements:
        assert acknowledging.acknowledge(ticket, message, mail, frozenset({"desk@portal.test"}))
    assert len(statements) <= 12, statements


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (mail_of("Auto-Submitted: auto-replied"), "auto_submitted"),
        (mail_of("Precedence: bulk"), "precedence"),
        (mail_of("List-Id: <news.customer.test>"), "list"),
        (mail_of("X-Auto-Response-Suppress: All"), "responses_suppressed"),
        (mail_of("X-Loop: desk@portal.test"), "ours"),
        (mail_of("Return-Path: <>"), "null_return_path"),
        (mail_of(sender="no-reply@customer.test"), "no_reply_address"),
        (mail_of(sender="desk@portal.test"), "own_address"),
        (mail_of("Reply-To: desk@portal.test"), "own_address"),
        (mail_of("Reply-To: noreply@customer.test"), "no_reply_address"),
    ],
)
def test_machines_are_not_answered_and_the_reason_is_kept(arrive, raw: bytes, rule: str) -> None:
    ticket, message = arrive(raw)
    assert message is None
    assert db.session.scalars(select(OutboxItem)).all() == []
    decision = last_decision(ticket)
    assert decision.kind == "acknowledgement_withheld"
    assert decision.data["rule"] == rule
    assert decision.data["reason"]


def test_one_address_gets_no_more_than_its_share(arrive, branch: Branch) -> None:
    branch.automatic_per_recipient = 2
    db.session.commit()
    written = [arrive(mail_of(sender="Zoe@Customer.test"))[1] for _ in range(4)]
    assert [message is not None for message in written] == [True, True, False, False]
    assert db.session.query(Delivery).count() == 2


def test_many_senders_cannot_aim_us_at_one_address(arrive, branch: Branch) -> None:
    branch.automatic_per_recipient = 2
    db.session.commit()
    written = [
        arrive(mail_of("Reply-To: victim@customer.test", sender=f"sender{number}@customer.test"))[1]
        for number in range(4)
    ]
    assert [message is not None for message in written] == [True, True, False, False]


def test_one_ticket_sends_no_more_than_its_share(arrive, branch: Branch) -> None:
    branch.automatic_per_ticket = 1
    db.session.commit()
    ticket, first = arrive(mail_of())
    _, second = arrive(mail_of(), ticket)
    assert first is not None
    assert second is None
    assert last_decision(ticket).data["rule"] == "ticket_cap"


def test_a_share_is_for_a_day(arrive, branch: Branch) -> None:
    branch.automatic_per_recipient = 1
    db.session.commit()
    with as_of(now() - timedelta(hours=25)):
        arrive(mail_of())
    assert arrive(mail_of())[1] is not None
    assert arrive(mail_of())[1] is None


def test_an_address_that_bounced_gets_nothing_until_someone_clears_it(arrive, make: Factory) -> None:
    assert arrive(mail_of())[1] is not None
    suppression.suppress("Zoe@customer.test", "550 5.1.1 unknown user")
    db.session.commit()
    ticket, message = arrive(mail_of())
    assert message is None
    assert last_decision(ticket).data["rule"] == "suppressed"
    identity = db.session.scalars(select(Identity).where(Identity.address == "zoe@customer.test")).one()
    assert identity.suppressed_reason == "550 5.1.1 unknown user"
    suppression.clear(identity, make.agent("Admin"))
    assert arrive(mail_of())[1] is not None


def test_an_address_of_nobody_yet_is_remembered_as_well(make: Factory) -> None:
    suppression.suppress("new@customer.test", "gone")
    suppression.suppress("new@customer.test", "gone again")
    db.session.commit()
    identity = db.session.scalars(select(Identity).where(Identity.address == "new@customer.test")).one()
    assert identity.suppressed_at is not None
    assert identity.suppressed_reason == "gone"
    suppression.suppress("nonsense", "no address")
    assert db.session.query(Identity).count() == 1
