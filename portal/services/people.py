"""Customers and their addresses."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from datetime import time
from zoneinfo import available_timezones

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert

from config import LANGUAGES
from portal import access
from portal.channels.email.html import sanitise_reply
from portal.errors import UserFault
from portal.extensions import db
from portal.models import Agent, Customer, Identity
from portal.models.agent import AVAILABILITIES, DENSITIES, THEMES
from portal.services import audit
from portal.services.patterns import containing
from portal.services.transaction import affected, transaction

# One letter names everybody.
LEAST_TYPED = 2
LONGEST_SIGNATURE = 50_000


def normalise_address(address: str) -> str:
    """The form in which e-mail addresses are compared: trimmed, in lower case."""
    return address.strip().lower()


def customer_of_address(address: str, name: str = "") -> Customer:
    """The customer behind an e-mail address, made where there is none. Does not commit.

    Two mails of one new sender may arrive at once: the unique address decides, and the loser's row is not made.
    """
    address = normalise_address(address)[:320]
    known = _find(address)
    if known is not None:
        if name and not known.name:
            known.name = name[:200]
        return known
    customer = Customer(name=name[:200])
    db.session.add(customer)
    db.session.flush()
    made = affected(
        insert(Identity)
        .values(customer_id=customer.id, kind="email", address=address, suppressed_reason="")
        .on_conflict_do_nothing(index_elements=["kind", "address"])
    )
    if made:
        return customer
    db.session.delete(customer)
    db.session.flush()
    winner = _find(address)
    assert winner is not None, "the unique address that was in the way belongs to someone"
    return winner


def address_of(customer: Customer) -> str:
    """The e-mail address to answer the customer at; "" when there is none."""
    return addresses_of([customer.id]).get(customer.id, "")


def addresses_of(customer_ids: Collection[int]) -> dict[int, str]:
    """Like address_of, for many customers by their id; without those of whom no address is known."""
    found = (
        select(Identity.customer_id, Identity.address)
        .where(Identity.customer_id.in_(customer_ids), Identity.kind == "email")
        # Of several the first one stays.
        .order_by(Identity.id.desc())
    )
    return {row.customer_id: row.address for row in db.session.execute(found)}


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """How the desk is for one person."""

    time_zone: str = "UTC"
    language: str = "en"
    theme: str = "system"
    density: str = "comfortable"
    availability: str = "available"
    signature_html: str = ""
    muted_kinds: Sequence[str] = ()
    # Both or neither: while they last, mail about escalations waits.
    quiet_from: time | None = None
    quiet_until: time | None = None


def preferences_of(user: User) -> Preferences:
    """What the person has chosen, or what holds for everybody."""
    profile = db.session.get(Agent, user.id)
    if profile is None:
        return Preferences()
    return Preferences(**{field.name: getattr(profile, field.name) for field in fields(Preferences)})


def keep_preferences(user: User, chosen: Preferences) -> None:
    """Keep what the person has chosen for themselves. Commits. Raises UserFault for what there is none of."""
    if chosen.time_zone not in available_timezones():
        raise UserFault(
            "There is no time zone “%(time_zone)s”. Choose one from the list.",
            time_zone=chosen.time_zone,
        )
    for value, known in (
        (chosen.theme, THEMES),
        (chosen.density, DENSITIES),
        (chosen.availability, AVAILABILITIES),
        (chosen.language, LANGUAGES),
    ):
        if value not in known:
            raise UserFault(
                "“%(value)s” cannot be chosen. Choose one of: %(listed)s.",
                value=value,
                listed=", ".join(known),
            )
    if (chosen.quiet_from is None) is not (chosen.quiet_until is None):
        raise UserFault("Quiet hours need a beginning and an end. Enter both, or neither.")
    if len(chosen.signature_html) > LONGEST_SIGNATURE:
        raise UserFault("This signature is too long. Shorten it.")
    with transaction():
        profile = db.session.get(Agent, user.id)
        if profile is None:
            profile = Agent(user_id=user.id)
            db.session.add(profile)
        for field in fields(Preferences):
            setattr(profile, field.name, getattr(chosen, field.name))
        profile.signature_html = sanitise_reply(chosen.signature_html)
        profile.muted_kinds = list(chosen.muted_kinds)


def set_availability(user: User, availability: str) -> None:
    """Say whether new tickets may be given to the person by themselves. Commits."""
    keep_preferences(user, replace(preferences_of(user), availability=availability))


def addresses_like(
    user: User, typed: str, limit: int = 8, *, only_customers: bool = False
) -> list[dict[str, str]]:
    """Colleagues and customers within reach whose address or name holds what was typed: name and address each."""
    wanted = typed.strip().lower()[:100]
    if len(wanted) < LEAST_TYPED:
        return []
    pattern = containing(wanted)
    customers = access.visible_customers(user).subquery()
    found = (
        select(customers.c.name, Identity.address)
        .join(Identity, Identity.customer_id == customers.c.id)
        .where(
            Identity.kind == "email", or_(Identity.address.ilike(pattern), customers.c.name.ilike(pattern))
        )
        .limit(limit)
    )
    if only_customers:
        return [{"name": name or "", "address": address} for name, address in db.session.execute(found)]
    full_name = User.first_name + " " + User.last_name
    colleagues = (
        select(full_name, User.email)
        .where(User.active, or_(User.email.ilike(pattern), full_name.ilike(pattern)))
        .limit(limit)
    )
    rows = [*db.session.execute(found), *db.session.execute(colleagues)]
    return [{"name": name or "", "address": address} for name, address in rows][:limit]


def show_pictures(identity: Identity, actor: User) -> None:
    """From now on load the pictures that this sender's mails show from elsewhere, for everyone. Commits."""
    with transaction(identity):
        if not identity.shows_pictures:
            identity.shows_pictures = True
            audit.record_change(identity, "changed", actor, {"shows_pictures": {"from": False, "to": True}})


def _find(address: str) -> Customer | None:
    found = select(Customer).join(Identity).where(Identity.kind == "email", Identity.address == address)
    return db.session.scalar(found)
