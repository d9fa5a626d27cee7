"""The desk's own fields on the ticket page: shown, changed, refused, and never another statement."""

import pytest

from portal.extensions import db
from portal.models import Event
from portal.services import tickets
from tests.console.test_ticket_page import MOST_STATEMENTS

COLOURS = [
    {"key": "blue", "label": "Dark blue", "is_active": True},
    {"key": "pink", "label": "Pink", "is_active": False},
]


@pytest.fixture
def desk(make, login):
    """A ticket of a branch, and the browser of an agent there."""
    branch = make.branch()
    agent = make.agent(branch=branch)
    ticket = make.ticket(branch, status="open")
    make.message(ticket)
    return ticket, agent, login(agent)


def test_fields_stand_beside_the_ticket_and_are_changed_there(make, desk) -> None:
    ticket, _, client = desk
    make.field("order", name="Order number", help_text="On the invoice", is_required=True)
    make.field("colours", kind="choices", choices=COLOURS)
    page = client.get(f"/tickets/{ticket.number}").text
    assert "Order number" in page
    assert "On the invoice" in page
    assert page.count("needed to resolve") == 1
    answer = client.post(f"/tickets/{ticket.number}/fields/order", data={"value": "A-17"})
    assert answer.status_code == 303
    client.post(f"/tickets/{ticket.number}/fields/colours", data={"value": ["blue"]})
    page = client.get(f"/tickets/{ticket.number}").text
    assert 'value="A-17"' in page
    assert "needed to resolve" not in page
    assert "Order number set to A-17" in page
    assert "Dark blue" in page
    assert "Pink" not in page
    assert "Order number set to A-17" in client.get(f"/tickets/{ticket.number}/history").text


def test_retired_and_foreign_fields_can_be_read_but_not_changed(make, desk) -> None:
    ticket, _, client = desk
    field = make.field("order", name="Order number")
    make.field("elsewhere", name="Shelf", branches=[make.branch()])
    colour = make.field("colour", kind="choice", name="Colour", choices=COLOURS)
    ticket.fields = {"order": "A-17", "colour": "pink"}
    field.is_active = False
    db.session.commit()
    page = client.get(f"/tickets/{ticket.number}").text
    assert "A-17" in page
    assert f"/tickets/{ticket.number}/fields/order" not in page
    assert "Shelf" not in page
    assert "Pink (retired)" in page
    assert client.post(f"/tickets/{ticket.number}/fields/order", data={"value": "B"}).status_code == 404
    assert client.post(f"/tickets/{ticket.number}/fields/elsewhere", data={"value": "B"}).status_code == 404
    assert ticket.fields["order"] == "A-17"
    assert colour.key == "colour"


def test_a_value_that_does_not_fit_is_refused_in_words(make, desk) -> None:
    ticket, _, client = desk
    make.field("amount", kind="number")
    address = f"/tickets/{ticket.number}/fields/amount"
    answer = client.post(address, data={"value": "1,5"}, headers={"X-Partial": "1"})
    assert answer.status_code == 422
    assert "must be a number like 12 or 12.5" in answer.text
    assert db.session.query(Event).filter_by(kind="field_changed").count() == 0


def test_nobody_changes_a_field_out_of_reach_or_without_the_right(make, desk, login) -> None:
    ticket, _, _ = desk
    make.field("order")
    address = f"/tickets/{ticket.number}/fields/order"
    assert login(make.agent(branch=make.branch())).post(address, data={"value": "x"}).status_code == 404
    auditor = login(make.agent("Auditor"))
    assert auditor.post(address, data={"value": "x"}).status_code == 403
    page = auditor.get(f"/tickets/{ticket.number}").text
    assert "Order" in page
    assert address not in page
    assert db.session.query(Event).filter_by(kind="field_changed").count() == 0


def test_resolving_is_refused_in_words_until_the_field_is_filled_in(make, desk) -> None:
    ticket, _, client = desk
    make.field("order", name="Order number", is_required=True)
    address = f"/tickets/{ticket.number}/status"
    answer = client.post(address, data={"status": "resolved"}, headers={"X-Partial": "1"})
    assert answer.status_code == 422
    assert "Fill in “Order number” first" in answer.text
    client.post(f"/tickets/{ticket.number}/fields/order", data={"value": "7"})
    assert client.post(address, data={"status": "resolved"}).status_code == 303
    db.session.refresh(ticket)
    assert ticket.status == "resolved"


def test_forty_fields_cost_no_statement_more(make, desk, count_queries) -> None:
    ticket, agent, client = desk
    branches = [ticket.branch, make.branch()]
    for number in range(40):
        make.field(f"f{number}", kind="choice", choices=COLOURS, branches=branches if number % 2 else [])
    tickets.set_field(ticket, "f1", ["blue"], agent)
    address = f"/tickets/{ticket.number}"
    client.get(address)
    with count_queries() as statements:
        page = client.get(address)
    assert page.text.count("/fields/f") == 40
    assert len(statements) <= MOST_STATEMENTS, "\n".join(statements)
