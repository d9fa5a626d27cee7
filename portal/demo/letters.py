"""The mails in the postbox, read as a customer's mail program would, and answered as it would."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path

from werkzeug.datastructures import FileStorage

from portal.channels.email.html import html_to_text, resolve_images, sanitise
from portal.channels.email.parsing import ParsedMail, parse_mail
from portal.demo.sink import FOLDER
from portal.errors import UserFault
from portal.models.columns import now

__all__ = ["FOLDER", "Letter", "Path", "Written", "newest", "read", "write"]

MOST_SHOWN = 60
_ID = re.compile(r"\d{20}-[0-9a-f]{8}")
_ADDRESS = re.compile(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+")


@dataclass(frozen=True)
class Letter:
    """One mail of the desk: its id is the file's name."""

    id: str
    raw: bytes
    mail: ParsedMail

    @property
    def customer_address(self) -> str:
        """Who got it: the first of To."""
        return self.mail.to[0].address if self.mail.to else ""

    @property
    def answer_to(self) -> str:
        """Where an answer goes: Reply-To, else From."""
        return self.mail.reply_to[0].address if self.mail.reply_to else self.mail.from_address

    @property
    def text(self) -> str:
        return self.mail.text or html_to_text(self.mail.html or "")

    @property
    def html(self) -> str:
        """The HTML made harmless, its own pictures left out."""
        return resolve_images(sanitise(self.mail.html or "").html, {}, False)

    @property
    def sent_at(self) -> datetime | None:
        return self.mail.date

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What keeps the thread together."""
        mail = self.mail
        return [
            ("Message-ID", mail.message_id or ""),
            ("In-Reply-To", mail.in_reply_to or ""),
            ("References", " ".join(mail.references)),
            ("Reply-To", self.answer_to),
        ]


@dataclass(frozen=True)
class Written:
    """A mail ready to be handed over."""

    from_address: str
    to: str
    raw: bytes


def newest(folder: Path) -> list[Letter]:
    """The latest mails, the newest first."""
    names = sorted((path.stem for path in folder.glob("*.eml")), reverse=True)[:MOST_SHOWN]
    return [letter for name in names if (letter := read(folder, name)) is not None]


def read(folder: Path, mail_id: str) -> Letter | None:
    """The mail with that id; None where there is none."""
    if not _ID.fullmatch(mail_id):
        return None
    path = folder / f"{mail_id}.eml"
    if not path.exists():
        return None
    raw = path.read_bytes()
    return Letter(mail_id, raw, parse_mail(raw))


def write(
    *,
    from_name: str,
    from_address: str,
    to: str,
    subject: str,
    text: str,
    files: Sequence[FileStorage] = (),
    answered: Letter | None = None,
) -> Written:
    """A customer's mail as their mail program would write it. Raises UserFault for what no mail program would send."""
    from_address, to = from_address.strip(), to.strip()
    for what, address in (("Your address", from_address), ("The address of the desk", to)):
        if not _ADDRESS.fullmatch(address):
            raise UserFault(f"{what} is not an e-mail address: {address!r}. Correct it and send again.")
    if not text.strip():
        raise UserFault("The mail is empty. Write something first.")
    mail = EmailMessage()
    try:
        mail["From"] = f"{_quoted(from_name)} <{from_address}>" if from_name.strip() else from_address
        mail["To"] = to
        mail["Subject"] = subject
    except ValueError as error:
        raise UserFault("A name or subject cannot hold line breaks. Correct it and send again.") from error
    mail["Date"] = format_datetime(now())
    mail["Message-ID"] = make_msgid(domain=from_address.rpartition("@")[2])
    if answered is not None and answered.mail.message_id:
        parent = answered.mail
        mail["In-Reply-To"] = f"<{parent.message_id}>"
        mail["References"] = " ".join(f"<{each}>" for each in (*parent.references, parent.message_id))
        text = f"{text}\n\n{_quotation(answered)}"
    mail.set_content(text)
    for file in files:
        kind, _, detail = (file.mimetype or "application/octet-stream").partition("/")
        mail.add_attachment(file.read(), maintype=kind, subtype=detail, filename=file.filename)
    return Written(from_address, to, mail.as_bytes())


def _quotation(answered: Letter) -> str:
    mail = answered.mail
    when = f"{mail.date:%d %b %Y at %H:%M}" if mail.date else "earlier"
    lines = "\n".join(f"> {line}".rstrip() for line in answered.text.strip().splitlines())
    return f"On {when}, {mail.from_name or mail.from_address} <{mail.from_address}> wrote:\n{lines}"


def _quoted(name: str) -> str:
    return '"' + name.strip().replace("\\", "").replace('"', "") + '"'
