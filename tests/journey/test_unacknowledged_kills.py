"""Escalations that nobody acknowledges, while four workers race and die at every step of the way."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, text

from portal.extensions import db
from portal.models import Escalation, EscalationTier, Event, Notification
from portal.services import escalation
from tests.factory import Factory
from tests.journey.conftest import ROOT

pytestmark = pytest.mark.journey

ESCALATIONS, LEAST_KILLS, MOST_SECONDS = 150, 100, 240


def test_each_step_is_taken_once_however_often_workers_die(
    app: Flask, real_commits: None, tmp_path: Path
) -> None:
    make = Factory()
    branch = make.branch(tiers=3)
    second = db.session.scalars(select(EscalationTier).filter_by(branch_id=branch.id, level=2)).one()
    # The whole chain is due at once: as after a week without power.
    second.on_unacknowledged, second.acknowledge_within_minutes = "next_on_call", 0
    db.session.commit()
    ana = make.agent(branch=branch)
    on_call = [make.agent(branch=branch, tier=2, on_call=order).id for order in (1, 2, 3)]
    lead_id = make.agent("Lead", branch).id
    customer = make.customer()
    ids = [
        escalation.escalate(make.ticket(branch, customer, status="open"), ana, "Help", 2).id
        for _ in range(ESCALATIONS)
    ]
    kills = tmp_path / "kills"
    kills.touch()

    subprocess.run(
        [sys.executable, "-m", "tests.journey.step_workers", "steps"],
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
    assert set(killed) == {"step_claimed", "step_written", "step_committed"}
    db.session.rollback()
    found = select(
        Event.data["escalation"].as_integer(), Event.data["step"].as_integer(), Event.data["action"].astext
    ).where(Event.kind == "escalation_unacknowledged")
    taken = Counter((row_id, step, action) for row_id, step, action in db.session.execute(found))
    chain = ((1, "next_on_call"), (2, "next_on_call"), (3, "branch_lead"))
    assert taken == Counter((row_id, *step) for row_id in ids for step in chain)
    for raised in db.session.scalars(select(Escalation)):
        assert (raised.told_ids, raised.step_count, raised.acknowledge_by) == (on_call, 3, None)
    heard = select(Notification.user_id, Notification.ticket_id).where(Notification.kind == "unacknowledged")
    told = Counter((user_id, ticket_id) for user_id, ticket_id in db.session.execute(heard))
    assert set(told.values()) == {1}
    assert Counter(user_id for user_id, _ in told) == dict.fromkeys([*on_call[1:], lead_id], ESCALATIONS)
    assert db.session.scalar(text("SELECT count(*) FROM escalation WHERE ended_at IS NOT NULL")) == 0
