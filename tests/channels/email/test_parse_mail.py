"""A mail as one value, each way that programs write it."""

import base64
from datetime import UTC, datetime

import pytest

from portal.channels.email.parsing import Address, parse_mail


def _mail(headers: str, body: str = "Hello\n") -> bytes:
    return (headers.strip("\n") + "\n\n" + body).encode()


def test_an_ordinary_mail_is_read() -> None:
    mail = parse_mail(
        _mail(
            "From: =?utf-8?Q?J=C3=BCrgen?= <j@shop.example>\nTo: Support <help@desk.example>, b@c.example\n"
            "Cc: d@e.example\nReply-To: r@shop.example\n"
            "Subject: =?utf-8?B?w5xiZXI=?= =?utf-8?B?cmFzY2h1bmc=?=\nDate: Mon, 5 Feb 2024 10:15:00 +0100\n"
            "Message-ID: <1@shop.example>\nIn-Reply-To: <0@desk.example>\n"
            "References: <a@desk.example>\n <0@desk.example>"
        )
    )
    assert (mail.from_name, mail.from_address, mail.subject) == ("Jürgen", "j@shop.example", "Überraschung")
    assert mail.to == (Address("Support", "help@desk.example"), Address("", "b@c.example"))
    assert (mail.cc[0].address, mail.reply_to[0].address) == ("d@e.example", "r@shop.example")
    assert mail.date == datetime(2024, 2, 5, 9, 15, tzinfo=UTC)
    assert (mail.message_id, mail.in_reply_to) == ("1@shop.example", "0@desk.example")
    assert mail.references == ("a@desk.example", "0@desk.example")
    assert mail.text == "Hello\n"
    flags = (mail.is_bounce, mail.is_auto_reply, mail.is_list, mail.limit_exceeded)
    assert flags == (False, False, False, "")


@pytest.mark.parametrize(
    ("field", "name", "address"),
    [
        ("Doe, John <john@x.example>", "Doe, John", "john@x.example"),
        ('"Doe, John" <john@x.example>', "Doe, John", "john@x.example"),
        ("john@x.example (John Doe)", "John Doe", "john@x.example"),
        ("\"'john@x.example'\" <john@x.example>", "john@x.example", "john@x.example"),
        ("<<john@x.example>>", "", "john@x.example"),
        ("mailto:john@x.example", "", "john@x.example"),
        ("=?iso-8859-1?Q?J=F6hn_=3C_D?= <john@x.example>", "Jöhn < D", "john@x.example"),
        ('"=?utf-8?Q?J=C3=B6hn?=" <john@x.example>', "Jöhn", "john@x.example"),
        ("John", "John", ""),
        ("", "", ""),
    ],
)
def test_an_author_is_read_as_written(field: str, name: str, address: str) -> None:
    mail = parse_mail(_mail(f"From: {field}"))
    assert (mail.from_name, mail.from_address) == (name, address)


def test_groups_and_missing_commas_in_recipients() -> None:
    mail = parse_mail(
        _mail("To: undisclosed-recipients:;\nCc: team: a@x.example, B <b@x.example>; c@x.example")
    )
    assert mail.to == ()
    assert [one.address for one in mail.cc] == ["a@x.example", "b@x.example", "c@x.example"]


@pytest.mark.parametrize(
    ("label", "raw", "text"),
    [
        ("utf-8", "Grüße".encode(), "Grüße"),
        ("utf-8", "Grüße".encode("latin-1"), "Grüße"),
        ("us-ascii", "Grüße €".encode("cp1252"), "Grüße €"),
        ("iso-8859-1", "Grüße".encode(), "Grüße"),
        ("x-unknown", "Grüße".encode(), "Grüße"),
        ("ks_c_5601-1987", "안녕하세요".encode("cp949"), "안녕하세요"),
        ("gb2312", "朱镕基".encode("gb18030"), "朱镕基"),
        ("iso-2022-jp", "こんにちは".encode("iso2022_jp"), "こんにちは"),
        ("us-ascii", "こんにちは".encode("iso2022_jp"), "こんにちは"),
        ("shift_jis", "①こんにちは".encode("cp932"), "①こんにちは"),
        ("koi8-r", "Привет".encode("koi8-r"), "Привет"),
    ],
)
def test_bodies_of_wrong_and_rare_charsets(label: str, raw: bytes, text: str) -> None:
    mail = parse_mail(f"From: a@b.example\nContent-Type: text/plain; charset={label}\n\n".encode() + raw)
    assert mail.text == text


def test_headers_of_raw_bytes() -> None:
    assert parse_mail("Subject: Grüße".encode() + b"\n\nx").subject == "Grüße"
    assert (
        parse_mail("Subject: Grüße aus München".encode("latin-1") + b"\n\nx").subject == "Grüße aus München"
    )


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        ("=?utf-8?B?w5w=?= =?utf-8?B?YmVy?=", "Über"),
        ("=?utf-8?B?w?= =?utf-8?B?5w=?=", "Ü"),
        ("=?utf-8?Q?a b?= c", "a b c"),
        ("=?utf-8?Q?torn", "torn"),
        ("=?utf-8?X?no?= word", "=?utf-8?X?no?= word"),
        ("=?nonsense?Q?=C3=9C?=", "Ü"),
        ("Re: =?ISO-8859-1?Q?=FC?=ber", "Re: über"),
        ("=?utf-8*de?Q?=C3=BC?=", "ü"),
    ],
)
def test_encoded_words_in_their_broken_forms(value: str, subject: str) -> None:
    assert parse_mail(_mail(f"Subject: {value}")).subject == subject


MIXED = """From: a@b.example
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=utf-8

The text
--inner
Content-Type: text/html; charset=utf-8

<p>The page<img src="cid:pic@x"></p>
--inner--
--outer
Content-Type: image/png; name="pic.png"
Content-Disposition: inline
Content-ID: <pic@x>
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--outer
Content-Type: application/pdf
Content-Disposition: attachment; filename*0*=utf-8''%C3%9Cber; filename*1*=sicht.pdf

%PDF
--outer
Content-Type: message/rfc822

From: c@d.example
Message-ID: <attached@d.example>
Content-Type: multipart/mixed; boundary=x

--x

not ours
--x--
--outer--
epilogue
"""


def test_parts_are_bodies_or_attachments() -> None:
    mail = parse_mail(MIXED.encode())
    assert mail.text == "The text"
    assert mail.html == '<p>The page<img src="cid:pic@x"></p>'
    assert [(one.name, one.content_type, one.is_inline) for one in mail.attachments] == [
        ("pic.png", "image/png", True),
        ("Übersicht.pdf", "application/pdf", False),
        (None, "message/rfc822", False),
    ]
    assert mail.attachments[0].content == base64.b64decode("iVBORw0KGgo=")
    assert mail.attachments[0].content_id == "pic@x"
    assert mail.attached_message_ids == ("attached@d.example",)


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_line_endings_change_nothing(ending: str) -> None:
    one, other = parse_mail(MIXED.encode()), parse_mail(MIXED.replace("\n", ending).encode())
    assert (one.text, one.html, one.from_address) == (other.text, other.html, other.from_address)
    assert [a.name for a in one.attachments] == [a.name for a in other.attachments]


def test_a_torn_inner_multipart_swallows_nothing() -> None:
    mail = parse_mail(MIXED.replace("--inner--\n", "").encode())
    assert [one.content_type for one in mail.attachments] == [
        "image/png",
        "application/pdf",
        "message/rfc822",
    ]


def test_a_multipart_without_any_boundary_shows_its_text() -> None:
    mail = parse_mail(_mail("Content-Type: multipart/mixed; boundary=gone", "The text"))
    assert mail.text == "The text"
    assert mail.defects == ("A multipart without its boundary.",)


def test_a_boundary_without_semicolon_is_found() -> None:
    mail = parse_mail(_mail("Content-Type: multipart/mixed\n\tboundary=b", "--b\n\nThe text\n--b--"))
    assert mail.text == "The text"


def test_a_first_part_without_delimiter_is_kept() -> None:
    mail = parse_mail(
        _mail(
            "Content-Type: multipart/alternative; boundary=b\nContent-Type: text/plain",
            "The text\n\n--b\nContent-Type: text/html\n\n<p>x\n--b--",
        )
    )
    assert (mail.text or "").strip() == "The text"
    assert mail.html == "<p>x"


def test_flowed_text_is_joined_and_signatures_stay() -> None:
    mail = parse_mail(
        _mail("Content-Type: text/plain; format=flowed", "One \ntwo\n From\n> quoted \n> more\n-- \nAnn")
    )
    assert mail.text == "One two\nFrom\n> quoted \n> more\n-- \nAnn"


def test_mbox_lines_and_junk_between_headers() -> None:
    mail = parse_mail(b"From a@b Mon Feb  5\nSubject: one\nthis is no field\nFrom: c@d.example\n\nbody")
    assert (mail.subject, mail.from_address, mail.text) == ("one", "c@d.example", "body")


def test_signed_mail_is_marked_and_its_signature_kept() -> None:
    mail = parse_mail(
        _mail(
            "Content-Type: multipart/signed; protocol=application/pgp-signature; boundary=b",
            "--b\n\nThe text\n--b\nContent-Type: application/pgp-signature; name=signature.asc\n\nsig\n--b--",
        )
    )
    assert mail.is_signed
    assert [one.name for one in mail.attachments] == ["signature.asc"]


def test_calendar_parts_are_never_lost() -> None:
    mail = parse_mail(
        _mail(
            "Content-Type: multipart/alternative; boundary=b",
            "--b\n\nMeet\n--b\nContent-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\n--b--",
        )
    )
    assert [one.content_type for one in mail.attachments] == ["text/calendar"]


def test_nul_and_lone_surrogates_are_left_out() -> None:
    mail = parse_mail(b"Subject: a\x00b\nContent-Type: text/plain; charset=utf-7\n\n+2AA- x\x00y")
    assert "\x00" not in mail.subject + (mail.text or "")
    (mail.text or "").encode("utf-8")


AUTHENTICATED = """Received: from mail.shop.example by mx.desk.example with ESMTPS; Mon, 5 Feb 2024 10:15:00 +0100
Authentication-Results: mx.desk.example; {}
Received: from laptop by mail.shop.example; Mon, 5 Feb 2024 10:14:00 +0100
From: Ann <ann@shop.example>"""


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        ("dmarc=pass header.from=shop.example", "pass"),
        ("dkim=pass header.d=shop.example; spf=fail smtp.mailfrom=x@other.example", "pass"),
        ("dmarc=fail header.from=shop.example; dkim=pass header.d=other.example", "fail"),
        ("dkim=pass header.d=other.example; spf=pass smtp.mailfrom=x@other.example", "none"),
        ("spf=fail (no) smtp.mailfrom=x@shop.example", "fail"),
        ("none", "none"),
    ],
)
def test_the_trusted_hop_is_believed(results: str, verdict: str) -> None:
    assert parse_mail(_mail(AUTHENTICATED.format(results))).authentication == verdict


def test_results_that_a_stranger_wrote_are_not_believed() -> None:
    forged = AUTHENTICATED.format("dmarc=pass").replace("mx.desk.example;", "mx.evil.example;")
    assert parse_mail(_mail(forged)).authentication == "none"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Guten Tag, ich habe die Lampe nicht bekommen und bitte um Hilfe", "de"),
        ("Hello, I have not received the lamp and you said it is on the way", "en"),
        ("Bonjour, je n'ai pas reçu la lampe, merci de votre aide", "fr"),
        ("Здравствуйте, лампа не пришла", "ru"),
        ("こんにちは、ランプが届きません", "ja"),
        ("xyz", None),
    ],
)
def test_the_language_is_guessed(text: str, language: str | None) -> None:
    assert parse_mail(_mail("Subject: x", text)).language == language


def test_words_below_the_closing_delimiter_of_an_empty_mail_are_shown() -> None:
    raw = b'Content-Type: multipart/mixed; boundary="a"\n\n--a\n\n--a--\nWords at\nthe wrong place.\n'

    assert "the wrong place." in (parse_mail(raw).text or "")


def test_an_empty_mail_shows_no_delimiters() -> None:
    raw = b'Content-Type: multipart/mixed; boundary="a"\n\nMIME!\n--a\n\n\n--a--\n\n'

    assert not (parse_mail(raw).text or "").strip()
