"""The whole queue as CSV through the web process, beside COPY of the same rows without it, and its memory."""

import time
from dataclasses import dataclass

import psycopg

from bench.browsing import Browser, served
from bench.installation import Installation, results_dir, running, ticket_count
from bench.loader import password_of
from bench.measure import peak_kilobytes, print_table, reset_peak, resident_kilobytes, write_results
from bench.pages import ADMIN

RUNS = 3
NARROW = """
COPY (SELECT number, subject, status, priority, type, created_at FROM ticket) TO STDOUT (FORMAT csv, HEADER)
"""


@dataclass(frozen=True)
class Result:
    """One way to get the rows out."""

    name: str
    rows: int
    seconds: float
    size_bytes: int

    @property
    def rows_per_second(self) -> int:
        return round(self.rows / self.seconds)


def run() -> None:
    """Measure both ways in turn, print and write."""
    count = ticket_count()
    with running(count) as installation:
        statement, narrow = _statements(installation)
        with served(installation) as (port, pid):
            browser = Browser(port)
            browser.sign_in(ADMIN, password_of(installation))
            for _portion in browser.stream("/queue/export.csv?view=all&tier=2"):
                pass
            before = resident_kilobytes(pid)
            reset_peak(pid)
            best: dict[str, Result] = {}
            for _ in range(RUNS):
                for result in (
                    _download(browser),
                    _copy(installation, "COPY, the same columns", statement),
                    _copy(installation, "COPY, six columns, no join", narrow),
                ):
                    known = best.get(result.name)
                    best[result.name] = min(known or result, result, key=lambda each: each.seconds)
            growth = peak_kilobytes(pid) - before
    _report(count, list(best.values()), growth)


def _report(count: int, results: list[Result], growth: int) -> None:
    plain = results[1]
    print_table(
        f"Export of {count:,} tickets (best of {RUNS})",
        ["way", "rows/s", "seconds", "MB", "× COPY"],
        [
            [
                each.name,
                each.rows_per_second,
                each.seconds,
                round(each.size_bytes / 1e6),
                each.rows_per_second / plain.rows_per_second,
            ]
            for each in results
        ],
    )
    print(f"  the web process grew by {growth / 1024:.1f} MB at its peak")
    write_results(
        results_dir(),
        "export",
        {
            "tickets": count,
            "ways": {
                each.name: {"rows_per_second": each.rows_per_second, "seconds": each.seconds}
                for each in results
            },
            "memory_growth_kb": growth,
        },
    )


def _download(browser: Browser) -> Result:
    began = time.perf_counter()
    size = lines = 0
    for portion in browser.stream("/queue/export.csv?view=all"):
        size += len(portion)
        lines += portion.count(b"\n")
    return Result("CSV through the web process", lines - 1, time.perf_counter() - began, size)


def _copy(installation: Installation, name: str, statement: str) -> Result:
    began = time.perf_counter()
    size = rows = 0
    with psycopg.connect(installation.dsn) as session, session.cursor().copy(statement) as copy:
        for row in copy:
            size += len(row)
            rows += 1
    return Result(name, rows - 1, time.perf_counter() - began, size)


def _statements(installation: Installation) -> tuple[str, str]:
    """What the export asks of the database for all tickets, and a COPY without any join."""
    from psycopg import ClientCursor

    app = installation.app(with_admin=False)
    with app.app_context():
        from portal.extensions import db
        from portal.models import User
        from portal.services.exports import copy_statement
        from portal.views.console.filters import TicketFilter

        admin = db.session.query(User).filter_by(username=ADMIN).one()
        statement, values = copy_statement(TicketFilter(view="all").of(admin))
        driver = db.session.connection().connection.driver_connection
        bound = ClientCursor(driver).mogrify(statement, values)
        db.session.rollback()
    return bound, NARROW
