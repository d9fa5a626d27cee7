"""An installation for measuring: its own folder under `$VAR_DIR/bench-db`, its own servers, never the user's data."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask

from config import ROOT, load_settings
from portal.embedded import DATABASE, Embedded, start_database, start_redis, stop_database, stop_redis

SMALL_TICKETS = 10_000


@dataclass(frozen=True)
class Installation:
    """One loaded database, its servers running."""

    ticket_count: int
    var_dir: Path
    database: str = DATABASE

    @property
    def environment(self) -> dict[str, str]:
        """What a process of this installation is told; empty addresses mean the embedded servers."""
        return {
            "VAR_DIR": str(self.var_dir),
            "DATABASE_URL": self._database_url,
            "REDIS_URL": "",
            "STORAGE_URL": "",
            "DEMO": "0",
            "MAIL_HOSTNAME": "bench.test",
            "LOG_FORMAT": "text",
        }

    @property
    def dsn(self) -> str:
        """Where psycopg finds the database."""
        return f"host={Embedded(self.var_dir).socket_dir} user=portal dbname={self.database}"

    @property
    def is_used(self) -> bool:
        """Whether a measurement has written to it since it was loaded."""
        return self._used_path.exists()

    def mark_used(self) -> None:
        """Say that what follows writes to it."""
        self._used_path.touch()

    def mark_fresh(self) -> None:
        """Say that it is as it was loaded."""
        self._used_path.unlink(missing_ok=True)

    @property
    def _database_url(self) -> str:
        if self.database == DATABASE:
            return ""
        return f"postgresql+psycopg://portal@/{self.database}?host={Embedded(self.var_dir).socket_dir}"

    @property
    def _used_path(self) -> Path:
        return self.var_dir / "used"

    def app(self, *, with_admin: bool = True) -> Flask:
        """The application on this installation."""
        from portal import create_app

        return create_app(load_settings(self.environment), with_admin=with_admin)


def ticket_count() -> int:
    """How many tickets the large database holds: BENCH_TICKETS, a million by default."""
    return int(os.environ.get("BENCH_TICKETS", "1000000"))


def results_dir() -> Path:
    """`$VAR_DIR/bench`, where the figures go."""
    folder = load_settings().var_dir / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def running(count: int) -> Iterator[Installation]:
    """The installation with that many tickets, loaded if it is not; its servers stop at the end."""
    from bench.loader import ensure_loaded

    var_dir = Path(os.environ.get("VAR_DIR") or ROOT / "var").absolute() / "bench-db" / str(count)
    var_dir.mkdir(parents=True, exist_ok=True)
    embedded = Embedded(var_dir)
    start_database(embedded)
    start_redis(embedded)
    try:
        installation = Installation(count, var_dir)
        ensure_loaded(installation)
        yield installation
    finally:
        stop_redis(embedded)
        stop_database(embedded)
