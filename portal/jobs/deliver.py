"""Sending what is owed."""

from portal.services import outbox


def deliver_outbox_item(outbox_item_id: int) -> None:
    """Send one outbox item to the recipients that do not have it yet; does nothing when another has it in hand."""
    outbox.deliver(outbox_item_id)
