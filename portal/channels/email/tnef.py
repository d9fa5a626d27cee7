"""Files out of a winmail.dat, Outlook's own wrapping of a mail (MS-OXTNEF §2.1, MS-OXPROPS).

Only what a reader needs: names and bytes of the attached files. A torn stream gives what was whole before the tear.
"""

import mimetypes
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from portal.channels.email import charsets

_SIGNATURE = 0x223E9F78
_ATTACHMENT_LEVEL = 2
_START_OF_ATTACHMENT = 0x00069002
_TITLE = 0x00018010
_DATA = 0x0006800F
_PROPERTIES = 0x00069005
_LONG_NAME, _OBJECT, _MIME_TAG, _CONTENT_ID, _DISPLAY_NAME = 0x3707, 0x3701, 0x370E, 0x3712, 0x3001
_FIXED_SIZES = {
    0x0002: 4,
    0x0003: 4,
    0x0004: 4,
    0x0005: 8,
    0x0006: 8,
    0x0007: 8,
    0x000A: 4,
    0x000B: 4,
    0x0014: 8,
    0x0040: 8,
    0x0048: 16,
}
_STRING, _UNICODE, _EMBEDDED, _BINARY = 0x001E, 0x001F, 0x000D, 0x0102
_MULTIPLE = 0x1000
_MOST_FILES = 500
_MOST_PROPERTIES = 2_000


@dataclass(frozen=True, slots=True)
class TnefFile:
    """One file of a winmail.dat."""

    name: str | None
    content_type: str
    content_id: str | None
    content: bytes


def is_tnef(content: bytes) -> bool:
    """Whether the bytes are a TNEF stream, whatever the part is called."""
    return len(content) > 6 and content[:4] == struct.pack("<I", _SIGNATURE)


def unpack(content: bytes) -> tuple[TnefFile, ...]:
    """The attached files in order. Never raises."""
    gathered: list[dict[int, bytes]] = []
    for level, attribute, data in _attributes(content):
        if level != _ATTACHMENT_LEVEL:
            continue
        # Some writers leave the start out; a second body then begins the next file.
        if (
            attribute == _START_OF_ATTACHMENT
            or not gathered
            or (attribute == _DATA and _DATA in gathered[-1])
        ):
            if len(gathered) >= _MOST_FILES:
                break
            gathered.append({})
        if attribute in {_TITLE, _DATA}:
            gathered[-1][attribute] = data
        elif attribute == _PROPERTIES:
            gathered[-1].update(_properties(data))
    return tuple(one for values in gathered if (one := _file(values)) is not None)


def _attributes(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    position = 6
    while position + 9 <= len(content):
        level, attribute, length = struct.unpack_from("<BII", content, position)
        begin = position + 9
        if level not in {1, 2} or begin + length > len(content):
            return
        yield level, attribute, content[begin : begin + length]
        position = begin + length + 2  # a check sum that nobody keeps right


def _file(values: dict[int, bytes]) -> TnefFile | None:
    content = values.get(_DATA) or values.get(_OBJECT, values.get(_DATA))
    if content is None:
        return None
    raw_name = values.get(_LONG_NAME) or values.get(_TITLE) or values.get(_DISPLAY_NAME) or b""
    name = charsets.decode(raw_name).strip("\x00 ") or None
    stated = charsets.decode(values.get(_MIME_TAG, b"")).strip().lower()
    guessed = mimetypes.guess_type(name or "")[0]
    content_id = charsets.decode(values.get(_CONTENT_ID, b"")).strip("<> ") or None
    content_type = stated if "/" in stated else guessed or "application/octet-stream"
    return TnefFile(name, content_type, content_id, content)


def _properties(data: bytes) -> dict[int, bytes]:
    """Strings (as UTF-8) and binaries of a property list; stops at the first thing it does not understand."""
    found: dict[int, bytes] = {}
    position = 4
    try:
        (count,) = struct.unpack_from("<I", data, 0)
        for _ in range(min(count, _MOST_PROPERTIES)):
            kind, identifier = struct.unpack_from("<HH", data, position)
            position = _after_name(data, position + 4) if identifier >= 0x8000 else position + 4
            values, position = _values(data, position, kind)
            if values:
                found.setdefault(identifier, values[0])
    except (struct.error, ValueError):
        pass
    return found


def _after_name(data: bytes, position: int) -> int:
    (by_text,) = struct.unpack_from("<I", data, position + 16)
    if not by_text:
        return position + 24
    length: int = struct.unpack_from("<I", data, position + 20)[0]
    return position + 24 + length + (-length % 4)


def _values(data: bytes, position: int, kind: int) -> tuple[list[bytes], int]:
    single = kind & ~_MULTIPLE
    is_variable = single in {_STRING, _UNICODE, _EMBEDDED, _BINARY}
    count = 1
    if kind & _MULTIPLE or is_variable:
        (count,) = struct.unpack_from("<I", data, position)
        position += 4
    if not is_variable:
        return [], position + count * _FIXED_SIZES[single] if single in _FIXED_SIZES else _give_up()
    values = []
    for _ in range(min(count, 1_000)):
        (length,) = struct.unpack_from("<I", data, position)
        value = data[position + 4 : position + 4 + length]
        if len(value) < length:
            raise ValueError("torn")
        position += 4 + length + (-length % 4)
        values.append(_readable(value, single))
    return values, position


def _give_up() -> int:
    raise ValueError("a property of unknown size")


def _readable(value: bytes, kind: int) -> bytes:
    if kind == _UNICODE:
        return value.decode("utf-16-le", "replace").strip("\x00").encode()
    if kind == _EMBEDDED:
        return value[16:]  # an interface id stands before the object
    return value.strip(b"\x00") if kind == _STRING else value
