"""The ticket page: what was said, what matters about it, and the list it was chosen from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from portal import access
from portal.errors import NotFound, UserFault
from portal.errors_pages import wants_partial
from portal.extensions import db
from portal.language import gettext, tell
from portal.models import Draft as KeptDraft
from portal.models import Message, Ticket, User
from portal.models.branch import PRIORITIES
from portal.models.ticket import TICKET_TYPES
from portal.rules import lifecycle
from portal.services import assignment, drafts, tickets, uploads
from portal.services import lifecycle as living
from portal.views.console import facts, lists, presence, reading, words
from portal.views.console.aside import choices_for, snoozed_line
from portal.views.console.blueprint import ID, blueprint, person
from portal.views.console.filters import TicketFilter
from portal.views.console.queue import wanted_list
from portal.views.console.rows import chip_of
from portal.views.console.side import explanations_of, may_change, side_of
from portal.views.console.timeline import due_line, timeline_of, warnings_of


@dataclass(frozen=True)
class KeptFile:
    """An upload that a draft holds."""

    key: str
    name: str
    size: str


@dataclass(frozen=True)
class Draft:
    """What stands in the composer: the person's words, kept through every refusal."""

    tab: str = "reply"
    html: str = ""
    note: str = ""
    to: str = ""
    cc: str = ""
    bcc: str = ""
    mode: str = "reply"
    about: int | None = None
    template: int | None = None
    seen: int | None = None
    attachment_keys: tuple[str, ...] = ()
    files: tuple[KeptFile, ...] = ()
    note_files: tuple[KeptFile, ...] = ()
    # How often each was kept on the server: a window that knows an older count is behind.
    revision: int = 0
    note_revision: int = 0
    window: str = ""
    note_window: str = ""
    send_at: str = ""


@blueprint.get(f"/tickets/<{ID}:number>")
def ticket(number: int) -> Any:
    user = person()
    before = request.args.get("before", type=int)
    if before is not None and wants_partial():
        return older_entries(user, number, before)
    context = page_of(user, number, is_looked_at=True, before=before)
    if context["ticket"].merged_into_id is not None:
        return _lead_on(context["ticket"], user)
    asked = request.args.get("merged", type=int)
    if asked is not None:
        context["merged_number"] = reading.merged_number(context["ticket"], asked)
    page = "console/_ticket.html" if wants_partial() else "console/ticket.html"
    return render_template(page, **context)


@blueprint.get(f"/tickets/<{ID}:number>/parts")
def ticket_parts(number: int) -> str:
    """What changes by itself on an open ticket: header, timeline and side, as the page has them."""
    is_looked_at = request.args.get("looking") == "1"
    context = page_of(person(), number, is_looked_at=is_looked_at, has_composer=False)
    return render_template("console/ticket_parts.html", **context)


@blueprint.get(f"/tickets/<{ID}:number>/clocks")
def explain_clocks(number: int) -> str:
    found = access.access_ticket_by_number(person(), number)
    explanations = explanations_of(found, words.reader())
    return piece(
        "console/_clocks.html",
        gettext("How these figures come about"),
        ticket=found,
        explanations=explanations,
        may_recompute=access.ADMIN in access.role_names(person()),
    )


@blueprint.get(f"/tickets/<{ID}:number>/history")
def history(number: int) -> str:
    found = access.access_ticket_by_number(person(), number)
    lines = facts.history_of(reading.facts_of(found), words.reader())
    return piece(
        "console/_history.html", gettext("History of #%(number)s", number=number), ticket=found, lines=lines
    )


@blueprint.get(f"/tickets/<{ID}:number>/choices")
def choices(number: int) -> dict[str, Any]:
    """To whom and whereto the ticket can go: asked for when somebody is about to choose."""
    found = access.access_ticket_by_number(person(), number)
    return {
        "assignee": [
            {"value": user.id, "label": str(user) + (f" · {_tier(level)}" if level > 1 else "")}
            for user, level in assignment.members_of(found.branch_id)
        ],
        "branch": [{"value": branch.id, "label": branch.name} for branch in lists.active_branches()],
    }


def _tier(level: int) -> str:
    return gettext("Tier %(level)s", level=level)


def piece(template: str, heading: str, **context: Any) -> str:
    """A piece of the page: alone for a script that asked for it, else as a page of its own."""
    if wants_partial():
        return render_template(template, **context)
    return render_template("console/alone.html", piece=template, heading=heading, **context)


def page_of(
    user: User,
    number: int,
    *,
    is_looked_at: bool,
    draft: Draft | None = None,
    before: int | None = None,
    has_composer: bool = True,
) -> dict[str, Any]:
    """What the templates of the ticket page need. Marks the ticket as looked at, where a person of the desk does so."""
    found = reading.ticket_of(user, number)
    is_new = found.ticket.unread_since is not None or found.ticket.first_viewed_at is None
    is_merged = found.ticket.merged_into_id is not None
    if is_looked_at and is_new and may_change(user) and not is_merged:
        tickets.mark_viewed(found.ticket, user)
        found = reading.ticket_of(user, number)
    reader = words.reader()
    thread = reading.thread_of(found.ticket, before=before)
    happened = reading.facts_of(found.ticket)
    standing = reading.standing_of(found, happened, reader.at)
    timeline = timeline_of(found.ticket, thread, happened, reader)
    wanted = _wanted_beside()
    context: dict[str, Any] = {
        "ticket": found.ticket,
        "header": _header(found.ticket, reader),
        "timeline": timeline,
        "due": due_line(standing, reader),
        "merged_in": facts.merged_numbers(happened),
        "side": side_of(found, standing, user, reader),
        "may_change": may_change(user) and not is_merged,
        "wanted": wanted,
        "list_url": url_for("console.queue_list", **wanted.to_args(), current=number),
        "queue_url": url_for("console.queue", **wanted.to_args()),
        "present": presence.of_tickets([found.ticket.id]).get(found.ticket.id, ()),
        "reader": reader,
        "words": words,
        "lifecycle": lifecycle,
        "priorities": {name: words.PRIORITIES[name] for name in PRIORITIES},
        "severities": words.SEVERITIES,
        "types": {name: words.TYPES[name] for name in TICKET_TYPES},
    }
    if has_composer:
        context["finishing"] = [
            (name, text) for name, text in _statuses(found.ticket) if name.partition(":")[0] == "resolved"
        ]
        context["snooze_choices"] = choices_for(found.ticket, reader)
        context["upload_limit_bytes"] = uploads.SIZE_LIMIT_BYTES
        context["draft"] = draft or new_draft(user, found.ticket, thread, timeline.seen_message_id)
    return context


def older_entries(user: User, number: int, before: int) -> str:
    """The entries that come before the message of that id."""
    found = access.access_ticket_by_number(user, number)
    border = access.access_message(user, before)
    thread = reading.thread_of(found, before=before)
    timeline = timeline_of(found, thread, reading.facts_of(found), words.reader(), until=border.created_at)
    return render_template(
        "console/_older.html", ticket=found, timeline=timeline, may_change=may_change(user)
    )


def new_draft(user: User, found: Ticket, thread: reading.Thread, seen: int) -> Draft:
    """What the person was writing here; without anything, an empty answer to whoever wrote last."""
    said = [each.message for each in thread.said if each.message.direction != "note"]
    empty = Draft(
        tab="note" if request.args.get("compose") == "note" else "reply",
        to=", ".join(_answer_to(found, said[-1] if said else None)),
        seen=seen,
    )
    kept = drafts.drafts_of(user, found)
    return _with_note(_with_reply(empty, kept.get("reply"), user), kept.get("note"), user)


def _with_reply(empty: Draft, kept: KeptDraft | None, user: User) -> Draft:
    if kept is None:
        return empty
    return replace(
        empty,
        html=kept.html,
        to=kept.to or empty.to,
        cc=kept.cc,
        bcc=kept.bcc,
        mode=kept.mode,
        about=kept.about_message_id,
        template=kept.template_id,
        # What came in while the draft lay there has not been seen by its writer.
        seen=kept.seen_message_id or empty.seen,
        files=kept_files(user, kept),
        revision=kept.revision,
        window=kept.window,
    )


def _with_note(draft: Draft, kept: KeptDraft | None, user: User) -> Draft:
    if kept is None:
        return draft
    return replace(
        draft,
        note=kept.html,
        note_files=kept_files(user, kept),
        note_revision=kept.revision,
        note_window=kept.window,
    )


def kept_files(user: User, kept: KeptDraft) -> tuple[KeptFile, ...]:
    """The files of a draft as the composer lists them."""
    return tuple(
        KeptFile(each.public_key, each.name or gettext("File without a name"), words.size(each.size_bytes))
        for each in drafts.files_of(user, kept)
    )


def _lead_on(merged: Ticket, user: User) -> Response:
    """To the page of the ticket that this one was merged into."""
    found = access.visible_tickets(user).where(Ticket.id == merged.merged_into_id)
    survivor = db.session.scalar(found)
    if survivor is None:
        assert merged.merged_into_id is not None, "only a merged ticket leads on"
        into = tickets.number_of(merged.merged_into_id)
        raise NotFound(
            "#%(number)s was merged into #%(into)s, which lies outside your reach.",
            number=merged.number,
            into=into,
        )
    arguments: dict[str, Any] = {**request.args.to_dict(), "merged": merged.number}
    return redirect(url_for("console.ticket", number=survivor.number, **arguments))


def _answer_to(found: Ticket, last: Message | None) -> list[str]:
    """As services.replies does without being told: whoever wrote last, else the customer."""
    if last is not None and last.direction == "in":
        people = last.reply_to or [{"address": last.from_address}]
        addresses = [person["address"] for person in people if "@" in person.get("address", "")]
        if addresses:
            return addresses
    if last is not None and last.direction == "out" and last.to:
        return [person["address"] for person in last.to]
    return [identity.address for identity in found.customer.identities if identity.kind == "email"][:1]


def _header(found: Ticket, reader: words.Reader) -> dict[str, Any]:
    return {
        "assignee": reader.name(found.assignee, "nobody").replace("You", "you"),
        "statuses": _statuses(found),
        "chip": chip_of(found, reader),
        "is_mine": found.assignee_id == reader.user_id,
        "is_open": found.status in lifecycle.OPEN_STATUSES,
        "is_followed": reader.user_id in found.follower_ids,
        "snoozed": snoozed_line(found, reader),
        "warnings": warnings_of(found),
    }


def _statuses(found: Ticket) -> list[tuple[str, str]]:
    """What can be chosen; where its branch asks how it ended, that is chosen with the status."""
    life = living.current()
    offered: Sequence[tuple[str, str]] = lifecycle.choices(found.status, life)
    if lifecycle.asks_for_code(life, found.branch.requires_code):
        offered = lifecycle.coded(offered, found.status, life)
    return [(name, tell(words_)) for name, words_ in offered]


def _wanted_beside() -> TicketFilter:
    """The list that the ticket was chosen from; a damaged address costs the list, not the ticket."""
    try:
        return wanted_list()
    except UserFault:
        return TicketFilter(view="open")
