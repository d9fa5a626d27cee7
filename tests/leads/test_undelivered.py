"""The list of mail that customers do not have."""

import html
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.extensions import db
from portal.models import Branch, Delivery, Event, Message, OutboxItem
from portal.models.columns import now
from portal.services import undelivered as services
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


def recipients_on(page: str) -> list[str]:
    return re.findall(r'<th scope="row">([^<]+)</th>', page)


def test_older_ones_are_on_further_pages_each_once(make, login, undelivered) -> None:
    branch = make.branch()
    wanted = [f"c{number}@customer.test" for number in range(services.PAGE_SIZE * 2 + 3)]
    for address in wanted:
        undelivered(branch, address)
    # Two that were written in the very same moment, at a page's edge.
    newest = db.session.scalars(select(Message).order_by(Message.id.desc()).limit(60)).all()
    for message in newest:
        message.created_at = newest[0].created_at
    db.session.commit()
    client = login(make.agent("Lead", branch=branch))
    seen, address, sizes = [], "/leads/undelivered", []
    while address:
        page = client.get(address).text
        sizes.append(len(recipients_on(page)))
        seen += recipients_on(page)
        found = re.search(r'href="([^"]+)" rel="next"', page)
        address = html.unescape(found[1]) if found else ""
    assert sizes == [services.PAGE_SIZE, services.PAGE_SIZE, 3]
    assert seen == wanted[::-1]


@pytest.mark.parametrize(
    "cursor", ["x", "2026-01-01~1", "2026-01-01T00:00:00+00:00~-1", "~", "2026-01-01T00:00:00Z~x"]
)
def test_a_damaged_address_is_said(make, login, database, cursor: str) -> None:
    answer = login(make.agent("Admin")).get("/leads/undelivered", query_string={"after": cursor})
    assert answer.status_code == 422
    assert "The address of this page is damaged" in answer.text


def badge_of(page: str) -> tuple[str, str] | None:
    """The words of the rail's entry and its number."""
    found = re.search(r'<a href="/leads/undelivered" title="([^"]+)"(.*?)</a>', page, re.DOTALL)
    if not found:
        return None
    number = re.search(r'class="badge-count"[^>]*>([^<]*)<', found[2])
    return found[1], number[1] if number else ""


def test_the_rail_says_how_many_are_new_in_the_branches_that_someone_leads(make, login, undelivered) -> None:
    leeds, bath = make.branch(), make.branch()
    lead = make.agent("Lead", branch=leeds)
    assert badge_of(login(lead).get("/leads/").text) == ("Undelivered", "")
    undelivered(leeds, state="failed")
    undelivered(leeds, state="bounced")
    undelivered(leeds, state="deferred")
    undelivered(bath)
    old = undelivered(leeds)
    db.session.get_one(Message, old.message_id).created_at = now() - timedelta(days=8)
    db.session.commit()
    words = "Undelivered: 2 given up or come back in the last 7 days"
    assert badge_of(login(lead).get("/leads/").text) == (words, "2")
    assert badge_of(login(lead).get("/queue").text) == (words, "2")
    assert badge_of(login(make.agent("Admin")).get("/leads/").text)[1] == "3"
    assert badge_of(login(make.agent("Agent", branch=leeds)).get("/queue").text) is None


def test_a_piece_of_a_page_counts_nothing(make, login, undelivered, count_queries) -> None:
    branch = make.branch()
    undelivered(branch)
    number = make.ticket(branch).number
    client = login(make.agent("Lead", branch=branch))
    with count_queries() as statements:
        assert client.get(f"/tickets/{number}/suggestions").status_code == 200
    assert not [each for each in statements if "delivery" in each.lower() and "count(" in each.lower()]
