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
from portal.wording import N_, Sentence, sentence

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
        MailboxWarning(
            f"mailbox-{account.id}-{key}",
            sentence("%(address)s: %(says)s", address=account.address, says=says),
        )
        for key, says in found
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


def note_failure(account: ChannelAccount, says: str, *, is_login: bool) -> None:
    """Write to the account what went wrong; refused logins are counted, and told once they are no accident. Commits."""
    with transaction(account):
        account.last_error = says[:1000]
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


def _failures(account: ChannelAccount) -> list[tuple[str, Sentence]]:
    found = []
    if account.auth_kind != "password" and account.oauth_signed_in_at is None:
        found.append(("unsigned", sentence("nobody has signed in yet, so no mail is fetched or sent.")))
    if account.login_failure_count >= SUSPICIOUS_FAILURES and account.login_failed_at:
        since = account.login_failed_at
        found.append(
            (
                f"login-{since:%Y%m%dT%H%M}",
                sentence(
                    "the login has been refused %(count)s times since %(moment)s. %(error)s",
                    count=account.login_failure_count,
                    moment=_moment(since),
                    error=account.last_error,
                ),
            )
        )
    elif account.imap_host and (account.fetched_at or account.created_at) < now() - LATE:
        since = account.fetched_at or account.created_at
        found.append(
            (
                f"late-{since:%Y%m%dT%H%M}",
                _not_fetched(_moment(since), account.last_error),
            )
        )
    return found


def _not_fetched(moment: str, error: str) -> Sentence:
    if not error:
        return sentence("no mail could be fetched since %(moment)s.", moment=moment)
    return sentence("no mail could be fetched since %(moment)s. %(error)s", moment=moment, error=error)


def _expiries(account: ChannelAccount) -> list[tuple[str, Sentence]]:
    found = []
    if account.auth_kind != "password" and account.oauth_refresh_expires_at:
        remedy = sentence("Sign in again.")
        found += _ending("sign-in", _SIGN_IN, account.oauth_refresh_expires_at.date(), remedy)
    if account.secret_expires_on:
        ends = _PASSWORD if account.auth_kind == "password" else _CLIENT_SECRET
        remedy = sentence("Enter a new one, with its own last day.")
        found += _ending("secret", ends, account.secret_expires_on, remedy)
    return found


def _ending(kind: str, ends: "_Ends", day: date, remedy: Sentence) -> list[tuple[str, Sentence]]:
    days = (day - now().date()).days
    passed = [step for step in STEPS if days <= step]
    if not passed:
        return []
    said = ends.has if days < 0 else ends.today if days == 0 else ends.tomorrow if days == 1 else ends.later
    told = sentence(said, day=day.isoformat(), days=days)
    key = f"{kind}-{day.isoformat()}-{passed[-1]}"
    return [(key, sentence("%(says)s %(remedy)s", says=told, remedy=remedy))]


@dataclass(frozen=True)
class _Ends:
    """How it is said that something of a mailbox ends: that it has, today, tomorrow, in some days."""

    has: str
    today: str
    tomorrow: str
    later: str


_SIGN_IN = _Ends(
    N_("the sign-in has expired on %(day)s."),
    N_("the sign-in expires today, on %(day)s."),
    N_("the sign-in expires tomorrow, on %(day)s."),
    N_("the sign-in expires in %(days)s days, on %(day)s."),
)
_PASSWORD = _Ends(
    N_("the password has expired on %(day)s."),
    N_("the password expires today, on %(day)s."),
    N_("the password expires tomorrow, on %(day)s."),
    N_("the password expires in %(days)s days, on %(day)s."),
)
_CLIENT_SECRET = _Ends(
    N_("the client secret has expired on %(day)s."),
    N_("the client secret expires today, on %(day)s."),
    N_("the client secret expires tomorrow, on %(day)s."),
    N_("the client secret expires in %(days)s days, on %(day)s."),
)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
