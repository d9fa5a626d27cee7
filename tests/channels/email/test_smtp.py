"""Sending: every recipient gets an answer, and trouble on the way loses nobody."""

import socket
from pathlib import Path

import pytest

from portal.channels.email import smtp
from portal.channels.email.smtp import SmtpSettings, send
from tests.certificates import Certificate, make_certificate
from tests.channels.email.servers import Sink, script_running, sink_running

RAW = b"From: a@north.test\r\nTo: b@c.test\r\nSubject: x\r\n\r\nHello\r\n.\r\n..dots\r\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def plain(port: int, **fields) -> SmtpSettings:
    return SmtpSettings(
        **{"host": "127.0.0.1", "port": port, "security": "none", "timeout_seconds": 5, **fields}
    )


def states(results) -> list[tuple[str, str, int | None]]:
    return [(each.recipient, each.state, each.code) for each in results]


# --- one answer for each recipient


def test_a_mail_arrives_byte_for_byte_and_every_recipient_is_told_so():
    with sink_running(Sink()) as sink:
        results = send(plain(sink.port), "bounce@north.test", ["a@c.test", "b@c.test"], RAW)
    assert states(results) == [("a@c.test", "sent", 250), ("b@c.test", "sent", 250)]
    assert [(each.mail_from, each.rcpt_tos, each.content) for each in sink.envelopes] == [
        ("bounce@north.test", ["a@c.test", "b@c.test"], RAW)
    ]


def test_refused_recipients_fail_and_greylisted_ones_are_deferred_while_the_others_get_the_mail():
    answers = {
        "gone@c.test": "550 5.1.1 no such user",
        "grey@c.test": "450 4.2.0 come back later",
        "full@c.test": "552 5.2.2 too many",
    }
    recipients = ["gone@c.test", "ok@c.test", "grey@c.test", "full@c.test"]
    with sink_running(Sink(recipient_answers=answers)) as sink:
        results = send(plain(sink.port), "", recipients, RAW)
    assert states(results) == [
        ("gone@c.test", "failed", 550),
        ("ok@c.test", "sent", 250),
        ("grey@c.test", "deferred", 450),
        ("full@c.test", "deferred", 552),
    ]
    assert results[0].reply == "5.1.1 no such user"
    assert [each.rcpt_tos for each in sink.envelopes] == [["ok@c.test"]]


def test_no_mail_is_sent_when_every_recipient_was_refused():
    with sink_running(Sink(recipient_answers={"gone@c.test": "550 no"})) as sink:
        results = send(plain(sink.port), "a@north.test", ["gone@c.test"], RAW)
    assert states(results) == [("gone@c.test", "failed", 550)]
    assert sink.envelopes == []


@pytest.mark.parametrize(("answer", "state"), [("554 5.7.1 spam", "failed"), ("451 4.3.0 busy", "deferred")])
def test_the_answer_to_the_mail_counts_for_every_recipient(answer, state):
    with sink_running(Sink(data_answer=answer)) as sink:
        results = send(plain(sink.port), "a@north.test", ["a@c.test", "b@c.test"], RAW)
    assert states(results) == [("a@c.test", state, int(answer[:3])), ("b@c.test", state, int(answer[:3]))]


@pytest.mark.parametrize(("answer", "state"), [("550 sender refused", "failed"), ("421 closing", "deferred")])
def test_a_refused_sender_counts_for_every_recipient(answer, state):
    with sink_running(Sink(mail_answer=answer)) as sink:
        assert states(send(plain(sink.port), "a@north.test", ["a@c.test"], RAW)) == [
            ("a@c.test", state, int(answer[:3]))
        ]


def test_a_mail_over_the_servers_limit_fails_before_it_is_sent():
    with sink_running(Sink(), data_size_limit=1000) as sink:
        results = send(plain(sink.port), "a@north.test", ["a@c.test"], RAW + b"x" * 2000)
    assert states(results) == [("a@c.test", "failed", 552)]


def test_a_recipient_named_twice_gets_one_mail_and_two_answers():
    with sink_running(Sink()) as sink:
        results = send(plain(sink.port), "", ["a@c.test", "a@c.test"], RAW)
    assert [each.state for each in results] == ["sent", "sent"]
    assert sink.envelopes[0].rcpt_tos == ["a@c.test"]


# --- trouble on the way


@pytest.mark.parametrize(
    "answers",
    [
        [b"554 no service for you\r\n"],
        [b"what?\r\n"],
        [b""],
        [b"220 hi\r\n", b"250 ok\r\n"],
        [b"220 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"421 closing\r\n"],
        [b"220 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"250 ok\r\n"],
        [b"220 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"],
    ],
)
def test_a_connection_that_breaks_defers_everybody(answers):
    with script_running(*answers) as port:
        results = send(plain(port), "a@north.test", ["a@c.test", "b@c.test"], RAW)
    assert [each.state for each in results] == ["deferred", "deferred"]
    assert all(each.reply for each in results)


def test_a_connection_that_breaks_after_the_server_has_confirmed_the_mail_changes_nothing():
    ok = b"250 ok\r\n"
    with script_running(b"220 hi\r\n", ok, ok, ok, b"354 go\r\n", b"<after the dot>250 kept\r\n") as port:
        assert states(send(plain(port), "a@north.test", ["a@c.test"], RAW)) == [("a@c.test", "sent", 250)]


def test_a_server_that_does_not_answer_in_time_defers():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = plain(silent.getsockname()[1], timeout_seconds=0.2)
        results = send(settings, "a@north.test", ["a@c.test"], RAW)
    assert results[0].state == "deferred"
    assert "did not answer in time" in results[0].reply


def test_nobody_there_defers_with_the_reason():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    results = send(plain(port), "a@north.test", ["a@c.test"], RAW)
    assert states(results) == [("a@c.test", "deferred", None)]
    assert results[0].reply == (
        f"127.0.0.1, port {port} refused the connection. Check the port, and whether the server is running."
    )


def test_a_refused_login_defers_because_it_is_not_the_mails_fault():
    with sink_running(Sink(), login=("desk", "right")) as sink:
        wrong = send(plain(sink.port, username="desk", password="wrong"), "", ["a@c.test"], RAW)
        right = send(plain(sink.port, username="desk", password="right"), "", ["a@c.test"], RAW)
    assert (wrong[0].state, right[0].state) == ("deferred", "sent")
    assert "refused the user name or the password of desk" in wrong[0].reply
    assert len(sink.envelopes) == 1


# --- addresses and bytes


@pytest.mark.parametrize(
    "wrong",
    ["a@b.test>\r\nRCPT TO:<c@d.test", "a b@c.test", "nobody", "", "a@b.test\n", "a@@b", "\udcff@b.test"],
)
def test_what_is_no_address_fails_and_is_never_said_to_the_server(wrong):
    with sink_running(Sink()) as sink:
        results = send(plain(sink.port), "a@north.test", [wrong, "ok@c.test"], RAW)
    assert [each.state for each in results] == ["failed", "sent"]
    assert sink.envelopes[0].rcpt_tos == ["ok@c.test"]


def test_a_sender_that_is_no_address_fails_everybody():
    with sink_running(Sink()) as sink:
        results = send(plain(sink.port), "a@b\r\nDATA", ["ok@c.test"], RAW)
    assert [each.state for each in results] == ["failed"]
    assert sink.envelopes == []


def test_lone_line_ends_cannot_smuggle_a_second_mail():
    smuggled = b"Subject: x\r\n\r\nbody\n.\nMAIL FROM:<x@y.test>\r.\r\nQUIT\n"
    with sink_running(Sink()) as sink:
        send(plain(sink.port), "a@north.test", ["a@c.test"], smuggled)
    assert [each.content for each in sink.envelopes] == [
        b"Subject: x\r\n\r\nbody\r\n.\r\nMAIL FROM:<x@y.test>\r\n.\r\nQUIT\r\n"
    ]


def test_an_international_address_goes_with_smtputf8_where_the_server_speaks_it():
    with sink_running(Sink(), enable_SMTPUTF8=True) as sink:
        results = send(plain(sink.port), "", ["käthe@bücher.test"], RAW)
    assert results[0].state == "sent"
    assert sink.envelopes[0].rcpt_tos == ["käthe@xn--bcher-kva.test"]
    assert "SMTPUTF8" in sink.envelopes[0].mail_options


def test_an_international_address_fails_alone_where_the_server_does_not():
    with sink_running(Sink(), enable_SMTPUTF8=False) as sink:
        results = send(plain(sink.port), "", ["käthe@c.test", "a@bücher.test"], RAW)
    assert [each.state for each in results] == ["failed", "sent"]
    assert "international" in results[0].reply


def test_international_headers_are_not_forced_on_a_server_that_cannot_take_them():
    with sink_running(Sink(), enable_SMTPUTF8=False) as sink:
        results = send(plain(sink.port), "", ["a@c.test"], "To: käthe@c.test\r\n\r\nx\r\n".encode())
    assert [each.state for each in results] == ["failed"]
    assert sink.envelopes == []


# --- encryption, and what an admin is told


def test_encryption_works_from_the_start_and_by_starttls(certificate):
    with sink_running(Sink(), ssl_context=certificate.server_context()) as sink:
        settings = plain(sink.port, security="tls", ca_file=certificate.certificate_file)
        assert send(settings, "", ["a@c.test"], RAW)[0].state == "sent"
    with sink_running(Sink(), tls_context=certificate.server_context(), require_starttls=True) as sink:
        settings = plain(sink.port, security="starttls", ca_file=certificate.certificate_file)
        assert send(settings, "", ["a@c.test"], RAW)[0].state == "sent"


def test_no_mail_goes_unencrypted_where_encryption_was_chosen():
    with sink_running(Sink()) as sink:
        results = send(plain(sink.port, security="starttls"), "", ["a@c.test"], RAW)
    assert results[0].state == "deferred"
    assert "offers no STARTTLS" in results[0].reply
    assert sink.envelopes == []


def test_a_connection_that_works_is_told_step_by_step(certificate):
    with sink_running(Sink(), login=("desk", "right"), tls_context=certificate.server_context()) as sink:
        steps = smtp.test_connection(
            plain(
                sink.port,
                security="starttls",
                ca_file=certificate.certificate_file,
                username="desk",
                password="right",
            )
        )
    assert [(each.step, each.ok) for each in steps] == [
        ("dns", True),
        ("connect", True),
        ("tls", True),
        ("login", True),
    ]
    assert sink.envelopes == []


def last_step(settings: SmtpSettings) -> tuple[str, str]:
    *before, last = smtp.test_connection(settings)
    assert all(each.ok for each in before)
    assert not last.ok
    return last.step, last.sentence


def test_a_name_that_does_not_exist_is_told():
    step, sentence = last_step(plain(25, host="mail.invalid"))
    assert (step, sentence) == (
        "dns",
        "There is no server named mail.invalid. Check the name for a typing error.",
    )


@pytest.mark.parametrize("host", ["", "a..b", "x" * 300])
def test_a_name_that_no_server_can_have_is_told(host):
    assert last_step(plain(9, host=host))[0] in ("dns", "connect")


def test_a_port_without_encryption_is_told_where_tls_was_chosen(certificate):
    with sink_running(Sink()) as sink:
        step, sentence = last_step(plain(sink.port, security="tls"))
    assert step == "tls"
    assert "If this port starts unencrypted, choose STARTTLS" in sentence


def test_a_certificate_of_nobody_we_trust_is_told(certificate):
    with sink_running(Sink(), ssl_context=certificate.server_context()) as sink:
        step, sentence = last_step(plain(sink.port, security="tls"))
    assert step == "tls"
    assert sentence.startswith("The certificate of 127.0.0.1 cannot be trusted")


def test_a_certificate_for_another_name_is_told(tmp_path: Path):
    other = make_certificate(tmp_path, name="other.test")
    with sink_running(Sink(), ssl_context=other.server_context()) as sink:
        step, sentence = last_step(plain(sink.port, security="tls", ca_file=other.certificate_file))
    assert step == "tls"
    assert sentence.startswith("The server's certificate is not for 127.0.0.1")


def test_an_expired_certificate_is_told(tmp_path: Path):
    old = make_certificate(tmp_path, is_expired=True)
    with sink_running(Sink(), tls_context=old.server_context()) as sink:
        step, sentence = last_step(plain(sink.port, security="starttls", ca_file=old.certificate_file))
    assert step == "tls"
    assert "has expired" in sentence


def test_a_wrong_password_is_told():
    with sink_running(Sink(), login=("desk", "right")) as sink:
        step, sentence = last_step(plain(sink.port, username="desk", password="wrong"))
    assert step == "login"
    assert "refused the user name or the password of desk" in sentence


def test_a_server_without_login_is_told():
    with sink_running(Sink()) as sink:
        step, sentence = last_step(plain(sink.port, username="desk", password="x"))
    assert step == "login"
    assert "offers no login" in sentence


def test_an_unreadable_file_of_authorities_is_told():
    assert last_step(plain(9, security="tls", ca_file="/nonexistent"))[0] == "tls"


def test_settings_do_not_show_the_password():
    assert "secret" not in repr(plain(25, username="desk", password="secret"))
