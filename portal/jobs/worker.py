"""The worker processes: one pool, restarted when one dies, with the application loaded before the fork."""

import gc
import os
from typing import Any

from flask import Flask, current_app
from rq import Queue, SimpleWorker, worker_registration
from rq.worker_pool import WorkerPool
from sqlalchemy.exc import DBAPIError

from portal.enqueue import QUEUES
from portal.extensions import db
from portal.redis_handle import redis_handle

# A worker that died with a job in hand is noticed after about three of these.
MAINTENANCE_SECONDS = 30
# RQ waits for work 15 s less than this, then says that it is alive.
TTL_SECONDS = 25
_app: list[Flask] = []


class PortalWorker(SimpleWorker):
    """Runs jobs in its own process, inside the application that was loaded before the fork.

    Forking for every job would cost more than most jobs do; the pool restarts a worker that dies.
    """

    def __init__(self, *words: Any, **settings: Any) -> None:
        super().__init__(
            *words, **{**settings, "maintenance_interval": MAINTENANCE_SECONDS, "worker_ttl": TTL_SECONDS}
        )

    def work(self, *words: Any, **settings: Any) -> bool:
        # What is due later stands in the database and is found by `portal.jobs.reconcile`; RQ's own scheduler would
        # be one more process for every worker.
        done: bool = super().work(*words, **{**settings, "with_scheduler": False})
        return done

    def heartbeat(self, *words: Any, **settings: Any) -> None:
        """RQ registers a worker once; one whose Redis was emptied would serve on unseen."""
        super().heartbeat(*words, **settings)
        with self.connection.pipeline() as pipe:
            worker_registration.register(self, pipe)
            pipe.hset(self.key, mapping=self.serialize())
            pipe.execute()

    def perform_job(self, *words: Any, **settings: Any) -> bool:
        with _app[0].app_context():
            try:
                return super().perform_job(*words, **settings)
            finally:
                _let_go()


def _let_go() -> None:
    """End the job's session; where the database has gone away meanwhile, without it."""
    try:
        db.session.remove()
    except DBAPIError:
        # What was not committed is gone with the connection. The worker goes on.
        db.session.registry.clear()


def run_pool(worker_count: int) -> None:
    """Serve every queue until told to stop. Neither the database nor Redis is connected to before the fork."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    _app[:] = [app]
    prepare_to_fork()
    os.environ.setdefault("RQ_LOG_LEVEL", "WARNING")
    pool = WorkerPool(
        QUEUES, connection=redis_handle.client, num_workers=worker_count, worker_class=PortalWorker
    )
    pool.start(logging_level="WARNING")


def prepare_to_fork() -> None:
    """Load what every worker needs, so that they share its memory, and leave nothing open."""
    _import_jobs()
    db.engine.dispose(close=False)
    # What is loaded by now stays. Looking through it again and again cost a worker a tenth of its time, and a page that
    # is looked through is shared no more.
    gc.collect()
    gc.freeze()


def work_off(app: Flask) -> None:
    """Run what waits in every queue, in this process, and return: for commands and tests."""
    _app[:] = [app]
    client = redis_handle.client
    PortalWorker([Queue(name, connection=client) for name in QUEUES], connection=client).work(
        burst=True, logging_level="WARNING"
    )


def _import_jobs() -> None:
    from portal.jobs import deliver, fetch, intake, maintain, reconcile, sweep  # noqa: F401
