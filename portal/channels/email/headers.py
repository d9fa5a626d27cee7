"""Header fields: where they end, what they hold, and their words decoded (RFC 5322, 2047, 2231).

All of it takes what real mail holds: 8-bit bytes, encoded words torn or inside quotes, parameters without
semicolons, fields without colons.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from portal.channels.email import charsets, transfer

# One field longer than this is cut before it is decoded, so that no header costs more than its worth.
LONGEST_FIELD = 100_000
MOST_HEADER_BYTES = 1_000_000
MOST_FIELDS = 2_000

_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]{0,20}:")
_MBOX_LINE = re.compile(rb">?From [^\r\n]*\r?\n")
_FOLD = re.compile(r"\r?\n|\r")
_WORD_START = re.compile(r"=\?([^?\s*]{1,60})(?:\*[\w-]{0,40})?\?([bBqQ])\?")
_SPACES = re.compile(r"\s+")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f\u2028\u2029]")
_PARAMETER = re.compile(
    r"([\w!#$%&'*+.^`{|}~-]{1,80})\s*=\s*(?:\"((?:[^\"\\]|\\.)*)(?:\"|\Z)|([^;\"]*))", re.DOTALL
)
_BARE_NEXT = re.compile(r"(?<![ \t])[ \t]+[\w-]{1,40}\*?=(?:\"|\S)")
_SECTION = re.compile(r"(.+?)(?:\*(\d{1,3}))?(\*)?\Z", re.DOTALL)


@dataclass(slots=True)
class Headers:
    """The fields of one part in their order, names in lower case, values as raw bytes."""

    fields: list[tuple[str, bytes]] = field(default_factory=list)
    is_cut: bool = False

    def raw(self, name: str) -> bytes | None:
        """The first value of that name, unfolded nowhere."""
        return next((value for key, value in self.fields if key == name), None)

    def get(self, name: str) -> str:
        """The first value that is not empty, unfolded, encoded words as they stand; empty when absent."""
        for key, value in self.fields:
            if key == name and (text := unfold(value)):
                return text
        return ""

    def all(self, name: str) -> list[str]:
        """All values of that name, unfolded, encoded words as they stand."""
        return [unfold(value) for key, value in self.fields if key == name]

    def text(self, name: str) -> str:
        """The first value that is not empty, decoded, on one line."""
        return one_line(decode_words(self.get(name)))


def split_headers(raw: bytes, start: int, end: int, *, is_top: bool = False) -> tuple[Headers, int]:
    """The header fields of `raw[start:end]` and where the body begins.

    A line that is no field ends the headers, unless fields go on below it before the next empty line.
    """
    headers = Headers()
    position = _after_mbox_line(raw, start, end) if is_top else start
    name, value_start, value_end = "", 0, 0
    while position < end:
        newline = raw.find(b"\n", position, end)
        line_end = end if newline == -1 else newline + 1
        line = raw[position : min(line_end, position + 1_000)]
        is_folded = bool(name) and line[:1] in b" \t"
        if not line.strip() and not (is_folded and line.strip(b"\r\n") and _goes_on(raw, line_end, end)):
            position = line_end
            break
        if is_folded:
            value_end = line_end
        elif (found := _FIELD.match(line)) is not None:
            _keep(headers, name, raw[value_start:value_end])
            name, value_start, value_end = found.group(1).decode().lower(), position + found.end(), line_end
        elif line.startswith(b"--") or not _goes_on(raw, line_end, end):
            break
        position = line_end
        if len(headers.fields) >= MOST_FIELDS or position - start > MOST_HEADER_BYTES:
            headers.is_cut = True
            position = _after_empty_line(raw, position, end)
            break
    _keep(headers, name, raw[value_start:value_end])
    return headers, position


def _keep(headers: Headers, name: str, value: bytes) -> None:
    if name:
        headers.fields.append((name, value))


def _after_mbox_line(raw: bytes, start: int, end: int) -> int:
    while start < end and raw[start : start + 1] in b"\r\n":
        start += 1
    found = _MBOX_LINE.match(raw, start, end)
    return found.end() if found else start


def _goes_on(raw: bytes, position: int, end: int) -> bool:
    """Whether a field follows, perhaps below some folded lines."""
    for _ in range(5):
        line_end = raw.find(b"\n", position, end)
        line = raw[position : min(end if line_end == -1 else line_end, position + 1_000)]
        if _FIELD.match(line) is not None:
            return b"://" not in line[:20]
        if line[:1] not in {b" ", b"\t"} or line_end == -1:
            return False
        position = line_end + 1
    return False


def _after_empty_line(raw: bytes, position: int, end: int) -> int:
    found = re.compile(rb"\n\r?\n").search(raw, position, end)
    return found.end() if found else end


def unfold(value: bytes) -> str:
    """A field's value as text on one line, encoded words as they stand."""
    text = charsets.decode(value[:LONGEST_FIELD]).strip()
    return _FOLD.sub("", text).strip() if "\n" in text or "\r" in text else text


def one_line(text: str) -> str:
    """The text with every run of white space as one space and without control characters."""
    return _SPACES.sub(" ", _CONTROLS.sub(" ", text)).strip()


def decode_words(text: str) -> str:
    """The text with its encoded words decoded (RFC 2047), the torn and the wrongly placed ones too.

    Neighbouring words are joined, and decoded together where they share charset and encoding, because some
    senders split a character between two of them.
    """
    if "=?" not in text:
        return text
    pieces: list[str] = []
    run: list[tuple[str, str, str]] = []
    position = 0
    while (begin := text.find("=?", position)) != -1:
        word = _WORD_START.match(text, begin)
        if word is None:
            _close_run(pieces, run)
            pieces.append(text[position : begin + 2])
            position = begin + 2
            continue
        between = text[position:begin]
        if between.strip() or not run:
            _close_run(pieces, run)
            pieces.append(between)
        end = text.find("?=", word.end())
        payload = text[word.end() :] if end == -1 else text[word.end() : end]
        run.append((word.group(1).lower(), word.group(2).lower(), payload))
        position = len(text) if end == -1 else end + 2
    _close_run(pieces, run)
    pieces.append(text[position:])
    return charsets.storable("".join(pieces))


def _close_run(pieces: list[str], run: list[tuple[str, str, str]]) -> None:
    """Decode neighbouring words, those of one charset together."""
    joined: list[tuple[str, list[bytes]]] = []
    pending = ""
    for position, (charset, encoding, payload) in enumerate(run):
        following = run[position + 1][:2] if position + 1 < len(run) else None
        if (
            encoding == "b"
            and following == (charset, "b")
            and len(pending + payload) % 4
            and "=" not in payload
        ):
            pending += payload  # base64 torn in the middle of a group
            continue
        decoded = _payload(pending + payload, encoding)
        pending = ""
        if joined and joined[-1][0] == charset:
            joined[-1][1].append(decoded)
        else:
            joined.append((charset, [decoded]))
    pieces.extend(charsets.decode(b"".join(payloads), charset) for charset, payloads in joined)
    run.clear()


def _payload(payload: str, encoding: str) -> bytes:
    raw = payload.encode("utf-8", "surrogateescape")
    if encoding == "b":
        return transfer.from_base64(raw)
    return transfer.undo(raw.replace(b"_", b"=20"), "q")


def parameters(value: str) -> tuple[str, dict[str, str]]:
    """The first word of a structured field in lower case, and its parameters decoded (RFC 2045, 2231).

    Tolerates missing semicolons, missing quotes, encoded words in values and repeated names (the first counts).
    """
    value = value[:LONGEST_FIELD]
    first = re.match(r"[^;\s\"]*", value)
    word = first.group() if first else ""
    rest = value[len(word) :]
    if "=" in word:
        word, rest = "", value
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    position = 0
    while len(sections) < 100 and (found := _PARAMETER.search(rest, position)) is not None:
        name, text, position = _one_parameter(rest, found)
        parts = _SECTION.match(name.lower())
        assert parts is not None, "every name has a section"
        numbered = sections.setdefault(parts.group(1), {})
        numbered.setdefault(int(parts.group(2) or 0), (text, bool(parts.group(3))))
    return word.strip().lower(), {name: _joined(numbered) for name, numbered in sections.items()}


def _one_parameter(rest: str, found: re.Match[str]) -> tuple[str, str, int]:
    name, quoted, bare = found.groups()
    if quoted is not None:
        return (
            name,
            re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if "\\" in quoted else quoted,
            found.end(),
        )
    # A value that runs into the next parameter has lost its semicolon.
    torn = _BARE_NEXT.search(bare)
    end = found.start(3) + torn.start() if torn else found.end()
    return name, rest[found.start(3) : end].strip(), end


def _joined(numbered: dict[int, tuple[str, bool]]) -> str:
    charset = ""
    pieces: list[bytes] = []
    is_extended = False
    for index in sorted(numbered):
        text, is_percent = numbered[index]
        if is_percent:
            is_extended = True
            if index == min(numbered) and text.count("'") >= 2:
                charset, _, text = text.split("'", 2)
            pieces.append(unquote_to_bytes(text))
        else:
            pieces.append(text.encode("utf-8", "surrogateescape"))
    joined = b"".join(pieces)
    if is_extended:
        return one_line(charsets.decode(joined, charset or None))
    return one_line(decode_words(charsets.decode(joined)))
