"""Turning accepted bytes into messages."""

from portal.services import intake


def process_waiting(_lane: int) -> None:
    """Deal with everything that was accepted; whoever accepts more meanwhile wakes another job."""
    intake.process_waiting()


def process_inbox_item(inbox_item_id: int) -> None:
    """Parse, place and write one inbox item; does nothing when that has happened already."""
    intake.process(inbox_item_id)
