"""The export of the queue: the same tickets, the same permissions, and a trace of who took it."""

import csv
import io
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.extensions import db
from portal.models import AuditEntry, Event, Tag
from portal.models.columns import now
from tests.factory import Factory


def numbers(client: FlaskClient, query: str = "") -> list[str]:
    answer = client.get(f"/queue/export.csv?{query}")
    assert answer.status_code == 200, answer.text
    return [row["Number"] for row in csv.DictReader(io.StringIO(answer.text, newline=""))]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "view=open",
        "view=mine",
        "view=unassigned",
        "view=breached",
        "view=all",
        "view=all&status=closed,pending",
        "view=all&priority=high&sort=activity",
        "view=all&tag=refund",
        "view=all&assignee=me",
        "view=all&text=parcel",
        "view=all&sla=late",
    ],
)
def test_the_file_holds_the_tickets_of_the_list_in_its_order(
    make: Factory, login: Callable, query: str
) -> None:
    from flask import current_app

    from portal.views.console import lists
    from portal.views.console.queue import wanted_list

    branch = make.branch()
    agent = make.agent(branch=branch)
    tag = Tag(name="refund")
    for index, status in enumerate(("new", "open", "pending", "closed", "open", "spam")):
        ticket = make.ticket(
            branch,
            status=status,
            subject=f"{'Parcel' if index % 2 else 'Invoice'} {index}",
            priority="high" if index % 3 == 0 else "normal",
            assignee_id=agent.id if index % 2 else None,
            is_breached=index == 1,
        )
        if index < 3:
            ticket.tags = [tag]
    db.session.commit()
    client = login(agent)
    exported = numbers(client, query)
    with current_app.test_request_context(f"/queue?{query}"):
        from flask_login import login_user

        login_user(agent)
        page = lists.page_of(wanted_list(), agent)
        shown = [str(ticket.number) for ticket in page.tickets]
    assert exported == shown
    assert exported or query == "view=all&text=parcel"


def test_an_agent_of_another_branch_gets_none_of_it(make: Factory, login: Callable) -> None:
    ticket = make.ticket(status="open")
    stranger = make.agent(branch=make.branch())
    client = login(stranger)
    assert numbers(client, "view=all") == []
    assert client.get(f"/queue/export.csv?branch={ticket.branch_id}").status_code == 404


def test_an_auditor_gets_every_branch(make: Factory, login: Callable) -> None:
    expected = {str(make.ticket(status="open").number) for _ in range(3)}
    assert set(numbers(login(make.agent("Auditor")), "view=all")) == expected


def test_someone_who_is_not_signed_in_gets_nothing(client: FlaskClient, make: Factory) -> None:
    make.ticket(status="open")
    answer = client.get("/queue/export.csv")
    assert answer.status_code in (302, 401)
    assert "Number" not in answer.text


def test_a_filter_that_cannot_be_read_is_refused_in_words(make: Factory, login: Callable) -> None:
    answer = login(make.agent(branch=make.branch())).get("/queue/export.csv?status=lost")
    assert answer.status_code == 422
    assert "lost" in answer.text
    assert db.session.query(Event).filter_by(kind="list_exported").count() == 0


def test_the_answer_is_a_file_to_be_kept(make: Factory, login: Callable) -> None:
    answer = login(make.agent(branch=make.branch())).get("/queue/export.csv?bom=1")
    assert answer.data.startswith(b"\xef\xbb\xbfNumber,")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="tickets-')


def test_who_took_which_list_is_in_the_ledger_and_the_audit(make: Factory, login: Callable) -> None:
    agent = make.agent(branch=make.branch())
    numbers(login(agent), "view=all&status=closed")
    event = db.session.query(Event).filter_by(kind="list_exported").one()
    assert event.actor_id == agent.id
    assert event.data == {"list": "tickets", "format": "csv", "filter": {"view": "all", "status": "closed"}}
    entry = db.session.query(AuditEntry).filter_by(action="exported").one()
    assert (entry.actor_id, entry.object_type) == (agent.id, "ticket")


def test_the_list_goes_out_after_the_request_has_ended(
    app: Flask, real_commits: None, login: Callable
) -> None:
    """Without the context that tests hold open, the request's session is gone when the file is read."""
    make = Factory()
    branch = make.branch()
    agent = make.agent(branch=branch)
    make.tickets(200, branch, status="open", subject="x" * 2_000)
    db.session.commit()
    client = login(agent)
    lines: list[int] = []
    reader = threading.Thread(target=lambda: lines.append(len(numbers(client, "view=all"))), daemon=True)
    reader.start()
    reader.join(timeout=30)
    assert lines == [200]


def test_the_desks_own_fields_are_columns(make: Factory, login: Callable) -> None:
    colours = [{"key": key, "label": key.title(), "is_active": True} for key in ("blue", "red")]
    branch = make.branch()
    make.field("order", name="=Order: 100 % of “it”", position=1)
    make.field("amount", kind="number")
    make.field("bought", kind="date")
    make.field("insured", kind="yes_no")
    make.field("colour", kind="choice", choices=colours)
    make.field("colours", kind="choices", choices=colours)
    make.field("gone", is_active=False)
    make.field("foreign", branches=[make.branch()])
    values = {
        "order": "=1+1",
        "amount": -9.5,
        "bought": "2026-11-03",
        "insured": False,
        "colour": "gold",
        "colours": ["blue", "red"],
        "gone": "x",
    }
    make.ticket(branch, status="open", fields=values, created_at=now())
    make.ticket(branch, status="open", created_at=now() - timedelta(days=1))
    client = login(make.agent(branch=branch))
    answer = client.get("/queue/export.csv?view=open&sort=newest&field.amount.to=0")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    own = list(rows[0])[-6:]
    assert own == ["'=Order: 100 % of “it”", "Amount", "Bought", "Colour", "Colours", "Insured"]
    assert [[row[name] for name in own] for row in rows] == [
        ["'=1+1", "-9.5", "2026-11-03", "gold", "Blue; Red", "No"]
    ]
    assert len(numbers(client, "view=open")) == 2
