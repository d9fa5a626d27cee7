"""Processes that serve no page say every few seconds that they are there."""

import time

from portal.redis_handle import redis_handle

CRON_KEY = "portal:cron:beat"
LISTENER_KEY = "portal:listener:beat"
# One this old means that the process is gone.
LATEST_BEAT_SECONDS = 30


def beat(key: str) -> None:
    """Say that the process behind `key` is alive. Raises redis.RedisError."""
    redis_handle.client.set(key, str(time.time()), ex=LATEST_BEAT_SECONDS * 4)


def is_alive(key: str) -> bool:
    """Whether the process behind `key` was heard of lately. Raises redis.RedisError."""
    beat_at = redis_handle.client.get(key)
    return beat_at is not None and time.time() - float(beat_at) <= LATEST_BEAT_SECONDS
