"""Pages of a signed-in person through the real web process: beside a small database, and beside their own SQL."""

import time
from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import Engine, event

from bench import world
from bench.browsing import Browser, client_of, served
from bench.installation import SMALL_TICKETS, Installation, results_dir, running, ticket_count
from bench.loader import password_of, world_of
from bench.measure import REPEATS, Spread, print_table, spread_of, timed, write_results

AGENT, LEAD, ADMIN = "agent1-1", "lead1-0", "bench-admin"


@dataclass(frozen=True)
class Page:
    """What is asked for, and by whom."""

    name: str
    username: str
    path: str


@dataclass(frozen=True)
class Own:
    """What a page costs inside its process: SQL alone, and all of it."""

    sql: Spread
    statements: int
    whole: Spread


@dataclass(frozen=True)
class Figure:
    """One page measured on one database."""

    http: Spread
    own: Own
    size_bytes: int


def pages(installation: Installation) -> list[Page]:
    """Every page that is measured, with the tickets of that database."""
    threads = world_of(installation).thread_numbers
    return [
        Page("queue: my branch", AGENT, "/queue?view=branch"),
        Page("queue: mine", AGENT, "/queue?view=mine"),
        Page("queue: unassigned", AGENT, "/queue?view=unassigned"),
        Page("queue: all open, admin", ADMIN, "/queue?view=open"),
        Page("queue: recently closed", AGENT, "/queue?view=closed"),
        Page("ticket, 10 messages", AGENT, f"/tickets/{threads[10]}"),
        Page("ticket, 50 messages", AGENT, f"/tickets/{threads[50]}"),
        Page("search, rare word", AGENT, f"/queue?view=all&text={world.RARE_WORD}"),
        Page("search, common word", AGENT, f"/queue?view=all&text={world.COMMON_WORD}"),
        Page("search, rare word, admin", ADMIN, f"/queue?view=all&text={world.RARE_WORD}"),
        Page("search, common word, admin", ADMIN, f"/queue?view=all&text={world.COMMON_WORD}"),
        Page("leads, 30 days, one branch", LEAD, "/leads/?days=30"),
        Page("leads, 30 days, all branches", ADMIN, "/leads/?days=30"),
        Page("admin: customers", ADMIN, "/admin/customers/list/"),
        Page("admin: addresses", ADMIN, "/admin/addresses/list/"),
        Page("admin: events", ADMIN, "/admin/events/list/"),
        Page("admin: inbox", ADMIN, "/admin/inbox/list/"),
        Page("admin: people", ADMIN, "/admin/people/list/"),
    ]


def run() -> None:
    """Measure every page on the small and on the large database, print and write."""
    small = _measure(SMALL_TICKETS)
    large = _measure(ticket_count())
    rows = [_row(name, figure, small.get(name)) for name, figure in large.items()]
    print_table(
        f"Pages, {ticket_count():,} tickets (ms; {REPEATS} requests after 5 warm-ups)",
        ["page", "median", "p95", f"× {SMALL_TICKETS:,}", "SQL", "statements", "× SQL", "KB"],
        rows,
    )
    write_results(
        results_dir(),
        "pages",
        {"tickets": ticket_count(), "small_tickets": SMALL_TICKETS, "pages": large, "small_pages": small},
    )


def _measure(count: int) -> dict[str, Figure]:
    with running(count) as installation:
        wanted = pages(installation)
        own = _own_costs(installation, wanted)
        found = {}
        with served(installation) as (port, _pid):
            browsers = {}
            for username in {page.username for page in wanted}:
                browsers[username] = Browser(port)
                browsers[username].sign_in(username, password_of(installation))
            for page in wanted:
                browser = browsers[page.username]
                body = browser.page(page.path)
                found[page.name] = Figure(timed(lambda: browser.page(page.path)), own[page.name], len(body))  # noqa: B023 - called at once
        return found


def _own_costs(installation: Installation, wanted: list[Page]) -> dict[str, Own]:
    """Each page in this process, with the time that its statements take at the database's door."""
    app = installation.app()
    return {page.name: _own_cost(client_of(app, page.username), page.path) for page in wanted}


def _own_cost(client: FlaskClient, path: str) -> Own:
    began: dict[int, float] = {}
    spent: list[float] = []

    def before(connection: Any, *_rest: Any) -> None:
        began[id(connection)] = time.perf_counter()

    def after(connection: Any, *_rest: Any) -> None:
        spent.append(time.perf_counter() - began[id(connection)])

    sql, whole, statements = [], [], 0
    event.listen(Engine, "before_cursor_execute", before)
    event.listen(Engine, "after_cursor_execute", after)
    try:
        for run_number in range(5 + 20):
            spent.clear()
            start = time.perf_counter()
            answer = client.get(path)
            seconds = time.perf_counter() - start
            if answer.status_code != 200:
                raise RuntimeError(f"{path} was answered with {answer.status_code}")
            if run_number >= 5:
                sql.append(sum(spent))
                whole.append(seconds)
                statements = len(spent)
    finally:
        event.remove(Engine, "before_cursor_execute", before)
        event.remove(Engine, "after_cursor_execute", after)
    return Own(spread_of(sql), statements, spread_of(whole))


def _row(name: str, large: Figure, small: Figure | None) -> list[object]:
    ratio = large.http.median / small.http.median if small else None
    sql = large.own.sql.median
    return [
        name,
        large.http.median,
        large.http.p95,
        ratio,
        sql,
        large.own.statements,
        large.http.median / sql if sql else None,
        round(large.size_bytes / 1024),
    ]
