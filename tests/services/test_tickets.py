"""What agents do with tickets, on the real database."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from portal.errors import UserFault
from portal.extensions import db
from portal.models import Event, Notification, Ticket, User
from portal.services import assignment, events, sla, tickets
from tests.factory import Factory


def kinds_of(ticket: Ticket) -> list[str]:
    return [event.kind for event in events.of_ticket(ticket.id)]


def test_status_moves_only_where_the_life_of_a_ticket_allows(make: Factory) -> None:
    ticket = make.ticket(status="closed")
    agent = make.agent(branch=ticket.branch)
    with pytest.raises(UserFault, match="cannot become"):
        tickets.set_status(ticket, "pending", agent)
    db.session.refresh(ticket)
    assert ticket.status == "closed"
    assert kinds_of(ticket) == []


def test_resolving_notes_the_time_and_reopening_forgets_it(make: Factory) -> None:
    ticket = make.ticket(status="open")
    agent = make.agent(branch=ticket.branch)
    tickets.set_status(ticket, "resolved", agent)
    assert ticket.resolved_at is not None
    tickets.set_status(ticket, "open", agent)
    assert ticket.resolved_at is None
    assert ticket.reopened_count == 1
    assert kinds_of(ticket).count("status_changed") == 2


def test_a_ticket_goes_only_to_members_of_its_branch(make: Factory) -> None:
    ticket = make.ticket()
    stranger = make.agent(branch=make.branch())
    with pytest.raises(UserFault, match="not a member"):
        assignment.assign(ticket, stranger, None)
    db.session.refresh(ticket)
    assert ticket.assignee_id is None


def test_taking_a_ticket_oneself_is_a_pick_up_and_giving_it_tells_the_other(make: Factory) -> None:
    ticket = make.ticket()
    ana, tom = make.agent(branch=ticket.branch), make.agent(branch=ticket.branch)
    assignment.pick_up(ticket, ana)
    assert ticket.picked_up_at is not None
    assignment.assign(ticket, tom, ana)
    assert kinds_of(ticket) == ["ticket_picked_up", "ticket_assigned"]
    assert db.session.query(Notification).filter_by(user_id=tom.id).count() == 1
    assert db.session.query(Notification).filter_by(user_id=ana.id).count() == 0


def test_moving_to_another_branch_starts_there_at_level_one_under_its_policy(make: Factory) -> None:
    ticket = make.ticket(tier_level=2)
    lead = make.agent("Lead", branch=ticket.branch)
    south = make.branch(name="South")
    tickets.move_to_branch(ticket, south, lead)
    assert (ticket.branch_id, ticket.tier_level, ticket.assignee_id) == (south.id, 1, None)
    assert ticket.policy_id == south.policy_id
    moved = events.of_ticket(ticket.id, ["branch_changed"])[0]
    assert moved.data["to_name"] == "South"


def test_a_disabled_branch_takes_no_tickets(make: Factory) -> None:
    ticket = make.ticket()
    with pytest.raises(UserFault, match="takes no tickets"):
        tickets.move_to_branch(ticket, make.branch(is_active=False), None)


def test_tags_are_made_once_and_set_exactly(make: Factory) -> None:
    ticket = make.ticket()
    tickets.set_tags(ticket, ["Delivery", " delivery ", "VIP"], None)
    assert [tag.name for tag in ticket.tags] == ["delivery", "vip"]
    tickets.set_tags(ticket, ["vip"], None)
    assert [tag.name for tag in ticket.tags] == ["vip"]


def test_the_first_look_is_measured_once(make: Factory) -> None:
    ticket = make.ticket()
    agent = make.agent(branch=ticket.branch)
    tickets.mark_viewed(ticket, agent)
    tickets.mark_viewed(ticket, agent)
    looked = events.of_ticket(ticket.id, ["ticket_viewed"])
    assert len(looked) == 1
    assert looked[0].data["is_first"] is True


def test_two_agents_asking_for_the_next_ticket_get_two(app: Flask, real_commits: None) -> None:
    make = Factory()
    branch = make.branch()
    agents = [make.agent(branch=branch).id for _ in range(8)]
    waiting = {ticket.id for ticket in make.tickets(6, branch, status="new")}
    db.session.commit()

    def take(user_id: int) -> int | None:
        with app.app_context():
            ticket = tickets.pick_up_next(db.session.get(User, user_id))
            return ticket.id if ticket else None

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, agents))
    assert sorted(ticket_id for ticket_id in taken if ticket_id) == sorted(waiting)
    assert taken.count(None) == 2


def test_next_ticket_leaves_out_other_branches_and_higher_tiers(make: Factory) -> None:
    branch = make.branch()
    make.ticket(make.branch(), status="new")
    make.ticket(branch, status="new", tier_level=2)
    assert tickets.pick_up_next(make.agent(branch=branch, tier=1)) is None
    taken = tickets.pick_up_next(make.agent(branch=branch, tier=2))
    assert taken is not None
    assert taken.tier_level == 2


def test_a_policy_for_the_priority_comes_before_the_branchs_own(make: Factory) -> None:
    ticket = make.ticket()
    urgent = make.policy(priority="urgent", position=1)
    tickets.set_priority(ticket, "urgent", None)
    assert ticket.policy_id == urgent.id
    tickets.set_priority(ticket, "low", None)
    assert ticket.policy_id == ticket.branch.policy_id


def test_opening_starts_first_response_and_resolution(make: Factory) -> None:
    branch = make.branch()
    ticket = tickets.open_ticket(subject="Parcel", branch=branch, customer=make.customer())
    clocks = sla.refresh(ticket)
    assert {(clock.kind, clock.state) for clock in clocks} == {
        ("first_response", "running"),
        ("resolution", "running"),
    }
    assert ticket.next_due_kind == "first_response"
    assert db.session.query(Event).filter_by(ticket_id=ticket.id, kind="sla_started").count() == 2
