"""Rows that are written past the session are the same rows."""

from datetime import UTC, datetime

from sqlalchemy import select

from portal.extensions import db
from portal.models import Customer, Identity, Message, Ticket
from portal.services import rows
from tests.factory import Factory


def test_an_inserted_row_is_like_one_of_the_session(make: Factory) -> None:
    ticket = make.ticket()
    words = {
        "ticket_id": ticket.id,
        "direction": "in",
        "from_name": 'Zoë "Z" \\ O\'Neil',
        "to": [{"name": "Ärzte", "address": "a@b.test"}],
        "references_headers": ["1@x", 'odd,"{}@y'],
        "text": "line\nline\ttab 😀",
        "thread_evidence": {"reason": "ü", "nested": [1, None, True]},
        "created_at": datetime(2026, 11, 23, 12, 30, 15, 123456, tzinfo=UTC),
    }
    by_session = Message(**words)
    db.session.add(by_session)
    db.session.flush()
    [past_id] = rows.reserve_ids(Message, 1)
    rows.insert([rows.new(Message, id=past_id, **words)])
    columns = [column for column in Message.__table__.columns if column.name != "id"]
    found = db.session.execute(select(*columns).where(Message.id.in_([by_session.id, past_id]))).all()
    assert len(found) == 2
    assert found[0] == found[1]


def test_an_adopted_row_is_changed_by_the_session(make: Factory) -> None:
    [customer_id] = rows.reserve_ids(Customer, 1)
    customer = rows.new(Customer, id=customer_id, name="Zoe")
    rows.insert([customer])
    rows.adopt(customer)
    customer.name = "Ann"
    db.session.commit()
    assert db.session.scalar(select(Customer.name).where(Customer.id == customer_id)) == "Ann"


def test_what_changed_is_written_once_and_nothing_else(make: Factory, count_queries) -> None:
    tickets = [make.ticket(), make.ticket(), make.ticket()]
    before = [ticket.subject for ticket in tickets]
    tickets[0].snippet, tickets[1].message_count = "Hello", 7
    with count_queries() as statements:
        rows.update_changed(tickets)
        db.session.flush()
    assert len(statements) == 1
    db.session.expire_all()
    assert [ticket.subject for ticket in tickets] == before
    assert [(ticket.snippet, ticket.message_count) for ticket in tickets[:2]] == [
        ("Hello", tickets[0].message_count),
        (tickets[1].snippet, 7),
    ]


def test_a_row_that_is_there_is_set_and_another_inserted(make: Factory) -> None:
    customer = make.customer(address="zoe@customer.test")
    other = make.customer(address="max@customer.test")
    key = ("kind", "address")
    values = {"kind": "email", "customer_id": other.id, "suppressed_reason": ""}
    rows.upsert(
        Identity,
        key,
        [{**values, "address": "zoe@customer.test"}, {**values, "address": "eva@customer.test"}],
    )
    found = db.session.execute(select(Identity.address, Identity.customer_id))
    owners = {row.address: row.customer_id for row in found}
    assert owners["zoe@customer.test"] == owners["eva@customer.test"] == other.id != customer.id


def test_nothing_costs_nothing(app, database, count_queries) -> None:
    with count_queries() as statements:
        rows.insert([])
        rows.update(Ticket, [])
        rows.upsert(Ticket, ("id",), [])
        rows.update_changed([])
    assert statements == []
