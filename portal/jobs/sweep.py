"""Looking for clocks that have come due."""


def sweep() -> None:
    """Fire every warning and breach that is due, each once."""
    from portal.services import sweep as sweeping

    sweeping.sweep()
