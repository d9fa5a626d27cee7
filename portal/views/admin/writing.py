"""One row of the configuration written: in one transaction with its audit entry, refused in words."""

from collections.abc import Callable
from typing import Any

from flask_login import current_user
from sqlalchemy import delete, inspect
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, StatementError

from portal import live
from portal.errors import UserFault
from portal.extensions import db
from portal.language import gettext, tell
from portal.models import BranchMembership, User
from portal.services import audit
from portal.views.admin import reach, show
from portal.views.admin.rows import Rows
from portal.wording import N_

STILL_USED = N_("Other things still refer to this one, so it was kept. Switch it off, or move them first.")


def new_row(model: type) -> Any:
    """A row with its columns' defaults, which checks may want to look at before it is written."""
    row = model()
    for attribute in inspect(model).column_attrs:
        default = attribute.columns[0].default
        if default is None or default.is_sequence:
            continue
        setattr(row, attribute.key, default.arg(None) if default.is_callable else default.arg)
    return row


def write_row(
    row: Any,
    action: str,
    fill: Callable[[], None],
    finish: Callable[[], audit.Changes] = dict,
) -> None:
    """Fill the row, write it with its audit entry and commit; a failure rolls everything back, values included.

    Raises UserFault in words for people, whatever went wrong below.
    """
    try:
        with db.session.no_autoflush:
            fill()
            reach.check_may_change(row)
            changes = audit.changes_of(row)
            db.session.add(row)
        db.session.flush()
        changes.update(finish())
        if changes:
            audit.record_change(row, action, current_user, changes)
        _cut_streams(row)
        db.session.commit()
    except IntegrityError as error:
        db.session.rollback()
        raise UserFault(words_for(error)) from error
    except (DataError, StatementError) as error:
        if isinstance(error, OperationalError):
            raise
        db.session.rollback()
        raise UserFault("One of the values does not fit its field. Nothing was changed.") from error
    except BaseException:
        db.session.rollback()
        raise


def delete_row(row: Any) -> None:
    """Delete the row with its audit entry and commit. Raises UserFault where something still refers to it."""
    rows = Rows(type(row))
    try:
        audit.record_change(row, "deleted", current_user)
        _cut_streams(row)
        # The database's own rules decide what goes along and what is in the way; no child is loaded for it.
        db.session.execute(delete(type(row)).where(rows.get_pk() == rows.get_pk_value(row)))
        db.session.commit()
    except IntegrityError as error:
        db.session.rollback()
        raise UserFault(STILL_USED) from error


def _cut_streams(row: Any) -> None:
    """Whose reach it may change hears from now on what they may hear."""
    if isinstance(row, BranchMembership):
        live.reach_changed(row.user_id)
    elif isinstance(row, User):
        live.reach_changed(row.id)


def words_for(error: IntegrityError) -> str:
    """A broken constraint as a sentence that names what people see, not what the database calls it."""
    told = getattr(error.orig, "diag", None)
    state = getattr(error.orig, "sqlstate", "")
    table = db.metadata.tables.get(getattr(told, "table_name", None) or "")
    names = _columns_of(table, getattr(told, "constraint_name", None))
    if state == "23505":
        what = " + ".join(tell(show.label_of_column(name)) for name in names)
        return gettext(
            "There is already one with this %(what)s. Nothing was changed; choose another.", what=what
        )
    if state == "23503":
        return (
            STILL_USED
            if error.statement and error.statement.startswith("DELETE")
            else N_("Something that this refers to no longer exists. Reload the page and choose again.")
        )
    if state == "23502":
        name = getattr(told, "column_name", None) or N_("A field")
        return gettext("%(column)s is needed.", column=tell(show.label_of_column(name)))
    return N_("These values do not fit each other. Nothing was changed.")


def _columns_of(table: Any, constraint_name: str | None) -> list[str]:
    if table is None or not constraint_name:
        return []
    for constraint in (*table.constraints, *table.indexes):
        # The database may have taken over a shortened or another form of the name.
        if str(constraint.name) == constraint_name:
            return [column.name for column in constraint.columns]
    return [column.name for column in table.columns if constraint_name.endswith(f"_{column.name}")]
