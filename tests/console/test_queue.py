"""The queue: views, counts, pages by key, and no statement too many."""

import re
from datetime import timedelta

import pytest

from portal.extensions import db
from portal.models import SavedView, Ticket
from portal.models.columns import now
from portal.views.console import lists
from portal.views.console.filters import TicketFilter
from tests.factory import Factory

MOST_STATEMENTS = 12


def numbers_in(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'id="row-(\d+)"', page)]


def test_the_front_door_leads_to_the_queue_or_to_signing_in(client, make: Factory, login) -> None:
    agent = make.agent(branch=make.branch())
    assert login(agent).get("/").location == "/queue"
    assert "/login/" in client.get("/").location
    assert "/login/" in client.get("/queue").location


def test_a_queue_shows_the_tickets_of_ones_branches_and_no_others(make: Factory, login) -> None:
    branch, foreign = make.branch(), make.branch()
    agent = make.agent(branch=branch)
    here, elsewhere = make.ticket(branch), make.ticket(foreign)
    page = login(agent).get("/queue?view=open").get_data(as_text=True)
    assert numbers_in(page) == [here.number]
    assert str(elsewhere.number) not in page


def test_a_full_page_takes_at_most_twelve_statements(make: Factory, login, count_queries) -> None:
    branch, other = make.branch(), make.branch()
    agent = make.agent(branch=branch)
    make.membership(agent, other)
    for index in range(60):
        make.ticket((branch, other)[index % 2], customer=make.customer(), assignee_id=agent.id)
    db.session.add(
        SavedView(owner_id=agent.id, name="Mine and urgent", filter={"view": "mine", "priority": "urgent"})
    )
    db.session.flush()
    client = login(agent)
    for address in ("/queue", "/queue?view=mine", "/queue?view=closed", "/queue?text=matter", "/queue/parts"):
        db.session.expunge_all()
        with count_queries() as statements:
            assert client.get(address).status_code == 200
        assert len(statements) <= MOST_STATEMENTS, "\n".join(statements)


@pytest.mark.parametrize("sort", ["due", "newest", "oldest", "priority", "back", "activity"])
@pytest.mark.parametrize("branches", [1, 3])
def test_pages_hold_every_ticket_once_in_order(make: Factory, sort: str, branches: int) -> None:
    places = [make.branch() for _ in range(branches)]
    agent = make.agent(branch=places[0])
    for place in places[1:]:
        make.membership(agent, place)
    customer, at = make.customer(), now()
    for index in range(43):
        make.ticket(
            places[index % branches],
            customer,
            # Many tickets share a moment, and many have none: the id settles the order.
            next_due_at=None if index % 3 == 0 else at + timedelta(minutes=index % 5),
            created_at=at - timedelta(minutes=index % 4),
            last_activity_at=at - timedelta(minutes=index % 6),
            snoozed_until=None if index % 3 == 1 else at + timedelta(days=index % 7),
            priority=("low", "normal", "high", "urgent")[index % 4],
        )
    wanted = TicketFilter(view="open", sort=sort)
    everything = list(db.session.scalars(wanted.of(agent)))
    assert len(everything) == 43
    read, cursor = [], ""
    for _ in range(20):
        page = lists.page_of(wanted, agent, cursor, size=5)
        read += page.tickets
        cursor = page.next_cursor
        if not cursor:
            break
    assert [ticket.id for ticket in read] == [ticket.id for ticket in everything]


def test_a_ticket_that_is_answered_between_two_pages_loses_no_other(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    all_of_them = make.tickets(12, branch)
    wanted = TicketFilter(view="open")
    first = lists.page_of(wanted, agent, size=5)
    db.session.get_one(Ticket, first.tickets[0].id).status = "resolved"
    db.session.flush()
    second = lists.page_of(wanted, agent, first.next_cursor, size=7)
    read = [ticket.id for ticket in (*first.tickets, *second.tickets)]
    assert sorted(read) == sorted(ticket.id for ticket in all_of_them)


@pytest.mark.parametrize(
    "cursor", ["x", "infinity~x", "a~b~c", "2026-01-01~1", "infinity~99999999999999999999", "~"]
)
def test_a_damaged_cursor_is_refused_in_words(make: Factory, login, cursor: str) -> None:
    agent = make.agent(branch=make.branch())
    answer = login(agent).get("/queue", query_string={"after": cursor})
    assert answer.status_code == 422
    assert "damaged" in answer.get_data(as_text=True)


def test_a_filter_that_cannot_be_read_is_answered_in_words_with_the_views_beside(
    make: Factory, login
) -> None:
    agent = make.agent(branch=make.branch())
    answer = login(agent).get("/queue?status=asleep")
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    assert "There is no status “asleep”" in page
    assert "Unassigned" in page


def test_counts_are_capped_and_those_of_the_lists(make: Factory, monkeypatch) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch, tier=2)
    make.ticket(branch, assignee_id=agent.id, status="pending")
    make.ticket(
        branch, is_breached=True, next_due_at=now() - timedelta(hours=1), next_due_kind="first_response"
    )
    make.ticket(branch, tier_level=2, next_due_at=now() + timedelta(minutes=5), next_due_kind="resolution")
    make.ticket(branch, status="resolved")
    counts = lists.counts_of(lists.view_filters(), agent)
    assert counts == {
        "mine": 1,
        "unassigned": 2,
        "branch": 3,
        "at_risk": 1,
        "breached": 1,
        "escalated": 1,
        "waiting": 1,
        "following": 0,
        "snoozed": 0,
        "open": 3,
    }
    monkeypatch.setattr(lists, "COUNT_CAP", 2)
    assert lists.counts_of({"open": TicketFilter(view="open")}, agent) == {"open": 2}


def test_a_number_in_the_search_box_opens_its_ticket(make: Factory, login) -> None:
    branch = make.branch()
    ticket, foreign = make.ticket(branch), make.ticket(make.branch())
    client = login(make.agent(branch=branch))
    assert client.get(f"/queue?text=%23{ticket.number}").location == f"/tickets/{ticket.number}"
    answer = client.get(f"/queue?text={foreign.number}")
    assert answer.status_code == 200
    assert numbers_in(answer.get_data(as_text=True)) == []


def test_an_empty_list_says_what_that_means(make: Factory, login) -> None:
    client = login(make.agent(branch=make.branch()))
    assert "Every open ticket has someone" in client.get("/queue?view=unassigned").get_data(as_text=True)
    assert "No ticket matches" in client.get("/queue?text=nothing+like+it").get_data(as_text=True)


def test_a_view_is_saved_shown_with_its_count_and_removed(make: Factory, login) -> None:
    branch = make.branch()
    agent, other = make.agent(branch=branch), make.agent(branch=branch)
    make.ticket(branch, priority="urgent")
    client = login(agent)
    client.post("/queue/views", data={"name": " Urgent  ones ", "view": "open", "priority": "urgent"})
    saved = db.session.query(SavedView).one()
    assert (saved.name, saved.filter) == ("Urgent ones", {"view": "open", "priority": "urgent"})
    assert "Urgent ones" in client.get("/queue").get_data(as_text=True)
    assert "Urgent ones" not in login(other).get("/queue").get_data(as_text=True)
    assert login(other).post(f"/queue/views/{saved.id}/remove").status_code == 404
    client.post(f"/queue/views/{saved.id}/remove")
    assert db.session.query(SavedView).count() == 0


def test_a_saved_view_that_can_no_longer_be_read_does_not_break_the_queue(make: Factory, login) -> None:
    agent = make.agent(branch=make.branch())
    db.session.add(SavedView(owner_id=agent.id, name="Old one", filter={"status": "gone"}))
    db.session.flush()
    answer = login(agent).get("/queue")
    assert answer.status_code == 200
    assert "Old one" in answer.get_data(as_text=True)


def test_a_hostile_subject_and_snippet_are_text(make: Factory, login) -> None:
    branch = make.branch()
    make.ticket(branch, subject="<script>alert(1)</script>", snippet="<img src=x onerror=alert(2)>")
    page = login(make.agent(branch=branch)).get("/queue").get_data(as_text=True)
    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page
    assert db.session.query(Ticket).count() == 1
