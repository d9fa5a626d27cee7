"""A tier that tickets go to by themselves needs people: refused at save, and said where it comes about otherwise."""

import pytest

from portal.extensions import db
from portal.models import BranchMembership, EscalationTier


def values(branch, **more):
    return {
        "branch": branch.id if branch else "__None",
        "level": 3,
        "name": "Engineers",
        "acknowledge_within_minutes": 20,
        "on_unacknowledged": "branch_lead",
        "escalate_at_percent": 100,
        **more,
    }


def test_it_is_refused_by_form_and_rest_until_somebody_works_there(house, make, login):
    client = login(house.admin)
    page = client.post("/admin/tiers/add", data=values(house.north)).get_data(as_text=True)
    assert "Nobody works at level 3 yet" in page
    assert client.post("/api/v1/tiers/", json=values(house.north)).status_code == 422
    assert db.session.query(EscalationTier).filter_by(level=3).count() == 0
    assert client.post("/admin/tiers/add", data=values(house.north, escalate_at_percent=0)).status_code == 302
    made = db.session.query(EscalationTier).filter_by(level=3).one()
    page = client.post(f"/admin/tiers/edit/{made.id}", data=values(house.north)).get_data(as_text=True)
    assert "Nobody works at level 3 yet" in page
    make.agent(branch=house.north, tier=3)
    assert client.post(f"/admin/tiers/edit/{made.id}", data=values(house.north)).status_code == 302


def test_one_for_every_branch_may_be_there_before_the_branches_that_use_it(house, make, login):
    # North and South have tiers of their own, so this one holds for no branch yet.
    assert login(house.admin).post("/admin/tiers/add", data=values(None)).status_code == 302


@pytest.mark.parametrize("path", ["tiers", "members", "escalation-rules"])
def test_a_tier_that_loses_its_last_person_is_warned_of(house, make, login, path):
    tom = make.agent(branch=house.north, tier=2)
    make.agent(branch=house.south, tier=2)
    client = login(house.admin)
    warning = "Nobody works at Tier 2 (level 2) of North"
    assert warning not in client.get(f"/admin/{path}/list/").get_data(as_text=True)
    place = db.session.query(BranchMembership).filter_by(user_id=tom.id).one()
    assert client.post(f"/admin/members/delete/{place.id}").status_code == 302
    page = client.get(f"/admin/{path}/list/").get_data(as_text=True)
    assert warning in page
    assert "of South" not in page


def test_a_lead_hears_of_the_branches_within_reach_only(house, login):
    page = login(house.lead).get("/admin/members/list/").get_data(as_text=True)
    assert "of North" in page
    assert "of South" not in page
