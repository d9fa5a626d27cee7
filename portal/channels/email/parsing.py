"""One mail as one value: `parse_mail` takes any bytes and gives a ParsedMail, never an exception."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from portal.channels.email import bodies, charsets, classify, tnef
from portal.channels.email.addresses import Address, parse_addresses
from portal.channels.email.authentication import Authentication, judge
from portal.channels.email.headers import Headers, decode_words, one_line, unfold
from portal.channels.email.language import guess_language
from portal.channels.email.mime import Part, inner_headers, take_apart

__all__ = ["Address", "Authentication", "ParsedAttachment", "ParsedMail", "header_texts", "parse_mail"]

LARGEST_MAIL_BYTES = 100 * 1024 * 1024
LONGEST_TEXT = 5_000_000
MOST_REFERENCES = 1_000
MOST_SHOWN_HEADERS = 200
LONGEST_SHOWN_HEADER = 2_000

_Value = TypeVar("_Value")

_BRACKETED = re.compile(r"<([^<>]{1,2000})>")
_BARE_ID = re.compile(r"[^\s<>,;\"()]{1,1000}@[^\s<>,;\"()]{1,1000}")


@dataclass(frozen=True, slots=True)
class ParsedAttachment:
    """A part that is no body. `name` is as sent (may hold path separators); `content` is decoded."""

    name: str | None
    content_type: str
    size: int
    content_id: str | None
    is_inline: bool
    content: bytes


@dataclass(frozen=True, slots=True)
class ParsedMail:
    """What a mail says. Message-IDs without angle brackets, `references` oldest first, `date` in UTC.

    `html` is as it came and unsafe: see `portal.channels.email.html`. `classification_rule` names the rule that
    made it a bounce, an automatic reply, a list mail or a feedback report; empty for ordinary mail.
    `limit_exceeded` says why the mail should go to quarantine; what was read until then is in the other fields.
    `authentication` is what `authenticated_by`, a server on the mail's way, found out about the From address.
    `defects` are readable remarks on what was broken.
    """

    subject: str = ""
    from_address: str = ""
    from_name: str = ""
    sender: Address | None = None
    reply_to: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    date: datetime | None = None
    message_id: str | None = None
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    text: str | None = None
    html: str | None = None
    attachments: tuple[ParsedAttachment, ...] = ()
    is_bounce: bool = False
    is_auto_reply: bool = False
    is_list: bool = False
    is_feedback_report: bool = False
    classification_rule: str = ""
    failed_recipients: tuple[str, ...] = ()
    bounce_status: str | None = None
    is_temporary_bounce: bool = False
    returned_message_id: str | None = None
    attached_message_ids: tuple[str, ...] = ()
    auto_submitted: str = ""
    precedence: str = ""
    suppressed_responses: tuple[str, ...] = ()
    x_loop: str = ""
    return_path: str | None = None
    has_null_return_path: bool = False
    authentication: Authentication = "none"
    authenticated_by: str = ""
    language: str | None = None
    is_signed: bool = False
    is_encrypted: bool = False
    limit_exceeded: str = ""
    # As they came, names in lower case: `header_texts` reads them.
    raw_headers: tuple[tuple[str, bytes], ...] = ()
    defects: tuple[str, ...] = ()


def parse_mail(raw: bytes) -> ParsedMail:
    """The mail in `raw`, however broken. Never raises; time and memory grow no faster than the size.

    A mail beyond a limit (size, depth, number of parts, length of the header) carries the reason in
    `limit_exceeded`.
    """
    try:
        return _parse(bytes(raw))
    except (
        RecursionError,
        MemoryError,
        ArithmeticError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:
        # The promise holds even where a rule is wrong: the mail waits in quarantine with the reason.
        return ParsedMail(limit_exceeded=f"It could not be read: {type(error).__name__}: {error}"[:500])


def _parse(raw: bytes) -> ParsedMail:
    if len(raw) > LARGEST_MAIL_BYTES:
        return ParsedMail(limit_exceeded=f"It is larger than {LARGEST_MAIL_BYTES // 1024 // 1024} MiB.")
    raw = _with_newlines(raw)
    tree = take_apart(raw)
    top, headers = tree.top, tree.top.headers
    chosen = bodies.choose(top)
    text, html = _bounded(bodies.text_of(chosen)), _bounded(bodies.html_of(chosen))
    sender = _first(parse_addresses(headers.get("sender")))
    author = _author(headers, sender)
    subject = headers.text("subject")
    verdict = classify.classify(top, subject, author, text or html or "")
    attachments = tuple(
        unpacked for part in chosen.attachments for unpacked in _with_unpacked(_attachment(part, html))
    )
    return_path = headers.get("return-path")
    verdict_on_sender = judge(headers, author.address)
    return ParsedMail(
        subject=subject,
        from_address=author.address,
        from_name=author.name,
        sender=sender,
        reply_to=_addresses(headers, "reply-to"),
        to=_addresses(headers, "to"),
        cc=_addresses(headers, "cc"),
        date=_date(headers),
        message_id=_first(message_ids(headers.get("message-id"))),
        in_reply_to=_first(message_ids(headers.get("in-reply-to"))),
        references=message_ids(" ".join(headers.all("references"))),
        text=text,
        html=html,
        attachments=attachments,
        is_bounce=verdict.is_bounce,
        is_auto_reply=verdict.is_auto_reply,
        is_list=verdict.is_list,
        is_feedback_report=verdict.is_feedback_report,
        classification_rule=verdict.rule,
        failed_recipients=verdict.failed_recipients,
        bounce_status=verdict.status,
        is_temporary_bounce=verdict.is_temporary,
        returned_message_id=verdict.returned_message_id,
        attached_message_ids=_attached_message_ids(top),
        auto_submitted=headers.get("auto-submitted").partition(";")[0].strip().lower(),
        precedence=headers.get("precedence").strip().lower(),
        suppressed_responses=tuple(re.split(r"[,\s]+", headers.get("x-auto-response-suppress").strip())),
        x_loop=headers.text("x-loop"),
        return_path=return_path.strip("<> ") or None,
        has_null_return_path=return_path.replace(" ", "") == "<>",
        authentication=verdict_on_sender.result,
        authenticated_by=verdict_on_sender.server,
        language=guess_language(headers.get("content-language"), text or html or ""),
        is_signed=_has_type(
            top, "multipart/signed", "application/pkcs7-signature", "application/pgp-signature"
        ),
        is_encrypted=_has_type(top, "multipart/encrypted", "application/pgp-encrypted"),
        limit_exceeded=tree.limit_exceeded,
        raw_headers=tuple(headers.fields),
        defects=_defects(top),
    )


def header_texts(mail: ParsedMail) -> tuple[tuple[str, str], ...]:
    """Pairs of name (lower case) and decoded value, in their order, not more than MOST_SHOWN_HEADERS."""
    return tuple(
        (name, one_line(decode_words(unfold(value)))[:LONGEST_SHOWN_HEADER])
        for name, value in mail.raw_headers[:MOST_SHOWN_HEADERS]
    )


def message_ids(value: str) -> tuple[str, ...]:
    """The Message-IDs of a field in order, without brackets; those without brackets only if there are no others."""
    found = [re.sub(r"\s+", "", one) for one in _BRACKETED.findall(value)]
    found = [one for one in found if one]
    if not found:
        found = _BARE_ID.findall(value) or value.split()[:1]
    return tuple(found[:MOST_REFERENCES])


def _with_newlines(raw: bytes) -> bytes:
    """Mail of old Macs and of careless scripts ends its lines with CR alone."""
    head = raw[:10_000]
    if b"\n" not in head and b"\r" in head:
        return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\r\r\n" in head and b"\r\n\r\n" not in head.replace(b"\r\r\n", b""):
        return raw.replace(b"\r\r\n", b"\r\n")
    return raw


def _bounded(text: str | None) -> str | None:
    return text[:LONGEST_TEXT] if text is not None else None


def _first(values: tuple[_Value, ...]) -> _Value | None:
    return values[0] if values else None


def _addresses(headers: Headers, name: str) -> tuple[Address, ...]:
    return tuple(one for value in headers.all(name)[:20] for one in parse_addresses(value))


def _author(headers: Headers, sender: Address | None) -> Address:
    named = _addresses(headers, "from")
    with_address = next((one for one in named if "@" in one.address), None)
    if with_address is not None:
        return with_address
    fallback = sender.address if sender else ""
    return Address(named[0].name, named[0].address or fallback) if named else Address("", fallback)


def _date(headers: Headers) -> datetime | None:
    received = headers.get("received").rpartition(";")[2]
    return next(
        (found for text in (headers.get("date"), received) if text and (found := _one_date(text))), None
    )


def _one_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text[:200])
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return found.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _attachment(part: Part, html: str | None) -> ParsedAttachment:
    content = part.content
    content_id = charsets.storable(part.headers.get("content-id")).strip("<> ")[:1_000]
    is_shown = bool(content_id and html and f"cid:{content_id}" in html)
    is_inline = is_shown or (part.disposition == "inline" and part.content_type.startswith("image/"))
    return ParsedAttachment(
        name=part.name or None,
        content_type=part.content_type,
        size=len(content),
        content_id=content_id or None,
        is_inline=is_inline,
        content=content,
    )


def _with_unpacked(attachment: ParsedAttachment) -> tuple[ParsedAttachment, ...]:
    """The attachment itself, and after a winmail.dat what is in it."""
    if not tnef.is_tnef(attachment.content):
        return (attachment,)
    files = tuple(
        ParsedAttachment(one.name, one.content_type, len(one.content), one.content_id, False, one.content)
        for one in tnef.unpack(attachment.content)
    )
    return (attachment, *files)


def _attached_message_ids(top: Part) -> tuple[str, ...]:
    found: list[str] = []
    for part in top.walk():
        if part.content_type == "message/rfc822" and part is not top:
            found.extend(message_ids(inner_headers(part).get("message-id"))[:1])
    forwarded = message_ids(top.headers.get("x-forwarded-message-id"))
    return tuple(dict.fromkeys((*found, *forwarded)))


def _has_type(top: Part, *content_types: str) -> bool:
    return any(part.content_type in content_types for part in top.walk())


def _defects(top: Part) -> tuple[str, ...]:
    rules: tuple[tuple[str, Callable[[Part], bool]], ...] = (
        ("A multipart without its boundary.", lambda part: part.is_torn),
        ("A header that was cut.", lambda part: part.headers.is_cut),
    )
    parts = list(top.walk())
    return tuple(remark for remark, is_broken in rules if any(is_broken(part) for part in parts))
