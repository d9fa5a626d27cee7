"""The conversation: messages, notes and what happened between them, in one line of time."""

import zlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import current_app, url_for
from markupsafe import Markup

from portal.language import gettext, lazy_gettext, tell
from portal.models import Attachment, Identity, Message, Ticket
from portal.rules.conditions import FIELDS
from portal.rules.lifecycle import OPEN_STATUSES
from portal.services import people
from portal.views.console import bodies, facts, words
from portal.views.console.enclosed import EventCard, events_in, seal_of
from portal.views.console.facts import Line
from portal.views.console.reading import TEXT_LETTERS, Fact, Said, Standing, Thread
from portal.views.console.words import Reader
from portal.wording import from_json, reason_in

SHOWN_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
PDF = "application/pdf"
_DELIVERY = {
    "queued": (lazy_gettext("Waiting to be sent"), ""),
    "sending": (lazy_gettext("On its way"), ""),
    "deferred": (lazy_gettext("Not taken yet, will be tried again"), "warn"),
    "failed": (lazy_gettext("Not delivered"), "late"),
    "bounced": (lazy_gettext("Came back undelivered"), "late"),
    "cancelled": (lazy_gettext("Taken back, not sent"), "warn"),
}
# What can be begun on a message: mode, label, icon.
_WAYS = (
    ("reply", lazy_gettext("Reply"), "reply"),
    ("all", lazy_gettext("Reply to all"), "reply-all"),
    ("forward", lazy_gettext("Forward"), "forward"),
    ("note", lazy_gettext("Note on it"), "sticky-note"),
)


@dataclass(frozen=True)
class File:
    """A file of a message as it is shown."""

    name: str
    size: str
    url: str
    # "picture" or "pdf" where it can be shown beside the conversation, "" where it can only be downloaded.
    preview: str


@dataclass(frozen=True)
class Letter:
    """A message or note as it is shown: one of `own_html`, `frame`, `frame_url` and `text` holds its words."""

    id: int
    key: str
    direction: str
    ways: tuple[tuple[str, str, str], ...]
    author: str
    initials: str
    addressed: str
    copies: str
    time: str
    exactly: str
    channel: str
    own_html: Markup | None
    frame: str
    frame_url: str
    text: Markup
    is_cut: bool
    whole_url: str
    quote_url: str
    pictures_url: str
    trust_url: str
    sender: str
    events: tuple[EventCard, ...]
    seal: str
    files: tuple[File, ...]
    why: str
    raw_url: str
    delivery: str
    delivery_tone: str
    label: str
    cancel_url: str
    moved: str
    move_url: str
    # Only for what a customer wrote, where something is left behind.
    split_url: str
    # The ticket it was moved from last, to take it back there; 0 for none.
    back_number: int


@dataclass(frozen=True)
class Entry:
    """One thing of the timeline: a letter, a line, or the line that says what comes next."""

    at: datetime
    key: str
    letter: Letter | None = None
    line: Line | None = None

    @property
    def mark(self) -> str:
        """Two entries that look the same have the same mark: the page keeps what it already shows."""
        return f"{zlib.crc32(repr((self.letter, self.line)).encode()):x}"


@dataclass(frozen=True)
class Timeline:
    """Entries, oldest first, where to get older ones, and the newest message that the page shows."""

    entries: tuple[Entry, ...]
    older_url: str
    seen_message_id: int


def timeline_of(
    ticket: Ticket, thread: Thread, happened: Sequence[Fact], reader: Reader, *, until: datetime | None = None
) -> Timeline:
    """Messages and facts together. With older messages left out, the facts between those are left out too."""
    spoken = [each for each in thread.said if _is_spoken(each.message)]
    is_alone = len(spoken) <= 1 and not thread.has_older
    since = thread.said[0].message.created_at if thread.said and thread.has_older else None
    templates = {
        fact.message_id: str(fact.data.get("name", "")) for fact in happened if fact.kind == "template_sent"
    }
    letters = [
        Entry(
            each.message.created_at,
            f"message-{each.message.id}",
            letter=_letter(ticket, each, templates, reader, is_alone=is_alone),
        )
        for each in thread.said
    ]
    within = [
        fact
        for fact in happened
        if (since is None or fact.at >= since) and (until is None or fact.at < until)
    ]
    entries = sorted([*letters, *_lines(within, letters, reader)], key=lambda entry: entry.at)
    return Timeline(
        entries=tuple(entries),
        older_url=_older_url(ticket, thread),
        seen_message_id=max((each.message.id for each in thread.said), default=0),
    )


def due_line(standing: Standing, reader: Reader) -> tuple[str, str]:
    """What comes next by itself and how worried to be: the sentence at the end of the timeline, or ""."""
    running = [clock for clock in standing.clocks if clock.is_running and clock.due_at]
    if not running:
        return "", ""
    clock = min(running, key=lambda each: each.due_at or reader.at)
    assert clock.due_at is not None
    label = words.clock(clock.kind)
    seconds = (clock.due_at - reader.at).total_seconds()
    sentence = (
        gettext("%(clock)s due in %(span)s", clock=label, span=words.span(seconds))
        if seconds >= 0
        else gettext("%(clock)s is %(span)s late", clock=label, span=words.span(seconds))
    )
    goes_on = _goes_on(standing, reader)
    if seconds < 0 and not goes_on:
        # That it is late has been said where it happened.
        return "", ""
    tone = "late" if seconds < 0 else "warn" if clock.warn_at and clock.warn_at <= reader.at else ""
    return sentence + goes_on, tone


def _goes_on(standing: Standing, reader: Reader) -> str:
    step = next((step for step in standing.path if step.state == "next" and step.at), None)
    if step is None or step.at is None or step.at <= reader.at:
        return ""
    unless = f" {gettext(step.unless)}" if step.unless else ""
    return (
        " · " + gettext("goes to %(name)s %(when)s", name=step.name, when=reader.at_moment(step.at)) + unless
    )


def _lines(within: Sequence[Fact], letters: Sequence[Entry], reader: Reader) -> list[Entry]:
    """The facts as lines, joined only where no letter stands between them."""
    borders = sorted(entry.at for entry in letters)
    groups: list[list[Fact]] = []
    last_border = -1
    for fact in within:
        border = bisect_right(borders, fact.at)
        if border != last_border:
            groups.append([])
        groups[-1].append(fact)
        last_border = border
    return [
        Entry(line.fact.at, f"fact-{line.key}", line=line)
        for group in groups
        for line in facts.lines_of(group, reader)
    ]


def _is_spoken(message: Message) -> bool:
    return message.direction != "note" and not message.is_automatic


def _letter(
    ticket: Ticket, said: Said, templates: dict[int | None, str], reader: Reader, *, is_alone: bool = False
) -> Letter:
    message, body = said.message, said.body
    is_ours = message.direction != "in"
    author = _author(message, reader)
    delivery, tone = _delivery_of(message, reader)
    sender = sender_of(ticket, message) if message.has_remote_images else None
    shows_pictures = sender is not None and sender.shows_pictures
    shown_in = _ways_of_showing(message, said, shows_pictures=shows_pictures)
    return Letter(
        id=message.id,
        ways=_WAYS if message.direction != "note" else _WAYS[-1:],
        key=f"message-{message.id}",
        direction=message.direction,
        author=author,
        initials=words.initials(str(message.author) if message.author else author),
        addressed=_addressed(message),
        copies=_names(message.cc),
        time=reader.moment(message.created_at),
        exactly=reader.exactly(message.created_at),
        channel=words.within(str(words.CHANNELS.get(message.channel_kind, "")))
        if message.direction != "note"
        else "",
        is_cut=body.html_length == 0 and body.text_length > TEXT_LETTERS,
        whole_url=url_for("console.body", message_id=message.id),
        quote_url=url_for("console.body", message_id=message.id, part="quoted") if body.has_quote else "",
        pictures_url=_pictures_url(message) if message.has_remote_images and not shows_pictures else "",
        trust_url=url_for("console.trust_pictures", message_id=message.id) if sender is not None else "",
        sender=message.from_address,
        events=events_in(said.attachments, reader),
        seal=seal_of(said.attachments),
        files=files_of(said),
        why=why(ticket, message) if message.direction == "in" or message.thread_rule else "",
        raw_url=url_for("console.raw", message_id=message.id) if message.inbox_item_id else "",
        delivery=delivery,
        delivery_tone=tone,
        label=_label(message, is_ours, templates),
        cancel_url=_cancel_url(message, reader),
        moved=moved(message, reader),
        move_url=url_for("console.choose_ticket", message_id=message.id),
        split_url=url_for("console.ask_split", message_id=message.id)
        if message.direction == "in" and not is_alone
        else "",
        back_number=_back_number(ticket, message),
        **shown_in,
    )


def _delivery_of(message: Message, reader: Reader) -> tuple[str, str]:
    """What became of a mail of ours, and how worried to be; nothing where all is well."""
    if message.direction != "out":
        return "", ""
    if message.delivery_state == "scheduled" and message.send_at is not None:
        return gettext("Will be sent %(moment)s", moment=reader.moment(message.send_at)), "warn"
    return _DELIVERY.get(message.delivery_state, ("", ""))


def sender_of(ticket: Ticket, message: Message) -> Identity | None:
    """The address of the ticket's customer that the message came from; None when it came from somebody else."""
    address = people.normalise_address(message.from_address)
    if message.direction != "in":
        return None
    return next((one for one in ticket.customer.identities if one.address == address), None)


def _pictures_url(message: Message) -> str:
    return url_for("console.body", message_id=message.id, pictures=1)


def _ways_of_showing(message: Message, said: Said, *, shows_pictures: bool) -> dict[str, Any]:
    """Our own words stand in the page, a customer's HTML in a frame, plain text as text."""
    body = said.body
    shown: dict[str, Any] = {"own_html": None, "frame": "", "frame_url": "", "text": Markup("")}
    if body.html_length == 0:
        shown["text"] = bodies.paragraphs(body.text)
    elif message.direction != "in" and body.html and not message.inbox_item_id:
        # Sanitised when it was stored; written at this desk, which a colleague's own mail is not.
        shown["own_html"] = Markup(body.html)  # noqa: S704
    elif message.has_remote_images and shows_pictures:
        # Only a document of its own may load what is elsewhere.
        shown["frame_url"] = _pictures_url(message)
    elif body.html:
        shown["frame"] = bodies.document(body.html, said.attachments)
    else:
        shown["frame_url"] = url_for("console.body", message_id=message.id)
    return shown


def files_of(said: Said) -> tuple[File, ...]:
    """The files to list; pictures that the text itself shows are left out."""
    return tuple(
        File(
            name=attachment.name or gettext("File without a name"),
            size=words.size(attachment.size_bytes),
            url=bodies.file_url(attachment),
            preview=_preview_of(attachment),
        )
        for attachment in said.attachments
        if not (attachment.is_inline and attachment.content_id and said.body.html_length)
    )


def _preview_of(attachment: Attachment) -> str:
    if attachment.content_type in SHOWN_IMAGES:
        return "picture"
    return "pdf" if attachment.content_type == PDF else ""


def why(ticket: Ticket, message: Message) -> str:
    """Why a customer's message stands here, in the words of the rules that decided it."""
    evidence = message.thread_evidence or {}
    brought = str(evidence.get("agent_reason") or "")
    # What was decided about a colleague stands behind the reason in one text.
    reason = tell(reason_in(evidence)) if not brought else _both(reason_in(evidence), brought)
    reason = reason.rstrip(".")
    if message.thread_rule in ("new", "follow_up", ""):
        opened = (
            gettext("new ticket – no reference to an earlier message")
            if message.thread_rule == "new"
            else reason
        )
        return " · ".join(
            part for part in (words.continued(tell(brought)), opened, _route_of(ticket)) if part
        )
    return words.continued(reason)


def _both(reason: str, brought: str) -> str:
    first = reason.removesuffix(brought).strip()
    return f"{tell(first)} {tell(brought)}".strip()


def moved(message: Message, reader: Reader) -> str:
    """Who brought the message here from another ticket; "" when nobody did."""
    notes = (message.thread_evidence or {}).get("moved_by_hand") or []
    # Back where it was before a merge, it is here for the reason for which it came.
    if not notes or notes[-1]["how"] == "unmerged":
        return ""
    last = notes[-1]
    when = reader.moment(datetime.fromisoformat(last["at"]))
    if last["how"] == "merged":
        return gettext(
            "came with #%(number)s, merged into this ticket by %(who)s, %(when)s",
            number=last["from"],
            who=last["by"],
            when=when,
        )
    told = {"number": last["from"], "who": last["by"], "when": when}
    if last["how"] == "split_off":
        return gettext("split off from #%(number)s by %(who)s, %(when)s", **told)
    return gettext("moved here from #%(number)s by %(who)s, %(when)s", **told)


def _back_number(ticket: Ticket, message: Message) -> int:
    notes = (message.thread_evidence or {}).get("moved_by_hand") or []
    if not notes or notes[-1]["how"] in ("merged", "unmerged") or notes[-1]["from"] == ticket.number:
        return 0
    return int(notes[-1]["from"])


def _route_of(ticket: Ticket) -> str:
    rules = (ticket.route.get("evidence") or {}).get("rules") or []
    chosen = next((rule for rule in rules if rule.get("id") == ticket.route.get("rule_id")), None)
    if ticket.route.get("rule") == "routing_rule" and chosen:
        return gettext("routed by rule “%(name)s”", name=chosen["name"]) + _found_by(chosen)
    return words.continued(tell(reason_in(ticket.route)))


def _found_by(rule: dict[str, Any]) -> str:
    """Which condition of a rule matched, and on what text."""
    told = []
    for test in rule.get("tests") or ():
        known = FIELDS.get(test.get("field"))
        if known is not None and test.get("found"):
            field = test.get("name") or gettext(known.label)
            told.append(gettext("%(field)s: “%(found)s”", field=field, found=test["found"]))
    return f" ({', '.join(told)})" if told else ""


def warnings_of(ticket: Ticket) -> list[str]:
    """What could not be done for the ticket as its rules ask, in sentences; nothing once it is finished."""
    evidence = ticket.route.get("evidence") or {}
    if ticket.status not in OPEN_STATUSES:
        return []
    return [tell(from_json(each)) for each in evidence.get("wordings") or evidence.get("warnings") or ()]


def _author(message: Message, reader: Reader) -> str:
    if message.direction == "in":
        return words.person(message.from_name, message.from_address)
    if message.author is not None:
        return reader.name(message.author)
    return message.from_name or "Portal"


def _addressed(message: Message) -> str:
    if message.direction == "note":
        return gettext("note to colleagues")
    names = _names(message.to)
    return gettext("to %(names)s", names=names) if names else ""


def _names(people: Sequence[dict[str, str]]) -> str:
    shown = [person.get("address") or person.get("name", "") for person in people[:3]]
    names = ", ".join(name for name in shown if name)
    return (
        gettext("%(names)s and %(count)s more", names=names, count=len(people) - 3)
        if len(people) > 3
        else names
    )


def _label(message: Message, is_ours: bool, templates: dict[int | None, str]) -> str:
    if message.is_bounce:
        return gettext("Bounce")
    if message.is_auto_reply:
        return gettext("Automatic reply")
    if message.is_automatic:
        return gettext("Sent by Portal")
    if message.direction == "in" and message.thread_evidence.get("is_verified") is False:
        return gettext("Bears a colleague's address, not verified")
    if "forwards" in message.thread_evidence:
        return gettext("Forwarded")
    name = templates.get(message.id)
    return gettext("Template “%(name)s”", name=name) if is_ours and name else ""


def _cancel_url(message: Message, reader: Reader) -> str:
    """Where a reply that still waits can be taken back by whoever wrote it."""
    seconds = current_app.config["SETTINGS"].undo_seconds
    if message.author_id != reader.user_id or message.direction != "out":
        return ""
    is_young = reader.at - message.created_at < timedelta(seconds=seconds)
    if message.delivery_state == "scheduled" or (message.delivery_state == "queued" and is_young):
        return url_for("console.cancel_sending", message_id=message.id)
    return ""


def _older_url(ticket: Ticket, thread: Thread) -> str:
    if not thread.has_older:
        return ""
    return url_for("console.ticket", number=ticket.number, before=thread.said[0].message.id)
