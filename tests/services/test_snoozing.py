"""A snoozed ticket is out of the way until its moment, or until the customer writes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask_appbuilder.security.sqla.models import User
from sqlalchemy import select, update

from portal.errors import UserFault
from portal.extensions import db
from portal.models import BranchMembership, Event, Notification, Ticket
from portal.models.columns import as_of, now
from portal.services import (
    assignment,
    escalation,
    events,
    moving,
    replies,
    snoozing,
    sweep,
    tickets,
    waiting_replies,
)
from tests.factory import Factory
from tests.services.test_agent_mail import Scene, arrive, mail, scene

__all__ = ["scene"]

AN_HOUR = timedelta(hours=1)


def woken(ticket: Ticket) -> list[str]:
    return [event.data["cause"] for event in events.of_ticket(ticket.id, ["ticket_woken"])]


def told(user: User) -> list[str]:
    found = select(Notification.kind).where(Notification.user_id == user.id).order_by(Notification.id)
    return list(db.session.scalars(found))


def snoozed(make: Factory, **values: Any) -> tuple[Ticket, User]:
    """An open ticket that somebody of its branch has put aside for an hour."""
    branch = values.pop("branch", None) or make.branch()
    agent = make.agent(branch=branch)
    ticket = make.ticket(branch, **{"status": "open", **values})
    snoozing.snooze(ticket, now() + AN_HOUR, agent)
    return ticket, agent


def test_it_comes_back_at_its_moment_unread_and_both_are_told(make: Factory) -> None:
    branch = make.branch()
    owner = make.agent(branch=branch)
    ticket, agent = snoozed(make, branch=branch, assignee_id=owner.id)
    assert snoozing.wake_due() == 0
    with as_of(now() + AN_HOUR):
        assert snoozing.wake_due() == 1
        assert snoozing.wake_due() == 0
    db.session.refresh(ticket)
    assert (ticket.snoozed_until, ticket.snoozed_by_id) == (None, None)
    assert ticket.unread_since is not None
    assert woken(ticket) == ["time"]
    assert (told(agent), told(owner)) == (["woken"], ["woken"])


def test_who_lost_sight_of_it_is_not_told(make: Factory) -> None:
    ticket, agent = snoozed(make)
    db.session.query(BranchMembership).filter_by(user_id=agent.id).delete()
    db.session.commit()
    with as_of(now() + AN_HOUR):
        snoozing.wake_due()
    assert woken(ticket) == ["time"]
    assert told(agent) == []


def test_it_comes_back_when_the_customer_writes(scene: Scene) -> None:
    snoozing.snooze(scene.ticket, now() + AN_HOUR, scene.agent)
    arrive(mail("zoe@customer.test", "<2@customer.test>", "In-Reply-To: <first@customer.test>"))
    ticket = scene.ticket
    assert (ticket.snoozed_until, ticket.snoozed_by_id) == (None, None)
    assert woken(ticket) == ["customer_wrote"]
    assert told(scene.agent) == ["woken"]
    with as_of(now() + AN_HOUR):
        assert snoozing.wake_due() == 0


def test_its_assignee_hears_of_the_customers_mail_once(scene: Scene) -> None:
    assignment.assign(scene.ticket, scene.agent, None)
    snoozing.snooze(scene.ticket, now() + AN_HOUR, scene.agent)
    arrive(mail("zoe@customer.test", "<2@customer.test>", "In-Reply-To: <first@customer.test>"))
    assert told(scene.agent) == ["assigned", "answered"]


def test_an_automatic_answer_does_not_bring_it_back(scene: Scene) -> None:
    snoozing.snooze(scene.ticket, now() + AN_HOUR, scene.agent)
    away = mail(
        "zoe@customer.test",
        "<2@customer.test>",
        "In-Reply-To: <first@customer.test>",
        "Auto-Submitted: auto-replied",
        "Subject: Out of office",
    )
    arrive(away)
    assert scene.ticket.message_count == 2
    assert scene.ticket.snoozed_until is not None


def test_it_is_not_offered_to_whoever_picks_up_next(make: Factory) -> None:
    ticket, agent = snoozed(make)
    assert tickets.pick_up_next(agent) is None
    snoozing.wake(ticket, agent)
    assert tickets.pick_up_next(agent) == ticket


def test_waking_it_by_hand_is_told_once(make: Factory) -> None:
    ticket, agent = snoozed(make)
    snoozing.wake(ticket, agent)
    snoozing.wake(ticket, agent)
    assert woken(ticket) == ["by_hand"]
    assert ticket.unread_since is None
    assert told(agent) == []


def test_another_moment_takes_the_place_of_the_first(make: Factory) -> None:
    ticket, agent = snoozed(make)
    later = now() + timedelta(days=2)
    snoozing.snooze(ticket, later, agent)
    snoozing.snooze(ticket, later, agent)
    assert len(events.of_ticket(ticket.id, ["ticket_snoozed"])) == 2
    with as_of(now() + AN_HOUR):
        assert snoozing.wake_due() == 0


ENDS: dict[str, Callable[[Ticket, User, Factory], Any]] = {
    "assigned": lambda ticket, agent, _: assignment.pick_up(ticket, agent),
    "escalated": lambda ticket, agent, _: escalation.escalate(ticket, agent, "Too hard"),
    "moved": lambda ticket, agent, make: tickets.move_to_branch(ticket, make.branch(), agent),
    "finished": lambda ticket, agent, _: tickets.set_status(ticket, "resolved", agent),
}


@pytest.mark.parametrize("cause", ENDS)
def test_what_hands_it_on_or_finishes_it_ends_its_snooze(make: Factory, cause: str) -> None:
    ticket, agent = snoozed(make)
    ENDS[cause](ticket, agent, make)
    db.session.refresh(ticket)
    assert (ticket.snoozed_until, ticket.snoozed_by_id) == (None, None)
    assert woken(ticket) == [cause]


def test_giving_it_back_to_the_queue_leaves_it_aside(make: Factory) -> None:
    branch = make.branch()
    owner = make.agent(branch=branch)
    ticket, agent = snoozed(make, branch=branch, assignee_id=owner.id)
    assignment.assign(ticket, None, agent)
    assert ticket.snoozed_until is not None


def test_a_merged_ticket_cannot_be_snoozed_and_merging_ends_it(make: Factory) -> None:
    ticket, agent = snoozed(make)
    into = make.ticket(ticket.branch, status="open")
    make.message(ticket)
    moving.merge([ticket], into, agent)
    assert woken(ticket) == ["finished"]
    with pytest.raises(UserFault, match="Closed"):
        snoozing.snooze(ticket, now() + AN_HOUR, agent)


def test_taking_a_reply_back_brings_its_ticket_back(scene: Scene) -> None:
    message = replies.send_reply(scene.ticket, scene.agent, "<p>Soon.</p>")
    snoozing.snooze(scene.ticket, now() + AN_HOUR, scene.agent)
    waiting_replies.cancel_sending(message, scene.agent)
    assert woken(scene.ticket) == ["reply_taken_back"]


def test_its_clocks_run_on(scene: Scene) -> None:
    due_at = scene.ticket.next_due_at
    assert due_at is not None
    snoozing.snooze(scene.ticket, due_at + AN_HOUR, scene.agent)
    with as_of(due_at + timedelta(minutes=1)):
        assert sweep.sweep() >= 1
    ticket = scene.ticket
    assert ticket.is_breached
    # The breach has escalated it, and the tier above is not to look for it among what is put aside.
    assert woken(ticket) == ["escalated"]


def test_two_workers_bring_each_ticket_back_once(app: Flask, real_commits: None) -> None:
    make = Factory()
    branch = make.branch()
    agent = make.agent(branch=branch)
    ids = [ticket.id for ticket in make.tickets(30, branch, status="open")]
    past = now() - AN_HOUR
    db.session.execute(update(Ticket).values(snoozed_until=past, snoozed_by_id=agent.id))
    db.session.commit()
    agent_id = agent.id

    def work(_: int) -> int:
        with app.app_context():
            return snoozing.wake_due()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(8))) == len(ids)
    facts = select(Event.ticket_id).where(Event.kind == "ticket_woken")
    assert sorted(db.session.scalars(facts)) == sorted(ids)
    notes = select(Notification.ticket_id).where(Notification.user_id == agent_id)
    assert sorted(db.session.scalars(notes)) == sorted(ids)
