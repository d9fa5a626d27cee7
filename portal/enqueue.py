"""The only way to RQ: after the commit, by dotted name, with an id and nothing else.

Redis may be away: what the database says is owed is enqueued again by `portal.jobs.reconcile`.
"""

import time
from typing import Any, Literal, cast

import redis
import structlog
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.job import Job
from sqlalchemy import event
from sqlalchemy.orm import Session

from portal.extensions import db
from portal.redis_handle import redis_handle

QUEUES = ("intake", "deliver", "default")
JOB_TIMEOUT_SECONDS = 120
# Failed jobs are looked at in the database, where what they owe is written; RQ's copy is for debugging.
LANES = 8
FAILURE_KEPT_SECONDS = 7 * 24 * 3600

log = structlog.get_logger()


def after_commit(job_name: str, row_id: int, *, queue: str = "default") -> None:
    """Enqueue `job_name(row_id)` once the current transaction has committed; forget it if that rolls back."""
    db.session.info.setdefault("jobs", []).append((queue, job_name, row_id))


def wake_after_commit(job_name: str, *, queue: str = "default") -> None:
    """Like after_commit, for a job that deals with everything that waits: see `wake`."""
    db.session.info.setdefault("wakes", {})[job_name] = queue


def wake(job_name: str, *, queue: str = "default") -> bool:
    """Make sure that `job_name(lane)` begins some time from now on; False when Redis is away.

    One that is queued will see everything that has been committed by now; one that runs may not, so another is
    queued in the next lane. However much comes in, no more than LANES of them ever wait, and one more a second
    while all lanes seem to run: workers that died leave theirs behind for RQ to clear.
    """
    if _status(_job_id(job_name, 0)) == b"queued":
        # The usual answer while much comes in, for a fraction of what asking RQ costs.
        return True
    for lane in (*range(LANES), int(time.time())):
        answer = _enqueue(job_name, lane, queue)
        if answer != "running":
            return answer != "away"
    return True


def enqueue(job_name: str, row_id: int, *, queue: str = "default") -> bool:
    """Enqueue now; False (and a log line) when Redis is away. A job that is queued or runs is not doubled."""
    return _enqueue(job_name, row_id, queue) != "away"


def _enqueue(job_name: str, row_id: int, queue: str) -> Literal["queued", "running", "away"]:
    job_id = _job_id(job_name, row_id)
    work = Queue(queue, connection=redis_handle.client, default_timeout=JOB_TIMEOUT_SECONDS)
    try:
        work.enqueue(
            job_name, row_id, job_id=job_id, unique=True, result_ttl=0, failure_ttl=FAILURE_KEPT_SECONDS
        )
    except DuplicateJobError:
        # One that has just ended is gone from Redis, and may have looked too early.
        return "queued" if _status(job_id) == b"queued" else "running"
    except redis.RedisError as error:
        log.warning("redis_away", job=job_name, row_id=row_id, error=type(error).__name__)
        return "away"
    return "queued"


def _job_id(job_name: str, row_id: int) -> str:
    return f"{job_name.rsplit('.', 1)[-1]}-{row_id}"


def _status(job_id: str) -> bytes | None:
    try:
        return cast("bytes | None", redis_handle.client.hget(Job.key_for(job_id), "status"))
    except redis.RedisError:
        return None


def install(session: Any) -> None:
    """Listen to the session's commits and rollbacks."""
    event.listen(session, "after_commit", _flush)
    event.listen(session, "after_rollback", _forget)


def _flush(session: Session) -> None:
    for job_name, queue in session.info.pop("wakes", {}).items():
        wake(job_name, queue=queue)
    for queue, job_name, row_id in session.info.pop("jobs", []):
        enqueue(job_name, row_id, queue=queue)


def _forget(session: Session) -> None:
    session.info.pop("jobs", None)
    session.info.pop("wakes", None)
