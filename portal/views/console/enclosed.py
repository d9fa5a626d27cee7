"""What a mail's files say of it: invitations in it, and that it is signed or encrypted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from portal import storage
from portal.channels.email.invitations import CONTENT_TYPES, LARGEST_BYTES, Invitation, read_invitations
from portal.errors import NotFound
from portal.language import lazy_gettext
from portal.models import Attachment
from portal.views.console.words import Reader

_KINDS = {
    "request": lazy_gettext("Invitation"),
    "cancelled": lazy_gettext("Cancelled event"),
    "answer": lazy_gettext("Answer to an invitation"),
    "event": lazy_gettext("Event"),
}
# By content type, the sentence that the reader of such a mail needs.
_SEALS = {
    "application/pgp-encrypted": lazy_gettext(
        "Encrypted with PGP: download the file and open it with the key it was written for."
    ),
    "application/pkcs7-signature": lazy_gettext("Signed with S/MIME; the signature was not checked."),
    "application/x-pkcs7-signature": lazy_gettext("Signed with S/MIME; the signature was not checked."),
    "application/pgp-signature": lazy_gettext("Signed with PGP; the signature was not checked."),
    "application/pkcs7-mime": (
        lazy_gettext(
            "Sealed with S/MIME (encrypted, or signed as a whole): download the file and open it in a mail "
            "program that "
            "has the key."
        )
    ),
}
_SEALS["application/x-pkcs7-mime"] = _SEALS["application/pkcs7-mime"]


@dataclass(frozen=True)
class EventCard:
    """An event as it is shown."""

    kind: str
    summary: str
    when: str
    place: str
    organiser: str
    is_cancelled: bool


def events_in(attachments: Sequence[Attachment], reader: Reader) -> tuple[EventCard, ...]:
    """The events of a message's calendar files; a file is read only where there is one."""
    found: dict[EventCard, None] = {}
    for attachment in attachments:
        if attachment.content_type in CONTENT_TYPES and attachment.size_bytes <= LARGEST_BYTES:
            # The same invitation often stands in a mail twice: as a part of it, and as a file.
            found.update(dict.fromkeys(_card(one, reader) for one in read_invitations(_bytes_of(attachment))))
    return tuple(found)


def seal_of(attachments: Sequence[Attachment]) -> str:
    """That a mail is signed or encrypted, as a sentence; "" for ordinary mail."""
    types = {attachment.content_type for attachment in attachments}
    return next((sentence for content_type, sentence in _SEALS.items() if content_type in types), "")


def _bytes_of(attachment: Attachment) -> bytes:
    try:
        return storage.get(attachment.sha256)
    except NotFound:
        return b""


def _card(event: Invitation, reader: Reader) -> EventCard:
    return EventCard(
        kind=_KINDS[event.kind],
        summary=event.summary or "Event without a title",
        when=_days(event, reader) if event.is_all_day else _times(event, reader),
        place=event.location,
        organiser=event.organiser,
        is_cancelled=event.kind == "cancelled",
    )


def _days(event: Invitation, reader: Reader) -> str:
    first = reader.day(event.starts_at.date())
    last = reader.day((event.ends_at - timedelta(days=1)).date()) if event.ends_at else first
    return _repeated(first if last == first else f"{first} – {last}", event)


def _times(event: Invitation, reader: Reader) -> str:
    begins = event.starts_at.astimezone(reader.zone)
    said = f"{reader.day(begins.date())}, {begins:%H:%M}"
    if event.ends_at is not None:
        ends = event.ends_at.astimezone(reader.zone)
        said += (
            f" – {ends:%H:%M}"
            if ends.date() == begins.date()
            else f" – {reader.day(ends.date())}, {ends:%H:%M}"
        )
    return _repeated(f"{said} {begins:%Z}", event)


def _repeated(said: str, event: Invitation) -> str:
    return f"{said}, and again" if event.repeats else said
