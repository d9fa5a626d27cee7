"""Fetching from a real Dovecot: oldest first, kept before the server is told, nothing lost when something breaks."""

import socket
import tracemalloc
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from portal.channels.email import imap
from portal.channels.email.imap import Cursor, FetchedMail, ImapSettings, ImapTrouble, fetch_new
from tests.certificates import make_certificate
from tests.dovecot import PASSWORD, Dovecot, dovecot  # noqa: F401  # a fixture

START = Cursor()


class Mailbox:
    """One user's mailbox on the server, and what Portal is told about it."""

    def __init__(self, server: Dovecot) -> None:
        self.server = server
        self.username = f"desk-{uuid.uuid4().hex[:10]}"

    def settings(self, **fields) -> ImapSettings:
        return ImapSettings(
            **{
                "account_id": 7,
                "host": "127.0.0.1",
                "port": self.server.port,
                "security": "none",
                "username": self.username,
                "password": PASSWORD,
                "timeout_seconds": 10,
                **fields,
            }
        )

    def put(self, *bodies: str | bytes, folder: str = "INBOX") -> None:
        with self.server.client(self.username) as client:
            if not client.folder_exists(folder):
                client.create_folder(folder)
            for body in bodies:
                client.append(folder, raw_of(body))

    def flags(self, folder: str = "INBOX") -> dict[int, set[bytes]]:
        """The flags of every mail in the folder, by number."""
        with self.server.client(self.username) as client:
            client.select_folder(folder, readonly=True)
            found = client.fetch(client.search(), ["FLAGS"])
            return {uid: set(values[b"FLAGS"]) - {b"\\Recent"} for uid, values in found.items()}

    def seen(self) -> set[int]:
        return {uid for uid, flags in self.flags().items() if b"\\Seen" in flags}

    def bodies(self, folder: str) -> list[bytes]:
        with self.server.client(self.username) as client:
            client.select_folder(folder, readonly=True)
            return [
                values[b"BODY[]"]
                for _, values in sorted(client.fetch(client.search(), ["BODY.PEEK[]"]).items())
            ]

    def remove(self, uid: int) -> None:
        with self.server.client(self.username) as client:
            client.select_folder("INBOX")
            client.delete_messages([uid])
            client.uid_expunge([uid])

    def mark_deleted(self, uid: int) -> None:
        with self.server.client(self.username) as client:
            client.select_folder("INBOX")
            client.delete_messages([uid])


def raw_of(body: str | bytes) -> bytes:
    text = body if isinstance(body, bytes) else body.encode()
    return b"Subject: " + text[:20] + b"\r\n\r\n" + text + b"\r\n"


@pytest.fixture
def mailbox(dovecot: Dovecot) -> Mailbox:  # noqa: F811  # the fixture
    return Mailbox(dovecot)


class Broken(Exception):
    pass


def breaking_at(number: int, kept: list[FetchedMail]) -> Callable[[FetchedMail], None]:
    """Keeps what it gets, but fails once, at the mail of that number."""
    calls = iter(range(1, 1_000_000))

    def accept(mail: FetchedMail) -> None:
        if next(calls) == number:
            raise Broken
        kept.append(mail)

    return accept


# --- what is fetched


def test_waiting_mail_is_handed_over_oldest_first_and_only_once(mailbox: Mailbox):
    mailbox.put("one", "two", "three")
    kept: list[FetchedMail] = []
    cursor = fetch_new(mailbox.settings(), START, kept.append)
    assert [each.raw for each in kept] == [raw_of("one"), raw_of("two"), raw_of("three")]
    assert (cursor.last_uid, cursor) == (3, kept[-1].cursor)
    mailbox.put("four")
    kept.clear()
    assert fetch_new(mailbox.settings(), cursor, kept.append) == Cursor(cursor.uid_validity, 4)
    assert [each.raw for each in kept] == [raw_of("four")]
    kept.clear()
    assert fetch_new(mailbox.settings(), Cursor(cursor.uid_validity, 4), kept.append).last_uid == 4
    assert kept == []


def test_each_mail_comes_with_a_key_that_names_its_place_and_with_its_time(mailbox: Mailbox):
    mailbox.put("one", "two")
    kept: list[FetchedMail] = []
    cursor = fetch_new(mailbox.settings(), START, kept.append)
    assert [each.source_key for each in kept] == [
        f"imap:7:INBOX:{cursor.uid_validity}:{uid}" for uid in (1, 2)
    ]
    assert all(abs((datetime.now(UTC) - each.received_at).total_seconds()) < 60 for each in kept)
    assert [each.size_bytes for each in kept] == [len(each.raw) for each in kept]
    assert not any(each.is_oversized or each.problem for each in kept)


def test_a_folder_with_a_long_name_still_gives_a_short_key(mailbox: Mailbox):
    name = "f" * 200
    mailbox.put("one", folder=name)
    kept: list[FetchedMail] = []
    fetch_new(mailbox.settings(folder=name), START, kept.append)
    assert len(kept[0].source_key) <= 120


def test_a_limit_leaves_the_rest_for_the_next_time(mailbox: Mailbox):
    mailbox.put(*(f"mail {number}" for number in range(7)))
    kept: list[FetchedMail] = []
    cursor, rounds = START, 0
    while len(kept) < 7:
        cursor = fetch_new(mailbox.settings(), cursor, kept.append, limit=3)
        rounds += 1
    assert (rounds, [each.cursor.last_uid for each in kept]) == (3, [1, 2, 3, 4, 5, 6, 7])


def test_mail_is_found_across_wide_gaps_in_the_numbers(mailbox: Mailbox):
    for next_uid in (70_000, 70_001, 119_999, 400_000, 5_000_000):
        mailbox.put("before")
        mailbox.server.skip_numbers(mailbox.username, next_uid)
    mailbox.put("last")
    numbers = sorted(mailbox.flags())
    for already in (0, 1, 70_000, 5_000_000 - 1):
        kept: list[FetchedMail] = []
        cursor = fetch_new(mailbox.settings(), START, kept.append)
        kept.clear()
        fetch_new(mailbox.settings(), Cursor(cursor.uid_validity, already), kept.append)
        assert [each.cursor.last_uid for each in kept] == [uid for uid in numbers if uid > already]
    assert numbers[-1] == 5_000_000


def test_mail_behind_millions_of_used_numbers_is_found_at_once(mailbox: Mailbox):
    mailbox.put("gone")
    mailbox.server.skip_numbers(mailbox.username, 4_000_000_000)
    mailbox.remove(1)
    mailbox.put("here")
    kept: list[FetchedMail] = []
    assert fetch_new(mailbox.settings(), START, kept.append).last_uid == 4_000_000_000
    assert [each.raw for each in kept] == [raw_of("here")]


def test_eight_bit_bytes_arrive_as_they_are(mailbox: Mailbox):
    body = bytes(range(128, 256)) + b'\r\n) "literal {3}\r\nabc\r\n'
    mailbox.put(body)
    kept: list[FetchedMail] = []
    fetch_new(mailbox.settings(), START, kept.append)
    assert kept[0].raw == raw_of(body)


def test_a_folder_of_any_name_can_be_read(mailbox: Mailbox):
    mailbox.put("one", folder='Anfragen & Größe "neu"')
    kept: list[FetchedMail] = []
    fetch_new(mailbox.settings(folder='Anfragen & Größe "neu"'), START, kept.append)
    assert len(kept) == 1


def test_one_mail_is_in_memory_at_a_time(mailbox: Mailbox):
    mailbox.put(*(b"x" * 2_000_000 for _ in range(12)))
    sizes: list[int] = []
    tracemalloc.start()
    try:
        fetch_new(mailbox.settings(), START, lambda mail: sizes.append(len(mail.raw)))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(sizes) == 12
    assert peak_bytes < 10_000_000


def test_an_oversized_mail_is_handed_over_as_its_headers_and_stays_on_the_server(mailbox: Mailbox):
    mailbox.put("small", b"y" * 5000, "small too")
    kept: list[FetchedMail] = []
    fetch_new(mailbox.settings(size_limit_bytes=1000, post_action="delete"), START, kept.append)
    small, large, last = kept
    assert (large.is_oversized, large.raw) == (True, b"Subject: " + b"y" * 20 + b"\r\n\r\n")
    assert large.size_bytes > 5000
    assert "still in INBOX on 127.0.0.1" in large.problem
    assert (small.problem, last.raw) == ("", raw_of("small too"))
    assert mailbox.flags() == {2: set()}


# --- what the server is told, and when


def test_the_server_is_told_only_after_the_mail_was_kept_and_fifty_mails_at_a_time(mailbox: Mailbox):
    mailbox.put(*(f"mail {number}" for number in range(70)))
    seen_before: dict[int, set[int]] = {}

    def accept(mail: FetchedMail) -> None:
        if mail.cursor.last_uid in (1, 2, 50, 51, 70):
            seen_before[mail.cursor.last_uid] = mailbox.seen()

    fetch_new(mailbox.settings(), START, accept)
    assert seen_before == {1: set(), 2: set(), 50: set(), 51: set(range(1, 51)), 70: set(range(1, 51))}
    assert mailbox.seen() == set(range(1, 71))


def test_mail_can_be_left_as_it_is(mailbox: Mailbox):
    mailbox.put("one")
    fetch_new(mailbox.settings(post_action="leave"), START, lambda _mail: None)
    assert mailbox.flags() == {1: set()}


def test_mail_can_be_moved_to_a_folder_that_is_made_when_missing(mailbox: Mailbox):
    mailbox.put("one", "two")
    fetch_new(mailbox.settings(post_action="move", move_folder="Fertig & Größe"), START, lambda _mail: None)
    assert mailbox.flags() == {}
    assert mailbox.bodies("Fertig & Größe") == [raw_of("one"), raw_of("two")]


def test_mail_can_be_deleted_and_what_others_marked_stays(mailbox: Mailbox):
    mailbox.put("marked by a person", "two")
    mailbox.mark_deleted(1)
    cursor = Cursor(
        fetch_new(mailbox.settings(post_action="leave"), START, lambda _mail: None).uid_validity, 1
    )
    fetch_new(mailbox.settings(post_action="delete"), cursor, lambda _mail: None)
    assert mailbox.flags() == {1: {b"\\Deleted"}}


# --- what goes wrong


@pytest.mark.parametrize("post_action", ["seen", "move", "delete", "leave"])
def test_failing_to_keep_a_mail_in_the_middle_loses_nothing(mailbox: Mailbox, post_action: str):
    mailbox.put("one", "two", "three", "four")
    settings = mailbox.settings(post_action=post_action, move_folder="Done")
    kept: list[FetchedMail] = []
    with pytest.raises(Broken):
        fetch_new(settings, START, breaking_at(3, kept))
    assert [each.raw for each in kept] == [raw_of("one"), raw_of("two")]
    untouched = mailbox.flags()
    assert (untouched.get(3), untouched.get(4)) == (set(), set())
    assert mailbox.flags().get(1) == {"seen": {b"\\Seen"}, "leave": set()}.get(post_action)
    fetch_new(settings, kept[-1].cursor, kept.append)
    assert [each.raw for each in kept] == [raw_of(each) for each in ("one", "two", "three", "four")]
    assert len({each.source_key for each in kept}) == 4


def test_a_mail_handed_over_again_has_the_same_key(mailbox: Mailbox):
    mailbox.put("one", "two")
    kept: list[FetchedMail] = []
    for _ in range(2):
        with pytest.raises(Broken):
            fetch_new(mailbox.settings(), START, breaking_at(2, kept))
    assert kept[0].source_key == kept[1].source_key


def test_a_fault_of_ours_that_looks_like_the_servers_is_not_taken_for_it(mailbox: Mailbox):
    mailbox.put("one")

    def accept(_mail: FetchedMail) -> None:
        raise OSError("our disk is full")

    with pytest.raises(OSError, match="our disk is full"):
        fetch_new(mailbox.settings(), START, accept)
    assert mailbox.flags() == {1: set()}


def test_a_renumbered_folder_is_read_from_the_start_under_new_keys(mailbox: Mailbox):
    mailbox.put("one", "two")
    first: list[FetchedMail] = []
    cursor = fetch_new(mailbox.settings(), START, first.append)
    mailbox.server.renumber(mailbox.username)
    again: list[FetchedMail] = []
    fresh = fetch_new(mailbox.settings(), cursor, again.append)
    assert [each.raw for each in again] == [each.raw for each in first]
    assert fresh.uid_validity != cursor.uid_validity
    assert not {each.source_key for each in again} & {each.source_key for each in first}


def test_a_renumbered_folder_that_is_empty_moves_the_cursor_back(mailbox: Mailbox):
    mailbox.put("one")
    cursor = fetch_new(mailbox.settings(post_action="delete"), START, lambda _mail: None)
    mailbox.server.renumber(mailbox.username)
    assert fetch_new(mailbox.settings(), cursor, lambda _mail: None).last_uid == 0


def test_a_connection_cut_in_the_middle_loses_nothing(mailbox: Mailbox):
    mailbox.put("one", "two", "three")
    kept: list[FetchedMail] = []

    def accept(mail: FetchedMail) -> None:
        kept.append(mail)
        if len(kept) == 2:
            mailbox.server.cut_connections(mailbox.username)

    with pytest.raises(ImapTrouble) as caught:
        fetch_new(mailbox.settings(), START, accept)
    assert "broke off the connection" in str(caught.value)
    cursor = kept[-1].cursor
    fetch_new(mailbox.settings(), cursor, accept)
    assert [each.raw for each in kept] == [raw_of("one"), raw_of("two"), raw_of("three")]


def test_a_mail_that_someone_removes_meanwhile_is_passed_over(mailbox: Mailbox):
    mailbox.put("one", "two", "three")
    kept: list[FetchedMail] = []

    def accept(mail: FetchedMail) -> None:
        kept.append(mail)
        if len(kept) == 1:
            mailbox.remove(2)

    assert fetch_new(mailbox.settings(), START, accept).last_uid == 3
    assert [each.raw for each in kept] == [raw_of("one"), raw_of("three")]


# --- what an admin is told


def last_step(settings: ImapSettings) -> tuple[str, str]:
    *before, last = imap.test_connection(settings)
    assert all(each.ok for each in before)
    assert not last.ok
    return last.step, last.sentence


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_a_connection_that_works_is_told_step_by_step(mailbox: Mailbox, security: str):
    mailbox.put("one")
    port = mailbox.server.tls_port if security == "tls" else mailbox.server.port
    settings = mailbox.settings(security=security, port=port, ca_file=mailbox.server.certificate_file)
    steps = imap.test_connection(settings)
    expected = ["dns", "connect", *(["tls"] if security != "none" else []), "login", "folder"]
    assert [(each.step, each.ok) for each in steps] == [(each, True) for each in expected]
    assert mailbox.flags() == {1: set()}
    kept: list[FetchedMail] = []
    fetch_new(settings, START, kept.append)
    assert len(kept) == 1


def test_a_wrong_password_is_told(mailbox: Mailbox):
    step, sentence = last_step(mailbox.settings(password="wrong"))
    assert step == "login"
    assert f"refused the user name or the password of {mailbox.username}" in sentence
    with pytest.raises(ImapTrouble, match="refused the user name or the password"):
        fetch_new(mailbox.settings(password="wrong"), START, lambda _mail: None)


def test_a_missing_folder_is_told(mailbox: Mailbox):
    step, sentence = last_step(mailbox.settings(folder="Supprot"))
    assert step == "folder"
    assert "no folder Supprot that can be opened" in sentence


def test_a_certificate_of_nobody_we_trust_is_told(mailbox: Mailbox, tmp_path: Path):
    for security, port in (("tls", mailbox.server.tls_port), ("starttls", mailbox.server.port)):
        step, sentence = last_step(mailbox.settings(security=security, port=port))
        assert (step, sentence[:47]) == ("tls", "The certificate of 127.0.0.1 cannot be trusted:")
    stranger = make_certificate(tmp_path)
    settings = mailbox.settings(
        security="tls", port=mailbox.server.tls_port, ca_file=stranger.certificate_file
    )
    assert last_step(settings)[0] == "tls"


def test_tls_on_an_unencrypted_port_is_told(mailbox: Mailbox):
    step, sentence = last_step(mailbox.settings(security="tls"))
    assert step == "tls"
    assert "choose STARTTLS" in sentence


def test_a_name_that_does_not_exist_is_told(mailbox: Mailbox):
    assert last_step(mailbox.settings(host="mail.invalid"))[0] == "dns"


def test_nobody_there_is_told(mailbox: Mailbox):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    step, sentence = last_step(mailbox.settings(port=port))
    assert step == "connect"
    assert "refused the connection" in sentence


def test_a_silent_server_is_told(mailbox: Mailbox):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        step, sentence = last_step(mailbox.settings(port=silent.getsockname()[1], timeout_seconds=0.2))
    assert step == "connect"
    assert "did not answer in time" in sentence


def test_something_that_speaks_no_imap_is_told(mailbox: Mailbox):
    from tests.channels.email.servers import script_running

    with script_running(b"220 this is SMTP\r\n", b"500 what\r\n") as port:
        step, sentence = last_step(mailbox.settings(port=port))
    assert step in ("connect", "folder")
    assert sentence.startswith("127.0.0.1")


def test_settings_do_not_show_the_password(mailbox: Mailbox):
    assert PASSWORD not in repr(mailbox.settings()).replace("username", "")
