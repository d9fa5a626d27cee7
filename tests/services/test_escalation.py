"""Handing tickets up, taking them in hand, and handing them back."""

import pytest

from portal.errors import UserFault
from portal.extensions import db
from portal.models import Notification
from portal.services import escalation, events, tickets
from tests.factory import Factory


def test_escalating_by_hand_needs_a_reason(make: Factory) -> None:
    ticket = make.ticket(status="open")
    with pytest.raises(UserFault, match="why"):
        escalation.escalate(ticket, make.agent(branch=ticket.branch), "  ")
    db.session.refresh(ticket)
    assert ticket.tier_level == 1


def test_escalating_moves_the_ticket_up_and_tells_the_tier(make: Factory) -> None:
    ticket = make.ticket(status="open")
    ana = make.agent(branch=ticket.branch)
    tom = make.agent(branch=ticket.branch, tier=2)
    made = escalation.escalate(ticket, ana, "Needs the carrier's claim form")
    assert (ticket.tier_level, ticket.assignee_id) == (2, None)
    assert (made.from_level, made.to_level, made.trigger) == (1, 2, "manual")
    assert made.acknowledge_by is not None
    assert db.session.query(Notification).filter_by(user_id=tom.id).count() == 1


def test_the_highest_tier_has_nowhere_to_go(make: Factory) -> None:
    ticket = make.ticket(status="open", tier_level=2)
    with pytest.raises(UserFault, match="highest"):
        escalation.escalate(ticket, make.agent(branch=ticket.branch), "Please")


def test_acknowledging_twice_is_one_acknowledgement(make: Factory) -> None:
    ticket = make.ticket(status="open")
    ana = make.agent(branch=ticket.branch)
    made = escalation.escalate(ticket, ana, "Help")
    escalation.acknowledge(made, ana)
    escalation.acknowledge(made, ana)
    assert len(events.of_ticket(ticket.id, ["escalation_acknowledged"])) == 1


def test_handing_back_needs_a_note_and_returns_the_ticket(make: Factory) -> None:
    ticket = make.ticket(status="open")
    ana = make.agent(branch=ticket.branch)
    made = escalation.escalate(ticket, ana, "Help")
    with pytest.raises(UserFault, match="note"):
        escalation.hand_back(made, ana, "")
    escalation.hand_back(made, ana, "The form is in the shared folder")
    assert ticket.tier_level == 1
    assert made.ended_how == "handed_back"
    escalation.escalate(ticket, ana, "Again")
    assert ticket.tier_level == 2


def test_resolving_ends_the_escalation(make: Factory) -> None:
    ticket = make.ticket(status="open")
    ana = make.agent(branch=ticket.branch)
    made = escalation.escalate(ticket, ana, "Help")
    tickets.set_status(ticket, "resolved", ana)
    db.session.refresh(made)
    assert made.ended_how == "resolved"
    assert escalation.open_escalations(ticket.id) == []


def test_the_path_says_who_is_next_and_when(make: Factory) -> None:
    branch = make.branch()
    make.agent(branch=branch, tier=2, username="tom", first_name="Tom")
    from portal.services import sla

    ticket = tickets.open_ticket(subject="Parcel", branch=branch, customer=make.customer())
    sla.refresh(ticket)
    here, following = escalation.path_of(ticket)
    assert (here.state, following.state) == ("here", "next")
    assert following.unless == "unless answered"
    assert following.at is not None
    assert following.who == ("Tom Tom",)
