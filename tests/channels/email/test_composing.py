"""A composed mail is read back as what was written, by the standard library and by our own parser."""

import email
import email.policy
import re
from datetime import UTC, datetime, timedelta, timezone
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal.channels.email.composing import (
    InlineImage,
    MailAttachment,
    Mailbox,
    OutgoingMail,
    UnwritableMail,
    compose,
    quote,
    references_for,
)
from portal.channels.email.parsing import parse_mail
from portal.channels.email.writing import clean_text

DATE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
PIXEL = bytes.fromhex("89504e470d0a1a0a") + bytes(range(256))
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
NASTY_TEXT = st.lists(
    st.sampled_from(
        [
            "\r\n",
            "\n",
            "\r",
            "Bcc: x@evil.test",
            ".",
            "..",
            "=?utf-8?q?x?=",
            '"',
            "\\",
            ", ",
            "<a@b.test>",
            "é",
            "日本語",
            "\x00",
            "\u2028",
            "=",
            "?",
            " ",
            "\t",
            "a" * 90,
        ]
    ),
    max_size=12,
).map("".join)


def mail(**fields) -> OutgoingMail:
    return OutgoingMail(
        **{
            "from_name": "North Shop",
            "from_address": "support@north.test",
            "to": (Mailbox(name="Ann", address="ann@example.test"),),
            "subject": "Your order",
            "html": "<p>It is on its way.</p>",
            "text": "It is on its way.",
            "message_id": "m.1.abc@north.test",
            "date": DATE,
            **fields,
        }
    )


def read(raw: bytes) -> Message:
    return email.message_from_bytes(raw)


def words(value: str) -> str:
    unfolded = value.replace("\r\n", "")
    return str(make_header(decode_header(unfolded)))


def shape(part: Message) -> object:
    if part.is_multipart():
        return part.get_content_subtype(), [shape(each) for each in part.get_payload()]
    return part.get_content_type()


def field_names(raw: bytes) -> list[str]:
    return [name.lower() for name in read(raw)]


# --- the tree


@pytest.mark.parametrize(
    ("has_image", "has_file", "expected"),
    [
        (False, False, ("alternative", ["text/plain", "text/html"])),
        (True, False, ("alternative", ["text/plain", ("related", ["text/html", "image/png"])])),
        (False, True, ("mixed", [("alternative", ["text/plain", "text/html"]), "application/pdf"])),
        (
            True,
            True,
            (
                "mixed",
                [("alternative", ["text/plain", ("related", ["text/html", "image/png"])]), "application/pdf"],
            ),
        ),
    ],
)
def test_parts_are_nested_as_clients_expect(has_image, has_file, expected):
    image = InlineImage(content_id="p1@north", name="p.png", content_type="image/png", content=PIXEL)
    file = MailAttachment(name="bill.pdf", content_type="application/pdf", content=b"%PDF")
    raw = compose(
        mail(
            html='<img src="cid:p1@north">' if has_image else "<p>x</p>",
            inline_images=(image,) if has_image else (),
            attachments=(file,) if has_file else (),
        )
    )
    assert shape(read(raw)) == expected


def test_an_image_that_the_html_does_not_show_is_attached_rather_than_lost():
    image = InlineImage(content_id="p1", name="p.png", content_type="image/png", content=PIXEL)
    raw = compose(mail(html='<img src="cid:p10">', inline_images=(image,)))
    attached = read(raw).get_payload()[1]
    assert (attached.get_content_disposition(), attached.get_payload(decode=True)) == ("attachment", PIXEL)


def test_our_own_parser_reads_back_what_was_written():
    image = InlineImage(content_id="p1@north", name="p.png", content_type="image/png", content=PIXEL)
    file = MailAttachment(name="Übersicht.csv", content_type="text/csv", content=b"a;b\r\n\x00\xff")
    raw = compose(
        mail(
            from_name="Zoë, Support",
            cc=(Mailbox(address="bob@example.test", name="Bob"),),
            reply_to="support+t-abc@north.test",
            subject="Größe 日本語",
            html='<p>Grüße <img src="cid:p1@north"></p>',
            text="Grüße",
            inline_images=(image,),
            attachments=(file,),
            in_reply_to="<parent@example.test>",
            references=("first@example.test", "parent@example.test"),
        )
    )
    parsed = parse_mail(raw)
    assert (parsed.subject, parsed.from_name, parsed.from_address) == (
        "Größe 日本語",
        "Zoë, Support",
        "support@north.test",
    )
    assert [each.address for each in parsed.cc] == ["bob@example.test"]
    assert parsed.message_id.strip("<>") == "m.1.abc@north.test"
    assert parsed.in_reply_to.strip("<>") == "parent@example.test"
    assert [each.strip("<>") for each in parsed.references] == ["first@example.test", "parent@example.test"]
    assert parsed.text.strip() == "Grüße"
    assert "Grüße" in parsed.html
    by_name = {each.name: each for each in parsed.attachments}
    assert by_name["Übersicht.csv"].content == b"a;b\r\n\x00\xff"
    assert (by_name["p.png"].content, by_name["p.png"].is_inline) == (PIXEL, True)
    assert not parsed.is_auto_reply
    assert parsed.date == DATE


def test_text_is_made_from_the_html_where_none_is_given():
    raw = compose(mail(html="<p>One</p><ul><li>two &amp; three</li></ul>", text=None))
    plain = read(raw).get_payload()[0].get_payload(decode=True).decode()
    assert "One" in plain
    assert "two & three" in plain
    assert "<" not in plain


# --- headers


def test_a_mail_is_the_same_bytes_at_every_try_whatever_time_zone_its_date_is_told_in():
    tokyo = DATE.astimezone(timezone(timedelta(hours=9)))
    assert compose(mail()) == compose(mail()) == compose(mail(date=tokyo))


def test_boundaries_differ_between_mails_and_between_levels():
    file = MailAttachment(name="a", content_type="text/plain", content=b"")
    first, second = (compose(mail(message_id=f"{n}@north.test", attachments=(file,))) for n in (1, 2))
    boundaries = [re.findall(rb'boundary="([^"]+)"', raw) for raw in (first, second)]
    assert len({*boundaries[0], *boundaries[1]}) == 4


def test_a_blind_recipient_and_list_headers_stand_nowhere():
    raw = compose(mail(to=(), cc=()))
    assert "bcc" not in field_names(raw)
    assert read(raw)["To"] == "undisclosed-recipients:;"
    assert not any(name.startswith("list-") for name in field_names(raw))


@pytest.mark.parametrize(
    ("parent", "expected"), [(None, "auto-generated"), ("p@example.test", "auto-replied")]
)
def test_automatic_mail_says_so(parent, expected):
    assert read(compose(mail(is_automatic=True, in_reply_to=parent)))["Auto-Submitted"] == expected
    assert read(compose(mail()))["Auto-Submitted"] is None


@given(ANY_TEXT)
@example("")
@example("=?utf-8?q?not_mine?=")
@example("two  spaces")
@example("👩‍👩‍👧" * 30)
@example("word " * 60)
def test_any_subject_is_read_back(subject):
    raw = compose(mail(subject=subject))
    assert words(read(raw)["Subject"] or "") == clean_text(subject)
    assert parse_mail(raw).subject.split() == clean_text(subject).split()


@given(ANY_TEXT)
@example('Ann "the boss", Shop')
@example("back\\slash")
@example("Ann <ann@evil.test>")
def test_any_name_is_read_back_beside_the_address(name):
    raw = compose(mail(from_name=name, to=(Mailbox(name=name, address="ann@example.test"),) * 3))
    people = getaddresses([read(raw)["To"].replace("\r\n", "")])
    assert [address for _, address in people] == ["ann@example.test"] * 3
    assert {words(each) for each, _ in people} == {clean_text(name)}


@given(ANY_TEXT.filter(lambda text: not set("/\\") & set(text) and clean_text(text)[:200].strip()))
@example("Übersicht – Größe.pdf")
@example("日本語" * 40)
@example('a"b;c.txt')
@example("100%.txt")
def test_any_file_name_is_read_back(name):
    file = MailAttachment(name=name, content_type="application/pdf", content=b"x")
    part = read(compose(mail(attachments=(file,)))).get_payload()[1]
    assert part.get_filename() == clean_text(name)[:200].strip()


@given(ANY_TEXT)
@example("trailing spaces   \n.\nFrom x\n" + "a" * 2000)
@example("\r")
def test_any_text_is_read_back_with_its_lines(text):
    raw = compose(mail(text=text))
    plain = read(raw).get_payload()[0].get_payload(decode=True).decode()
    assert plain.replace("\r\n", "\n").rstrip() == re.sub("\r\n|\r", "\n", text).rstrip()


@given(st.binary(max_size=3000))
def test_any_attachment_is_read_back_byte_for_byte(content):
    file = MailAttachment(name="a.bin", content_type="application/x-thing", content=content)
    assert read(compose(mail(attachments=(file,)))).get_payload()[1].get_payload(decode=True) == content


@given(NASTY_TEXT, NASTY_TEXT, NASTY_TEXT, NASTY_TEXT, NASTY_TEXT)
def test_no_field_can_begin_another_header_or_another_part(subject, name, body, file_name, extra):
    file = MailAttachment(name=file_name, content_type=extra, content=body.encode())
    raw = compose(
        mail(
            subject=subject,
            from_name=name,
            html=body,
            text=body,
            attachments=(file,),
            to=(Mailbox(name=name, address="ann@example.test"),),
            references=(subject, name),
            in_reply_to=body,
            extra_headers=(("X-Portal-Note", extra),),
        )
    )
    allowed = {
        "date",
        "from",
        "to",
        "subject",
        "message-id",
        "in-reply-to",
        "references",
        "x-portal-note",
        "mime-version",
        "content-type",
    }
    assert set(field_names(raw)) <= allowed
    assert len(field_names(raw)) == len(set(field_names(raw)))
    assert shape(read(raw))[0] == "mixed"
    assert len(read(raw).get_payload()) == 2
    assert getaddresses([read(raw)["To"].replace("\r\n", "")])[0][1] == "ann@example.test"


@given(NASTY_TEXT, ANY_TEXT, st.text(max_size=1200))
def test_lines_end_in_crlf_and_stay_short_and_ascii(subject, name, text):
    raw = compose(mail(subject=subject, from_name=name, text=text, html=text))
    assert raw.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    assert max(map(len, raw.split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    "wrong",
    [
        {"from_address": "a@b.test\r\nBcc: c@d.test"},
        {"from_address": "a b@c.test"},
        {"from_address": "nobody"},
        {"from_address": "a@b.test, c@d.test"},
        {"to": (Mailbox(address="a@b.test>\n<c@d.test"),)},
        {"reply_to": "a@b.test\nX: y"},
        {"message_id": "a b@c"},
        {"message_id": "x>\r\nBcc: a@b.test"},
        {"message_id": ""},
        {"date": datetime(2026, 1, 1)},
        {"extra_headers": (("Bcc", "x@y.test"),)},
        {"extra_headers": (("List-Unsubscribe", "x"),)},
        {"extra_headers": (("Content-Type", "text/html"),)},
        {"extra_headers": (("X-A: b\r\nX-C", "d"),)},
        {
            "inline_images": (
                InlineImage(content_id="a\r\nb", name="", content_type="image/png", content=b""),
            )
        },
    ],
)
def test_what_cannot_stand_in_a_header_is_refused(wrong):
    with pytest.raises(UnwritableMail):
        compose(mail(**wrong))


def test_an_address_in_another_script_keeps_its_local_part_and_gets_an_ascii_domain():
    raw = compose(mail(to=(Mailbox(address="käthe@bücher.test"),)))
    assert "To: käthe@xn--bcher-kva.test\r\n".encode() in raw


@pytest.mark.parametrize(
    "declared", ["message/rfc822", "multipart/mixed", "text/html\r\nX: y", "", "nonsense"]
)
def test_an_attachment_of_a_type_that_base64_may_not_carry_is_a_plain_file(declared):
    file = MailAttachment(name="a.eml", content_type=declared, content=b"From: x\n")
    part = read(compose(mail(attachments=(file,)))).get_payload()[1]
    expected = (
        "text/html"
        if declared.startswith("text/html") and "\r" not in declared
        else "application/octet-stream"
    )
    assert part.get_content_type() == expected


# --- ancestors


def test_references_are_the_parents_and_the_parent():
    assert references_for(("<a@x>", "<b@x>"), "b@x", "c@x") == ("a@x", "b@x", "c@x")
    assert references_for((), "a@x", "c@x") == ("a@x", "c@x")
    assert references_for((), None, "c@x") == ("c@x",)
    assert references_for((), None, None) == ()


def test_many_references_keep_the_first_and_the_last():
    ids = tuple(f"{number}@x" for number in range(50))
    kept = references_for(ids, None, "parent@x")
    assert (len(kept), kept[0], kept[1], kept[-1]) == (20, "0@x", "32@x", "parent@x")


def test_ids_of_others_that_cannot_stand_in_a_header_are_left_out():
    raw = compose(
        mail(in_reply_to="a b@x\r\nX: y", references=("ok@x", "bad id@x", "é@x", "<ok2@x>", "y" * 2000))
    )
    assert read(raw)["In-Reply-To"] is None
    assert read(raw)["References"].split() == ["<ok@x>", "<ok2@x>"]


def test_the_answered_mail_is_always_the_last_reference():
    raw = compose(mail(in_reply_to="b@x", references=("b@x", "a@x")))
    assert read(raw)["References"].split() == ["<a@x>", "<b@x>"]


def test_a_message_id_longer_than_a_line_stays_whole():
    long_id = "x" * 200 + "@example.test"
    raw = compose(mail(message_id=long_id, in_reply_to=long_id))
    assert f"Message-ID: <{long_id}>\r\n".encode() in raw


# --- history


def test_history_stands_below_the_answer_in_both_versions():
    html, text = quote(
        html="<p>Where is it?</p>", text="Where is it?\n\nAnn", author="Ann <x>", written_at=DATE
    )
    raw = compose(mail(quoted_html=html, quoted_text=text))
    plain, page = (each.get_payload(decode=True).decode() for each in read(raw).get_payload())
    assert plain.replace("\r\n", "\n") == (
        "It is on its way.\n\nOn 2026-11-23 at 09:00, Ann <x> wrote:\n> Where is it?\n>\n> Ann\n"
    )
    assert (
        page.index("It is on its way") < page.index("Ann &lt;x&gt; wrote") < page.index("<p>Where is it?</p>")
    )


def test_history_without_html_is_shown_as_text_and_no_history_is_none():
    html, text = quote(html=None, text="1 < 2\n<b>", author="Ann", written_at=DATE)
    assert "1 &lt; 2<br>&lt;b&gt;" in html
    assert text.endswith("> 1 < 2\n> <b>")
    assert quote(html=None, text=None, author="Ann", written_at=DATE) == (None, None)


def test_the_text_of_history_is_made_from_its_html():
    _, text = quote(html="<p>Where is it?</p>", text=None, author="Ann", written_at=DATE)
    assert text.endswith("> Where is it?")


def test_the_modern_parser_of_the_standard_library_finds_no_defects():
    file = MailAttachment(name="日本語" * 30, content_type="application/pdf", content=PIXEL)
    raw = compose(mail(subject="é " * 80, from_name="é, x", attachments=(file,)))
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert [defect for part in parsed.walk() for defect in part.defects] == []
    assert parsed["Subject"] == clean_text("é " * 80)
