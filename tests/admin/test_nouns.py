"""What the pages of single nouns check, keep and offer."""

import html
import json
import re
from dataclasses import replace

import pytest
from sqlalchemy import select

from portal.extensions import db
from portal.models import (
    Agent,
    BranchMembership,
    Identity,
    InboxItem,
    ReplyTemplate,
    RoutingRule,
    Ticket,
    User,
)
from portal.services import api_keys, suppression
from portal.services.domain_keys import make_branch_key
from tests.admin.test_audit import person_values
from tests.dns_server import dns_running

WEEK = [{"weekday": day, "start": "09:00", "end": "17:00"} for day in range(5)]


class TestPeople:
    def test_new_person_comes_with_profile_and_places(self, house, login):
        role = house.agent.roles[0]
        values = {
            "first_name": "Ada",
            "last_name": "Lovelace",
            "username": "ada",
            "email": "ada@desk.test",
            "active": "y",
            "roles": [role.id],
            "password": "a long password",
            "time_zone": "Europe/London",
            "language": "en",
            "availability": "available",
            "capacity": "5",
            "places-shown": "1",
            f"places-{house.north.id}-member": "1",
            f"places-{house.north.id}-level": "2",
            f"places-{house.north.id}-lead": "1",
        }
        response = login(house.admin).post("/admin/people/add", data=values)
        assert response.status_code == 302, response.get_data(as_text=True)
        ada = db.session.scalar(select(User).where(User.username == "ada"))
        profile = db.session.get(Agent, ada.id)
        assert (profile.time_zone, profile.capacity) == ("Europe/London", 5)
        place = db.session.scalar(select(BranchMembership).where(BranchMembership.user_id == ada.id))
        assert (place.branch_id, place.tier_level, place.is_lead) == (house.north.id, 2, True)
        assert ada.password.startswith("scrypt:")

    def test_new_person_needs_a_password(self, house, login):
        values = person_values(house.agent, username="new", email="new@desk.test")
        page = login(house.admin).post("/admin/people/add", data=values).get_data(as_text=True)
        assert "needs a password" in page

    def test_form_shows_present_places(self, house, login):
        page = login(house.admin).get(f"/admin/people/edit/{house.lead.id}").get_data(as_text=True)
        box = page[page.index(f'name="places-{house.north.id}-member"') :].partition(">")[0]
        assert "checked" in box

    def test_form_without_the_places_keeps_them(self, house, login):
        values = person_values(house.agent)
        login(house.admin).post(f"/admin/people/edit/{house.agent.id}", data=values)
        assert db.session.query(BranchMembership).filter_by(user_id=house.agent.id).count() == 1

    def test_form_without_a_password_keeps_it(self, house, make, login):
        ada = make.agent("Agent", house.north, username="ada", password="a long password")
        before = ada.password
        for values in (person_values(ada), person_values(ada, password="")):
            assert login(house.admin).post(f"/admin/people/edit/{ada.id}", data=values).status_code == 302
            db.session.expire_all()
            assert ada.password == before
            assert ada.agent.sessions_valid_from is None

    def test_last_admin_stays_admin(self, house, login):
        values = person_values(house.admin) | {"roles": [house.agent.roles[0].id]}
        page = login(house.admin).post(f"/admin/people/edit/{house.admin.id}", data=values)
        assert "last active admin" in page.get_data(as_text=True)
        db.session.expire_all()
        assert [role.name for role in house.admin.roles] == ["Admin"]

    def test_nobody_switches_themselves_off(self, house, make, login):
        make.agent("Admin")
        values = person_values(house.admin)
        values.pop("active")
        page = login(house.admin).post(f"/admin/people/edit/{house.admin.id}", data=values)
        assert "your own account" in page.get_data(as_text=True)

    def test_new_password_ends_sessions(self, house, login):
        agents = login(house.agent)
        assert agents.get("/admin/templates/list/").status_code == 200
        values = person_values(house.agent, password="another password")
        login(house.admin).post(f"/admin/people/edit/{house.agent.id}", data=values)
        assert agents.get("/admin/templates/list/").status_code == 302


class TestApiKeys:
    def test_key_is_shown_once_and_works_until_it_ends(self, app, house, login):
        client = login(house.admin)
        client.post("/admin/api-keys/add", data={"name": "reports", "user": house.agent.id})
        page = client.get("/admin/api-keys/list/").get_data(as_text=True)
        key = re.search(rf"{api_keys.PREFIX}[\w-]{{40,}}", page).group()
        assert key not in client.get("/admin/api-keys/list/").get_data(as_text=True)
        headers = {"Authorization": f"Bearer {key}"}
        program = app.test_client()
        assert program.get("/api/v1/tickets/", headers=headers).status_code == 200
        row = api_keys.ApiKey
        key_id = db.session.scalar(select(row.id))
        client.post("/admin/api-keys/action_post", data={"action": "revoke", "rowid": [key_id]})
        assert program.get("/api/v1/tickets/", headers=headers).status_code == 401

    def test_key_opens_programs_doors_only(self, app, house):
        key = api_keys.create("boss")
        headers = {"Authorization": f"Bearer {key}"}
        assert app.test_client().get("/admin/branches/list/", headers=headers).status_code == 302


class TestConfiguration:
    def test_rule_conditions_are_checked_by_form_and_rest(self, house, login):
        client = login(house.admin)
        bad = {"all": [{"field": "moon", "operator": "contains", "value": "full"}]}
        values = {"name": "Broken", "position": "1", "conditions": json.dumps(bad), "tags": ""}
        assert client.post("/admin/routing-rules/add", data=values).status_code == 200
        answer = client.post("/api/v1/routing_rules/", json={"name": "Broken", "conditions": bad})
        assert answer.status_code == 422
        assert "conditions" in answer.json["message"]
        assert db.session.query(RoutingRule).count() == 0

    def test_rule_is_kept(self, house, login):
        good = {"all": [{"field": "subject", "operator": "contains", "value": "refund"}]}
        values = {
            "name": "Refunds",
            "position": "10",
            "conditions": json.dumps(good),
            "branch": house.south.id,
            "tags": "refund\nmoney\nrefund",
            "priority": "high",
            "is_active": "y",
        }
        response = login(house.admin).post("/admin/routing-rules/add", data=values)
        assert response.status_code == 302, response.get_data(as_text=True)
        rule = db.session.query(RoutingRule).one()
        assert (rule.conditions, rule.tags, rule.branch_id) == (good, ["refund", "money"], house.south.id)
        assert (rule.priority, rule.ticket_type, rule.is_last) == ("high", None, False)

    def test_unknown_placeholder_is_named(self, house, login):
        values = {
            "name": "T",
            "language": "en",
            "state": "draft",
            "body_html": "<p>{{ customer.shoe_size }}</p>",
        }
        page = login(house.admin).post("/admin/templates/add", data=values).get_data(as_text=True)
        assert "customer.shoe_size" in page
        assert db.session.query(ReplyTemplate).count() == 0

    def test_template_keeps_its_words_for_the_ranking(self, house, login):
        values = {
            "name": "T",
            "language": "en",
            "state": "published",
            "body_html": "<p>Your <b>parcel</b> is on its way</p>",
            "actions": '{"status": "pending"}',
        }
        response = login(house.admin).post("/admin/templates/add", data=values)
        assert response.status_code == 302, response.get_data(as_text=True)
        template = db.session.query(ReplyTemplate).one()
        assert "parcel" in template.body_text
        assert "<" not in template.body_text
        assert template.actions == {"status": "pending"}

    def test_template_form_has_the_editor(self, house, login):
        page = login(house.admin).get("/admin/templates/add").get_data(as_text=True)
        assert 'data-behaviour="editor"' in page

    def test_policy_without_target_is_refused(self, house, login):
        answer = login(house.admin).post("/api/v1/policies/", json={"name": "Empty"})
        assert answer.status_code == 422
        assert "no target" in answer.json["message"]

    def test_address_belongs_to_one_account(self, house, make, login):
        make.account(house.north, address="help@portal.test", aliases=["sales@portal.test"])
        body = {
            "name": "Two",
            "address": "two@portal.test",
            "aliases": ["Sales@portal.test"],
            "branch": house.north.id,
        }
        answer = login(house.admin).post("/api/v1/accounts/", json=body)
        assert answer.status_code == 422
        assert "sales@portal.test belongs to the account help@portal.test" in answer.json["message"]


class TestConnections:
    def test_server_that_is_not_there_is_told_in_a_sentence(self, house, make, login):
        account = make.account(house.north, smtp_host="127.0.0.1", smtp_port=1, smtp_security="none")
        client = login(house.admin)
        page = client.post(f"/admin/accounts/action/test_connection/{account.id}", follow_redirects=True)
        page = page.get_data(as_text=True)
        assert f"{account.address}, SMTP: " in page
        assert "Traceback" not in page

    def test_account_without_servers_has_nothing_to_test(self, house, make, login):
        account = make.account(house.north)
        client = login(house.admin)
        page = client.post(f"/admin/accounts/action/test_connection/{account.id}", follow_redirects=True)
        assert "nothing to test" in page.get_data(as_text=True)


class TestLedgers:
    @pytest.fixture
    def item(self, house):
        values = {
            "source_key": "k",
            "size_bytes": 9,
            "sha256": "0" * 64,
            "state": "quarantined",
            "reason": "odd",
        }
        db.session.add(item := InboxItem(raw=b"<b>mail</b>", **values))
        db.session.commit()
        return item

    def test_raw_mail_is_downloaded_never_opened(self, item, house, login):
        response = login(house.auditor).get(f"/admin/inbox/raw/{item.id}")
        assert response.data == b"<b>mail</b>"
        assert response.content_type == "application/octet-stream"
        assert response.headers["Content-Disposition"].startswith("attachment")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert login(house.lead).get(f"/admin/inbox/raw/{item.id}").status_code == 403

    def test_mail_in_quarantine_is_tried_again(self, item, house, login):
        client = login(house.admin)
        client.post("/admin/inbox/action_post", data={"action": "retry", "rowid": [item.id]})
        db.session.expire_all()
        assert item.state == "accepted"
        page = client.post(f"/admin/inbox/action/retry/{item.id}", follow_redirects=True)
        assert "Only mails in quarantine" in page.get_data(as_text=True)

    def test_mail_in_quarantine_is_opened_by_hand_once(self, item, house, login, make):
        item.raw = b"From: Ada <ada@customer.test>\r\nSubject: Hello <b>\r\n\r\nWords <script>"
        make.account(house.south, address="south@portal.test")
        item.envelope_to = ["south+tag@portal.test"]
        db.session.commit()
        client = login(house.admin)
        address = f"/admin/inbox/open/{item.id}"
        assert address in client.get(f"/admin/inbox/show/{item.id}").get_data(as_text=True)
        page = client.get(address).get_data(as_text=True)
        assert 'value="ada@customer.test"' in page
        assert 'value="Ada"' in page
        assert "Hello &lt;b&gt;" in page
        assert "Words &lt;script&gt;" in page
        assert "odd" in page, "the reason stands beside it"
        assert f'<option selected value="{house.south.id}">' in page, "its recipient is the branch's"
        refused = client.post(address, data={"branch": house.south.id, "address": "nobody"})
        assert "is not an e-mail address" in html.unescape(refused.get_data(as_text=True))
        form = {"branch": house.south.id, "address": "eve@customer.test", "name": "Eve", "subject": "By hand"}
        answer = client.post(address, data=form)
        ticket = db.session.query(Ticket).filter_by(subject="By hand").one()
        assert (answer.status_code, answer.location) == (303, f"/tickets/{ticket.number}")
        assert (ticket.branch_id, ticket.customer.name) == (house.south.id, "Eve")
        again = client.post(address, data=form, follow_redirects=True).get_data(as_text=True)
        assert "This one has been dealt with" in again
        assert address not in again
        assert db.session.query(Ticket).filter_by(subject="By hand").count() == 1

    def test_only_admins_open_by_hand(self, item, house, login):
        for person, status in ((house.auditor, 403), (house.lead, 403), (house.admin, 200)):
            assert login(person).get(f"/admin/inbox/open/{item.id}").status_code == status
        assert "/admin/inbox/open" not in login(house.auditor).get(f"/admin/inbox/show/{item.id}").get_data(
            as_text=True
        )

    def test_the_page_that_opens_by_hand_takes_few_statements(self, item, house, login, count_queries):
        client = login(house.admin)
        client.get(f"/admin/inbox/open/{item.id}")
        with count_queries() as statements:
            assert client.get(f"/admin/inbox/open/{item.id}").status_code == 200
        assert len(statements) <= 8, "\n".join(statements)

    def test_markup_of_strangers_is_shown_as_text(self, item, house, login):
        item.envelope_from = "<script>alert(1)</script>@evil.test"
        db.session.commit()
        page = login(house.admin).get("/admin/inbox/list/").get_data(as_text=True)
        assert "<script>alert(1)" not in page
        assert "&lt;script&gt;alert(1)" in page

    def test_ledger_leads_to_the_ticket(self, house, make, login):
        own, foreign = make.ticket(house.north), make.ticket(house.south)
        client = login(house.lead)
        assert client.get(f"/admin/tickets/{own.id}").location == f"/tickets/{own.number}"
        assert client.get(f"/admin/tickets/{foreign.id}").status_code == 404


class TestAutomaticMail:
    def test_an_address_is_unblocked(self, house, login, make):
        suppression.suppress("gone@customer.test", "550 5.1.1 No such user")
        db.session.commit()
        identity = db.session.query(Identity).filter_by(address="gone@customer.test").one()
        client = login(house.admin)
        assert "5.1.1 No such user" in client.get("/admin/addresses/list/").text
        page = client.post(f"/admin/addresses/action/clear/{identity.id}", follow_redirects=True)
        assert "may go there again" in page.text
        db.session.refresh(identity)
        assert identity.suppressed_at is None
        assert identity.suppressed_reason == ""

    def test_a_key_is_made_and_its_record_shown(self, house, login, make):
        branch = make.branch()
        make.account(branch, address="help@shop.test")
        client = login(house.admin)
        page = client.post(f"/admin/branches/action/make_key/{branch.id}", follow_redirects=True).text
        db.session.refresh(branch)
        assert f"{branch.dkim_selector}._domainkey.shop.test. IN TXT" in page
        shown = client.get(f"/admin/branches/show/{branch.id}").text
        assert "v=DKIM1; k=rsa; p=" in shown
        assert "PRIVATE" not in shown
        assert login(house.auditor).post(f"/admin/branches/action/make_key/{branch.id}").status_code == 403

    def test_the_dns_is_asked_for_every_domain_of_a_branch(self, house, login, make, app, monkeypatch):
        branch = make.branch()
        client = login(house.admin)
        address = f"/admin/branches/action/check_dns/{branch.id}"
        assert "has no DKIM key yet" in client.post(address, follow_redirects=True).text
        make_branch_key(branch, house.admin)
        assert "no domain to ask about" in client.post(address, follow_redirects=True).text
        make.account(branch, address="help@shop.test")
        make.account(branch, address="help@other.test")
        records = {
            f"{branch.dkim_selector}._domainkey.shop.test": [branch.dkim_record],
            "shop.test": ["v=spf1 mx -all"],
            "other.test": [],
        }
        with dns_running(records) as server:
            monkeypatch.setitem(
                app.config, "SETTINGS", replace(app.config["SETTINGS"], dns_servers=(server,))
            )
            page = client.post(address, follow_redirects=True).text
            assert login(house.auditor).post(address).status_code == 403
        page = html.unescape(page)
        assert "shop.test, DKIM: The DKIM record at" in page
        assert "its key is this branch's" in page
        assert "mail from other servers is to be refused" in page
        assert "other.test, DKIM: There is no DKIM record" in page
        assert "other.test, DMARC: There is no DMARC record" in page

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"sends_acknowledgement": True}, "Write the text"),
            ({"signs_with_dkim": True}, "no key to sign with"),
            ({"acknowledgement_html": "{{ agent.name }} reads it"}, "cannot name the agent"),
            ({"acknowledgement_html": "{{ customer.nme }}"}, "Did you mean"),
            ({"automatic_per_ticket": -1}, "from 0 to"),
            ({"attachment_limit_mb": 0}, "from 1 to"),
        ],
    )
    def test_a_branch_refuses_what_could_not_be_sent(self, house, login, make, values, sentence):
        branch = make.branch()
        answer = login(house.admin).put(f"/api/v1/branches/{branch.id}", json=values)
        assert answer.status_code == 422, answer.text
        assert sentence in answer.text
