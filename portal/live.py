"""Live events: published to Redis after the commit, heard by whoever has a page open.

An event is a hint to look again, never a carrier of content: it names a ticket and its branch, and the page asks
through its usual door. Lost ones cost nothing, because a page that reconnects asks for everything since.
"""

import json
from collections.abc import Iterator
from typing import Any

import redis
import structlog
from sqlalchemy import event
from sqlalchemy.orm import Session

from portal.extensions import db
from portal.redis_handle import redis_handle

CHANNEL = "portal:live"
HEARTBEAT_SECONDS = 15

log = structlog.get_logger()


def after_commit(kind: str, **facts: Any) -> None:
    """Publish {"kind": kind, **facts} once the current transaction has committed."""
    db.session.info.setdefault("live", []).append({"kind": kind, **facts})


def publish(kind: str, **facts: Any) -> None:
    """Publish now: presence and typing, which no transaction carries."""
    _publish([{"kind": kind, **facts}])


def listen() -> Iterator[dict[str, Any] | None]:
    """Events as they come; None every HEARTBEAT_SECONDS, so that a caller notices a closed connection.

    Raises redis.RedisError when Redis goes away.
    """
    pubsub = redis_handle.client.pubsub(ignore_subscribe_messages=True)
    try:
        pubsub.subscribe(CHANNEL)
        while True:
            message = pubsub.get_message(timeout=HEARTBEAT_SECONDS)
            yield json.loads(message["data"]) if message else None
    finally:
        pubsub.close()


def install(session: Any) -> None:
    """Listen to the session's commits and rollbacks."""
    event.listen(session, "after_commit", _flush)
    event.listen(session, "after_rollback", lambda closing: closing.info.pop("live", None))


def _flush(session: Session) -> None:
    _publish(session.info.pop("live", []))


def _publish(events: list[dict[str, Any]]) -> None:
    if not events:
        return
    try:
        pipe = redis_handle.client.pipeline(transaction=False)
        for item in events:
            pipe.publish(CHANNEL, json.dumps(item))
        pipe.execute()
    except redis.RedisError as error:
        log.warning("redis_away", events=len(events), error=type(error).__name__)
