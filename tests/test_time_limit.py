"""Work that takes too long ends, and a job's own alarm survives that."""

import re
import signal
import time
from collections.abc import Iterator
from threading import Thread

import pytest

from portal.time_limit import TooSlow, time_limit


class Rung(Exception):
    pass


@pytest.fixture
def alarm() -> Iterator[None]:
    def ring(_number, _frame) -> None:
        raise Rung

    former = signal.signal(signal.SIGALRM, ring)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, former)


def test_a_pattern_that_never_ends_is_ended() -> None:
    with pytest.raises(TooSlow), time_limit(0.05):
        re.match(r"(a|a)*$", "a" * 64 + "b")


def test_work_in_time_is_left_alone() -> None:
    with time_limit(60):
        pass

    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.usefixtures("alarm")
def test_the_alarm_of_the_job_rings_on_time() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    begun = time.monotonic()
    with pytest.raises(TooSlow), time_limit(0.05):
        wait(60)
    with pytest.raises(Rung):
        wait(60)

    assert time.monotonic() - begun < 5


@pytest.mark.usefixtures("alarm")
def test_an_alarm_that_was_due_meanwhile_rings_afterwards() -> None:
    def work() -> None:
        with time_limit(60):
            wait(0.1)
        wait(60)

    signal.setitimer(signal.ITIMER_REAL, 0.02)
    with pytest.raises(Rung):
        work()


def test_in_another_thread_it_is_said_afterwards() -> None:
    said: list[str] = []

    def work() -> None:
        try:
            with time_limit(0.01):
                wait(0.05)
        except TooSlow:
            said.append("too slow")

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert said == ["too slow"]


def wait(seconds: float) -> None:
    """Burn time as a parser would."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
