"""Housekeeping."""

from portal.services import events, tickets, uploads


def maintain() -> None:
    """Make the coming months' partitions, close what has long been resolved, drop uploads nobody used."""
    events.ensure_partitions()
    tickets.close_resolved()
    uploads.drop_unused()
