"""The last days again, under targets and hours that are only tried."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from flask_appbuilder.security.sqla.models import User

from portal.extensions import db
from portal.models import Branch, Clock, Event, Ticket
from portal.models.columns import as_of, now
from portal.rules import hours
from portal.services import events, policies, simulating, sla, sweep, tickets
from portal.services.transaction import transaction
from tests.factory import Factory

Login = Callable[[User], FlaskClient]


def asked(make: Factory, branch: Branch, at: datetime, answered_after: int | None = None) -> Ticket:
    """A ticket opened at that moment, and answered so many minutes later."""
    with as_of(at), transaction():
        ticket = tickets.open_ticket(subject="Parcel", branch=branch, customer=make.customer(), opened_at=at)
        sla.refresh(ticket)
    if answered_after is not None:
        later = at + timedelta(minutes=answered_after)
        with as_of(later):
            sweep.sweep()
            with transaction(ticket):
                events.record("reply_sent", ticket=ticket, actor_kind="agent", occurred_at=later)
                sla.refresh(ticket)
    return ticket


def draft_of(branch: Branch, minutes: int, **more: object) -> sla.Draft:
    policy = policies.rule_from(branch.policy)
    tried = policy.__class__({**policy.targets, "first_response": minutes * 60}, name="tried")
    return sla.Draft(policy_id=branch.policy_id, policy=tried, **more)


def first_response(found: simulating.Simulation, branch: Branch) -> tuple[int, int, int, int]:
    tally = found.tallies[branch.id, "first_response"]
    return tally.late_before, tally.owed_before, tally.late_after, tally.owed_after


def test_a_stricter_target_shows_what_would_have_been_late_and_changes_nothing(make: Factory) -> None:
    branch = make.branch()
    for minutes in (10, 20, 50, 70):
        asked(make, branch, now() - timedelta(hours=30), minutes)
    facts, clocks = db.session.query(Event).count(), db.session.query(Clock).count()
    found = simulating.simulate(draft_of(branch, 30), [branch.id], 7)
    assert first_response(found, branch) == (1, 4, 2, 4)
    (change,) = found.changes
    assert (change.kind, change.is_late, change.elapsed_after) == ("first_response", True, 3000)
    assert (db.session.query(Event).count(), db.session.query(Clock).count()) == (facts, clocks)
    assert branch.policy.first_response_minutes == 60


def test_a_softer_target_undoes_even_what_is_in_the_ledger(make: Factory) -> None:
    branch = make.branch()
    asked(make, branch, now() - timedelta(hours=30), 70)
    found = simulating.simulate(draft_of(branch, 120), [branch.id], 7)
    assert first_response(found, branch) == (1, 1, 0, 1)


def test_other_hours_are_tried_as_well(make: Factory) -> None:
    """Closed on the day of the question, nothing would have been late."""
    branch = make.branch()
    at = now() - timedelta(hours=30)
    asked(make, branch, at, 70)
    closed = tuple(
        hours.Window(day, 0, 1440)
        for day in range(7)
        if day not in (at.astimezone(UTC).weekday(), (at + timedelta(hours=2)).astimezone(UTC).weekday())
    )
    draft = sla.Draft(calendar_id=branch.calendar_id, windows=closed)
    assert first_response(simulating.simulate(draft, [branch.id], 7), branch) == (1, 1, 0, 1)


def test_other_policies_and_branches_come_out_as_they_are(make: Factory) -> None:
    branch, other = make.branch(), make.branch()
    for place in (branch, other):
        asked(make, place, now() - timedelta(hours=30), 50)
    found = simulating.simulate(draft_of(branch, 30), [branch.id, other.id], 7)
    assert first_response(found, branch) == (0, 1, 1, 1)
    assert first_response(found, other) == (0, 1, 0, 1)


def test_older_tickets_are_left_out_and_a_cut_is_said(make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulating, "MOST_TICKETS", 2)
    branch = make.branch()
    for days in (1, 2, 3, 9):
        asked(make, branch, now() - timedelta(days=days), 5)
    found = simulating.simulate(draft_of(branch, 30), [branch.id], 7)
    assert (found.ticket_count, found.looked_at, found.is_cut) == (3, 2, True)


def test_a_lead_tries_it_on_the_branches_they_lead(make: Factory, login: Login) -> None:
    branch, other = make.branch(), make.branch()
    lead = make.agent("Lead", branch)
    for place in (branch, other):
        asked(make, place, now() - timedelta(hours=30), 50)
    client = login(lead)
    assert "What would have been late" not in client.get("/leads/what-if").text
    days = "".join(f"&day-{day}=00:00-24:00" for day in range(7))
    page = client.get(
        f"/leads/what-if?try=1&policy={branch.policy_id}&calendar={branch.calendar_id}&business=on&first_response=30{days}"
    )
    assert page.status_code == 200
    assert "1 clock would have ended otherwise" in page.text
    assert branch.name in page.text
    assert other.name not in page.text


@pytest.mark.parametrize(
    ("asked_for", "says"),
    [
        ("first_response=-3&day-0=09:00-17:00", "whole number of minutes"),
        ("first_response=30&day-0=nine to five", "Write hours like"),
        ("first_response=30", "no working time"),
        ("day-0=09:00-17:00", "no target"),
        ("first_response=30&day-0=09:00-17:00, 16:00-18:00", "overlap"),
    ],
)
def test_what_cannot_be_tried_is_said_and_kept(
    make: Factory, login: Login, asked_for: str, says: str
) -> None:
    branch = make.branch()
    page = login(make.agent("Lead", branch)).get(f"/leads/what-if?try=1&{asked_for}")
    assert page.status_code == 422
    assert says in page.text


def test_agents_and_foreign_policies_are_refused(make: Factory, login: Login) -> None:
    branch, other = make.branch(), make.branch()
    make.policy(branch=other)
    assert login(make.agent("Agent", branch)).get("/leads/what-if").status_code == 403
    lead = login(make.agent("Lead", branch))
    assert lead.get(f"/leads/what-if?policy={other.policy_id + 999}").status_code == 404
    assert lead.get(f"/leads/what-if?calendar={other.calendar_id}").status_code == 404
