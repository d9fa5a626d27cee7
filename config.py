"""Typed settings from the environment. Imports nothing of portal.

Every setting has one line here; `docs/administration.md` explains them to people who run Portal.
"""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

ROOT = Path(__file__).resolve().parent
LANGUAGES = ("en", "de")


class BadSetting(ValueError):
    """A setting that cannot be used; the message is a sentence for the person who set it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What this installation is told from outside. Times are seconds, sizes bytes."""

    var_dir: Path
    database_url: str
    redis_url: str
    storage_url: str
    secret_key: str
    signing_keys: tuple[bytes, ...]
    encryption_key: bytes
    base_url: str
    port: int
    smtp_host: str
    smtp_port: int
    lmtp_port: int | None
    # A certificate turns STARTTLS on; its file may hold the key as well.
    smtp_tls_certificate_file: str
    smtp_tls_key_file: str
    is_smtp_tls_required: bool
    mail_hostname: str
    # Servers whose word on who sent a mail is taken (Authentication-Results), in lower case.
    mail_verifiers: frozenset[str]
    mail_size_limit_bytes: int
    dns_servers: tuple[str, ...]
    relay_host: str
    relay_port: int
    relay_security: str
    google_authorize_url: str
    google_token_url: str
    microsoft_login_url: str
    sink_port: int
    is_demo: bool
    is_https: bool
    undo_seconds: int
    log_format: str
    # What pages speak where neither the person nor their browser says which language.
    default_language: str

    @property
    def uses_embedded_database(self) -> bool:
        return not self.database_url

    @property
    def uses_embedded_redis(self) -> bool:
        return not self.redis_url


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from `environment` (default: the process's, over a `.env` file beside this one).

    Raises BadSetting with a sentence that names the variable.
    """
    if environment is None:
        from_file = {name: value for name, value in dotenv_values(ROOT / ".env").items() if value is not None}
        environment = {**from_file, **os.environ}
    var_dir = Path(environment.get("VAR_DIR") or ROOT / "var").absolute()
    secret_key = environment.get("SECRET_KEY") or _kept_secret(var_dir / "secret.key")
    port = _port(environment, "PORT", 8000)
    smtp_port = _port(environment, "SMTP_PORT", 2525)
    return Settings(
        var_dir=var_dir,
        database_url=_psycopg_url(environment.get("DATABASE_URL", "")),
        redis_url=environment.get("REDIS_URL", ""),
        storage_url=environment.get("STORAGE_URL") or (var_dir / "files").as_uri(),
        secret_key=secret_key,
        signing_keys=_signing_keys(environment, secret_key),
        encryption_key=(environment.get("ENCRYPTION_KEY") or secret_key).encode(),
        base_url=(environment.get("BASE_URL") or f"http://127.0.0.1:{port}").rstrip("/"),
        port=port,
        smtp_host=environment.get("SMTP_HOST", "127.0.0.1"),
        smtp_port=smtp_port,
        lmtp_port=_port(environment, "LMTP_PORT", 0) or None,
        smtp_tls_certificate_file=_file(environment, "SMTP_TLS_CERTIFICATE"),
        smtp_tls_key_file=_file(environment, "SMTP_TLS_KEY"),
        is_smtp_tls_required=environment.get("SMTP_TLS_REQUIRED", "0") not in ("", "0"),
        mail_hostname=environment.get("MAIL_HOSTNAME", "portal.localhost"),
        mail_verifiers=frozenset(environment.get("MAIL_VERIFIERS", "").lower().replace(",", " ").split()),
        dns_servers=tuple(environment.get("DNS_SERVERS", "").replace(",", " ").split()),
        mail_size_limit_bytes=_positive(environment, "MAIL_SIZE_LIMIT_MB", 35) * 1024 * 1024,
        relay_host=environment.get("RELAY_HOST", "127.0.0.1"),
        relay_port=_port(environment, "RELAY_PORT", 25),
        relay_security=environment.get("RELAY_SECURITY", "none"),
        google_authorize_url=environment.get("GOOGLE_AUTHORIZE_URL")
        or "https://accounts.google.com/o/oauth2/v2/auth",
        google_token_url=environment.get("GOOGLE_TOKEN_URL") or "https://oauth2.googleapis.com/token",
        microsoft_login_url=environment.get("MICROSOFT_LOGIN_URL") or "https://login.microsoftonline.com",
        sink_port=_port(environment, "SINK_PORT", 0) or smtp_port + 1,
        is_demo=environment.get("DEMO", "0") not in ("", "0"),
        is_https=environment.get("BASE_URL", "").startswith("https://"),
        undo_seconds=_positive(environment, "UNDO_SECONDS", 8, least=0),
        log_format=environment.get("LOG_FORMAT", "text"),
        default_language=_one_of(environment, "DEFAULT_LANGUAGE", LANGUAGES),
    )


def _kept_secret(path: Path) -> str:
    """The installation's own secret: made once, kept with mode 0600, never a default."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_text().strip()
        with os.fdopen(descriptor, "w") as file:
            file.write(secret := secrets.token_urlsafe(48))
    except OSError as error:
        raise BadSetting(
            f"Portal cannot write to {path.parent} ({error.strerror}). "
            "Make that folder writable for this user, or choose another with VAR_DIR."
        ) from error
    return secret


def _signing_keys(environment: Mapping[str, str], secret_key: str) -> tuple[bytes, ...]:
    """Keys for ids in mail headers: the first signs, all are accepted, so that a key can be rotated."""
    listed = environment.get("SIGNING_KEYS", "").replace(",", " ").split()
    return tuple(key.encode() for key in listed or [secret_key])


def _psycopg_url(url: str) -> str:
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    if url and not url.startswith("postgresql+psycopg://"):
        raise BadSetting("DATABASE_URL must be a PostgreSQL address: postgresql://user@host/name.")
    return url


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    number = _positive(environment, name, default, least=0)
    if number > 65535:
        raise BadSetting(f"{name} must be a port number up to 65535, not {number}.")
    return number


def _one_of(environment: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    value = environment.get(name) or known[0]
    if value not in known:
        raise BadSetting(f"{name} must be one of {', '.join(known)}, not {value!r}.")
    return value


def _file(environment: Mapping[str, str], name: str) -> str:
    path = environment.get(name, "")
    if path and not Path(path).is_file():
        raise BadSetting(f"{name} must be a file: {path} is none.")
    return path


def _positive(environment: Mapping[str, str], name: str, default: int, least: int = 1) -> int:
    text = environment.get(name) or str(default)
    if not text.strip().isdigit() or (int(text) < least and int(text) != default):
        raise BadSetting(f"{name} must be a whole number of at least {least}, not {text!r}.")
    return int(text)
