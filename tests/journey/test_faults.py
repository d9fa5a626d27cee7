"""Engines go away while people work: clear answers, and nothing lost."""

import os
import signal
import smtplib
import urllib.error
import urllib.request
from email.message import EmailMessage

import pytest
import redis

from portal.embedded import Embedded, stop_database
from tests.journey.conftest import Installation, wait_until

pytestmark = pytest.mark.journey


def test_a_mail_survives_redis_being_emptied_and_killed(installation: Installation) -> None:
    embedded = Embedded(installation.var_dir)
    redis.Redis.from_url(embedded.redis_url).flushall()
    os.kill(int((embedded.redis_dir / "server.pid").read_text()), signal.SIGKILL)
    send(installation, "Sent while Redis was away")
    wait_until(
        lambda: len(installation.tickets("Sent while Redis was away")) == 1, installation.log.read_text, 60
    )
    wait_until(lambda: status_of(installation, "/readyz") == 200, installation.log.read_text, 60)


def test_pages_and_mail_say_so_while_the_database_is_away(installation: Installation) -> None:
    stop_database(Embedded(installation.var_dir))
    code = wait_until(lambda: refused_or_taken(installation, "Sent while PostgreSQL was away"), str, 5)
    page = status_of(installation, "/login/")
    # The launcher starts the server again within seconds, so the page may be well already; it never breaks.
    assert page in (200, 503)
    assert code in (250, 451)
    wait_until(lambda: status_of(installation, "/readyz") == 200, installation.log.read_text, 60)
    if code == 451:
        # What a mail server does with a 451.
        wait_until(
            lambda: refused_or_taken(installation, "Sent while PostgreSQL was away") == 250,
            installation.log.read_text,
            30,
        )
    wait_until(
        lambda: len(installation.tickets("Sent while PostgreSQL was away")) == 1,
        installation.log.read_text,
        60,
    )


def refused_or_taken(installation: Installation, subject: str) -> int:
    try:
        send(installation, subject)
    except smtplib.SMTPRecipientsRefused as refused:
        return next(iter(refused.recipients.values()))[0]
    except smtplib.SMTPResponseException as refused:
        return refused.smtp_code
    return 250


def send(installation: Installation, subject: str) -> None:
    mail = EmailMessage()
    mail["From"] = "Fault Finder <fault@customer.test>"
    mail["To"] = "support@north.demo.test"
    mail["Subject"] = subject
    mail["Message-ID"] = f"<{abs(hash(subject))}@customer.test>"
    mail.set_content("Is anybody there?")
    with smtplib.SMTP("127.0.0.1", installation.smtp_port, timeout=30) as connection:
        connection.send_message(mail)


def status_of(installation: Installation, path: str) -> int:
    try:
        with urllib.request.urlopen(f"{installation.base_url}{path}", timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
