"""The page and the resource of rules that escalate."""

from portal.extensions import db
from portal.models import EscalationRule


def values(house, **more):
    return {
        "name": "Lawyers",
        "branch": house.north.id,
        "kind": "keyword",
        "value": "lawyer",
        "to_level": 2,
        **more,
    }


def test_a_rule_is_kept_once_its_tier_has_people(house, make, login):
    client = login(house.admin)
    page = client.post("/admin/escalation-rules/add", data=values(house, is_active="y")).get_data(
        as_text=True
    )
    assert "Nobody works at level 2" in page
    assert client.post("/api/v1/escalation_rules/", json=values(house, is_active=True)).status_code == 422
    assert db.session.query(EscalationRule).count() == 0
    make.agent(branch=house.north, tier=2)
    response = client.post("/admin/escalation-rules/add", data=values(house, is_active="y"))
    assert response.status_code == 302, response.get_data(as_text=True)
    row = db.session.query(EscalationRule).one()
    assert (row.branch_id, row.kind, row.value, row.to_level) == (house.north.id, "keyword", "lawyer", 2)
    assert "The customer writes one of these words" in client.get("/admin/escalation-rules/list/").get_data(
        as_text=True
    )


def test_one_for_every_branch_names_those_without_people(house, make, login):
    make.agent(branch=house.north, tier=2)
    page = login(house.admin).post(
        "/admin/escalation-rules/add",
        data=values(house, branch="__None", is_active="y"),
        follow_redirects=True,
    )
    assert "In South nobody works at level 2" in page.get_data(as_text=True)
