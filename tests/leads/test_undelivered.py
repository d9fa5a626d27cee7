"""The list of mail that customers do not have."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from portal.extensions import db
from portal.models import Branch, Delivery, Event, OutboxItem
from tests.factory import Factory


@pytest.fixture
def undelivered(make: Factory) -> Callable[..., OutboxItem]:
    """A mail of that branch that one of two recipients does not have."""

    def making(branch: Branch, recipient: str = "zoe@customer.test", state: str = "failed") -> OutboxItem:
        ticket = make.ticket(branch, subject="My parcel")
        message = make.message(ticket, direction="out", delivery_state=state)
        item = OutboxItem(message_id=message.id, state="deferred" if state == "deferred" else "failed")
        db.session.add(item)
        db.session.flush()
        for address, each in ((recipient, state), ("has-it@customer.test", "sent")):
            db.session.add(
                Delivery(
                    outbox_item_id=item.id,
                    message_id=message.id,
                    recipient=address,
                    state=each,
                    code=550,
                    reply="550 5.1.1 <b>No such user</b>",
                    attempt_count=3,
                )
            )
        db.session.commit()
        return item

    return making


def test_a_lead_sees_who_lacks_what_and_why_in_their_own_branches(make, login, undelivered) -> None:
    leeds, bath = make.branch(name="Leeds"), make.branch(name="Bath")
    undelivered(leeds, "zoe@customer.test")
    undelivered(bath, "max@customer.test")
    lead = make.agent("Lead", branch=leeds)
    make.membership(lead, bath)
    page = login(lead).get("/leads/undelivered").text
    assert "zoe@customer.test" in page
    assert "My parcel" in page
    assert "550 5.1.1 &lt;b&gt;No such user&lt;/b&gt;" in page
    assert "has-it@customer.test" not in page
    assert "max@customer.test" not in page
    assert "max@customer.test" in login(make.agent("Admin")).get("/leads/undelivered").text


@pytest.mark.parametrize("state", ["failed", "bounced", "deferred"])
def test_trying_again_sends_it_to_those_who_lack_it(make, login, undelivered, state: str) -> None:
    branch = make.branch()
    item = undelivered(branch, state=state)
    lead = make.agent("Lead", branch=branch)
    page = login(lead).post(f"/leads/undelivered/{item.id}/retry", follow_redirects=True).text
    assert "On its way again to zoe@customer.test." in page
    db.session.refresh(item)
    assert item.state == "queued"
    states = dict(db.session.execute(select(Delivery.recipient, Delivery.state)).all())
    assert states["zoe@customer.test"] in ("queued", "deferred")
    assert states["has-it@customer.test"] == "sent"
    fact = db.session.scalars(select(Event).where(Event.kind == "delivery_retried")).one()
    assert fact.actor_id == lead.id
    assert login(lead).post(f"/leads/undelivered/{item.id}/retry").status_code == 409


def test_mail_of_another_branch_cannot_be_tried_again(make, login, undelivered) -> None:
    leeds, bath = make.branch(), make.branch()
    lead = make.agent("Lead", branch=leeds)
    make.membership(lead, bath)
    item = undelivered(bath)
    assert login(lead).post(f"/leads/undelivered/{item.id}/retry").status_code == 404
    db.session.refresh(item)
    assert item.state == "failed"


def test_an_auditor_looks_and_changes_nothing(make, login, undelivered) -> None:
    item = undelivered(make.branch())
    client = login(make.agent("Auditor"))
    page = client.get("/leads/undelivered").text
    assert "zoe@customer.test" in page
    assert "Try again" not in page
    assert client.post(f"/leads/undelivered/{item.id}/retry").status_code == 403


def test_an_agent_is_told_that_this_is_not_for_their_role(make, login, undelivered) -> None:
    branch = make.branch()
    item = undelivered(branch)
    client = login(make.agent("Agent", branch=branch))
    assert client.get("/leads/undelivered").status_code == 403
    assert client.post(f"/leads/undelivered/{item.id}/retry").status_code == 403


def test_when_everything_has_arrived_the_page_says_so(make, login) -> None:
    page = login(make.agent("Admin")).get("/leads/undelivered").text
    assert "Everything has arrived" in page


def test_many_rows_cost_no_more_statements_than_one(make, login, undelivered, count_queries) -> None:
    branch = make.branch()
    undelivered(branch)
    client = login(make.agent("Lead", branch=branch))
    counts = []
    for _ in range(2):
        with count_queries() as statements:
            assert client.get("/leads/undelivered").status_code == 200
        counts.append(len(statements))
        for number in range(5):
            undelivered(branch, f"c{number}@customer.test")
    assert counts[0] == counts[1] <= 8
