"""Many open pages at once: server-sent events over plain sockets, read by one thread that notes when each came."""

import re
import selectors
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Sequence

OPEN_AT_ONCE = 50
PATIENCE_SECONDS = 60.0
_NUMBER = re.compile(rb'data: \{"kind": "ticket_changed"[^\n]*"number": (\d+)')


class Streams:
    """Live connections to a Portal, one for each cookie. Times are those of time.perf_counter: one clock for all."""

    def __init__(self, port: int, cookies: Sequence[str]) -> None:
        self.open_seconds = 0.0
        # By the ticket's number: when each stream heard of it for the first time.
        self.arrivals: dict[int, list[float]] = defaultdict(list)
        self._greeted = 0
        self._lost = 0
        self._selector = selectors.DefaultSelector()
        self._is_closing = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        began = time.perf_counter()
        self._reader.start()
        for index, cookie in enumerate(cookies):
            self._open(port, cookie)
            if (index + 1) % OPEN_AT_ONCE == 0:
                self._wait_for_greetings(index + 1)
        self._wait_for_greetings(len(cookies))
        self.open_seconds = time.perf_counter() - began

    @property
    def lost(self) -> int:
        """How many the server has ended."""
        return self._lost

    def heard_of(self, number: int, count: int) -> list[float]:
        """When that many streams heard of a ticket, waited for at most PATIENCE_SECONDS."""
        end = time.monotonic() + PATIENCE_SECONDS
        while len(self.arrivals[number]) < count:
            if time.monotonic() > end:
                raise RuntimeError(f"{len(self.arrivals[number])} of {count} streams heard of #{number}.")
            time.sleep(0.002)
        return self.arrivals[number]

    def close(self) -> None:
        self._is_closing = True
        self._reader.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _open(self, port: int, cookie: str) -> None:
        connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        connection.sendall(f"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode())
        self._selector.register(connection, selectors.EVENT_READ, set())

    def _wait_for_greetings(self, count: int) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while self._greeted < count:
            if time.monotonic() > end or self._lost:
                raise RuntimeError(f"{self._greeted} of {count} streams stand, {self._lost} were ended.")
            time.sleep(0.002)

    def _read(self) -> None:
        while not self._is_closing:
            for key, _ in self._selector.select(timeout=0.05):
                self._take(key)

    def _take(self, key: selectors.SelectorKey) -> None:
        connection: socket.socket = key.fileobj  # type: ignore[assignment]
        arrived, received = time.perf_counter(), connection.recv(1 << 16)
        if not received:
            self._lost += 1
            self._selector.unregister(connection)
            connection.close()
            return
        self._greeted += received.count(b"event: hello")
        for number in {int(found) for found in _NUMBER.findall(received)} - key.data:
            key.data.add(number)
            self.arrivals[number].append(arrived)
