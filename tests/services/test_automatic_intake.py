"""What arrives is acknowledged where the branch wants it, within the caps, and never at an address that bounced."""

import pytest
from sqlalchemy import select

from portal.channels.base import IncomingBytes
from portal.channels.email.parsing import parse_mail
from portal.extensions import db
from portal.models import Branch, Event, Identity, InboxItem, Ticket
from portal.models.columns import now
from portal.services import arrivals, intake, outbox
from tests.channels.email.servers import Sink, sink_running
from tests.factory import Factory

DESK = "desk@portal.test"


def test_with_acknowledgements_off_nothing_is_sent_or_noted(make: Factory) -> None:
    make.account(make.branch(), address=DESK)
    arrive(DESK, mail(1, "zoe@customer.test"))
    assert [item.state for item in db.session.scalars(select(InboxItem))] == ["processed"]
    assert noted() == []


def test_caps_machines_and_bounces_hold_acknowledgements_back(make: Factory) -> None:
    with sink_running(Sink()) as sink:
        branch = acknowledging_branch(make, sink.port)
        assert branch.automatic_per_recipient == 5
        often = [mail(number, "zoe@customer.test") for number in range(8)]
        once = [mail(100 + number, f"c{number}@customer.test") for number in range(10)]
        machine = mail(300, "x@customer.test", "Auto-Submitted: auto-replied")
        arrive(DESK, *often, *once, machine)
        assert [rule for kind, rule in noted() if kind == "acknowledgement_withheld"] == [
            *["recipient_cap"] * 3,
            "auto_submitted",
        ]
        for item_id in outbox.owed_ids(100):
            outbox.deliver(item_id)
        assert len(sink.envelopes) == 15
        sent = next(each for each in sink.envelopes if each.rcpt_tos == ["c3@customer.test"])
        assert parse_mail(sent.content).auto_submitted == "auto-replied"

        arrive(sent.mail_from, bounce_of("c3@customer.test", sent.mail_from))
        found = select(Identity).where(Identity.address == "c3@customer.test")
        identity = db.session.scalars(found.execution_options(populate_existing=True)).one()
        assert identity.suppressed_at is not None
        arrive(DESK, mail(900, "c3@customer.test"))
        assert noted()[-1] == ("acknowledgement_withheld", "suppressed")
    # What a machine wrote answers nobody.
    assert all(ticket.first_responded_at is None for ticket in db.session.scalars(select(Ticket)))


def acknowledging_branch(make: Factory, sink_port: int) -> Branch:
    branch = make.branch(
        sends_acknowledgement=True,
        acknowledgement_html="<p>{{ customer.first_name }} #{{ ticket.number }}</p>",
    )
    make.account(branch, address=DESK, smtp_host="127.0.0.1", smtp_port=sink_port, smtp_security="none")
    return branch


def arrive(recipient: str, *raws: bytes) -> None:
    for raw in raws:
        key = f"test:{parse_mail(raw).message_id}"
        intake.accept(IncomingBytes(key, "email", None, "", (recipient,), now(), raw))
    intake.process_waiting()


def noted() -> list[tuple[str, str]]:
    """Kind and rule of every acknowledgement that was sent or held back, in order."""
    found = select(Event.kind, Event.data).where(Event.kind.like("acknowledgement%")).order_by(Event.id)
    return [(kind, data["rule"]) for kind, data in db.session.execute(found)]


def mail(number: int, sender: str, *headers: str) -> bytes:
    lines = [
        f"From: Zoe <{sender}>",
        f"To: {DESK}",
        f"Subject: Matter {number}",
        f"Message-ID: <{number}@customer.test>",
        *headers,
        "",
        "Hello",
    ]
    return "\r\n".join(lines).encode()


def bounce_of(address: str, return_path: str) -> bytes:
    lines = [
        "From: MAILER-DAEMON@customer.test",
        f"To: {return_path}",
        "Subject: Undelivered Mail Returned to Sender",
        "Message-ID: <bounce@customer.test>",
        "Auto-Submitted: auto-replied",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"',
        "",
        "--b",
        "Content-Type: text/plain",
        "",
        "gone",
        "--b",
        "Content-Type: message/delivery-status",
        "",
        "Reporting-MTA: dns; mx.customer.test",
        "",
        f"Final-Recipient: rfc822; {address}",
        "Action: failed",
        "Status: 5.1.1",
        "Diagnostic-Code: smtp; 550 5.1.1 unknown",
        "",
        "--b--",
        "",
    ]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("step", ["parse_mail", "words_of"])
def test_a_mail_that_takes_too_long_is_put_aside_and_stops_nobody(
    make: Factory, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    make.account(make.branch(), address=DESK)
    quick = getattr(arrivals, step)

    def slow(given):
        raw = given if isinstance(given, bytes) else given.message_id.encode()
        while b"66@" in raw:
            pass
        return quick(given)

    monkeypatch.setattr(arrivals, step, slow)
    monkeypatch.setattr(arrivals, "MOST_SECONDS_PER_MAIL", 0.2)
    arrive(DESK, *(mail(number, f"c{number}@customer.test") for number in (65, 66, 67)))

    found = {item.source_key: item for item in db.session.scalars(select(InboxItem))}
    states = [found[f"test:{number}@customer.test"].state for number in (65, 66, 67)]
    assert states == ["processed", "quarantined", "processed"]
    assert "took longer" in found["test:66@customer.test"].reason
