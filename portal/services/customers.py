"""Customers: what is known of them, whose a ticket is, and two rows that turn out to be one person."""

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import selectinload

from portal import access
from portal.errors import UserFault
from portal.extensions import db
from portal.models import Customer, Identity, SavedView, Ticket
from portal.services import audit, events
from portal.services.patterns import containing
from portal.services.transaction import transaction

LONGEST_NAME = 200
LONGEST_NOTES = 20_000
MOST_FOUND = 12


def edit(customer: Customer, actor: User, *, name: str, notes: str) -> None:
    """Set the name and what colleagues should know. Commits. Raises UserFault for what is too long."""
    if len(name.strip()) > LONGEST_NAME:
        raise UserFault(
            "A name can have at most %(longest)s letters.",
            longest=LONGEST_NAME,
        )
    if len(notes) > LONGEST_NOTES:
        raise UserFault(
            "Notes can have at most %(longest)s letters.",
            longest=LONGEST_NOTES,
        )
    with transaction(customer):
        customer.name, customer.notes = name.strip(), notes.strip()
        changes = audit.changes_of(customer)
        if changes:
            audit.record_change(customer, "changed", actor, changes)


def change_customer(ticket: Ticket, customer: Customer, actor: User) -> None:
    """Make the ticket that customer's. Commits; does nothing when it is already."""
    with transaction(ticket):
        if ticket.customer_id == customer.id:
            return
        before = ticket.customer
        ticket.customer_id = customer.id
        events.record(
            "customer_changed",
            ticket=ticket,
            actor=actor,
            data={"from": before.id, "to": customer.id, "from_name": before.name, "to_name": customer.name},
        )
        events.announce(ticket)


def merge(duplicate: Customer, into: Customer, actor: User) -> None:
    """Make one of two rows of the same person: addresses, tickets and notes go along, and the duplicate ends. Commits.

    Saved views of the duplicate, whoever keeps them, are about the one that stays.
    Raises UserFault for a customer with themself, and where the duplicate has tickets out of the actor's reach.
    """
    if duplicate.id == into.id:
        raise UserFault("These are the same customer already.")
    with transaction(*sorted((duplicate, into), key=lambda customer: customer.id)):
        hidden = _tickets_out_of_reach(duplicate, actor)
        if hidden:
            raise UserFault(
                "%(duplicate)s also has tickets in branches that you do not see. Ask an admin "
                "to put the two together.",
                duplicate=duplicate,
            )
        db.session.execute(
            update(Identity)
            .where(Identity.customer_id == duplicate.id)
            .values(customer_id=into.id)
            .execution_options(synchronize_session=False)
        )
        db.session.execute(
            update(Ticket)
            .where(Ticket.customer_id == duplicate.id)
            .values(customer_id=into.id)
            .execution_options(synchronize_session=False)
        )
        db.session.execute(
            update(SavedView)
            .where(SavedView.filter["customer"].astext == str(duplicate.id))
            .values(filter=SavedView.filter.op("||")(func.jsonb_build_object("customer", str(into.id))))
            .execution_options(synchronize_session=False)
        )
        into.notes = "\n\n".join(part for part in (into.notes, duplicate.notes) if part)
        into.name = into.name or duplicate.name
        audit.record_change(
            into, "merged", actor, {"customer": {"from": f"{duplicate} ({duplicate.id})", "to": str(into)}}
        )
        db.session.expire(duplicate)
        db.session.delete(duplicate)


def found_by(user: User, text: str, but: Customer) -> list[Customer]:
    """Customers within reach whose name or address holds the text, without the one `but`. Two statements."""
    wanted = text.strip()[:LONGEST_NAME]
    if not wanted:
        return []
    pattern = containing(wanted)
    has_address = select(Identity.id).where(
        Identity.customer_id == Customer.id, Identity.address.ilike(pattern)
    )
    found = (
        access.visible_customers(user)
        .options(selectinload(Customer.identities))
        .where(Customer.id != but.id, or_(Customer.name.ilike(pattern), has_address.exists()))
    )
    return list(db.session.scalars(found.order_by(Customer.name, Customer.id).limit(MOST_FOUND)))


def _tickets_out_of_reach(customer: Customer, actor: User) -> int:
    ids = access.branch_ids(actor)
    if ids is None:
        return 0
    # The one question that must look beyond the person's reach: whether there is anything there.
    found = select(func.count(Ticket.id)).where(
        Ticket.customer_id == customer.id, Ticket.branch_id.not_in(ids)
    )
    return db.session.scalar(found.execution_options(is_unscoped=True)) or 0
