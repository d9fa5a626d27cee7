"""Turning accepted bytes into messages."""

from portal.enqueue import wake
from portal.services import intake

# Well below the time that a job may take.
MOST_SECONDS = 60


def process_waiting(_lane: int) -> None:
    """Deal with everything that was accepted; whoever accepts more meanwhile wakes another job."""
    intake.process_waiting(MOST_SECONDS)
    if intake.has_owed():
        wake("portal.jobs.intake.process_waiting", queue="intake")
