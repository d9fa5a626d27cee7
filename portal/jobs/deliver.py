"""Sending what is owed."""

from portal.enqueue import wake
from portal.services import outbox, waiting_replies

# Well below the time that a job may take.
MOST_SECONDS = 60


def deliver_waiting(_lane: int) -> None:
    """Send everything whose time has come; whoever owes more meanwhile wakes another job."""
    waiting_replies.release_due()
    outbox.deliver_waiting(MOST_SECONDS)
    if outbox.has_owed() or waiting_replies.has_due():
        wake("portal.jobs.deliver.deliver_waiting", queue="deliver")
