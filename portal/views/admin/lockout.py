"""Guessing passwords is slowed down by account: a few tries are free, then one for each of ever longer waits.

Names are counted as they are typed, whether or not they exist, so that the answer does not tell which do. Redis
holds the counts; while it is away, each process counts for itself.
"""

import hashlib
import threading
import time

import redis

from portal.redis_handle import redis_handle

FREE_TRIES = 5
FIRST_WAIT_SECONDS = 30
LONGEST_WAIT_SECONDS = 15 * 60
FORGOTTEN_AFTER_SECONDS = 3600

_counts: dict[str, tuple[int, float]] = {}
_gates: dict[str, float] = {}
_lock = threading.Lock()


def seconds_to_wait(name: str) -> int:
    """0 when a try for this name may go on, which is then counted; else the seconds until the next one may.

    The try is counted before the password is looked at: a hundred tries at once are a hundred tries.
    """
    key = _key(name)
    try:
        return _claim_in_redis(key)
    except redis.RedisError:
        return _claim_in_memory(key)


def forget(name: str) -> None:
    """The right password was given: the name starts afresh."""
    key = _key(name)
    with _lock:
        _counts.pop(key, None)
        _gates.pop(key, None)
    try:
        redis_handle.client.delete(f"{key}:tries", f"{key}:gate")
    except redis.RedisError:
        return


def wait_after(tries: int) -> int:
    """Seconds that must pass after so many tries: 30, doubled with each, at most a quarter of an hour."""
    return min(FIRST_WAIT_SECONDS * 2 ** min(max(tries - FREE_TRIES, 0), 10), LONGEST_WAIT_SECONDS)


def _claim_in_redis(key: str) -> int:
    client = redis_handle.client
    tries = int(client.incr(f"{key}:tries"))
    client.expire(f"{key}:tries", FORGOTTEN_AFTER_SECONDS)
    if tries < FREE_TRIES or client.set(f"{key}:gate", 1, nx=True, ex=wait_after(tries)):
        return 0
    client.decr(f"{key}:tries")
    return max(int(client.ttl(f"{key}:gate")), 1)


def _claim_in_memory(key: str) -> int:
    moment = time.monotonic()
    with _lock:
        tries, since = _counts.get(key, (0, moment))
        tries = 1 if moment - since > FORGOTTEN_AFTER_SECONDS else tries + 1
        open_at = _gates.get(key, 0.0)
        if tries >= FREE_TRIES and moment < open_at:
            return max(int(open_at - moment), 1)
        if len(_counts) > 10_000:
            _counts.clear()
            _gates.clear()
        _counts[key] = (tries, moment)
        if tries >= FREE_TRIES:
            _gates[key] = moment + wait_after(tries)
    return 0


def _key(name: str) -> str:
    return "portal:login:" + hashlib.sha256(name.strip().lower().encode()).hexdigest()[:32]
