"""The process that takes mail by SMTP and LMTP, and hears of mail in mailboxes."""

import threading

import redis
import structlog
from flask import Flask

from portal import heartbeats
from portal.channels.base import IncomingBytes
from portal.channels.email.listener import ListenerSettings, serve_forever
from portal.extensions import db
from portal.jobs.watch import watch_for_ever
from portal.services import accounts, intake

BEAT_SECONDS = 5

log = structlog.get_logger()


def listen_for_ever(app: Flask) -> None:
    """Serve until a signal. A recipient is looked up and a mail accepted in the application's own database."""
    settings = app.config["SETTINGS"]

    def resolve(recipient: str) -> bool:
        with app.app_context():
            return accounts.is_ours(recipient)

    def accept(incoming: IncomingBytes) -> None:
        with app.app_context():
            intake.accept(incoming)

    db.engine.dispose()
    threading.Thread(target=_beat, args=(app,), daemon=True).start()
    threading.Thread(target=watch_for_ever, args=(app, threading.Event()), daemon=True).start()
    serve_forever(
        ListenerSettings(
            host=settings.smtp_host,
            port=settings.smtp_port,
            lmtp_port=settings.lmtp_port,
            size_limit_bytes=settings.mail_size_limit_bytes,
            hostname=settings.mail_hostname,
            tls_certificate_file=settings.smtp_tls_certificate_file,
            tls_key_file=settings.smtp_tls_key_file,
            is_tls_required=settings.is_smtp_tls_required,
        ),
        resolve,
        accept,
    )


def _beat(app: Flask) -> None:
    pause = threading.Event()
    while True:
        try:
            with app.app_context():
                heartbeats.beat(heartbeats.LISTENER_KEY)
        except redis.RedisError as error:
            log.warning("redis_away", process="listener", error=type(error).__name__)
        pause.wait(BEAT_SECONDS)
