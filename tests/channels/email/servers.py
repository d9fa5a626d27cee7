"""Far ends for tests: real SMTP servers on loopback that answer as they are told, and a certificate for them."""

import ipaddress
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


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


@dataclass(frozen=True)
class Certificate:
    """Files of a self-signed certificate for 127.0.0.1 and localhost; it is its own authority."""

    certificate_file: str
    key_file: str

    def server_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate_file, self.key_file)
        return context


def make_certificate(folder: Path, *, name: str = "localhost", is_expired: bool = False) -> Certificate:
    """A certificate in `folder`; with another name it does not fit 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if name == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=-1 if is_expired else 30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(certificate.public_bytes(pem))
    files[1].write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Certificate(str(files[0]), str(files[1]))
