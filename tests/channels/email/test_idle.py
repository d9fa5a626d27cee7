"""Mailboxes in the running system, against a real Dovecot: mail is fetched when it comes, and none is left behind."""

import contextlib
import threading
import time
import tracemalloc

import pytest
from sqlalchemy import delete, func, select

from portal.channels.email import idle
from portal.channels.email.imap import ImapSettings, ImapTrouble
from portal.extensions import db
from portal.jobs import watch
from portal.models import ChannelAccount, InboxItem
from portal.models.columns import now
from portal.secrets_box import seal
from portal.services import mailboxes
from tests.channels.email.test_imap import Mailbox
from tests.dovecot import PASSWORD, dovecot  # noqa: F401  # a fixture
from tests.factory import Factory


@pytest.fixture
def mailbox(dovecot) -> Mailbox:  # noqa: F811  # the fixture
    return Mailbox(dovecot)


def account_of(mailbox: Mailbox, make: Factory, **values) -> ChannelAccount:
    return make.account(
        **{
            "imap_host": "127.0.0.1",
            "imap_port": mailbox.server.port,
            "imap_security": "none",
            "imap_username": mailbox.username,
            "imap_password_encrypted": seal(PASSWORD),
            **values,
        }
    )


def until(is_true, seconds: float = 15) -> None:
    """Wait for a condition; the clock is for failing only."""
    waiting, end = threading.Event(), time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, "it did not become true in time"
        waiting.wait(0.02)


class Watched:
    """An IDLE held in a thread, and how often it heard something."""

    def __init__(self, settings: ImapSettings, **timing) -> None:
        self.count = 0
        self.trouble: ImapTrouble | None = None
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(settings, timing), daemon=True)
        self.thread.start()

    def _run(self, settings: ImapSettings, timing: dict) -> None:
        try:
            idle.hold(settings, self._heard, lambda: not self.ended.is_set(), **timing)
        except ImapTrouble as trouble:
            self.trouble = trouble

    def _heard(self) -> None:
        self.count += 1

    def end(self) -> None:
        self.ended.set()
        self.thread.join(timeout=10)
        assert not self.thread.is_alive()


def test_new_mail_is_heard_of_and_stays_unseen(mailbox):
    watched = Watched(mailbox.settings(), look_seconds=0.2)
    until(lambda: watched.count == 1)
    mailbox.put("one")
    until(lambda: watched.count == 2)
    mailbox.put("two")
    until(lambda: watched.count >= 3)
    watched.end()
    assert mailbox.flags() == {1: set(), 2: set()}


def test_an_idle_is_renewed_and_hears_after_it(mailbox):
    watched = Watched(mailbox.settings(), renew_seconds=0.05, look_seconds=0.05)
    until(lambda: watched.count == 1)
    threading.Event().wait(0.5)  # ten renewals, of which nothing else tells
    mailbox.put("one")
    until(lambda: watched.count >= 2)
    watched.end()
    assert watched.trouble is None


def test_a_cut_connection_is_told_at_once_and_does_not_spin(mailbox):
    watched = Watched(mailbox.settings(), look_seconds=20)
    until(lambda: watched.count == 1)
    mailbox.server.cut_connections(mailbox.username)
    watched.thread.join(timeout=10)
    assert not watched.thread.is_alive()
    assert watched.trouble is not None
    assert watched.trouble.step == "connect"


def test_pauses_double_up_to_a_quarter_of_an_hour():
    for failures in range(60):
        longest = min(watch.FIRST_PAUSE_SECONDS * 2**failures, 900)
        assert longest / 2 <= watch.pause_seconds(failures) <= longest


# --- the running system


@pytest.fixture
def watching(app, real_commits, mailbox):
    stopped = threading.Event()
    thread = threading.Thread(
        target=watch.watch_for_ever, args=(app, stopped), kwargs={"look_seconds": 0.1}, daemon=True
    )
    thread.start()
    yield
    stopped.set()
    thread.join(timeout=10)
    # One that has just heard something would write into the database of the next test.
    with contextlib.suppress(AssertionError):  # when nobody is logged in any more
        mailbox.server.cut_connections(mailbox.username)
    for each in threading.enumerate():
        if each.name.startswith("idle-"):
            each.join(timeout=30)
            assert not each.is_alive()


def rung_at(account_id: int):
    db.session.rollback()
    return db.session.scalar(select(ChannelAccount.rung_at).where(ChannelAccount.id == account_id))


def due_at(account_id: int):
    return db.session.scalar(select(ChannelAccount.next_fetch_at).where(ChannelAccount.id == account_id))


def test_a_mail_that_comes_is_fetched_without_waiting_for_the_poll(app, watching, mailbox, monkeypatch):
    monkeypatch.setattr(watch, "FIRST_PAUSE_SECONDS", 0.1)
    account_id = account_of(mailbox, Factory()).id
    until(lambda: rung_at(account_id) is not None)
    mailboxes.fetch(account_id)
    first = rung_at(account_id)
    assert due_at(account_id) > now()
    mailbox.put("hello")
    until(lambda: rung_at(account_id) > first)
    assert due_at(account_id) <= now()
    assert mailboxes.fetch(account_id) == 1
    # Thrown out, it comes back by itself.
    second = rung_at(account_id)
    mailbox.server.cut_connections(mailbox.username)
    until(lambda: rung_at(account_id) > second)
    mailbox.put("again")
    assert mailboxes.fetch(account_id) == 1


def test_a_bell_during_a_fetch_is_not_forgotten(database, mailbox, make, monkeypatch):
    account = account_of(mailbox, make)
    mailbox.put("one")
    real = mailboxes._accept_for
    comes_late = iter(["two"])

    def accept_for(account_id):
        accept = real(account_id)

        def accepted(mail):
            accept(mail)
            for body in comes_late:
                mailbox.put(body)
                mailboxes.ring(account_id)

        return accepted

    monkeypatch.setattr(mailboxes, "_accept_for", accept_for)
    assert mailboxes.fetch(account.id) == 2


# --- what was left behind


def kept_uids() -> list[int]:
    keys = db.session.scalars(select(InboxItem.source_key))
    return sorted(int(key.rpartition(":")[2]) for key in keys)


@pytest.mark.parametrize("post_action", ["leave", "seen", "move"])
def test_a_mail_below_the_cursor_that_never_came_is_pulled(database, mailbox, make, post_action):
    account = account_of(mailbox, make, imap_post_action="leave", imap_move_folder="Done")
    mailbox.put("one", "two", "three")
    assert mailboxes.fetch(account.id) == 3
    db.session.execute(delete(InboxItem).where(InboxItem.source_key.like("%:2")))
    account.imap_post_action = post_action
    db.session.commit()
    assert mailboxes.compare(account.id) == 1
    assert kept_uids() == [1, 2, 3]
    assert mailbox.flags().get(2) == {"leave": set(), "seen": {b"\\Seen"}}.get(post_action)
    assert mailboxes.compare(account.id) == 0
    assert account.compared_at is not None


def test_a_mail_beyond_the_cursor_and_a_renumbered_folder_are_left_to_fetching(database, mailbox, make):
    account = account_of(mailbox, make)
    mailbox.put("one")
    mailboxes.fetch(account.id)
    mailbox.put("two")
    assert mailboxes.compare(account.id) == 0
    mailbox.server.renumber(mailbox.username)
    assert mailboxes.compare(account.id) == 0
    assert kept_uids() == [1]


def test_a_long_queue_is_drained_oldest_first_in_bounded_memory(database, mailbox, make, monkeypatch):
    monkeypatch.setattr(mailboxes, "BATCH", 100)
    account = account_of(mailbox, make, imap_post_action="leave")
    mailbox.put(*(f"{number} ".encode() + b"x" * 20_000 for number in range(350)))
    tracemalloc.start()
    try:
        assert mailboxes.fetch(account.id) == 350
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert db.session.scalar(select(func.count()).select_from(InboxItem)) == 350
    in_order = db.session.scalars(select(InboxItem.source_key).order_by(InboxItem.id))
    assert [int(key.rpartition(":")[2]) for key in in_order] == list(range(1, 351))
    assert peak_bytes < 4_000_000, "350 mails of 20 KB are 7 MB"
