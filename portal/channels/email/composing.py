"""Writing a mail: `OutgoingMail` to bytes, the same ones at every try.

    mixed ─┬─ alternative ─┬─ text
           │               └─ related ─┬─ html
           │                           └─ images that the HTML shows
           └─ attachments

Wrappers with a single part are left out. A blind recipient stands in no header; no List-* header is ever written.
"""

import html as markup
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from portal.channels.email.envelope import for_envelope
from portal.channels.email.html import html_to_text
from portal.channels.email.writing import (
    clean_text,
    file_part,
    header,
    mailbox_tokens,
    multipart,
    parameter_tokens,
    text_part,
    text_tokens,
)

# The first ancestor keeps the thread together, the last ones place the mail in it; more only makes headers grow.
LAST_REFERENCES = 19
_LONGEST_MESSAGE_ID = 900
_MESSAGE_ID = re.compile(r"[!-;=?-~]+")
_CONTENT_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}")
_CONTENT_ID = re.compile(r"[!-;=?-~]{1,200}")
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
# What only the other fields of a mail may say.
_OUR_HEADERS = (
    *(
        "from",
        "sender",
        "to",
        "cc",
        "bcc",
        "reply-to",
        "subject",
        "date",
        "message-id",
        "in-reply-to",
        "references",
    ),
    *("mime-version", "auto-submitted", "return-path", "received", "resent-bcc"),
)


class UnwritableMail(ValueError):
    """The mail cannot be written as it was given; the text says which field is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """A person or a desk with an address; the name may be empty."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineImage:
    """An image that the HTML shows as `cid:<content_id>`. One that it does not show is attached instead."""

    content_id: str
    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAttachment:
    """A file that goes with the mail."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMail:
    """A mail to be written. Message ids with or without angle brackets; `date` with a time zone.

    `references` are the ids for References, oldest first (`references_for`). `text` None: made from the HTML. The
    quoted history, if any, is appended to both. Blind recipients belong to the envelope only.
    """

    from_name: str
    from_address: str
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...] = ()
    reply_to: str | None = None
    subject: str
    html: str
    text: str | None = None
    inline_images: tuple[InlineImage, ...] = ()
    attachments: tuple[MailAttachment, ...] = ()
    message_id: str
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    date: datetime
    is_automatic: bool = False
    extra_headers: tuple[tuple[str, str], ...] = ()
    quoted_html: str | None = None
    quoted_text: str | None = None


def compose(mail: OutgoingMail) -> bytes:
    """The mail as bytes, CRLF throughout, ASCII unless an address needs UTF-8 (RFC 6532); pure.

    Free text (subject, names) loses control characters and line ends. Raises UnwritableMail for an address, a
    message id, a date or an extra header that cannot stand in a header, so that no field can begin another.
    Message ids of others (`in_reply_to`, `references`) that could not are left out: a thread must not hang on them.
    """
    return b"".join([*_headers(mail), header("MIME-Version", ["1.0"]), _body(mail)])


def references_for(
    parent_references: Sequence[str], parent_in_reply_to: str | None, parent_message_id: str | None
) -> tuple[str, ...]:
    """The References of an answer (RFC 5322 §3.6.4): the parent's ones and its id, without brackets or repeats.

    A parent without References gives its In-Reply-To instead. More than twenty are cut to the first and the last ones.
    """
    ancestors: Sequence[str | None] = parent_references or [parent_in_reply_to]
    return _trimmed([*ancestors, parent_message_id])


def quote(
    *, html: str | None, text: str | None, author: str, written_at: datetime
) -> tuple[str | None, str | None]:
    """The answered message as quoted history, (html, text): a line that says who wrote when, and the quotation.

    `html` must have been sanitised. A side without its own version is made from the other; (None, None) if both lack.
    The day is that of `written_at`'s own time zone.
    """
    if not html and not text:
        return None, None
    line = f"On {written_at:%Y-%m-%d at %H:%M}, {clean_text(author)} wrote:"
    plain = text or html_to_text(html or "")
    quoted_text = f"{line}\n" + "\n".join(f"> {each}".rstrip() for each in plain.strip().splitlines())
    inner = html or f"<div>{markup.escape(plain).replace(chr(10), '<br>')}</div>"
    return f'<p>{markup.escape(line)}</p>\n<blockquote type="cite">{inner}</blockquote>', quoted_text


def _headers(mail: OutgoingMail) -> list[bytes]:
    references = _trimmed([*mail.references, mail.in_reply_to])
    fields = [
        header("Date", [_date(mail.date)]),
        header("From", mailbox_tokens(mail.from_name, _address(mail.from_address))),
        header("To", _people(mail.to) or ["undisclosed-recipients:;"]),
        header("Cc", _people(mail.cc)) if mail.cc else b"",
        header("Reply-To", [_address(mail.reply_to)]) if mail.reply_to else b"",
        header("Subject", text_tokens(mail.subject)),
        header("Message-ID", [f"<{_own_id(mail.message_id)}>"]),
        header("In-Reply-To", [f"<{_bare_id(mail.in_reply_to)}>"]) if _bare_id(mail.in_reply_to) else b"",
        header("References", [f"<{each}>" for each in references]) if references else b"",
    ]
    if mail.is_automatic:
        # RFC 3834 §5; the second one keeps Exchange from answering, but not from bouncing.
        kind = "auto-replied" if mail.in_reply_to else "auto-generated"
        fields += [
            header("Auto-Submitted", [kind]),
            header("X-Auto-Response-Suppress", ["OOF,", "AutoReply"]),
        ]
    return [*fields, *(_extra(name, value) for name, value in mail.extra_headers)]


def _date(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise UnwritableMail("The date of a mail needs a time zone.")
    return format_datetime(moment.astimezone(UTC))


def _people(mailboxes: Sequence[Mailbox]) -> list[str]:
    tokens: list[str] = []
    for number, mailbox in enumerate(mailboxes, start=1):
        person = mailbox_tokens(mailbox.name, _address(mailbox.address))
        if number < len(mailboxes):
            person[-1] += ","
        tokens += person
    return tokens


def _address(address: str) -> str:
    try:
        return for_envelope(address, can_be_utf8=True)
    except ValueError as problem:
        raise UnwritableMail(str(problem)) from problem


def _own_id(message_id: str) -> str:
    bare = _bare_id(message_id)
    if bare is None:
        raise UnwritableMail(f"{message_id!r} is not a message id.")
    return bare


def _bare_id(message_id: str | None) -> str | None:
    """The id without its brackets; None when it could not stand in a header."""
    bare = (message_id or "").strip().removeprefix("<").removesuffix(">")
    return bare if _MESSAGE_ID.fullmatch(bare) and len(bare) <= _LONGEST_MESSAGE_ID else None


def _trimmed(message_ids: Sequence[str | None]) -> tuple[str, ...]:
    """The usable ids, each at its last place, the first and the last ones of too many."""
    usable = [bare for bare in map(_bare_id, message_ids) if bare]
    kept = list(reversed(dict.fromkeys(reversed(usable))))
    return tuple(kept if len(kept) <= LAST_REFERENCES + 1 else [kept[0], *kept[-LAST_REFERENCES:]])


def _extra(name: str, value: str) -> bytes:
    lowered = name.lower()
    is_ours = lowered in _OUR_HEADERS or lowered.startswith(("content-", "list-"))
    if is_ours or not _HEADER_NAME.fullmatch(name):
        raise UnwritableMail(f"{name!r} cannot be an extra header.")
    return header(name, text_tokens(value))


def _body(mail: OutgoingMail) -> bytes:
    seed = mail.message_id
    shown = [image for image in mail.inline_images if _is_shown(image, mail)]
    hidden = [image for image in mail.inline_images if image not in shown]
    page = text_part("html", _page(mail))
    if shown:
        page = multipart("related", [page, *map(_image_part, shown)], seed, 'type="text/html"')
    body = multipart("alternative", [text_part("plain", _text(mail)), page], seed)
    files = [*map(_attachment_part, hidden), *map(_attachment_part, mail.attachments)]
    return multipart("mixed", [body, *files], seed) if files else body


def _is_shown(image: InlineImage, mail: OutgoingMail) -> bool:
    if not _CONTENT_ID.fullmatch(image.content_id):
        raise UnwritableMail(f"{image.content_id!r} is not a content id.")
    place = re.compile(rf"cid:{re.escape(image.content_id)}(?=[\"'\s>)]|&quot;)", re.IGNORECASE)
    return bool(place.search(mail.html) or place.search(mail.quoted_html or ""))


def _page(mail: OutgoingMail) -> str:
    body = f"{mail.html}\n<br>\n{mail.quoted_html}" if mail.quoted_html else mail.html
    return f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head>\n<body>\n{body}\n</body></html>\n'


def _text(mail: OutgoingMail) -> str:
    text = mail.text if mail.text is not None else html_to_text(mail.html)
    quoted = mail.quoted_text
    return f"{text.rstrip()}\n\n{quoted}\n" if quoted else f"{text.rstrip()}\n"


def _image_part(image: InlineImage) -> bytes:
    return file_part(
        [
            header("Content-Type", [_content_type(image.content_type)]),
            header("Content-ID", [f"<{image.content_id}>"]),
            _disposition("inline", image.name),
        ],
        image.content,
    )


def _attachment_part(file: MailAttachment | InlineImage) -> bytes:
    content_type = header("Content-Type", [_content_type(file.content_type)])
    return file_part([content_type, _disposition("attachment", file.name)], file.content)


def _content_type(declared: str) -> str:
    """The type, if it is one that may be sent in base64: no multipart and no message/* (RFC 2046 §5)."""
    plain = declared.partition(";")[0].strip().lower()
    is_fit = _CONTENT_TYPE.fullmatch(plain) and not plain.startswith(("multipart/", "message/"))
    return plain if is_fit else "application/octet-stream"


def _disposition(kind: str, name: str) -> bytes:
    # A path would be a place on the recipient's disk.
    clean = re.sub(r"[/\\]", "_", clean_text(name))[:200].strip() or "attachment"
    return header("Content-Disposition", [f"{kind};", *parameter_tokens("filename", clean)])
