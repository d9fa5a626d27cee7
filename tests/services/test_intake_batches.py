"""Mails that are processed together become what each would have become alone, in few statements."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from portal.channels.base import IncomingBytes
from portal.extensions import db
from portal.models import (
    Attachment,
    Clock,
    Customer,
    Delivery,
    Event,
    InboxItem,
    Message,
    RoutingRule,
    Ticket,
)
from portal.models.columns import now
from portal.services import intake
from tests.factory import Factory

DESK, SECOND_DESK = "desk@portal.test", "second@portal.test"


def test_an_answer_is_not_placed_before_the_mail_that_it_answers(app: Flask, make: Factory) -> None:
    make.account(make.branch(), address=DESK)
    middle = mail(2, "zoe@customer.test", "References: <root@customer.test>")
    answer = mail(3, "ann@customer.test", "In-Reply-To: <2@customer.test>")
    with in_hand_elsewhere(app, "root@customer.test"):
        accept(middle, answer, mail(4, "stranger@customer.test"))
        intake.process_waiting(most_seconds=0.001)
        assert states() == ["accepted", "accepted", "processed"]
    intake.process_waiting()
    assert [ticket.message_count for ticket in db.session.scalars(select(Ticket).order_by(Ticket.id))] == [
        1,
        2,
    ]


def test_a_batch_makes_what_its_mails_make_one_by_one(make: Factory) -> None:
    branch = make.branch()
    make.account(branch, address=DESK)
    make.account(branch, address=SECOND_DESK)
    db.session.add(
        RoutingRule(
            name="Urgent",
            position=1,
            conditions={"field": "subject", "operator": "contains", "value": "urgent"},
            branch_id=branch.id,
            priority="urgent",
            tags=["fire"],
        )
    )
    db.session.commit()
    accept(*stories("a"))
    for item_id in list(db.session.scalars(select(InboxItem.id).order_by(InboxItem.id))):
        intake.process(item_id)
    alone = told("a")
    accept(*stories("b"))
    assert intake.process_waiting() == len(stories("b"))
    assert told("b") == alone
    assert [each["count"] for each in alone] == [3, 1, 1]
    assert alone[1]["tags"] == ["fire"]


def test_a_batch_costs_no_more_statements_for_being_large(
    make: Factory,
    monkeypatch: pytest.MonkeyPatch,
    count_queries: Callable[[], AbstractContextManager[list[str]]],
) -> None:
    monkeypatch.setattr(intake, "SHARES", 1)
    branch = make.branch(
        sends_acknowledgement=True, acknowledgement_html="<p>{{ customer.email }} {{ branch.email }}</p>"
    )
    make.account(branch, address=DESK)
    counts = []
    for size, first in ((10, 1_000), (60, 2_000)):
        accept(
            *(mail(first + number, f"c{first + number}@customer.test") for number in range(size)),
            *(
                mail(
                    first + 500 + number, "x@customer.test", f"In-Reply-To: <{first + number}@customer.test>"
                )
                for number in range(size // 2)
            ),
        )
        with count_queries() as statements:
            intake.process_waiting()
        counts.append(len(statements))
    assert set(states()) == {"processed"}
    sent = select(Message.text, Delivery.recipient).join(Delivery).where(Message.is_automatic)
    found = rows_of(sent.order_by(Message.id))
    assert len(found) == 70
    assert all(words.split() == [recipient, DESK] for words, recipient in found)
    assert counts[1] <= counts[0] < 60


def stories(run: str) -> list[bytes]:
    """An opening, its answer, the same mail by two mailboxes, one with a file, and one that a rule tags."""
    zoe, max_ = f"zoe-{run}@customer.test", f"max-{run}@customer.test"
    opening = mail(f"{run}1", zoe)
    return [
        opening,
        mail(f"{run}2", zoe, f"In-Reply-To: <{run}1@customer.test>"),
        mail(f"{run}3", max_, subject="urgent matter"),
        opening.replace(DESK.encode(), SECOND_DESK.encode()),
        mail(f"{run}4", zoe, f"References: <{run}1@customer.test> <{run}2@customer.test>"),
        mail(f"{run}5", f"eva-{run}@customer.test", with_file=True),
    ]


def told(run: str) -> list[dict[str, Any]]:
    """Every ticket of that run with what hangs on it, without ids and times."""
    of_run = select(Customer.id).where(Customer.name.endswith(f"-{run}"))
    found = db.session.scalars(
        select(Ticket).where(Ticket.customer_id.in_(of_run)).order_by(Ticket.id), execution_options={}
    )
    return [
        {
            "subject": ticket.subject,
            "status": ticket.status,
            "priority": ticket.priority,
            "count": ticket.message_count,
            "revision_moved": ticket.revision > 0,
            "tags": [tag.name for tag in ticket.tags],
            "due": ticket.next_due_kind,
            "unread": ticket.unread_since is not None,
            "snippet": ticket.snippet,
            "messages": rows_of(
                select(
                    Message.subject,
                    Message.thread_rule,
                    Message.thread_evidence.has_key("also_received_at"),
                    Message.inbox_item_id.is_not(None),
                    select(Attachment.name).where(Attachment.message_id == Message.id).scalar_subquery(),
                )
                .where(Message.ticket_id == ticket.id)
                .order_by(Message.id)
            ),
            "facts": sorted(rows_of(select(Event.kind).where(Event.ticket_id == ticket.id))),
            "clocks": sorted(rows_of(select(Clock.kind, Clock.state).where(Clock.ticket_id == ticket.id))),
        }
        for ticket in found
    ]


def rows_of(found: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in db.session.execute(found)]


def states() -> list[str]:
    return list(db.session.scalars(select(InboxItem.state).order_by(InboxItem.id)))


def accept(*raws: bytes) -> None:
    for raw in raws:
        intake.accept(IncomingBytes(f"test:{hash(raw)}", "email", None, "", (), now(), raw))


@contextmanager
def in_hand_elsewhere(app: Flask, message_id: str) -> Iterator[None]:
    """Another worker is at the thread of that mail."""
    address = app.config["SQLALCHEMY_DATABASE_URI"].replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(address) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [message_id])
        yield


def mail(
    number: int | str, sender: str, *headers: str, subject: str = "Matter", with_file: bool = False
) -> bytes:
    lines = [
        f"From: {sender.partition('@')[0]} <{sender}>",
        f"To: {DESK}",
        f"Subject: {subject}",
        f"Message-ID: <{number}@customer.test>",
        *headers,
    ]
    if not with_file:
        return "\r\n".join([*lines, "", "Hello"]).encode()
    return "\r\n".join(
        [
            *lines,
            'Content-Type: multipart/mixed; boundary="b"',
            "",
            "--b",
            "",
            "Hello",
            "--b",
            'Content-Disposition: attachment; filename="receipt.txt"',
            "",
            "paid",
            "--b--",
        ]
    ).encode()
