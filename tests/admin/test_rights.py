"""Who may do what: role by noun by verb, on pages and through REST alike."""

import pytest

from portal.extensions import appbuilder, db
from portal.models import ReplyTemplate, Tag
from portal.views.admin.base import AdminApi, AdminView

ALL = "read add edit delete"
# What each role may do with each noun; a role that is not named may do nothing. Admins may do everything.
RIGHTS = {
    "Accounts": {"Auditor": "read"},
    "ApiKeys": {"Auditor": "read"},
    "Audit": {"Auditor": "read"},
    "Branches": {"Auditor": "read"},
    "Calendars": {"Auditor": "read"},
    "Customers": {"Auditor": "read", "Lead": "read add edit"},
    "EscalationRules": {"Auditor": "read"},
    "Events": {"Auditor": "read"},
    "Fields": {"Auditor": "read"},
    "Inbox": {"Auditor": "read"},
    "Lifecycle": {"Auditor": "read"},
    "Members": {"Auditor": "read", "Lead": "read"},
    "NotifyTargets": {"Auditor": "read"},
    "Outbox": {"Auditor": "read"},
    "People": {"Auditor": "read"},
    "Policies": {"Auditor": "read"},
    "ResolutionCodes": {"Auditor": "read"},
    "Roles": {"Auditor": "read"},
    "RoutingRules": {"Auditor": "read"},
    "Tags": {"Auditor": "read", "Lead": "read add edit"},
    "Templates": {"Auditor": "read", "Lead": "read add edit", "Agent": "read"},
    "Tickets": {"Auditor": "read", "Lead": "read", "Agent": "read"},
    "Tiers": {"Auditor": "read"},
    "Triage": {"Auditor": "read"},
}
ROLES = ("Admin", "Auditor", "Lead", "Agent")
PAGES = {
    "list": ("get", "/list/", "read"),
    "show": ("get", "/show/999", "read"),
    "add": ("get", "/add", "add"),
}
PAGES |= {"edit": ("get", "/edit/999", "edit"), "delete": ("post", "/delete/999", "delete")}
METHODS = {"get_list": ("get", "/", "read"), "get": ("get", "/999", "read"), "post": ("post", "/", "add")}
METHODS |= {"put": ("put", "/999", "edit"), "delete": ("delete", "/999", "delete")}


def may(role, noun, verb):
    return verb in (ALL if role == "Admin" else RIGHTS[noun].get(role, "")).split()


@pytest.mark.parametrize("role", ROLES)
def test_pages_keep_to_the_table(role, house, login):
    client, seen = login(house.person(role)), set()
    for view in appbuilder.baseviews:
        if not isinstance(view, AdminView):
            continue
        for name, (method, path, verb) in PAGES.items():
            if name in view.exclude_route_methods:
                continue
            seen.add(view.class_permission_name)
            status = getattr(client, method)(view.route_base + path).status_code
            is_let_in = status != 403
            assert is_let_in == may(role, view.class_permission_name, verb), (view.route_base, path, status)
            assert status < 500
    assert seen | {"Tickets"} == set(RIGHTS)


@pytest.mark.parametrize("role", ROLES)
def test_rest_keeps_to_the_same_table(role, house, login):
    client, count = login(house.person(role)), 0
    for api in appbuilder.baseviews:
        if not isinstance(api, AdminApi):
            continue
        for name, (method, path, verb) in METHODS.items():
            if name in api.exclude_route_methods:
                continue
            count += 1
            body = {"json": {}} if method in ("post", "put") else {}
            status = getattr(client, method)(api.route_base + path, **body).status_code
            is_let_in = status != 403
            assert is_let_in == may(role, api.class_permission_name, verb), (api.route_base, path, status)
            assert status < 500
    assert count > 40


def test_stranger_is_sent_to_sign_in_and_comes_back(client, database):
    response = client.get("/admin/branches/list/")
    assert response.status_code == 302
    assert response.location.startswith("/login/?next=")
    assert "Denied" not in client.get(response.location).get_data(as_text=True)
    assert client.get("/api/v1/branches/").status_code == 401


def test_auditor_changes_nothing_by_action(house, make, login):
    account = make.account(house.north)
    response = login(house.auditor).post(f"/admin/accounts/action/test_connection/{account.id}")
    assert response.status_code == 403


def test_lead_sees_members_of_led_branches_only(house, make, login):
    make.agent("Agent", house.south, username="southerner")
    page = login(house.lead).get("/admin/members/list/").get_data(as_text=True)
    assert "Agent" in page
    assert "Southerner" not in page


def test_lead_changes_templates_of_led_branches_only(house, make, login):
    client = login(house.lead)
    own = make.template(name="Own", branches=[house.north])
    shared = make.template(name="Shared", branches=[])
    foreign = make.template(name="Foreign", branches=[house.south])
    page = client.get("/admin/templates/list/").get_data(as_text=True)
    assert "Own" in page
    assert "Shared" in page
    assert "Foreign" not in page
    values = {"language": "en", "state": "published", "body_html": "<p>Hi</p>", "branches": [house.north.id]}
    for template, name in ((own, "Mine"), (shared, "Taken"), (foreign, "Stolen")):
        client.post(f"/admin/templates/edit/{template.id}", data={"name": name, **values})
    db.session.expire_all()
    names = {template.id: template.name for template in db.session.query(ReplyTemplate)}
    assert names == {own.id: "Mine", shared.id: "Shared", foreign.id: "Foreign"}


def test_agent_reads_tickets_of_own_branches_by_rest(house, make, login):
    own, foreign = make.ticket(house.north), make.ticket(house.south)
    client = login(house.agent)
    assert client.get("/api/v1/tickets/").json["ids"] == [own.id]
    assert client.get(f"/api/v1/tickets/{own.id}").json["result"]["number"] == own.number
    assert client.get(f"/api/v1/tickets/{foreign.id}").status_code == 404


def test_rail_shows_only_rooms_one_may_enter(house, login, app):
    from flask import render_template_string

    def rail(person):
        with app.test_request_context("/"):
            from flask_login import login_user

            login_user(person)
            return render_template_string("{% for item in navigation %}{{ item.label }} {% endfor %}")

    assert "Administration" in rail(house.admin)
    assert "Administration" not in rail(house.agent)
    assert "Templates" in rail(house.agent)


def test_admin_page_of_an_auditor_offers_no_change(house, login):
    db.session.add(Tag(name="refund"))
    db.session.commit()
    page = login(house.auditor).get("/admin/tags/list/").get_data(as_text=True)
    assert "refund" in page
    assert "/admin/tags/add" not in page
    assert "/admin/tags/delete" not in page
