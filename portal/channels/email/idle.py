"""Hearing of new mail at once: an IMAP connection that is held open in IDLE (RFC 2177).

It only says that something has come. Fetching is done as without it, by whoever has the mailbox's claim.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError

from portal.channels.email.imap import ImapSettings, ImapTrouble, open_folder

# RFC 2177 wants less than 29 minutes; routers on the way forget a silent connection sooner.
RENEW_SECONDS = 9 * 60
# So often it is looked whether the connection is still wanted.
LOOK_SECONDS = 20


def hold(
    settings: ImapSettings,
    heard: Callable[[], object],
    is_wanted: Callable[[], bool],
    *,
    renew_seconds: float = RENEW_SECONDS,
    look_seconds: float = LOOK_SECONDS,
) -> None:
    """Call `heard` once the folder is open, and each time that the server says more, until no longer wanted.

    The folder is opened for reading only. Raises ImapTrouble when the connection breaks, or the server has no IDLE
    (step "idle"); what `heard` raises comes through.
    """
    with open_folder(replace(settings, post_action="leave")) as (client, _folder):
        if not client.has_capability("IDLE"):
            raise ImapTrouble(
                "idle", f"{settings.host} does not say when mail comes (no IDLE): it is asked instead."
            )
        # What came before now was said to nobody.
        heard()
        while is_wanted():
            if _idle_once(client, is_wanted, renew_seconds, look_seconds):
                heard()


def _idle_once(
    client: IMAPClient, is_wanted: Callable[[], bool], renew_seconds: float, look_seconds: float
) -> bool:
    """One IDLE, renewed by the caller; whether the server spoke of new mail."""
    until = time.monotonic() + renew_seconds
    client.idle()
    has_mail = False
    while not has_mail and is_wanted() and (left := until - time.monotonic()) > 0:
        has_mail = _says_more(_heard_within(client, min(left, look_seconds)))
    _, last_words = client.idle_done()
    return has_mail or _says_more(last_words)


def _heard_within(client: IMAPClient, seconds: float) -> Sequence[Any]:
    began = time.monotonic()
    said: Sequence[Any] = client.idle_check(timeout=seconds)
    # imapclient answers with nothing, at once and for ever, when the connection has been closed.
    if not said and time.monotonic() - began < seconds / 2:
        raise IMAPClientAbortError("it was closed while waiting for mail")
    if any(words[0] == b"BYE" for words in said):
        raise IMAPClientAbortError("the server said goodbye")
    return said


def _says_more(said: Sequence[Any]) -> bool:
    return any(len(words) > 1 and words[1] in (b"EXISTS", b"RECENT") for words in said)
