"""Placeholders in reply templates: `{{ customer.first_name | default("there") }}`, and no more than that.

A placeholder is a name from a fixed list, or of one of the desk's own fields, with an optional default. There are no
attributes, calls, loops or conditions to get out of: a value is looked up by its whole name, escaped, and put in once.
"""

import difflib
import html as html_entities
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Literal
from urllib.parse import quote

from portal.wording import N_, sentence

LONGEST_TEMPLATE = 500_000
MOST_PLACEHOLDERS = 500
# {{ ticket.fields.order_number }}: a field of the desk's own, by its key.
FIELD_PREFIX = "ticket.fields."
_MOST_PROBLEMS = 20
_LONGEST_VALUE = 10_000
_LONGEST_PLACEHOLDER = 300


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A name that templates may use, what it stands for, and an example for the preview."""

    name: str
    description: str
    example: str


PLACEHOLDERS: Mapping[str, Placeholder] = MappingProxyType(
    {
        placeholder.name: placeholder
        for placeholder in (
            Placeholder("customer.first_name", "First name of the customer", "Ada"),
            Placeholder("customer.last_name", "Last name of the customer", "Lovelace"),
            Placeholder("customer.name", "Full name of the customer", "Ada Lovelace"),
            Placeholder("customer.email", "E-mail address of the customer", "ada@example.org"),
            Placeholder("customer.company", "Company of the customer", "Analytical Engines"),
            Placeholder("ticket.number", "Number of the ticket", "10482"),
            Placeholder("ticket.subject", "Subject of the ticket", "Where is my parcel?"),
            Placeholder("ticket.status", "Status of the ticket, in words", "Open"),
            Placeholder("ticket.priority", "Priority of the ticket, in words", "Normal"),
            Placeholder("ticket.opened_on", "Date on which the ticket was opened", "23 November 2026"),
            Placeholder("agent.first_name", "First name of the agent who answers", "Grace"),
            Placeholder("agent.name", "Full name of the agent who answers", "Grace Hopper"),
            Placeholder("agent.email", "E-mail address of the agent who answers", "grace@example.org"),
            Placeholder("branch.name", "Name of the branch", "North"),
            Placeholder("branch.email", "Address of the branch that customers write to", "help@example.org"),
            Placeholder("today", "Today's date, in the branch's time zone", "23 November 2026"),
        )
    }
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What to correct in a template: a sentence, the character it starts at (0-based), a suggestion."""

    message: str
    position: int
    name: str = ""
    suggestion: str | None = None


@dataclass(frozen=True, slots=True)
class Filled:
    """A template with its values in place, and the names for which there was neither value nor default."""

    html: str
    unfilled: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of a template: plain markup, or a placeholder with the place it stands in."""

    source: str
    position: int
    place: Literal["markup", "text", "tag", "raw"] = "markup"


_OPENING = re.compile(rf"\{{\{{([^{{}}]{{0,{_LONGEST_PLACEHOLDER}}})\}}\}}")
_STRAY = re.compile(r"\{\{|\}\}|\{%|%\}|\{#")
_EXPRESSION = re.compile(
    r"""\s*([A-Za-z_][\w.]*)\s*(?:\|\s*default\s*\(\s*(?:"([^"]*)"|'([^']*)'|[“„]([^“”]*)[”“])\s*\)\s*)?"""
)
_TAG_START = re.compile(r"</?[A-Za-z]|<[!?]")
_RAW_ELEMENTS = ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "plaintext")
_RAW_ELEMENT = re.compile(rf"<({'|'.join(_RAW_ELEMENTS)})(?=[\s/>])", re.IGNORECASE)


def check(html: str, field_keys: Collection[str] = ()) -> list[Problem]:
    """What must be corrected before the template can be saved, in the order of the text (20 at most).

    `field_keys` are those of the desk's own fields.
    """
    known = [*PLACEHOLDERS, *(FIELD_PREFIX + key for key in field_keys)]
    if len(html) > LONGEST_TEMPLATE:
        return [
            Problem(
                sentence(
                    "The template is longer than %(most)s characters.",
                    most=f"{LONGEST_TEMPLATE:,}",
                ),
                LONGEST_TEMPLATE,
            )
        ]
    if html.count("{{") > MOST_PLACEHOLDERS:
        return [
            Problem(
                sentence(
                    "A template can have at most %(most)s placeholders.",
                    most=MOST_PLACEHOLDERS,
                ),
                0,
            )
        ]
    problems: list[Problem] = []
    for part in _parts(html):
        problems += _markup_problems(part) if part.place == "markup" else _placeholder_problems(part, known)
        if len(problems) >= _MOST_PROBLEMS:
            break
    return problems[:_MOST_PROBLEMS]


def fill(html: str, values: Mapping[str, str | None]) -> Filled:
    """An HTML template with its values.

    Values are plain text and are escaped; within a tag (a link's address) they are percent-encoded (RFC 3986
    §2.1), so that they cannot leave the attribute or name a scheme. Without value and default, the name stays
    visible in `<mark data-unfilled="name">`, bare within a tag. Values are never searched for
    placeholders again. Raises
    ValueError for a template over LONGEST_TEMPLATE characters or MOST_PLACEHOLDERS placeholders.
    """
    _check_size(html)
    unfilled: list[str] = []
    pieces = [
        part.source if part.place == "markup" else _fill_in_html(part, values, unfilled)
        for part in _parts(html)
    ]
    return Filled("".join(pieces), tuple(dict.fromkeys(unfilled)))


def fill_text(text: str, values: Mapping[str, str | None]) -> Filled:
    """A plain-text template (a subject, an SMS) with its values; an unfilled name stays as `[name]`."""
    _check_size(text)
    unfilled: list[str] = []

    def replacement(found: re.Match[str]) -> str:
        name, value = _value(found.group(1), values)
        if value is None:
            unfilled.append(name)
            return f"[{name}]"
        return value

    return Filled(_OPENING.sub(replacement, text), tuple(dict.fromkeys(unfilled)))


def examples() -> dict[str, str]:
    """Values for a preview without a ticket."""
    return {name: placeholder.example for name, placeholder in PLACEHOLDERS.items()}


def _check_size(template: str) -> None:
    if len(template) > LONGEST_TEMPLATE:
        raise ValueError(
            sentence(
                "The template is longer than %(most)s characters.",
                most=f"{LONGEST_TEMPLATE:,}",
            )
        )
    if template.count("{{") > MOST_PLACEHOLDERS:
        raise ValueError(
            sentence(
                "A template can have at most %(most)s placeholders.",
                most=MOST_PLACEHOLDERS,
            )
        )


def _markup_problems(part: _Part) -> list[Problem]:
    return [
        Problem(
            sentence(
                "“%(group)s” stands alone; a placeholder looks like {{ customer.name }}.", group=stray.group()
            ),
            part.position + stray.start(),
        )
        for stray in islice(_STRAY.finditer(part.source), _MOST_PROBLEMS)
    ]


def _placeholder_problems(part: _Part, known: Collection[str]) -> list[Problem]:
    name, _ = _parse(_inside(part))
    if name is None:
        shown = " ".join(_inside(part).split())[:60]
        message = sentence(
            '“%(shown)s” is not understood; write {{ name }} or {{ name | default("text") }}.', shown=shown
        )
        return [Problem(message, part.position)]
    if part.place == "raw":
        return [Problem(N_("A placeholder cannot stand within a script or a style."), part.position, name)]
    if name in known:
        return []
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else ""
    return [
        Problem(f"There is no placeholder “{name}”.{hint}", part.position, name, near[0] if near else None)
    ]


def _fill_in_html(part: _Part, values: Mapping[str, str | None], unfilled: list[str]) -> str:
    name, value = _value(_inside(part), values)
    if value is None or part.place == "raw":
        unfilled.append(name)
        return _unfilled_mark(name, part.place)
    return quote(value, safe="", errors="replace") if part.place == "tag" else html_entities.escape(value)


def _unfilled_mark(name: str, place: str) -> str:
    if place == "raw":
        return ""
    if place == "tag":
        # Nothing at all would let an unquoted attribute swallow the next one.
        return quote(name, safe="", errors="replace")
    escaped = html_entities.escape(name)
    return f'<mark data-unfilled="{escaped}">{escaped}</mark>'


def _value(source: str, values: Mapping[str, str | None]) -> tuple[str, str | None]:
    """The name to show, and the text to put in; None when there is none."""
    name, default = _parse(source)
    if name is None:
        return " ".join(source.split()), None
    is_known = name in PLACEHOLDERS or name.startswith(FIELD_PREFIX)
    value = values.get(name) if is_known else None
    if value is None or not value.strip():
        value = default
    return name, None if value is None else value.replace("\0", "")[:_LONGEST_VALUE]


def _parse(source: str) -> tuple[str | None, str | None]:
    """Name and default of what stands between the braces; (None, None) when it is no placeholder."""
    # Editors write quotes and spaces as entities.
    text = html_entities.unescape(source).replace("\N{NO-BREAK SPACE}", " ")
    found = _EXPRESSION.fullmatch(text)
    if found is None:
        return None, None
    return found.group(1), next((default for default in found.groups()[1:] if default is not None), None)


def _inside(part: _Part) -> str:
    return part.source[2:-2]


def _parts(html: str) -> Iterator[_Part]:
    """The template cut at its placeholders, each with the kind of place it stands in."""
    position = 0
    place = _Place()
    for found in _OPENING.finditer(html):
        markup = html[position : found.start()]
        if markup:
            yield _Part(markup, position)
        yield _Part(found.group(), found.start(), place.after(markup))
        position = found.end()
    if position < len(html):
        yield _Part(html[position:], position)


class _Place:
    """Follows markup just closely enough to tell text from tags and raw elements; unsure means tag."""

    def __init__(self) -> None:
        self._inside: Literal["text", "tag", "raw"] = "text"
        self._quote = ""
        self._end = ""  # what ends a comment or a raw element

    def after(self, markup: str) -> Literal["text", "tag", "raw"]:
        """The place right after this further stretch of markup."""
        position = 0
        while position < len(markup):
            position = self._step(markup, position)
        return self._inside

    def _step(self, markup: str, position: int) -> int:
        if self._inside == "raw":
            return self._until_raw_end(markup, position)
        if self._inside == "tag":
            return self._through_tag(markup, position)
        start = _TAG_START.search(markup, position)
        if start is None:
            return len(markup)
        if markup.startswith("<!--", start.start()):
            self._inside, self._end = "raw", "-->"
            return start.start() + 4
        self._inside = "tag"
        raw = _RAW_ELEMENT.match(markup, start.start())
        self._end = f"</{raw.group(1).lower()}" if raw else ""
        return start.start() + 1

    def _until_raw_end(self, markup: str, position: int) -> int:
        end = markup.lower().find(self._end, position)
        if end < 0:
            return len(markup)
        self._inside = "text" if self._end == "-->" else "tag"
        end += len(self._end)
        self._end = ""
        return end

    def _through_tag(self, markup: str, position: int) -> int:
        character = markup[position]
        if self._quote:
            end = markup.find(self._quote, position)
            if end < 0:
                return len(markup)
            self._quote = ""
            return end + 1
        if character in "\"'":
            self._quote = character
        elif character == ">":
            self._inside = "raw" if self._end else "text"
        return position + 1
