"""One call, one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from sqlalchemy import CursorResult, Delete, Insert, Update

from portal.extensions import db


@contextmanager
def transaction(*locked: Any) -> Iterator[None]:
    """Commit what happens inside, or nothing of it.

    Rows in `locked` are read anew and locked first, so that what is decided about them holds until the commit.
    Always a ticket before what hangs on it: one order for all, and nobody waits in a circle.
    """
    try:
        for row in locked:
            # Of the row alone: a page may have loaded it with others joined to it.
            db.session.refresh(row, with_for_update={"of": type(row)})
        yield
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise


def affected(statement: Insert | Update | Delete) -> int:
    """Run the statement in the current transaction and return how many rows it changed: what a claim is decided by."""
    done = db.session.execute(statement.execution_options(synchronize_session=False))
    return cast(CursorResult[Any], done).rowcount
