"""Writing: replies, notes, templates to begin with, files to send along."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from flask import current_app, flash, jsonify, redirect, render_template, request, url_for
from flask_ckeditor import upload_fail, upload_success
from werkzeug.wrappers import Response

from portal import access
from portal.channels.email.html import html_to_text, text_to_html
from portal.errors import Conflict, NotFound, UserFault
from portal.errors_pages import wants_partial
from portal.language import gettext, says
from portal.models import Message, Ticket
from portal.rules import lifecycle
from portal.rules.doubts import Doubt, doubts_about
from portal.services import (
    assignment,
    composing,
    drafts,
    people,
    replies,
    snoozing,
    templates,
    uploads,
    waiting_replies,
)
from portal.views.console import bodies, reading, words
from portal.views.console.aside import moment_in, snoozed_says
from portal.views.console.blueprint import ID, SMALL_ID, blueprint, person
from portal.views.console.filters import LARGEST_SMALL_ID
from portal.views.console.side import effects_line
from portal.views.console.ticket import Draft, kept_files, page_of, piece
from portal.views.console.timeline import timeline_of

MOST_FILES = 20
SECONDS_TO_READ = 10


@blueprint.post(f"/tickets/<{ID}:number>/reply")
def reply(number: int) -> Any:
    found = _written_in(number)
    draft = _draft("reply")
    try:
        draft = _with_files(draft)
        answer = _answer(found, draft)
        asked = request.form.get("snooze_until", "")
        until = moment_in(asked) if asked else None
        doubts = _doubts(draft)
        if doubts:
            return _refused(number, _questions(doubts), draft, doubts)
        send = replies.forward if draft.mode == "forward" else replies.send
        message = send(found, person(), answer)
    except UserFault as fault:
        return _refused(number, fault, draft)
    return _sent(number, message, _snoozed(found, until) if until else "")


@blueprint.post(f"/tickets/<{ID}:number>/note")
def note(number: int) -> Any:
    found = _written_in(number)
    draft = _draft("note")
    try:
        draft = _with_files(draft)
        replies.add_note(
            found,
            person(),
            _html(draft.note),
            attachment_keys=draft.attachment_keys,
            is_from_draft=True,
        )
    except UserFault as fault:
        return _refused(number, fault, draft)
    if wants_partial():
        return jsonify(says=gettext("The note is kept. Only colleagues see it."))
    return redirect(url_for("console.ticket", number=number, compose="note"), 303)


@blueprint.post(f"/tickets/<{ID}:number>/draft")
def keep_draft(number: int) -> Response:
    """Keep what stands in the composer; the answer names the revision that the window has now."""
    found = access.access_ticket_by_number(person(), number, for_change=True)
    kind = "note" if request.form.get("kind") == "note" else "reply"
    draft = _draft(kind)
    written = drafts.Written(
        html=_html(draft.html or draft.note),
        to=draft.to,
        cc=draft.cc,
        bcc=draft.bcc,
        mode=draft.mode,
        about_message_id=draft.about,
        template_id=draft.template,
        attachment_keys=draft.attachment_keys,
        seen_message_id=draft.seen,
    )
    known, window = request.form.get("revision", type=int), request.form.get("window", "")
    return jsonify(revision=drafts.keep(person(), found, kind, written, revision=known, window=window))


@blueprint.post(f"/messages/<{ID}:message_id>/compose/<any(reply, all, forward, note):mode>")
def begin(message_id: int, mode: composing.Mode) -> Any:
    """Begin to answer, pass on or remark on one message: the words that stand in the draft already stay."""
    user = person()
    message = access.access_message(user, message_id, for_change=True)
    found = message.ticket
    begun = composing.begin(message, mode, user)
    present = drafts.drafts_of(user, found).get(begun.kind)
    written = drafts.Written(
        html=(present.html if present else "") + begun.html,
        to=", ".join(begun.to),
        cc=", ".join(begun.cc),
        bcc=present.bcc if present else "",
        mode=begun.mode,
        about_message_id=begun.about_message_id,
        template_id=present.template_id if present else None,
        attachment_keys=[
            *(present.attachment_keys if present else ()),
            *(each.public_key for each in begun.files),
        ],
        seen_message_id=reading.newest_message_id(found),
    )
    drafts.keep(user, found, begun.kind, written, revision=None)
    if not wants_partial():
        where = url_for("console.ticket", number=found.number, compose=begun.kind, _anchor="composer")
        return redirect(where, 303)
    kept = drafts.drafts_of(user, found)[begun.kind]
    return jsonify(
        kind=begun.kind,
        html=kept.html,
        to=kept.to,
        cc=kept.cc,
        bcc=kept.bcc,
        mode=kept.mode,
        about=kept.about_message_id or "",
        seen=kept.seen_message_id or "",
        revision=kept.revision,
        files=[asdict(each) for each in kept_files(user, kept)],
    )


@blueprint.get(f"/tickets/<{ID}:number>/colleagues")
def colleagues(number: int) -> Response:
    """Whom a note of this ticket can mention."""
    found = access.access_ticket_by_number(person(), number)
    return jsonify(
        [
            {"id": f"@{user.username}", "name": user.get_full_name()}
            for user, _level in assignment.members_of(found.branch_id)
        ]
    )


@blueprint.get(f"/tickets/<{ID}:number>/template-names")
def template_names(number: int) -> Response:
    """The templates that "/" offers."""
    found = access.access_ticket_by_number(person(), number)
    return jsonify(
        [
            {
                "id": f"/{template.name}",
                "words": f"{template.name} {template.shortcut} {template.category}".lower(),
                "url": url_for("console.insert_template", number=number, template_id=template.id),
            }
            for template in templates.usable_templates(person(), found)
        ]
    )


@blueprint.get("/addresses")
def addresses() -> Response:
    """Addresses that begin with what was typed, or belong to people whose name does."""
    only_customers = request.args.get("customers") == "1"
    return jsonify(people.addresses_like(person(), request.args.get("q", ""), only_customers=only_customers))


@blueprint.post(f"/messages/<{ID}:message_id>/cancel")
def cancel_sending(message_id: int) -> Any:
    message = access.access_message(person(), message_id, for_change=True)
    found = message.ticket
    waiting_replies.cancel_sending(message, person())
    if wants_partial():
        kept = drafts.drafts_of(person(), found).get("reply")
        words_ = {"html": kept.html, "revision": kept.revision} if kept is not None else {}
        return jsonify(says=gettext("Not sent. Your text is back in the reply."), **words_)
    flash(gettext("The reply was taken back and not sent. Your text is back in the reply."), "success")
    return redirect(url_for("console.ticket", number=found.number), 303)


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
    return piece("console/_templates.html", gettext("Templates"), ticket=found, templates=usable)


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
        return upload_fail(message=says(fault)), fault.status_code
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
        bcc=form.get("bcc", ""),
        mode="forward" if form.get("mode") == "forward" else "reply",
        about=_number(form.get("about", "")),
        template=_small_number(form.get("template", "")),
        # "Send anyway" names what its reader has seen since; the form itself what stood there before.
        seen=max((int(value) for value in form.getlist("seen") if _is_id(value)), default=None),
        attachment_keys=tuple(form.getlist("attachment"))[:MOST_FILES],
        send_at=form.get("send_at", ""),
    )


def _answer(found: Ticket, draft: Draft) -> replies.Answer:
    then_status, code_id = lifecycle.read_choice(_then(found) or "")
    return replies.Answer(
        html=_html(draft.html),
        to=_addresses(draft.to),
        cc=_addresses(draft.cc),
        bcc=_addresses(draft.bcc),
        template_id=draft.template,
        attachment_keys=draft.attachment_keys,
        then_status=then_status or None,
        resolution_code_id=code_id,
        about_message_id=draft.about,
        seen_message_id=draft.seen,
        send_at=_moment(draft.send_at),
        is_from_draft=True,
    )


def _doubts(draft: Draft) -> list[Doubt]:
    """What the writer has not yet said yes to."""
    text = "" if draft.mode == "forward" else html_to_text(_html(draft.html))
    found = doubts_about(
        text,
        has_files=bool(draft.attachment_keys) or "<img" in draft.html,
        recipients=_addresses(f"{draft.to},{draft.cc},{draft.bcc}"),
    )
    confirmed = set(request.form.getlist("sure"))
    return [doubt for doubt in found if doubt.rule not in confirmed]


def _moment(text: str) -> datetime | None:
    """The time of a field of the page, which is in the writer's zone."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=words.reader().zone)
    except ValueError as error:
        raise UserFault("The time to send this reply at could not be read. Choose it again.") from error


def _number(text: str) -> int | None:
    return int(text) if _is_id(text) else None


def _small_number(text: str) -> int | None:
    number = _number(text)
    return number if number is not None and number <= LARGEST_SMALL_ID else None


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _with_files(draft: Draft) -> Draft:
    """The draft with the files of the form itself, which a page without scripts sends along."""
    files = [file for file in request.files.getlist("files") if file.filename]
    if len(files) + len(draft.attachment_keys) > MOST_FILES:
        raise UserFault(
            "A message can carry at most %(most)s files.",
            most=MOST_FILES,
        )
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
    template_id = _small_number(request.form.get("template", ""))
    if template_id and templates.access_template(template_id, person(), found).actions.get("status"):
        return None
    return "open" if found.status in ("new", "open") else None


def _questions(doubts: Sequence[Doubt]) -> UserFault:
    first, *others = (doubt.question for doubt in doubts)
    return UserFault("%(first)s %(second)s", first=first, second=others[0]) if others else UserFault(first)


def _written_in(number: int) -> Ticket:
    """The ticket that somebody wrote in. Raises NotFound that says what became of the words: it may have been moved."""
    try:
        return access.access_ticket_by_number(person(), number, for_change=True)
    except NotFound as fault:
        if wants_partial():
            raise NotFound(
                "#%(number)s is not within your reach any more: somebody may have moved it to another branch. "
                "Nothing was sent. Your text is still here; copy what you need.",
                number=number,
            ) from fault
        raise NotFound(
            "#%(number)s is not within your reach any more: somebody may have moved it to another branch. "
            "Nothing was sent. Go back in your browser to copy your text.",
            number=number,
        ) from fault


def _refused(number: int, fault: UserFault, draft: Draft, doubts: Sequence[Doubt] = ()) -> Any:
    """The fault in words beside the text, which stays; after a conflict also what is new, with doubts the way on."""
    found = access.access_ticket_by_number(person(), number)
    newer: tuple[Any, ...] = ()
    seen = draft.seen
    if isinstance(fault, Conflict) and draft.seen is not None:
        thread = reading.Thread(tuple(reading.newer_than(found, draft.seen, person())), has_older=False)
        newer = timeline_of(found, thread, (), words.reader()).entries
        seen = max((each.message.id for each in thread.said), default=draft.seen)
    refusal = {
        "fault": says(fault),
        "newer": newer,
        "newest_id": seen,
        "form_id": f"{draft.tab}-form",
        # Whoever has said yes to one question is not asked it again beside the next.
        "sure": [*request.form.getlist("sure"), *(doubt.rule for doubt in doubts)],
        "is_doubt": bool(doubts),
        # What the first button asked for, "Send anyway" asks for as well.
        "wishes": {name: request.form[name] for name in ("then", "snooze_until") if request.form.get(name)},
    }
    if wants_partial():
        return render_template("console/_refusal.html", ticket=found, **refusal), fault.status_code
    context = page_of(person(), number, is_looked_at=False, draft=draft)
    return render_template("console/ticket.html", refusal=refusal, **context), fault.status_code


def _snoozed(found: Ticket, until: datetime) -> str:
    """What became of a snooze that was to follow the reply: the reply has gone out in any case."""
    try:
        snoozing.snooze(found, until, person())
    except UserFault as fault:
        return gettext("The ticket was not snoozed. %(fault)s", fault=says(fault))
    return snoozed_says(found, words.reader())


def _sent(number: int, message: Message, more: str) -> Any:
    names = ", ".join(one["address"] for one in message.to)
    is_later = message.delivery_state == "scheduled" and message.send_at is not None
    says = gettext("Sent to %(names)s.", names=names)
    if is_later and message.send_at is not None:
        says = gettext(
            "Will be sent to %(names)s: %(moment)s.",
            names=names,
            moment=words.reader().moment(message.send_at),
        )
    else:
        says = " ".join(filter(None, (says, more, effects_line(message.ticket))))
    if wants_partial():
        seconds = current_app.config["SETTINGS"].undo_seconds
        can_undo = bool(seconds) or is_later
        undo_url = url_for("console.cancel_sending", message_id=message.id) if can_undo else ""
        return jsonify(says=says, undo_url=undo_url, undo_seconds=seconds or SECONDS_TO_READ)
    flash(says, "success")
    return redirect(url_for("console.ticket", number=number), 303)
