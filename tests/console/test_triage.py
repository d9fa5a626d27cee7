"""Choosing type and severity beside the words of the desk, and finding tickets by them."""

from sqlalchemy import select

from portal.extensions import db
from portal.models import TriageCriterion
from tests.console.test_queue import numbers_in
from tests.factory import Factory

PARTIAL = {"X-Partial": "1"}


def test_the_criteria_of_the_desk_stand_beside_the_choice(make: Factory, login) -> None:
    branch = make.branch()
    ticket = make.ticket(branch, status="open", type="bug")
    client = login(make.agent(branch=branch))
    for headers in ({}, PARTIAL):
        page = client.get(f"/tickets/{ticket.number}/triage", headers=headers).get_data(as_text=True)
        assert "Many customers cannot work" in page
        assert 'value="bug" checked' in " ".join(page.split())
        assert "Change these words" not in page
    answer = client.post(
        f"/tickets/{ticket.number}/triage", data={"type": "incident", "severity": "major"}, headers=PARTIAL
    )
    assert answer.status_code == 200
    db.session.refresh(ticket)
    assert (ticket.type, ticket.severity) == ("incident", "major")
    page = client.get(f"/tickets/{ticket.number}").get_data(as_text=True)
    assert "Type set to Incident by you, severity set to Major" in page


def test_severity_is_set_from_the_side_panel_within_reach_only(make: Factory, login) -> None:
    branch = make.branch()
    ticket = make.ticket(branch, status="open")
    stranger = login(make.agent(branch=make.branch()))
    for action in ("severity", "triage"):
        refused = stranger.post(f"/tickets/{ticket.number}/{action}", data={"severity": "critical"})
        assert refused.status_code == 404
    assert stranger.get(f"/tickets/{ticket.number}/triage").status_code == 404
    client = login(make.agent(branch=branch))
    assert client.post(f"/tickets/{ticket.number}/severity", data={"severity": "awful"}).status_code == 422
    assert client.post(f"/tickets/{ticket.number}/severity", data={"severity": "critical"}).status_code == 303
    db.session.refresh(ticket)
    assert ticket.severity == "critical"


def test_lists_are_narrowed_by_severity_and_the_row_shows_it(make: Factory, login) -> None:
    branch = make.branch()
    critical, minor = make.ticket(branch, severity="critical"), make.ticket(branch, severity="minor")
    make.ticket(branch)
    client = login(make.agent(branch=branch))
    page = client.get("/queue?view=open&severity=critical").get_data(as_text=True)
    assert numbers_in(page) == [critical.number]
    assert "Severity critical" in page
    assert ">Critical</span>" in page
    both = client.get("/queue?view=open&severity=critical,minor").get_data(as_text=True)
    assert set(numbers_in(both)) == {critical.number, minor.number}
    assert numbers_in(client.get("/queue?text=severity:minor").get_data(as_text=True)) == [minor.number]
    assert client.get("/queue?severity=awful").status_code == 422


def test_an_admin_writes_the_criteria_and_agents_read_them(make: Factory, login) -> None:
    branch = make.branch()
    ticket, agent = make.ticket(branch), login(make.agent(branch=branch))
    found = select(TriageCriterion).where(TriageCriterion.value == "critical")
    critical = db.session.scalars(found).one()
    admin = login(make.agent(role="Admin"))
    listed = admin.get("/admin/triage/list/").get_data(as_text=True)
    assert "Feature request" in listed
    words = {"text": "The whole shop stands still <b>now</b>."}
    assert agent.post(f"/admin/triage/edit/{critical.id}", data=words).status_code in (302, 403)
    assert admin.post(f"/admin/triage/edit/{critical.id}", data=words).status_code == 302
    page = agent.get(f"/tickets/{ticket.number}/triage").get_data(as_text=True)
    assert "The whole shop stands still &lt;b&gt;now&lt;/b&gt;." in page
    assert admin.get("/admin/triage/add").status_code == 404
    assert admin.post(f"/admin/triage/delete/{critical.id}").status_code == 404
