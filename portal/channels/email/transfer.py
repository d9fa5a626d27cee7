"""Content-Transfer-Encoding undone (RFC 2045 §6), as far as the bytes allow."""

import binascii
import re

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64))
_CHUNK = re.compile(rb"[A-Za-z0-9+/]+=*")
_UU_BEGIN = re.compile(rb"(?m)^begin(?:-base64)? [0-7]{3,4} [^\r\n]*\r?\n")


def undo(body: bytes, encoding: str) -> bytes:
    """The bytes that were encoded. Unknown encodings leave the body as it is. Never raises."""
    match encoding.strip().lower().rstrip(";").strip():
        case "base64" | "b" | "base-64":
            return from_base64(body)
        case "quoted-printable" | "quoted printable" | "quotedprintable" | "qp" | "q":
            return binascii.a2b_qp(body)
        case "x-uuencode" | "uuencode" | "x-uue" | "uue":
            return _from_uuencode(body)
        case _:
            return body


def from_base64(body: bytes) -> bytes:
    """Decoded base64; foreign characters are skipped, several padded pieces are joined, a torn end is dropped."""
    stripped = body.translate(None, _NOT_BASE64)
    padding = stripped.find(b"=")
    if padding == -1 or not stripped[padding:].strip(b"="):
        return _from_clean_base64(stripped.rstrip(b"="))
    # RFC 2045 ends the data at the first padding; what follows it is another encoded piece, or a footer.
    pieces = _CHUNK.findall(stripped)[:10_000]
    return b"".join(_from_clean_base64(piece.rstrip(b"=")) for piece in pieces)


def _from_clean_base64(clean: bytes) -> bytes:
    rest = len(clean) % 4
    if rest == 1:
        clean = clean[:-1]
        rest = 0
    return binascii.a2b_base64(clean + b"=" * (-rest % 4))


def _from_uuencode(body: bytes) -> bytes:
    begin = _UU_BEGIN.search(body)
    if begin is None:
        return body
    decoded = bytearray()
    for line in body[begin.end() :].splitlines():
        if line.strip() == b"end":
            break
        try:
            decoded += binascii.a2b_uu(line)
        except binascii.Error:
            # Lines of some encoders are longer than they say (the work-around of Python's own uu module).
            length = (((line[0] - 32) & 63) * 4 + 5) // 3 if line else 0
            try:
                decoded += binascii.a2b_uu(line[:length])
            except binascii.Error:
                continue
    return bytes(decoded)
