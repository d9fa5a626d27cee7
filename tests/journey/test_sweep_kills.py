"""Clocks that come due, while four workers race for them and die at every step of the way."""

import os
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.extensions import db
from portal.models import Clock, Escalation, Event, Notification, Ticket
from portal.models.columns import now
from portal.services import recomputing, sla, tickets
from tests.factory import Factory
from tests.journey.conftest import ROOT

pytestmark = pytest.mark.journey

TICKETS, LEAST_KILLS, MOST_SECONDS = 120, 60, 240
# Minutes of the policy, and the percentages at which people are told.
FIRST, RESOLUTION, WARNINGS = 60, 480, [50, 75, 90]


def test_each_level_of_each_clock_fires_once_however_often_workers_die(
    app: Flask, real_commits: None, tmp_path: Path
) -> None:
    make = Factory()
    policy = make.policy(
        first_response_minutes=FIRST,
        resolution_minutes=RESOLUTION,
        is_business_time=False,
        warning_percents=WARNINGS,
    )
    branch = make.branch(policy=policy)
    ana, _second = make.agent(branch=branch), make.agent(branch=branch, tier=2)
    customer = make.customer()
    # As after two hours without power: the first response is late, of the resolution nothing has come due.
    opened_at = now() - timedelta(hours=2)
    for _ in range(TICKETS):
        ticket = tickets.open_ticket(subject="x", branch=branch, customer=customer, opened_at=opened_at)
        ticket.assignee_id = ana.id
        sla.refresh(ticket)
    db.session.commit()
    # What computing them has found already is what the sweep is there to find.
    forget_what_fired(opened_at)
    kills = tmp_path / "kills"
    kills.touch()

    subprocess.run(
        [sys.executable, "-m", "tests.journey.step_workers", "clocks"],
        cwd=ROOT,
        env={
            **os.environ,
            "VAR_DIR": str(app.config["SETTINGS"].var_dir),
            "PYTHONWARNINGS": "ignore",
            "PORTAL_FAULT_CHANCE": "0.4",
            "PORTAL_FAULT_LOG": str(kills),
        },
        check=True,
        timeout=MOST_SECONDS,
    )

    killed = Counter(kills.read_text().split())
    print(f"{killed.total()} kills: {dict(killed)}")
    assert killed.total() >= LEAST_KILLS
    assert set(killed) == {"sweep_claimed", "sweep_written", "sweep_committed"}
    db.session.rollback()
    ids = list(db.session.scalars(select(Ticket.id)))
    wanted = Counter(
        (ticket_id, "first_response", 1, percent) for ticket_id in ids for percent in (*WARNINGS, 100)
    )
    facts = list(db.session.scalars(select(Event).where(Event.kind.in_(("sla_warned", "sla_breached")))))
    assert Counter(map(level_of, facts)) == wanted
    for fact in facts:
        due_at = datetime.fromisoformat(fact.data["due_at"])
        assert due_at == opened_at + timedelta(minutes=FIRST * fact.data["percent"] / 100)
        assert fact.data["late_seconds"] == int((fact.occurred_at - due_at).total_seconds())
    told = Counter(db.session.execute(select(Notification.ticket_id, Notification.kind)).all())
    assert set(told.values()) == {1}
    raised = Counter(db.session.scalars(select(Escalation.ticket_id)))
    assert raised == Counter(ids)
    # And the ledger, replayed, gives every stored clock.
    assert [number for looked in recomputing.recompute_all() for number in looked.differing] == []


def forget_what_fired(opened_at: datetime) -> None:
    for fact in db.session.scalars(select(Event).where(Event.kind.in_(("sla_warned", "sla_breached")))):
        db.session.delete(fact)
    for escalation in db.session.scalars(select(Escalation)):
        db.session.delete(escalation)
    for clock in db.session.scalars(select(Clock).where(Clock.kind == "first_response")):
        clock.state, clock.breached_at = "running", None
        clock.due_at = opened_at + timedelta(minutes=FIRST)
        clock.warnings = [
            [percent, (opened_at + timedelta(minutes=FIRST * percent / 100)).isoformat()]
            for percent in WARNINGS
        ]
        clock.warn_at = opened_at + timedelta(minutes=FIRST * WARNINGS[0] / 100)
    for ticket in db.session.scalars(select(Ticket)):
        ticket.is_breached, ticket.tier_level = False, 1
    db.session.commit()


def level_of(fact: Event) -> tuple[Any, ...]:
    return fact.ticket_id, fact.data["clock"], fact.data["cycle"], fact.data["percent"]
