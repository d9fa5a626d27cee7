"""A mail inside another: what somebody forwards, attached or written out below a header block."""

import re
from dataclasses import dataclass, replace

from portal.channels.email import reply_marks as marks
from portal.channels.email.html import html_to_text
from portal.channels.email.lines import Line, text_lines
from portal.channels.email.parsing import ParsedMail, parse_mail
from portal.channels.email.quoting import split_reply
from portal.channels.email.quoting_lines import is_header_block
from portal.rules.subjects import is_forward

_MOST_HEADER_LINES = 30
# The block of a forward stands near its marker; further down it is part of what somebody wrote.
_MARKER_REACH = 4
_ADDRESS = re.compile(r"[^\s<>\[\]()\"':;,]{1,64}@[^\s<>\[\]()\"':;,]{1,255}")
_AROUND_ADDRESS = re.compile(r"[<\[(]\s*(?:mailto:)?[^<>\[\]()]*@.*\Z|mailto:.*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Forwarded:
    """The mail that is inside, as if it had come by itself, and the words of whoever passes it on.

    `mail` keeps the outer one's identity and what the hop says of it: its Message-ID, its recipients, its verdict.
    """

    mail: ParsedMail
    remark: str


def read_forward(mail: ParsedMail) -> Forwarded | None:
    """The mail that this one passes on; None when it passes on none, or not clearly one that says who wrote it.

    Only a mail that is attached (message/rfc822) alone, or that stands below a line or a subject which says that it is
    forwarded, counts.
    """
    return _attached(mail) or _written_out(mail)


def _attached(mail: ParsedMail) -> Forwarded | None:
    inside = [one for one in mail.attachments if one.content_type == "message/rfc822"]
    if len(inside) != 1:
        return None
    original = parse_mail(inside[0].content)
    if original.limit_exceeded or "@" not in original.from_address:
        return None
    others = tuple(one for one in mail.attachments if one is not inside[0])
    ancestors = [*original.references, *([original.message_id] if original.message_id else [])]
    return Forwarded(
        mail=replace(
            mail,
            from_address=original.from_address,
            from_name=original.from_name,
            reply_to=original.reply_to,
            subject=original.subject or mail.subject,
            in_reply_to=None,
            references=tuple(dict.fromkeys(ancestors)),
            text=original.text,
            html=original.html,
            attachments=(*original.attachments, *others),
            language=original.language,
        ),
        remark=split_reply(mail.text, mail.html).new.strip(),
    )


def _written_out(mail: ParsedMail) -> Forwarded | None:
    text = mail.text if mail.text and mail.text.strip() else html_to_text(mail.html or "")
    lines = text_lines(text)
    marker, block = _find_block(lines, is_forward(mail.subject))
    if block is None:
        return None
    values, below = _read_block(lines, block)
    address = _ADDRESS.search(values.get("from", ""))
    if address is None:
        return None
    remark = split_reply("\n".join(line.raw for line in lines[:marker]), None).new.strip()
    depth = lines[block].depth
    body = "\n".join(_unquoted(line, depth) for line in lines[below:]).strip("\n")
    ancestors = [
        *mail.references,
        *([mail.in_reply_to] if mail.in_reply_to else []),
        *mail.attached_message_ids,
    ]
    return Forwarded(
        mail=replace(
            mail,
            from_address=address.group().rstrip("."),
            from_name=_name_of(values["from"]),
            reply_to=(),
            subject=values.get("subject") or mail.subject,
            in_reply_to=None,
            references=tuple(dict.fromkeys(ancestors)),
            text=body,
            # With a remark above it the page cannot be cut without showing the remark to the customer some day.
            html=None if remark else mail.html,
        ),
        remark=remark,
    )


def _find_block(lines: list[Line], is_forward_subject: bool) -> tuple[int, int | None]:
    """Where the forward begins, and where its header block does; the second is None when there is none."""
    for at, line in enumerate(lines):
        if line.is_empty:
            continue
        words = line.words[: marks.LONGEST_LINE]
        if marks.FORWARD.match(words) or (is_forward_subject and marks.DIVIDER.match(words)):
            for position in range(at + 1, min(at + 1 + _MARKER_REACH, len(lines))):
                if not lines[position].is_empty and is_header_block(lines, position):
                    return at, position
        elif is_forward_subject and is_header_block(lines, at):
            return at, at
    return 0, None


def _read_block(lines: list[Line], at: int) -> tuple[dict[str, str], int]:
    """The values of the header block by kind, and the line below it."""
    values: dict[str, str] = {}
    kind = ""
    end = min(at + _MOST_HEADER_LINES, len(lines))
    while at < end:
        line = lines[at]
        found, value = marks.label_kind(line.words)
        if found:
            kind = found
            values.setdefault(kind, value)
        elif line.is_empty:
            following = lines[at + 1].words if at + 1 < end else ""
            if not marks.label_kind(following)[0]:
                return values, at + 1
        elif kind:
            # A long value goes on in the next line.
            values[kind] = f"{values[kind]} {line.words}"
        at += 1
    return values, at


def _name_of(value: str) -> str:
    name = _AROUND_ADDRESS.sub("", value).strip(" *_\"'<>")
    return "" if "@" in name else name


def _unquoted(line: Line, depth: int) -> str:
    raw = line.raw
    for _ in range(depth):
        raw = raw.lstrip()
        if not raw.startswith(">"):
            break
        raw = raw[1:].removeprefix(" ")
    return raw
