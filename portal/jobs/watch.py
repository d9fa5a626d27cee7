"""Threads of the listener process that hold an IDLE to every mailbox: a mail is fetched when it comes.

Polling goes on beside them: whatever breaks here delays a mail by a minute and loses none.
"""

import random
import threading
import time
from dataclasses import dataclass, field

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from portal.channels.email import idle
from portal.channels.email.imap import ImapTrouble
from portal.errors import Permanent, Retryable
from portal.services import mailboxes

LOOK_SECONDS = 20
FIRST_PAUSE_SECONDS = 5
LONGEST_PAUSE_SECONDS = 15 * 60
# Without IDLE, or with a refused login, nothing gets better by trying often.
HOPELESS_PAUSE_SECONDS = 3600
# A connection that lasted so long had been fine.
GOOD_SECONDS = 120

log = structlog.get_logger()


@dataclass
class _Watch:
    reach: mailboxes.Reach
    ended: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


def watch_for_ever(app: Flask, stopped: threading.Event, *, look_seconds: float = LOOK_SECONDS) -> None:
    """Keep one thread for each mailbox, begun anew when its settings change, until `stopped`."""
    watches: dict[int, _Watch] = {}
    while True:
        try:
            with app.app_context():
                wanted = mailboxes.reaches()
        except SQLAlchemyError as error:
            log.warning("database_away", process="watcher", error=type(error).__name__)
        else:
            _adjust(app, watches, wanted)
        if stopped.wait(look_seconds):
            break
    for watch in watches.values():
        watch.ended.set()


def pause_seconds(failures: int) -> float:
    """How long to wait after so many failures in a row: doubled each time, and never the same for all."""
    longest: float = min(FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 20), LONGEST_PAUSE_SECONDS)
    return longest * random.uniform(0.5, 1)  # noqa: S311 - no secret


def _adjust(app: Flask, watches: dict[int, _Watch], wanted: dict[int, mailboxes.Reach]) -> None:
    for account_id, watch in list(watches.items()):
        if wanted.get(account_id) != watch.reach:
            watch.ended.set()
            del watches[account_id]
    for account_id, reach in wanted.items():
        if account_id not in watches:
            watches[account_id] = watch = _Watch(reach)
            watch.thread = threading.Thread(
                target=_watch, args=(app, account_id, watch), name=f"idle-{account_id}", daemon=True
            )
            watch.thread.start()


def _watch(app: Flask, account_id: int, watch: _Watch) -> None:
    failures = 0

    def heard() -> None:
        with app.app_context():
            mailboxes.ring(account_id)

    while not watch.ended.is_set():
        began = time.monotonic()
        pause: float | None = None
        try:
            with app.app_context():
                settings = mailboxes.settings_by_id(account_id)
            idle.hold(settings, heard, lambda: not watch.ended.is_set())
        except ImapTrouble as trouble:
            pause = HOPELESS_PAUSE_SECONDS if trouble.step in ("idle", "login") else None
            log.info("idle_ended", account_id=account_id, step=trouble.step)
        except (Permanent, Retryable, SQLAlchemyError, OSError) as error:
            log.info("idle_ended", account_id=account_id, error=type(error).__name__)
        except Exception:
            # Whatever else it is: this thread is the mailbox's only one.
            log.exception("idle_failed", account_id=account_id)
        failures = 0 if time.monotonic() - began > GOOD_SECONDS else failures + 1
        watch.ended.wait(pause_seconds(failures) if pause is None else pause)
