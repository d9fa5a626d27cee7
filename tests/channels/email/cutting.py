"""A bad line to an IMAP server: passes everything on, and breaks where a test says."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cut:
    """Where a connection ends: after so many bytes from the server, or at a command that matches.

    The server never hears of that command, or has done it and its answer is lost.
    """

    after_bytes: int | None = None
    at_command: str = ""
    is_done: bool = False


@dataclass
class BadLine:
    """The line's own port; each new connection takes the next cut, and what comes after the last one is whole."""

    port: int = 0
    cuts: list[Cut] = field(default_factory=list)
    cut_count: int = 0


@contextmanager
def bad_line(server_port: int) -> Iterator[BadLine]:
    """A line to that port of 127.0.0.1."""
    line = BadLine()
    listening = socket.create_server(("127.0.0.1", 0))
    line.port = listening.getsockname()[1]

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            cut = line.cuts.pop(0) if line.cuts else Cut()
            threading.Thread(target=_pass_on, args=(line, cut, client, server_port), daemon=True).start()

    accepting = threading.Thread(target=serve, daemon=True)
    accepting.start()
    try:
        yield line
    finally:
        # Closing alone does not wake a thread that waits in accept.
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        accepting.join(5)


def _pass_on(line: BadLine, cut: Cut, client: socket.socket, server_port: int) -> None:
    """Both directions of one connection, until one side is done or the cut has come."""
    server = socket.create_connection(("127.0.0.1", server_port))
    is_swallowing = threading.Event()

    def end() -> None:
        for each in (client, server):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def break_off() -> None:
        line.cut_count += 1
        end()

    def from_server() -> None:
        left = cut.after_bytes
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if is_swallowing.is_set():
                    if re.search(rb"^\S+ OK ", data, re.MULTILINE):
                        return break_off()
                    continue
                if left is not None and len(data) >= left:
                    client.sendall(data[:left])
                    return break_off()
                left = left and left - len(data)
                client.sendall(data)
        return end()

    answers = threading.Thread(target=from_server, daemon=True)
    answers.start()
    with contextlib.suppress(OSError), client.makefile("rb") as commands:
        for command in commands:
            if cut.at_command and re.search(cut.at_command.encode(), command):
                if not cut.is_done:
                    break_off()
                    break
                is_swallowing.set()
            server.sendall(command)
    answers.join(20)
    end()
    client.close()
    server.close()
