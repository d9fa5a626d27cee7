"""Handing mail to a server by SMTP (RFC 5321), with an answer for every recipient."""

import contextlib
import re
import smtplib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from portal.channels.base import ChannelTrouble, ConnectionStep, RecipientResult, RecipientState
from portal.channels.email.connecting import Security, describe, refused_token, tls_context, trouble_of
from portal.channels.email.envelope import UnusableAddress, for_envelope
from portal.channels.email.oauth import xoauth2

_LONGEST_REPLY = 500
_BARE_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, kw_only=True)
class SmtpSettings:
    """How to reach a server that takes mail. No user name: no login."""

    host: str
    port: int = 587
    security: Security = "starttls"
    username: str = ""
    password: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)  # where there is one, the login is by XOAUTH2
    hello_name: str = "portal.localhost"
    ca_file: str = ""
    timeout_seconds: float = 30
    # A server may take long over the final dot; giving up earlier than it does makes a second copy (RFC 1047).
    data_timeout_seconds: float = 120


Passed = Callable[[ConnectionStep], None]


def send(
    settings: SmtpSettings, envelope_from: str, recipients: Sequence[str], raw: bytes
) -> list[RecipientResult]:
    """Hand a mail over; one result for each recipient, in their order. Does not raise for the far end's trouble.

    2xx is sent, 5xx failed, everything else deferred: 4xx, a broken connection, a refused login. Where the
    connection breaks before the server has confirmed the mail, it may have it all the same: the next try carries
    the same Message-ID. Line ends become CRLF, so that no lone one can smuggle a second mail in.
    """
    letter = _Letter(envelope_from, tuple(dict.fromkeys(recipients)), _BARE_LINE_END.sub(b"\r\n", raw))
    results: dict[str, RecipientResult] = {}
    try:
        with _connection(settings, _unheard) as connection:
            _hand_over(connection, settings, letter, results)
    except ChannelTrouble as trouble:
        _fill(results, letter.recipients, "deferred", None, str(trouble))
    return [results[recipient] for recipient in recipients]


def test_connection(settings: SmtpSettings) -> list[ConnectionStep]:
    """The steps of getting ready to send: dns, connect, tls, login. Only the last one can have failed."""
    steps: list[ConnectionStep] = []
    try:
        with _connection(settings, steps.append):
            pass
    except ChannelTrouble as trouble:
        steps.append(ConnectionStep(trouble.step, ok=False, sentence=str(trouble)))
    return steps


test_connection.__test__ = False  # type: ignore[attr-defined]  # a verb of ours, no test of pytest's


@dataclass(frozen=True)
class _Letter:
    envelope_from: str
    recipients: tuple[str, ...]
    raw: bytes

    @property
    def has_utf8_headers(self) -> bool:
        return not self.raw.partition(b"\r\n\r\n")[0].isascii()


@contextlib.contextmanager
def _connection(settings: SmtpSettings, passed: Passed) -> Iterator[smtplib.SMTP]:
    """A connection that is ready for MAIL. Raises ChannelTrouble, also for what breaks inside the block."""
    try:
        connection = _open(settings, passed)
    except (OSError, UnicodeError, smtplib.SMTPException) as error:
        raise _trouble(error, settings) from error
    try:
        _secure(connection, settings, passed)
        _log_in(connection, settings, passed)
        yield connection
        with contextlib.suppress(OSError, smtplib.SMTPException):
            connection.quit()
    except (OSError, smtplib.SMTPException) as error:
        raise _trouble(error, settings) from error
    finally:
        connection.close()


def _open(settings: SmtpSettings, passed: Passed) -> smtplib.SMTP:
    host, port, hello, seconds = settings.host, settings.port, settings.hello_name, settings.timeout_seconds
    if settings.security == "tls":
        context = tls_context(settings.ca_file)
        connection: smtplib.SMTP = smtplib.SMTP_SSL(host, port, hello, timeout=seconds, context=context)
    else:
        connection = smtplib.SMTP(host, port, hello, timeout=seconds)
    passed(ConnectionStep("dns", ok=True, sentence=f"{settings.host} was found."))
    passed(ConnectionStep("connect", ok=True, sentence=f"It answers on port {settings.port}."))
    return connection


def _secure(connection: smtplib.SMTP, settings: SmtpSettings, passed: Passed) -> None:
    connection.ehlo_or_helo_if_needed()
    if settings.security == "none":
        return
    if settings.security == "starttls":
        if not connection.has_extn("starttls"):
            raise ChannelTrouble(
                "tls",
                f"{settings.host} offers no STARTTLS on port {settings.port}. "
                "Choose TLS with port 465, or no encryption if the server is on your own machine.",
            )
        connection.starttls(context=tls_context(settings.ca_file))
        connection.ehlo_or_helo_if_needed()
    passed(
        ConnectionStep("tls", ok=True, sentence="The connection is encrypted and the certificate is valid.")
    )


def _log_in(connection: smtplib.SMTP, settings: SmtpSettings, passed: Passed) -> None:
    if not settings.username:
        return
    try:
        if settings.access_token:
            _log_in_with_token(connection, settings)
        else:
            connection.login(settings.username, settings.password)
    except smtplib.SMTPAuthenticationError as error:
        if settings.access_token:
            sentence = refused_token(settings.host, settings.username, _one_line(error.smtp_error))
            raise ChannelTrouble("login", sentence) from error
        raise ChannelTrouble(
            "login",
            f"{settings.host} refused the user name or the password of {settings.username}: "
            f"{_one_line(error.smtp_error)}",
        ) from error
    except smtplib.SMTPNotSupportedError as error:
        raise ChannelTrouble(
            "login",
            f"{settings.host} offers no login on port {settings.port}. "
            "It may want encryption first, or no user name at all.",
        ) from error
    except UnicodeError as error:
        raise ChannelTrouble("login", "The password holds characters that SMTP cannot carry.") from error
    passed(ConnectionStep("login", ok=True, sentence=f"The login of {settings.username} was accepted."))


def _log_in_with_token(connection: smtplib.SMTP, settings: SmtpSettings) -> None:
    if "XOAUTH2" not in connection.esmtp_features.get("auth", "").upper().split():
        raise ChannelTrouble(
            "login",
            f"{settings.host} offers no login by OAuth 2 (XOAUTH2) on port {settings.port}. "
            "It may want encryption first, or a password.",
        )

    def say(challenge: bytes | None = None) -> str:
        # A server that refuses explains itself first, and wants an empty answer to that.
        return xoauth2(settings.username, settings.access_token).decode() if challenge is None else ""

    connection.auth("XOAUTH2", say)


def _hand_over(
    connection: smtplib.SMTP, settings: SmtpSettings, letter: _Letter, results: dict[str, RecipientResult]
) -> None:
    speaks_utf8 = connection.has_extn("smtputf8")
    addresses = _usable_recipients(letter, results, speaks_utf8=speaks_utf8)
    try:
        sender = for_envelope(letter.envelope_from, can_be_utf8=speaks_utf8) if letter.envelope_from else ""
    except UnusableAddress as problem:
        _fill(results, addresses, "failed", None, str(problem))
        return
    if letter.has_utf8_headers and not speaks_utf8:
        _fill(results, addresses, "failed", None, "The server takes no mail with international addresses.")
    if not addresses or len(results) == len(letter.recipients):
        return
    is_utf8 = letter.has_utf8_headers or not all(each.isascii() for each in (sender, *addresses.values()))
    code, reply = connection.mail(sender, _mail_options(connection, letter.raw, is_utf8=is_utf8))
    if code != 250:
        _fill(results, addresses, _state_of(code), code, _one_line(reply))
        return
    if accepted := _announce(connection, addresses, results):
        _fill(results, accepted, *_data(connection, settings, letter.raw))


def _usable_recipients(
    letter: _Letter, results: dict[str, RecipientResult], *, speaks_utf8: bool
) -> dict[str, str]:
    """Recipients as the server gets them, by how the caller wrote them; the unusable ones have failed."""
    addresses = {}
    for recipient in letter.recipients:
        try:
            addresses[recipient] = for_envelope(recipient, can_be_utf8=speaks_utf8)
        except UnusableAddress as problem:
            results[recipient] = RecipientResult(recipient, "failed", None, str(problem))
    return addresses


def _mail_options(connection: smtplib.SMTP, raw: bytes, *, is_utf8: bool) -> list[str]:
    options = []
    if connection.has_extn("size"):
        options.append(f"SIZE={len(raw)}")
    if connection.has_extn("8bitmime") and not raw.isascii():
        options.append("BODY=8BITMIME")
    if is_utf8:
        options.append("SMTPUTF8")
    return options


def _announce(
    connection: smtplib.SMTP, addresses: dict[str, str], results: dict[str, RecipientResult]
) -> list[str]:
    """The recipients that the server takes; the others have their result."""
    accepted = []
    for recipient, address in addresses.items():
        code, reply = connection.rcpt(address)
        if code in (250, 251, 252):
            accepted.append(recipient)
            continue
        # 552 once meant "too many recipients"; RFC 5321 §4.5.3.1.10 wants it tried again.
        state = "deferred" if code == 552 else _state_of(code)
        results[recipient] = RecipientResult(recipient, state, code, _one_line(reply))
    return accepted


def _data(connection: smtplib.SMTP, settings: SmtpSettings, raw: bytes) -> tuple[RecipientState, int, str]:
    if connection.sock is not None:
        connection.sock.settimeout(settings.data_timeout_seconds)
    try:
        code, reply = connection.data(raw)
    except smtplib.SMTPDataError as error:
        code, reply = error.smtp_code, error.smtp_error if isinstance(error.smtp_error, bytes) else b""
    if connection.sock is not None:
        connection.sock.settimeout(settings.timeout_seconds)
    return _state_of(code), code, _one_line(reply)


def _state_of(code: int) -> RecipientState:
    if code == 250:
        return "sent"
    return "failed" if 500 <= code <= 599 else "deferred"


def _fill(
    results: dict[str, RecipientResult],
    recipients: Sequence[str] | dict[str, str],
    state: RecipientState,
    code: int | None,
    reply: str,
) -> None:
    """Give that result to every one of the recipients that has none yet."""
    for recipient in recipients:
        results.setdefault(recipient, RecipientResult(recipient, state, code, reply))


def _trouble(error: Exception, settings: SmtpSettings) -> ChannelTrouble:
    place = f"{settings.host}, port {settings.port}"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        # smtplib hides a time-out behind this one.
        if isinstance(error.__context__, TimeoutError):
            return trouble_of(error.__context__, settings.host, settings.port)
        return ChannelTrouble("connect", f"{place} closed the connection in the middle of the conversation.")
    if isinstance(error, smtplib.SMTPResponseException):
        return ChannelTrouble("connect", f"{place} answered {error.smtp_code} {_one_line(error.smtp_error)}")
    if isinstance(error, smtplib.SMTPException):
        return ChannelTrouble("connect", f"{place} does not speak SMTP as expected: {describe(error)}.")
    return trouble_of(error, settings.host, settings.port)


def _one_line(reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:_LONGEST_REPLY]


def _unheard(_step: ConnectionStep) -> None:
    pass
