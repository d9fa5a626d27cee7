"""Redis may forget: whatever the database says is owed is enqueued again."""

BATCH = 500


def reconcile() -> None:
    """Ring for accepted mail and for every outbox item whose time has come; what waits already is not doubled."""
    from portal.enqueue import enqueue, wake
    from portal.services import intake, outbox

    if intake.has_owed():
        wake("portal.jobs.intake.process_waiting", queue="intake")
    for outbox_item_id in outbox.owed_ids(BATCH):
        enqueue("portal.jobs.deliver.deliver_outbox_item", outbox_item_id, queue="deliver")
