"""Telling those outside of the desk what they are owed."""

from portal.enqueue import wake
from portal.services import alerts

# Well below the time that a job may take.
MOST_SECONDS = 60


def alert_waiting(_lane: int) -> None:
    """Send everything whose time has come; slow services hold up no mail of customers."""
    alerts.deliver_waiting(MOST_SECONDS)
    if alerts.has_owed():
        wake(alerts.JOB)
