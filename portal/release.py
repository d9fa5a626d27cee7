"""What stands between new code and a database that fits it."""

from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from flask import current_app
from flask_migrate import upgrade
from sqlalchemy import text

from portal.extensions import db
from portal.services import events

MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"
# Two releases at once would run the same migration twice.
LOCK_ID = 72_623_859_790_382_856


def bring_up_to_date(*, with_demo: bool = False) -> None:
    """Run migrations, make partitions, write roles and permissions, load demo data. Doing it again changes nothing."""
    # Without a transaction: an index that is made beside running work waits for every open one.
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as guard:
        guard.execute(text("SELECT pg_advisory_lock(:id)"), {"id": LOCK_ID})
        try:
            if _revision_in_database() != _newest_revision():
                upgrade(directory=str(MIGRATIONS))
            events.ensure_partitions()
            _sync_roles()
            if with_demo:
                _load_demo()
        finally:
            guard.execute(text("SELECT pg_advisory_unlock(:id)"), {"id": LOCK_ID})


def _sync_roles() -> None:
    from portal.views.admin.roles import sync_roles

    sync_roles()


def _load_demo() -> None:
    from portal.demo.data import load_demo

    load_demo(current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001


def _newest_revision() -> str | None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config).get_current_head()


def _revision_in_database() -> str | None:
    with db.engine.connect() as connection:
        if not connection.execute(text("SELECT to_regclass('alembic_version')")).scalar():
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
