"""PostgreSQL is torn down again and again while mail comes in and answers go out: everything is there, once."""

import http.cookiejar
import os
import re
import signal
import smtplib
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from portal.embedded import Embedded
from tests.journey.conftest import Installation, wait_until
from tests.journey.test_faults import status_of

pytestmark = pytest.mark.journey

ADDRESS = "support@north.demo.test"
THREADS, MAILS, RESTARTS = 12, 72, 3
MOST_SECONDS = 120


def test_what_was_acknowledged_survives_a_database_that_is_torn_down(installation: Installation) -> None:
    before = processes_of(installation.pid)
    taken = Progress()
    for index in range(THREADS):
        hand_over(installation, index, taken)
    tickets = wait_until(
        lambda: len(found := ticket_numbers(installation)) == THREADS and found,
        installation.log.read_text,
        60,
    )
    agent = Agent(installation)
    with ThreadPoolExecutor(8) as at_work:
        done = []
        for wave in range(RESTARTS):
            mails = range(THREADS + wave, MAILS, RESTARTS)
            answers = tickets[wave::RESTARTS]
            so_far = taken.count
            # Some are on their way when it happens, the others come while nobody is there.
            done += [at_work.submit(hand_over, installation, index, taken) for index in mails[::2]]
            done += [at_work.submit(agent.answer, number) for number in answers[::2]]
            wait_until(partial(taken.has_passed, so_far), installation.log.read_text, 60)
            tear_down(installation)
            done += [at_work.submit(hand_over, installation, index, taken) for index in mails[1::2]]
            done += [at_work.submit(agent.answer, number) for number in answers[1::2]]
            wait_until(lambda: is_up(installation), installation.log.read_text, 60)
        for each in done:
            each.result()
    assert taken.refusals, "the database was never missed: this test has tested nothing"
    wait_until(lambda: is_everything_delivered(installation), installation.log.read_text, 90)

    assert rows(
        installation,
        "SELECT message_id_header, count(*) FROM message "
        "WHERE direction = 'in' AND message_id_header LIKE 'restart-%' GROUP BY 1",
    ) == {f"restart-{index}@people.test": 1 for index in range(MAILS)}
    assert ticket_numbers(installation) == tickets
    assert set(
        rows(
            installation,
            "SELECT state, count(*) FROM inbox_item WHERE envelope_from LIKE '%@people.test' GROUP BY 1",
        )
    ) == {"processed"}
    assert agent.progress.count == THREADS
    # Every answer is there once, and has gone out: one that was sent twice has one Message-ID, which is shown once.
    sent = answers_in_postbox(installation.var_dir)
    assert {words for words, _ in sent} == {words_for(number) for number in tickets}
    assert len(sent) == THREADS
    # Nobody was started again: web, workers and listener have come back by themselves.
    assert processes_of(installation.pid) == before
    assert status_of(installation, "/readyz") == 200


@dataclass
class Progress:
    """How often something was acknowledged, and what was said instead."""

    count: int = 0
    refusals: Counter[int] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def went_well(self) -> None:
        with self.lock:
            self.count += 1

    def has_passed(self, count: int) -> bool:
        return self.count > count

    def was_refused(self, code: int) -> None:
        assert code == 0 or 400 <= code < 500 or code == 503, f"{code} gives up for ever"
        with self.lock:
            self.refusals[code] += 1


class Agent:
    """Someone with a browser who sends again what was not taken, after a look at whether it was."""

    def __init__(self, installation: Installation) -> None:
        self.progress = Progress()
        self._base_url = installation.base_url
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._browser = urllib.request.build_opener(cookies)
        account = installation.accounts["agent"]
        until(lambda: self._logged_in(account["username"], account["password"]))

    def answer(self, number: int) -> None:
        def is_answered() -> bool:
            page = self._page(f"/tickets/{number}")
            if page is None:
                return False
            if words_for(number) in page:
                return True
            form = {
                "csrf_token": field_of(page, "csrf_token"),
                "format": "text",
                "html": words_for(number),
                "to": f"customer{number}@people.test",
            }
            try:
                self._browser.open(f"{self._base_url}/tickets/{number}/reply", encoded(form), timeout=40)
            except urllib.error.HTTPError as error:
                self.progress.was_refused(error.code)
            except OSError:
                self.progress.was_refused(0)
            # Looked at again, also after a success.
            return False

        until(is_answered)
        self.progress.went_well()

    def _logged_in(self, username: str, password: str) -> bool:
        page = self._page("/login/")
        if page is None:
            return False
        form = {"csrf_token": field_of(page, "csrf_token"), "username": username, "password": password}
        with suppress(OSError):
            self._browser.open(f"{self._base_url}/login/", encoded(form), timeout=40)
        queue = self._page("/queue")
        return queue is not None and 'name="password"' not in queue

    def _page(self, path: str) -> str | None:
        try:
            with self._browser.open(f"{self._base_url}{path}", timeout=40) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            self.progress.was_refused(error.code)
        except OSError:
            self.progress.was_refused(0)
        return None


def encoded(form: dict[str, str]) -> bytes:
    return urllib.parse.urlencode(form).encode()


def field_of(page: str, name: str) -> str:
    found = re.search(rf'<input[^>]*name="{name}"[^>]*>', page)
    assert found, f"no {name} on the page"
    value = re.search(r'value="([^"]*)"', found[0])
    assert value
    return value[1]


def words_for(number: int) -> str:
    return f"This is the answer to number {number}."


def hand_over(installation: Installation, index: int, taken: Progress) -> None:
    """What a mail server does: try again until the other side says that it has the mail."""

    def is_taken() -> bool:
        try:
            with smtplib.SMTP("127.0.0.1", installation.smtp_port, timeout=40) as session:
                session.sendmail(f"customer{index % THREADS}@people.test", [ADDRESS], mail(index))
        except smtplib.SMTPRecipientsRefused as refused:
            taken.was_refused(next(iter(refused.recipients.values()))[0])
        except smtplib.SMTPResponseException as refused:
            taken.was_refused(refused.smtp_code)
        else:
            taken.went_well()
            return True
        return False

    until(is_taken)


def mail(index: int) -> bytes:
    """The first mail of a thread, or one more on it."""
    made = EmailMessage()
    made["From"] = f"customer{index % THREADS}@people.test"
    made["To"] = ADDRESS
    made["Subject"] = f"Restarted parcel {index % THREADS}"
    made["Message-ID"] = f"<restart-{index}@people.test>"
    if index >= THREADS:
        made["In-Reply-To"] = f"<restart-{index % THREADS}@people.test>"
    made.set_content(f"This is mail {index}.")
    return made.as_bytes()


def tear_down(installation: Installation) -> None:
    """PostgreSQL's immediate shutdown: nothing is finished, nothing is written."""
    pid_file = Embedded(installation.var_dir).database_dir / "postmaster.pid"
    os.kill(int(pid_file.read_text().split()[0]), signal.SIGQUIT)
    wait_until(lambda: not is_up(installation), installation.log.read_text, 20)


def is_up(installation: Installation) -> bool:
    try:
        connected(installation).close()
    except psycopg.OperationalError:
        return False
    return True


def connected(installation: Installation) -> psycopg.Connection[Any]:
    folder = Embedded(installation.var_dir).socket_dir
    return psycopg.connect(host=str(folder), user="portal", dbname="portal", connect_timeout=5)


def rows(installation: Installation, statement: str) -> dict[Any, Any]:
    with connected(installation) as connection:
        return dict(connection.execute(statement).fetchall())


def ticket_numbers(installation: Installation) -> list[int]:
    found = rows(installation, "SELECT number, id FROM ticket WHERE subject LIKE 'Restarted parcel %'")
    return sorted(found)


def is_everything_delivered(installation: Installation) -> bool:
    """Of this test: what others have written to be sent later may still wait."""
    waiting = rows(
        installation,
        "SELECT 'in', count(*) FROM inbox_item WHERE state = 'accepted' "
        "UNION SELECT 'out', count(*) FROM delivery "
        "WHERE state IN ('queued', 'sending', 'deferred') AND recipient LIKE '%@people.test'",
    )
    return not any(waiting.values())


def answers_in_postbox(var_dir: Path) -> set[tuple[str, str]]:
    """The words and the Message-ID of every answer that customers have got."""
    found = set()
    for path in (var_dir / "postbox").glob("*.eml"):
        got = message_from_bytes(path.read_bytes())
        plain = next(part for part in got.walk() if part.get_content_type() == "text/plain")
        words = re.search(rb"This is the answer to number \d+\.", plain.get_payload(decode=True))
        if words:
            found.add((words[0].decode(), got["Message-ID"]))
    return found


def processes_of(pid: int) -> set[tuple[int, str]]:
    """Portal's own processes below that one: their ids and when they began."""
    parents: dict[int, int] = {}
    began: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            values = (folder / "stat").read_text().rpartition(")")[2].split()
            words = (folder / "cmdline").read_bytes()
            if re.search(rb"gunicorn|wsgi:create_worker_app|portal\.", words):
                parents[int(folder.name)], began[int(folder.name)] = int(values[1]), values[19]

    def is_below(each: int) -> bool:
        return each == pid or (each in parents and is_below(parents[each]))

    return {(each, began[each]) for each in parents if is_below(each)}


def until(is_done: Callable[[], bool]) -> None:
    """Try again and again, as the far end does."""
    end = time.monotonic() + MOST_SECONDS
    while not is_done():
        assert time.monotonic() < end, f"not done after {MOST_SECONDS} s"
        time.sleep(0.2)
