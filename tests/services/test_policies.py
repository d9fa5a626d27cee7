"""By what a ticket is measured, since when, and what the ledger makes of that."""

from collections.abc import Callable
from datetime import datetime, timedelta

from flask.testing import FlaskClient
from flask_appbuilder.security.sqla.models import User
from sqlalchemy import delete, select

from portal.extensions import db
from portal.models import Branch, Clock, EscalationTier, Event, SlaPolicy, Ticket
from portal.models.columns import as_of, now
from portal.services import events, policies, sla, sweep, tickets, triage
from portal.services.transaction import transaction
from tests.factory import Factory


def opened(make: Factory, branch: Branch, minutes_ago: float = 0, **values: object) -> Ticket:
    """A ticket that a customer has opened so long ago, its clocks as of then."""
    at = now() - timedelta(minutes=minutes_ago)
    with as_of(at):
        customer = make.customer(**values)
        with transaction():
            ticket = tickets.open_ticket(subject="Parcel", branch=branch, customer=customer, opened_at=at)
            events.record("message_received", ticket=ticket, actor_kind="customer", occurred_at=at)
            sla.refresh(ticket)
    return ticket


def first_response(ticket: Ticket) -> Clock:
    return db.session.scalars(select(Clock).filter_by(ticket_id=ticket.id, kind="first_response")).one()


def told(ticket: Ticket, *kinds: str) -> list[tuple[str, int | None]]:
    return [(event.kind, event.data.get("percent")) for event in events.of_ticket(ticket.id, kinds)]


def stored(ticket: Ticket) -> list[tuple[object, ...]]:
    columns = (getattr(Clock, name) for name in sla.KEPT_COLUMNS if name != "elapsed_seconds")
    found = select(*columns).where(Clock.ticket_id == ticket.id).order_by(Clock.kind, Clock.cycle)
    return [tuple(row) for row in db.session.execute(found)]


def test_a_ticket_keeps_the_targets_of_the_policy_as_they_were_when_it_came(make: Factory) -> None:
    branch = make.branch()
    old = opened(make, branch)
    branch.policy.first_response_minutes = 10
    db.session.commit()
    new = opened(make, branch)
    sla.recompute(old)
    assert (first_response(old).target_seconds, first_response(new).target_seconds) == (3600, 600)
    assert old.policy_version_id != new.policy_version_id


def test_saving_what_is_there_already_makes_no_version(make: Factory) -> None:
    policy = make.policy()
    before = policies.newest_version(policy)
    policy.name, policy.position = "Renamed", 3
    assert policies.newest_version(policy) is before
    policy.warning_percents = [50]
    assert policies.newest_version(policy).number == before.number + 1


def test_a_new_priority_brings_its_policy_and_the_ledger_says_since_when(make: Factory) -> None:
    branch = make.branch()
    urgent = make.policy(name="Urgent", priority="urgent", position=1, first_response_minutes=15)
    ticket = opened(make, branch)
    tickets.set_priority(ticket, "urgent", make.agent("Admin"))
    (applied,) = events.of_ticket(ticket.id, ["policy_applied"])
    assert (applied.data["to"], applied.data["why"], ticket.policy_id) == (
        "Urgent",
        "priority_changed",
        urgent.id,
    )
    assert first_response(ticket).target_seconds == 900


def test_a_policy_may_ask_for_a_type_a_channel_and_a_level_of_customers(make: Factory) -> None:
    branch = make.branch()
    gold = make.policy(position=1, customer_levels=["gold"], channel_kinds=["email", "chat"])
    bugs = make.policy(position=2, types=["bug"])
    assert opened(make, branch, level="gold").policy_id == gold.id
    ticket = opened(make, branch)
    assert ticket.policy_id == branch.policy_id
    triage.judge(ticket, None, ticket_type="bug")
    assert ticket.policy_id == bugs.id


def test_every_percentage_is_fired_once_at_its_own_moment(make: Factory) -> None:
    branch = make.branch(policy=make.policy(warning_percents=[50, 75]), tiers=1)
    make._add(EscalationTier(branch=branch, level=2, name="Experts", escalate_at_percent=80))
    ticket = opened(make, branch)
    opened_at = ticket.created_at
    for minutes in (29, 31, 31, 44, 46, 47, 49, 59, 61, 61):
        with as_of(opened_at + timedelta(minutes=minutes)):
            sweep.sweep()
    kinds = ("sla_warned", "sla_breached", "ticket_escalated")
    assert told(ticket, *kinds) == [
        ("sla_warned", 50),
        ("sla_warned", 75),
        ("sla_warned", 80),
        ("ticket_escalated", None),
        ("sla_breached", 100),
    ]
    escalated = events.of_ticket(ticket.id, ["ticket_escalated"])[0]
    assert escalated.occurred_at == opened_at + timedelta(minutes=49)


def test_after_a_night_without_a_sweep_everything_fires_with_its_true_moment(make: Factory) -> None:
    branch = make.branch(policy=make.policy(warning_percents=[50, 75]))
    ticket = opened(make, branch, minutes_ago=300)
    sweep.sweep()
    fired = events.of_ticket(ticket.id, ["sla_warned", "sla_breached"])
    of_first = [event for event in fired if event.data["clock"] == "first_response"]
    assert [
        (datetime.fromisoformat(event.data["due_at"]) - ticket.created_at) / timedelta(minutes=1)
        for event in of_first
    ] == [30, 45, 60]
    assert all(event.data["late_seconds"] > 3600 for event in of_first)
    sweep.sweep()
    assert len(events.of_ticket(ticket.id, ["sla_warned", "sla_breached"])) == len(fired)


def test_the_ledger_alone_brings_every_stored_clock_back(make: Factory) -> None:
    branch, other = make.branch(), make.branch(policy=make.policy(first_response_minutes=30))
    ann = make.agent("Admin")
    ticket = opened(make, branch, minutes_ago=300)
    sweep.sweep()
    tickets.move_to_branch(ticket, other, ann)
    tickets.set_status(ticket, "pending", ann)
    tickets.set_status(ticket, "resolved", ann)
    tickets.set_status(ticket, "open", ann)
    before = stored(ticket)
    facts = db.session.query(Event).filter_by(ticket_id=ticket.id).count()
    db.session.execute(delete(Clock).where(Clock.ticket_id == ticket.id))
    db.session.commit()
    sla.recompute(ticket)
    assert stored(ticket) == before
    assert db.session.query(Event).filter_by(ticket_id=ticket.id).count() == facts


def test_a_policy_that_was_used_stays_and_one_that_was_not_may_go(make: Factory) -> None:
    unused = make.policy()
    db.session.delete(unused)
    db.session.commit()
    assert db.session.get(SlaPolicy, unused.id) is None


def test_a_move_keeps_the_clocks_also_for_those_who_see_the_new_branch_alone(
    make: Factory, login: Callable[[User], FlaskClient]
) -> None:
    here, there = make.branch(), make.branch()
    ticket = opened(make, here, minutes_ago=10)
    tickets.move_to_branch(ticket, there, make.agent("Admin"))
    of_there = login(make.agent("Agent", there))
    assert "10 min" in of_there.get(f"/tickets/{ticket.number}/clocks").text
    of_there.post(f"/tickets/{ticket.number}/status", data={"status": "open"})
    assert (first_response(ticket).state, first_response(ticket).started_at) == ("running", ticket.created_at)
