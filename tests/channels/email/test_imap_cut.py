"""The line to a mailbox breaks, at any byte and at any command: every mail is here once, and none is touched unkept."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from portal.extensions import db
from portal.models import ChannelAccount, InboxItem, Message
from portal.models.columns import now
from portal.secrets_box import seal
from portal.services import intake, mailboxes
from tests.channels.email.cutting import BadLine, Cut, bad_line
from tests.channels.email.test_imap import Mailbox
from tests.dovecot import PASSWORD, Dovecot, dovecot  # noqa: F401  # a fixture
from tests.factory import Factory

MAILS = 4
BODY_BYTES = 3_000
# At this byte of what the server says: in its greeting, in the login, between two mails, in the middle of one …
BYTES = (1, 300, 1_500, 5_000, 8_400, 11_000, 13_000)
COMMANDS = (
    "LOGIN",
    "SELECT|EXAMINE",
    "UID SEARCH",
    r"RFC822\.SIZE",
    r"FETCH 1 \(BODY",
    r"FETCH 3 \(BODY",
    "UID STORE",
    "UID MOVE",
    "UID EXPUNGE",
)
ACTIONS = ("seen", "move", "delete", "leave")
# Who says it; everything else is said for every action, and before the first mail it is the same for all.
SAID_BY = {
    **dict.fromkeys(COMMANDS[:4], ("move", "delete")),
    "UID STORE": ("seen", "delete"),
    "UID MOVE": ("move",),
    "UID EXPUNGE": ("delete",),
}


@pytest.fixture
def mailbox(dovecot: Dovecot) -> Mailbox:  # noqa: F811  # the fixture
    return Mailbox(dovecot)


@pytest.fixture
def line(dovecot: Dovecot) -> Iterator[BadLine]:  # noqa: F811  # the fixture
    with bad_line(dovecot.port) as made:
        yield made


def account_on(line: BadLine, mailbox: Mailbox, make: Factory, action: str) -> ChannelAccount:
    return make.account(
        imap_host="127.0.0.1",
        imap_port=line.port,
        imap_security="none",
        imap_username=mailbox.username,
        imap_password_encrypted=seal(PASSWORD),
        imap_post_action=action,
        imap_move_folder="Done",
    )


def mail(number: int) -> bytes:
    head = f"From: c{number}@people.test\r\nSubject: Parcel {number}\r\nMessage-ID: <cut-{number}@people.test>\r\n\r\n"
    return head.encode() + (b"%d " % number * BODY_BYTES)[:BODY_BYTES] + b"\r\n"


def fill(mailbox: Mailbox, count: int) -> None:
    with mailbox.server.client(mailbox.username) as client:
        for number in range(1, count + 1):
            client.append("INBOX", mail(number))


def kept_uids() -> list[int]:
    return sorted(int(key.rpartition(":")[2]) for key in db.session.scalars(select(InboxItem.source_key)))


def touched_uids(mailbox: Mailbox, count: int) -> set[int]:
    """The mails that are no longer as they came: flagged, or gone from the folder."""
    flags = mailbox.flags()
    return {uid for uid in range(1, count + 1) if flags.get(uid) != set()}


def fetch_again(account: ChannelAccount) -> None:
    """What the clock does when the pause after trouble is over."""
    account.next_fetch_at = now()
    db.session.commit()
    mailboxes.fetch(account.id)
    db.session.refresh(account)


def check_all_done(mailbox: Mailbox, action: str, count: int) -> None:
    assert kept_uids() == list(range(1, count + 1))
    left = mailbox.flags()
    if action in ("seen", "leave"):
        flags = {b"\\Seen"} if action == "seen" else set()
        assert left == dict.fromkeys(range(1, count + 1), flags)
    else:
        assert left == {}
    if action == "move":
        assert sorted(mailbox.bodies("Done")) == sorted(mail(number) for number in range(1, count + 1))
    intake.process_waiting()
    headers = db.session.scalars(select(Message.message_id_header)).all()
    assert sorted(header.strip("<>") for header in headers) == sorted(
        f"cut-{number}@people.test" for number in range(1, count + 1)
    )
    assert set(db.session.scalars(select(InboxItem.state))) == {"processed"}


CUTS = [Cut(after_bytes=number) for number in BYTES] + [
    Cut(at_command=command, is_done=is_done) for command in COMMANDS for is_done in (False, True)
]


@pytest.mark.parametrize(
    ("action", "cut"),
    [(action, cut) for cut in CUTS for action in SAID_BY.get(cut.at_command, ACTIONS)],
    ids=lambda value: value if isinstance(value, str) else re.sub(r"\W+", "-", repr(value)),
)
def test_a_cut_anywhere_loses_and_doubles_nothing(database, line, mailbox, make, action, cut):
    account = account_on(line, mailbox, make, action)
    fill(mailbox, MAILS)
    line.cuts = [cut]
    mailboxes.fetch(account.id)
    db.session.refresh(account)
    assert line.cut_count == 1
    assert account.last_error
    assert touched_uids(mailbox, MAILS) <= set(kept_uids())
    fetch_again(account)
    assert account.last_error == ""
    check_all_done(mailbox, action, MAILS)


@pytest.mark.parametrize("action", ["seen", "move", "delete"])
def test_a_line_that_always_breaks_after_two_mails_still_brings_all(database, line, mailbox, make, action):
    account = account_on(line, mailbox, make, action)
    count = 12
    fill(mailbox, count)
    line.cuts = [Cut(after_bytes=int(BODY_BYTES * 3.5))] * 100
    for _ in range(count):
        fetch_again(account)
        assert touched_uids(mailbox, count) <= set(kept_uids())
        if not account.last_error:
            break
    assert account.last_error == ""
    assert 3 <= line.cut_count < count
    check_all_done(mailbox, action, count)
