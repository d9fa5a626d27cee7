"""Four workers that look for what nobody has acknowledged, each replaced when it dies, until nothing is due.

Run as `python -m tests.journey.step_workers`, with the settings of the installation in the environment.
"""

import os
from typing import NoReturn

from portal.extensions import db
from portal.services import unacknowledged
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
    unacknowledged.BATCH = BATCH
    while unacknowledged.fire_due():
        pass
    os._exit(DONE)


if __name__ == "__main__":
    main()
