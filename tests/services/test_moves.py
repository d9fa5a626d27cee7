"""Every move between two statuses, by every door: what the pure table allows happens once, what it refuses leaves the
ticket as it was and gives the table's reason."""

import html
import re
from itertools import product

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.errors import UserFault
from portal.extensions import db
from portal.models import Branch, Ticket, User
from portal.rules.bulk import SetStatus
from portal.rules.lifecycle import STATUSES, Lifecycle, check_transition
from portal.services import bulk, events, lifecycle, tickets
from tests.factory import Factory

MOVES = list(product(STATUSES, STATUSES))
every_move = pytest.mark.parametrize(("before", "after"), MOVES, ids=[f"{a}-{b}" for a, b in MOVES])
PARTIAL = {"X-Partial": "1"}


@pytest.fixture
def branch(make: Factory) -> Branch:
    return make.branch()


@pytest.fixture
def ann(make: Factory, branch: Branch) -> User:
    return make.agent(branch=branch, username="ann")


def check(ticket: Ticket, before: str, after: str, said: str) -> None:
    """The ticket and its ledger are as the table says; `said` is what the door answered where it refused."""
    db.session.expire_all()
    decision = check_transition(before, after, Lifecycle())
    moves = [event.data for event in events.of_ticket(ticket.id, ["status_changed"])]
    if decision.rule == "allowed":
        assert ticket.status == after
        assert [(move["from"], move["to"]) for move in moves] == [(before, after)]
        return
    assert (ticket.status, ticket.revision, moves) == (before, 0, [])
    if not decision.allowed:
        assert decision.reason in said


@every_move
def test_by_the_service(make: Factory, branch: Branch, ann: User, before: str, after: str) -> None:
    ticket = make.ticket(branch, status=before)
    said = ""
    try:
        tickets.set_status(ticket, after, ann)
    except UserFault as fault:
        said = str(fault)
    check(ticket, before, after, said)


@every_move
def test_by_the_page(make: Factory, branch: Branch, ann: User, login, before: str, after: str) -> None:
    ticket = make.ticket(branch, status=before)
    answer = login(ann).post(f"/tickets/{ticket.number}/status", data={"status": after}, headers=PARTIAL)
    assert answer.status_code == (200 if check_transition(before, after, Lifecycle()).allowed else 422)
    check(ticket, before, after, html.unescape(answer.get_data(as_text=True)))


@every_move
def test_by_the_queue(make: Factory, branch: Branch, ann: User, login, before: str, after: str) -> None:
    ticket = make.ticket(branch, status=before)
    client: FlaskClient = login(ann)
    asked = {"do": "status", "numbers": str(ticket.number), "status": after}
    page = client.post("/queue/bulk/plan", data=asked, headers=PARTIAL).get_data(as_text=True)
    seen = re.findall(r'name="seen" value="([^"]*)"', page)
    # Whoever sends the form without having seen a preview that offers it is refused likewise.
    marks = seen or [f"{ticket.number}:0"]
    answer = client.post("/queue/bulk", data={**asked, "seen": marks}, headers=PARTIAL)
    assert answer.status_code == 200
    check(ticket, before, after, html.unescape(page))


@every_move
def test_by_the_bulk_service(make: Factory, branch: Branch, ann: User, before: str, after: str) -> None:
    ticket = make.ticket(branch, status=before)
    (planned,) = bulk.plan(ann, [ticket.number], SetStatus(after))
    done = bulk.apply(ann, {ticket.number: planned.change.mark}, SetStatus(after))
    assert (ticket.number in done.changed) is (check_transition(before, after, Lifecycle()).rule == "allowed")
    check(ticket, before, after, str(done.left.get(ticket.number, "")))


@every_move
def test_by_the_command_line(
    app: Flask, make: Factory, branch: Branch, ann: User, before: str, after: str
) -> None:
    ticket = make.ticket(branch, status=before)
    done = app.test_cli_runner().invoke(args=["status", str(ticket.number), after, "--as", "ann"])
    assert (done.exit_code == 0) is check_transition(before, after, Lifecycle()).allowed
    check(ticket, before, after, done.output)


@pytest.mark.parametrize("method", ["put", "patch", "post", "delete"])
def test_programs_only_read_tickets(make: Factory, branch: Branch, ann: User, login, method: str) -> None:
    ticket = make.ticket(branch, status="open")
    for address in (f"/api/v1/tickets/{ticket.id}", "/api/v1/tickets/"):
        answer = getattr(login(ann), method)(address, json={"status": "resolved"})
        assert answer.status_code in (403, 404, 405)
    check(ticket, "open", "open", "")


@pytest.mark.parametrize(
    ("before", "after", "is_allowed"),
    [
        ("pending", "resolved", False),
        ("pending", "open", True),
        ("spam", "on_hold", True),
        ("closed", "open", False),
    ],
)
def test_the_moves_that_admins_chose_hold_at_every_door(
    app: Flask, make: Factory, branch: Branch, login, before: str, after: str, is_allowed: bool
) -> None:
    ann = make.agent(branch=branch, username="ann")
    life = lifecycle.current()
    moves = {
        **life.moves,
        "pending": {"open", "closed"},
        "spam": {"open", "trash", "on_hold"},
        "closed": frozenset[str](),
    }
    lifecycle.configure(lifecycle.Wanted({"open": "In work"}, moves), make.agent("Admin"))
    said = []
    doors = [make.ticket(branch, status=before) for _ in range(4)]
    service, page, queue, command = doors
    try:
        tickets.set_status(service, after, ann)
    except UserFault as fault:
        said.append(str(fault))
    answer = login(ann).post(f"/tickets/{page.number}/status", data={"status": after}, headers=PARTIAL)
    said += [html.unescape(answer.get_data(as_text=True))] if answer.status_code == 422 else []
    (planned,) = bulk.plan(ann, [queue.number], SetStatus(after))
    said += bulk.apply(ann, {queue.number: planned.change.mark}, SetStatus(after)).left.values()
    done = app.test_cli_runner().invoke(args=["status", str(command.number), after, "--as", "ann"])
    said += [done.output] if done.exit_code else []
    db.session.expire_all()
    assert [ticket.status for ticket in doors] == [after if is_allowed else before] * 4
    assert len(said) == (0 if is_allowed else 4)
    reason = check_transition(before, after, lifecycle.current()).reason
    assert all(reason in each for each in said)
