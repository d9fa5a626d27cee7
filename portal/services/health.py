"""What this installation needs to run, and whether it has it."""

from dataclasses import dataclass
from datetime import timedelta

import redis
from rq import Queue, Worker
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from portal import heartbeats
from portal.enqueue import QUEUES
from portal.extensions import db
from portal.models import ChannelAccount
from portal.models.columns import now
from portal.redis_handle import redis_handle
from portal.services import mailbox_warnings

MAILBOX_LAG = timedelta(minutes=15)


@dataclass(frozen=True)
class Check:
    """One need: its name, whether it is met, and a sentence about it."""

    name: str
    is_ok: bool
    sentence: str


def check_all() -> list[Check]:
    """Every check, in the order in which their failures explain one another. Reads only."""
    checks = [_check_database()]
    checks.append(_check_redis())
    if checks[1].is_ok:
        checks += [
            _check_workers(),
            _check_beat("cron", heartbeats.CRON_KEY),
            _check_beat("listener", heartbeats.LISTENER_KEY),
        ]
    if checks[0].is_ok:
        checks.append(_check_mailboxes())
    return checks


def _check_database() -> Check:
    try:
        revision = db.session.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except SQLAlchemyError as error:
        db.session.rollback()
        return Check("database", False, f"PostgreSQL gives no answer ({type(error).__name__}).")
    return Check("database", True, f"PostgreSQL answers; its schema is at {revision}.")


def _check_redis() -> Check:
    try:
        redis_handle.client.ping()
    except redis.RedisError as error:
        return Check("redis", False, f"Redis gives no answer ({type(error).__name__}).")
    return Check("redis", True, "Redis answers.")


def _check_workers() -> Check:
    workers = Worker.all(connection=redis_handle.client)
    served = {name for worker in workers for name in worker.queue_names()}
    missing = [name for name in QUEUES if name not in served]
    waiting = sum(Queue(name, connection=redis_handle.client).count for name in QUEUES)
    if missing:
        return Check("workers", False, f"No worker serves {', '.join(missing)}; {waiting} jobs wait.")
    return Check("workers", True, f"{len(workers)} workers, {waiting} jobs waiting.")


def _check_beat(name: str, key: str) -> Check:
    if not heartbeats.is_alive(key):
        return Check(
            name, False, f"The {name} process has not been heard of for {heartbeats.LATEST_BEAT_SECONDS} s."
        )
    return Check(name, True, f"The {name} process is alive.")


def _check_mailboxes() -> Check:
    late = db.session.scalar(
        select(func.count())
        .select_from(ChannelAccount)
        .where(
            ChannelAccount.is_active,
            ChannelAccount.imap_host != "",
            (ChannelAccount.fetched_at < now() - MAILBOX_LAG) | ChannelAccount.fetched_at.is_(None),
        )
    )
    if late:
        return Check(
            "mailboxes", False, f"{late} mailboxes could not be fetched for 15 minutes; see Admin, Accounts."
        )
    # A warning is for people: this installation still does its work. Who asks here need not be one of them.
    if count := len(mailbox_warnings.all_warnings()):
        return Check("mailboxes", True, f"Mail is being fetched; {count} warnings, see Admin, Accounts.")
    return Check("mailboxes", True, "All mailboxes are being fetched.")
