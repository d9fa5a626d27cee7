"""One sweep of the clocks with 0, 1,000 and 100,000 due, every ticket open and a clock of each running.

It runs on a copy of the loaded database, which stays as it was.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psycopg
from flask import Flask

from bench.installation import SMALL_TICKETS, Installation, results_dir, running, ticket_count
from bench.loader import made_again, without_indexes
from bench.measure import print_table, write_results

# How many are due, and which: tickets of the same hours are due in the same minutes, as neighbours; at worst they lie
# scattered over everything that is open.
DUE = ((0, "neighbours"), (1_000, "neighbours"), (1_000, "scattered"), (100_000, "neighbours"))
# Both desks are swept in turn, and the best round of each counts. The first ones after a checkpoint write every page
# that they touch as a whole (full_page_writes); a desk at work has done that.
ROUNDS = {0: 5, 1_000: 4, 100_000: 1}


@dataclass(frozen=True)
class Figure:
    """One sweep."""

    due: int
    lie: str
    fired: int
    seconds: float
    open_tickets: int


def run() -> None:
    """Measure the small and the large database in turn, print and write."""
    with ExitStack() as stack:
        desks = [
            stack.enter_context(_desk(count)) for count in dict.fromkeys((SMALL_TICKETS, ticket_count()))
        ]
        figures = [
            figure
            for due, lie in DUE
            for figure in _best_of_each([desk for desk in desks if desk.open >= due], due, lie)
        ]
    print_table(
        "Sweep of the clocks",
        ["open", "due", "lie", "fired", "ms", "fired/s"],
        [
            [
                f"{each.open_tickets:,}",
                f"{each.due:,}",
                each.lie,
                f"{each.fired:,}",
                each.seconds * 1000,
                round(each.fired / each.seconds),
            ]
            for each in figures
        ],
    )
    write_results(results_dir(), "sweep", {"sweeps": figures})


@dataclass(frozen=True)
class Desk:
    """A database with everything open, and the application on it."""

    installation: Installation
    app: Flask
    open: int


@contextmanager
def _desk(count: int) -> Iterator[Desk]:
    with running(count) as loaded, _copy_of(loaded) as installation:
        open_tickets = _open_all(installation)
        app = installation.app(with_admin=False)
        yield Desk(installation, app, open_tickets)
        with app.app_context():
            from portal.extensions import db

            db.engine.dispose()


def _best_of_each(desks: list[Desk], due: int, lie: str) -> list[Figure]:
    rounds = [[_sweep(desk, due, lie) for desk in desks] for _ in range(ROUNDS[due])]
    return [min(figures, key=lambda each: each.seconds) for figures in zip(*rounds, strict=True)]


def _sweep(desk: Desk, due: int, lie: str) -> Figure:
    from portal.extensions import db
    from portal.services import sweep

    _make_due(desk.installation, due, lie)
    with desk.app.app_context():
        db.session.remove()
        began = time.perf_counter()
        fired = sweep.sweep()
        seconds = time.perf_counter() - began
        db.session.remove()
    return Figure(due, lie, fired, seconds, desk.open)


@contextmanager
def _copy_of(loaded: Installation) -> Iterator[Installation]:
    copy = Installation(loaded.ticket_count, loaded.var_dir, "portal_sweep")
    with psycopg.connect(loaded.dsn, autocommit=True) as session:
        session.execute("DROP DATABASE IF EXISTS portal_sweep WITH (FORCE)")
        # Only what nobody is connected to can be copied; loading leaves a connection behind.
        session.execute(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = 'portal' AND pid <> pg_backend_pid()
            """
        )
        session.execute("CREATE DATABASE portal_sweep TEMPLATE portal STRATEGY FILE_COPY")
        try:
            yield copy
        finally:
            session.execute("DROP DATABASE portal_sweep WITH (FORCE)")


def _open_all(installation: Installation) -> int:
    """Open every ticket, its resolution due in a month and everything else met; return how many there are."""
    with psycopg.connect(installation.dsn) as session:
        indexes = without_indexes(session, ("ticket", "clock"))
        session.execute(
            """
            UPDATE ticket SET status = 'open', is_breached = false, resolved_at = NULL, closed_at = NULL,
                snoozed_until = NULL
            """
        )
        session.execute(
            """
            UPDATE clock SET warnings = '[]', warn_at = NULL, breached_at = NULL,
                state = CASE kind WHEN 'resolution' THEN 'running' ELSE 'met' END,
                stopped_at = CASE kind WHEN 'resolution' THEN NULL ELSE coalesce(stopped_at, started_at) END,
                due_at = now() + interval '30 days' + ticket_id * interval '1 second'
            """
        )
        session.execute("DELETE FROM escalation")
        made_again(session, indexes)
    with psycopg.connect(installation.dsn, autocommit=True) as session:
        session.execute("VACUUM ANALYZE ticket, clock, escalation")
        session.execute("CHECKPOINT")
        found = session.execute("SELECT count(*) FROM clock WHERE state = 'running'").fetchone()
    return int(found[0]) if found else 0


def _make_due(installation: Installation, amount: int, lie: str) -> None:
    """Set so many running clocks a minute into the past, each only once."""
    chosen = {
        # The oldest that are left, as they were opened.
        "neighbours": "ticket_id",
        "scattered": "hashint8(ticket_id)",
    }[lie]
    with psycopg.connect(installation.dsn, autocommit=True) as session:
        session.execute(
            f"""
            UPDATE clock SET due_at = now() - interval '1 minute'
            WHERE id IN (
                SELECT id FROM clock WHERE state = 'running' AND breached_at IS NULL ORDER BY {chosen}, id LIMIT %s
            )
            """,
            [amount],
        )
