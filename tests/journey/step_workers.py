"""Four workers that look for what is due, each replaced when it dies, until nothing is.

Run as `python -m tests.journey.step_workers steps` for what nobody has acknowledged, `clocks` for clocks, with the
settings of the installation in the environment.
"""

import os
import sys
from typing import NoReturn

from portal.extensions import db
from portal.services import sweep, unacknowledged
from wsgi import create_worker_app

WORKERS, BATCH, DONE = 4, 5, 7


def main() -> None:
    """Keep as many alive as there should be; one that finds nothing is not replaced."""
    app = create_worker_app()
    with app.app_context():
        # Connections must not be shared with what is forked.
        db.engine.dispose()
        alive = {_begin() for _ in range(WORKERS)}
        while alive:
            process_id, status = os.wait()
            alive.discard(process_id)
            if os.waitstatus_to_exitcode(status) != DONE:
                alive.add(_begin())


def _begin() -> int:
    process_id = os.fork()
    if process_id == 0:
        _work()
    return process_id


def _work() -> NoReturn:
    # Small batches have more ends to die at.
    unacknowledged.BATCH = sweep.BATCH = BATCH
    look = {"steps": unacknowledged.fire_due, "clocks": sweep.sweep}[sys.argv[1]]
    while look():
        pass
    os._exit(DONE)


if __name__ == "__main__":
    main()
