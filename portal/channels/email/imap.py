"""Taking mail from an IMAP mailbox (RFC 9051, and RFC 3501 where a server is older): one at a time, oldest first.

A mail's number (UID) never changes while the folder's UIDVALIDITY stays, and numbers only grow: a cursor of these two
says how far we have come. When UIDVALIDITY changes, the server has renumbered everything; we start over, and what
had been taken before is recognised later by its Message-ID.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from typing import Any, Literal, TypeVar

from imapclient import IMAPClient
from imapclient.exceptions import CapabilityError, IMAPClientAbortError, IMAPClientError, LoginError

from portal.channels.base import ChannelTrouble, ConnectionStep
from portal.channels.email.connecting import Security, describe, refused_token, tls_context, trouble_of
from portal.channels.email.oauth import xoauth2

PostAction = Literal["seen", "move", "delete", "leave"]

# How many numbers one search may span: its answer must fit the million bytes that imaplib takes in a line.
_SEARCH_SPAN = 50_000
_SIZES_AT_ONCE = 200
_TOLD_AT_ONCE = 50
_KEYS_AT_ONCE = 500
# Of an oversized mail this much of its headers is taken.
_LONGEST_HEADERS = 256 * 1024
_Answer = TypeVar("_Answer")


class ImapTrouble(ChannelTrouble):
    """The mailbox could not be read. The text is a sentence for the admin."""


@dataclass(frozen=True, kw_only=True)
class ImapSettings:
    """Which folder of which mailbox, and what is done there to a mail that we have."""

    account_id: int
    host: str
    port: int = 993
    security: Security = "tls"
    username: str
    password: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)  # where there is one, the login is by XOAUTH2
    folder: str = "INBOX"
    post_action: PostAction = "seen"
    move_folder: str = ""
    size_limit_bytes: int = 35 * 1024 * 1024
    ca_file: str = ""
    timeout_seconds: float = 60


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a folder has been read: everything up to `last_uid`, as long as `uid_validity` stays."""

    uid_validity: int | None = None
    last_uid: int = 0


@dataclass(frozen=True, slots=True)
class FetchedMail:
    """One mail of a folder. With a `problem` only its headers are in `raw`, and the whole stays on the server."""

    source_key: str
    raw: bytes
    received_at: datetime | None  # when the server got it, UTC
    size_bytes: int  # of the whole mail
    is_oversized: bool
    problem: str  # a sentence for people; empty when the mail is whole
    cursor: Cursor  # what has been read when this mail has been accepted


def _nothing_kept(_source_keys: list[str]) -> dict[str, int]:
    return {}


def fetch_new(
    settings: ImapSettings,
    cursor: Cursor,
    accept: Callable[[FetchedMail], object],
    limit: int = 500,
    *,
    kept: Callable[[list[str]], Mapping[str, int]] = _nothing_kept,
) -> Cursor:
    """Hand up to `limit` mails beyond the cursor to `accept`, oldest first; the cursor after the last of them.

    `kept` is given source keys, some hundreds at a time, and returns the sizes in bytes of those that are here
    already, from a call that broke off. The server is told of these, and none of them is fetched again: even over a
    connection that always breaks after a few mails, each call comes further than the one before.

    One mail is in memory at a time. The server is told (the post action) only of mails for which `accept` has
    returned, and so has committed: fifty at a time, because some servers read the whole folder anew after each
    change. What `accept` raises comes through; that mail is left alone, and the next call with the same cursor hands
    it over again under the same source key. A mail that is not here whole is never deleted.
    Raises ImapTrouble when the mailbox cannot be reached or does not work as told; mails accepted until then are
    known by the cursors they came with.
    """
    with open_folder(settings) as (client, folder):
        if cursor.uid_validity != folder.uid_validity:
            cursor = Cursor(folder.uid_validity, 0)
        with _telling(client, settings) as accepted:
            waiting = _waiting(client, settings, folder, cursor.last_uid + 1, kept)
            for uid, size_bytes, received_at, is_kept in islice(waiting, limit):
                cursor = replace(cursor, last_uid=uid)
                if is_kept:
                    accepted(uid)
                elif mail := _fetched(client, settings, cursor, size_bytes, received_at):
                    _hand_over(accept, mail)
                    accepted(uid, mail.problem)
    return cursor


def fetch_missing(
    settings: ImapSettings,
    cursor: Cursor,
    unknown: Callable[[list[str]], Collection[str]],
    accept: Callable[[FetchedMail], object],
    limit: int = 500,
) -> int:
    """Hand to `accept` up to `limit` mails that lie up to the cursor and were never kept; return how many.

    `unknown` is given source keys, some hundreds at a time, and returns those that nobody has. In a folder that was
    renumbered since the cursor there is nothing to compare. Otherwise like `fetch_new`.
    """
    taken = 0
    with open_folder(settings) as (client, folder):
        if cursor.uid_validity != folder.uid_validity:
            return 0
        read = replace(folder, uid_next=min(folder.uid_next, cursor.last_uid + 1))
        with _telling(client, settings) as accepted:
            for uid, size_bytes, received_at in islice(_missing(client, settings, read, unknown), limit):
                mail = _fetched(client, settings, Cursor(folder.uid_validity, uid), size_bytes, received_at)
                if mail is not None:
                    _hand_over(accept, mail)
                    accepted(uid, mail.problem)
                    taken += 1
    return taken


def test_connection(settings: ImapSettings) -> list[ConnectionStep]:
    """The steps of getting at the folder: dns, connect, tls, login, folder. Only the last one can have failed."""
    steps: list[ConnectionStep] = []
    try:
        with open_folder(settings, steps.append):
            pass
    except ImapTrouble as trouble:
        steps.append(ConnectionStep(trouble.step, ok=False, sentence=str(trouble)))
    return steps


test_connection.__test__ = False  # type: ignore[attr-defined]  # a verb of ours, no test of pytest's


class _CallerFailed(Exception):
    """Carries what `accept` raised past the handlers for trouble of the server."""

    def __init__(self, fault: Exception) -> None:
        super().__init__(str(fault))
        self.fault = fault


@dataclass(frozen=True, slots=True)
class _Folder:
    uid_validity: int
    uid_next: int
    mail_count: int


Passed = Callable[[ConnectionStep], None]


def _unheard(_step: ConnectionStep) -> None:
    pass


@contextlib.contextmanager
def open_folder(settings: ImapSettings, passed: Passed = _unheard) -> Iterator[tuple[IMAPClient, _Folder]]:
    """A client in the folder. Raises ImapTrouble, also for what breaks inside the block."""
    try:
        with _connected(settings, passed) as client:
            yield client, _selected(client, settings, passed)
    except _CallerFailed as carried:
        raise carried.fault from None
    except ChannelTrouble as trouble:
        raise ImapTrouble(trouble.step, str(trouble)) from trouble
    except IMAPClientAbortError as error:
        sentence = f"{settings.host} broke off the connection: {describe(error)}."
        raise ImapTrouble("connect", sentence) from error
    except IMAPClientError as error:
        sentence = f"{settings.host} did not do as it was asked: {describe(error)}."
        raise ImapTrouble("folder", sentence) from error
    except (OSError, UnicodeError) as error:
        why = trouble_of(error, settings.host, settings.port)
        raise ImapTrouble(why.step, str(why)) from error


@contextlib.contextmanager
def _connected(settings: ImapSettings, passed: Passed) -> Iterator[IMAPClient]:
    is_tls = settings.security == "tls"
    context = tls_context(settings.ca_file)
    client = IMAPClient(
        settings.host,
        settings.port,
        ssl=is_tls,
        ssl_context=context if is_tls else None,
        timeout=settings.timeout_seconds,
    )
    with client:
        passed(ConnectionStep("dns", ok=True, sentence=f"{settings.host} was found."))
        passed(ConnectionStep("connect", ok=True, sentence=f"It answers on port {settings.port}."))
        if settings.security == "starttls":
            _start_tls(client, settings, context)
        if settings.security != "none":
            sentence = "The connection is encrypted and the certificate is valid."
            passed(ConnectionStep("tls", ok=True, sentence=sentence))
        _log_in(client, settings)
        passed(ConnectionStep("login", ok=True, sentence=f"The login of {settings.username} was accepted."))
        yield client


def _start_tls(client: IMAPClient, settings: ImapSettings, context: Any) -> None:
    try:
        client.starttls(context)
    except CapabilityError as error:
        raise ChannelTrouble(
            "tls", f"{settings.host} offers no STARTTLS on port {settings.port}. Choose TLS with port 993."
        ) from error


def _log_in(client: IMAPClient, settings: ImapSettings) -> None:
    if settings.access_token:
        _log_in_with_token(client, settings)
        return
    try:
        client.login(settings.username, settings.password)
    except LoginError as error:
        raise ChannelTrouble(
            "login",
            f"{settings.host} refused the user name or the password of {settings.username}: {describe(error)}.",
        ) from error


def _log_in_with_token(client: IMAPClient, settings: ImapSettings) -> None:
    if not client.has_capability("AUTH=XOAUTH2"):
        raise ChannelTrouble(
            "login",
            f"{settings.host} offers no login by OAuth 2 (XOAUTH2). Choose a password for this account.",
        )
    words = iter([xoauth2(settings.username, settings.access_token)])
    try:
        # A server that refuses explains itself first, and wants an empty answer to that.
        client.sasl_login("XOAUTH2", lambda _said: next(words, b""))
    except IMAPClientAbortError:
        raise
    except IMAPClientError as error:
        raise ChannelTrouble(
            "login", refused_token(settings.host, settings.username, describe(error))
        ) from error


def _selected(client: IMAPClient, settings: ImapSettings, passed: Passed) -> _Folder:
    try:
        found = client.select_folder(settings.folder, readonly=settings.post_action == "leave")
    except IMAPClientError as error:
        raise ChannelTrouble(
            "folder", f"The mailbox has no folder {settings.folder} that can be opened: {describe(error)}."
        ) from error
    if b"UIDVALIDITY" not in found:
        raise ChannelTrouble(
            "folder",
            f"{settings.host} gives mails no lasting numbers. Portal cannot read such a mailbox safely.",
        )
    if b"UIDNEXT" not in found:
        found |= client.folder_status(settings.folder, ["UIDNEXT"])
    if settings.post_action == "move":
        _make_move_folder(client, settings)
    passed(ConnectionStep("folder", ok=True, sentence=f"The folder {settings.folder} can be read."))
    return _Folder(found[b"UIDVALIDITY"], found[b"UIDNEXT"], found[b"EXISTS"])


def _make_move_folder(client: IMAPClient, settings: ImapSettings) -> None:
    try:
        if not client.folder_exists(settings.move_folder):
            client.create_folder(settings.move_folder)
    except IMAPClientError as error:
        raise ChannelTrouble(
            "folder",
            f"The folder {settings.move_folder}, where taken mails go, could not be made: {describe(error)}.",
        ) from error


def _waiting(
    client: IMAPClient,
    settings: ImapSettings,
    folder: _Folder,
    first_uid: int,
    kept: Callable[[list[str]], Mapping[str, int]],
) -> Iterator[tuple[int, int, datetime | None, bool]]:
    """Numbers from `first_uid` on with size, date, and whether the mail is here whole, ascending.

    Only a window of them is known at a time.
    """
    for uids in _windows(client, folder, first_uid):
        for start in range(0, len(uids), _SIZES_AT_ONCE):
            keys = {
                uid: _source_key(settings, Cursor(folder.uid_validity, uid))
                for uid in uids[start : start + _SIZES_AT_ONCE]
            }
            kept_sizes = _asked(kept, list(keys.values()))
            for uid, size_bytes, received_at in _measured(client, list(keys)):
                yield uid, size_bytes, received_at, kept_sizes.get(keys[uid]) == size_bytes


def _asked(ask: Callable[[list[str]], _Answer], source_keys: list[str]) -> _Answer:
    try:
        return ask(source_keys)
    except Exception as error:
        raise _CallerFailed(error) from error


def _measured(client: IMAPClient, uids: list[int]) -> Iterator[tuple[int, int, datetime | None]]:
    for start in range(0, len(uids), _SIZES_AT_ONCE):
        chunk = uids[start : start + _SIZES_AT_ONCE]
        found = client.fetch(chunk, ["RFC822.SIZE", "INTERNALDATE"])
        for uid in chunk:
            # A mail that someone has removed meanwhile is not in the answer.
            if b"RFC822.SIZE" in found.get(uid, {}):
                yield uid, found[uid][b"RFC822.SIZE"], _as_utc(found[uid].get(b"INTERNALDATE"))


def _missing(
    client: IMAPClient,
    settings: ImapSettings,
    folder: _Folder,
    unknown: Callable[[list[str]], Collection[str]],
) -> Iterator[tuple[int, int, datetime | None]]:
    for uids in _windows(client, folder, 1):
        for start in range(0, len(uids), _KEYS_AT_ONCE):
            chunk = uids[start : start + _KEYS_AT_ONCE]
            keys = {_source_key(settings, Cursor(folder.uid_validity, uid)): uid for uid in chunk}
            missing = sorted(keys[key] for key in _asked(unknown, list(keys)))
            yield from _measured(client, missing)


def _windows(client: IMAPClient, folder: _Folder, first_uid: int) -> Iterator[list[int]]:
    if not folder.mail_count:
        return
    # The numbers before the folder's first mail are long gone; there may be millions of them.
    if first_uid + _SEARCH_SPAN < folder.uid_next:
        first_uid = max(first_uid, _lowest_uid(client))
    for start in range(first_uid, folder.uid_next, _SEARCH_SPAN):
        yield sorted(client.search(["UID", f"{start}:{min(start + _SEARCH_SPAN, folder.uid_next) - 1}"]))


def _lowest_uid(client: IMAPClient) -> int:
    client.use_uid = False
    try:
        found = client.fetch("1", ["UID"])
    finally:
        client.use_uid = True
    return next((int(values[b"UID"]) for values in found.values() if b"UID" in values), 0)


def _fetched(
    client: IMAPClient, settings: ImapSettings, reached: Cursor, size_bytes: int, received_at: datetime | None
) -> FetchedMail | None:
    """The mail, still unseen; None when it has been removed meanwhile."""
    is_oversized = size_bytes > settings.size_limit_bytes
    raw, problem = b"" if is_oversized else _part(client, reached.last_uid, "[]"), ""
    if raw == b"" and size_bytes:
        raw = _part(client, reached.last_uid, "[HEADER]", _LONGEST_HEADERS)
        problem = _problem_sentence(settings, size_bytes, is_oversized=is_oversized)
    if raw is None:
        return None
    return FetchedMail(
        _source_key(settings, reached), raw, received_at, size_bytes, is_oversized, problem, cursor=reached
    )


def _part(client: IMAPClient, uid: int, section: str, longest: int = 0) -> bytes | None:
    """That part of the mail, empty where the server has none for it; None when the mail is gone."""
    found = client.fetch([uid], [f"BODY.PEEK{section}" + (f"<0.{longest}>" if longest else "")])
    # imapclient answers for a missing mail too, with nothing.
    if not found.get(uid):
        return None
    raw: bytes | None = found[uid].get(f"BODY{section}{'<0>' if longest else ''}".encode())
    return raw or b""


def _problem_sentence(settings: ImapSettings, size_bytes: int, *, is_oversized: bool) -> str:
    if is_oversized:
        limit_megabytes = settings.size_limit_bytes / 1024 / 1024
        return (
            f"The mail has {size_bytes / 1024 / 1024:.1f} MB, more than the {limit_megabytes:g} MB that are taken. "
            f"Only its headers were kept here; the mail itself is still in {settings.folder} on {settings.host}."
        )
    return f"{settings.host} did not hand over the body. The mail is still in {settings.folder} there."


def _source_key(settings: ImapSettings, reached: Cursor) -> str:
    folder = settings.folder if len(settings.folder) <= 150 else sha256(settings.folder.encode()).hexdigest()
    return f"imap:{settings.account_id}:{folder}:{reached.uid_validity}:{reached.last_uid}"


def _hand_over(accept: Callable[[FetchedMail], object], mail: FetchedMail) -> None:
    try:
        accept(mail)
    except Exception as error:
        raise _CallerFailed(error) from error


@contextlib.contextmanager
def _telling(client: IMAPClient, settings: ImapSettings) -> Iterator[Callable[..., None]]:
    """Collects the numbers of accepted mails, and tells the server in batches, at the end, and when accept fails."""
    untold: list[int] = []

    def tell() -> None:
        uids, untold[:] = tuple(untold), []
        if uids:
            _finish(client, settings, list(uids))

    def accepted(uid: int, problem: str = "") -> None:
        if settings.post_action != "delete" or not problem:
            untold.append(uid)
        if len(untold) >= _TOLD_AT_ONCE:
            tell()

    try:
        yield accepted
    except _CallerFailed:
        # The caller's own fault is the one to hear of.
        with contextlib.suppress(ChannelTrouble, IMAPClientError, OSError):
            tell()
        raise
    tell()


def _finish(client: IMAPClient, settings: ImapSettings, uids: list[int]) -> None:
    """Do to accepted mails what the admin has chosen."""
    try:
        if settings.post_action == "seen":
            client.add_flags(uids, [b"\\Seen"], silent=True)
        elif settings.post_action == "move":
            _move(client, uids, settings.move_folder)
        elif settings.post_action == "delete":
            _delete(client, uids)
    except IMAPClientAbortError:
        raise
    except IMAPClientError as error:
        raise ChannelTrouble(
            "folder",
            f"Mail was taken in, but {settings.host} did not let it be marked, moved or deleted: {describe(error)}.",
        ) from error


def _move(client: IMAPClient, uids: list[int], folder: str) -> None:
    if client.has_capability("MOVE"):
        client.move(uids, folder)
        return
    client.copy(uids, folder)
    _delete(client, uids)


def _delete(client: IMAPClient, uids: list[int]) -> None:
    client.delete_messages(uids, silent=True)
    # Without UIDPLUS, EXPUNGE would also remove what others have marked as deleted (RFC 4315): marking is enough.
    if client.has_capability("UIDPLUS"):
        client.uid_expunge(uids)


def _as_utc(moment: datetime | None) -> datetime | None:
    # imapclient gives local time without a zone.
    return moment.astimezone(UTC) if moment is not None else None
