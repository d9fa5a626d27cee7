"""An escalation that nobody acknowledges goes where its tier says, one step at a time, each once."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, text

from portal.extensions import db
from portal.models import Agent, Branch, Escalation, EscalationTier, Event, Notification, Ticket, User
from portal.models.columns import as_of, now
from portal.services import assignment, escalation, events, tickets, unacknowledged
from tests.factory import Factory

MINUTE = timedelta(minutes=1)


def desk(make: Factory, then: str, *, tiers: int = 2) -> tuple[Branch, Ticket, User]:
    """A branch whose second tier does that where nobody acknowledges, and an open ticket with whoever has it."""
    branch = make.branch(tiers=tiers)
    second = db.session.scalars(select(EscalationTier).filter_by(branch_id=branch.id, level=2)).one()
    second.on_unacknowledged = then
    db.session.commit()
    return branch, make.ticket(branch, status="open"), make.agent(branch=branch)


def steps(ticket: Ticket) -> list[str]:
    return [event.data["action"] for event in events.of_ticket(ticket.id, ["escalation_unacknowledged"])]


def told(user: User) -> list[str]:
    found = select(Notification.kind).where(Notification.user_id == user.id).order_by(Notification.id)
    return list(db.session.scalars(found))


def fire_at(moment: object) -> int:
    with as_of(moment):  # type: ignore[arg-type]
        return unacknowledged.fire_due()


def test_nothing_happens_before_the_time_is_over_or_once_it_is_acknowledged(make: Factory) -> None:
    branch, ticket, ana = desk(make, "branch_lead")
    tom = make.agent(branch=branch, tier=2)
    raised = escalation.escalate(ticket, ana, "Help")
    assert raised.acknowledge_by is not None
    assert fire_at(raised.acknowledge_by - MINUTE) == 0
    escalation.acknowledge(raised, tom)
    assert fire_at(raised.acknowledge_by + MINUTE) == 0
    assert steps(ticket) == []


def test_the_people_on_call_are_told_in_turn_and_then_whoever_leads(make: Factory) -> None:
    branch, ticket, ana = desk(make, "next_on_call")
    tom = make.agent(branch=branch, tier=2, on_call=1, first_name="Tom")
    away = make.agent(branch=branch, tier=2, on_call=2, first_name="Ada")
    db.session.get_one(Agent, away.id).availability = "away"
    eve = make.agent(branch=branch, tier=2, on_call=3, first_name="Eve")
    lead = make.agent("Lead", branch)
    raised = escalation.escalate(ticket, ana, "Help")
    assert raised.told_ids == [tom.id]
    first, deadlines = raised.acknowledge_by, []
    for _ in range(4):
        moment = raised.acknowledge_by
        if moment is None:
            break
        deadlines.append(moment)
        assert fire_at(moment) == 1
        db.session.refresh(raised)
    assert first is not None
    assert deadlines == [first, first + 20 * MINUTE]
    assert steps(ticket) == ["next_on_call", "branch_lead"]
    assert raised.told_ids == [tom.id, eve.id]
    assert told(eve) == ["escalated", "unacknowledged"]
    assert told(lead) == ["unacknowledged"]
    assert "unacknowledged" not in told(away) + told(tom)
    assert fire_at(first + timedelta(days=9)) == 0


def test_it_goes_to_the_next_tier(make: Factory) -> None:
    branch, ticket, ana = desk(make, "next_tier", tiers=3)
    ida = make.agent(branch=branch, tier=3)
    raised = escalation.escalate(ticket, ana, "Help", 2)
    assert raised.acknowledge_by is not None
    assert escalation.path_of(ticket)[2].at == raised.acknowledge_by
    assert fire_at(raised.acknowledge_by) == 1
    db.session.refresh(ticket)
    assert ticket.tier_level == 3
    newest = escalation.open_escalations(ticket.id)[0]
    assert (newest.trigger, newest.from_level, newest.to_level) == ("unacknowledged", 2, 3)
    assert told(ida) == ["escalated"]
    assert steps(ticket) == ["next_tier"]


def test_without_a_lead_the_admins_are_told(make: Factory) -> None:
    _, ticket, ana = desk(make, "branch_lead")
    admin = make.agent("Admin")
    raised = escalation.escalate(ticket, ana, "Help")
    assert raised.acknowledge_by is not None
    fire_at(raised.acknowledge_by)
    assert "unacknowledged" in told(admin)


def test_after_downtime_both_times_are_kept_and_the_next_one_has_the_whole_time(make: Factory) -> None:
    branch, ticket, ana = desk(make, "next_on_call")
    make.agent(branch=branch, tier=2, on_call=1)
    make.agent(branch=branch, tier=2, on_call=2)
    raised = escalation.escalate(ticket, ana, "Help")
    due = raised.acknowledge_by
    assert due is not None
    late = due + timedelta(hours=5)
    assert fire_at(late) == 1
    db.session.refresh(raised)
    fact = events.of_ticket(ticket.id, ["escalation_unacknowledged"])[0]
    assert (fact.data["due_at"], fact.occurred_at) == (due.isoformat(), late)
    assert fact.data["late_seconds"] == 5 * 3600
    assert raised.acknowledge_by == late + 20 * MINUTE


def test_taking_the_ticket_at_its_tier_acknowledges_it(make: Factory) -> None:
    branch, ticket, ana = desk(make, "branch_lead")
    tom = make.agent(branch=branch, tier=2)
    raised = escalation.escalate(ticket, ana, "Help")
    assignment.pick_up(ticket, tom)
    db.session.refresh(raised)
    assert raised.acknowledged_by_id == tom.id


def test_an_escalation_to_a_tier_without_people_tells_whoever_leads(make: Factory) -> None:
    branch, ticket, ana = desk(make, "branch_lead")
    lead = make.agent("Lead", branch)
    escalation.escalate(ticket, ana, "Help")
    assert "unacknowledged" in told(lead)


def test_one_that_comes_back_to_a_tier_that_never_acknowledged_waits_anew(make: Factory) -> None:
    branch, ticket, ana = desk(make, "next_tier", tiers=3)
    ida = make.agent(branch=branch, tier=3)
    raised = escalation.escalate(ticket, ana, "Help", 2)
    assert raised.acknowledge_by is not None
    fire_at(raised.acknowledge_by)
    db.session.refresh(raised)
    assert raised.acknowledge_by is None
    escalation.hand_back(escalation.open_escalations(ticket.id)[0], ida, "Yours after all")
    db.session.refresh(raised)
    assert raised.acknowledge_by is not None
    assert raised.acknowledge_by > now()


def test_resolving_the_ticket_ends_the_waiting(make: Factory) -> None:
    _, ticket, ana = desk(make, "branch_lead")
    raised = escalation.escalate(ticket, ana, "Help")
    assert raised.acknowledge_by is not None
    tickets.set_status(ticket, "resolved", ana)
    assert fire_at(raised.acknowledge_by + MINUTE) == 0


def test_the_cost_grows_with_what_is_due(make: Factory, count_queries: Callable) -> None:
    branch, _, ana = desk(make, "branch_lead")
    make.agent("Lead", branch)
    due = [escalation.escalate(make.ticket(branch, status="open"), ana, "Help") for _ in range(3)]
    with count_queries() as idle:
        assert unacknowledged.fire_due() == 0
    assert len(idle) == 1
    db.session.execute(text("SET LOCAL enable_seqscan = off"))
    plan = "\n".join(
        db.session.scalars(
            text(
                """
                EXPLAIN SELECT ticket_id FROM escalation
                WHERE acknowledged_at IS NULL AND ended_at IS NULL AND acknowledge_by <= now()
                ORDER BY acknowledge_by LIMIT 200
                """
            )
        )
    )
    assert "ix_escalation_unacknowledged" in plan
    assert due[0].acknowledge_by is not None
    with count_queries() as statements:
        assert fire_at(max(each.acknowledge_by or now() for each in due)) == 3
    # Whoever leads is told of each, in the bell and outside.
    assert len(statements) <= 11 + 2 * 3


@pytest.mark.parametrize("then", ["next_on_call", "next_tier", "branch_lead"])
def test_racing_sweeps_take_each_step_once(app: Flask, real_commits: None, then: str) -> None:
    make = Factory()
    branch, _, ana = desk(make, then, tiers=3)
    make.agent(branch=branch, tier=2, on_call=1)
    make.agent(branch=branch, tier=2, on_call=2)
    ids = [escalation.escalate(make.ticket(branch, status="open"), ana, "Help", 2).id for _ in range(12)]
    db.session.execute(text("UPDATE escalation SET acknowledge_by = now() - interval '1 minute'"))
    db.session.commit()

    def look(_: int) -> int:
        with app.app_context():
            return unacknowledged.fire_due()

    with ThreadPoolExecutor(4) as pool:
        fired = sum(pool.map(look, range(8)))
    assert fired == len(ids)
    found = select(Event.data["escalation"].as_integer()).where(Event.kind == "escalation_unacknowledged")
    assert Counter(db.session.scalars(found)) == Counter(ids)
    assert (
        db.session.query(Escalation).filter(Escalation.id.in_(ids), Escalation.step_count != 1).count() == 0
    )
