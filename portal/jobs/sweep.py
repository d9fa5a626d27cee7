"""Looking for what has come due: clocks, escalations that nobody acknowledged, and tickets that were snoozed."""


def sweep() -> None:
    """Fire every warning, breach and next step that is due, and bring back every ticket whose moment has come."""
    from portal.services import snoozing, unacknowledged
    from portal.services import sweep as sweeping

    sweeping.sweep()
    unacknowledged.fire_due()
    snoozing.wake_due()
