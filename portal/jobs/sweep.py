"""Looking for what has come due: clocks, and tickets that were snoozed."""


def sweep() -> None:
    """Fire every warning and breach that is due and bring back every ticket whose moment has come, each once."""
    from portal.services import snoozing
    from portal.services import sweep as sweeping

    sweeping.sweep()
    snoozing.wake_due()
