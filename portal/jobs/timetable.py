"""The process that says what is done when: `python -m portal.jobs.timetable`.

The bell only rings, what is due stands in the database: nothing of the application is loaded here.
Two bells would enqueue twice, so one process rings, behind a lock in Redis; a second one waits to take over.
"""

import time

import redis
import structlog
from rq.cron import CronScheduler

from config import Settings, load_settings
from portal import embedded, heartbeats, logs
from portal.jobs import fetch, maintain, reconcile, sweep
from portal.redis_handle import redis_handle

LOCK_KEY = "portal:cron:lock"
LOCK_SECONDS = 30
AWAY_SECONDS = 2

log = structlog.get_logger()


class Bell(CronScheduler):
    """RQ's scheduler that rings while it holds the lock, and says that it is alive."""

    lock: "redis.lock.Lock"

    def heartbeat(self) -> None:
        super().heartbeat()
        self.lock.extend(LOCK_SECONDS, replace_ttl=True)
        heartbeats.beat(heartbeats.CRON_KEY)

    def calculate_sleep_interval(self) -> float:
        # Never sleep longer than the lock lasts.
        return min(super().calculate_sleep_interval(), LOCK_SECONDS / 3)


def ring_for_ever(settings: Settings) -> None:
    """Ring until a signal; while Redis is away or another process rings, wait."""
    redis_handle.init_url(settings.redis_url)
    while True:
        try:
            lock = redis_handle.client.lock(LOCK_KEY, timeout=LOCK_SECONDS)
            if lock.acquire(blocking=True, blocking_timeout=LOCK_SECONDS):
                _ring(lock)
                return
        except redis.RedisError as error:
            log.warning("redis_away", process="cron", error=type(error).__name__)
            time.sleep(AWAY_SECONDS)


def _ring(lock: "redis.lock.Lock") -> None:
    bell = Bell(redis_handle.client, logging_level="WARNING")
    bell.lock = lock
    for job, seconds in (
        (reconcile.reconcile, 5),
        (sweep.sweep, 15),
        (fetch.fetch_due, 10),
        (fetch.warn_of_mailboxes, 600),
        (fetch.compare_all, 3600),
        (maintain.maintain, 3600),
    ):
        # A job that nobody took before the next ring is dropped: the next one finds the same things due.
        bell.register(job, "default", interval=seconds, ttl=max(seconds, 10), result_ttl=0, failure_ttl=300)
    bell.start()
    try:
        lock.release()
    except redis.RedisError:
        log.info("cron_lock_lost")


if __name__ == "__main__":
    wanted = embedded.with_engines(load_settings())
    logs.configure_logs(wanted.log_format)
    ring_for_ever(wanted)
