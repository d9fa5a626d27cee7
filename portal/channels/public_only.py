"""A guard around code that connects to wherever a stored address says: only addresses of the internet are reached.

It looks at the very address that a socket is about to connect to, so that neither a redirect nor a name whose answer
changes between two questions leads around it.
"""

import ipaddress
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

# Where clouds keep the credentials of the machine, besides the link-local ones: never, whoever allows what.
_METADATA = frozenset({ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")})


class RefusedAddress(OSError):
    """The address is one of our own network."""


class Guard:
    """What was refused while it was on, as the addresses."""

    def __init__(self, *, may_reach_internal: bool) -> None:
        self.may_reach_internal = may_reach_internal
        self.refused: list[str] = []


_guard: ContextVar[Guard | None] = ContextVar("guard", default=None)


@contextmanager
def guarded(*, may_reach_internal: bool = False) -> Iterator[Guard]:
    """Within it, every connection that Python code here opens is looked at, and refused where it leads inside.

    With `may_reach_internal` only link-local addresses and those of clouds' metadata are refused.
    """
    guard = Guard(may_reach_internal=may_reach_internal)
    token = _guard.set(guard)
    try:
        yield guard
    finally:
        _guard.reset(token)


def may_reach(address: str, *, may_reach_internal: bool) -> bool:
    """Whether a connection to that IP address may be opened; False for what is none."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or _within(found) or found
    if found.is_link_local or found.is_multicast or found.is_unspecified or found in _METADATA:
        return False
    return may_reach_internal or found.is_global


def _within(found: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a translated one stands for: NAT64 (RFC 6052) and 6to4 (RFC 3056)."""
    if found in ipaddress.ip_network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return found.sixtofour


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect":
        return
    guard = _guard.get()
    if guard is None:
        return
    target = arguments[1]
    address = str(target[0]) if isinstance(target, tuple) else str(target)
    if not may_reach(address, may_reach_internal=guard.may_reach_internal):
        guard.refused.append(address)
        raise RefusedAddress(f"{address} is an address of our own network.")


# Raised by the interpreter before each connection, whichever library asks for it (PEP 578); it cannot be taken away.
sys.addaudithook(_look)
