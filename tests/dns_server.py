"""A DNS server for tests on a free port of 127.0.0.1: it knows the TXT records that it is given, and nobody else."""

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Records = Mapping[str, Sequence[str]]
BROKEN = "SERVFAIL"  # as a name's only value: the server fails at it


@contextmanager
def dns_running(records: Records) -> Iterator[str]:
    """The server's address, as `127.0.0.1:5353`. A name that exists without a TXT record has an empty list."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            question, asker = server.recvfrom(4096)
            if not question:
                return
            server.sendto(_answer(records, question), asker)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    host, port = server.getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (host, port))
        thread.join(5)
        server.close()


def _answer(records: Records, question: bytes) -> bytes:
    asked = dns.message.from_wire(question)
    answer = dns.message.make_response(asked)
    answer.flags |= dns.flags.RA
    name = asked.question[0].name
    values = records.get(name.to_text(omit_final_dot=True).lower())
    if values is None:
        answer.set_rcode(dns.rcode.NXDOMAIN)
    elif list(values) == [BROKEN]:
        answer.set_rcode(dns.rcode.SERVFAIL)
    elif values:
        pieces = [" ".join(f'"{v[at : at + 255]}"' for at in range(0, len(v), 255)) for v in values]
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *pieces))
    return answer.to_wire()
