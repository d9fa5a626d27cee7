"""The listener says 250 only for what is kept, and everything it is sent is kept byte for byte."""

import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.channels.base import IncomingBytes
from portal.channels.email.listener import Listener, ListenerSettings, start
from tests.certificates import make_certificate
from tests.shared import shared_path

RAW = b"From: ann@c.test\r\nSubject: hi\r\n\r\nHello\r\n"


@dataclass
class Desk:
    """A desk that keeps mail for @north.test and can be told to fail or to take its time."""

    kept: list[IncomingBytes] = field(default_factory=list)
    fault: Exception | None = None
    resolve_fault: Exception | None = None
    may_go_on: threading.Event = field(default_factory=threading.Event)
    has_begun: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event | None = None

    def resolve(self, address: str) -> bool:
        if self.resolve_fault:
            raise self.resolve_fault
        return address.lower().endswith("@north.test")

    def accept(self, incoming: IncomingBytes) -> None:
        self.has_begun.set()
        if self.gate is not None:
            assert self.gate.wait(10)
        if self.fault:
            raise self.fault
        self.kept.append(incoming)


def settings_of(**fields) -> ListenerSettings:
    return ListenerSettings(
        **{
            "host": "127.0.0.1",
            "port": 0,
            "lmtp_port": 0,
            "hostname": "portal.test",
            "size_limit_bytes": 100_000,
            **fields,
        }
    )


@contextmanager
def listening(desk: Desk, **fields) -> Iterator[Listener]:
    listener = start(settings_of(**fields), desk.resolve, desk.accept)
    try:
        yield listener
    finally:
        listener.stop()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def listener(desk: Desk) -> Iterator[Listener]:
    with listening(desk) as listener:
        yield listener


def client(listener: Listener) -> smtplib.SMTP:
    return smtplib.SMTP("127.0.0.1", listener.port, "client.test", timeout=10)


def lmtp_client(listener: Listener) -> smtplib.LMTP:
    return smtplib.LMTP("127.0.0.1", listener.lmtp_port, "client.test")


def say(connection: socket.socket, data: bytes) -> bytes:
    """Send, and return the next reply line."""
    connection.sendall(data)
    return read_line(connection)


def read_line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = connection.recv(1)
        if not piece:
            break
        line += piece
    return line


@contextmanager
def raw_connection(listener: Listener) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as connection:
        read_line(connection)
        yield connection


def at_data(connection: socket.socket) -> None:
    for command in (b"HELO c.test", b"MAIL FROM:<ann@c.test>", b"RCPT TO:<desk@north.test>"):
        assert say(connection, command + b"\r\n").startswith(b"250")
    assert say(connection, b"DATA\r\n").startswith(b"354")


def hand_in(connection: socket.socket, raw: bytes) -> bytes:
    """One mail in an open conversation, as a sender that keeps to RFC 5321 §4.5.2 does; the answer."""
    for command in (b"MAIL FROM:<ann@c.test>", b"RCPT TO:<desk@north.test>"):
        assert say(connection, command + b"\r\n").startswith(b"250")
    assert say(connection, b"DATA\r\n").startswith(b"354")
    stuffed = re.sub(rb"(?<=\r\n)\.", b"..", b"\r\n" + raw)[2:]
    return say(connection, stuffed + (b"" if raw.endswith(b"\r\n") else b"\r\n") + b".\r\n")


# --- what is kept


def test_a_mail_is_handed_over_with_its_envelope(desk: Desk, listener: Listener):
    with client(listener) as smtp:
        assert smtp.sendmail("ann@c.test", ["desk@north.test", "Second+tag@North.test"], RAW) == {}
    (kept,) = desk.kept
    assert (kept.channel_kind, kept.account_id, kept.raw) == ("email", None, RAW)
    assert (kept.envelope_from, kept.envelope_to) == (
        "ann@c.test",
        ("desk@north.test", "Second+tag@North.test"),
    )
    assert kept.received_at.utcoffset().total_seconds() == 0
    assert re.fullmatch(r"smtp:[0-9a-f]{20}:[0-9a-f]{64}", kept.source_key)


def test_each_transaction_has_a_source_key_of_its_own_even_for_the_same_bytes(desk: Desk, listener: Listener):
    with client(listener) as smtp:
        for _ in range(3):
            smtp.sendmail("ann@c.test", ["desk@north.test"], RAW)
    assert len({each.source_key for each in desk.kept}) == 3


def test_a_bounce_has_an_empty_sender(desk: Desk, listener: Listener):
    with client(listener) as smtp:
        smtp.sendmail("", ["desk@north.test"], RAW)
    assert desk.kept[0].envelope_from == ""


@pytest.mark.parametrize(
    "body",
    [
        b"NUL \x00 and 8 bit \xff\xfe\r\n",
        b"bare LF\nbare CR\rend\r\n",
        b".leading dots\r\n..two\r\n.\t\r\n",
        b"x" * 60_000 + b"\r\n",
        b"." + b"y" * 70_000 + b"\r\n.z\r\n",
        b"\n.\nMAIL FROM:<x@y.test>\n",
        b"\r.\r\r\n",
        b"\r\n" * 50,
        b"",
    ],
)
def test_bytes_arrive_as_they_were_sent(desk: Desk, listener: Listener, body: bytes):
    raw = "Subject: käse\r\n\r\n".encode() + body
    with raw_connection(listener) as connection:
        say(connection, b"HELO c.test\r\n")
        assert hand_in(connection, raw).startswith(b"250")
    assert [each.raw for each in desk.kept] == [raw if raw.endswith(b"\r\n") else raw + b"\r\n"]


@given(
    body=st.lists(
        st.sampled_from([b"\r\n", b"\n", b"\r", b".", b"..", b"a", b"\x00", b"\xff", b"QUIT", b"z" * 70_000]),
        max_size=12,
    ).map(b"".join)
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_bytes_arrive_as_one_mail(desk: Desk, listener: Listener, body: bytes):
    desk.kept.clear()
    # What ends the mail is the first CRLF dot CRLF; a sender doubles the dots that begin a line.
    raw = b"Subject: x\r\n\r\n" + body
    stuffed = re.sub(rb"(?<=\r\n)\.", b"..", raw)
    with raw_connection(listener) as connection:
        at_data(connection)
        answer = say(connection, stuffed + b"\r\n.\r\n")
        if len(raw) + 2 > 100_000:
            assert answer.startswith(b"552")
            assert desk.kept == []
        else:
            assert answer.startswith(b"250")
            assert [each.raw for each in desk.kept] == [raw + b"\r\n"]


def test_a_dot_between_lone_line_ends_smuggles_nothing(desk: Desk, listener: Listener):
    smuggled = b"Subject: a\r\n\r\nbody"
    ends = (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r\n\x00.\r\n", b"\r.\r\n")
    for end in ends:
        smuggled += (
            end + b"MAIL FROM:<evil@x.test>\r\n" + b"RCPT TO:<desk@north.test>\r\nDATA\r\nSubject: b\r\n"
        )
    with raw_connection(listener) as connection:
        at_data(connection)
        assert say(connection, smuggled + b"\r\n.\r\n").startswith(b"250")
        assert say(connection, b"NOOP\r\n").startswith(b"250")
    assert [each.envelope_from for each in desk.kept] == ["ann@c.test"]
    assert desk.kept[0].raw.count(b"DATA") == len(ends)


def test_international_addresses_are_taken(desk: Desk, listener: Listener):
    with client(listener) as smtp:
        smtp.ehlo()
        smtp.mail("jürgen@bücher.test", ["SMTPUTF8", "BODY=8BITMIME"])
        assert smtp.docmd("RCPT", "TO:<käthe@north.test>")[0] == 250
        assert smtp.data(RAW)[0] == 250
    assert (desk.kept[0].envelope_from, desk.kept[0].envelope_to) == (
        "jürgen@bücher.test",
        ("käthe@north.test",),
    )


def test_bytes_that_are_no_text_in_the_envelope_harm_nobody(desk: Desk, listener: Listener):
    with raw_connection(listener) as connection:
        say(connection, b"HELO c.test\r\n")
        assert say(connection, b"MAIL FROM:<a\xff@c.test>\r\n").startswith(b"250")
        assert say(connection, b"RCPT TO:<\xff@north.test>\r\n").startswith(b"553")
        assert say(connection, b"RCPT TO:<desk@north.test>\r\n").startswith(b"250")
        say(connection, b"DATA\r\n")
        assert say(connection, RAW + b".\r\n").startswith(b"250")
    assert desk.kept[0].envelope_from == "a\ufffd@c.test"


def test_every_shared_sample_mail_arrives_byte_for_byte(desk: Desk):
    kinds = {".eml", ".txt", ".raw", ".msg", ".message"}
    samples = sorted(path for path in shared_path("mail").rglob("*") if path.suffix in kinds)
    assert len(samples) > 1000
    with listening(desk, size_limit_bytes=40_000_000) as listener, raw_connection(listener) as connection:
        say(connection, b"HELO c.test\r\n")
        for sample in samples:
            raw = sample.read_bytes()
            assert hand_in(connection, raw).startswith(b"250"), sample.name
            assert desk.kept.pop().raw == (raw if raw.endswith(b"\r\n") else raw + b"\r\n"), sample.name


# --- what is refused


def test_an_unknown_recipient_is_refused_by_name_and_the_others_are_served(desk: Desk, listener: Listener):
    with client(listener) as smtp:
        refused = smtp.sendmail("ann@c.test", ["nobody@south.test", "desk@north.test"], RAW)
    assert refused == {"nobody@south.test": (550, b"5.1.1 There is no mailbox nobody@south.test here.")}
    assert desk.kept[0].envelope_to == ("desk@north.test",)


def test_a_recipient_that_cannot_be_looked_up_is_asked_to_come_back(desk: Desk, listener: Listener):
    desk.resolve_fault = RuntimeError("the database is away")
    with client(listener) as smtp:
        smtp.ehlo()
        smtp.mail("ann@c.test")
        code, reply = smtp.rcpt("desk@north.test")
    assert code == 451
    assert b"database" not in reply


def test_a_mail_that_could_not_be_kept_is_never_confirmed(desk: Desk, listener: Listener):
    desk.fault = RuntimeError("the disk is full")
    with client(listener) as smtp:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            smtp.sendmail("ann@c.test", ["desk@north.test"], RAW)
        assert caught.value.smtp_code == 451
        assert b"disk" not in caught.value.smtp_error
        desk.fault = None
        smtp.sendmail("ann@c.test", ["desk@north.test"], RAW)
    assert len(desk.kept) == 1


def test_the_size_limit_is_announced_and_refused_in_advance(listener: Listener):
    with client(listener) as smtp:
        smtp.ehlo()
        assert smtp.esmtp_features["size"] == "100000"
        assert smtp.mail("ann@c.test", ["SIZE=100001"])[0] == 552
        assert smtp.mail("ann@c.test", ["SIZE=100000"])[0] == 250


@pytest.mark.parametrize("line", [b"x" * 70 + b"\r\n", b"x" * 300_000 + b"\r\n"])
def test_a_mail_that_is_too_large_is_refused_and_the_next_one_taken(
    desk: Desk, listener: Listener, line: bytes
):
    body = line * (300_000 // len(line) + 1)
    with raw_connection(listener) as connection:
        at_data(connection)
        assert say(connection, body + b".\r\n").startswith(b"552 5.3.4")
        assert say(connection, b"MAIL FROM:<ann@c.test>\r\n").startswith(b"250")
        assert say(connection, b"RCPT TO:<desk@north.test>\r\n").startswith(b"250")
        say(connection, b"DATA\r\n")
        assert say(connection, RAW + b".\r\n").startswith(b"250")
    assert [each.raw for each in desk.kept] == [RAW]


def test_a_mail_of_just_the_limit_is_taken(desk: Desk, listener: Listener):
    raw = b"Subject: x\r\n\r\n" + b"y" * (100_000 - 16) + b"\r\n"
    with raw_connection(listener) as connection:
        at_data(connection)
        assert say(connection, raw + b".\r\n").startswith(b"250")
    assert len(desk.kept[0].raw) == 100_000


def test_more_recipients_than_allowed_are_asked_to_come_again(desk: Desk):
    with listening(desk, most_recipients=3) as listener, client(listener) as smtp:
        refused = smtp.sendmail("ann@c.test", [f"d{n}@north.test" for n in range(5)], RAW)
    assert {code for code, _ in refused.values()} == {452}
    assert len(desk.kept[0].envelope_to) == 3


def test_more_connections_than_allowed_are_turned_away_and_come_in_again_later(desk: Desk):
    with listening(desk, most_connections=2) as listener:
        first, second = client(listener), client(listener)
        with pytest.raises(smtplib.SMTPConnectError) as caught:
            client(listener)
        assert caught.value.smtp_code == 421
        first.quit()
        assert connects_again(lambda: client(listener).quit())
        second.quit()


def connects_again(connect: Callable[[], object]) -> bool:
    for _ in range(200):
        try:
            connect()
        except smtplib.SMTPConnectError:
            continue
        return True
    return False


def test_too_much_mail_at_once_is_asked_to_come_again(desk: Desk):
    with listening(desk, most_bytes_in_flight=50_000) as listener, client(listener) as smtp:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            smtp.sendmail("ann@c.test", ["desk@north.test"], RAW + b"z" * 60_000)
        assert caught.value.smtp_code == 452
        smtp.sendmail("ann@c.test", ["desk@north.test"], RAW)
    assert [each.raw for each in desk.kept] == [RAW]


def test_nonsense_gets_an_answer_and_the_mail_after_it_is_taken(desk: Desk, listener: Listener):
    with raw_connection(listener) as connection:
        for nonsense in (
            b"\xff\xfe",
            b"HELO",
            b"MAIL",
            b"DATA",
            b"RCPT TO:<x",
            b"MAIL FROM:<<>>",
            b"x" * 200_000,
        ):
            assert say(connection, nonsense + b"\r\n")[:1] in (b"5", b"4")
        at_data(connection)
        assert say(connection, RAW + b".\r\n").startswith(b"250")
    assert len(desk.kept) == 1


def test_there_is_no_login_to_guess_at(listener: Listener):
    with client(listener) as smtp:
        smtp.ehlo()
        assert "auth" not in smtp.esmtp_features
        assert smtp.docmd("AUTH", "PLAIN AGEAYg==")[0] >= 500


# --- time


def test_an_idle_client_is_hung_up_on(desk: Desk):
    with listening(desk, idle_timeout_seconds=0.2) as listener, raw_connection(listener) as connection:
        assert connection.recv(1) == b""


def test_a_client_that_stalls_in_the_middle_of_a_mail_is_hung_up_on_and_nothing_is_kept(desk: Desk):
    with listening(desk, idle_timeout_seconds=0.3) as listener, raw_connection(listener) as connection:
        at_data(connection)
        connection.sendall(b"Subject: x\r\n")
        assert connection.recv(1) == b""
    assert desk.kept == []


def test_a_client_that_drips_for_ever_is_hung_up_on(desk: Desk):
    with (
        listening(desk, idle_timeout_seconds=5, data_timeout_seconds=0.3) as listener,
        raw_connection(listener) as connection,
    ):
        at_data(connection)
        connection.settimeout(0.02)
        assert is_hung_up_on_while_dripping(connection)
    assert desk.kept == []


def is_hung_up_on_while_dripping(connection: socket.socket) -> bool:
    for _ in range(200):
        try:
            connection.sendall(b"drip\r\n")
            if connection.recv(1) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_a_slow_commit_is_waited_for_however_short_the_patience_with_clients(desk: Desk):
    desk.gate = threading.Event()
    threading.Timer(0.8, desk.gate.set).start()
    with listening(desk, idle_timeout_seconds=0.2) as listener, client(listener) as smtp:
        smtp.sendmail("ann@c.test", ["desk@north.test"], RAW)
    assert len(desk.kept) == 1


def test_a_commit_in_progress_blocks_nobody_else(desk: Desk, listener: Listener):
    desk.gate = threading.Event()
    with client(listener) as slow, client(listener) as other:
        sending = threading.Thread(target=slow.sendmail, args=("a@c.test", ["desk@north.test"], RAW))
        sending.start()
        assert desk.has_begun.wait(5)
        assert other.noop()[0] == 250
        assert desk.kept == []
        desk.gate.set()
        sending.join(5)
    assert len(desk.kept) == 1


def test_a_client_that_leaves_before_our_answer_loses_nothing(desk: Desk):
    desk.gate = threading.Event()
    with listening(desk) as listener:
        with raw_connection(listener) as connection:
            at_data(connection)
            connection.sendall(RAW + b".\r\n")
            assert desk.has_begun.wait(5)
        desk.gate.set()
    assert [each.raw for each in desk.kept] == [RAW]


def test_a_mail_cut_off_before_its_end_is_not_taken(desk: Desk):
    with listening(desk) as listener, raw_connection(listener) as connection:
        at_data(connection)
        connection.sendall(RAW + b".\r")
    assert desk.kept == []


# --- stopping


def test_stopping_waits_for_a_running_commit_and_still_answers(desk: Desk):
    desk.gate = threading.Event()
    listener = start(settings_of(), desk.resolve, desk.accept)
    answers: list[object] = []
    with raw_connection(listener) as idle, client(listener) as smtp:
        sending = threading.Thread(
            target=lambda: answers.append(smtp.sendmail("a@c.test", ["desk@north.test"], RAW))
        )
        sending.start()
        assert desk.has_begun.wait(5)
        stopping = threading.Thread(target=listener.stop)
        stopping.start()
        assert refuses_connections(listener.port)
        assert stopping.is_alive()
        desk.gate.set()
        stopping.join(10)
        sending.join(5)
        assert (answers, len(desk.kept)) == ([{}], 1)
        assert idle.recv(1) == b""
        smtp.sock = None
    listener.stop()


def test_stopping_does_not_wait_for_a_client_that_will_not_be_hung_up_on(desk: Desk, tmp_path: Path):
    certificate = make_certificate(tmp_path)
    files = {"tls_certificate_file": certificate.certificate_file, "tls_key_file": certificate.key_file}
    listener = start(settings_of(**files), desk.resolve, desk.accept)
    with client(listener) as smtp:
        smtp.starttls(context=smtplib.ssl.create_default_context(cafile=certificate.certificate_file))
        # The other side would now have to confirm the end of the encryption, and does not.
        listener.stop()
        assert "mail-listener" not in {thread.name for thread in threading.enumerate()}
        smtp.sock = None


def refuses_connections(port: int) -> bool:
    for _ in range(1000):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return True
    return False


def test_a_taken_port_is_said_at_the_start(desk: Desk):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        start(settings_of(port=taken.getsockname()[1]), desk.resolve, desk.accept)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_serves_until_its_signal_and_ends_cleanly(number: signal.Signals):
    script = (
        "from portal.channels.email.listener import ListenerSettings, serve_forever\n"
        "settings = ListenerSettings(host='127.0.0.1', port=0, hostname='portal.test')\n"
        "serve_forever(settings, lambda address: True, lambda incoming: print(len(incoming.raw), flush=True),\n"
        "    on_ready=lambda listener: print(listener.port, flush=True))\n"
        "print('ended')\n"
    )
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=root, text=True)
    try:
        port = int(process.stdout.readline())
        with smtplib.SMTP("127.0.0.1", port, "c.test", timeout=10) as smtp:
            smtp.sendmail("a@c.test", ["d@north.test"], RAW)
            os.kill(process.pid, number)
            rest, _ = process.communicate(timeout=10)
            smtp.sock = None
        assert rest.split() == [str(len(RAW)), "ended"]
        assert process.returncode == 0
    finally:
        process.kill()


# --- LMTP and TLS


def test_lmtp_answers_for_every_recipient(desk: Desk, listener: Listener):
    with lmtp_client(listener) as lmtp:
        assert lmtp.ehlo_or_helo_if_needed() is None
        lmtp.mail("ann@c.test")
        assert [lmtp.rcpt(f"d{n}@north.test")[0] for n in range(2)] == [250, 250]
        assert lmtp.rcpt("x@south.test")[0] == 550
        first = lmtp.data(RAW)
        second = lmtp.getreply()
        assert (first[0], second[0], lmtp.noop()[0]) == (250, 250, 250)
    (kept,) = desk.kept
    assert kept.envelope_to == ("d0@north.test", "d1@north.test")
    assert kept.source_key.startswith("lmtp:")


def test_lmtp_refuses_for_every_recipient(desk: Desk, listener: Listener):
    desk.fault = RuntimeError()
    with lmtp_client(listener) as lmtp:
        lmtp.ehlo_or_helo_if_needed()
        for raw, code in ((RAW, 451), (RAW + b"x" * 200_000, 552)):
            lmtp.mail("ann@c.test")
            assert [lmtp.rcpt(f"d{n}@north.test")[0] for n in range(2)] == [250, 250]
            assert (lmtp.data(raw)[0], lmtp.getreply()[0], lmtp.noop()[0]) == (code, code, 250)


def test_lmtp_does_not_speak_smtp(listener: Listener):
    with socket.create_connection(("127.0.0.1", listener.lmtp_port), timeout=10) as connection:
        read_line(connection)
        assert say(connection, b"EHLO x\r\n").startswith(b"500")
        assert say(connection, b"HELO x\r\n").startswith(b"500")


def test_mail_comes_in_encrypted_where_a_certificate_is_given(desk: Desk, tmp_path: Path):
    certificate = make_certificate(tmp_path)
    with (
        listening(
            desk,
            tls_certificate_file=certificate.certificate_file,
            tls_key_file=certificate.key_file,
            is_tls_required=True,
        ) as listener,
        client(listener) as smtp,
    ):
        smtp.ehlo()
        assert smtp.mail("ann@c.test")[0] == 530
        context = smtplib.ssl.create_default_context(cafile=certificate.certificate_file)
        assert smtp.starttls(context=context)[0] == 220
        smtp.sendmail("ann@c.test", ["desk@north.test"], RAW)
        assert "auth" not in smtp.esmtp_features
    assert [each.raw for each in desk.kept] == [RAW]


def test_commands_sent_ahead_of_the_encryption_are_forgotten(desk: Desk, tmp_path: Path):
    certificate = make_certificate(tmp_path)
    with (
        listening(
            desk, tls_certificate_file=certificate.certificate_file, tls_key_file=certificate.key_file
        ) as listener,
        raw_connection(listener) as connection,
    ):
        say(connection, b"HELO c.test\r\n")
        assert say(connection, b"STARTTLS\r\nMAIL FROM:<evil@x.test>\r\n").startswith(b"220")
        context = smtplib.ssl.create_default_context(cafile=certificate.certificate_file)
        try:
            secured = context.wrap_socket(connection, server_hostname="localhost")
        except OSError:
            return  # the handshake failed over the bytes in between, which is as good
        with secured:
            assert say(secured, b"RCPT TO:<desk@north.test>\r\n").startswith(b"503")
