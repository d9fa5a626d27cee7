"""Housekeeping."""


def maintain() -> None:
    """Make the coming months' partitions, close what has long been resolved, drop uploads nobody used.

    And write down the public holidays of years that have come near.
    """
    from portal.services import calendars, events, tickets, uploads

    events.ensure_partitions()
    tickets.close_resolved()
    uploads.drop_unused()
    calendars.extend_holidays()
