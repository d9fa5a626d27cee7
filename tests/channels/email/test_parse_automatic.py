"""Which mail no person wrote, and the rule that says so."""

import pytest

from portal.channels.email.parsing import parse_mail

DSN = """Return-Path: <>
From: MAILER-DAEMON@mx.example (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b

I could not deliver your mail.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; gone@shop.example
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 no such user

--b
Content-Type: message/rfc822

From: desk@desk.example
Message-ID: <m.1.abc@desk.example>

Hello
--b--
"""


def _dsn(action: str = "failed", status: str = "5.1.1") -> bytes:
    return DSN.format(action=action, status=status).encode()


def test_a_failure_report_names_recipient_status_and_mail() -> None:
    mail = parse_mail(_dsn())
    assert mail.is_bounce
    assert mail.classification_rule == "delivery_status"
    assert mail.failed_recipients == ("gone@shop.example",)
    assert (mail.bounce_status, mail.is_temporary_bounce) == ("5.1.1", False)
    assert mail.returned_message_id == "m.1.abc@desk.example"
    assert mail.has_null_return_path


def test_a_delay_passes_and_a_delivery_is_no_bounce() -> None:
    assert parse_mail(_dsn("delayed", "4.4.1")).is_temporary_bounce
    delivered = parse_mail(_dsn("delivered", "2.0.0"))
    assert (delivered.is_bounce, delivered.is_auto_reply) == (False, True)


def test_a_bounce_in_words_alone_needs_a_daemon() -> None:
    words = b"The following address failed:\n<gone@shop.example>\n550 5.1.1 unknown user\n"
    from_daemon = parse_mail(
        b"From: MAILER-DAEMON@mx.example\nReturn-Path: <>\nSubject: Returned mail: User unknown\n\n" + words
    )
    assert (from_daemon.is_bounce, from_daemon.failed_recipients) == (True, ("gone@shop.example",))
    answered = parse_mail(
        b"From: Ann <ann@shop.example>\nIn-Reply-To: <x@y.example>\nSubject: Re: User unknown\n\nmailbox full?"
    )
    assert not answered.is_bounce
    assert answered.failed_recipients == ()


@pytest.mark.parametrize(
    ("headers", "rule"),
    [
        ("Auto-Submitted: auto-replied (vacation)", "auto_submitted"),
        ("Auto-Submitted: auto-generated", "auto_submitted"),
        ("X-Autoreply: yes", "header x-autoreply"),
        ("Precedence: auto_reply", "precedence"),
        ("Subject: Automatic reply: Order", "auto_reply_subject"),
        ("Subject: Out of Office: Order", "auto_reply_subject"),
        ("Subject: Abwesenheitsnotiz: Bestellung", "auto_reply_subject"),
        ("Subject: Réponse automatique : Commande", "auto_reply_subject"),
        ("Subject: Respuesta automática: Pedido", "auto_reply_subject"),
        ("Subject: 自動返信", "auto_reply_subject"),
        ("Content-Type: multipart/report; report-type=disposition-notification; boundary=b", "receipt"),
    ],
)
def test_automatic_replies_are_known(headers: str, rule: str) -> None:
    mail = parse_mail(f"From: ann@shop.example\n{headers}\n\nI am away.".encode())
    assert (mail.is_auto_reply, mail.is_bounce, mail.classification_rule) == (True, False, rule)


@pytest.mark.parametrize(
    "headers",
    [
        "X-Auto-Response-Suppress: All",
        "Auto-Submitted: no",
        "Precedence: bulk",
        "Subject: Re: Out of office",
        "Subject: Your automatic reply is wrong",
        "Subject: Absence of a receipt",
    ],
)
def test_ordinary_mail_is_not_taken_for_automatic(headers: str) -> None:
    mail = parse_mail(f"From: ann@shop.example\n{headers}\n\nPlease help.".encode())
    assert not mail.is_auto_reply
    assert not mail.is_bounce


def test_suppressed_answers_are_told_to_the_rules() -> None:
    mail = parse_mail(b"X-Auto-Response-Suppress: OOF, AutoReply\n\nx")
    assert mail.suppressed_responses == ("OOF", "AutoReply")


def test_lists_and_feedback_reports() -> None:
    assert parse_mail(b"From: a@b.example\nList-Id: <x.example>\n\nx").is_list
    report = parse_mail(
        b"Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n\nx\n--b--"
    )
    assert (report.is_feedback_report, report.is_bounce) == (True, False)
