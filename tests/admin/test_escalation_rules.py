"""The page and the resource of rules that escalate."""

from portal.extensions import db
from portal.models import EscalationRule, NotifyTarget


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


def test_a_target_keeps_its_address_to_itself(house, login):
    client, tier = login(house.admin), house.north.tiers[1]
    form = {"tier": tier.id, "name": "Chat", "is_active": "y"}
    assert "Enter the address" in client.post("/admin/notify-targets/add", data=form).get_data(as_text=True)
    page = client.post("/admin/notify-targets/add", data={**form, "url": "foo://bar"}).get_data(as_text=True)
    assert "No service understands" in page
    secret = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    response = client.post("/admin/notify-targets/add", data={**form, "url": secret})
    assert response.status_code == 302, response.get_data(as_text=True)
    target = db.session.query(NotifyTarget).one()
    for path in ("list/", f"show/{target.id}", f"edit/{target.id}"):
        page = client.get(f"/admin/notify-targets/{path}").get_data(as_text=True)
        assert "TIiajkdnlazkcOXrIdevi7FQ" not in page
        assert "Chat" in page
    assert client.post(f"/admin/notify-targets/edit/{target.id}", data=form).status_code == 302
    db.session.refresh(target)
    assert target.shown == "Slack"
