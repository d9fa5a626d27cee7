"""Tickets that are there come under the newest targets on purpose, with the difference shown before."""

from datetime import timedelta

from portal.extensions import db
from portal.models import AuditEntry
from portal.services import applying, events, sla
from tests.factory import Factory
from tests.services.test_policies import first_response, opened


def test_the_difference_is_told_before_and_nothing_is_changed(make: Factory) -> None:
    branch = make.branch()
    waited = [opened(make, branch, minutes_ago=minutes) for minutes in (5, 40)]
    branch.policy.first_response_minutes = 30
    db.session.commit()
    found = applying.difference(branch.policy)
    assert (found.waiting, found.compared, found.sooner, found.later, found.late_at_once) == (2, 2, 2, 0, 1)
    assert [(moved.number, moved.is_late_at_once) for moved in found.examples] == [
        (waited[1].number, True),
        (waited[0].number, False),
    ]
    assert all(first_response(ticket).target_seconds == 3600 for ticket in waited)


def test_it_holds_from_now_on_and_the_ledger_says_by_whom(make: Factory) -> None:
    branch, ada = make.branch(), make.agent("Admin")
    ticket, other = opened(make, branch, minutes_ago=5), opened(make, make.branch(), minutes_ago=5)
    branch.policy.first_response_minutes = 30
    db.session.commit()
    assert applying.apply_again(branch.policy, ada) == 1
    assert applying.apply_again(branch.policy, ada) == 0
    assert first_response(ticket).due_at == ticket.created_at + timedelta(minutes=30)
    assert first_response(other).target_seconds == 3600
    (applied,) = events.of_ticket(ticket.id, ["policy_applied"])
    assert (applied.data["why"], applied.actor_id) == ("applied_again", ada.id)
    assert db.session.query(AuditEntry).filter_by(action="applied").one().actor_id == ada.id
    assert sla.recompute(ticket) is False


def test_what_is_finished_or_late_stays_as_it_was(make: Factory) -> None:
    branch, ada = make.branch(), make.agent("Admin")
    late = opened(make, branch, minutes_ago=70)
    sla.recompute(late)
    done = opened(make, branch, minutes_ago=5)
    done.status = "closed"
    branch.policy.first_response_minutes = 600
    db.session.commit()
    assert applying.apply_again(branch.policy, ada) == 1
    assert (first_response(late).state, first_response(late).target_seconds) == ("breached", 3600)
    assert first_response(done).target_seconds == 3600


def test_an_admin_sees_the_difference_and_applies_it_from_the_policys_page(make: Factory, login) -> None:
    branch = make.branch()
    ticket = opened(make, branch, minutes_ago=5)
    branch.policy.first_response_minutes = 30
    db.session.commit()
    address = f"/admin/policies/apply/{branch.policy_id}"
    client = login(make.agent("Admin"))
    assert address in client.get(f"/admin/policies/show/{branch.policy_id}").text
    page = client.get(address).text
    assert "1 open ticket is measured by former targets" in page
    assert f"#{ticket.number}" in page
    assert (
        "1 ticket is measured by the newest targets now" in client.post(address, follow_redirects=True).text
    )
    assert first_response(ticket).target_seconds == 1800
    for stranger in (make.agent("Agent", branch), make.agent("Lead", branch)):
        assert login(stranger).post(address).status_code in (302, 403, 404)
        assert address not in login(stranger).get("/queue").text
