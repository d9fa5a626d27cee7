"""How values look in lists and on pages: times, words, yes and no, lists, JSON. All of it escaped."""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape
from sqlalchemy import Boolean, DateTime
from sqlalchemy.dialects.postgresql import JSONB

from portal.channels.email.html import html_to_text
from portal.views.admin.fields import label_of
from portal.views.admin.rows import Rows, words_of

NO = Markup('<span class="muted">No</span>')
NOTHING = Markup('<span class="muted">–</span>')
LONGEST_CELL = 160

LABELS = {
    "id": "Number",
    "created_at": "Since",
    "occurred_at": "When",
    "is_active": "In use",
    "name": "Name",
    "imap_host": "IMAP server",
    "smtp_host": "SMTP server",
    "policy": "Targets",
    "is_lead": "Leads",
    "active": "May sign in",
}


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
    return Markup('<span class="yes">Yes</span>') if value else NO


def word(value: Any) -> Any:
    """A stored word in the users' words, with a hook for its colour."""
    if value in (None, ""):
        return NOTHING
    return Markup('<span class="word" data-word="{}">{}</span>').format(value, label_of(value))


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
        return ", ".join(value)
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
            yield Markup("{}: {}").format(label_of_column(name), change)
            continue
        before, after = _short(change.get("from")), _short(change["to"])
        yield Markup('<span class="muted">{}</span> {} → {}').format(label_of_column(name), before, after)


def _short(value: Any) -> Any:
    if value in (None, "", [], {}):
        return "–"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return escape(text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + "…")
