"""Mailboxes out of address fields, as people's programs write them (RFC 5322 §3.4, and what they write instead)."""

import re
from dataclasses import dataclass

from portal.channels.email.headers import decode_words, one_line

MOST_ADDRESSES = 1_000

_ADDRESS = re.compile(r"[^\s<>()\",;:\[\]]{1,256}@[^\s<>()\",;:]{1,255}")
_ANGLE = re.compile(r"<([^<>]*)>?")
_COMMENT = re.compile(r"\(([^()]*)\)")
_GROUP = re.compile(r"\s*(?:\"[^\"]*\"|[^\":@<>,;]*):(?!//)")


@dataclass(frozen=True, slots=True)
class Address:
    """A display name (may be empty) and an address as it stands in the mail (may be empty)."""

    name: str
    address: str


def parse_addresses(value: str) -> tuple[Address, ...]:
    """The mailboxes of an unfolded address field, in order, names decoded. Groups give their members.

    Never raises; what holds neither name nor address is left out; at most MOST_ADDRESSES.
    """
    found: list[Address] = []
    pending = ""
    for piece in _pieces(value):
        joined = f"{pending}, {piece}" if pending else piece
        if "@" not in piece and "<" not in piece:
            # "Doe, John <john@…>": a comma that should have stood in quotes.
            pending = joined
            continue
        found.append(_mailbox(joined))
        pending = ""
        if len(found) >= MOST_ADDRESSES:
            break
    if pending:
        found.append(_mailbox(pending))
    return tuple(one for one in found if one.name or one.address)


def _pieces(value: str) -> list[str]:
    """The field split at commas and semicolons that stand outside quotes, comments and angle brackets."""
    pieces: list[str] = []
    begin = 0
    is_quoted, depth, is_angled, is_escaped = False, 0, False, False
    for position, character in enumerate(value):
        if is_escaped:
            is_escaped = False
        elif character == "\\":
            is_escaped = is_quoted or depth > 0
        elif character == '"' and not depth:
            is_quoted = not is_quoted
        elif is_quoted:
            continue
        elif character in "()":
            depth = max(0, depth + (1 if character == "(" else -1))
        elif character in "<>":
            is_angled = character == "<"
        elif character in ",;" and not depth and not is_angled:
            pieces.append(value[begin:position])
            begin = position + 1
    rest = value[begin:]
    if (is_quoted or depth or is_angled) and rest.count("@") > 1 and ("," in rest or ";" in rest):
        pieces.extend(re.split("[,;]", rest))  # a quote or bracket that nothing closes
    else:
        pieces.append(rest)
    return [cleaned for piece in pieces if (cleaned := _without_group(piece).strip())]


def _without_group(piece: str) -> str:
    group = _GROUP.match(piece[:1_000])
    if group is None or group.group().strip().lower() == "mailto:":
        return piece
    return piece[group.end() :]


def _mailbox(piece: str) -> Address:
    piece = piece[:10_000].strip()
    if piece[:7].lower() == "mailto:":
        piece = piece[7:]
    angles = [found for found in _ANGLE.finditer(piece) if found.group(1).strip()]
    with_at = [found for found in angles if "@" in found.group(1)]
    if angles:
        chosen = (with_at or angles)[-1]
        name = piece[: chosen.start()].strip(" <") or piece[chosen.end() :].strip(" >")
        return Address(_name(name, piece), _clean_address(chosen.group(1)))
    bare = _ADDRESS.search(_unquoted_local(piece))
    if bare is not None:
        rest = piece.replace(bare.group(), "", 1).strip()
        return Address(_name(rest, piece), _clean_address(bare.group()))
    if "@" in piece and " " not in piece.strip():
        return Address("", _clean_address(piece))
    return Address(_name(piece, ""), "")


def _unquoted_local(piece: str) -> str:
    return piece if '"' in piece and '"@' in piece else piece.replace('"', " ").replace("'", " ")


def _name(text: str, piece: str) -> str:
    comment = _COMMENT.search(text) or (_COMMENT.search(piece) if not text.strip("<> ") else None)
    without = _COMMENT.sub(" ", text).strip().strip("<>").strip() if "(" in text and '"' not in text else text
    chosen = without or (comment.group(1) if comment else "")
    chosen = chosen.strip()
    if len(chosen) > 1 and chosen[0] == chosen[-1] == '"':
        chosen = re.sub(r"\\(.)", r"\1", chosen[1:-1])
    decoded = one_line(decode_words(chosen)).strip('"').strip()
    if len(decoded) > 2 and decoded[0] == decoded[-1] == "'":
        decoded = decoded[1:-1]
    return decoded[:500]


def _clean_address(text: str) -> str:
    cleaned = one_line(_COMMENT.sub("", decode_words(text)))
    cleaned = cleaned.removeprefix("mailto:").removeprefix("MAILTO:").strip("<> ")
    # RFC 5321 §4.1.1.3: a source route is to be ignored.
    if cleaned.startswith("@") and ":" in cleaned:
        cleaned = cleaned.rpartition(":")[2]
    return cleaned.replace(" ", "").strip("'.,;:")[:512]
