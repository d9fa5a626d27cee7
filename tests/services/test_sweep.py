"""Warnings and breaches fire once, whoever looks, and escalate."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from flask import Flask

from portal.extensions import db
from portal.models import Clock, Escalation, Event, Ticket
from portal.models.columns import now
from portal.services import events, sla, sweep, tickets
from tests.factory import Factory


def ticket_opened_before(make: Factory, minutes: int) -> Ticket:
    """A ticket of a branch with an hour for the first response, opened that many minutes ago, clocks as of then."""
    branch = make.branch()
    ticket = tickets.open_ticket(subject="Parcel", branch=branch, customer=make.customer())
    opened_at = now() - timedelta(minutes=minutes)
    db.session.flush()
    for event in events.of_ticket(ticket.id):
        db.session.delete(event)
    db.session.flush()
    events.record("ticket_opened", ticket=ticket, actor_kind="customer", occurred_at=opened_at)
    db.session.add(
        Clock(
            ticket_id=ticket.id,
            policy_id=ticket.policy_id,
            kind="first_response",
            state="running",
            target_seconds=3600,
            started_at=opened_at,
            due_at=opened_at + timedelta(minutes=60),
            warn_at=opened_at + timedelta(minutes=45),
            warnings=[[75, (opened_at + timedelta(minutes=45)).isoformat()]],
        )
    )
    db.session.commit()
    return ticket


def fired(ticket: Ticket) -> list[str]:
    return [
        event.kind
        for event in events.of_ticket(ticket.id, ["sla_warned", "sla_breached", "ticket_escalated"])
    ]


def test_nothing_fires_before_its_time(make: Factory) -> None:
    ticket = ticket_opened_before(make, 10)
    assert sweep.sweep() == 0
    assert fired(ticket) == []


def test_a_warning_fires_once(make: Factory) -> None:
    ticket = ticket_opened_before(make, 50)
    assert sweep.sweep() == 1
    assert sweep.sweep() == 0
    assert fired(ticket) == ["sla_warned"]


def test_a_breach_fires_once_with_its_true_time_and_escalates(make: Factory) -> None:
    ticket = ticket_opened_before(make, 70)
    sweep.sweep()
    sweep.sweep()
    assert sorted(fired(ticket)) == ["sla_breached", "sla_warned", "ticket_escalated"]
    breach = events.of_ticket(ticket.id, ["sla_breached"])[0]
    assert 590 <= breach.data["late_seconds"] <= 700
    db.session.refresh(ticket)
    assert (ticket.tier_level, ticket.is_breached) == (2, True)
    assert db.session.query(Escalation).filter_by(ticket_id=ticket.id).one().trigger == "sla_breach"


def test_recomputing_after_the_sweep_changes_nothing(make: Factory) -> None:
    ticket = ticket_opened_before(make, 70)
    sweep.sweep()
    sla.recompute(ticket)
    assert sla.recompute(ticket) is False
    assert db.session.query(Event).filter_by(ticket_id=ticket.id, kind="sla_breached").count() == 1


def test_racing_sweeps_fire_each_breach_once(app: Flask, real_commits: None) -> None:
    make = Factory()
    ids = [ticket_opened_before(make, 70).id for _ in range(12)]

    def look(_: int) -> int:
        with app.app_context():
            return sweep.sweep()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(look, range(8)))
    count = db.session.query(Event).filter(Event.ticket_id.in_(ids), Event.kind == "sla_breached").count()
    assert count == len(ids)
