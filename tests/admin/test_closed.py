"""What Flask-AppBuilder leaves open, closed: each of these fails when its protection is taken out."""

import re
import threading
from contextlib import contextmanager

import pytest
from flask_appbuilder.actions import action
from flask_login import login_user
from sqlalchemy import event, insert
from werkzeug.exceptions import NotFound

from portal.extensions import appbuilder, db
from portal.models import Branch, Calendar, Customer, EscalationTier, ReplyTemplate, Tag, Ticket
from portal.services import api_keys
from portal.views.admin.base import AdminView
from portal.views.admin.rows import LARGE_TABLES, Contains, Rows, is_searched_by_trigrams
from tests.factory import Factory

DATABASE_TEXT = re.compile(
    r"psycopg|sqlalchemy|constraint|duplicate key|violates|INSERT INTO|uq_|fk_", re.IGNORECASE
)


class TicketPages(AdminView):
    """Tickets with a row action, as a careless developer would add them."""

    noun, nouns = "ticket", "tickets"
    datamodel = Rows(Ticket)
    class_permission_name = "Templates"
    is_read_only = True
    list_columns = ["id", "subject"]
    show_columns = ["id", "subject"]
    search_columns = ["number"]

    @action("close", "Close")
    def close(self, chosen):
        for ticket in chosen if isinstance(chosen, list) else [chosen]:
            ticket.status = "closed"
        db.session.commit()


@pytest.fixture
def ticket_pages(app):
    pages = TicketPages()
    pages.appbuilder, pages.endpoint = appbuilder, "TagView"
    return pages


@contextmanager
def request_of(app, person, **options):
    with app.test_request_context("/", **options):
        login_user(person)
        yield


class TestReach:
    def test_row_action_does_not_reach_a_foreign_branch(self, app, house, make, ticket_pages):
        own, foreign = make.ticket(house.north), make.ticket(house.south)
        with request_of(app, house.lead, method="POST"):
            ticket_pages.action("close", str(own.id))
            with pytest.raises(NotFound):
                ticket_pages.action("close", str(foreign.id))
        db.session.expire_all()
        assert (own.status, foreign.status) == ("closed", "new")

    def test_action_on_chosen_rows_does_not_reach_a_foreign_branch(self, app, house, make, ticket_pages):
        own, foreign = make.ticket(house.north), make.ticket(house.south)
        form = {"action": "close", "rowid": [str(own.id), str(foreign.id)]}
        with request_of(app, house.lead, method="POST", data=form), pytest.raises(NotFound):
            ticket_pages.action_post()
        db.session.expire_all()
        assert (own.status, foreign.status) == ("new", "new")

    def test_drop_down_offers_own_branches_only(self, house, login):
        page = login(house.lead).get("/admin/templates/add").get_data(as_text=True)
        assert ">North<" in page
        assert ">South<" not in page

    def test_form_does_not_take_a_foreign_branch(self, house, login):
        values = {"name": "T", "language": "en", "state": "draft", "body_html": "<p>Hi</p>"}
        login(house.lead).post("/admin/templates/add", data={**values, "branches": [house.south.id]})
        assert db.session.query(ReplyTemplate).count() == 0

    def test_rest_does_not_take_a_foreign_branch(self, house, login):
        client = login(house.lead)
        body = {"name": "T", "body_html": "<p>Hi</p>"}
        response = client.post("/api/v1/templates/", json={**body, "branches": [house.south.id]})
        assert response.status_code == 422
        assert not DATABASE_TEXT.search(response.get_data(as_text=True))
        assert (
            client.post("/api/v1/templates/", json={**body, "branches": [house.north.id]}).status_code == 201
        )

    def test_rest_does_not_move_a_row_to_a_foreign_branch(self, house, make, login):
        template = make.template(branches=[house.north])
        client = login(house.lead)
        response = client.put(f"/api/v1/templates/{template.id}", json={"branches": [house.south.id]})
        assert response.status_code == 422
        db.session.expire_all()
        assert template.branches == [house.north]

    def test_rest_names_no_row_that_does_not_exist(self, house, login):
        body = {"name": "Tier", "level": 3, "branch": 99999}
        response = login(house.admin).post("/api/v1/tiers/", json=body)
        assert response.status_code == 422
        assert "branch" in response.json["message"]
        assert db.session.query(EscalationTier).filter_by(name="Tier").count() == 0

    def test_api_key_has_the_reach_of_its_person(self, app, house, make):
        make.ticket(house.south)
        own = make.ticket(house.north)
        key = api_keys.create_api_key(house.agent, "test")
        answer = app.test_client().get("/api/v1/tickets/", headers={"Authorization": f"Bearer {key}"})
        assert answer.json["ids"] == [own.id]

    def test_token_has_the_reach_of_its_person(self, app, house, make):
        make.ticket(house.south)
        own = make.ticket(house.north)
        make.agent("Agent", house.north, username="ada", password="long password 1")
        client = app.test_client()
        login = {"username": "ada", "password": "long password 1", "provider": "db"}
        token = client.post("/api/v1/security/login", json=login).json["access_token"]
        answer = app.test_client().get("/api/v1/tickets/", headers={"Authorization": f"Bearer {token}"})
        assert answer.json["ids"] == [own.id]


class TestForgery:
    @pytest.fixture
    def tokens_wanted(self, app):
        app.config["WTF_CSRF_ENABLED"] = True
        yield
        app.config["WTF_CSRF_ENABLED"] = False

    def test_cookie_needs_the_form_token_on_rest(self, house, login, tokens_wanted):
        response = login(house.admin).post("/api/v1/tags/", json={"name": "forged"})
        assert response.status_code == 400
        assert db.session.query(Tag).count() == 0

    def test_api_key_needs_none(self, app, house, tokens_wanted):
        key = api_keys.create_api_key(house.admin, "test")
        headers = {"Authorization": f"Bearer {key}"}
        assert app.test_client().post("/api/v1/tags/", json={"name": "x"}, headers=headers).status_code == 201

    def test_a_made_up_key_does_not_stand_in_for_the_token(self, house, login, tokens_wanted):
        client = login(house.admin)
        for credential in ("portal_made-up", "nonsense"):
            headers = {"Authorization": f"Bearer {credential}"}
            assert client.post("/api/v1/tags/", json={"name": "x"}, headers=headers).status_code == 401
        assert db.session.query(Tag).count() == 0

    def test_key_decides_where_a_cookie_comes_along(self, house, login):
        key = api_keys.create_api_key(house.agent, "test")
        headers = {"Authorization": f"Bearer {key}"}
        assert (
            login(house.admin).post("/api/v1/tags/", json={"name": "x"}, headers=headers).status_code == 403
        )

    def test_looking_deletes_nothing(self, house, login):
        db.session.add(tag := Tag(name="refund"))
        db.session.commit()
        assert login(house.admin).get(f"/admin/tags/delete/{tag.id}").status_code == 405
        assert db.session.query(Tag).count() == 1

    def test_looking_acts_on_nothing(self, house, make, login):
        account = make.account(house.north)
        address = f"/admin/accounts/action/test_connection/{account.id}"
        assert login(house.admin).get(address).status_code == 405


class TestFilters:
    def test_filters_of_one_request_do_not_reach_another(self, app, real_commits, login):
        """One request waits at its query while another reads its own filters from the same view."""
        make = Factory()
        admin = make.agent("Admin", username="boss")
        db.session.add_all([Tag(name="apples"), Tag(name="pears")])
        db.session.commit()
        slow, quick = login(admin), login(admin)
        db.session.remove()
        is_waiting, may_go_on = threading.Event(), threading.Event()
        pages = {}

        def hold(_connection, _cursor, statement, _parameters, _context, _many):
            if threading.current_thread().name == "slow" and "FROM tag" in statement:
                is_waiting.set()
                assert may_go_on.wait(20)

        def ask(name, client):
            word = "apples" if name == "slow" else "pears"
            pages[name] = client.get(f"/admin/tags/list/?_flt_0_name={word}").get_data(as_text=True)

        event.listen(db.engine, "before_cursor_execute", hold)
        try:
            thread = threading.Thread(target=ask, args=("slow", slow), name="slow")
            thread.start()
            assert is_waiting.wait(20)
            other = threading.Thread(target=ask, args=("quick", quick), name="quick")
            other.start()
            other.join(20)
            may_go_on.set()
            thread.join(20)
        finally:
            event.remove(db.engine, "before_cursor_execute", hold)
        assert "apples" in pages["slow"]
        assert "pears" not in pages["slow"]
        assert "pears" in pages["quick"]
        assert "apples" not in pages["quick"]

    @pytest.mark.parametrize(
        "query",
        [
            "_flt_9_name=x",
            "_flt_0_unknown=x",
            "_flt_0_calendar=x",
            "_flt_0_calendar=99999999999999",
            "_flt_0_name=%00",
            "page_BranchView=x",
            "psize_BranchView=-5",
            "_oc_BranchView=nonsense&_od_BranchView=asc",
            "_oc_BranchView=signature_html&_od_BranchView=sideways",
        ],
    )
    def test_nonsense_in_the_address_breaks_nothing(self, query, house, login):
        assert login(house.admin).get(f"/admin/branches/list/?{query}").status_code == 200

    def test_signs_of_the_pattern_language_are_plain_text(self, house, login):
        db.session.add_all([Tag(name="a_b"), Tag(name="axb")])
        db.session.commit()
        page = login(house.admin).get("/admin/tags/list/?_flt_0_name=a_b").get_data(as_text=True)
        assert "axb" not in page

    def test_contains_is_offered_where_a_trigram_index_serves_it(self, app):
        offered = []
        for view in appbuilder.baseviews:
            rows = getattr(view, "datamodel", None)
            if rows is None or rows.obj.__tablename__ not in LARGE_TABLES:
                continue
            for name, filters in view._filters.get_search_filters().items():
                if any(isinstance(each, Contains) for each in filters):
                    offered.append(name)
                    assert is_searched_by_trigrams(rows.obj, name), (type(view).__name__, name)
        assert offered

    def test_short_search_of_a_large_table_is_answered_in_words(self, house, login, count_queries):
        with count_queries() as statements:
            page = login(house.admin).get("/admin/customers/list/?_flt_0_name=ab").get_data(as_text=True)
        assert "at least 3 letters" in page
        assert not any("ILIKE" in statement for statement in statements)

    def test_rest_filter_on_a_column_that_is_not_offered(self, house, login):
        query = "(filters:!((col:signature_html,opr:ct,value:x)))"
        assert login(house.admin).get(f"/api/v1/branches/?q={query}").status_code == 422


class TestCaps:
    @pytest.fixture
    def many_customers(self, database):
        rows = [
            {"name": f"Customer {number}", "language": "", "level": "", "notes": ""}
            for number in range(1_200)
        ]
        db.session.execute(insert(Customer), rows)
        db.session.commit()

    def test_page_size_is_capped(self, house, login, many_customers):
        client = login(house.admin)
        page = client.get("/admin/customers/list/?psize_CustomerView=5000").get_data(as_text=True)
        assert page.count("/admin/customers/show/") == 100
        answer = client.get("/api/v1/customers/?q=(page_size:5000)").json
        assert len(answer["result"]) == 100

    def test_count_stops_at_a_thousand(self, house, login, many_customers, count_queries):
        client = login(house.admin)
        with count_queries() as statements:
            page = client.get("/admin/customers/list/").get_data(as_text=True)
        assert "1,000+" in page
        counts = [statement for statement in statements if "count(*)" in statement]
        assert counts
        assert all("LIMIT" in statement for statement in counts)
        answer = client.get("/api/v1/customers/").json
        assert (answer["count"], answer["count_is_capped"]) == (1000, True)

    def test_depth_is_capped(self, house, login, many_customers, count_queries):
        client = login(house.admin)
        with count_queries() as statements:
            page = client.get("/admin/customers/list/?page_CustomerView=4000").get_data(as_text=True)
        assert "Narrow the search" in page
        assert "100000" not in "".join(statements)
        assert client.get("/api/v1/customers/?q=(page:4000)").status_code == 422

    def test_programs_read_on_after_the_last_id(self, house, login, many_customers):
        client = login(house.admin)
        first = client.get("/api/v1/customers/?q=(page_size:100)").json["ids"]
        query = f"(page_size:100,filters:!((col:id,opr:gt,value:{first[-1]})))"
        following = client.get(f"/api/v1/customers/?q={query}").json["ids"]
        assert following[0] > first[-1]
        assert len(following) == 100

    def test_order_by_a_column_without_index_is_ignored(self, house, login, many_customers, count_queries):
        client = login(house.admin)
        with count_queries() as statements:
            client.get("/admin/customers/list/?_oc_CustomerView=notes&_od_CustomerView=asc")
        assert not any("ORDER BY customer.notes" in statement for statement in statements)
        answer = client.get("/api/v1/customers/?q=(order_column:notes,order_direction:asc)")
        assert answer.status_code == 422

    def test_lists_leave_long_texts_in_the_database(self, house, make, login, count_queries):
        make.template()
        with count_queries() as statements:
            login(house.admin).get("/admin/templates/list/")
        assert not any("body_html" in statement for statement in statements)


class TestWrites:
    def test_rejected_edit_leaves_nothing_changed(self, house, login):
        client = login(house.admin)
        values = branch_values(house.north) | {"name": "Renamed", "fall_back_branch": house.north.id}
        page = client.post(f"/admin/branches/edit/{house.north.id}", data=values)
        assert "cannot fall back to itself" in page.get_data(as_text=True)
        assert "Renamed" in page.get_data(as_text=True), "what was typed is still there"
        assert not db.session.dirty
        db.session.commit()
        assert db.session.get(Branch, house.north.id).name == "North"

    def test_rejected_rest_edit_leaves_nothing_changed(self, house, login):
        body = {"name": "Renamed", "fall_back_branch": house.north.id}
        response = login(house.admin).put(f"/api/v1/branches/{house.north.id}", json=body)
        assert response.status_code == 422
        assert not db.session.dirty
        db.session.commit()
        assert db.session.get(Branch, house.north.id).name == "North"

    def test_duplicate_is_answered_in_words(self, house, login):
        db.session.add(Tag(name="refund"))
        db.session.commit()
        client = login(house.admin)
        page = client.post("/admin/tags/add", data={"name": "refund"}).get_data(as_text=True)
        assert "already one with this Name" in page
        answer = client.post("/api/v1/tags/", json={"name": "refund"})
        assert answer.status_code == 422
        assert "already one with this Name" in answer.json["message"]
        for text in (page, answer.get_data(as_text=True)):
            assert not DATABASE_TEXT.search(text)

    def test_row_in_use_is_kept(self, house, login):
        calendar = house.north.calendar
        client = login(house.admin)
        page = client.post(f"/admin/calendars/delete/{calendar.id}", follow_redirects=True)
        assert "still refer" in page.get_data(as_text=True)
        answer = client.delete(f"/api/v1/calendars/{calendar.id}")
        assert answer.status_code == 422
        assert not DATABASE_TEXT.search(answer.get_data(as_text=True))
        assert db.session.get(Calendar, calendar.id) is not None

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"name": None}, "name"),
            ({"name": "x" * 500}, "name"),
            ({"name": 5}, "name"),
            ({"unknown": 1}, "unknown"),
            ({"default_priority": "huge"}, "default_priority"),
            ({"time_zone": "Mars/Base"}, "time_zone"),
            ({"calendar": "x"}, "calendar"),
            ({"reopen_window_days": "many"}, "reopen_window_days"),
        ],
    )
    def test_rest_names_the_field_that_is_wrong(self, body, field, house, login):
        answer = login(house.admin).put(f"/api/v1/branches/{house.north.id}", json=body)
        assert answer.status_code == 422
        assert field in answer.json["message"]
        assert not DATABASE_TEXT.search(answer.get_data(as_text=True))

    def test_number_too_large_for_its_column(self, house, login):
        answer = login(house.admin).put(
            f"/api/v1/branches/{house.north.id}", json={"reopen_window_days": 10**12}
        )
        assert answer.status_code == 422
        assert not DATABASE_TEXT.search(answer.get_data(as_text=True))

    def test_rest_writes_to_the_row_of_its_own_request(self, app, real_commits, login):
        """FAB's schema keeps the row of whoever called last; two writers at once would meet there."""
        make = Factory()
        admin = make.agent("Admin", username="boss")
        tags = [Tag(name="one"), Tag(name="two")]
        db.session.add_all(tags)
        db.session.commit()
        ids = [tag.id for tag in tags]
        clients = [login(admin), login(admin)]
        db.session.remove()
        together = threading.Barrier(2, timeout=20)

        def hold(_connection, _cursor, statement, _parameters, _context, _many):
            if statement.startswith("SELECT tag.id") and threading.current_thread().name.startswith("writer"):
                together.wait()

        def write(index):
            for turn in range(5):
                clients[index].put(f"/api/v1/tags/{ids[index]}", json={"name": f"writer {index} turn {turn}"})

        event.listen(db.engine, "before_cursor_execute", hold)
        try:
            threads = [
                threading.Thread(target=write, args=(index,), name=f"writer {index}") for index in (0, 1)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
        finally:
            event.remove(db.engine, "before_cursor_execute", hold)
        names = {tag.id: tag.name for tag in db.session.query(Tag)}
        assert names == {ids[0]: "writer 0 turn 4", ids[1]: "writer 1 turn 4"}


def branch_values(branch):
    return {
        "name": branch.name,
        "code": branch.code,
        "time_zone": "UTC",
        "language": "en",
        "calendar": branch.calendar_id,
        "policy": branch.policy_id,
        "fall_back_branch": "__None",
        "default_priority": "normal",
        "assignment_strategy": "manual",
        "reopen_window_days": 14,
        "quotes_history": "y",
        "attachment_limit_mb": 20,
        "automatic_per_recipient": 5,
        "automatic_per_ticket": 3,
        "is_active": "y",
    }
