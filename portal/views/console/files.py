"""Files and bodies of messages, served so that nothing in them can act on the person who looks."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from flask import Response, request, stream_with_context
from sqlalchemy import select
from sqlalchemy.orm import undefer

from portal import access, storage
from portal.errors import NotFound
from portal.extensions import db
from portal.models import Attachment, InboxItem, Message
from portal.views.console import bodies
from portal.views.console.blueprint import ID, blueprint, person
from portal.views.console.timeline import PDF, SHOWN_IMAGES

# Chromium's PDF viewer does not work in a sandbox; a PDF cannot script the page around it.
POLICY_OF_PDF = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'"
POLICY_OF_FILES = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
KEPT_SECONDS = 3600


@blueprint.get("/files/<public_key>/<name>")
def file(public_key: str, name: str) -> Response:  # noqa: ARG001 - the name in the address is for people
    """A file's bytes: pictures and PDF are shown, everything else is only ever downloaded."""
    found = access.access_attachment(person(), public_key)
    answer = Response(stream_with_context(_begun(storage.stream(found.sha256))))
    _label(answer, found)
    # The connection goes back before the bytes go out.
    db.session.remove()
    return answer


@blueprint.get(f"/messages/<{ID}:message_id>/body")
def body(message_id: int) -> Response:
    """A message's words as a document of their own; `part=quoted` what was folded, `pictures=1` with remote ones."""
    access.access_message(person(), message_id)
    wanted = select(Message).where(Message.id == message_id)
    if request.args.get("part") == "quoted":
        message = _loaded(wanted.options(undefer(Message.quoted_html), undefer(Message.quoted_text)))
        html, text = message.quoted_html, message.quoted_text
    else:
        message = _loaded(wanted.options(undefer(Message.html), undefer(Message.text)))
        html, text = message.html, message.text
    shows_remote = request.args.get("pictures") == "1"
    page = (
        bodies.document(html, message.attachments, shows_remote=shows_remote)
        if html
        else bodies.text_document(text)
    )
    answer = Response(page, mimetype="text/html")
    answer.headers["Content-Security-Policy"] = bodies.policy(allows_remote=shows_remote)
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


@blueprint.get(f"/messages/<{ID}:message_id>/raw")
def raw(message_id: int) -> Response:
    """The mail exactly as it came in."""
    message = access.access_message(person(), message_id)
    item = (
        db.session.get(InboxItem, message.inbox_item_id, options=[undefer(InboxItem.raw)])
        if message.inbox_item_id
        else None
    )
    if item is None:
        raise NotFound("No raw source is kept of this message, because it did not come in by mail.")
    answer = Response(item.raw, mimetype="message/rfc822")
    answer.headers.set("Content-Disposition", "attachment", filename=f"message-{message.id}.eml")
    answer.headers["Content-Security-Policy"] = POLICY_OF_FILES
    return answer


def _loaded(wanted: Any) -> Message:
    message: Message = db.session.scalars(wanted.execution_options(populate_existing=True)).one()
    return message


def _label(answer: Response, found: Attachment) -> None:
    is_shown = found.content_type in SHOWN_IMAGES or found.content_type == PDF
    answer.headers["Content-Type"] = found.content_type if is_shown else "application/octet-stream"
    answer.headers["Content-Length"] = str(found.size_bytes)
    answer.headers.set(
        "Content-Disposition", "inline" if is_shown else "attachment", filename=found.name or "file"
    )
    answer.headers["Content-Security-Policy"] = (
        POLICY_OF_PDF if found.content_type == PDF else POLICY_OF_FILES
    )
    answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    answer.headers["Cache-Control"] = f"private, max-age={KEPT_SECONDS}"


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, the first fetched now: a file that is gone is answered in words, not cut off."""
    first = next(pieces, b"")
    return chain([first], pieces)
