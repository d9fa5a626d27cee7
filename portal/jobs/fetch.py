"""Fetching from mailboxes, comparing them with what we have, and warning of what will stop them."""


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


def compare_all() -> None:
    """Ring for the comparison of every mailbox."""
    from portal.enqueue import enqueue
    from portal.services import mailboxes

    for account_id in mailboxes.watched_ids():
        enqueue("portal.jobs.fetch.compare_account", account_id)


def compare_account(account_id: int) -> None:
    """Accept what lies in one mailbox and never came here."""
    from portal.services import mailboxes

    mailboxes.compare(account_id)


def warn_of_mailboxes() -> None:
    """Tell admins of logins that have ended or will end."""
    from portal.services import mailbox_warnings

    mailbox_warnings.look_and_tell()
