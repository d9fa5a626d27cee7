"""Header fields and MIME parts as bytes: folded, encoded, and unable to hold a line end of their own.

Written out here because the standard library folds long message ids and long names wrongly (it encodes the one as words
and splits the other inside a character), and because the same mail must be the same bytes at every try.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from urllib.parse import quote

LINE_END = b"\r\n"
_LINE_WIDTH = 78  # RFC 5322 §2.1.1
_PLAIN_WORDS = re.compile(r"[!-~]{1,60}(?: [!-~]{1,60})*")
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_ANY_LINE_END = re.compile(r"\r\n|\r|\n")


def clean_text(text: str) -> str:
    """One line of text: control characters, line ends among them, become a space; no space at either end."""
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text)).strip()


def header(name: str, tokens: Iterable[str]) -> bytes:
    """A header field out of tokens that stay whole, with a space or a fold between them (RFC 5322 §2.2.3).

    Lines are at most 78 characters, except where a single token is longer.
    """
    lines, line = [], f"{name}:"
    for token in tokens:
        if len(line) + 1 + len(token) > _LINE_WIDTH and line.strip() and not line.endswith(":"):
            lines.append(line)
            line = ""
        line += f" {token}"
    return "\r\n".join([*lines, line]).encode() + LINE_END


def text_tokens(text: str) -> list[str]:
    """Free text for `header`: as it is where ASCII can carry it, in encoded words (RFC 2047) otherwise."""
    text = clean_text(text)
    if (not text or _PLAIN_WORDS.fullmatch(text)) and "=?" not in text:
        return text.split(" ")
    return list(_encoded_words(text))


def mailbox_tokens(name: str, address: str) -> list[str]:
    """A name and an address for `header` (RFC 5322 §3.4). The address must have been checked."""
    name = clean_text(name)
    if not name:
        return [address]
    if _PHRASE.fullmatch(name) and "=?" not in name and max(map(len, name.split(" "))) <= _LINE_WIDTH - 16:
        return [*name.split(" "), f"<{address}>"]
    if name.isascii() and "=?" not in name and len(name) <= 60:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return [f'"{escaped}"', f"<{address}>"]
    return [*_encoded_words(name), f"<{address}>"]


def parameter_tokens(name: str, value: str) -> list[str]:
    """A MIME parameter for `header`, ready to follow a semicolon; beyond plain ASCII as of RFC 2231."""
    value = clean_text(value)
    if value.isascii() and len(value) <= 60:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return [f'{name}="{escaped}"']
    pieces = [_percent(piece) for piece in _pieces(value, lambda each: len(_percent(each)), 50)]
    if len(pieces) == 1:
        return [f"{name}*=utf-8''{pieces[0]}"]
    pieces[0] = f"utf-8''{pieces[0]}"
    marked = [f"{name}*{number}*={piece}" for number, piece in enumerate(pieces)]
    return [*(f"{each};" for each in marked[:-1]), marked[-1]]


def text_part(subtype: str, text: str) -> bytes:
    """A text part in UTF-8, as quoted-printable or base64, whichever is shorter (RFC 2045 §6)."""
    raw = _ANY_LINE_END.sub("\r\n", text).encode("utf-8", "replace")
    quoted = _LONE_LINE_FEED.sub(LINE_END, binascii.b2a_qp(raw, istext=True, header=False))
    packed = _base64_lines(raw)
    encoding, body = ("quoted-printable", quoted) if len(quoted) <= len(packed) else ("base64", packed)
    head = header("Content-Type", [f"text/{subtype};", "charset=utf-8"])
    return head + header("Content-Transfer-Encoding", [encoding]) + LINE_END + body


def file_part(headers: Iterable[bytes], content: bytes) -> bytes:
    """A part in base64 with those headers before it."""
    encoding = header("Content-Transfer-Encoding", ["base64"])
    return b"".join([*headers, encoding, LINE_END, _base64_lines(content)])


def multipart(subtype: str, parts: Sequence[bytes], seed: str, *parameters: str) -> bytes:
    """A multipart entity (RFC 2046 §5.1), its boundary made from `seed`.

    A boundary beginning with "=_" stands in no quoted-printable or base64, so no part can contain it.
    """
    boundary = f"=_{sha256(f'{subtype} {seed}'.encode()).hexdigest()[:32]}"
    types = [f"multipart/{subtype};", *(f"{each};" for each in parameters), f'boundary="{boundary}"']
    mark = b"--" + boundary.encode()
    body = b"".join(mark + LINE_END + part + LINE_END for part in parts)
    return header("Content-Type", types) + LINE_END + body + mark + b"--" + LINE_END


def _encoded_words(text: str) -> Iterator[str]:
    """Encoded words in whichever encoding is shorter; a character is never split between two (RFC 2047 §5)."""
    if len(_as_q(text)) <= len(text.encode()) * 4 / 3:
        for piece in _pieces(text, lambda each: len(_as_q(each)), 52):
            yield f"=?utf-8?q?{_as_q(piece)}?="
    else:
        for piece in _pieces(text, lambda each: len(each.encode()), 39):
            yield f"=?utf-8?b?{base64.b64encode(piece.encode()).decode('ascii')}?="


def _as_q(text: str) -> str:
    # What RFC 2047 §5 (3) allows everywhere, also within a name.
    return "".join(
        "_" if each == 32 else chr(each) if each in _Q_SAFE else f"={each:02X}" for each in text.encode()
    )


def _pieces(text: str, cost: Callable[[str], int], budget: int) -> Iterator[str]:
    """The text cut between characters so that no piece costs more than the budget."""
    piece, spent = "", 0
    for character in text:
        price = cost(character)
        if piece and spent + price > budget:
            yield piece
            piece, spent = "", 0
        piece, spent = piece + character, spent + price
    yield piece


def _percent(text: str) -> str:
    return quote(text, safe="")


def _base64_lines(content: bytes) -> bytes:
    return base64.encodebytes(content).replace(b"\n", LINE_END)
