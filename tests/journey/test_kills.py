"""A thousand mails in and two hundred answers out, while processes die at every step of the way."""

import os
import smtplib
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from flask import Flask
from sqlalchemy import func, select, text

from portal.extensions import db
from portal.jobs.reconcile import reconcile
from portal.models import InboxItem, Message, Ticket, User
from portal.redis_handle import redis_handle
from portal.services import replies
from tests.factory import Factory
from tests.journey.conftest import ROOT, free_port

pytestmark = pytest.mark.journey

MAILS, ANSWERS, LEAST_KILLS = 1_000, 200, 200
THREADS = 300
MOST_SECONDS = 500
ADDRESS = "support@faults.test"


def test_nothing_is_lost_or_doubled_however_often_processes_die(
    app: Flask, real_commits: None, tmp_path: Path
) -> None:
    make = Factory()
    branch = make.branch()
    agent_id = make.agent(branch=branch).id
    sink = _Sink()
    with _smtp_server(sink) as sink_port:
        make.account(
            address=ADDRESS,
            branch=branch,
            smtp_host="127.0.0.1",
            smtp_port=sink_port,
            smtp_security="none",
        )
        db.session.commit()
        kills = tmp_path / "kills"
        kills.touch()
        smtp_port = free_port()
        with (
            _kept_alive(app, kills, "listener", chance=0.004, SMTP_PORT=str(smtp_port)),
            _kept_alive(app, kills, "worker", "--count", "4", chance=0.31),
        ):
            with ThreadPoolExecutor(4) as senders:
                list(senders.map(lambda index: _hand_over(smtp_port, index), range(MAILS)))
            _until(lambda: _count(InboxItem.state == "accepted") == 0, kills)
            for ticket_id in db.session.scalars(select(Ticket.id).order_by(Ticket.id).limit(ANSWERS)).all():
                ticket = db.session.get_one(Ticket, ticket_id)
                agent = db.session.get_one(User, agent_id)
                replies.send_reply(ticket, agent, f"<p>Answer to ticket {ticket_id}</p>")
            _until(lambda: _undelivered() == 0, kills)

    killed = Counter(kills.read_text().split())
    print(f"{killed.total()} kills: {dict(killed)}; {len(sink.received)} deliveries of {ANSWERS} answers")
    assert killed.total() >= LEAST_KILLS
    assert set(killed) >= {
        "intake_claimed",
        "intake_written",
        "intake_committed",
        "delivery_claimed",
        "delivery_sent",
        "delivery_noted",
    }
    # Every mail stands in exactly one message, and every thread in exactly one ticket.
    headers = db.session.scalars(select(Message.message_id_header).where(Message.direction == "in")).all()
    assert sorted(headers) == sorted(_message_id(index) for index in range(MAILS))
    assert db.session.scalar(select(func.count()).select_from(Ticket)) == THREADS
    assert _count(InboxItem.state == "quarantined") == 0
    # Every answer arrived; one that was sent again carries the same Message-ID, which mail programs show once.
    owed = db.session.scalars(select(Message.message_id_header).where(Message.direction == "out")).all()
    assert len(owed) == ANSWERS
    assert {header.strip("<>") for header in sink.received} == {header.strip("<>") for header in owed}


class _Sink:
    """Keeps the Message-ID of every mail that it is handed."""

    def __init__(self) -> None:
        self.received: list[str] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.received.append(message_from_bytes(envelope.original_content or b"")["Message-ID"])
        return "250 Kept"


@contextmanager
def _smtp_server(sink: _Sink) -> Iterator[int]:
    port = free_port()
    controller = Controller(sink, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@contextmanager
def _kept_alive(app: Flask, kills: Path, *words: str, chance: float, **settings: str) -> Iterator[None]:
    """A process of ours that is started again whenever it has died, as a process manager does."""
    environment = {
        **os.environ,
        "VAR_DIR": str(app.config["SETTINGS"].var_dir),
        "PYTHONWARNINGS": "ignore",
        "PORTAL_FAULT_CHANCE": str(chance),
        "PORTAL_FAULT_LOG": str(kills),
        **settings,
    }
    is_over = threading.Event()
    running: list[subprocess.Popen[bytes]] = []

    def keep() -> None:
        while not is_over.is_set():
            running[:] = [
                subprocess.Popen(
                    [sys.executable, "-m", "flask", "--app", "wsgi:create_worker_app", *words],
                    cwd=ROOT,
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            ]
            running[0].wait()

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        is_over.set()
        with suppress(ProcessLookupError):
            os.killpg(running[0].pid, 9)
        keeper.join()


def _hand_over(port: int, index: int) -> None:
    """What a mail server does: try again until the other side says that it has the mail."""
    raw = _mail(index)
    end = time.monotonic() + MOST_SECONDS
    while time.monotonic() < end:
        with suppress(OSError, smtplib.SMTPException), smtplib.SMTP("127.0.0.1", port, timeout=10) as session:
            session.sendmail(f"customer{index % THREADS}@people.test", [ADDRESS], raw)
            return
        time.sleep(0.2)
    pytest.fail(f"mail {index} was not taken")


def _mail(index: int) -> bytes:
    """The first mail of a thread, or an answer to the one before it in the thread."""
    mail = EmailMessage()
    mail["From"] = f"customer{index % THREADS}@people.test"
    mail["To"] = ADDRESS
    mail["Subject"] = f"Parcel {index % THREADS}"
    mail["Message-ID"] = f"<{_message_id(index)}>"
    if index >= THREADS:
        ancestors = [f"<{_message_id(number)}>" for number in range(index % THREADS, index, THREADS)]
        mail["In-Reply-To"] = ancestors[-1]
        mail["References"] = " ".join(ancestors)
    mail.set_content(f"This is mail {index}.")
    return mail.as_bytes()


def _message_id(index: int) -> str:
    return f"mail-{index}@people.test"


def _until(is_done: Callable[[], bool], kills: Path) -> None:
    """Ring as the clock does, with Redis emptied and the leases of the dead run out, until it is done."""
    end = time.monotonic() + MOST_SECONDS
    while not is_done():
        if time.monotonic() > end:
            pytest.fail(f"not done after {MOST_SECONDS} s and {len(kills.read_text().split())} kills")
        redis_handle.client.flushdb()
        with db.engine.begin() as connection:
            connection.execute(
                text(
                    """
                    UPDATE outbox_item SET next_attempt_at = now()
                    WHERE state = 'queued' OR (state = 'sending' AND next_attempt_at < now() + interval '298 s')
                    """
                )
            )
        reconcile()
        db.session.remove()
        time.sleep(0.5)


def _count(condition: object) -> int:
    counted = db.session.scalar(select(func.count()).select_from(InboxItem).where(condition))
    db.session.rollback()
    return counted


def _undelivered() -> int:
    counted = db.session.scalar(
        text("SELECT count(*) FROM delivery WHERE state IN ('queued', 'sending', 'deferred')")
    )
    db.session.rollback()
    return counted
