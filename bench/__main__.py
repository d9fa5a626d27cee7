"""`python -m bench [NAME …]`: everything, or what is named; `load` only loads.

BENCH_TICKETS sets the size (default 1,000,000).
"""

import logging
import sys
import warnings

from bench import clocks, export, intake, live, pages, routing, sweep
from bench.installation import running, ticket_count
from bench.measure import machine

# Pages and export first: intake changes the database that it measures.
BENCHES = {
    "pages": pages.run,
    "export": export.run,
    "live": live.run,
    "intake": intake.run,
    "sweep": sweep.run,
    "routing": routing.run,
    "clocks": clocks.run,
}


def load() -> None:
    """Load the large database, where it is not loaded yet."""
    with running(ticket_count()):
        pass


def main(names: list[str]) -> int:
    """Run them in order; the exit status."""
    known = {**BENCHES, "load": load}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(
            f"There is no bench named {', '.join(unknown)}. There are: {', '.join(known)}.", file=sys.stderr
        )
        return 2
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    where = machine()
    print(
        f"{ticket_count():,} tickets on {where['cores']} cores ({where['processor']}), load {where['load']}"
    )
    for name in names or BENCHES:
        known[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
