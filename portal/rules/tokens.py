"""Signed ids: what we put into addresses and headers, and believe when it comes back.

Every signature is an HMAC-SHA256 (RFC 2104) over a purpose and the payload, truncated, in lower-case base32
(RFC 4648 §6) because mail systems change the case of local parts. Reading takes several keys, newest first,
so that a key can be replaced while old mails are still being answered.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Sequence

_TICKET, _MESSAGE, _RETURN_PATH = b"ticket token 1", b"message id 1", b"return path 1"
_TICKET_SIGNATURE_BYTES = (
    8  # short enough to stay readable in an address; 64 bits cannot be tried out by mail
)
_LONG_SIGNATURE_BYTES = 10
_LARGEST_ID = 2**63 - 1

_TOKEN_TAG = re.compile(r"\+t-([a-z2-7]{8,32})\Z", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"m\.([1-9][0-9]{0,18})\.([a-z2-7]{16})@[^@<>\s]+", re.IGNORECASE)
_RETURN_TAG = re.compile(r"\+([1-9][0-9]{0,18})-([a-z2-7]{16})\Z", re.IGNORECASE)


def ticket_token(key: bytes, ticket_id: int) -> str:
    """The token that stands for a ticket in a reply address: 15 to 26 characters of `a-z2-7`.

    The id in as few bytes as it needs, then 64 bits of signature. Raises ValueError for an id that is not
    positive or over 63 bits, and for an empty key.
    """
    payload = _id_bytes(ticket_id)
    return _base32(payload + _signature(key, _TICKET, payload, _TICKET_SIGNATURE_BYTES))


def read_ticket_token(keys: Sequence[bytes], token: str) -> int | None:
    """The ticket id of a token signed with one of `keys`, in any case; None for anything else."""
    raw = _from_base32(token)
    if raw is None or not 1 <= len(raw) - _TICKET_SIGNATURE_BYTES <= 8:
        return None
    payload, signature = raw[:-_TICKET_SIGNATURE_BYTES], raw[-_TICKET_SIGNATURE_BYTES:]
    if not _is_signed(keys, _TICKET, payload, signature):
        return None
    return int.from_bytes(payload, "big")


def reply_address(base_address: str, token: str) -> str:
    """`support@shop.test` as `support+t-<token>@shop.test` (subaddressing, RFC 5233).

    Raises ValueError when that makes a local part over 64 characters (RFC 5321 §4.5.3.1.1) or `base_address`
    is no address.
    """
    return _with_tag(base_address, f"t-{token}")


def token_in_address(address: str) -> str | None:
    """The token of a reply address, lower-case and not yet verified; None when there is none."""
    found = _TOKEN_TAG.search(_local_part(address))
    return found.group(1).lower() if found else None


def without_tag(address: str) -> str:
    """The mailbox behind a sub-address: `support+anything@shop.test` is `support@shop.test` (RFC 5233)."""
    local, _, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def message_id_for(key: bytes, message_id: int, domain: str) -> str:
    """The Message-ID of our message, `m.<id>.<signature>@domain`, without brackets (RFC 5322 §3.6.4).

    It depends on the message alone, so that every try to deliver it carries the same one.
    """
    payload = _id_bytes(message_id)
    signature = _base32(_signature(key, _MESSAGE, payload, _LONG_SIGNATURE_BYTES))
    return f"m.{message_id}.{signature}@{domain.lower()}"


def read_message_id(keys: Sequence[bytes], header_value: str) -> int | None:
    """The message id in a Message-ID that we signed, in brackets or not; None for anything else."""
    found = _MESSAGE_ID.fullmatch(header_value.strip().removeprefix("<").removesuffix(">").strip())
    return _read_id(keys, _MESSAGE, found)


def return_path_for(key: bytes, delivery_id: int, base_address: str) -> str:
    """The envelope sender of one delivery, so that its bounce names it: `bounce+<id>-<signature>@shop.test`.

    `base_address` is a mailbox that we read. Raises ValueError as `reply_address` does.
    """
    payload = _id_bytes(delivery_id)
    signature = _base32(_signature(key, _RETURN_PATH, payload, _LONG_SIGNATURE_BYTES))
    return _with_tag(base_address, f"{delivery_id}-{signature}")


def read_return_path(keys: Sequence[bytes], address: str) -> int | None:
    """The delivery id in a return path that we signed; None for anything else."""
    return _read_id(keys, _RETURN_PATH, _RETURN_TAG.search(_local_part(address)))


def _read_id(keys: Sequence[bytes], purpose: bytes, found: re.Match[str] | None) -> int | None:
    if found is None:
        return None
    number, signature = int(found.group(1)), _from_base32(found.group(2))
    if number > _LARGEST_ID or signature is None:
        return None
    return number if _is_signed(keys, purpose, _id_bytes(number), signature) else None


def _is_signed(keys: Sequence[bytes], purpose: bytes, payload: bytes, signature: bytes) -> bool:
    matches = [
        hmac.compare_digest(_signature(key, purpose, payload, len(signature)), signature) for key in keys
    ]
    return any(matches)


def _signature(key: bytes, purpose: bytes, payload: bytes, length: int) -> bytes:
    if not key:
        raise ValueError("a key for signing ids is missing")
    return hmac.digest(key, purpose + b"\0" + payload, "sha256")[:length]


def _id_bytes(number: int) -> bytes:
    if not 0 < number <= _LARGEST_ID:
        raise ValueError(f"an id is between 1 and 2**63 - 1, not {number}")
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()


def _from_base32(text: str) -> bytes | None:
    """The bytes, if `text` is exactly how we would write them: one token has one spelling, case aside."""
    try:
        raw = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        return None
    return raw if _base32(raw) == text.lower() else None


def _with_tag(base_address: str, tag: str) -> str:
    local, at, domain = base_address.rpartition("@")
    if not (local and at and domain):
        raise ValueError(f"{base_address!r} is not an e-mail address")
    tagged = f"{local}+{tag}"
    if len(tagged) > 64:
        raise ValueError(f"{base_address!r} is too long to carry a signed id (64 characters before the @)")
    return f"{tagged}@{domain}"


def _local_part(address: str) -> str:
    return address.strip().removeprefix("<").rpartition("@")[0].strip('"')
