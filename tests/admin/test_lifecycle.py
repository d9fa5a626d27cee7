"""What admins may make of the life of a ticket."""

import html

import pytest

from portal.extensions import db
from portal.models import AuditEntry, LifecycleStatus, ResolutionCode, Ticket
from portal.rules.lifecycle import STATUSES, USUAL_MOVES
from portal.services import lifecycle


def form_of(**changed):
    return {
        **{f"moves-{name}": list(USUAL_MOVES[name]) for name in STATUSES},
        "close_after_days": "14",
        **changed,
    }


def test_a_label_of_the_desk_is_shown_wherever_statuses_are(house, make, login):
    ticket = make.ticket(house.north, status="pending", subject="A matter")
    client = login(house.admin)
    answer = client.post("/admin/lifecycle/save", data=form_of(**{"label-pending": "  Ball with <them> "}))
    assert answer.status_code == 303, answer.get_data(as_text=True)
    agent = login(house.agent)
    for page in ("/queue?view=open", f"/tickets/{ticket.number}", "/queue/filter", "/queue/export.csv"):
        answer = agent.get(page)
        assert answer.status_code == 200, page
        said = html.unescape(answer.get_data(as_text=True)).lower()
        assert "ball with <them>" in said, page
        assert "waiting on customer" not in said, page
        assert page.endswith("csv") or "<them>" not in answer.get_data(as_text=True), page


def test_saving_the_same_again_changes_nothing_and_each_change_is_in_the_audit(house, login):
    client = login(house.admin)
    for _ in range(2):
        client.post("/admin/lifecycle/save", data=form_of(**{"label-open": "In work"}))
    entries = db.session.query(AuditEntry).filter_by(object_type="lifecycle_status").all()
    assert [entry.changes for entry in entries] == [{"label": {"from": "", "to": "In work"}}]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"moves-on_hold": []}, "at least one way out"),
        ({"moves-open": ["new"]}, "Nothing becomes New again"),
        ({"moves-open": ["gone"]}, "no status"),
        ({"label-open": "closed"}, "Two statuses would be called"),
        ({"label-open": "x" * 41}, "at most 40 letters"),
        ({"close_after_days": "-1"}, "between 0 and 3650"),
        ({"close_after_days": "soon"}, "between 0 and 3650"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field_and_nothing_is_saved(house, login, changed, says):
    client = login(house.admin)
    answer = client.post("/admin/lifecycle/save", data=form_of(**changed, **{"label-spam": "Rubbish"}))
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert says in html.unescape(page)
    assert 'aria-invalid="true"' in page
    assert 'value="Rubbish"' in page
    assert db.session.query(LifecycleStatus).filter(LifecycleStatus.label != "").count() == 0


@pytest.mark.parametrize("who", ["lead", "agent", "auditor"])
def test_only_admins_change_it(house, login, who):
    client = login(getattr(house, who))
    client.post("/admin/lifecycle/save", data=form_of(**{"label-open": "Mine"}))
    assert db.session.query(LifecycleStatus).filter(LifecycleStatus.label != "").count() == 0
    if who == "auditor":
        assert "<fieldset disabled>" in client.get("/admin/lifecycle/list/").get_data(as_text=True)


def test_a_code_that_tickets_have_is_disabled_and_another_is_deleted(house, make, login):
    client = login(house.admin)
    solved, duplicate, *_ = db.session.query(ResolutionCode).order_by(ResolutionCode.position)
    used_id, unused_id = solved.id, duplicate.id
    make.ticket(house.north, status="resolved", resolution_code_id=used_id)
    for code_id in (used_id, unused_id):
        client.post(f"/admin/resolution-codes/delete/{code_id}")
    db.session.expire_all()
    assert db.session.get(ResolutionCode, used_id).is_active is False
    assert db.session.get(ResolutionCode, unused_id) is None
    assert db.session.query(Ticket).filter_by(resolution_code_id=used_id).count() == 1


def test_the_last_code_stays_while_one_is_asked_for(house, login):
    client = login(house.admin)
    client.post("/admin/lifecycle/save", data=form_of(requires_code="1"))
    assert lifecycle.current().requires_code
    ids = [code.id for code in lifecycle.current().codes]
    for code_id in ids:
        client.post(f"/admin/resolution-codes/delete/{code_id}")
    db.session.expire_all()
    assert [code.id for code in lifecycle.current().offered_codes] == ids[-1:]
    api = client.put(f"/api/v1/resolution-codes/{ids[-1]}", json={"is_active": False})
    assert api.status_code == 422


def test_a_desk_without_codes_cannot_ask_for_one(house, login):
    db.session.query(ResolutionCode).update({"is_active": False})
    db.session.commit()
    answer = login(house.admin).post("/admin/lifecycle/save", data=form_of(requires_code="1"))
    assert answer.status_code == 422
    assert "no resolution code to choose" in answer.get_data(as_text=True)


def test_a_branch_says_otherwise_in_its_form(house, login):
    client = login(house.admin)
    address = f"/admin/branches/edit/{house.north.id}"
    values = {
        "name": "North",
        "code": "NORTH",
        "time_zone": "UTC",
        "language": "en",
        "calendar": str(house.north.calendar_id),
        "default_priority": "normal",
        "assignment_strategy": "manual",
        "reopen_window_days": "14",
        "attachment_limit_mb": "20",
        "automatic_per_recipient": "5",
        "automatic_per_ticket": "3",
        "is_active": "y",
    }
    for written, kept in (
        ({"requires_code": "1", "close_after_days": "0"}, (True, 0)),
        ({"requires_code": "0", "close_after_days": "30"}, (False, 30)),
        ({"requires_code": "", "close_after_days": ""}, (None, None)),
    ):
        answer = client.post(address, data={**values, **written})
        assert answer.status_code == 302, answer.get_data(as_text=True)
        db.session.expire_all()
        assert (house.north.requires_code, house.north.close_after_days) == kept
