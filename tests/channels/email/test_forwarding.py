"""Whose mail it is that somebody passes on."""

import pytest

from portal.channels.email.forwarding import read_forward
from portal.channels.email.parsing import parse_mail

GMAIL = """Please help her.

---------- Forwarded message ---------
From: Zoë Müller <zoe@customer.test>
Date: Mon, 5 Feb 2024 at 10:15
Subject: The lamp is red
To: Ana Agent <ana@desk.test>


Good morning,

my lamp is red.
"""
APPLE = """Please help her.

> Begin forwarded message:
>
> From: Zoë Müller <zoe@customer.test>
> Subject: The lamp is red
> Date: 5 February 2024 at 10:15:00 CET
> To: Ana Agent <ana@desk.test>
>
> Good morning,
>
> my lamp is red.
"""
THUNDERBIRD = """Please help her.

-------- Weitergeleitete Nachricht --------
Betreff: \tThe lamp is red
Datum: \tMon, 5 Feb 2024 10:15:00 +0100
Von: \tZoë Müller <zoe@customer.test>
An: \tAna Agent <ana@desk.test>

Good morning,

my lamp is red.
"""
OUTLOOK = """Please help her.

Von: Zoë Müller <zoe@customer.test>
Gesendet: Montag, 5. Februar 2024 10:15
An: Ana Agent <ana@desk.test>
Betreff: The lamp is red

Good morning,

my lamp is red.
"""
OUTLOOK_FRENCH = """Please help her.

________________________________
De : Zoë Müller <zoe@customer.test>
Envoyé : lundi 5 février 2024 10:15
À : Ana Agent <ana@desk.test>
Objet : The lamp is red

Good morning,

my lamp is red.
"""
OUTLOOK_OLD = """Please help her.

-----Original Message-----
From: Zoë Müller [mailto:zoe@customer.test]
Sent: Monday, February 5, 2024 10:15 AM
To: Ana Agent
Subject: The lamp is red

Good morning,

my lamp is red.
"""


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("Fwd: The lamp is red", GMAIL),
        ("Fwd: The lamp is red", APPLE),
        ("Fwd: The lamp is red", THUNDERBIRD),
        ("WG: The lamp is red", OUTLOOK),
        ("TR: The lamp is red", OUTLOOK_FRENCH),
        ("FW: The lamp is red", OUTLOOK_OLD),
    ],
)
def test_a_forward_that_is_written_out_is_read(subject: str, body: str) -> None:
    found = read_forward(parse_mail(mail(subject, body)))

    assert found is not None
    assert found.remark == "Please help her."
    assert (found.mail.from_name, found.mail.from_address) == ("Zoë Müller", "zoe@customer.test")
    assert found.mail.subject == "The lamp is red"
    assert found.mail.text == "Good morning,\n\nmy lamp is red."
    assert found.mail.message_id == "outer@desk.test"
    # What the customer writes next names one of these.
    assert found.mail.references == ("first@customer.test",)
    assert found.mail.in_reply_to is None


def test_a_page_without_a_remark_stays_a_page() -> None:
    page = GMAIL.partition("\n\n")[2].replace("<", "&lt;").replace("\n", "<br>\n")
    raw = mail("Fwd: The lamp is red", f"<div>{page}</div>", "Content-Type: text/html; charset=utf-8")
    found = read_forward(parse_mail(raw))

    assert found is not None
    assert found.remark == ""
    assert found.mail.from_address == "zoe@customer.test"
    assert "my lamp is red" in (found.mail.html or "")


def test_a_page_below_a_remark_is_not_kept_as_one() -> None:
    page = GMAIL.replace("<", "&lt;").replace("\n", "<br>\n")
    raw = mail("Fwd: The lamp is red", f"<div>{page}</div>", "Content-Type: text/html; charset=utf-8")
    found = read_forward(parse_mail(raw))

    assert found is not None
    assert found.remark == "Please help her."
    assert found.mail.html is None
    assert "Please help her" not in (found.mail.text or "")


def test_an_attached_mail_is_read_with_its_files() -> None:
    raw = b"\r\n".join(
        [
            b"From: Ana <ana@desk.test>",
            b"To: support@portal.test",
            b"Subject: something for you",
            b"Message-ID: <outer@desk.test>",
            b'Content-Type: multipart/mixed; boundary="o"',
            b"",
            b"--o",
            b"Content-Type: text/plain",
            b"",
            b"Please help her.",
            b"--o",
            b"Content-Type: message/rfc822",
            b"",
            b"From: =?utf-8?q?Zo=C3=AB?= <zoe@customer.test>",
            b"Subject: The lamp is red",
            b"Message-ID: <first@customer.test>",
            b'Content-Type: multipart/mixed; boundary="i"',
            b"",
            b"--i",
            b"",
            b"My lamp.",
            b"--i",
            b'Content-Type: image/png; name="lamp.png"',
            b"Content-Transfer-Encoding: base64",
            b"",
            b"iVBORw0KGgo=",
            b"--i--",
            b"--o--",
            b"",
        ]
    )
    found = read_forward(parse_mail(raw))

    assert found is not None
    assert (found.mail.from_name, found.mail.from_address) == ("Zoë", "zoe@customer.test")
    assert (found.mail.subject, found.mail.text, found.remark) == (
        "The lamp is red",
        "My lamp.",
        "Please help her.",
    )
    assert [one.name for one in found.mail.attachments] == ["lamp.png"]
    assert found.mail.references == ("first@customer.test",)
    assert found.mail.message_id == "outer@desk.test"


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("The lamp is red", "My lamp is red."),
        # An answer that quotes is none.
        ("Re: The lamp is red", OUTLOOK),
        # Nobody can say whose it is.
        ("Fwd: x", GMAIL.replace(" <zoe@customer.test>", "")),
        ("Fwd: x", "Please look at the lamp."),
        ("WG: x", "From: Berlin\nTo: Paris\n\nA journey."),
    ],
)
def test_what_is_no_clear_forward_is_none(subject: str, body: str) -> None:
    assert read_forward(parse_mail(mail(subject, body))) is None


def mail(subject: str, body: str, *headers: str) -> bytes:
    lines = [
        "From: Ana <ana@desk.test>",
        "To: support@portal.test",
        f"Subject: {subject}",
        "Message-ID: <outer@desk.test>",
        "References: <first@customer.test>",
        *(headers or ["Content-Type: text/plain; charset=utf-8"]),
        "",
        body,
    ]
    return "\r\n".join(lines).encode()
