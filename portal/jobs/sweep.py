"""Looking for clocks that have come due."""

from portal.services import sweep as sweeping


def sweep() -> None:
    """Fire every warning and breach that is due, each once."""
    sweeping.sweep()
