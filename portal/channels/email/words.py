"""What of a mail is shown: its new words, what is folded away from them, and its page, safe to keep."""

from dataclasses import dataclass

from portal.channels.email.html import sanitise
from portal.channels.email.parsing import ParsedMail
from portal.channels.email.quoting import split_html, split_reply


@dataclass(frozen=True, slots=True)
class Words:
    """New and folded words as text, and as sanitised HTML where the mail has a page."""

    text: str
    quoted_text: str
    html: str
    quoted_html: str
    has_remote_images: bool


def words_of(mail: ParsedMail) -> Words:
    """The words of a mail. Never raises; time grows no faster than the size."""
    split = split_reply(mail.text, mail.html)
    clean = sanitise(mail.html) if mail.html else None
    html, quoted_html = split_html(clean.html) if clean else ("", "")
    return Words(
        text=split.new,
        quoted_text="\n".join(part for part in (split.signature, split.quoted) if part),
        html=html,
        quoted_html=quoted_html,
        has_remote_images=bool(clean and clean.has_remote_images),
    )
