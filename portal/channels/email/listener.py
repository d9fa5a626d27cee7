"""Taking mail by SMTP (RFC 5321) and LMTP (RFC 2033), for use behind another server or directly.

The client hears 250 only after `accept` has returned, that is, after the bytes are committed. Whatever goes wrong
before that is answered with 4xx, and the sender keeps the mail and tries again. Each transaction has a queue id of
its own, part of the source key: when our 250 gets lost on the way, the sender's second try becomes a second inbox
item, and is recognised by its Message-ID when that is processed. Two mails are never taken for one here.

aiosmtpd speaks the protocol; reading DATA is ours, because theirs refuses lines over 1,000 bytes, which real mail has,
and ends slow transfers and slow commits by one clock.
"""

import asyncio
import contextlib
import logging
import secrets
import signal
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session, syntax

from portal.channels.base import Accept, IncomingBytes

_LONGEST_COMMAND = 4096
_CHUNK = 64 * 1024
_UNUSABLE_IN_ADDRESS = frozenset(map(chr, [*range(32), 127]))

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ListenerSettings:
    """Where to listen, and for how much. A port of 0 is any free one; a certificate file turns STARTTLS on."""

    host: str
    port: int
    lmtp_port: int | None = None
    hostname: str
    size_limit_bytes: int = 35 * 1024 * 1024
    tls_certificate_file: str = ""
    tls_key_file: str = ""
    is_tls_required: bool = False
    most_recipients: int = 200
    most_connections: int = 100
    # Mails being received at the same moment may take this much memory together.
    most_bytes_in_flight: int = 256 * 1024 * 1024
    accept_thread_count: int = 8
    # RFC 5321 §4.5.3.2.7 asks for five minutes of patience between commands.
    idle_timeout_seconds: float = 300
    data_timeout_seconds: float = 1800
    stop_timeout_seconds: float = 30


Resolve = Callable[[str], bool]


class Listener:
    """A running listener. `port` and `lmtp_port` are the real ones."""

    def __init__(self, settings: ListenerSettings, resolve_recipient: Resolve, accept: Accept) -> None:
        self.settings = settings
        self.port = 0
        self.lmtp_port: int | None = None
        self._house = _House(settings, resolve_recipient, accept)
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._run, name="mail-listener", daemon=True)

    def stop(self) -> None:
        """Take no more mail, let running accepts finish and answer, then close. Returns when all that is done."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._house.pool.shutdown(wait=True)

    def _open(self) -> None:
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._bind(), self._loop).result()
        except BaseException:
            self.stop()
            raise

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _bind(self) -> None:
        settings = self.settings
        self.port = await self._serve(_SmtpConversation, settings.port)
        if settings.lmtp_port is not None:
            self.lmtp_port = await self._serve(_LmtpConversation, settings.lmtp_port)

    async def _serve(self, kind: "type[_Conversation]", port: int) -> int:
        house, loop = self._house, self._loop
        server = await loop.create_server(lambda: kind(house, loop), self.settings.host, port)
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    async def _close(self) -> None:
        house = self._house
        house.is_stopping = True
        for server in self._servers:
            server.close()
        await _until(lambda: not house.accepting_count, self.settings.stop_timeout_seconds)
        for part in (_Conversation.hang_up, _Conversation.cut_off):
            for conversation in list(house.conversations):
                part(conversation)
            await _until(lambda: not house.conversations, 2)


def start(settings: ListenerSettings, resolve_recipient: Resolve, accept: Accept) -> Listener:
    """A listener that serves in threads of its own until `stop()`.

    `resolve_recipient(address)` says whether an address is ours, and `accept(incoming)` keeps a mail for good; both are
    called in a pool of threads, several at a time, and a raised exception becomes 451, "try again later".
    Raises OSError when a port is taken or may not be used, ssl.SSLError for an unusable certificate.
    """
    # aiosmtpd notes every address and command; ours are the notes that count.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    listener = Listener(settings, resolve_recipient, accept)
    listener._open()  # noqa: SLF001  # a listener that is not open yet never leaves this module
    return listener


def serve_forever(
    settings: ListenerSettings,
    resolve_recipient: Resolve,
    accept: Accept,
    on_ready: Callable[[Listener], object] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then stop gracefully. Call it in a process's main thread.

    Raises what `start` raises, before anything is served.
    """
    is_over = threading.Event()
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in former:
        signal.signal(number, lambda *_: is_over.set())
    try:
        listener = start(settings, resolve_recipient, accept)
        if on_ready is not None:
            on_ready(listener)
        is_over.wait()
        listener.stop()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@dataclass
class _House:
    """What all conversations share. Belongs to the event loop: only its thread changes anything here."""

    settings: ListenerSettings
    resolve_recipient: Resolve
    accept: Accept
    pool: ThreadPoolExecutor = field(init=False)
    tls: ssl.SSLContext | None = field(init=False)
    conversations: "set[_Conversation]" = field(default_factory=set)
    accepting_count: int = 0
    bytes_in_flight: int = 0
    is_stopping: bool = False

    def __post_init__(self) -> None:
        self.tls = _tls_of(self.settings)
        self.pool = ThreadPoolExecutor(self.settings.accept_thread_count, thread_name_prefix="mail-accept")

    async def in_pool(self, function: Callable[[Any], Any], argument: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.pool, function, argument)


class _Hooks:
    """What aiosmtpd asks us in the course of a conversation."""

    def __init__(self, house: _House) -> None:
        self._house = house

    async def handle_EHLO(  # noqa: N802  # aiosmtpd's name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        # There is no login here, so none is offered. Commands are read from a buffer: pipelining is free.
        kept = [line for line in responses if not line.startswith("250-AUTH")]
        return [*kept[:-1], "250-PIPELINING", *kept[-1:]]

    async def handle_MAIL(  # noqa: N802  # aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._house.is_stopping:
            return "421 4.3.2 This service is being restarted. Try again in a minute."
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= self._house.settings.most_recipients:
            return "452 4.5.3 Too many recipients. Send the rest in another mail."
        if _clean_address(address) != address:
            return "553 5.1.3 That is not an address."
        try:
            is_ours = await self._house.in_pool(self._house.resolve_recipient, address)
        except Exception:
            log.exception("a recipient could not be looked up")
            return "451 4.3.0 The recipient could not be looked up just now. Try again later."
        if not is_ours:
            return f"550 5.1.1 There is no mailbox {address} here."
        if address not in envelope.rcpt_tos:
            envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_exception(self, error: Exception) -> str:
        # aiosmtpd's own answer would be 500: the sender would give up a mail because of our trouble.
        log.error("the listener failed in a conversation", exc_info=error)
        return "451 4.3.0 Something went wrong here. Try again later."


class _Conversation(SMTP):
    """One connection. Answers to DATA are given by the two kinds below."""

    protocol = ""
    line_length_limit = _CHUNK
    command_size_limits = defaultdict(lambda: _LONGEST_COMMAND)
    # aiosmtpd would close a stalled connection in the middle of a commit; while we work, no clock runs.
    _is_working = False

    def __init__(self, house: _House, loop: asyncio.AbstractEventLoop) -> None:
        settings = house.settings
        super().__init__(
            _Hooks(house),
            data_size_limit=settings.size_limit_bytes,
            enable_SMTPUTF8=True,
            hostname=settings.hostname,
            ident="Portal",
            tls_context=house.tls,
            require_starttls=settings.is_tls_required,
            timeout=settings.idle_timeout_seconds,
            loop=loop,
        )
        self._house = house

    def hang_up(self) -> None:
        """Close the connection after what has been written."""
        if self.transport is not None:
            self.transport.close()

    def cut_off(self) -> None:
        """End a connection whose other side does not let itself be hung up on."""
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    def reply_to_data(self, status: str) -> str:
        """The answer to a whole mail."""
        raise NotImplementedError

    @property
    def _recipients(self) -> list[str]:
        return self.envelope.rcpt_tos if self.envelope is not None else []

    async def _handle_client(self) -> None:
        house = self._house
        if house.is_stopping or len(house.conversations) >= house.settings.most_connections:
            await self.push("421 4.3.2 Too many connections. Try again in a minute.")
            self.hang_up()
            return
        house.conversations.add(self)
        try:
            await super()._handle_client()
        finally:
            house.conversations.discard(self)

    def _timeout_cb(self) -> None:
        if self._is_working:
            self._reset_timeout()
        else:
            super()._timeout_cb()  # type: ignore[no-untyped-call]

    @syntax("DATA")
    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802  # aiosmtpd's name
        if await self.check_helo_needed():
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        if not self._recipients:
            await self.push("503 5.5.1 Name a recipient first.")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        reading = _Reading(self._house)
        try:
            async with asyncio.timeout(self._house.settings.data_timeout_seconds):
                await self._read_content(reading)
            await self._take(reading)
        except TimeoutError:
            self.hang_up()
        finally:
            reading.forget()

    async def _read_content(self, reading: "_Reading") -> None:
        """Read up to the lone dot. Only CRLF ends a line (RFC 5321 §2.3.8), so that nothing can be smuggled in."""
        is_line_start = True
        while True:
            try:
                piece = await self._reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError as overrun:
                # Part of a line that is longer than the buffer.
                piece = await self._reader.readexactly(overrun.consumed)
            self._reset_timeout()
            if is_line_start and piece == b".\r\n":
                return
            # Transparency, RFC 5321 §4.5.2.
            reading.add(piece[1:] if is_line_start and piece.startswith(b".") else piece)
            is_line_start = piece.endswith(b"\r\n")

    async def _take(self, reading: "_Reading") -> None:
        house = self._house
        house.accepting_count += 1
        self._is_working = True
        try:
            status = reading.refusal or await self._accepted(reading)
            answer = self.reply_to_data(status)
            self._set_post_data_state()  # type: ignore[no-untyped-call]
            await self.push(answer)
        finally:
            self._is_working = False
            house.accepting_count -= 1

    async def _accepted(self, reading: "_Reading") -> str:
        queue_id = secrets.token_hex(10)
        incoming = self._incoming(queue_id, reading.content())
        try:
            await self._house.in_pool(self._house.accept, incoming)
        except Exception:
            log.exception("mail %s could not be kept", queue_id)
            return "451 4.3.0 The mail could not be kept just now. Try again later."
        return f"250 2.0.0 Kept as {queue_id}"

    def _incoming(self, queue_id: str, raw: bytes) -> IncomingBytes:
        assert self.envelope is not None, "aiosmtpd makes one at the start and after every mail"
        sender = self.envelope.mail_from or ""
        return IncomingBytes(
            source_key=f"{self.protocol}:{queue_id}:{sha256(raw).hexdigest()}",
            channel_kind="email",
            account_id=None,
            envelope_from="" if sender == "<>" else _clean_address(sender),
            envelope_to=tuple(self._recipients),
            received_at=datetime.now(UTC),
            raw=raw,
        )


class _SmtpConversation(_Conversation):
    protocol = "smtp"

    def reply_to_data(self, status: str) -> str:
        return status


class _LmtpConversation(_Conversation):
    """LMTP differs in its greeting and in one answer for each recipient (RFC 2033 §4)."""

    protocol = "lmtp"

    @syntax("LHLO hostname")
    async def smtp_LHLO(self, arg: str) -> None:  # noqa: N802  # aiosmtpd's name
        await super().smtp_EHLO(arg)

    async def smtp_HELO(self, hostname: str) -> None:  # noqa: ARG002, N802  # aiosmtpd's name
        await self.push("500 5.5.1 This is LMTP. Begin with LHLO.")

    smtp_EHLO = smtp_HELO  # noqa: N815  # aiosmtpd's name

    def reply_to_data(self, status: str) -> str:
        return "\r\n".join(status for _ in self._recipients)


class _Reading:
    """The bytes of one mail as they come in; what cannot be taken is read and forgotten."""

    def __init__(self, house: _House) -> None:
        self._house = house
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self.refusal = ""

    def add(self, piece: bytes) -> None:
        settings = self._house.settings
        if self.refusal:
            return
        if self._size_bytes + len(piece) > settings.size_limit_bytes:
            megabytes = settings.size_limit_bytes / 1024 / 1024
            self._refuse(f"552 5.3.4 The mail is larger than the {megabytes:g} MB that are taken here.")
        elif self._house.bytes_in_flight + len(piece) > settings.most_bytes_in_flight:
            self._refuse("452 4.3.1 Too much mail is coming in at this moment. Try again in a minute.")
        else:
            self._pieces.append(piece)
            self._size_bytes += len(piece)
            self._house.bytes_in_flight += len(piece)

    def content(self) -> bytes:
        return b"".join(self._pieces)

    def forget(self) -> None:
        self._house.bytes_in_flight -= self._size_bytes
        self._pieces, self._size_bytes = [], 0

    def _refuse(self, status: str) -> None:
        self.refusal = status
        self.forget()


def _clean_address(address: str) -> str:
    """The address as text that can be stored: bytes that are no UTF-8, and control characters, become U+FFFD."""
    text = address.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join("\ufffd" if each in _UNUSABLE_IN_ADDRESS else each for each in text)


def _tls_of(settings: ListenerSettings) -> ssl.SSLContext | None:
    if not settings.tls_certificate_file:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file or None)
    return context


async def _until(is_true: Callable[[], bool], timeout_seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_seconds):
            while not is_true():
                await asyncio.sleep(0.02)
