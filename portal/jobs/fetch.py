"""Fetching from mailboxes."""


def fetch_due() -> None:
    """Ring for every mailbox whose time has come."""
    from portal.enqueue import enqueue
    from portal.services import mailboxes

    for account_id in mailboxes.due_account_ids():
        enqueue("portal.jobs.fetch.fetch_account", account_id)


def fetch_account(account_id: int) -> None:
    """Accept what is new in one mailbox."""
    from portal.services import mailboxes

    mailboxes.fetch(account_id)
