"""Mails a second through the whole way in: accepted, committed, parsed, threaded, placed, committed.

Beside it the floor: the standard library parses the same bytes and one row is committed for each. It is taken twice:
with an ordinary table, whose commit waits for the disk as a mail's must before its sender is told that we have it, and
with a temporary one, whose commit waits for nothing.
"""

import multiprocessing
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as modern
from email.utils import format_datetime
from typing import Any

import psycopg
from flask import Flask

from bench import world
from bench.installation import SMALL_TICKETS, Installation, results_dir, running, ticket_count
from bench.measure import print_table, write_results
from portal.channels.base import IncomingBytes

MAILS, NEW_MAILS = 1_000, 400
ROUNDS = 3
HTML_SHARE, ATTACHMENT_SHARE, ATTACHMENT_BYTES = 0.4, 0.1, 50 * 1024


@dataclass(frozen=True)
class Figure:
    """What one database took. The whole path of one worker is accepting and processing, one after the other."""

    mails_per_second: float
    accepted_per_second: float
    processed_per_second: float
    processed_by_two_per_second: float
    floor_per_second: float
    floor_in_memory_per_second: float
    replies_placed: float


def run() -> None:
    """Measure on the small and on the large database, print and write. Leaves the mails' tickets behind."""
    figures = {count: _measure(count) for count in (SMALL_TICKETS, ticket_count())}
    print_table(
        f"Intake, {MAILS:,} mails ({NEW_MAILS} new)",
        [
            "tickets there",
            "mails/s",
            "floor/s",
            "× floor",
            "floor/s in memory",
            "× that",
            "accepted/s",
            "processed/s",
            "by two/s",
            "× one",
            "replies placed",
        ],
        [
            [
                f"{count:,}",
                each.mails_per_second,
                each.floor_per_second,
                each.mails_per_second / each.floor_per_second,
                each.floor_in_memory_per_second,
                each.mails_per_second / each.floor_in_memory_per_second,
                each.accepted_per_second,
                each.processed_per_second,
                each.processed_by_two_per_second,
                each.processed_by_two_per_second / each.processed_per_second,
                f"{each.replies_placed:.0%}",
            ]
            for count, each in figures.items()
        ],
    )
    write_results(results_dir(), "intake", {"mails": MAILS, "new_mails": NEW_MAILS, "by_tickets": figures})


def mails(run_id: str) -> list[bytes]:
    """The mails in the order in which they come: each reply after the mail that it answers."""
    dice = random.Random(7)
    made: list[bytes] = []
    references: list[str] = []
    for index in range(MAILS):
        is_new = len(references) < NEW_MAILS and (not references or dice.random() < NEW_MAILS / MAILS * 1.1)
        is_new = is_new or MAILS - index <= NEW_MAILS - len(references)
        message_id = f"<{run_id}.{index}@mail.example>"
        thread = len(references) if is_new else dice.randrange(len(references))
        parent = None if is_new else references[thread]
        if is_new:
            references.append(message_id)
        made.append(_mail(dice, index, thread, message_id, parent))
    return made


def _mail(dice: random.Random, index: int, thread: int, message_id: str, parent: str | None) -> bytes:
    mail = EmailMessage()
    mail["From"] = f"{world.customer_name(thread)} <bench{thread}@mail{thread % 50}.example>"
    mail["To"] = f"support{1 + thread % world.BRANCH_COUNT}@bench.test"
    mail["Subject"] = f"{'Re: ' if parent else ''}Order {10_000 + thread} has not come"
    mail["Message-ID"] = message_id
    mail["Date"] = format_datetime(_date(index))
    if parent:
        mail["In-Reply-To"] = parent
        mail["References"] = parent
    text = "\n\n".join(world.template_text(index * 7 + part) for part in range(3))
    quoted = "\n".join(f"> {line}" for line in text.splitlines()) if parent else ""
    mail.set_content(f"{text}\n\nOn Monday, Support wrote:\n{quoted}\n" if parent else text)
    if dice.random() < HTML_SHARE:
        mail.add_alternative(
            f"<html><body><p>{text}</p><blockquote>{quoted}</blockquote></body></html>", subtype="html"
        )
    if dice.random() < ATTACHMENT_SHARE:
        mail.add_attachment(
            dice.randbytes(ATTACHMENT_BYTES), maintype="application", subtype="pdf", filename="receipt.pdf"
        )
    return mail.as_bytes()


def _date(index: int) -> datetime:
    return datetime(2026, 11, 20, 8, tzinfo=UTC) + timedelta(seconds=index)


@dataclass(frozen=True)
class _Round:
    """One after the other, so that what else the machine does meets all of them."""

    floor_per_second: float
    floor_in_memory_per_second: float
    accepting_seconds: float
    processing_seconds: float
    processing_by_two_seconds: float
    replies_placed: float


def _measure(count: int) -> Figure:
    with running(count) as installation:
        installation.mark_used()
        app = installation.app(with_admin=False)
        with app.app_context():
            _warm_up(f"bench-{time.time_ns()}")
            rounds = [_round(installation, app) for _ in range(ROUNDS)]
    # Of each the fastest: the one that was disturbed least.
    accepting = min(each.accepting_seconds for each in rounds)
    processing = min(each.processing_seconds for each in rounds)
    return Figure(
        mails_per_second=MAILS / (accepting + processing),
        accepted_per_second=MAILS / accepting,
        processed_per_second=MAILS / processing,
        processed_by_two_per_second=MAILS / min(each.processing_by_two_seconds for each in rounds),
        floor_per_second=max(each.floor_per_second for each in rounds),
        floor_in_memory_per_second=max(each.floor_in_memory_per_second for each in rounds),
        replies_placed=min(each.replies_placed for each in rounds),
    )


def _round(installation: Installation, app: Flask) -> _Round:
    run_id = f"bench-{time.time_ns()}"
    raws = mails(run_id)
    floors = [_floor(installation, raws, is_durable=is_durable) for is_durable in (True, False)]
    accepting, ids = _accept_all(raws, run_id)
    processing = _process_with(app, 1)
    placed = _placed(raws, _tickets_of(ids))
    again = mails(f"{run_id}-two")
    _, ids = _accept_all(again, f"{run_id}-two")
    by_two = _process_with(app, 2)
    placed = min(placed, _placed(again, _tickets_of(ids)))
    return _Round(*floors, accepting, processing, by_two, placed)


def _warm_up(run_id: str) -> None:
    from portal.services import intake

    raw = _mail(random.Random(1), 0, 0, f"<{run_id}.warm@mail.example>", None)
    intake.accept(_incoming(f"{run_id}-warm", raw))
    intake.process_waiting()


def _accept_all(raws: list[bytes], run_id: str) -> tuple[float, list[int]]:
    """The seconds that accepting took, each mail with its own commit, and the items' ids."""
    from portal.extensions import db
    from portal.services import intake

    began = time.perf_counter()
    ids = []
    for index, raw in enumerate(raws):
        ids.append(intake.accept(_incoming(f"{run_id}-{index}", raw)))
        db.session.remove()
    return time.perf_counter() - began, ids


def _process_with(app: Flask, worker_count: int) -> float:
    """The seconds that so many workers, each a process of its own, take for all that waits."""
    from portal.extensions import db
    from portal.jobs.worker import prepare_to_fork

    db.session.remove()
    db.engine.dispose()
    prepare_to_fork()
    fork = multiprocessing.get_context("fork")
    start = fork.Barrier(worker_count + 1)
    workers = [fork.Process(target=_work, args=(app, start)) for _ in range(worker_count)]
    for worker in workers:
        worker.start()
    start.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    return time.perf_counter() - began


def _work(app: Flask, start: Any) -> None:
    from portal.extensions import db
    from portal.services import intake

    with app.app_context():
        db.session.execute(db.text("SELECT 1"))
        db.session.remove()
        start.wait()
        intake.process_waiting()


def _tickets_of(ids: list[int]) -> dict[str, int]:
    """The ticket of each mail, by Message-ID. Raises RuntimeError unless all of them went through."""
    from portal.extensions import db
    from portal.models import InboxItem, Message

    counted = db.session.query(InboxItem.state, db.func.count()).filter(InboxItem.id.in_(ids))
    states = dict(counted.group_by(InboxItem.state).all())
    if states != {"processed": len(ids)}:
        raise RuntimeError(f"Not every mail went through: {states}")
    found = db.session.query(Message.message_id_header, Message.ticket_id)
    return dict(found.filter(Message.inbox_item_id.in_(ids)).all())


def _incoming(source_key: str, raw: bytes) -> IncomingBytes:
    return IncomingBytes(source_key, "email", None, "", (), datetime.now(UTC), raw)


def _placed(raws: list[bytes], tickets: dict[str, int]) -> float:
    """The share of replies that stand in the ticket of the mail that they answer."""
    right = total = 0
    for raw in raws:
        mail = BytesParser(policy=modern).parsebytes(raw, headersonly=True)
        if mail["In-Reply-To"]:
            total += 1
            right += _ticket_of(tickets, mail["Message-ID"]) == _ticket_of(tickets, mail["In-Reply-To"])
    return right / total


def _ticket_of(tickets: dict[str, int], message_id: str) -> int:
    return tickets[message_id.strip("<>")]


def _floor(installation: Installation, raws: list[bytes], *, is_durable: bool) -> float:
    kind = "" if is_durable else "TEMPORARY "
    with psycopg.connect(installation.dsn) as session:
        session.execute("DROP TABLE IF EXISTS bench_floor")
        session.execute(f"CREATE {kind}TABLE bench_floor (id bigserial PRIMARY KEY, subject text, raw bytea)")
        session.commit()
        began = time.perf_counter()
        for raw in raws:
            mail = BytesParser(policy=modern).parsebytes(raw)
            for part in mail.walk():
                if not part.is_multipart():
                    part.get_payload(decode=True)
            session.execute("INSERT INTO bench_floor (subject, raw) VALUES (%s, %s)", [mail["Subject"], raw])
            session.commit()
        seconds = time.perf_counter() - began
        session.execute("DROP TABLE bench_floor")
    return len(raws) / seconds
