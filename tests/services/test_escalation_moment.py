"""The moment that the page names is the moment at which the ticket goes."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from portal.extensions import db
from portal.models import Branch, EscalationTier, SlaPolicy, Ticket
from portal.models.columns import as_of
from portal.services import escalation, sla, sweep, tickets, unacknowledged
from tests.factory import Factory

PERCENTS = (1, 25, 50, 66, 75, 80, 99, 100)
ZONES = ("Europe/Berlin", "Asia/Kathmandu", "America/New_York", "UTC")
SECOND = timedelta(seconds=1)


def drawn(make: Factory, dice: random.Random) -> tuple[Branch, datetime]:
    """A branch with some hours, targets and percentage of its second tier, and a moment at which a ticket comes."""
    begin, length = dice.randrange(0, 20), dice.randrange(1, 5)
    windows = [
        {"weekday": day, "start": f"{begin:02}:30", "end": f"{begin + length:02}:00"}
        for day in dice.sample(range(7), dice.randrange(1, 8))
    ]
    policy: SlaPolicy = make.policy(
        first_response_minutes=dice.choice([7, 60, 240]),
        resolution_minutes=dice.choice([30, 480, 3000]),
        is_business_time=dice.random() < 0.8,
    )
    branch = make.branch(calendar=make.calendar(windows=windows), policy=policy, time_zone=dice.choice(ZONES))
    tier = db.session.scalars(select(EscalationTier).filter_by(branch_id=branch.id, level=2)).one()
    tier.escalate_at_percent = dice.choice(PERCENTS)
    db.session.commit()
    # Around the change of the clocks in Europe and in America.
    opened_at = datetime(2026, 10, 20, tzinfo=UTC) + timedelta(minutes=dice.randrange(20 * 24 * 60))
    return branch, opened_at


def level_after_sweep(ticket: Ticket, at: datetime) -> int:
    with as_of(at):
        sweep.sweep()
        unacknowledged.fire_due()
    db.session.refresh(ticket)
    return ticket.tier_level


@pytest.mark.parametrize("seed", range(20))
def test_it_goes_to_the_next_tier_at_the_moment_that_was_named(make: Factory, seed: int) -> None:
    branch, opened_at = drawn(make, random.Random(seed))
    with as_of(opened_at):
        ticket = tickets.open_ticket(subject="Parcel", branch=branch, customer=make.customer())
        sla.refresh(ticket)
        db.session.commit()
        named = escalation.path_of(ticket)[1]
    assert named.at is not None
    assert named.at >= opened_at
    assert level_after_sweep(ticket, named.at - SECOND) == 1
    with as_of(named.at - SECOND):
        # Whatever has been told of meanwhile, the moment stays.
        assert escalation.path_of(ticket)[1].at == named.at
    assert level_after_sweep(ticket, named.at) == 2
    assert len(escalation.open_escalations(ticket.id)) == 1
    assert level_after_sweep(ticket, named.at + timedelta(days=60)) == 2


def test_without_anybody_to_acknowledge_it_goes_on_at_the_moment_that_was_named(make: Factory) -> None:
    branch = make.branch(tiers=3)
    second = db.session.scalars(select(EscalationTier).filter_by(branch_id=branch.id, level=2)).one()
    second.on_unacknowledged, second.acknowledge_within_minutes = "next_tier", 17
    db.session.commit()
    ticket = make.ticket(branch, status="open")
    escalation.escalate(ticket, make.agent(branch=branch), "Help", 2)
    named = escalation.path_of(ticket)[2].at
    assert named is not None
    assert level_after_sweep(ticket, named - SECOND) == 2
    assert level_after_sweep(ticket, named) == 3
