"""Any bytes give a ParsedMail, in bounded time."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.channels.email.parsing import parse_mail
from portal.channels.email.quoting import split_reply

MIB = 1 << 20
# Of processor time, on a machine of the kind that this is made for.
MOST_SECONDS = 2
HEAD = b"From: a@b.example\nSubject: x\n"

_PIECES = st.sampled_from(
    [b"Content-Type: multipart/mixed; boundary=b\n",
     b"Content-Type: message/rfc822\n", b"--b\n", b"--b--\n",
     b"\n", b"\r",
     b"\x00",
     b"Content-Transfer-Encoding: base64\n", b"Content-Transfer-Encoding: quoted-printable\n",
     b"=?utf-8?B?", b"?=", b"Subject: ",
     b"From: ",
     b"<", b">", b"@", b'"', b"(", b"\xff\xfe", b"Content-Type: text/plain; charset=utf-7\n",
     b"References: ", b"Date: ", b"%", b"=", b";",
     b"Content-Type: message/delivery-status\n", b"\x78\x9f\x3e\x22\x00\x00",
     b"Authentication-Results: ", b"Received: by "]
)  # fmt: skip


@given(
    st.one_of(
        st.binary(max_size=500),
        st.lists(st.one_of(_PIECES, st.binary(max_size=5)), max_size=60).map(b"".join),
    )
)
@settings(deadline=None, max_examples=400)
def test_any_bytes_are_a_mail(raw: bytes) -> None:
    mail = parse_mail(raw)
    assert not mail.limit_exceeded.startswith("It could not be read")
    for text in (mail.subject, mail.from_address, mail.from_name, mail.text or "", mail.html or ""):
        text.encode("utf-8")
        assert "\x00" not in text
    split = split_reply(mail.text, mail.html)
    assert isinstance(split.new, str)


@given(st.text(max_size=300))
@settings(deadline=None, max_examples=200)
def test_no_word_of_any_text_is_lost(text: str) -> None:
    split = split_reply(text, None)
    kept = f"{split.new}\n{split.quoted}\n{split.signature}"
    assert sorted("".join(kept.split())) == sorted("".join(text.split()))


LARGE = {
    "base64": HEAD + b"Content-Transfer-Encoding: base64\nContent-Type: a/b\n\n" + b"QUJD" * (10 * MIB // 4),
    "quoted-printable": HEAD
    + b"Content-Transfer-Encoding: quoted-printable\n\n"
    + b"=C3=A4 hello =\n" * (10 * MIB // 15),
    "html": HEAD + b"Content-Type: text/html\n\n" + b"<p>hello <b>x</b></p>\n" * (10 * MIB // 22),
    "latin": HEAD + b"\n" + b"caf\xe9 cr\xe8me " * MIB,
    "folded header": b"Subject: a\n" + b" \n\tb" * (2 * MIB) + b"\n\nbody",
    "encoded words": b"Subject: " + b"=?utf-8?q?a" * MIB + b"\n\nx",
    "recipients": b"To: " + b'"a, b" <x@y.example>, ' * 500_000 + b"\n\nx",
    "parentheses": b"To: " + b"(" * (10 * MIB) + b"\n\nx",
    "parameters": HEAD + b"Content-Type: multipart/mixed;" + b' a*0="x";' * MIB + b"\n\nx",
    "near boundaries": HEAD
    + b"Content-Type: multipart/mixed; boundary=b\n\n"
    + (b"\n--b" + b" " * 5_000) * 2_000,
    "delivery reports": HEAD + b"Content-Type: message/delivery-status\n\n" + b"Action: failed\n\n" * 600_000,
}


@pytest.mark.parametrize("raw", LARGE.values(), ids=LARGE.keys())
def test_ten_mebibytes_are_read_in_time(raw: bytes) -> None:
    started = time.monotonic()
    parse_mail(raw)
    # Two seconds on a quiet machine; tests share theirs.
    assert time.monotonic() - started < 6


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (HEAD + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(999)),
         "deep"),
        (HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 100_000, "parts"),
        (b"".join(b"X-%d: y\n" % i for i in range(100_000)) + b"\nbody", "header"),
        (b"Subject: " + b"a" * 2 * MIB + b"\n\nbody", "header"),
    ],
    ids=["depth", "parts", "fields", "one field"],
)  # fmt: skip
def test_bombs_carry_the_reason_for_quarantine(raw: bytes, reason: str) -> None:
    started = time.monotonic()
    assert reason in parse_mail(raw).limit_exceeded
    assert time.monotonic() - started < 6


def test_ten_mebibytes_of_every_nasty_shape_take_two_seconds_and_little_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.channels.email.nasty_mails"],
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    costs = json.loads(done.stdout)
    assert len(costs) > 50
    slow = {name: round(seconds, 2) for name, (seconds, _) in costs.items() if seconds > MOST_SECONDS}
    assert slow == {}
    # What is put aside says why, and never that something of ours broke.
    assert not [reason for _, reason in costs.values() if reason.startswith("It could not be read")]


def test_noise_is_a_mail() -> None:
    assert parse_mail(os.urandom(2 * MIB)).limit_exceeded in {
        "",
        "The header of the mail or of one of its parts is too long.",
    }


@pytest.mark.parametrize(
    "text",
    [">" * 2_000_000, ">\n" * 500_000, "On 1/1/2020 10:00\n" * 20_000, "wrote:\n" * 40_000, "From: a\n" * 40_000,
     "--\n" * 100_000,
     ("wrote " * 90 + ":\n") * 500, "> q\ntext\n" * 30_000, "Sent from my iPhone\n" * 15_000,
     "_" * 300_000, "1:11 " * 60_000,
     "(http\n> a\n" * 30_000, "\n" * 300_000],
)  # fmt: skip
def test_hostile_texts_are_split_in_time(text: str) -> None:
    started = time.monotonic()
    split_reply(text, None)
    assert time.monotonic() - started < 8
