"""Writing: replies, notes, templates to begin with, files to send along."""

from dataclasses import replace
from typing import Any

from flask import current_app, flash, jsonify, redirect, render_template, request, url_for
from flask_ckeditor import upload_fail, upload_success
from werkzeug.wrappers import Response

from portal import access
from portal.channels.email.html import text_to_html
from portal.errors import Conflict, UserFault
from portal.errors_pages import wants_partial
from portal.models import Message, Ticket
from portal.services import replies, templates, uploads
from portal.views.console import bodies, reading, words
from portal.views.console.blueprint import ID, SMALL_ID, blueprint, person
from portal.views.console.ticket import Draft, page_of, piece
from portal.views.console.timeline import timeline_of

MOST_FILES = 20


@blueprint.post(f"/tickets/<{ID}:number>/reply")
def reply(number: int) -> Any:
    found = access.access_ticket_by_number(person(), number, for_change=True)
    draft = _draft("reply")
    try:
        draft = _with_files(draft)
        message = replies.send_reply(
            found,
            person(),
            _html(draft.html),
            to=_addresses(draft.to),
            cc=_addresses(draft.cc),
            template_id=request.form.get("template", type=int),
            attachment_keys=draft.attachment_keys,
            then_status=_then(found),
            seen_message_id=draft.seen,
        )
    except UserFault as fault:
        return _refused(number, fault, draft)
    return _sent(number, message)


@blueprint.post(f"/tickets/<{ID}:number>/note")
def note(number: int) -> Any:
    found = access.access_ticket_by_number(person(), number, for_change=True)
    draft = _draft("note")
    try:
        draft = _with_files(draft)
        replies.add_note(found, person(), _html(draft.note), attachment_keys=draft.attachment_keys)
    except UserFault as fault:
        return _refused(number, fault, draft)
    if wants_partial():
        return jsonify(says="The note is kept. Only colleagues see it.")
    return redirect(url_for("console.ticket", number=number, compose="note"), 303)


@blueprint.post(f"/messages/<{ID}:message_id>/cancel")
def cancel_sending(message_id: int) -> Any:
    message = access.access_message(person(), message_id, for_change=True)
    number = message.ticket.number
    replies.cancel_sending(message, person())
    if wants_partial():
        return jsonify(says="Not sent. Your text is back in the reply.", html=message.html)
    flash("The reply was taken back and not sent.", "success")
    return redirect(url_for("console.ticket", number=number), 303)


@blueprint.get(f"/tickets/<{ID}:number>/suggestions")
def suggestions(number: int) -> str:
    """The templates that fit this ticket best; that they were offered is a fact of the ledger."""
    found = access.access_ticket_by_number(person(), number, for_change=True)
    offered = templates.suggestions(found, person(), limit=3)
    templates.record_offered(found, offered, person())
    return render_template("console/_suggestions.html", ticket=found, suggestions=offered)


@blueprint.get(f"/tickets/<{ID}:number>/templates")
def all_templates(number: int) -> str:
    """Every template that may be used here, by name."""
    found = access.access_ticket_by_number(person(), number)
    usable = templates.usable_templates(person(), found)
    return piece("console/_templates.html", "Templates", ticket=found, templates=usable)


@blueprint.get(f"/tickets/<{ID}:number>/templates/<{SMALL_ID}:template_id>")
def preview_template(number: int, template_id: int) -> str:
    """A template with this ticket's values."""
    found = access.access_ticket_by_number(person(), number)
    template = templates.access_template(template_id, person(), found)
    filled = templates.filled_body(template, found, person())
    return render_template("console/_template.html", template=template, filled=filled)


@blueprint.post(f"/tickets/<{ID}:number>/templates/<{SMALL_ID}:template_id>")
def insert_template(number: int, template_id: int) -> Response:
    """A template's text for the reply that is being written."""
    found = access.access_ticket_by_number(person(), number, for_change=True)
    template = templates.access_template(template_id, person(), found)
    filled = templates.filled_body(template, found, person())
    was_offered = request.form.get("offered") == "1"
    templates.record_inserted(found, template, person(), was_offered=was_offered)
    return jsonify(id=template_id, name=template.name, html=filled.html, unfilled=filled.unfilled)


@blueprint.post("/uploads")
def upload() -> Any:
    """A file for a reply: a picture of its text (`inline=1`, as the editor asks), or one to attach."""
    is_inline = request.args.get("inline") == "1"
    access.check_may_change(person())
    try:
        kept = uploads.store_upload(request.files.get("upload"), person(), is_inline=is_inline)
    except UserFault as fault:
        return upload_fail(message=str(fault)), fault.status_code
    url = bodies.file_url(kept)
    if is_inline:
        return upload_success(url, filename=kept.name)
    return jsonify(url=url, key=kept.public_key, name=kept.name, size=words.size(kept.size_bytes))


def _draft(tab: str) -> Draft:
    form = request.form
    return Draft(
        tab=tab,
        html=form.get("html", "") if tab == "reply" else "",
        note=form.get("html", "") if tab == "note" else "",
        to=form.get("to", ""),
        cc=form.get("cc", ""),
        # "Send anyway" names what its reader has seen since; the form itself what stood there before.
        seen=max((int(value) for value in form.getlist("seen") if _is_id(value)), default=None),
        attachment_keys=tuple(form.getlist("attachment"))[:MOST_FILES],
    )


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _with_files(draft: Draft) -> Draft:
    """The draft with the files of the form itself, which a page without scripts sends along."""
    files = [file for file in request.files.getlist("files") if file.filename]
    if len(files) + len(draft.attachment_keys) > MOST_FILES:
        raise UserFault(f"A message can carry at most {MOST_FILES} files.")
    kept = [uploads.store_upload(file, person()).public_key for file in files]
    return replace(draft, attachment_keys=(*draft.attachment_keys, *kept))


def _html(words_: str) -> str:
    """What was written, as HTML; the page says whether the editor wrote it or a plain field."""
    return words_ if request.form.get("format") == "html" else text_to_html(words_)


def _addresses(text: str) -> list[str]:
    return [address.strip() for address in text.replace(";", ",").split(",") if address.strip()]


def _then(found: Ticket) -> str | None:
    """The status that the pressed button asks for; a plain "Send" leaves an open ticket open."""
    chosen = request.form.get("then", "")
    if chosen:
        return chosen
    template_id = request.form.get("template", type=int)
    if template_id and templates.access_template(template_id, person(), found).actions.get("status"):
        return None
    return "open" if found.status in ("new", "open") else None


def _refused(number: int, fault: UserFault, draft: Draft) -> Any:
    """The fault in words beside the text, which stays; after a conflict also what is new."""
    found = access.access_ticket_by_number(person(), number)
    newer: tuple[Any, ...] = ()
    seen = draft.seen
    if isinstance(fault, Conflict) and draft.seen is not None:
        thread = reading.Thread(tuple(reading.newer_than(found, draft.seen, person())), has_older=False)
        newer = timeline_of(found, thread, (), words.reader()).entries
        seen = max((each.message.id for each in thread.said), default=draft.seen)
    refusal = {"fault": str(fault), "newer": newer, "newest_id": seen, "form_id": f"{draft.tab}-form"}
    if wants_partial():
        return render_template("console/_refusal.html", ticket=found, **refusal), fault.status_code
    context = page_of(person(), number, is_looked_at=False, draft=draft)
    return render_template("console/ticket.html", refusal=refusal, **context), fault.status_code


def _sent(number: int, message: Message) -> Any:
    seconds = current_app.config["SETTINGS"].undo_seconds
    names = ", ".join(one["address"] for one in message.to)
    says = f"Sent to {names}."
    if wants_partial():
        undo_url = url_for("console.cancel_sending", message_id=message.id) if seconds else ""
        return jsonify(says=says, undo_url=undo_url, undo_seconds=seconds)
    flash(says, "success")
    return redirect(url_for("console.ticket", number=number), 303)
