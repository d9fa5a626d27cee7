"""Where a process may die: tests name a chance, and it kills itself there as a power cut would.

Nothing happens unless PORTAL_FAULT_CHANCE is set. PORTAL_FAULT_LOG is a file that gets the name of the place.
"""

import os
import random
import signal
from pathlib import Path

_CHANCE = float(os.environ.get("PORTAL_FAULT_CHANCE", "0"))


def point(name: str) -> None:
    """A step after which everything must be found again by whoever comes next."""
    if _CHANCE and random.random() < _CHANCE:  # noqa: S311  # no secret hangs on it
        with Path(os.environ["PORTAL_FAULT_LOG"]).open("a", encoding="ascii") as log:
            log.write(f"{name}\n")
        os.kill(os.getpid(), signal.SIGKILL)
