"""Pages of a signed-in person through the real web process: on a small and a large database in turn, in one run.

Each round asks the small and the large one right after another, so that what else the machine does falls on both. The
time of a page's own statements is taken in the very requests that are measured.
"""

import gzip
import os
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench import world
from bench.browsing import Browser, served
from bench.installation import SMALL_TICKETS, Installation, results_dir, running, ticket_count
from bench.loader import password_of, world_of
from bench.measure import REPEATS, WARM_UPS, Spread, print_table, spread_of, write_results

AGENT, SECOND_TIER, LEAD, ADMIN = "agent1-5", "agent1-8", "lead1-0", "bench-admin"
VIEWS = (
    "branch", "mine", "unassigned", "at_risk", "breached", "waiting", "open", "snoozed", "following", "closed",
)  # fmt: skip
SORTS = ("due", "newest", "oldest", "priority", "activity")
FAR = 1_000
CHOSEN = re.compile(os.environ.get("BENCH_PAGES", ""))


@dataclass(frozen=True)
class Page:
    """What is asked for, and by whom. `fields` are given for a form that is sent."""

    name: str
    username: str
    path: str
    fields: dict[str, str] | None = None


@dataclass
class Times:
    """Seconds of one page on one database, request by request."""

    whole: list[float] = field(default_factory=list)
    sql: list[float] = field(default_factory=list)
    statements: int = 0
    rows: int = 0
    size_bytes: int = 0


@dataclass(frozen=True)
class Figure:
    """One page on one database."""

    whole: Spread
    sql: Spread
    statements: int
    rows: int
    compressed_bytes: int


def pages(installation: Installation, browsers: dict[str, Browser]) -> list[Page]:
    """Every page that is measured, with the tickets of that database."""
    threads = world_of(installation).thread_numbers
    common, rare, everyday = world.COMMON_WORD, world.RARE_WORD, world.everyday_word()
    found = [Page(f"queue: {view}", AGENT, f"/queue?view={view}") for view in VIEWS]
    found.append(Page("queue: escalated", SECOND_TIER, "/queue?view=escalated"))
    found += [Page(f"all tickets by {sort}", AGENT, f"/queue?view=all&sort={sort}") for sort in SORTS]
    found += [
        Page(f"all tickets by {sort}, every branch", ADMIN, f"/queue?view=all&sort={sort}") for sort in SORTS
    ]
    found.append(Page("all open, every branch", ADMIN, "/queue?view=open"))
    far = f"all tickets, page {FAR:,} or the last"
    if CHOSEN.search(far):
        found.append(Page(far, ADMIN, _far(browsers[ADMIN])))
    found += [
        Page(f"ticket, {length} messages", AGENT, f"/tickets/{threads[length]}") for length in (10, 50, 500)
    ]
    for name, query in (
        ("rare word", rare),
        ("common word", common),
        ("two common words", f"{common}+{everyday}"),
        ("a phrase", f"%22{common}+{everyday}%22"),
        ("common word, is:open", f"{common}+is:open"),
        ("common word, without another", f"{common}+-{rare}"),
        ("common word, after a day", f"{common}+after:2000-01-01"),
        ("a name that many have", "jonas"),
    ):
        found.append(Page(f"search: {name}", AGENT, f"/queue?view=all&text={query}"))
        found.append(Page(f"search: {name}, every branch", ADMIN, f"/queue?view=all&text={query}"))
    reply = {"to": "customer0@mail0.example", "html": "Thank you, we look into it.", "format": "text"}
    found += [
        Page("a reply", AGENT, f"/tickets/{threads[10]}/reply", reply),
        Page("leads, 30 days, one branch", LEAD, "/leads/?days=30"),
        Page("leads, 30 days, every branch", ADMIN, "/leads/?days=30"),
        Page("admin: customers", ADMIN, "/admin/customers/list/"),
        Page("admin: addresses", ADMIN, "/admin/addresses/list/"),
        Page("admin: events", ADMIN, "/admin/events/list/"),
        Page("admin: inbox", ADMIN, "/admin/inbox/list/"),
        Page("admin: people", ADMIN, "/admin/people/list/"),
    ]
    return found


def run() -> None:
    """Measure every page on the small and on the large database in turn, print and write. It sends replies.

    BENCH_PAGES, a regular expression, chooses among them by name; BENCH_REPEATS says how often each is asked for.
    """
    sizes = (SMALL_TICKETS, ticket_count())
    with ExitStack() as stack:
        asked: dict[int, tuple[list[Page], dict[str, Browser]]] = {}
        for count in sizes:
            installation = stack.enter_context(running(count))
            installation.mark_used()
            port, _ = stack.enter_context(served(installation, "bench.watched:app"))
            browsers = _browsers(installation, port)
            asked[count] = (pages(installation, browsers), browsers)
        chosen = [place for place, page in enumerate(asked[sizes[1]][0]) if CHOSEN.search(page.name)]
        figures = {sizes[1]: {}, sizes[0]: {}}
        for place in chosen:
            times = _in_turn(
                {count: _asking(found[place], browsers) for count, (found, browsers) in asked.items()}
            )
            for count, taken in times.items():
                figures[count][asked[sizes[1]][0][place].name] = _figure(taken)
            print(".", end="", flush=True)
    _report(figures[sizes[0]], figures[sizes[1]])


def _browsers(installation: Installation, port: int) -> dict[str, Browser]:
    browsers = {}
    for username in (AGENT, SECOND_TIER, LEAD, ADMIN):
        browsers[username] = Browser(port)
        browsers[username].sign_in(username, password_of(installation))
        browsers[username].page("/queue")
    return browsers


def _far(browser: Browser) -> str:
    """The address of page FAR of all tickets, or of the last one before there are no more, as "More tickets" leads."""
    path = "/queue?view=all&sort=newest"
    for _ in range(FAR - 1):
        found = re.search(rb'data-more="([^"]+)"', browser.page(path.replace("/queue?", "/queue/list?")))
        if found is None:
            break
        path = found[1].decode().replace("&amp;", "&").replace("/queue/list?", "/queue?")
    return path


def _asking(page: Page, browsers: dict[str, Browser]) -> Callable[[Times], None]:
    browser = browsers[page.username]

    def ask(times: Times) -> None:
        began = time.perf_counter()
        if page.fields is None:
            body = browser.page(page.path)
        else:
            status, body = browser.post(page.path, page.fields)
            if status not in (200, 302, 303):
                raise RuntimeError(f"{page.path} was answered with {status}: {body[:300]!r}")
        times.whole.append(time.perf_counter() - began)
        times.sql.append(browser.statement_seconds)
        times.statements, times.rows = browser.statements, body.count(b'id="row-')
        times.size_bytes = len(gzip.compress(body, 6))

    return ask


def _in_turn(asking: dict[int, Callable[[Times], None]]) -> dict[int, Times]:
    for ask in asking.values():
        for _ in range(WARM_UPS):
            ask(Times())
    times = {count: Times() for count in asking}
    for _ in range(REPEATS):
        for count, ask in asking.items():
            ask(times[count])
    return times


def _figure(times: Times) -> Figure:
    return Figure(
        spread_of(times.whole), spread_of(times.sql), times.statements, times.rows, times.size_bytes
    )


def _report(small: dict[str, Figure], large: dict[str, Figure]) -> None:
    print_table(
        f"Pages, {ticket_count():,} tickets, in turn with {SMALL_TICKETS:,} "
        f"(ms; {REPEATS} requests after {WARM_UPS} warm-ups)",
        [
            "page",
            "median",
            "p95",
            "× small",
            "p95 × small",
            "SQL",
            "× SQL",
            "p95 × SQL",
            "statements",
            "rows",
            "small",
            "KB",
        ],
        [
            [
                name,
                figure.whole.median,
                figure.whole.p95,
                figure.whole.median / small[name].whole.median,
                figure.whole.p95 / small[name].whole.p95,
                figure.sql.median,
                figure.whole.median / figure.sql.median if figure.sql.median else None,
                figure.whole.p95 / figure.sql.p95 if figure.sql.p95 else None,
                figure.statements,
                figure.rows,
                small[name].rows,
                round(figure.compressed_bytes / 1024),
            ]
            for name, figure in large.items()
        ],
    )
    write_results(
        results_dir(),
        "pages",
        {"tickets": ticket_count(), "small_tickets": SMALL_TICKETS, "pages": large, "small_pages": small},
    )
