"""Whether a mailbox's servers let us in, step by step."""

from dataclasses import replace

from portal.channels.base import ConnectionStep
from portal.channels.email import imap, smtp
from portal.models import ChannelAccount
from portal.services import accounts, mailboxes

# A person waits for the answer, in a request.
TIMEOUT_SECONDS = 10


def check_account(account: ChannelAccount) -> list[tuple[str, ConnectionStep]]:
    """The steps of reaching the account's own servers, as (protocol, step). Opens connections, changes nothing.

    Only the last step of each protocol can have failed. Nothing for an account without servers of its own. Raises
    Permanent when a stored password cannot be read, Retryable when there is no access token now.
    """
    steps: list[tuple[str, ConnectionStep]] = []
    if account.imap_host:
        reach = replace(mailboxes.settings_of(account), timeout_seconds=TIMEOUT_SECONDS)
        steps += [("IMAP", step) for step in imap.test_connection(reach)]
    if account.smtp_host:
        relay = replace(accounts.relay_of(account), timeout_seconds=TIMEOUT_SECONDS)
        steps += [("SMTP", step) for step in smtp.test_connection(relay)]
    return steps
