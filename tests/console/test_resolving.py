"""Resolving where the desk asks how a matter ended."""

import html

import pytest

from portal.extensions import db
from portal.models import LifecycleSetting, Message, Ticket
from portal.services import events, lifecycle
from tests.factory import Factory

PARTIAL = {"X-Partial": "1"}


@pytest.fixture
def ticket(make: Factory) -> Ticket:
    db.session.get_one(LifecycleSetting, 1).requires_code = True
    branch = make.branch()
    make.account(branch)
    ticket = make.ticket(branch, status="open")
    make.message(ticket, from_address="zoe@customer.test", message_id_header="a@customer.test")
    return ticket


def test_the_status_menu_offers_a_code_with_what_ends_the_matter(
    make: Factory, login, ticket: Ticket
) -> None:
    client = login(make.agent(branch=ticket.branch))
    code = lifecycle.current().offered_codes[1]
    page = html.unescape(client.get(f"/tickets/{ticket.number}").get_data(as_text=True))
    assert f'value="resolved:{code.id}"' in page
    assert f"Resolved · {code.label}" in page
    address = f"/tickets/{ticket.number}/status"
    refused = client.post(address, data={"status": "resolved"}, headers=PARTIAL)
    assert refused.status_code == 422
    assert "Choose a resolution code" in refused.get_data(as_text=True)
    done = client.post(address, data={"status": f"resolved:{code.id}"}, headers=PARTIAL)
    assert done.status_code == 200
    db.session.refresh(ticket)
    assert (ticket.status, ticket.resolution_code_id) == ("resolved", code.id)
    client.post(address, data={"status": "open"}, headers=PARTIAL)
    db.session.refresh(ticket)
    assert (ticket.status, ticket.resolution_code_id) == ("open", None)
    first, second = (event.data for event in events.of_ticket(ticket.id, ["status_changed"]))
    assert (first["resolution"], first["resolution_label"]) == (code.id, code.label)
    assert second["resolution_before"] == code.id


@pytest.mark.parametrize("later", ["", "2026-12-24T10:00"])
def test_a_reply_that_would_resolve_without_a_code_is_not_sent(
    make: Factory, login, ticket: Ticket, later: str
) -> None:
    client = login(make.agent(branch=ticket.branch))
    form = {"html": "Mended.", "to": "zoe@customer.test", "then": "resolved", "send_at": later}
    refused = client.post(f"/tickets/{ticket.number}/reply", data=form)
    assert refused.status_code == 422
    page = html.unescape(refused.get_data(as_text=True))
    assert "Choose a resolution code" in page
    assert "Mended." in page
    assert db.session.query(Message).filter_by(direction="out").count() == 0
    code = lifecycle.current().offered_codes[0]
    done = client.post(f"/tickets/{ticket.number}/reply", data={**form, "then": f"resolved:{code.id}"})
    assert done.status_code == 303, done.get_data(as_text=True)
    db.session.refresh(ticket)
    sent = db.session.query(Message).filter_by(direction="out").one()
    if later:
        assert (sent.then_status, sent.then_resolution_code_id) == ("resolved", code.id)
    else:
        assert (ticket.status, ticket.resolution_code_id) == ("resolved", code.id)
