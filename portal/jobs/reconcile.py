"""Redis may forget: whatever the database says is owed is enqueued again."""

BATCH = 500


def reconcile() -> None:
    """Enqueue every inbox and outbox item whose time has come; those already waiting are not doubled."""
    from portal.enqueue import enqueue
    from portal.services import intake, outbox

    for inbox_item_id in intake.owed_ids(BATCH):
        enqueue("portal.jobs.intake.process_inbox_item", inbox_item_id, queue="intake")
    for outbox_item_id in outbox.owed_ids(BATCH):
        enqueue("portal.jobs.deliver.deliver_outbox_item", outbox_item_id, queue="deliver")
