"""Who changed which configuration row, and from what to what. Secrets are named, never shown."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from flask import has_request_context, request
from flask_appbuilder.security.sqla.models import User
from sqlalchemy import inspect
from sqlalchemy.orm import RelationshipDirection
from sqlalchemy.orm.attributes import History
from sqlalchemy.orm.base import PASSIVE_NO_INITIALIZE

from portal.extensions import db
from portal.models import AuditEntry

# {"name": {"from": old, "to": new}}, JSON-able.
Changes = dict[str, dict[str, Any]]

HIDDEN = "(secret)"
SECRET_WORDS = ("password", "secret", "key_hash", "lookup_hash", "token")
# What changes by itself when a row is used is no decision of a person.
UNTOLD = frozenset(
    {
        "created_at",
        "updated_at",
        "changed_on",
        "created_on",
        "changed_by",
        "created_by",
        "last_uid",
        "fetched_at",
    }
)
LONGEST_VALUE = 2_000


def changes_of(row: Any) -> Changes:
    """What is about to change on a row that is not flushed yet: {column: {"from", "to"}}, secrets masked."""
    state = inspect(row)
    is_new = state.transient or state.pending
    found: Changes = {}
    for attribute in state.mapper.attrs:
        if not _is_told(attribute):
            continue
        history = state.attrs[attribute.key].load_history() if not is_new and _is_many(attribute) else None
        history = history or state.get_history(attribute.key, PASSIVE_NO_INITIALIZE)
        if not history.has_changes():
            continue
        before, after = _before_and_after(history, is_many=_is_many(attribute))
        if before != after:
            found[attribute.key] = {
                "from": _shown(attribute.key, before, is_empty=is_new),
                "to": _shown(attribute.key, after),
            }
    return found


def record_change(
    row: Any,
    action: str,
    actor: User | None,
    changes: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Add the entry for a flushed row to the current transaction and return it. Does not commit.

    `action` is a verb in the past tense (added, changed, deleted, password_reset …). The address is that of the
    present request, where there is one.
    """
    entry = AuditEntry(
        actor_id=actor.id if actor is not None and getattr(actor, "is_authenticated", False) else None,
        action=action,
        object_type=type(row).__tablename__,
        object_id=_identity(row),
        object_name=str(row)[:LONGEST_VALUE],
        changes=dict(changes or {}),
        address=(request.remote_addr or "") if has_request_context() else "",
    )
    db.session.add(entry)
    return entry


def _is_told(attribute: Any) -> bool:
    if attribute.key in UNTOLD:
        return False
    direction = getattr(attribute, "direction", None)
    if direction is None:
        return hasattr(attribute, "columns")
    return direction in (RelationshipDirection.MANYTOONE, RelationshipDirection.MANYTOMANY)


def _is_many(attribute: Any) -> bool:
    return getattr(attribute, "direction", None) is RelationshipDirection.MANYTOMANY


def _before_and_after(history: History, *, is_many: bool) -> tuple[Any, Any]:
    if is_many:
        kept = history.unchanged or ()
        return [*kept, *(history.deleted or ())], [*kept, *(history.added or ())]
    return next(iter(history.deleted or ()), None), next(iter(history.added or ()), None)


def _identity(row: Any) -> str:
    return "-".join(str(part) for part in inspect(row).identity or ())


def _shown(name: str, value: Any, *, is_empty: bool = False) -> Any:
    if value is None or is_empty:
        return None
    if any(word in name for word in SECRET_WORDS):
        return HIDDEN
    if isinstance(value, dict):
        return {str(key): _shown(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_shown(name, item) for item in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"
