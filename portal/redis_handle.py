"""Redis: queues, live events and heartbeats; never the only place where something is."""

import redis


class RedisHandle:
    """A Redis client that is made on first use, so that a fork inherits no connection."""

    def __init__(self) -> None:
        self._url = ""
        self._client: redis.Redis | None = None

    def init_url(self, url: str) -> None:
        """Remember where Redis is; nothing connects yet."""
        self._url, self._client = url, None

    @property
    def client(self) -> redis.Redis:
        if self._client is None:
            self._client = redis.Redis.from_url(
                self._url, socket_connect_timeout=2, socket_timeout=5, health_check_interval=30
            )
        return self._client


redis_handle = RedisHandle()
