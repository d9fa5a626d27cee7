"""Which parts of a mail are its body, and which are attachments (RFC 8621 §4.1.4, RFC 2387, RFC 3676)."""

import re
from dataclasses import dataclass, field

from portal.channels.email import charsets
from portal.channels.email.mime import Part

_META_CHARSET = re.compile(rb"<meta[^>]{1,200}?charset\s{0,5}=\s{0,5}[\"']?([\w.:-]{2,40})", re.IGNORECASE)


@dataclass(slots=True)
class Bodies:
    """Body parts and attachments in the order of the mail; `calendars` are among the attachments too."""

    texts: list[Part] = field(default_factory=list)
    htmls: list[Part] = field(default_factory=list)
    attachments: list[Part] = field(default_factory=list)


def choose(top: Part) -> Bodies:
    """The parts sorted into bodies and attachments: every part that is no multipart is in exactly one list."""
    bodies = Bodies()
    _sort(top, bodies, parent_type="", index=0)
    if top.is_multipart and not _holds_anything(bodies) and _has_epilogue(top):
        # Its delimiters make no sense: the words stand below the one that closes it.
        return Bodies(texts=[top])
    return bodies


def _holds_anything(bodies: Bodies) -> bool:
    return bool(bodies.attachments) or any(
        part.raw[part.start : part.end].strip() for part in (*bodies.texts, *bodies.htmls)
    )


def _has_epilogue(part: Part) -> bool:
    """Whether more than one line stands below the last part: the delimiter that closes it is one."""
    return b"\n" in part.raw[part.children[-1].end : part.end].strip()


def text_of(bodies: Bodies) -> str | None:
    """The plain text of all text parts, flowed lines joined; None when the mail has none."""
    if not bodies.texts:
        return None
    return _joined([_unflowed(part) for part in bodies.texts])


def html_of(bodies: Bodies) -> str | None:
    """The HTML of all HTML parts as it came, unsafe; None when the mail has none."""
    if not bodies.htmls:
        return None
    return _joined([_html_text(part) for part in bodies.htmls])


def _sort(part: Part, bodies: Bodies, parent_type: str, index: int) -> None:
    if part.is_multipart:
        for position, child in enumerate(_root_first(part)):
            _sort(child, bodies, part.content_type, position)
    elif part.is_torn:
        # Nothing marks its parts: its text is shown rather than lost.
        bodies.texts.append(part)
    elif _is_body(part, parent_type, index):
        (bodies.htmls if part.content_type == "text/html" else bodies.texts).append(part)
    else:
        bodies.attachments.append(part)


def _is_body(part: Part, parent_type: str, index: int) -> bool:
    if part.content_type not in {"text/plain", "text/html"} or part.disposition == "attachment":
        return False
    return index == 0 or (parent_type != "multipart/related" and not part.name)


def _root_first(part: Part) -> list[Part]:
    start = part.parameters.get("start", "").strip("<> ") if part.content_type == "multipart/related" else ""
    if not start:
        return part.children
    return sorted(part.children, key=lambda child: child.headers.get("content-id").strip("<> ") != start)


def _joined(texts: list[str]) -> str:
    if len(texts) == 1:
        return texts[0]
    return "".join(text if not text or text.endswith("\n") else text + "\n" for text in texts)


def _html_text(part: Part) -> str:
    content = part.content
    label = part.parameters.get("charset")
    if not label:
        meta = _META_CHARSET.search(content[:4_096])
        label = meta.group(1).decode() if meta else None
        # A page that says utf-16 in ASCII letters is not in utf-16.
        label = None if label and label.lower().startswith("utf-16") else label
    return charsets.decode(content, label).replace("\r\n", "\n")


def _unflowed(part: Part) -> str:
    """The text with soft line breaks undone (RFC 3676 §4). Quoted lines stay as they are."""
    text = part.text
    if part.parameters.get("format", "").lower() != "flowed":
        return text
    is_deleting = part.parameters.get("delsp", "").lower() == "yes"
    lines: list[str] = []
    is_open = False
    for line in text.split("\n"):
        is_quoted = line.startswith(">")
        unstuffed = line[1:] if line.startswith(" ") and not is_open else line
        if is_open and not is_quoted and unstuffed != "-- ":
            lines.append(line.removeprefix(" "))
        else:
            if lines:
                lines.append("\n")
            lines.append(line if is_quoted else unstuffed)
        is_open = line.endswith(" ") and not is_quoted and line.strip() != "--"
        if is_open and is_deleting:
            lines[-1] = lines[-1][:-1]
    return "".join(lines)
