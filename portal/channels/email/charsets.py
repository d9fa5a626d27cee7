"""Text from bytes whose declared charset is wrong, unknown or missing.

The WHATWG Encoding Standard says which superset a label means in practice (iso-8859-1 is windows-1252); mail adds
labels that no standard knows. What cannot be decoded becomes U+FFFD, never an exception.
"""

import codecs
import re
from functools import lru_cache

# chardet reads its whole input; a few kilobytes around the first odd byte decide as well as a megabyte.
_SAMPLE_BYTES = 8_192
_SMALLEST_CONFIDENCE = 0.02

_ALIASES = {
    "ansi_x3.4-1968": "cp1252",
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "usascii": "cp1252",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso_8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "ansi": "cp1252",
    "x-ansi": "cp1252",
    "iso-8859-1-windows-3.1-latin-1": "cp1252",
    "iso-8859-8-i": "iso8859_8",
    "iso-8859-8-e": "iso8859_8",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "windows-874": "cp874",
    "dos-874": "cp874",
    "gb2312": "gb18030",
    "gb_2312-80": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "chinesegb": "gb18030",
    "cn-gb": "gb18030",
    "euc-cn": "gb18030",
    "big5": "cp950",
    "x-big5": "cp950",
    "cn-big5": "cp950",
    "chinesebig5": "cp950",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "ms_kanji": "cp932",
    "x-euc-jp": "euc_jp",
    "eucjp-open": "euc_jp",
    "iso-2022-jp": "iso2022_jp_ext",
    "iso-2022-jp-ms": "iso2022_jp_ext",
    "cp50220": "iso2022_jp_ext",
    "cp50221": "iso2022_jp_ext",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "ksc5601": "cp949",
    "windows-949": "cp949",
    "koi8": "koi8_r",
    "x-mac-roman": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic",
    "x-mac-ce": "mac_latin2",
    "macintosh": "mac_roman",
    "unicode-1-1-utf-7": "utf_7",
    "unicode-1-1-utf-8": "utf_8",
    "utf8mb4": "utf_8",
    "utf-8-mac": "utf_8",
    "unicode": "utf_16",
    "x-utf-16": "utf_16",
}
_UNKNOWN = frozenset(
    {"", "unknown", "unknown-8bit", "x-unknown", "8bit", "7bit", "binary", "default", "charset", "none"}
)
_WESTERN = frozenset({"cp1252", "cp1254", "iso8859-15", "iso8859_15"})
_ODD = re.compile(rb"[\x80-\xff]")
_ODD_RUN = re.compile(rb"[\x80-\xff]+")
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_JAPANESE_ESCAPE = re.compile(rb"\x1b(?:\$[@B]|\([BJI]|\$\([CDOQ])")
_SPECIAL = re.compile(rb"[\x00\x1b]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def decode(raw: bytes, label: str | None = None) -> str:
    """The text of `raw`: by its label where that fits, else by what the bytes look like.

    Without NUL and lone surrogates, which no UTF-8 store takes. Never raises.
    """
    if label is None and raw.isascii() and not _SPECIAL.search(raw):
        return raw.decode("ascii")
    name = _codec(label)
    text = _by_label(raw, name) if name else None
    return storable(_by_looks(raw) if text is None else text)


def storable(text: str) -> str:
    """The same text without NUL and lone surrogates."""
    if text.isascii():
        return text.replace("\0", "")
    return _UNSTORABLE.sub("", text)


@lru_cache(maxsize=512)
def _codec(label: str | None) -> str | None:
    """The codec that a charset label stands for; None where it stands for nothing that decodes to text."""
    cleaned = (label or "").strip(" \t\"'<>;=()").lower().partition("*")[0]
    if cleaned in _UNKNOWN or len(cleaned) > 60:
        return None
    name = _ALIASES.get(cleaned) or _ALIASES.get(cleaned.replace("_", "-"))
    for candidate in (
        name,
        cleaned,
        cleaned.replace(" ", ""),
        cleaned.replace("windows", "cp").replace("-", ""),
    ):
        found = _lookup(candidate) if candidate else None
        if found:
            return found
    return None


def _lookup(candidate: str) -> str | None:
    try:
        found = codecs.lookup(candidate)
        # Codecs such as "zip" or "hex" turn bytes into bytes; "punycode" and "idna" are no charsets of bodies.
        is_text = isinstance(b"".decode(found.name), str) and found.name not in {
            "idna",
            "punycode",
            "undefined",
        }
    except (LookupError, ValueError, TypeError, UnicodeError):
        return None
    return found.name if is_text and "escape" not in found.name else None


def _by_label(raw: bytes, name: str) -> str | None:
    if name in _WESTERN and _is_utf8(raw):
        return raw.decode("utf-8")
    if name in _WESTERN and _JAPANESE_ESCAPE.search(raw[:_SAMPLE_BYTES]):
        return None
    # Servers that end every line with CRLF do so within UTF-16, too.
    if name == "utf-16-le":
        raw = raw.replace(b"\r\n\0", b"\n\0")
    elif name == "utf-16-be":
        raw = raw.replace(b"\0\r\n", b"\0\n")
    try:
        return raw.decode(name)
    except (UnicodeError, ValueError):
        pass
    if name == "cp1252":
        return raw.decode("latin-1")
    if name.startswith("utf-8") and not _MULTIBYTE.search(raw):
        return None
    return raw.decode(name, "replace")


def _is_utf8(raw: bytes) -> bool:
    if not _ODD.search(raw):
        return False
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _by_looks(raw: bytes) -> str:
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if raw.startswith(mark):
            return raw.decode(name, "replace").removeprefix("\ufeff")
    if _JAPANESE_ESCAPE.search(raw[:_SAMPLE_BYTES]):
        return raw.decode("iso2022_jp_ext", "replace")
    odd = _ODD.search(raw)
    if odd is None:
        return raw.decode("ascii")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if len(_MULTIBYTE.findall(raw[odd.start() : odd.start() + _SAMPLE_BYTES])) >= 3:
        return raw.decode("utf-8", "replace")
    start = max(0, odd.start() - 200)
    return raw.decode(_guess(raw[start : start + _SAMPLE_BYTES]), "replace")


def _guess(sample: bytes) -> str:
    runs = _ODD_RUN.findall(sample)
    if len(runs) < 8 and max(map(len, runs), default=0) <= 2:
        return "cp1252"  # too little to tell by; single odd letters are a western habit
    # chardet loads models of a few megabytes: only mail that needs them pays for them.
    import chardet

    found = chardet.detect(sample)
    name = found.get("encoding")
    if not name or (found.get("confidence") or 0) < _SMALLEST_CONFIDENCE:
        return "cp1252"
    return _codec(name) or "cp1252"
