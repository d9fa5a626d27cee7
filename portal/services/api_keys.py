"""Keys with which programs call the REST interface in a person's name."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

from flask_appbuilder.security.sqla.models import ApiKey, User
from sqlalchemy import select

from portal.errors import NotFound
from portal.extensions import db
from portal.services import audit
from portal.services.transaction import transaction

PREFIX = "portal_"
# Writing the last use of a key with every request would make each read a write.
USE_NOTED_EVERY = timedelta(minutes=10)


def create(username: str, name: str = "From the command line") -> str:
    """A new key for the person of that name: see `create_api_key`. Raises NotFound."""
    user = db.session.scalar(select(User).where(User.username == username))
    if user is None:
        raise NotFound(f"There is no account named {username!r}.")
    return create_api_key(user, name)


def create_api_key(user: User, name: str, actor: User | None = None) -> str:
    """A new key that acts as `user`; this is the only time it can be read. Commits.

    The key holds 256 random bits, so that a plain SHA-256 of it is safe to keep and quick to check.
    """
    key = PREFIX + secrets.token_urlsafe(32)
    with transaction():
        row = ApiKey(
            name=name.strip()[:256] or "API key",
            key_hash="sha256",
            lookup_hash=_digest(key),
            key_prefix=key[: len(PREFIX) + 4],
            user_id=user.id,
            active=True,
            created_on=_naive_now(),
        )
        db.session.add(row)
        db.session.flush()
        audit.record_change(row, "added", actor, {"user": {"from": None, "to": user.username}})
    return key


def user_of_key(key: str) -> User | None:
    """The active person in whose name the key acts; None for a key that is unknown, revoked or expired.

    Commits when it notes the use, once in ten minutes.
    """
    found = select(ApiKey).where(ApiKey.lookup_hash == _digest(key)).execution_options(is_unscoped=True)
    row = db.session.scalar(found)
    if row is None or not row.is_active:
        return None
    user = db.session.get(User, row.user_id, execution_options={"is_unscoped": True})
    if user is None or not user.is_active:
        return None
    moment = _naive_now()
    if row.last_used_on is None or moment - row.last_used_on > USE_NOTED_EVERY:
        row.last_used_on = moment
        db.session.commit()
    return user


def revoke_api_key(key_id: int, actor: User | None) -> ApiKey:
    """End the key for good and return it. Commits. Raises NotFound."""
    row = db.session.get(ApiKey, key_id)
    if row is None:
        raise NotFound("There is no such API key.")
    with transaction():
        if row.revoked_on is None:
            row.revoked_on = _naive_now()
            audit.record_change(row, "revoked", actor)
    return row


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _naive_now() -> datetime:
    # FAB's own columns hold naive times.
    return datetime.now(UTC).replace(tzinfo=None)
