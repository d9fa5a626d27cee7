"""Fetching from IMAP mailboxes: accepted and committed one by one, told to the server only then."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import structlog
from sqlalchemy import Select, case, or_, select, update

from portal import enqueue
from portal.channels.base import IncomingBytes
from portal.channels.email import imap
from portal.channels.email.connecting import Security
from portal.channels.email.oauth import SignInTrouble
from portal.errors import Permanent, Retryable
from portal.extensions import db
from portal.models import ChannelAccount, InboxItem
from portal.models.columns import now
from portal.secrets_box import unseal
from portal.services import intake, mailbox_warnings, sign_in
from portal.services.transaction import affected, transaction

INTERVAL = timedelta(seconds=60)
PAUSE_AFTER_TROUBLE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=1)
# A fetch that is still running after this is taken to be dead, and the mailbox is fetched again.
LEASE = timedelta(minutes=10)
BATCH = 500
# Half of what a job may take.
DRAIN_SECONDS = 60

log = structlog.get_logger()


def due_account_ids() -> list[int]:
    """Ids of the active mailboxes whose next fetch is due. Reads only."""
    found = select(ChannelAccount.id).where(
        ChannelAccount.is_active,
        ChannelAccount.imap_host != "",
        or_(ChannelAccount.next_fetch_at.is_(None), ChannelAccount.next_fetch_at <= now()),
    )
    return list(db.session.scalars(found.order_by(ChannelAccount.id)))


def fetch(account_id: int) -> int:
    """Accept what is new in one mailbox, oldest first; return how many mails. Commits after each.

    Does nothing when the mailbox is not due or another worker has it. A long queue is worked at for a minute, then
    left to the next call. Trouble is written to the account, shown to admins, and tried again later.
    """
    taken = 0
    until = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < until:
        began_at = now()
        if not _claim(account_id):
            break
        account = db.session.get(ChannelAccount, account_id)
        assert account is not None, "a claimed account exists"
        batch = _fetch_batch(account, began_at)
        taken += batch.count
        if not batch.is_more:
            break
    return taken


def ring(account_id: int) -> None:
    """The server has said that something came: fetch at once. Commits.

    A fetch that is at work is left alone, and looks again when it is done; so is one that waits after trouble.
    """
    at = now()
    is_near = or_(ChannelAccount.next_fetch_at.is_(None), ChannelAccount.next_fetch_at <= at + INTERVAL)
    with transaction():
        affected(
            update(ChannelAccount)
            .where(ChannelAccount.id == account_id, ChannelAccount.is_active)
            .values(rung_at=at, next_fetch_at=case((is_near, at), else_=ChannelAccount.next_fetch_at))
        )
    enqueue.enqueue("portal.jobs.fetch.fetch_account", account_id)


def compare(account_id: int) -> int:
    """Accept what lies in the folder, up to where it was read, and never came here; return how many. Commits.

    The folder's numbers are compared with the inbox items' keys some hundreds at a time.
    """
    account = db.session.get(ChannelAccount, account_id)
    if account is None or not account.is_active or not account.imap_host or account.uid_validity is None:
        return 0
    try:
        taken = imap.fetch_missing(
            settings_of(account), _cursor_of(account), _unknown, _accept_for(account_id), limit=BATCH
        )
    except (imap.ImapTrouble, Permanent, Retryable) as error:
        # Fetching has the same trouble, and tells of it.
        db.session.rollback()
        log.warning("compare_failed", account_id=account_id, error=type(error).__name__)
        return 0
    if taken:
        log.warning("missing_mail_pulled", account_id=account_id, count=taken)
    with transaction():
        account.compared_at = now()
    return taken


def watched_ids() -> list[int]:
    """Ids of the active mailboxes that are read by IMAP. Reads only."""
    return [account_id for account_id, *_ in db.session.execute(_read_by_imap(ChannelAccount.id))]


@dataclass(frozen=True)
class Reach:
    """What a connection to a mailbox depends on: with another one it has to be made anew."""

    values: tuple[object, ...] = field(repr=False)


def reaches() -> dict[int, Reach]:
    """How the active mailboxes are reached, by account. Reads only."""
    account = ChannelAccount
    columns = (
        account.imap_host,
        account.imap_port,
        account.imap_security,
        account.imap_username,
        account.imap_folder,
        account.auth_kind,
        account.imap_password_encrypted,
        account.oauth_signed_in_at,
    )
    rows = db.session.execute(_read_by_imap(account.id, *columns))
    return {account_id: Reach(tuple(values)) for account_id, *values in rows}


def settings_by_id(account_id: int) -> imap.ImapSettings:
    """Like `settings_of`. Raises Permanent also when the account is gone."""
    account = db.session.get(ChannelAccount, account_id)
    if account is None:
        raise Permanent("There is no such account any more.")
    return settings_of(account)


def settings_of(account: ChannelAccount) -> imap.ImapSettings:
    """How to reach the mailbox.

    Raises Permanent when its password cannot be read, Retryable when there is no access token now.
    """
    is_by_token = account.auth_kind != "password"
    return imap.ImapSettings(
        account_id=account.id,
        host=account.imap_host,
        port=account.imap_port,
        security=cast(Security, account.imap_security),
        username=account.imap_username,
        password="" if is_by_token else unseal(account.imap_password_encrypted),
        access_token=sign_in.access_token(account) if is_by_token else "",
        folder=account.imap_folder,
        post_action=cast(imap.PostAction, account.imap_post_action),
        move_folder=account.imap_move_folder,
    )


@dataclass(frozen=True)
class _Batch:
    count: int
    is_more: bool


def _fetch_batch(account: ChannelAccount, began_at: datetime) -> _Batch:
    count = 0
    is_resumed = False
    accept = _accept_for(account.id)

    def kept(source_keys: list[str]) -> dict[str, int]:
        nonlocal is_resumed
        sizes = _kept_sizes(source_keys)
        is_resumed = is_resumed or bool(sizes)
        return sizes

    def counted(mail: imap.FetchedMail) -> None:
        nonlocal count
        accept(mail)
        count += 1

    try:
        cursor = imap.fetch_new(settings_of(account), _cursor_of(account), counted, limit=BATCH, kept=kept)
    except (imap.ImapTrouble, Permanent, Retryable) as error:
        db.session.rollback()
        _note_trouble(account, error)
        return _Batch(count, is_more=False)
    with transaction(account):
        account.uid_validity, account.last_uid = cursor.uid_validity, cursor.last_uid
        account.fetched_at, account.last_error = now(), ""
        account.login_failure_count, account.login_failed_at = 0, None
        # A full batch means that more is waiting; what was rung for meanwhile may have come too late for this one.
        is_more = (
            is_resumed or count >= BATCH or (account.rung_at is not None and account.rung_at >= began_at)
        )
        account.next_fetch_at = now() if is_more else now() + INTERVAL
    return _Batch(count, is_more)


def _accept_for(account_id: int) -> Callable[[imap.FetchedMail], None]:
    def accept(mail: imap.FetchedMail) -> None:
        intake.accept(
            IncomingBytes(
                source_key=mail.source_key,
                channel_kind="email",
                account_id=account_id,
                envelope_from="",
                envelope_to=(),
                received_at=mail.received_at or now(),
                raw=mail.raw,
            ),
            problem=mail.problem,
        )

    return accept


def _kept_sizes(source_keys: list[str]) -> dict[str, int]:
    kept = select(InboxItem.source_key, InboxItem.size_bytes).where(InboxItem.source_key.in_(source_keys))
    return {row.source_key: row.size_bytes for row in db.session.execute(kept)}


def _unknown(source_keys: list[str]) -> set[str]:
    known = select(InboxItem.source_key).where(InboxItem.source_key.in_(source_keys))
    return set(source_keys) - set(db.session.scalars(known))


def _read_by_imap(*columns: Any) -> Select[Any]:
    found = select(*columns).where(ChannelAccount.is_active, ChannelAccount.imap_host != "")
    return found.order_by(ChannelAccount.id)


def _cursor_of(account: ChannelAccount) -> imap.Cursor:
    return imap.Cursor(uid_validity=account.uid_validity, last_uid=account.last_uid)


def _claim(account_id: int) -> bool:
    at = now()
    with transaction():
        claimed = affected(
            update(ChannelAccount)
            .where(
                ChannelAccount.id == account_id,
                ChannelAccount.is_active,
                or_(ChannelAccount.next_fetch_at.is_(None), ChannelAccount.next_fetch_at <= at),
            )
            .values(next_fetch_at=at + LEASE)
        )
    return bool(claimed)


def _note_trouble(account: ChannelAccount, error: Exception) -> None:
    log.warning("fetch_failed", account_id=account.id)
    is_login = isinstance(error, Permanent)
    if isinstance(error, imap.ImapTrouble):
        is_login = error.step == "login"
    elif isinstance(error, SignInTrouble):
        is_login = error.is_refused
    mailbox_warnings.note_failure(account, str(error), is_login=is_login)
    # Servers lock out whoever tries a wrong password all the time.
    doublings = min(max(account.login_failure_count - 1, 0), 4) if is_login else 0
    with transaction():
        account.next_fetch_at = now() + min(PAUSE_AFTER_TROUBLE * 2**doublings, LONGEST_PAUSE)
