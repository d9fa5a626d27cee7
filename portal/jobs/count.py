"""Counting open tickets by hours that have changed."""

from portal.enqueue import wake
from portal.services import calendars, counting

# Well below the time that a job may take.
MOST_SECONDS = 60


def count_waiting(_lane: int) -> None:
    """Count as many as fit into the time; the rest in another job, so that nothing else waits behind it."""
    counting.count_waiting(MOST_SECONDS)
    if counting.has_waiting():
        wake(calendars.COUNT_JOB)
