"""What stands in the file, row by row."""

import csv
import io
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Select, func, select, text

from portal.extensions import db
from portal.models import Tag, Ticket
from portal.services import exports
from tests.factory import Factory


def rows_of(tickets: Select[Any], **options: Any) -> list[dict[str, str]]:
    content = b"".join(exports.stream_tickets(tickets, **options)).decode()
    return list(csv.DictReader(io.StringIO(content, newline="")))


def test_every_column_says_what_the_queue_says(make: Factory) -> None:
    branch = make.branch(name="Leeds")
    agent = make.agent(branch=branch, username="tom", first_name="Tom")
    opened = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    ticket = make.ticket(
        branch,
        make.customer("Zoë Müller", "zoe@customer.test"),
        subject='Parcel, "not" here\nat all',
        status="pending",
        priority="high",
        type="feature_request",
        tier_level=2,
        assignee_id=agent.id,
        created_at=opened,
        last_activity_at=opened,
        first_responded_at=opened + timedelta(minutes=14),
        next_due_at=opened + timedelta(hours=1),
        message_count=3,
    )
    ticket.tags = [Tag(name="refund"), Tag(name="delivery")]
    db.session.flush()

    (row,) = rows_of(select(Ticket))

    assert row == {
        "Number": str(ticket.number),
        "Subject": 'Parcel, "not" here\nat all',
        "Status": "Waiting on customer",
        "Priority": "High",
        "Type": "feature request",
        "Severity": "",
        "Branch": "Leeds",
        "Tier": "2",
        "Assignee": "Tom Tom",
        "Customer": "Zoë Müller",
        "Address": "zoe@customer.test",
        "Channel": "email",
        "Created": "2026-03-02 09:30:00+00",
        "Last activity": "2026-03-02 09:30:00+00",
        "First response": "2026-03-02 09:44:00+00",
        "First response seconds": "840",
        "Due": "2026-03-02 10:30:00+00",
        "Late": "f",
        "Resolved": "",
        "Closed": "",
        "Messages": "3",
        "Reopened": "0",
        "Tags": "delivery; refund",
    }


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_cell_that_a_spreadsheet_would_run_gets_an_apostrophe(make: Factory, sign: str) -> None:
    evil = f"{sign}HYPERLINK(1)"
    ticket = make.ticket(make.branch(name=evil), make.customer(evil, f"{sign}x@evil.test"), subject=evil)
    ticket.tags = [Tag(name=evil)]
    db.session.flush()
    (row,) = rows_of(select(Ticket))
    for column in ("Subject", "Branch", "Customer", "Tags"):
        assert row[column] == "'" + evil, column
    assert row["Address"] == f"'{sign}x@evil.test"


@pytest.mark.parametrize("subject", ["a=b", "Re: -", "'quoted'", " =1", "1-2", ""])
def test_other_cells_stay_as_they_are(make: Factory, subject: str) -> None:
    make.ticket(subject=subject)
    (row,) = rows_of(select(Ticket))
    assert row["Subject"] == subject


def test_the_byte_order_mark_comes_first_and_only_when_asked_for(make: Factory) -> None:
    make.ticket()
    plain = b"".join(exports.stream_tickets(select(Ticket)))
    marked = b"".join(exports.stream_tickets(select(Ticket), has_bom=True))
    assert plain.startswith(b"Number,Subject,")
    assert marked == b"\xef\xbb\xbf" + plain


def test_an_empty_list_is_a_file_with_its_header(make: Factory) -> None:
    content = b"".join(exports.stream_tickets(select(Ticket)))
    assert content.count(b"\n") == 1


@pytest.mark.parametrize(
    "subject", ["O'Hara; DROP TABLE ticket; --", "100 %", "%s %(x)s", "a\\b", "$1 {0} :name"]
)
def test_values_of_the_filter_are_bound_whatever_they_hold(make: Factory, subject: str) -> None:
    make.ticket(subject=subject)
    make.ticket(subject="another")
    found = rows_of(select(Ticket).where(Ticket.subject.in_([subject]), Ticket.subject == subject))
    assert [row["Subject"] for row in found] == [subject]


def test_a_customer_with_two_addresses_is_one_row_with_the_first(make: Factory) -> None:
    from portal.models import Identity

    customer = make.customer(address="first@customer.test")
    db.session.add(Identity(customer_id=customer.id, kind="email", address="second@customer.test"))
    make.ticket(customer=customer)
    (row,) = rows_of(select(Ticket))
    assert row["Address"] == "first@customer.test"


def test_a_reader_who_goes_away_leaves_a_usable_connection(make: Factory) -> None:
    branch = make.branch()
    make.tickets(20, branch, subject="x" * 40_000)
    db.session.commit()
    chunks = exports.stream_tickets(select(Ticket))
    assert len(next(chunks)) < 200_000
    chunks.close()
    with pytest.raises(StopIteration):
        next(chunks)
    assert db.session.scalar(select(func.count()).select_from(Ticket)) == 20


def test_memory_stays_flat_however_long_the_list_is(make: Factory) -> None:
    branch, customer = make.branch(), make.customer()
    db.session.execute(
        text(
            """
            INSERT INTO ticket (subject, status, priority, type, severity, language, branch_id, tier_level,
                customer_id, channel_kind, last_activity_at, snippet, is_last_message_ours, message_count,
                reopened_count, is_breached, is_paused, revision)
            SELECT repeat('words ', 80), 'open', 'normal', 'question', 'none', '', :branch_id, 1, :customer_id,
                'email', now(), '', false, 1, 0, false, false, 0
            FROM generate_series(1, 20000)
            """
        ),
        {"branch_id": branch.id, "customer_id": customer.id},
    )
    size = 0
    tracemalloc.start()
    try:
        for chunk in exports.stream_tickets(select(Ticket)):
            size += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 10_000_000
    assert peak < 1_500_000
