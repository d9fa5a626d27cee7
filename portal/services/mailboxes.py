"""Fetching from IMAP mailboxes: accepted and committed one by one, told to the server only then."""

from datetime import timedelta
from typing import cast

import structlog
from sqlalchemy import or_, select, update

from portal.channels.base import IncomingBytes
from portal.channels.email import imap
from portal.channels.email.connecting import Security
from portal.channels.email.oauth import SignInTrouble
from portal.errors import Permanent, Retryable
from portal.extensions import db
from portal.models import ChannelAccount
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

    Does nothing when the mailbox is not due or another worker has it. Trouble is written to the account, shown to
    admins, and tried again later.
    """
    if not _claim(account_id):
        return 0
    account = db.session.get(ChannelAccount, account_id)
    assert account is not None, "a claimed account exists"
    taken = 0

    def accept(mail: imap.FetchedMail) -> None:
        nonlocal taken
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
        taken += 1

    try:
        cursor = imap.fetch_new(settings_of(account), _cursor_of(account), accept, limit=BATCH)
    except (imap.ImapTrouble, Permanent, Retryable) as error:
        db.session.rollback()
        _note_trouble(account, error)
        return taken
    with transaction():
        account.uid_validity, account.last_uid = cursor.uid_validity, cursor.last_uid
        account.fetched_at, account.last_error = now(), ""
        account.login_failure_count, account.login_failed_at = 0, None
        # A full batch means that more is waiting.
        account.next_fetch_at = now() if taken >= BATCH else now() + INTERVAL
    return taken


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
