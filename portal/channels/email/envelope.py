"""Addresses that mail may be sent to: nothing in them can end a line or begin another address."""

import re

import idna

_ATOM = r"[^\s()<>\[\]:;@\\,\"\x00-\x20\x7f-\x9f]+"
_QUOTED = r'"(?:[^"\\\x00-\x1f\x7f-\x9f\u2028\u2029]|\\[\x20-\x7e])*"'
_SHAPE = re.compile(rf"({_ATOM}|{_QUOTED})@({_ATOM}|\[[A-Za-z0-9:.]+\])")
_LONGEST = 320


class UnusableAddress(ValueError):
    """No mail can be sent to or from it; the text says why."""


def for_envelope(address: str, *, can_be_utf8: bool) -> str:
    """The address with its domain in ASCII (IDNA 2008, RFC 5891), so that any server understands it.

    Raises UnusableAddress for what is no address, and for a local part beyond ASCII where the other side cannot take
    that (RFC 6531).
    """
    found = _SHAPE.fullmatch(address)
    if found is None or len(address) > _LONGEST or not _is_encodable(address):
        raise UnusableAddress(f"{address!r} is not an e-mail address.")
    local, domain = found.groups()
    if not local.isascii() and not can_be_utf8:
        raise UnusableAddress("The server takes no mail with international addresses.")
    return f"{local}@{_ascii_domain(domain, address)}"


def _ascii_domain(domain: str, address: str) -> str:
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise UnusableAddress(f"{address!r} has a domain that cannot exist.") from error


def _is_encodable(address: str) -> bool:
    """Whether it is text: lone surrogates stand for bytes that are none."""
    return not any("\ud800" <= each <= "\udfff" for each in address)
