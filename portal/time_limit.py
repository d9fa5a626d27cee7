"""A bound on how long one piece of work may take, for work that strangers' bytes decide the length of."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TooSlow(Exception):
    """The work took longer than it may."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TooSlow inside the block once `seconds` are over; in another than the main thread, only after it.

    An alarm that was set before (a job's own limit) goes on afterwards, less the time that the block took.
    """
    begun = time.monotonic()
    if threading.current_thread() is not threading.main_thread():
        yield
        if time.monotonic() - begun > seconds:
            raise TooSlow
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TooSlow

    former_handler = signal.signal(signal.SIGALRM, stop)
    remaining, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former_handler)
        if remaining:
            # One that is due now must still ring: zero would cancel it.
            signal.setitimer(signal.ITIMER_REAL, max(0.001, remaining - (time.monotonic() - begun)))
