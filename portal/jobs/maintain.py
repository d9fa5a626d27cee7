"""Housekeeping."""


def maintain() -> None:
    """Make the coming months' partitions, close what has long been resolved, drop uploads nobody used."""
    from portal.services import events, tickets, uploads

    events.ensure_partitions()
    tickets.close_resolved()
    uploads.drop_unused()
