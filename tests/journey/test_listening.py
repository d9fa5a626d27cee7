"""The listener as the Procfile starts it: what it says of itself, what it refuses, and what it hears of."""

import os
import smtplib
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from portal.extensions import db
from portal.models import ChannelAccount, InboxItem
from portal.models.columns import now
from portal.secrets_box import seal
from tests.certificates import make_certificate
from tests.channels.email.test_imap import Mailbox
from tests.dovecot import PASSWORD, Dovecot, dovecot  # noqa: F401  # a fixture
from tests.factory import Factory
from tests.journey.conftest import ROOT, free_port, wait_until

pytestmark = pytest.mark.journey

ADDRESS = "support@listening.test"
RAW = b"From: ann@people.test\r\nTo: support@listening.test\r\nSubject: hi\r\n\r\nHello\r\n"
# Between the server's word and the inbox item. Polling alone would take a minute.
SOON_SECONDS = 10


@dataclass(frozen=True)
class Listening:
    port: int
    certificate_file: str

    def client(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.port, "people.test", timeout=20)


@contextmanager
def process(app: Flask, log: Path, *words: str, **settings: str) -> Iterator[None]:
    """A process of ours, ended as a process manager ends it."""
    environment = {
        **os.environ,
        "VAR_DIR": str(app.config["SETTINGS"].var_dir),
        "PYTHONWARNINGS": "ignore",
        "MAIL_HOSTNAME": "portal.test",
        **settings,
    }
    with log.open("w") as output:
        command = [sys.executable, "-m", "flask", "--app", "wsgi:create_worker_app", *words]
        running = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield
    finally:
        running.terminate()
        try:
            running.wait(20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@pytest.fixture
def listening(app: Flask, real_commits: None, tmp_path: Path) -> Iterator[Listening]:
    """The listener of the Procfile and one worker; nothing polls, for there is no clock."""
    certificate = make_certificate(tmp_path)
    port = free_port()
    log = tmp_path / "listener.log"
    with ExitStack() as running:
        running.enter_context(
            process(
                app,
                log,
                "listener",
                SMTP_PORT=str(port),
                SMTP_TLS_CERTIFICATE=certificate.certificate_file,
                SMTP_TLS_KEY=certificate.key_file,
                MAIL_SIZE_LIMIT_MB="1",
            )
        )
        running.enter_context(process(app, tmp_path / "worker.log", "worker", "--count", "1"))
        made = Listening(port, certificate.certificate_file)
        wait_until(lambda: answers(made), log.read_text, 30)
        yield made


def answers(listening: Listening) -> bool:
    with suppress(OSError), closing(listening.client()):
        return True
    return False


def kept() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(InboxItem)) or 0


def account_of(account_id: int) -> ChannelAccount:
    db.session.rollback()
    db.session.expire_all()
    return db.session.get_one(ChannelAccount, account_id)


def test_it_says_its_limits_and_refuses_what_it_will_not_keep(listening: Listening) -> None:
    Factory().account(address=ADDRESS)
    with listening.client() as smtp:
        smtp.ehlo()
        assert smtp.esmtp_features["size"] == str(1024 * 1024)
        smtp.starttls(context=ssl.create_default_context(cafile=listening.certificate_file))
        smtp.ehlo()
        assert smtp.mail("ann@people.test", ["SIZE=1048577"])[0] == 552
        smtp.rset()
        smtp.mail("ann@people.test")
        assert smtp.rcpt("nobody@listening.test")[0] == 550
        assert smtp.rcpt(ADDRESS)[0] == 250
        assert smtp.data(RAW + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 15_000)[0] == 552
        assert kept() == 0
        smtp.sendmail("ann@people.test", [ADDRESS], RAW)
    assert kept() == 1


def test_a_full_disk_is_told_as_something_that_passes(listening: Listening) -> None:
    Factory().account(address=ADDRESS)
    with full_disk(), listening.client() as smtp:
        smtp.ehlo()
        smtp.mail("ann@people.test")
        assert smtp.rcpt(ADDRESS)[0] == 250
        code, words = smtp.data(RAW)
        assert code == 451
        assert b"disk" not in words
    assert kept() == 0
    with listening.client() as smtp:
        smtp.sendmail("ann@people.test", [ADDRESS], RAW)
    assert kept() == 1


@contextmanager
def full_disk() -> Iterator[None]:
    """PostgreSQL answers as it does when it has no room for a mail (SQLSTATE 53100)."""
    with db.engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; "
                "END $$"
            )
        )
        connection.execute(
            text("CREATE TRIGGER no_room BEFORE INSERT ON inbox_item FOR EACH ROW EXECUTE FUNCTION no_room()")
        )
    try:
        yield
    finally:
        with db.engine.begin() as connection:
            connection.execute(text("DROP FUNCTION no_room() CASCADE"))


def test_a_mail_in_a_mailbox_is_here_within_seconds(
    listening: Listening,
    dovecot: Dovecot,  # noqa: F811  # the fixture
) -> None:
    mailbox = Mailbox(dovecot)
    account_id = (
        Factory()
        .account(
            imap_host="127.0.0.1",
            imap_port=dovecot.port,
            imap_security="none",
            imap_username=mailbox.username,
            imap_password_encrypted=seal(PASSWORD),
        )
        .id
    )
    # The listener looks for new accounts every twenty seconds; what lies there already is fetched at once then.
    mailbox.put("lay there before")
    wait_until(lambda: kept() == 1 and account_of(account_id).fetched_at, str, 60)
    for count in (2, 3):
        wait_until(lambda: account_of(account_id).next_fetch_at > now() + timedelta(seconds=50), str, 20)
        began = time.monotonic()
        mailbox.put(f"mail {count}")
        wait_until(lambda: kept() == count, str, SOON_SECONDS)  # noqa: B023  # called in this round
        assert time.monotonic() - began < SOON_SECONDS
    wait_until(lambda: mailbox.seen() == {1, 2, 3}, str, 20)
