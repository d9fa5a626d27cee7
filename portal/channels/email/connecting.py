"""Reaching a mail server, and saying in an admin's words why it could not be reached."""

import socket
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Literal

from portal.channels.base import ChannelTrouble

Security = Literal["none", "starttls", "tls"]


def tls_context(ca_file: str = "") -> ssl.SSLContext:
    """Certificates are always checked: against the system's authorities, or those in `ca_file` (PEM).

    Raises ChannelTrouble when that file cannot be used.
    """
    try:
        return _kept_context(ca_file, Path(ca_file).stat().st_mtime_ns if ca_file else 0)
    except OSError as error:
        raise ChannelTrouble(
            "tls", f"The file of certificate authorities {ca_file} cannot be used."
        ) from error


@lru_cache(maxsize=4)
def _kept_context(ca_file: str, _changed_at: int) -> ssl.SSLContext:
    # The system's authorities take 0.8 MB each time that they are loaded, and every mailbox holds a connection.
    return ssl.create_default_context(cafile=ca_file or None)


def trouble_of(error: Exception, host: str, port: int) -> ChannelTrouble:
    """What a failed connection means, from the exception of the socket or of TLS."""
    place = f"{host}, port {port}"
    if isinstance(error, ChannelTrouble):
        return error
    if isinstance(error, ssl.SSLError):
        return ChannelTrouble("tls", _tls_sentence(error, host, place))
    step = "connect"
    if isinstance(error, socket.gaierror):
        step, sentence = "dns", f"There is no server named {host}. Check the name for a typing error."
    elif isinstance(error, UnicodeError):
        step, sentence = "dns", f"{host!r} is not a name that a server can have."
    elif isinstance(error, ConnectionRefusedError):
        sentence = f"{place} refused the connection. Check the port, and whether the server is running."
    elif isinstance(error, TimeoutError):
        sentence = f"{place} did not answer in time. A firewall may be in between, or the port is wrong."
    else:
        sentence = f"The connection to {place} failed: {describe(error)}."
    return ChannelTrouble(step, sentence)


def describe(error: Exception) -> str:
    """The bare reason of an exception, without codes and without a full stop."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return reason.strip().rstrip(".")


def refused_token(host: str, username: str, said: str) -> str:
    """What a server means that takes no access token of ours."""
    return (
        f"{host} refused the access token for {username}: {said}. Sign in as the owner of that mailbox, and check "
        "that the mailbox is open to IMAP and SMTP."
    )


def _tls_sentence(error: ssl.SSLError, host: str, place: str) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"{place} did not begin an encrypted connection. If this port starts unencrypted, choose STARTTLS. "
            f"({error.reason or error})"
        )
    reason = error.verify_message.rstrip(".")
    if "mismatch" in reason.lower():
        return f"The server's certificate is not for {host}. Use the name that the certificate was made for."
    if "expired" in reason:
        return f"The certificate of {host} has expired. It must be renewed on that server."
    return f"The certificate of {host} cannot be trusted: {reason}."
