"""Addresses that bounced for good: nothing automatic goes there until someone clears them. People still may write."""

from collections.abc import Iterable

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import select, update

from portal.extensions import db
from portal.models import Identity
from portal.models.columns import now
from portal.services import audit, people
from portal.services.transaction import affected, transaction

LONGEST_REASON = 500


def suppress(address: str, reason: str) -> None:
    """From now on nothing automatic goes to that address. Inside the caller's transaction; the first reason stays.

    An address of nobody yet becomes a customer's: what is remembered of it needs a place.
    """
    plain = people.normalise_address(address)[:320]
    if "@" not in plain:
        return
    # The caller may have just met the same person and not written it yet.
    db.session.flush()
    found = select(Identity.id).where(Identity.kind == "email", Identity.address == plain)
    if db.session.scalar(found) is None:
        people.customer_of_address(plain)
    affected(
        update(Identity)
        .where(Identity.kind == "email", Identity.address == plain, Identity.suppressed_at.is_(None))
        .values(suppressed_at=now(), suppressed_reason=reason[:LONGEST_REASON])
    )


def clear(identity: Identity, actor: User | None) -> None:
    """Let automatic mail go to that address again. Commits; does nothing where it may already."""
    with transaction(identity):
        if identity.suppressed_at is None:
            return
        reason = identity.suppressed_reason
        identity.suppressed_at, identity.suppressed_reason = None, ""
        audit.record_change(identity, "unblocked", actor, {"suppressed_reason": {"from": reason, "to": ""}})


def suppressed_among(addresses: Iterable[str]) -> frozenset[str]:
    """Those of the addresses that bounced for good, lower-case. Reads only."""
    named = {people.normalise_address(address) for address in addresses}
    found = select(Identity.address).where(
        Identity.kind == "email", Identity.address.in_(named), Identity.suppressed_at.is_not(None)
    )
    return frozenset(db.session.scalars(found))
