"""Redis may forget: for whatever the database says is owed the bell rings again."""


def reconcile() -> None:
    """Ring for accepted mail, outgoing mail and alerts whose time has come; what waits already is not doubled."""
    from portal.enqueue import wake
    from portal.services import alerts, intake, outbox, waiting_replies

    if intake.has_owed():
        wake("portal.jobs.intake.process_waiting", queue="intake")
    if outbox.has_owed() or waiting_replies.has_due():
        wake("portal.jobs.deliver.deliver_waiting", queue="deliver")
    if alerts.has_owed():
        wake(alerts.JOB)
