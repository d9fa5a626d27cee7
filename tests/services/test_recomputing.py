"""What is stored of clocks is what the ledger says; where it is not, computing anew finds and mends it."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from portal.extensions import db
from portal.models import Clock, Ticket
from portal.services import recomputing, sla, tickets
from tests.factory import Factory


@pytest.fixture
def measured(make: Factory) -> list[Ticket]:
    """Tickets in several states, their clocks as everyday work has left them."""
    branch = make.branch(policy=make.policy())
    agent = make.agent(branch=branch)
    found = []
    for status in ("open", "pending", "resolved", "closed", "spam"):
        ticket = tickets.open_ticket(subject=status, branch=branch, customer=make.customer())
        sla.refresh(ticket)
        db.session.commit()
        tickets.set_status(ticket, status, agent)
        found.append(ticket)
    return found


def test_nothing_differs_where_nobody_meddled(measured: list[Ticket]) -> None:
    looked = list(recomputing.recompute_all())
    assert [(each.many, each.differing) for each in looked] == [(len(measured), ())]


def test_what_was_meddled_with_is_found_and_mended(
    measured: list[Ticket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recomputing, "BATCH", 2)
    number, ticket_id = measured[0].number, measured[0].id
    clock = db.session.scalars(select(Clock).where(Clock.ticket_id == ticket_id)).first()
    assert clock is not None
    clock.started_at += timedelta(hours=1)
    db.session.commit()
    looked = list(recomputing.recompute_all())
    assert sum(each.many for each in looked) == len(measured)
    assert [number for each in looked for number in each.differing] == [number]
    assert [each.differing for each in recomputing.recompute_all()] == [()] * len(looked)
    # Broken off, it goes on where it was.
    assert sum(each.many for each in recomputing.recompute_all(looked[0].last_id)) == len(measured) - 2


def test_the_command_says_what_it_found(app: Flask, measured: list[Ticket]) -> None:
    done = app.test_cli_runner().invoke(args=["recompute-clocks"])
    assert done.exit_code == 0
    assert f"The clocks of {len(measured)} tickets are as the ledger says." in done.output


@pytest.mark.parametrize(
    ("role", "status"), [("Admin", 303), ("Lead", 403), ("Agent", 403), ("Auditor", 403)]
)
def test_admins_compute_one_ticket_anew(
    measured: list[Ticket], make: Factory, login, role: str, status: int
) -> None:
    ticket = measured[0]
    client = login(make.agent(role, db.session.get_one(Ticket, ticket.id).branch))
    address = f"/tickets/{ticket.number}/clocks"
    assert ("Compute anew" in client.get(address).get_data(as_text=True)) is (role == "Admin")
    assert client.post(address).status_code == status
    if role == "Admin":
        page = client.get(f"/tickets/{ticket.number}").get_data(as_text=True)
        assert "Computed anew from the ledger: nothing changed." in page
