"""Resolving where the desk asks how a matter ended."""

import html
from datetime import timedelta

import pytest

from portal.extensions import db
from portal.models import LifecycleSetting, Message, Ticket
from portal.models.columns import now
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


@pytest.mark.parametrize("is_later", [False, True])
def test_a_reply_that_would_resolve_without_a_code_is_not_sent(
    make: Factory, login, ticket: Ticket, is_later: bool
) -> None:
    later = f"{now() + timedelta(days=7):%Y-%m-%dT%H:%M}" if is_later else ""
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


def test_many_are_offered_codes_where_any_of_their_branches_asks(make: Factory, login) -> None:
    asking, other = make.branch(requires_code=True), make.branch()
    asked, unasked = make.ticket(asking, status="open"), make.ticket(other, status="open")
    client = login(make.agent("Admin"))
    code = lifecycle.current().offered_codes[0]
    page = client.get(f"/queue/bulk?do=status&number={asked.number}&number={unasked.number}").get_data(
        as_text=True
    )
    assert f'value="resolved:{code.id}"' in page
    assert 'value="resolved"' in page
    page = client.get(f"/queue/bulk?do=status&number={unasked.number}").get_data(as_text=True)
    assert f'value="resolved:{code.id}"' not in page
    page = client.get(f"/queue/bulk?do=status&number={asked.number}&status=resolved:{code.id}").get_data(
        as_text=True
    )
    assert "Choose a resolution code" not in page
    page = client.get(f"/queue/bulk?do=status&number={asked.number}&status=resolved").get_data(as_text=True)
    assert "Choose a resolution code" in page
