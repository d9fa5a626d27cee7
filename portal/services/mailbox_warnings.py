"""What is about to stop a mailbox from working, or has done so: said on its page and, once, to every admin."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog
from sqlalchemy import select

from portal.channels.email.oauth import SignInTrouble
from portal.errors import Permanent
from portal.extensions import db
from portal.models import ChannelAccount
from portal.models.columns import now
from portal.services import notifications, sign_in
from portal.services.transaction import transaction

# Refused logins in a row that are no accident any more.
SUSPICIOUS_FAILURES = 3
# Days before something ends at which it is said, once each; the page says it from the first of them on.
STEPS = (30, 14, 7, 2, 0)
LATE = timedelta(minutes=15)

log = structlog.get_logger()


@dataclass(frozen=True)
class MailboxWarning:
    """One thing that an admin has to do. Two warnings of the same fact have the same key."""

    fact_key: str
    sentence: str


def warnings_of(account: ChannelAccount) -> list[MailboxWarning]:
    """What is wrong with the account or will be, the worst first. Reads only what is on the row."""
    if not account.is_active or not (account.imap_host or account.smtp_host):
        return []
    found = [*_failures(account), *_expiries(account)]
    return [
        MailboxWarning(f"mailbox-{account.id}-{key}", f"{account.address}: {sentence}")
        for key, sentence in found
    ]


def all_warnings() -> list[MailboxWarning]:
    """The warnings of every account. Reads only."""
    accounts = db.session.scalars(select(ChannelAccount).where(ChannelAccount.is_active))
    return [warning for account in accounts for warning in warnings_of(account)]


def look_and_tell() -> None:
    """Ask for an access token wherever one is needed, and tell the admins what is wrong. Commits."""
    by_token = select(ChannelAccount).where(
        ChannelAccount.is_active,
        ChannelAccount.auth_kind != "password",
        ChannelAccount.oauth_signed_in_at.is_not(None),
    )
    for account in db.session.scalars(by_token).all():
        try:
            sign_in.access_token(account)
        except (SignInTrouble, Permanent) as error:
            log.warning("no_access_token", account_id=account.id)
            note_failure(
                account, str(error), is_login=not isinstance(error, SignInTrouble) or error.is_refused
            )
    tell_admins(all_warnings())


def note_failure(account: ChannelAccount, sentence: str, *, is_login: bool) -> None:
    """Write to the account what went wrong; refused logins are counted, and told once they are no accident. Commits."""
    with transaction(account):
        account.last_error = sentence[:1000]
        if is_login:
            account.login_failure_count += 1
            account.login_failed_at = account.login_failed_at or now()
    if is_login and account.login_failure_count == SUSPICIOUS_FAILURES:
        tell_admins(warnings_of(account))


def tell_admins(warnings: list[MailboxWarning]) -> None:
    """Put the warnings into every admin's bell, each once. Commits."""
    if not warnings:
        return
    user_ids = notifications.admin_ids()
    with transaction():
        for user_id in user_ids:
            for warning in warnings:
                notifications.notify(user_id, "mailbox_warning", warning.sentence, fact_key=warning.fact_key)


def _failures(account: ChannelAccount) -> list[tuple[str, str]]:
    found = []
    if account.auth_kind != "password" and account.oauth_signed_in_at is None:
        found.append(("unsigned", "nobody has signed in yet, so no mail is fetched or sent."))
    if account.login_failure_count >= SUSPICIOUS_FAILURES and account.login_failed_at:
        since = account.login_failed_at
        found.append(
            (
                f"login-{since:%Y%m%dT%H%M}",
                f"the login has been refused {account.login_failure_count} times since {_moment(since)}. "
                f"{account.last_error}",
            )
        )
    elif account.imap_host and (account.fetched_at or account.created_at) < now() - LATE:
        since = account.fetched_at or account.created_at
        found.append(
            (
                f"late-{since:%Y%m%dT%H%M}",
                f"no mail could be fetched since {_moment(since)}. {account.last_error}".rstrip(),
            )
        )
    return found


def _expiries(account: ChannelAccount) -> list[tuple[str, str]]:
    found = []
    if account.auth_kind != "password" and account.oauth_refresh_expires_at:
        found += _ending("sign-in", "the sign-in", account.oauth_refresh_expires_at.date(), "Sign in again.")
    if account.secret_expires_on:
        what = "the password" if account.auth_kind == "password" else "the client secret"
        found += _ending("secret", what, account.secret_expires_on, "Enter a new one, with its own last day.")
    return found


def _ending(kind: str, what: str, day: date, remedy: str) -> list[tuple[str, str]]:
    days = (day - now().date()).days
    passed = [step for step in STEPS if days <= step]
    if not passed:
        return []
    if days < 0:
        sentence = f"{what} has expired on {day.isoformat()}. {remedy}"
    else:
        when = "today" if days == 0 else "tomorrow" if days == 1 else f"in {days} days"
        sentence = f"{what} expires {when}, on {day.isoformat()}. {remedy}"
    return [(f"{kind}-{day.isoformat()}-{passed[-1]}", sentence)]


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
