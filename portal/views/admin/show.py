"""How values look in lists and on pages: times, words, yes and no, lists, JSON. All of it escaped."""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape
from sqlalchemy import Boolean, DateTime
from sqlalchemy.dialects.postgresql import JSONB

from portal.channels.email.html import html_to_text
from portal.language import gettext, tell
from portal.rules.lifecycle import label
from portal.services import lifecycle
from portal.views.admin.fields import label_of, told
from portal.views.admin.rows import Rows, words_of
from portal.wording import N_

NOTHING = Markup('<span class="muted">–</span>')
LONGEST_CELL = 160

LABELS = {
    "id": N_("Number"),
    "created_at": N_("Since"),
    "occurred_at": N_("When"),
    "is_active": N_("In use"),
    "name": N_("Name"),
    "imap_host": N_("IMAP server"),
    "smtp_host": N_("SMTP server"),
    "policy": N_("Targets"),
    "is_lead": N_("Leads"),
    "active": N_("May sign in"),
}

# What `label_of_column` makes of names by itself, for the catalogues.
MADE_OF_NAMES = (
    *(
        N_("Account"),
        N_("Address"),
        N_("Aliases"),
        N_("Availability"),
        N_("Branches"),
        N_("Calendar"),
        N_("Capacity"),
    ),
    *(
        N_("Category"),
        N_("Choices"),
        N_("Code"),
        N_("Company"),
        N_("Conditions"),
        N_("Customer"),
        N_("Default priority"),
    ),
    *(
        N_("Display name"),
        N_("Email"),
        N_("Fetching"),
        N_("First name"),
        N_("Holidays"),
        N_("Key"),
        N_("Kind"),
    ),
    *(
        N_("Language"),
        N_("Last name"),
        N_("Level"),
        N_("Message"),
        N_("Notes"),
        N_("Object"),
        N_("Owner"),
        N_("Phone"),
    ),
    *(
        N_("Position"),
        N_("Priority"),
        N_("Recipient"),
        N_("Sending"),
        N_("Shortcut"),
        N_("Signature"),
        N_("State"),
    ),
    *(N_("Status"), N_("Subject"), N_("Tags"), N_("Ticket"), N_("Tier"), N_("Time zone"), N_("Windows")),
)


def label_of_column(name: str) -> str:
    """A column's name as people read it: `default_priority` is "Default priority"."""
    if name in LABELS:
        return LABELS[name]
    plain = name.removeprefix("is_").removesuffix("_id").removesuffix("_html").removesuffix("_encrypted")
    words = plain.replace(".", " ").replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def formatter_of(rows: Rows, name: str) -> Callable[[Any], Any]:
    """The function that shows values of that column."""
    column = rows.list_columns.get(name)
    if column is not None:
        if isinstance(column.type, DateTime):
            return moment
        if isinstance(column.type, Boolean):
            return yes_or_no
        if isinstance(column.type, JSONB):
            return json_value
        if words_of(rows.obj, name):
            return word
    return html_words if name.endswith("_html") else plain


def html_words(value: Any) -> Any:
    """The words of a text that is kept as HTML."""
    return plain(html_to_text(value or ""))


def moment(value: datetime | None) -> Any:
    """A time as an element that the page's script puts into the reader's own time zone."""
    if value is None:
        return NOTHING
    shown = value.strftime("%Y-%m-%d %H:%M")
    zone = "Z" if value.tzinfo is None else ""
    return Markup('<time datetime="{}{}">{}</time>').format(value.isoformat(), zone, shown)


def yes_or_no(value: Any) -> Any:
    """A yes that is seen when skimming a column, and a quiet no."""
    css, said = ("yes", gettext("Yes")) if value else ("muted", gettext("No"))
    return Markup('<span class="{}">{}</span>').format(css, said)


def word(value: Any) -> Any:
    """A stored word in the users' words, with a hook for its colour."""
    if value in (None, ""):
        return NOTHING
    return Markup('<span class="word" data-word="{}">{}</span>').format(value, told(label_of(value)))


def plain(value: Any) -> Any:
    """Text, a list of names, or a row by its name."""
    if value in (None, "", []):
        return NOTHING
    for kind, shown in ((datetime, moment), (bool, yes_or_no), (Markup, Markup)):
        if isinstance(value, kind):
            return shown(value)
    if isinstance(value, list | tuple | set):
        return ", ".join(str(item) for item in value)
    text = str(value)
    if len(text) > LONGEST_CELL:
        return Markup('<span title="{}">{}…</span>').format(text[:2000], text[:LONGEST_CELL])
    return text


def json_value(value: Any) -> Any:
    """A list of plain words as such, anything else as indented JSON."""
    if not value:
        return NOTHING
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        life = lifecycle.current()
        return ", ".join(tell(label(item, life)) for item in value)
    return Markup('<pre class="json">{}</pre>').format(json.dumps(value, indent=2, ensure_ascii=False))


def changes(value: dict[str, Any] | None) -> Any:
    """The from and to of an audit entry, a line for each column."""
    if not value:
        return NOTHING
    return Markup("<br>").join(_change_lines(value))


def link(url: str, text: Any) -> Markup:
    """A link with escaped text."""
    return Markup('<a href="{}">{}</a>').format(url, text)


def bytes_count(value: int | None) -> Any:
    """A size as people say it."""
    if value is None:
        return NOTHING
    size = float(value)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _change_lines(value: dict[str, Any]) -> Iterable[Markup]:
    for name, change in value.items():
        if not isinstance(change, dict) or "to" not in change:
            yield Markup("{}: {}").format(tell(label_of_column(name)), change)
            continue
        before, after = _short(change.get("from")), _short(change["to"])
        yield Markup('<span class="muted">{}</span> {} → {}').format(
            tell(label_of_column(name)), before, after
        )


def _short(value: Any) -> Any:
    if value in (None, "", [], {}):
        return "–"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return escape(text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + "…")
