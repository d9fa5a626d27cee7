"""Linked tickets on the desk: the dialog, the side panel of both, and what may not be seen of them."""

from portal.extensions import db
from portal.models import TicketLink
from portal.services import linking, moving
from tests.factory import Factory

PARTIAL = {"X-Partial": "1"}


def test_a_link_is_made_shown_on_both_sides_removed_and_brought_back(make: Factory, login) -> None:
    branch = make.branch()
    client = login(make.agent(branch=branch))
    problem = make.ticket(branch, status="open", subject="The lift stands still")
    incident = make.ticket(branch, status="pending", subject="I wait on floor 4")

    def page(ticket) -> str:
        return " ".join(client.get(f"/tickets/{ticket.number}").get_data(as_text=True).split())

    asked = client.get(
        f"/tickets/{problem.number}/link", query_string={"q": str(incident.number)}, headers=PARTIAL
    )
    assert "I wait on floor 4" in asked.get_data(as_text=True)
    answer = client.post(
        f"/tickets/{problem.number}/link",
        data={"number": incident.number, "relation": "causes"},
        headers=PARTIAL,
    )
    assert answer.json["says"] == f"Linked to #{incident.number}."
    assert "<h4>Causes</h4>" in page(problem)
    assert "I wait on floor 4" in page(problem)
    assert "waiting on customer" in page(problem)
    assert "<h4>Caused by</h4>" in page(incident)
    assert "The lift stands still" in page(incident)
    removed = client.post(
        f"/tickets/{incident.number}/unlink", data={"number": problem.number}, headers=PARTIAL
    )
    assert "<h4>" not in page(problem)
    undo = removed.json["action"]
    client.post(undo["post"], data=undo["fields"], headers=PARTIAL)
    assert "<h4>Causes</h4>" in page(problem)


def test_of_a_ticket_out_of_reach_nothing_is_shown_but_that_it_is_there(make: Factory, login) -> None:
    branch = make.branch()
    here = make.ticket(branch, status="open")
    secret = make.ticket(make.branch(), subject="Quite a secret", status="on_hold")
    linking.link(here, secret, "related", make.agent(role="Admin"))
    client = login(make.agent(branch=branch))
    answer = client.get(f"/tickets/{here.number}").get_data(as_text=True)
    side = answer.split('class="links"')[1].split("</section>")[0]
    assert "A ticket in another branch" in side
    assert "Quite a secret" not in answer
    assert "on hold" not in side
    assert str(secret.number) not in side
    assert client.get(f"/tickets/{secret.number}/link").status_code == 404
    for action in ("link", "unlink"):
        refused = client.post(
            f"/tickets/{here.number}/{action}", data={"number": secret.number, "relation": "causes"}
        )
        assert refused.status_code == 404
    assert db.session.query(TicketLink).one().kind == "related"


def test_finishing_a_cause_says_what_is_still_open(make: Factory, login) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    problem = make.ticket(branch, status="open")
    client = login(agent)

    def set_status(status: str) -> dict:
        return client.post(f"/tickets/{problem.number}/status", data={"status": status}, headers=PARTIAL).json

    assert set_status("on_hold")["is_news"] is False
    for _ in range(2):
        linking.link(problem, make.ticket(branch, status="open"), "causes", agent)
    assert set_status("open")["is_news"] is False
    said = set_status("resolved")
    assert said["is_news"] is True
    assert "2 tickets that it causes are still open." in said["says"]


def test_a_merged_ticket_is_not_shown_as_linked(make: Factory, login) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    one, gone, into = (
        make.ticket(branch),
        make.ticket(branch, subject="Gone"),
        make.ticket(branch, subject="There"),
    )
    make.message(gone)
    linking.link(one, gone, "related", agent)
    moving.merge([gone], into, agent)
    page = login(agent).get(f"/tickets/{one.number}").get_data(as_text=True)
    side = page.split('class="links"')[1].split("</section>")[0]
    assert "There" in side
    assert "Gone" not in side
