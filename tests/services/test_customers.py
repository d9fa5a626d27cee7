"""Whose a ticket is, and two rows of one person."""

import pytest
from sqlalchemy import select

from portal.errors import UserFault
from portal.extensions import db
from portal.models import AuditEntry, Customer, Event, Identity, SavedView, Ticket
from portal.services import customers
from tests.factory import Factory


def test_name_and_notes_are_kept_and_audited(make: Factory) -> None:
    customer = make.customer("Zoe")
    customers.edit(customer, make.agent(branch=make.branch()), name=" Zoë ", notes="Calls before noon.")

    assert (customer.name, customer.notes) == ("Zoë", "Calls before noon.")
    assert db.session.scalars(select(AuditEntry.object_type)).all() == ["customer"]
    with pytest.raises(UserFault):
        customers.edit(customer, make.agent(), name="x" * 201, notes="")


def test_a_ticket_is_given_to_somebody_else(make: Factory) -> None:
    branch = make.branch()
    ticket, other = make.ticket(branch, make.customer("Zoe")), make.customer("Max")
    agent = make.agent(branch=branch)
    customers.change_customer(ticket, other, agent)
    customers.change_customer(ticket, other, agent)

    assert ticket.customer_id == other.id
    found = db.session.scalars(select(Event).where(Event.kind == "customer_changed")).all()
    assert [(event.data["from_name"], event.data["to_name"]) for event in found] == [("Zoe", "Max")]


def test_two_rows_of_one_person_become_one(make: Factory) -> None:
    branch = make.branch()
    one = make.customer("Zoe", address="zoe@work.test", notes="First")
    two = make.customer("Z.", address="zoe@home.test", notes="Second")
    tickets = [make.ticket(branch, one), make.ticket(branch, two)]
    customers.merge(two, one, make.agent(branch=branch))

    assert db.session.scalars(select(Ticket.customer_id)).all() == [one.id] * len(tickets)
    addresses = select(Identity.address).where(Identity.customer_id == one.id).order_by(Identity.id)
    assert db.session.scalars(addresses).all() == ["zoe@work.test", "zoe@home.test"]
    assert one.notes == "First\n\nSecond"
    assert db.session.scalars(select(Customer.id)).all() == [one.id]
    with pytest.raises(UserFault, match="same customer"):
        customers.merge(one, one, make.agent(branch=branch))


def test_saved_views_of_a_customer_who_is_put_together_are_about_the_one_who_stays(make: Factory) -> None:
    branch = make.branch()
    one, two, other = (make.customer(name) for name in ("Zoe", "Z.", "Max"))
    make.ticket(branch, one)
    actor, colleague = make.agent(branch=branch), make.agent(branch=branch)
    for owner, customer in ((actor, two), (colleague, two), (colleague, other)):
        filter_ = {"view": "open", "customer": str(customer.id)}
        db.session.add(SavedView(owner_id=owner.id, name=f"Of {customer.id}", filter=filter_))
    db.session.commit()
    customers.merge(two, one, actor)

    kept = db.session.scalars(select(SavedView.filter).order_by(SavedView.id)).all()
    assert kept == [
        {"view": "open", "customer": str(one.id)},
        {"view": "open", "customer": str(one.id)},
        {"view": "open", "customer": str(other.id)},
    ]


def test_what_somebody_does_not_see_they_cannot_put_together(make: Factory, login) -> None:
    branch = make.branch()
    one, two = make.customer("Zoe"), make.customer("Zoe Zwei")
    ticket = make.ticket(branch, one)
    make.ticket(branch, two)
    make.ticket(make.branch(), two)
    client = login(make.agent(branch=branch))
    answer = client.post(f"/tickets/{ticket.number}/customer/merge", data={"customer": two.id})

    assert answer.status_code == 422
    assert "branches that you do not see" in answer.get_data(as_text=True)
    assert len(db.session.scalars(select(Customer.id)).all()) == 2


def test_a_customer_out_of_reach_cannot_be_found_or_chosen(make: Factory, login) -> None:
    branch = make.branch()
    ticket = make.ticket(branch)
    hidden = make.ticket(
        make.branch(), make.customer("Hidden Person", address="hidden@customer.test")
    ).customer
    client = login(make.agent(branch=branch))

    assert "Hidden" not in client.get(f"/tickets/{ticket.number}/customer?q=hidden").get_data(as_text=True)
    answer = client.post(f"/tickets/{ticket.number}/customer/change", data={"customer": hidden.id})
    assert answer.status_code == 404


def test_the_dialog_finds_by_name_and_address_and_changes(make: Factory, login) -> None:
    branch = make.branch()
    ticket = make.ticket(branch, make.customer("Zoe"))
    other = make.ticket(branch, make.customer("<b>Max</b>", address="max_1@customer.test")).customer
    client = login(make.agent(branch=branch))
    for text in ("max", "max_1@", "<b>"):
        page = client.get(f"/tickets/{ticket.number}/customer", query_string={"q": text}).get_data(
            as_text=True
        )
        assert "&lt;b&gt;Max&lt;/b&gt;" in page, text
    assert "Max" not in client.get(f"/tickets/{ticket.number}/customer?q=maxx1").get_data(as_text=True)
    client.post(f"/tickets/{ticket.number}/customer/change", data={"customer": other.id})
    page = client.get(f"/tickets/{ticket.number}").get_data(as_text=True)
    assert "Given to &lt;b&gt;Max&lt;/b&gt;" in page
