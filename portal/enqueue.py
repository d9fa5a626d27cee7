"""The only way to RQ: after the commit, by dotted name, with an id and nothing else.

Redis may be away: what the database says is owed is enqueued again by `portal.jobs.reconcile`.
"""

from typing import Any

import redis
import structlog
from rq import Queue
from rq.exceptions import DuplicateJobError
from sqlalchemy import event
from sqlalchemy.orm import Session

from portal.extensions import db
from portal.redis_handle import redis_handle

QUEUES = ("intake", "deliver", "default")
JOB_TIMEOUT_SECONDS = 120
# Failed jobs are looked at in the database, where what they owe is written; RQ's copy is for debugging.
FAILURE_KEPT_SECONDS = 7 * 24 * 3600

log = structlog.get_logger()


def after_commit(job_name: str, row_id: int, *, queue: str = "default") -> None:
    """Enqueue `job_name(row_id)` once the current transaction has committed; forget it if that rolls back."""
    db.session.info.setdefault("jobs", []).append((queue, job_name, row_id))


def enqueue(job_name: str, row_id: int, *, queue: str = "default") -> bool:
    """Enqueue now; False (and a log line) when Redis is away. A job that already waits is not doubled."""
    work = Queue(queue, connection=redis_handle.client, default_timeout=JOB_TIMEOUT_SECONDS)
    settings = {
        "job_id": f"{job_name.rsplit('.', 1)[-1]}-{row_id}",
        "unique": True,
        "result_ttl": 0,
        "failure_ttl": FAILURE_KEPT_SECONDS,
    }
    try:
        work.enqueue(job_name, row_id, **settings)
    except DuplicateJobError:
        pass
    except redis.RedisError as error:
        log.warning("redis_away", job=job_name, row_id=row_id, error=type(error).__name__)
        return False
    return True


def install(session: Any) -> None:
    """Listen to the session's commits and rollbacks."""
    event.listen(session, "after_commit", _flush)
    event.listen(session, "after_rollback", _forget)


def _flush(session: Session) -> None:
    for queue, job_name, row_id in session.info.pop("jobs", []):
        enqueue(job_name, row_id, queue=queue)


def _forget(session: Session) -> None:
    session.info.pop("jobs", None)
