"""Every page of the admin opens, in few queries, on a database with something in it."""

import pytest

from portal.extensions import appbuilder, db
from portal.models import AuditEntry, Delivery, InboxItem, OutboxItem, RoutingRule, Tag
from portal.services import events
from portal.views.admin.contents import APIS, SECTIONS
from portal.views.admin.rows import LARGE_TABLES, is_ordered_by_index

PAGES = [view for section in SECTIONS for view in section.views]
MOST_QUERIES = 12


@pytest.fixture
def full_house(house, make):
    """Thirty rows of everything that a list shows, so that a query per row would be seen."""
    customer = make.customer()
    account = make.account(house.north)
    for number in range(30):
        ticket = make.ticket(house.north, make.customer(f"Customer {number}"))
        message = make.message(ticket, "out")
        events.record("ticket_opened", ticket=ticket, actor=house.agent)
        inbox = {"source_key": f"key {number}", "raw": b"mail", "size_bytes": 4, "sha256": "0" * 64}
        item = OutboxItem(message_id=message.id, account_id=account.id)
        db.session.add_all([InboxItem(account_id=account.id, ticket_id=ticket.id, **inbox), item])
        db.session.flush()
        db.session.add(Delivery(outbox_item_id=item.id, message_id=message.id, recipient="ada@customer.test"))
        db.session.add_all(
            [Tag(name=f"tag {number}"), RoutingRule(name=f"rule {number}", branch=house.north)]
        )
        db.session.add(
            AuditEntry(actor_id=house.admin.id, action="changed", object_type="tag", object_id="1")
        )
        template = make.template(branches=[house.north, house.south], owner=house.admin)
        make.agent("Agent", house.north)
    db.session.commit()
    return {"customer": customer, "account": account, "template": template}


@pytest.mark.parametrize("view", PAGES, ids=lambda view: view.__name__)
def test_list_is_few_queries(view, full_house, house, login, count_queries):
    client = login(house.admin)
    with count_queries() as statements:
        response = client.get(f"{view.route_base}/list/")
    assert response.status_code == 200
    assert len(statements) <= MOST_QUERIES, "\n".join(statements)


@pytest.mark.parametrize("view", PAGES, ids=lambda view: view.__name__)
def test_detail_and_forms_are_few_queries(view, full_house, house, login, count_queries):
    instance = next(each for each in appbuilder.baseviews if type(each) is view)
    client = login(house.admin)
    row = db.session.query(view.datamodel.obj).first()
    pages = ["show", "edit"] if "edit" not in instance.exclude_route_methods else ["show"]
    if row is not None:
        addresses = [f"{view.route_base}/{page}/{instance.datamodel.get_pk_value(row)}" for page in pages]
    else:
        addresses = []
    if "add" not in instance.exclude_route_methods:
        addresses.append(f"{view.route_base}/add")
    db.session.expire_all()
    for address in addresses:
        with count_queries() as statements:
            response = client.get(address)
        assert response.status_code == 200, address
        assert len(statements) <= MOST_QUERIES, address + "\n" + "\n".join(statements)


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.resource_name)
def test_rest_list_is_few_queries(api, full_house, house, login, count_queries):
    client = login(house.admin)
    with count_queries() as statements:
        response = client.get(f"/api/v1/{api.resource_name}/")
    assert response.status_code == 200
    assert response.json["count"] == len(response.json["result"]) or response.json["count"] > 25
    assert len(statements) <= MOST_QUERIES, "\n".join(statements)


def test_landing_page_asks_only_who_it_is(house, login, count_queries):
    client = login(house.admin)
    with count_queries() as statements:
        page = client.get("/admin/").get_data(as_text=True)
    assert "Branches" in page
    assert "Ledgers" in page
    # Who it is, and what a desk still needs.
    assert len(statements) <= 3, "\n".join(statements)


def test_large_tables_are_ordered_by_indexes_only(app):
    checked = 0
    for view in appbuilder.baseviews:
        rows = getattr(view, "datamodel", None)
        if rows is None or rows.obj.__tablename__ not in LARGE_TABLES:
            continue
        checked += 1
        for name in (*view.order_columns, view.base_order[0]):
            assert is_ordered_by_index(rows.obj, name), f"{type(view).__name__}: {name}"
    assert checked >= 7


def test_empty_list_says_what_to_do(house, login):
    page = login(house.admin).get("/admin/tags/list/").get_data(as_text=True)
    assert "No tags yet" in page


def test_rest_describes_itself(house, login):
    described = login(house.agent).get("/api/v1/_openapi").json
    assert "/api/v1/tickets/" in described["paths"]
    assert "post" not in described["paths"]["/api/v1/tickets/"]
