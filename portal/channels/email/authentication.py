"""What the receiving server says of a mail's origin (Authentication-Results, RFC 8601).

Anyone can write this field. Only one that names a server which also stands in the newest Received fields counts:
servers that add the field remove those that claim their own name (RFC 8601 §5).
"""

import re
from dataclasses import dataclass
from typing import Literal

from portal.channels.email.headers import Headers

Authentication = Literal["pass", "fail", "none"]
# Exchange Online writes the field without the name of the server; this stands for it.
MICROSOFT = "outlook.com"

_RECEIVED_BY = re.compile(r"\bby\s+([\w.-]{1,253})", re.IGNORECASE)
_RESULT = re.compile(r"(?<![\w.-])(dmarc|dkim|spf)\s*=\s*([a-z]+)", re.IGNORECASE)
_NAMED_DOMAIN = re.compile(
    r"(?:header\.(?:d|i|from)|smtp\.(?:mailfrom|mail|helo))\s*=\s*\"?(?:[^\s;@\"]*@)?([\w.-]{1,253})",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"\([^()]{0,1000}\)")
_NEWEST_HOPS = 4


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a hop says of the From address, and the name by which it says so (lower case; empty with `none`).

    Where the mail came in by a server that does not remove forged fields, the name proves nothing: what hangs on it
    must know the server that it trusts.
    """

    result: Authentication
    server: str = ""


def judge(headers: Headers, from_address: str) -> Verdict:
    """The verdict of the newest hop that gives one on the From address: `none` where it says nothing that counts."""
    server, results = _trusted_results(headers)
    result = _judged(results, from_address)
    return Verdict(result, server if result != "none" else "")


def _judged(results: list[tuple[str, str, str]], from_address: str) -> Authentication:
    domain = from_address.rpartition("@")[2].lower()
    if not results or not domain:
        return "none"
    verdicts: dict[str, set[str]] = {}
    for method, verdict, named in results:
        if method != "dmarc" and verdict == "pass" and not _is_aligned(named, domain):
            verdict = "foreign"  # noqa: PLW2901 - a valid signature of somebody else says nothing of the sender
        verdicts.setdefault(method, set()).add(verdict)
    dmarc, dkim, spf = (verdicts.get(method, set()) for method in ("dmarc", "dkim", "spf"))
    if "fail" in dmarc:
        return "fail"
    if "pass" in dmarc or "pass" in dkim or "pass" in spf:
        return "pass"
    return "fail" if spf & {"fail", "softfail"} and "foreign" not in dkim else "none"


def _trusted_results(headers: Headers) -> tuple[str, list[tuple[str, str, str]]]:
    hosts = [
        found.group(1).lower()
        for value in headers.all("received")[:_NEWEST_HOPS]
        if (found := _RECEIVED_BY.search(value))
    ]
    chosen: list[str] = []
    server = ""
    for value in headers.all("authentication-results")[:10]:
        first = value.partition(";")[0].split()
        named = first[0].lower() if first and "=" not in first[0] else ""
        is_trusted = any(_is_aligned(named, host) for host in hosts) if named else _is_microsoft(hosts)
        if not is_trusted or (chosen and named != server):
            break
        server = named
        chosen.append(value)
    return server or MICROSOFT, [result for value in chosen for result in _results(value)]


def _results(value: str) -> list[tuple[str, str, str]]:
    results = []
    for clause in _COMMENT.sub(" ", value).split(";"):
        found = _RESULT.search(clause)
        if found is not None:
            named = _NAMED_DOMAIN.search(clause, found.end())
            results.append(
                (found.group(1).lower(), found.group(2).lower(), named.group(1).lower() if named else "")
            )
    return results


def _is_microsoft(hosts: list[str]) -> bool:
    return any(host.endswith((".outlook.com", ".office365.com")) for host in hosts)


def _is_aligned(one: str, other: str) -> bool:
    """Whether two host names belong together: equal, one below the other, or with the same last labels."""
    if not one or not other:
        return False
    return _organisation(one) == _organisation(other)


def _organisation(host: str) -> str:
    labels = host.strip(".").split(".")
    # "co.uk", "com.au": a short second-level label under a country is no organisation.
    size = 3 if len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3 else 2
    return ".".join(labels[-size:])
