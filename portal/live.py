"""Live events: published to Redis after the commit, heard by whoever has a page open.

An event is a hint to look again, never a carrier of content: it names a ticket and its branch, and the page asks
through its usual door. Lost ones cost nothing, because a page that reconnects asks for everything since.
"""

import json
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import redis
import structlog
from sqlalchemy import event
from sqlalchemy.orm import Session

from portal.extensions import db
from portal.redis_handle import redis_handle

CHANNEL = "portal:live"
HEARTBEAT_SECONDS = 15
# How long Redis is left alone before it is asked again.
RETRY_SECONDS = 1.0
# A listener that has so much waiting no longer reads: it is let go, and asks for everything when it comes back.
MOST_WAITING = 500

log = structlog.get_logger()


class Sign(Enum):
    """What a listener hears besides hints."""

    HERE = "hints come from now on"
    AWAY = "hints may be missed from now on"
    BEAT = "nothing has happened"


@dataclass(frozen=True)
class Hint:
    """Something has happened: its facts, and the same as JSON, written once for all who hear it."""

    facts: dict[str, Any]
    text: str


@dataclass(frozen=True, eq=False)
class _Listener:
    wants: Callable[[dict[str, Any]], bool]
    waiting: "queue.SimpleQueue[Hint | Sign | None]" = field(default_factory=queue.SimpleQueue)


def after_commit(kind: str, **facts: Any) -> None:
    """Publish {"kind": kind, **facts} once the current transaction has committed."""
    db.session.info.setdefault("live", []).append({"kind": kind, **facts})


def reach_changed(user_id: int) -> None:
    """End the person's open streams after the commit: what they may hear of is asked anew as they come back."""
    after_commit("reach_changed", user_id=user_id)


def publish(kind: str, **facts: Any) -> None:
    """Publish now: presence and typing, which no transaction carries."""
    _publish([{"kind": kind, **facts}])


def listen(wants: Callable[[dict[str, Any]], bool]) -> Iterator[Hint | Sign]:
    """The hints that are wanted, as they come; HERE first, and BEAT every HEARTBEAT_SECONDS of silence.

    All listeners of a process share one connection to Redis. While that is gone they hear AWAY, and HERE again when it
    is back: what happened meanwhile is to be looked up. Ends for a listener that is too slow.
    """
    listener = _Listener(wants)
    _exchange.join(listener)
    try:
        while (heard := _next(listener)) is not None:
            yield heard
    finally:
        _exchange.leave(listener)


def install(session: Any) -> None:
    """Listen to the session's commits and rollbacks."""
    event.listen(session, "after_commit", _flush)
    event.listen(session, "after_rollback", lambda closing: closing.info.pop("live", None))


class _Exchange:
    """Hands what one subscription brings to every listener of this process; subscribed while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[_Listener] = set()
        self._is_running = False
        self._standing = Sign.AWAY

    def join(self, listener: _Listener) -> None:
        with self._lock:
            self._listeners.add(listener)
            if self._is_running:
                listener.waiting.put(self._standing)
                return
            self._is_running, self._standing = True, Sign.AWAY
        threading.Thread(target=self._carry, name="live", daemon=True).start()

    def leave(self, listener: _Listener) -> None:
        with self._lock:
            self._listeners.discard(listener)

    @property
    def silence(self) -> Sign:
        """What a listener hears when there was nothing to hear."""
        return Sign.BEAT if self._standing is Sign.HERE else Sign.AWAY

    def _carry(self) -> None:
        try:
            while self._is_needed():
                self._hand_on_while_there()
        except BaseException:
            # A fault of ours: nobody must go on waiting for what no longer comes.
            self._let_go()
            raise

    def _hand_on_while_there(self) -> None:
        try:
            self._hand_on()
        except redis.RedisError as error:
            log.warning("redis_away", what="live", error=type(error).__name__)
            self._stand(Sign.AWAY)
            threading.Event().wait(RETRY_SECONDS)

    def _is_needed(self) -> bool:
        with self._lock:
            self._is_running = bool(self._listeners)
            return self._is_running

    def _hand_on(self) -> None:
        with redis_handle.client.pubsub() as pubsub:
            pubsub.subscribe(CHANNEL)
            while self._listeners:
                message = pubsub.get_message(timeout=HEARTBEAT_SECONDS)
                if message and message["type"] == "subscribe":
                    self._stand(Sign.HERE)
                elif message and message["type"] == "message":
                    text = message["data"].decode()
                    self._tell(Hint(json.loads(text), text))

    def _let_go(self) -> None:
        with self._lock:
            left, self._listeners, self._is_running = self._listeners, set(), False
        for listener in left:
            listener.waiting.put(None)

    def _stand(self, sign: Sign) -> None:
        with self._lock:
            if self._standing is sign:
                return
            self._standing = sign
            for listener in self._listeners:
                listener.waiting.put(sign)

    def _tell(self, hint: Hint) -> None:
        with self._lock:
            wanting = [listener for listener in self._listeners if listener.wants(hint.facts)]
        for listener in wanting:
            if listener.waiting.qsize() < MOST_WAITING:
                listener.waiting.put(hint)
            else:
                self.leave(listener)
                listener.waiting.put(None)


_exchange = _Exchange()


def _next(listener: _Listener) -> Hint | Sign | None:
    try:
        return listener.waiting.get(timeout=HEARTBEAT_SECONDS)
    except queue.Empty:
        return _exchange.silence


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
