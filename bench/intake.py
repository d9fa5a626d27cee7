"""Mails a second through the whole way in: accepted, committed, parsed, threaded, placed, committed; one worker.

Beside it the floor: the standard library parses the same bytes and one row is committed for each.
"""

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as modern
from email.utils import format_datetime

import psycopg

from bench import world
from bench.installation import SMALL_TICKETS, Installation, results_dir, running, ticket_count
from bench.measure import print_table, write_results
from portal.channels.base import IncomingBytes

MAILS, NEW_MAILS = 1_000, 400
HTML_SHARE, ATTACHMENT_SHARE, ATTACHMENT_BYTES = 0.4, 0.1, 50 * 1024


@dataclass(frozen=True)
class Figure:
    """What one database took."""

    mails_per_second: float
    accepted_per_second: float
    floor_per_second: float
    new_per_second: float
    reply_per_second: float
    replies_placed: float


def run() -> None:
    """Measure on the small and on the large database, print and write. Leaves the mails' tickets behind."""
    figures = {count: _measure(count) for count in (SMALL_TICKETS, ticket_count())}
    print_table(
        f"Intake, {MAILS:,} mails ({NEW_MAILS} new), one worker",
        [
            "tickets there",
            "mails/s",
            "new/s",
            "replies/s",
            "accept/s",
            "floor/s",
            "× floor",
            "replies placed",
        ],
        [
            [
                f"{count:,}",
                each.mails_per_second,
                each.new_per_second,
                each.reply_per_second,
                each.accepted_per_second,
                each.floor_per_second,
                each.mails_per_second / each.floor_per_second,
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


def _measure(count: int) -> Figure:
    with running(count) as installation:
        installation.mark_used()
        run_id = f"bench-{time.time_ns()}"
        raws = mails(run_id)
        floor = _floor(installation, raws)
        app = installation.app(with_admin=False)
        with app.app_context():
            return _through_the_house(raws, run_id, floor)


def _through_the_house(raws: list[bytes], run_id: str, floor: float) -> Figure:
    from portal.extensions import db
    from portal.models import InboxItem, Message
    from portal.services import intake

    warm_up = _mail(random.Random(1), 0, 0, f"<{run_id}.warm@mail.example>", None)
    intake.process(intake.accept(_incoming(f"{run_id}-warm", warm_up)))
    began = time.perf_counter()
    ids = []
    for index, raw in enumerate(raws):
        ids.append(intake.accept(_incoming(f"{run_id}-{index}", raw)))
        db.session.remove()
    accepted = time.perf_counter() - began
    spent = {True: 0.0, False: 0.0}
    for item_id, raw in zip(ids, raws, strict=True):
        start = time.perf_counter()
        intake.process(item_id)
        # As after every job: the next one has a session of its own.
        db.session.remove()
        spent[b"\nIn-Reply-To:" not in raw] += time.perf_counter() - start
    states = dict(
        db.session.query(InboxItem.state, db.func.count())
        .filter(InboxItem.id.in_(ids))
        .group_by(InboxItem.state)
    )
    if states != {"processed": len(ids)}:
        raise RuntimeError(f"Not every mail went through: {states}")
    placed = _placed(
        raws,
        {
            m.message_id_header: m.ticket_id
            for m in db.session.query(Message).filter(Message.inbox_item_id.in_(ids))
        },
    )
    whole = accepted + sum(spent.values())
    replies = MAILS - NEW_MAILS
    return Figure(
        mails_per_second=MAILS / whole,
        accepted_per_second=MAILS / accepted,
        floor_per_second=floor,
        new_per_second=NEW_MAILS / spent[True],
        reply_per_second=replies / spent[False],
        replies_placed=placed,
    )


def _incoming(source_key: str, raw: bytes) -> IncomingBytes:
    return IncomingBytes(source_key, "email", None, "", (), datetime.now(UTC), raw)


def _placed(raws: list[bytes], tickets: dict[str, int]) -> float:
    """The share of replies that stand in the ticket of the mail that they answer."""
    right = total = 0
    for raw in raws:
        mail = BytesParser(policy=modern).parsebytes(raw, headersonly=True)
        if mail["In-Reply-To"]:
            total += 1
            right += tickets.get(mail["Message-ID"]) == tickets.get(mail["In-Reply-To"])
    return right / total


def _floor(installation: Installation, raws: list[bytes]) -> float:
    with psycopg.connect(installation.dsn) as session:
        session.execute("CREATE TEMPORARY TABLE floor (id bigserial PRIMARY KEY, subject text, raw bytea)")
        session.commit()
        began = time.perf_counter()
        for raw in raws:
            mail = BytesParser(policy=modern).parsebytes(raw)
            for part in mail.walk():
                if not part.is_multipart():
                    part.get_payload(decode=True)
            session.execute("INSERT INTO floor (subject, raw) VALUES (%s, %s)", [mail["Subject"], raw])
            session.commit()
        return len(raws) / (time.perf_counter() - began)
