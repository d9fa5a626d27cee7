"""What people do to a ticket besides writing."""

import pytest

from portal.extensions import db
from portal.models import Escalation
from portal.services import escalation
from tests.factory import Factory

PARTIAL = {"X-Partial": "1"}


def test_choices_of_the_header_change_the_ticket(make: Factory, login) -> None:
    branch = make.branch()
    agent, colleague = make.agent(branch=branch), make.agent(branch=branch)
    ticket = make.ticket(branch, status="open")
    client = login(agent)
    for action, data in (
        ("assign", {"assignee": str(colleague.id)}),
        ("status", {"status": "on_hold"}),
        ("priority", {"priority": "high"}),
        ("type", {"type": "incident"}),
        ("tags", {"tags": "Delivery, late; Delivery"}),
    ):
        answer = client.post(f"/tickets/{ticket.number}/{action}", data=data)
        assert answer.status_code == 303
        assert answer.location == f"/tickets/{ticket.number}"
    db.session.refresh(ticket)
    assert ticket.assignee_id == colleague.id
    assert (ticket.status, ticket.priority, ticket.type) == ("on_hold", "high", "incident")
    assert [tag.name for tag in ticket.tags] == ["delivery", "late"]


@pytest.mark.parametrize(
    ("action", "data", "says"),
    [
        ("status", {"status": "asleep"}, "no status"),
        ("priority", {"priority": ""}, "no priority"),
        ("type", {}, "no ticket type"),
        ("assign", {"assignee": "99999999999"}, "no such colleague"),
        ("assign", {"assignee": "nobody"}, "no such colleague"),
        ("branch", {"branch": "0"}, "Choose the branch"),
        ("tags", {"tags": ",".join(f"t{n}" for n in range(40))}, "at most 30 tags"),
        ("escalate", {"reason": "  "}, "Say in a few words why"),
        ("escalate", {"reason": "x", "level": "9"}, "level 9"),
    ],
)
def test_what_cannot_be_done_is_said_in_words_and_nothing_changes(
    make: Factory, login, action: str, data: dict, says: str
) -> None:
    branch = make.branch()
    ticket = make.ticket(branch, status="open")
    client = login(make.agent(branch=branch))
    for headers in ({}, PARTIAL):
        answer = client.post(f"/tickets/{ticket.number}/{action}", data=data, headers=headers)
        assert answer.status_code == 422
        assert says in answer.get_data(as_text=True)
    db.session.refresh(ticket)
    assert (ticket.status, ticket.revision, ticket.tier_level) == ("open", 0, 1)


def test_a_stranger_to_the_branch_cannot_be_given_its_ticket(make: Factory, login) -> None:
    branch = make.branch()
    ticket, stranger = make.ticket(branch), make.agent(branch=make.branch())
    answer = login(make.agent(branch=branch)).post(
        f"/tickets/{ticket.number}/assign", data={"assignee": stranger.id}
    )
    assert answer.status_code == 422
    db.session.refresh(ticket)
    assert ticket.assignee_id is None


def test_an_escalation_is_raised_acknowledged_and_handed_back(make: Factory, login) -> None:
    branch = make.branch()
    first, second = make.agent(branch=branch), make.agent(branch=branch, tier=2)
    ticket = make.ticket(branch, status="open")
    login(first).post(f"/tickets/{ticket.number}/escalate", data={"reason": "Needs the carrier"})
    raised = db.session.query(Escalation).one()
    client = login(second)
    page = client.get(f"/tickets/{ticket.number}").get_data(as_text=True)
    assert "Needs the carrier" in page
    assert "Acknowledge" in page
    client.post(f"/tickets/{ticket.number}/escalations/{raised.id}/acknowledge")
    db.session.refresh(raised)
    assert raised.acknowledged_by_id == second.id
    refused = client.post(f"/tickets/{ticket.number}/escalations/{raised.id}/hand-back", data={"note": ""})
    assert refused.status_code == 422
    client.post(
        f"/tickets/{ticket.number}/escalations/{raised.id}/hand-back", data={"note": "Ask for the slip"}
    )
    db.session.refresh(ticket)
    assert ticket.tier_level == 1


def test_an_escalation_of_another_ticket_is_not_found(make: Factory, login) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    ticket, other = make.ticket(branch, status="open"), make.ticket(branch, status="open")
    raised = escalation.escalate(other, agent, "Because")
    answer = login(agent).post(f"/tickets/{ticket.number}/escalations/{raised.id}/acknowledge")
    assert answer.status_code == 404


def test_a_ticket_moved_out_of_reach_leads_back_to_the_queue(make: Factory, login) -> None:
    branch, other = make.branch(), make.branch()
    ticket = make.ticket(branch)
    client = login(make.agent(branch=branch))
    answer = client.post(f"/tickets/{ticket.number}/branch", data={"branch": other.id})
    assert answer.location == "/queue"
    assert client.get(f"/tickets/{ticket.number}").status_code == 404


def test_pick_up_next_gives_the_most_urgent_or_says_that_nothing_waits(make: Factory, login) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    ticket = make.ticket(branch)
    client = login(agent)
    assert client.post("/pick-up-next").location == f"/tickets/{ticket.number}?view=mine"
    db.session.refresh(ticket)
    assert ticket.assignee_id == agent.id
    assert "Nothing waits" in client.post("/pick-up-next", headers=PARTIAL).json["says"]


def test_a_form_without_its_token_changes_nothing(app, make: Factory, login) -> None:
    branch = make.branch()
    ticket = make.ticket(branch, status="open")
    client = login(make.agent(branch=branch))
    app.config["WTF_CSRF_ENABLED"] = True
    try:
        answer = client.post(f"/tickets/{ticket.number}/status", data={"status": "closed"})
    finally:
        app.config["WTF_CSRF_ENABLED"] = False
    assert answer.status_code == 400
    db.session.refresh(ticket)
    assert ticket.status == "open"


def test_whoever_is_signed_out_is_asked_to_sign_in(client, make: Factory) -> None:
    ticket = make.ticket()
    assert "/login/" in client.post(f"/tickets/{ticket.number}/status", data={"status": "closed"}).location
    assert client.get(f"/tickets/{ticket.number}/parts", headers=PARTIAL).status_code == 401
