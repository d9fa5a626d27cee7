"""What a reply, a forward or a note begins with, depending on the message that it is about."""

import html as entities
import re
from dataclasses import dataclass
from typing import Literal

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import select
from sqlalchemy.orm import undefer

from portal.channels.email.html import resolve_images, sanitise_reply, text_to_html
from portal.extensions import db
from portal.models import Attachment, ChannelAccount, Message, Ticket
from portal.rules import tokens
from portal.services import people, uploads
from portal.services.transaction import transaction

Mode = Literal["reply", "all", "forward", "note"]
MODES: tuple[Mode, ...] = ("reply", "all", "forward", "note")
LONGEST_EXCERPT = 1_000
_CID = re.compile(r"\bsrc=\"cid:([^\"]+)\"")


@dataclass(frozen=True)
class Beginning:
    """Addresses, words and files to begin with."""

    kind: str
    mode: str
    about_message_id: int
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    html: str = ""
    files: tuple[Attachment, ...] = ()


def begin(message: Message, mode: Mode, user: User) -> Beginning:
    """What stands in the composer when somebody chooses to answer, pass on or remark on this message.

    A forward takes the message's files along as the person's own uploads, and commits those.
    """
    if mode == "forward":
        return _forward(message, user)
    if mode == "note":
        return Beginning("note", "reply", message.id, html=_excerpt(message))
    to, cc = _correspondents(message)
    return Beginning("reply", "reply", message.id, to=to, cc=cc if mode == "all" else ())


def _correspondents(message: Message) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Whom an answer goes to, and who else had the message; none of them is us."""
    named = [person["address"] for person in (*message.to, *message.cc) if person.get("address")]
    if message.direction == "out":
        to = [person["address"] for person in message.to]
        others = [person["address"] for person in message.cc]
    else:
        to = [person["address"] for person in message.reply_to if "@" in person.get("address", "")]
        to = to or [message.from_address]
        others = named
    ours = _own_addresses()
    known = {people.normalise_address(address) for address in to}
    cc: dict[str, None] = {}
    for address in others:
        plain = people.normalise_address(address)
        if plain not in known and tokens.without_tag(plain) not in ours:
            known.add(plain)
            cc[address] = None
    return tuple(dict.fromkeys(to)), tuple(cc)


def _own_addresses() -> frozenset[str]:
    found = select(ChannelAccount.address, ChannelAccount.aliases).where(ChannelAccount.kind == "email")
    return frozenset(
        one.lower() for address, aliases in db.session.execute(found) for one in (address, *aliases)
    )


def _forward(message: Message, user: User) -> Beginning:
    words = _words_of(message)
    with transaction():
        copies = {attachment.id: uploads.copy_of(attachment, user) for attachment in message.attachments}
    by_content_id = {
        attachment.content_id.strip("<>"): f"/files/{copies[attachment.id].public_key}/picture"
        for attachment in message.attachments
        if attachment.content_id
    }
    shown = set(_CID.findall(words))
    files = tuple(
        copies[attachment.id]
        for attachment in message.attachments
        if attachment.content_id.strip("<>") not in shown
    )
    body = sanitise_reply(resolve_images(words, by_content_id, show_remote=False))
    return Beginning("reply", "forward", message.id, html=f"<p></p>{_header(message)}{body}", files=files)


def _header(message: Message) -> str:
    """The lines above a mail that is passed on, as mail programs write them."""
    ticket = db.session.get_one(Ticket, message.ticket_id)
    lines = {
        "From": f"{message.from_name} <{message.from_address}>"
        if message.from_name
        else message.from_address,
        "Date": f"{message.created_at:%a, %d %b %Y %H:%M UTC}",
        "Subject": message.subject or ticket.subject,
        "To": ", ".join(person["address"] for person in message.to),
    }
    shown = "<br>".join(f"{name}: {entities.escape(value)}" for name, value in lines.items() if value)
    return f"<p>---------- Forwarded message ---------<br>{shown}</p><p>&nbsp;</p>"


def _excerpt(message: Message) -> str:
    """The beginning of the message as a quote, above the place for the remark."""
    text = _loaded(message).text.strip()
    words = text[:LONGEST_EXCERPT] + ("…" if len(text) > LONGEST_EXCERPT else "")
    return f"<blockquote>{text_to_html(words)}</blockquote><p></p>" if words else ""


def _words_of(message: Message) -> str:
    """The whole message as HTML, with what was folded away from it."""
    loaded = _loaded(message)
    if loaded.html:
        return loaded.html + loaded.quoted_html
    return text_to_html("\n\n".join(part for part in (loaded.text, loaded.quoted_text) if part))


def _loaded(message: Message) -> Message:
    found = (
        select(Message)
        .where(Message.id == message.id)
        .options(
            undefer(Message.html),
            undefer(Message.text),
            undefer(Message.quoted_html),
            undefer(Message.quoted_text),
        )
        .execution_options(populate_existing=True)
    )
    return db.session.scalars(found).one()
