"""One sweep of the clocks with 0, 1,000 and 10,000 due among everything that is open."""

import time
from dataclasses import dataclass

import psycopg

from bench.installation import SMALL_TICKETS, Installation, results_dir, running, ticket_count
from bench.measure import print_table, write_results

DUE = (0, 1_000, 10_000)


@dataclass(frozen=True)
class Figure:
    """One sweep."""

    due: int
    fired: int
    seconds: float
    open_tickets: int


def run() -> None:
    """Measure on the small and on the large database, print and write. Leaves the fired clocks breached."""
    figures = {count: _measure(count) for count in (SMALL_TICKETS, ticket_count())}
    print_table(
        "Sweep of the clocks",
        ["tickets there", "open", "due", "fired", "ms", "fired/s"],
        [
            [
                f"{count:,}",
                each.open_tickets,
                each.due,
                each.fired,
                each.seconds * 1000,
                round(each.fired / each.seconds),
            ]
            for count, sweeps in figures.items()
            for each in sweeps
        ],
    )
    write_results(results_dir(), "sweep", {"by_tickets": figures})


def _measure(count: int) -> list[Figure]:
    with running(count) as installation:
        installation.mark_used()
        app = installation.app(with_admin=False)
        with app.app_context():
            from portal.extensions import db
            from portal.services import sweep

            open_tickets = _settle(installation)
            # What the loaded year left running and past its time goes first, outside the figures.
            sweep.sweep()
            figures = []
            for due in DUE:
                wanted = _make_due(installation, due)
                db.session.remove()
                began = time.perf_counter()
                fired = sweep.sweep()
                figures.append(Figure(wanted, fired, time.perf_counter() - began, open_tickets))
            return figures


def _settle(installation: Installation) -> int:
    """Let no running clock be due or to be warned of; return how many tickets are open."""
    with psycopg.connect(installation.dsn) as session:
        session.execute(
            """
            UPDATE clock SET warnings = '[]', warn_at = NULL, due_at = now() + interval '30 days'
            WHERE state = 'running'
            """
        )
        found = session.execute(
            "SELECT count(*) FROM ticket WHERE status IN ('new', 'open', 'pending', 'on_hold')"
        ).fetchone()
    return int(found[0]) if found else 0


def _make_due(installation: Installation, amount: int) -> int:
    """Set so many running clocks a minute into the past, those of breached ones begun anew where there are too few."""
    with psycopg.connect(installation.dsn) as session:
        changed = session.execute(
            """
            UPDATE clock SET state = 'running', breached_at = NULL, warnings = '[]', warn_at = NULL,
                due_at = now() - interval '1 minute'
            WHERE id IN (
                SELECT clock.id FROM clock JOIN ticket ON ticket.id = clock.ticket_id
                WHERE clock.stopped_at IS NULL AND ticket.status IN ('new', 'open', 'on_hold')
                ORDER BY clock.id LIMIT %s
            )
            """,
            [amount],
        )
        return changed.rowcount
