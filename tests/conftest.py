"""Fixtures: the real servers in a temporary folder, and a database that forgets what a test did."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g, request_started
from flask.testing import FlaskClient
from flask_appbuilder.security.sqla.models import User
from hypothesis import settings as hypothesis
from sqlalchemy import event, text
from xdist.scheduler import LoadScopeScheduling

from config import Settings, load_settings
from portal import create_app
from portal.embedded import Embedded, start_database, start_redis, stop_database, stop_redis
from portal.extensions import db
from portal.redis_handle import redis_handle
from tests.factory import Factory

# In CI the examples are the same each time, so that a run that failed can be repeated; at home they differ.
hypothesis.register_profile("home", deadline=None)
hypothesis.register_profile("ci", deadline=None, derandomize=True)
hypothesis.load_profile("ci" if os.environ.get("CI") == "true" else "home")

# What a test with real commits leaves alone when it cleans up: what code and migrations have put there.
KEPT_TABLES = (
    "alembic_version",
    "ab_role",
    "lifecycle_status",
    "lifecycle_setting",
    "resolution_code",
    "ab_permission",
    "ab_view_menu",
    "ab_permission_view",
    "ab_permission_view_role",
    "triage_criterion",
)


JOURNEYS = "tests/journey/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Journeys take longest: they come first."""
    items.sort(key=lambda item: not item.nodeid.startswith(JOURNEYS))


class _JourneysTogether(LoadScopeScheduling):
    """Journeys want a machine to themselves: one process takes them all, one after the other; others take the rest.

    In place of xdist's groups, which pytest 9.2 no longer lets it mark (pytest-xdist issue 1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        return JOURNEYS if nodeid.startswith(JOURNEYS) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _JourneysTogether(config, log)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of an installation in a temporary folder, its embedded servers running."""
    var_dir = tmp_path_factory.mktemp("var")
    # The embedded PostgreSQL drops root and must still be able to pass these folders.
    for folder in (var_dir, *var_dir.parents[:2]):
        folder.chmod(0o755)
    yield from running_installation(var_dir)


def running_installation(var_dir: Path) -> Iterator[Settings]:
    embedded = Embedded(var_dir)
    start_database(embedded)
    start_redis(embedded)
    yield load_settings(
        {"VAR_DIR": str(var_dir), "DEMO": "1", "MAIL_HOSTNAME": "portal.test", "UNDO_SECONDS": "0"}
    )
    stop_redis(embedded)
    stop_database(embedded)


@pytest.fixture(scope="session")
def app(settings: Settings) -> Flask:
    """The application on a migrated database. Forms need no token, except where a test turns that on."""
    from flask_migrate import upgrade

    from portal.services.events import ensure_partitions
    from portal.views.admin.roles import sync_roles

    app = create_app(settings)
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False, RATELIMIT_ENABLED=False)
    # A handler of ours answers every failure, so that tests see what a person would.
    app.config["PROPAGATE_EXCEPTIONS"] = False
    # Tests hold an application context open, whose `g` would carry the person of one request into the next.
    request_started.connect(_forget_person, app)
    with app.app_context():
        upgrade(directory=str(Path(__file__).resolve().parents[1] / "migrations"))
        _keep_statistics()
        ensure_partitions()
        sync_roles()
        db.session.remove()
    return app


def _keep_statistics() -> None:
    """No plan and no word's commonness depends on what other tests have left to be counted."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ALTER SYSTEM SET autovacuum = off"))
        connection.execute(text("SELECT pg_reload_conf()"))


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """In place of pytest-flask's own, which holds a request open around each test.

    A test's queries would then be limited to what the person of its last request may see.
    """


def _forget_person(_app: Flask, **_more: object) -> None:
    for name in list(g):
        g.pop(name)


@pytest.fixture
def database(app: Flask) -> Iterator[None]:
    """An outer transaction around the test, rolled back at its end; commits inside it are savepoints."""
    with app.app_context():
        engine = db.engine
        connection = engine.connect()
        outer = connection.begin()
        db.session.remove()
        db.session.configure(join_transaction_mode="create_savepoint")
        db.engines[None] = connection
        redis_handle.client.flushdb()
        try:
            yield
        finally:
            db.session.remove()
            outer.rollback()
            connection.close()
            db.engines[None] = engine
            db.session.configure(join_transaction_mode="conditional_savepoint")


@pytest.fixture
def real_commits(app: Flask) -> Iterator[None]:
    """For tests with several threads or processes: commits are real, and every table is emptied afterwards."""
    with app.app_context():
        db.session.remove()
        redis_handle.client.flushdb()
        try:
            yield
        finally:
            db.session.remove()
            names = ", ".join(f'"{name}"' for name in db.metadata.tables if name not in KEPT_TABLES)
            with db.engine.begin() as connection:
                connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))


@pytest.fixture
def client(app: Flask, database: None) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def make(database: None) -> Factory:
    """Rows for tests: `make.branch()`, `make.agent()`, `make.ticket()` …"""
    return Factory()


@pytest.fixture
def login(app: Flask) -> Callable[[User], FlaskClient]:
    """A client in which that person is logged in."""

    def log_in(user: User) -> FlaskClient:
        client = app.test_client()
        with client.session_transaction() as session:
            session["_user_id"] = str(user.id)
            session["_fresh"] = True
        return client

    return log_in


@pytest.fixture
def count_queries(app: Flask) -> Callable:
    """`with count_queries() as statements:` collects the SQL that is sent."""

    @contextmanager
    def counting() -> Iterator[list[str]]:
        from sqlalchemy.engine import Engine

        statements: list[str] = []

        def note(_connection, _cursor, statement, _parameters, _context, _many) -> None:
            if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK TO")):
                statements.append(statement)

        event.listen(Engine, "before_cursor_execute", note)
        try:
            yield statements
        finally:
            event.remove(Engine, "before_cursor_execute", note)

    return counting


@pytest.fixture
def run_jobs(app: Flask) -> Callable[[], None]:
    """Work off every queue in this process, as the workers would."""

    def work() -> None:
        from portal.jobs.worker import work_off

        work_off(app)

    return work


def pytest_configure(config: pytest.Config) -> None:
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
