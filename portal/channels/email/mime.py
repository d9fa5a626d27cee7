"""A mail taken apart: the tree of its parts, as spans of the raw bytes (RFC 2045, 2046).

Not the standard library's parser: it copies every line several times, lets a torn inner multipart swallow what
follows it, and has no limits. Here a boundary is looked for by one search per level, outermost first, so that an
inner part can never reach past the end of its parent.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from portal.channels.email import charsets, transfer
from portal.channels.email.headers import Headers, parameters, split_headers

MOST_PARTS = 1_000
DEEPEST = 40

_GUESSED_BOUNDARY = re.compile(rb"(?:\A|\n)--([^\s-][^\r\n]{0,200}|-[^\r\n]{1,200})\r?\n(?=[A-Za-z-]+:)")
_DELIMITER_END = re.compile(rb"(--)?[ \t]*\r?(?=\n|\Z)")
_TYPE = re.compile(r"[\w.+-]+/[\w.+*-]+")


@dataclass(slots=True)
class Part:
    """One part: its headers, where its body lies in the raw mail, and its own parts if it is a multipart."""

    raw: bytes
    headers: Headers
    start: int
    end: int
    content_type: str
    parameters: dict[str, str]
    disposition: str
    name: str
    headers_start: int
    children: list["Part"] = field(default_factory=list)
    is_torn: bool = False

    @property
    def content(self) -> bytes:
        """The body with its transfer encoding undone."""
        return transfer.undo(self.raw[self.start : self.end], self.headers.get("content-transfer-encoding"))

    @property
    def text(self) -> str:
        """The body as text with newlines as `\\n`."""
        text = charsets.decode(self.content, self.parameters.get("charset"))
        return text.replace("\r\n", "\n") if "\r" in text else text

    @property
    def is_multipart(self) -> bool:
        return bool(self.children)

    def walk(self) -> Iterator["Part"]:
        """This part and all below it, in the order of the mail."""
        waiting = [self]
        while waiting:
            part = waiting.pop()
            yield part
            waiting.extend(reversed(part.children))


@dataclass(slots=True)
class Tree:
    """The top part, and the limit that taking it apart ran into (empty when none)."""

    top: Part
    limit_exceeded: str = ""


def take_apart(raw: bytes) -> Tree:
    """The tree of a mail's parts. Never raises; beyond the limits the rest stays whole in the part it is in."""
    top = _part(raw, 0, len(raw), "text/plain", is_top=True)
    tree = Tree(top)
    waiting = [(top, 1)]
    count = 1
    while waiting:
        part, depth = waiting.pop()
        if part.headers.is_cut:
            tree.limit_exceeded = (
                tree.limit_exceeded or "The header of the mail or of one of its parts is too long."
            )
        if not part.content_type.startswith("multipart/"):
            continue
        if depth > DEEPEST:
            tree.limit_exceeded = f"Its parts are nested more than {DEEPEST} deep."
            continue
        default = "message/rfc822" if part.content_type == "multipart/digest" else "text/plain"
        for start, end in _spans(part):
            count += 1
            if count > MOST_PARTS:
                tree.limit_exceeded = f"It has more than {MOST_PARTS} parts."
                return tree
            part.children.append(_part(raw, start, end, default))
        part.is_torn = not part.children
        lost = _first_without_delimiter(part)
        if lost is not None:
            part.children.insert(0, lost)
        waiting.extend((child, depth + 1) for child in part.children)
    return tree


def inner_headers(part: Part) -> Headers:
    """The headers of the message that a part holds whole or in part (message/rfc822, text/rfc822-headers)."""
    content = part.content
    return split_headers(content, 0, len(content), is_top=True)[0]


def _part(raw: bytes, start: int, end: int, default_type: str, *, is_top: bool = False) -> Part:
    headers, body_start = split_headers(raw, start, end, is_top=is_top)
    content_type, values = parameters(headers.get("content-type"))
    disposition, about = parameters(headers.get("content-disposition"))
    if _TYPE.fullmatch(content_type) is None:
        # RFC 2045 §5.2: without a usable type it is text; "text" alone is what old senders write for it.
        content_type = "multipart/mixed" if values.get("boundary") else _type_of(content_type, default_type)
    return Part(
        raw=raw,
        headers=headers,
        start=body_start,
        end=end,
        content_type=content_type,
        parameters=values,
        disposition=disposition,
        name=about.get("filename") or values.get("name") or about.get("name") or "",
        headers_start=start,
    )


def _first_without_delimiter(part: Part) -> Part | None:
    """The first part of a multipart whose delimiter was lost, so that its fields stand among the multipart's own."""
    types = part.headers.all("content-type")
    if len(types) < 2 or not part.children:
        return None
    content_type, values = parameters(types[1])
    opening = part.raw.rfind(b"\n--", part.start, part.children[0].headers_start)
    if (
        not content_type.startswith("text/")
        or opening <= part.start
        or not part.raw[part.start : opening].strip()
    ):
        return None
    return Part(part.raw, part.headers, part.start, opening, content_type, values, "", "", part.start)


def _type_of(stated: str, default_type: str) -> str:
    if stated in {"", "text", "plain", "text/"}:
        return default_type
    return "text/html" if stated == "html" else "application/octet-stream" if "/" in stated else default_type


def _spans(part: Part) -> list[tuple[int, int]]:
    boundary = part.parameters.get("boundary", "").encode("utf-8", "surrogateescape").rstrip()
    spans = _spans_between(part, boundary) if boundary else []
    if spans:
        return spans
    guessed = _GUESSED_BOUNDARY.search(part.raw, part.start, part.end)
    if guessed is None or (boundary and boundary.lower() not in guessed.group(1).lower()):
        return []
    return _spans_between(part, guessed.group(1).rstrip())


def _spans_between(part: Part, boundary: bytes) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    begin = -1
    is_closed = False
    for start, found in _delimiters(part, boundary):
        if begin != -1:
            spans.append((begin, max(begin, _without_newline(part.raw, start))))
        begin = min(found.end() + 1, part.end)
        if found.group(1):
            is_closed = True
            break
        if len(spans) > MOST_PARTS:
            return spans
    if begin != -1 and not is_closed and (begin < part.end or not spans):
        spans.append((begin, _torn_end(part, boundary, begin)))
    return spans


def _delimiters(part: Part, boundary: bytes) -> Iterator[tuple[int, re.Match[bytes]]]:
    """Where each delimiter begins, and what it ends with."""
    # The newline before a delimiter belongs to it; the first one may stand at the very start of the body.
    # Searched for as it stands: every mail has a boundary of its own, and a pattern for each costs more than it finds.
    opening = b"--" + boundary
    position = part.start
    if part.raw.startswith(opening, position):
        found = _DELIMITER_END.match(part.raw, position + len(opening), part.end)
        if found is not None:
            yield position, found
            position = found.end()
    opening = b"\n" + opening
    while (start := part.raw.find(opening, position, part.end)) != -1:
        found = _DELIMITER_END.match(part.raw, start + len(opening), part.end)
        position = start + 1 if found is None else found.end()
        if found is not None:
            yield start, found


def _without_newline(raw: bytes, position: int) -> int:
    return position - 1 if raw[position - 1 : position] == b"\r" else position


def _torn_end(part: Part, boundary: bytes, begin: int) -> int:
    """The end of a last part that nothing closes; a closing delimiter that lost its newline is cut off."""
    tail_start = max(begin, part.end - len(boundary) - 20)
    tail = part.raw[tail_start : part.end].rstrip()
    closing = b"--" + boundary + b"--"
    return tail_start + len(tail) - len(closing) if tail.endswith(closing) else part.end
