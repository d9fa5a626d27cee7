"""Far ends for tests: real SMTP servers on loopback that answer as they are told."""

import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Sink:
    """Takes mail, or answers as told: to MAIL, to a recipient, to the mail itself."""

    mail_answer: str = ""
    recipient_answers: dict[str, str] = field(default_factory=dict)
    data_answer: str = "250 OK"
    envelopes: list[Envelope] = field(default_factory=list)
    port: int = 0

    async def handle_MAIL(  # noqa: N802  # aiosmtpd's name
        self, _server, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.mail_answer:
            return self.mail_answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, _server, _session: Session, envelope: Envelope, address: str, _options
    ) -> str:
        if address in self.recipient_answers:
            return self.recipient_answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  # aiosmtpd's name
        self, _server, _session: Session, envelope: Envelope
    ) -> str:
        if self.data_answer.startswith("250"):
            self.envelopes.append(envelope)
        return self.data_answer


@contextmanager
def sink_running(sink: Sink, *, login: tuple[str, str] | None = None, **settings) -> Iterator[Sink]:
    """The sink on a free port of 127.0.0.1; with a login it takes mail from nobody else."""

    def check(
        _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object
    ) -> AuthResult:
        assert isinstance(given, LoginPassword)
        is_right = (given.login.decode(), given.password.decode()) == login
        return AuthResult(success=is_right, handled=is_right)

    if login:
        # A warning about passwords in the clear is for servers, not for a double on loopback.
        warnings.filterwarnings("ignore", "Requiring AUTH while not requiring TLS")
        settings |= {"authenticator": check, "auth_required": True, "auth_require_tls": False}
    controller = _FreePort(sink, hostname="127.0.0.1", port=0, **settings)
    controller.start()
    sink.port = controller.port
    try:
        yield sink
    finally:
        controller.stop()


class _FreePort(Controller):
    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def script_running(*answers: bytes) -> Iterator[int]:
    """A server that sends the first answer as its greeting, another one after each line it gets, and then hangs up.

    An answer that begins with `<after the dot>` is sent when the lone dot of a mail has come.
    """
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as lines:
            connection.sendall(answers[0])
            for answer in answers[1:]:
                line = lines.readline()
                while answer.startswith(b"<after the dot>") and line not in (b".\r\n", b""):
                    line = lines.readline()
                connection.sendall(answer.removeprefix(b"<after the dot>"))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        # A thread still waiting for its client is woken by a client of ours.
        if thread.is_alive():
            with suppress(OSError):
                socket.create_connection(listening.getsockname(), timeout=1).close()
        thread.join(5)
        listening.close()
