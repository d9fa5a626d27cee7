"""Redis may forget: for whatever the database says is owed the bell rings again."""


def reconcile() -> None:
    """Ring for mail in and out, alerts whose time has come and changed calendars; what waits already is not doubled."""
    from portal.enqueue import wake
    from portal.services import alerts, calendars, counting, intake, outbox, waiting_replies

    if intake.has_owed():
        wake("portal.jobs.intake.process_waiting", queue="intake")
    if outbox.has_owed() or waiting_replies.has_due():
        wake("portal.jobs.deliver.deliver_waiting", queue="deliver")
    if alerts.has_owed():
        wake(alerts.JOB)
    if counting.has_waiting():
        wake(calendars.COUNT_JOB)
