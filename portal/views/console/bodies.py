"""Words of strangers, shown where they can do nothing: HTML in a frame without scripts, under a policy of its own."""

import html as entities
import re
from collections.abc import Iterable

from flask import url_for
from markupsafe import Markup

from portal.assets import asset
from portal.channels.email.html import resolve_images
from portal.models import Attachment

# Same origin, so that the page can measure it; without scripts, forms, or a way to move the page around it.
SANDBOX = "allow-same-origin allow-popups allow-popups-to-escape-sandbox"
POLICY = (
    "default-src 'none'; img-src 'self' data:{remote}; style-src 'self' 'unsafe-inline'; font-src 'self'; "
    f"form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox {SANDBOX}"
)
_LINK = re.compile(r"https?://[^\s<>\"'`]+[^\s<>\"'`.,;:!?)\]}]")
# A mail that sets its own colours or lays itself out was drawn for white paper.
_DRAWN = re.compile(r"<table|bgcolor|background|(?<![-\w])color\s*[:=]", re.IGNORECASE)


def policy(*, allows_remote: bool) -> str:
    """The content security policy of a body's own document."""
    return POLICY.format(remote=" https: http:" if allows_remote else "")


def document(html: str, attachments: Iterable[Attachment] = (), *, shows_remote: bool = False) -> str:
    """A whole document around sanitised HTML, its `cid:` pictures pointing to our files, remote ones if asked."""
    words = resolve_images(html, _addresses_of(attachments), show_remote=shows_remote)
    paper = "paper" if _DRAWN.search(html) else "plain"
    styles = "".join(
        f'<link rel="stylesheet" href="{entities.escape(asset(path))}">'
        for path in ("css/tokens.css", "css/pages/message.css")
    )
    return (
        f'<!doctype html><html class="{paper}"><head><meta charset="utf-8"><base target="_blank">'
        f'<meta name="referrer" content="no-referrer">{styles}</head>'
        f"<body>{words}</body></html>"
    )


def paragraphs(text: str) -> Markup:
    """Plain text as HTML: what is not a web address is text and nothing else."""
    parts, position = [], 0
    for link in _LINK.finditer(text):
        parts.append(entities.escape(text[position : link.start()]))
        address = entities.escape(link[0])
        parts.append(f'<a href="{address}" target="_blank" rel="noopener noreferrer nofollow">{address}</a>')
        position = link.end()
    parts.append(entities.escape(text[position:]))
    return Markup("".join(parts))  # noqa: S704 - every part is escaped above


def text_document(text: str) -> str:
    """A whole document around plain text."""
    return document(f'<div class="text">{paragraphs(text)}</div>')


def file_url(attachment: Attachment) -> str:
    """Where a file is served; the name is only for people."""
    return url_for(
        "console.file", public_key=attachment.public_key, name=attachment.name.replace("/", "-") or "file"
    )


def _addresses_of(attachments: Iterable[Attachment]) -> dict[str, str]:
    """Where each picture that the text names by its Content-ID is served."""
    return {one.content_id.strip("<>"): file_url(one) for one in attachments if one.content_id}
