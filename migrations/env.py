"""Runs migrations on the application's own engine, with time-outs so that none can hold the desk up."""

from alembic import context
from flask import current_app
from sqlalchemy import text

database = current_app.extensions["migrate"].db

# A migration waits a little for a lock and then gives up, rather than queueing every request behind it.
LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "15min"


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leave the monthly partitions of the event table to portal.services.events."""
    return not (kind == "table" and name is not None and name.startswith("event_"))


def run() -> None:
    with database.engine.connect() as connection:
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=database.metadata,
            include_name=is_ours,
            transaction_per_migration=True,
            compare_type=True,
            **{
                key: value
                for key, value in current_app.extensions["migrate"].configure_args.items()
                if key != "compare_type"
            },
        )
        with context.begin_transaction():
            context.run_migrations()


run()
