"""Catches what the demo sends (`python -m portal.demo.sink`): one file a mail, byte by byte as it was handed over."""

import json
import secrets
import signal
import threading
import time
from pathlib import Path
from types import FrameType

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from config import Settings, load_settings

FOLDER = "postbox"


class Sink:
    """An SMTP handler that takes everything and writes it down."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content or b""
        write_mail(self._folder, content, envelope.mail_from or "", envelope.rcpt_tos)
        return "250 Kept in the postbox"


def write_mail(folder: Path, content: bytes, envelope_from: str, recipients: list[str]) -> Path:
    """Write one mail as `<time>-<random>.eml` with its envelope in a JSON beside it; whole or not at all."""
    name = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
    envelope = json.dumps({"from": envelope_from, "to": recipients}).encode()
    # The envelope first: whoever sees the mail finds its envelope there.
    _write_whole(folder / f"{name}.json", envelope)
    _write_whole(folder / f"{name}.eml", content)
    return folder / f"{name}.eml"


def run_sink(settings: Settings) -> None:
    """Serve on `settings.sink_port` until SIGTERM or SIGINT."""
    controller = Controller(
        Sink(settings.var_dir / FOLDER),
        hostname="127.0.0.1",
        port=settings.sink_port,
        data_size_limit=100 * 1024 * 1024,
    )
    controller.start()
    stopped = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    stopped.wait()
    controller.stop()


def _write_whole(path: Path, content: bytes) -> None:
    part = path.with_suffix(path.suffix + ".part")
    part.write_bytes(content)
    part.rename(path)


if __name__ == "__main__":
    run_sink(load_settings())
