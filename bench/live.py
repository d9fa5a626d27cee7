"""A thousand open pages on one web process: whether others still get their pages, and how soon an event is heard.

Every stream belongs to a real session. Two crowds are measured: one spread over all branches, where an event concerns
a few, and one whose people all see the ticket, where an event concerns everybody.
"""

import time
from dataclasses import dataclass

from flask import Flask
from sqlalchemy import event

from bench import world
from bench.browsing import Browser, cookie_of, served
from bench.installation import Installation, results_dir, running, ticket_count
from bench.loader import password_of, world_of
from bench.measure import Spread, print_table, resident_kilobytes, spread_of, timed, write_results
from bench.streams import Streams

STREAMS = 1_000
EVENTS = 100
AGENT = "agent1-1"


@dataclass(frozen=True)
class Figure:
    """One crowd. Arrivals are from the commit to a stream, over all events and all streams that they concern."""

    name: str
    streams: int
    open_seconds: float
    kilobytes_each: float
    without: dict[str, Spread]
    during: dict[str, Spread]
    hearers: int
    arrivals: Spread
    slowest_ms: float
    lost: int


def run() -> None:
    """Measure both crowds, print and write."""
    with running(ticket_count()) as installation:
        app = installation.app()
        everybody = [
            "bench-admin",
            *(name for branch in range(1, world.BRANCH_COUNT + 1) for name in _people(branch)),
        ]
        figures = [
            _measure(installation, app, "all over the desk", everybody),
            _measure(installation, app, "all in one branch", _people(1)),
        ]
    for figure in figures:
        _report(figure)
    write_results(results_dir(), "live", {"tickets": ticket_count(), "crowds": figures})


def _people(branch_id: int) -> list[str]:
    return [
        f"{'agent' if position else 'lead'}{branch_id}-{position}"
        for position in range(world.AGENTS_PER_BRANCH)
    ]


def _measure(installation: Installation, app: Flask, name: str, people: list[str]) -> Figure:
    cookies = {person: cookie_of(app, person) for person in people}
    chosen = [people[index % len(people)] for index in range(STREAMS)]
    hearers = sum(person == "bench-admin" or person in _people(1) for person in chosen)
    number = world_of(installation).thread_numbers[10]
    paths = {"queue": "/queue?view=branch", "ticket": f"/tickets/{number}"}
    installation.mark_used()
    with served(installation) as (port, pid):
        browser = Browser(port)
        browser.sign_in(AGENT, password_of(installation))

        def pages() -> dict[str, Spread]:
            return {page: timed(lambda: browser.page(path)) for page, path in paths.items()}  # noqa: B023

        pages()
        before, memory = pages(), resident_kilobytes(pid)
        streams = Streams(port, [cookies[person] for person in chosen])
        each = (resident_kilobytes(pid) - memory) / STREAMS
        during = pages()
        arrivals = _arrivals(app, streams, hearers)
        lost = streams.lost
        streams.close()
        after = pages()
    without = {page: min(before[page], after[page], key=lambda spread: spread.median) for page in paths}
    return Figure(
        name=name,
        streams=STREAMS,
        open_seconds=round(streams.open_seconds, 1),
        kilobytes_each=round(each, 1),
        without=without,
        during=during,
        hearers=hearers,
        arrivals=spread_of(arrivals),
        slowest_ms=round(max(arrivals) * 1000, 1),
        lost=lost,
    )


def _arrivals(app: Flask, streams: Streams, hearers: int) -> list[float]:
    """Seconds from each commit to each stream: a service changes tickets of the first branch, one after the other."""
    from portal.extensions import db
    from portal.models import Ticket
    from portal.services import tickets

    committed: list[float] = []
    arrivals: list[float] = []

    def note(_session: object) -> None:
        committed.append(time.perf_counter())

    with app.app_context():
        # Before the one that publishes.
        event.listen(db.session, "after_commit", note, insert=True)
        try:
            chosen = db.session.scalars(
                db.select(Ticket).where(Ticket.branch_id == 1).order_by(Ticket.id.desc()).limit(EVENTS)
            ).all()
            for ticket in chosen:
                number = ticket.number
                tickets.set_priority(ticket, "low" if ticket.priority == "high" else "high", None)
                moment = committed[-1]
                arrivals += [at - moment for at in streams.heard_of(number, hearers)]
        finally:
            event.remove(db.session, "after_commit", note)
            db.session.remove()
    return arrivals


def _report(figure: Figure) -> None:
    print_table(
        f"{figure.streams:,} live connections on one web process, {figure.name} "
        f"(opened in {figure.open_seconds} s, {figure.kilobytes_each} KB each, {figure.lost} lost)",
        ["page", "without", "p95", "with them", "p95", "×"],
        [
            [
                page,
                figure.without[page].median,
                figure.without[page].p95,
                figure.during[page].median,
                figure.during[page].p95,
                figure.during[page].median / figure.without[page].median,
            ]
            for page in figure.without
        ],
    )
    print_table(
        f"From the commit to a stream ({EVENTS} events, {figure.hearers:,} streams each; ms)",
        ["", "median", "p95", "slowest"],
        [["arrival", figure.arrivals.median, figure.arrivals.p95, figure.slowest_ms]],
    )
