"""Ten mebibytes of every nasty shape, and what reading each costs: run as a program, alone in its process.

Prints JSON: for each shape the seconds of processor time that parse_mail takes, and the reason for quarantine.
"""

import json
import random
import resource
import sys
import time
from collections.abc import Callable

SIZE = 10 << 20
# Address space of the whole process: the mail itself, Python, and what reading it takes.
MOST_MEMORY = 640 << 20


def fill(piece: bytes) -> bytes:
    return (piece * (SIZE // len(piece) + 1))[:SIZE]


def noise() -> bytes:
    return random.Random(1).randbytes(SIZE)  # no secret


def in_parts(body: bytes) -> bytes:
    return HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + body


HEAD = b"From: a@b.example\nSubject: x\n"
HTML = HEAD + b"Content-Type: text/html; charset=utf-8\n\n"
TEXT = HEAD + b"Content-Type: text/plain; charset=utf-8\n\n"


def nested() -> bytes:
    layers = (b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(200_000))
    return (HEAD + b"".join(layers))[:SIZE]


SHAPES: dict[str, Callable[[], bytes]] = {
    "one line": lambda: TEXT + b"x" * SIZE,
    "one line words": lambda: TEXT + fill(b"word "),
    "one long url": lambda: TEXT + b"http://" + b"a" * SIZE,
    "at signs": lambda: TEXT + fill(b"a@"),
    "nested multipart": nested,
    "nested rfc822": lambda: HEAD + fill(b"Content-Type: message/rfc822\n\n"),
    "header one": lambda: b"Subject: " + b"a" * SIZE + b"\n\nx",
    "header folded": lambda: b"Subject: a\n" + fill(b" b\n") + b"\nx",
    "header many": lambda: fill(b"X-A: b\n") + b"\nx",
    "header only": lambda: b"a" * SIZE,
    "header crs": lambda: b"Subject: " + b"\r" * SIZE + b"\n\nx",
    "divs": lambda: HTML + fill(b"<div>"),
    "divs 399": lambda: HTML + fill(b"<div>" * 399 + b"x" + b"</div>" * 399),
    "tables": lambda: HTML + fill(b"<table><tr><td>"),
    "unclosed b": lambda: HTML + fill(b"<b>x<i>y"),
    "unclosed p b": lambda: HTML + fill(b"<p><b>x"),
    "misnest": lambda: HTML + fill(b"<b><p></b></p>"),
    "lt": lambda: HTML + fill(b"<"),
    "attr uniq": lambda: HTML + b"<p " + b" ".join(b"a%d=b" % i for i in range(900000)) + b">",
    "style": lambda: HTML + b'<p style="' + fill(b"color:red;") + b'">x',
    "entities": lambda: HTML + fill(b"&amp;"),
    "entities broken": lambda: HTML + fill(b"&#x"),
    "blockquote": lambda: HTML + fill(b"<blockquote>"),
    "gt": lambda: TEXT + b">" * SIZE,
    "gt lines": lambda: TEXT + fill(b">\n"),
    "gt deep lines": lambda: TEXT + fill(b">" * 70 + b" x\n"),
    "quote alternating": lambda: TEXT + fill(b"> q\ntext\n"),
    "wrote": lambda: TEXT + fill(b"On Mon, 1 Jan 2020, x <a@b.c> wrote:\n"),
    "wrote line": lambda: TEXT + fill(b"On Mon wrote: "),
    "dashes": lambda: TEXT + fill(b"--\n"),
    "empty lines": lambda: TEXT + fill(b"\n"),
    "base64": lambda: HEAD + b"Content-Transfer-Encoding: base64\n\n" + fill(b"QUJD" * 19 + b"\n"),
    "base64 garbage": lambda: HEAD + b"Content-Transfer-Encoding: base64\n\n" + noise(),
    "base64 padding": lambda: HEAD + b"Content-Transfer-Encoding: base64\n\n" + fill(b"QQ==\n"),
    "qp garbage": lambda: (
        HEAD + b"Content-Transfer-Encoding: quoted-printable\n\n" + fill(b"=\xff=3D=zz= \n")
    ),
    "qp soft": lambda: HEAD + b"Content-Transfer-Encoding: quoted-printable\n\n" + fill(b"=\n"),
    "encoded words": lambda: b"Subject: " + fill(b"=?utf-8?B?YQ==?= ") + b"\n\nx",
    "encoded words open": lambda: b"Subject: " + fill(b"=?utf-8?q?a") + b"\n\nx",
    "encoded folded": lambda: b"Subject: a\n" + fill(b" =?utf-8?B?YQ==?=\n") + b"\nx",
    "parts": lambda: in_parts(fill(b"--b\n\nx\n")),
    "parts 999 x10k": lambda: in_parts((b"--b\n\n" + b"x\n" * 5000) * 999),
    "parts 999 html": lambda: in_parts((b"--b\nContent-Type: text/html\n\n" + b"<p>x\n" * 2000) * 999),
    "boundary prefix": lambda: in_parts(fill(b"--bb\n")),
    "boundary long": lambda: (
        HEAD
        + b"Content-Type: multipart/mixed; boundary="
        + b"b" * 5000
        + b"\n\n"
        + fill(b"--" + b"b" * 4999 + b"\n")
    ),
    "addresses": lambda: b"To: " + fill(b"a <b@c.example>, ") + b"\n\nx",
    "addresses fields": lambda: fill(b"To: a <b@c.example>\n") + b"\nx",
    "addr parens": lambda: b"From: " + b"(" * SIZE + b"\n\nx",
    "addr quotes": lambda: b"From: " + fill(b'"a" ') + b"\n\nx",
    "addr lt": lambda: b"From: " + b"<" * SIZE + b"\n\nx",
    "references": lambda: b"References: " + fill(b"<a@b> ") + b"\n\nx",
    "received": lambda: fill(b"Received: from a by b; Mon, 1 Jan 2020 00:00:00 +0000\n") + b"\nx",
    "authres": lambda: b"Authentication-Results: " + fill(b"x; spf=pass ") + b"\n\nx",
    "params": lambda: HEAD + b"Content-Type: text/plain;" + fill(b" a*0*=utf-8''x;") + b"\n\nx",
    "random": noise,
    "random text": lambda: TEXT + noise(),
    "utf16": lambda: HEAD + b"Content-Type: text/plain; charset=utf-16\n\n" + noise(),
    "unknown charset": lambda: (
        HEAD + b"Content-Type: text/plain; charset=nope\n\n" + fill(b"caf\xe9 \xe4\xf6 ")
    ),
    "flowed": lambda: HEAD + b"Content-Type: text/plain; format=flowed; delsp=yes\n\n" + fill(b"> a \n"),
    "dsn": lambda: (
        HEAD
        + b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n"
        + b"Content-Type: message/delivery-status\n\n"
        + fill(b"Final-Recipient: rfc822; a@b.c\nAction: failed\nStatus: 5.1.1\n\n")
    ),
    "bounce prose": lambda: (
        b"From: MAILER-DAEMON@x\nReturn-Path: <>\nSubject: Undelivered\n\n"
        + fill(b"<a@b.example>: 550 5.1.1 no such user\n")
    ),
    "tnef": lambda: (
        HEAD
        + b"Content-Type: application/ms-tnef\nContent-Transfer-Encoding: 8bit\n\n\x78\x9f\x3e\x22\x00\x00"
        + noise()
    ),
    "tnef attrs": lambda: (
        HEAD
        + b"Content-Type: application/ms-tnef\nContent-Transfer-Encoding: 8bit\n\n\x78\x9f\x3e\x22\x00\x00"
        + fill(b"\x02\x05\x80\x06\x00\x01\x00\x00\x00a\x61\x00")
    ),
    "ical": lambda: (
        HEAD
        + b"Content-Type: text/calendar\n\nBEGIN:VCALENDAR\n"
        + fill(b"BEGIN:VEVENT\nSUMMARY:x\nEND:VEVENT\n")
        + b"END:VCALENDAR\n"
    ),
    "ical nested": lambda: HEAD + b"Content-Type: text/calendar\n\n" + fill(b"BEGIN:VEVENT\n"),
    "signatures": lambda: TEXT + fill(b"Sent from my iPhone\n"),
}


def main() -> None:
    from portal.channels.email.parsing import parse_mail

    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    costs = {}
    for name, make in SHAPES.items():
        raw = make()
        began = time.process_time()
        reason = parse_mail(raw).limit_exceeded
        costs[name] = (time.process_time() - began, reason)
    json.dump(costs, sys.stdout)


if __name__ == "__main__":
    main()
