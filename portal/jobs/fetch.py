"""Fetching from mailboxes."""

from portal.enqueue import enqueue
from portal.services import mailboxes


def fetch_due() -> None:
    """Ring for every mailbox whose time has come."""
    for account_id in mailboxes.due_account_ids():
        enqueue("portal.jobs.fetch.fetch_account", account_id)


def fetch_account(account_id: int) -> None:
    """Accept what is new in one mailbox."""
    mailboxes.fetch(account_id)
