"""What the DNS says of a domain that we send from, in an admin's words.

DKIM is RFC 6376, SPF RFC 7208, DMARC RFC 7489.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import dns.exception
import dns.resolver

from portal.channels.email.domain_keys import UnusableKey, ascii_domain, record_name

# A person waits for the answer, in a request; all servers together have so long for one question.
TIMEOUT_SECONDS = 5
_LONGEST_SHOWN = 200
_DMARC_POLICIES = {
    "none": "receivers only watch and report",
    "quarantine": "receivers put forgeries of this domain among the spam",
    "reject": "receivers refuse forgeries of this domain",
}

Verdict = Literal["good", "wrong", "missing", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one record is: good, wrong, missing, or unknown because the DNS could not be asked."""

    record: Literal["DKIM", "SPF", "DMARC"]
    verdict: Verdict
    sentence: str


class _CannotAsk(Exception):
    """The DNS gave no answer; the text says why."""


def look_up(domain: str, selector: str, record: str, servers: Sequence[str] = ()) -> list[Finding]:
    """What stands in the DNS for the domain: its DKIM record under that selector, its SPF, its DMARC record.

    `record` is the value that the DKIM record ought to have. `servers` are addresses with or without a port
    (`127.0.0.1:5353`), where empty those of this machine. Asks over the network and never raises.
    """
    try:
        name = ascii_domain(domain)
        resolver = _resolver(servers)
        return [
            _dkim(resolver, record_name(selector, domain), record),
            _spf(resolver, name),
            _dmarc(resolver, name),
        ]
    except (UnusableKey, _CannotAsk) as error:
        return [Finding("DKIM", "unknown", str(error))]


def _dkim(resolver: dns.resolver.Resolver, name: str, wanted: str) -> Finding:
    found = _texts(resolver, name)
    if not found:
        return Finding(
            "DKIM",
            "missing",
            f"There is no DKIM record at {name}. Publish it; a new one is seen everywhere after an hour or two.",
        )
    if any(_tags(text).get("p") == _tags(wanted)["p"] for text in found):
        if len(found) == 1:
            return Finding(
                "DKIM", "good", f"The DKIM record at {name} is there, and its key is this branch's."
            )
        return Finding(
            "DKIM",
            "wrong",
            f"There are {len(found)} records at {name}; one has this branch's key. Remove the others: receivers may "
            "take any of them.",
        )
    if all(_tags(text).get("p") == "" for text in found):
        return Finding(
            "DKIM", "wrong", f"The DKIM record at {name} says that its key was withdrawn. Replace it."
        )
    return Finding(
        "DKIM",
        "wrong",
        f"There is a DKIM record at {name}, but with another key than this branch's. Replace it.",
    )


def _spf(resolver: dns.resolver.Resolver, domain: str) -> Finding:
    # RFC 7208 §4.5: the version stands alone, in any case of letters.
    found = [text for text in _texts(resolver, domain) if text.lower().split(" ")[0] == "v=spf1"]
    if not found:
        return Finding(
            "SPF",
            "missing",
            f"There is no SPF record at {domain}: nothing says which servers may send for it.",
        )
    if len(found) > 1:
        return Finding(
            "SPF",
            "wrong",
            f"There are {len(found)} SPF records at {domain}: receivers take that for an error. Make one of them.",
        )
    meaning, is_good = _spf_meaning(found[0].lower().split())
    sentence = f"The SPF record at {domain} is “{_shown(found[0])}”: {meaning}."
    return Finding("SPF", "good" if is_good else "wrong", sentence)


def _spf_meaning(words: list[str]) -> tuple[str, bool]:
    """What is said of servers that are not listed, and whether that protects anybody."""
    endings = {
        "-all": ("mail from other servers is to be refused", True),
        "~all": ("mail from other servers is suspicious", True),
        "?all": ("nothing is said of other servers", False),
        "+all": ("every server may send for this domain, which protects nobody", False),
    }
    endings["all"] = endings["+all"]
    for word in words:
        if word in endings:
            return endings[word]
    for word in words:
        if word.startswith("redirect="):
            return f"the record of {word.partition('=')[2]} holds", True
    return endings["?all"]


def _dmarc(resolver: dns.resolver.Resolver, domain: str) -> Finding:
    for each in _with_parents(domain):
        found = [text for text in _texts(resolver, f"_dmarc.{each}") if _tags(text).get("v") == "DMARC1"]
        if len(found) > 1:
            sentence = (
                f"There are {len(found)} DMARC records at _dmarc.{each}: receivers ignore them all. Keep one."
            )
            return Finding("DMARC", "wrong", sentence)
        if found:
            return _dmarc_found(f"_dmarc.{each}", found[0], is_parent=each != domain)
    return Finding(
        "DMARC",
        "missing",
        f"There is no DMARC record at _dmarc.{domain}: nothing says what to do with forgeries of this domain.",
    )


def _dmarc_found(name: str, text: str, *, is_parent: bool) -> Finding:
    tags = _tags(text)
    policy = (tags.get("sp") if is_parent else None) or tags.get("p", "")
    meaning = _DMARC_POLICIES.get(policy.lower())
    if meaning is None:
        return Finding("DMARC", "wrong", f"The DMARC record at {name} has no policy (p=): “{_shown(text)}”.")
    return Finding("DMARC", "good", f"The DMARC record at {name} is “{_shown(text)}”: {meaning}.")


def _with_parents(domain: str) -> Iterator[str]:
    """The domain and what it stands in, down to two labels: a company's record holds for its departments."""
    labels = domain.split(".")
    for start in range(max(len(labels) - 1, 1)):
        yield ".".join(labels[start:])


def _texts(resolver: dns.resolver.Resolver, name: str) -> list[str]:
    """The values of the TXT records at that name, each in one piece. Raises _CannotAsk."""
    try:
        answer = resolver.resolve(name, "TXT", search=False, raise_on_no_answer=False)
    except dns.resolver.NXDOMAIN:
        return []
    except (dns.resolver.LifetimeTimeout, dns.resolver.NoNameservers) as error:
        why = (
            "no answer came"
            if isinstance(error, dns.resolver.LifetimeTimeout)
            else "it answered with an error"
        )
        raise _CannotAsk(
            f"The DNS could not be asked about {name}: {why}. Nothing is known; try again."
        ) from error
    except (dns.exception.DNSException, OSError) as error:
        raise _CannotAsk(f"The DNS could not be asked about {name}: {error}. Nothing is known.") from error
    return [b"".join(each.strings).decode("utf-8", "replace") for each in answer.rrset or ()]


def _tags(text: str) -> dict[str, str]:
    """The tags of a record (RFC 6376 §3.2), the value without white space; the first of each name."""
    tags: dict[str, str] = {}
    for piece in text.split(";"):
        name, _, value = piece.partition("=")
        tags.setdefault(name.strip(), "".join(value.split()))
    return tags


def _resolver(servers: Sequence[str]) -> dns.resolver.Resolver:
    try:
        resolver = dns.resolver.Resolver(configure=not servers)
        if servers:
            places = [urlsplit(f"//{server}") for server in servers]
            resolver.nameservers = [place.hostname or "" for place in places]
            resolver.nameserver_ports = {place.hostname or "": place.port or 53 for place in places}
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise _CannotAsk(f"This machine knows no DNS server that could be asked: {error}.") from error
    resolver.lifetime = TIMEOUT_SECONDS
    # Answers of a long key do not fit the 512 bytes of old.
    resolver.use_edns(0, 0, 1232)
    return resolver


def _shown(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
