"""Signing mail for a domain (DKIM, RFC 6376): keys, what the DNS says of them, and the signature."""

import base64
from dataclasses import dataclass, field

import idna
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEY_BITS = 2048  # RFC 8301 §3.2
_TXT_PIECE = 255  # RFC 1035 §3.3: one string of a TXT record


class UnusableKey(ValueError):
    """The key, the selector or the domain cannot sign; the text says why."""


@dataclass(frozen=True, slots=True)
class DomainKey:
    """A new key: the private half as PEM, and the value of the TXT record that makes the other half known."""

    private_pem: str = field(repr=False)
    record: str


def make_key() -> DomainKey:
    """A fresh RSA key of 2048 bits: the algorithm that every receiver can check (RFC 8301)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return DomainKey(private.decode(), f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}")


def record_name(selector: str, domain: str) -> str:
    """Where the record stands in the DNS (RFC 6376 §3.6.2.1)."""
    return f"{selector}._domainkey.{ascii_domain(domain)}"


def zone_line(selector: str, domain: str, record: str) -> str:
    """The record as a line of a zone file, in strings that a TXT record can hold."""
    pieces = [record[start : start + _TXT_PIECE] for start in range(0, len(record), _TXT_PIECE)]
    strings = " ".join(f'"{piece}"' for piece in pieces)
    return f"{record_name(selector, domain)}. IN TXT ( {strings} )"


def sign(raw: bytes, *, selector: str, domain: str, private_pem: str) -> bytes:
    """The mail with a DKIM-Signature in front of it, relaxed both ways. Raises UnusableKey.

    From, who gets it, the subject, the thread and the body are covered; a second From cannot be added.
    """
    # Loads a DNS library, which only those who sign need.
    import dkim

    try:
        signature: bytes = dkim.sign(
            raw,
            selector.encode("ascii"),
            ascii_domain(domain).encode("ascii"),
            private_pem.encode("ascii"),
            canonicalize=(b"relaxed", b"relaxed"),
        )
    except (dkim.DKIMException, ValueError) as error:
        raise UnusableKey(
            f"The mail could not be signed for {domain}: {error or type(error).__name__}. Make a new DKIM key."
        ) from error
    return signature + raw


def ascii_domain(domain: str) -> str:
    """The domain as the DNS knows it. Raises UnusableKey where it has no such form."""
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise UnusableKey(f"{domain} is no domain that the DNS could know.") from error
