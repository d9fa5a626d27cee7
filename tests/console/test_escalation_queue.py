"""The queue of a tier: everything that is at my tier in my branches, with how long is left to acknowledge."""

from collections.abc import Callable
from datetime import timedelta

from portal.models.columns import as_of, now
from portal.services import escalation, unacknowledged
from tests.factory import Factory


def test_everything_at_my_tier_stands_there_acknowledged_or_not(make: Factory, login: Callable) -> None:
    branch, other = make.branch(), make.branch()
    ana, tom = make.agent(branch=branch), make.agent(branch=branch, tier=2)
    names = ("waiting", "taken up", "elsewhere", "below")
    waiting, taken, elsewhere, _ = (
        make.ticket(other if name == "elsewhere" else branch, status="open", subject=f"It is {name}")
        for name in names
    )
    for ticket in (waiting, taken, elsewhere):
        escalation.escalate(ticket, ana, "Help")
    escalation.acknowledge(escalation.open_escalations(taken.id)[0], tom)
    page = login(tom).get("/queue?view=escalated").get_data(as_text=True)
    shown = [name for name in names if f"It is {name}" in page]
    assert shown == ["waiting", "taken up"]
    assert page.count('data-clock="Acknowledge"') == 1
    assert ">acknowledged</span>" in page


def test_what_nobody_acknowledged_to_the_end_says_so(make: Factory, login: Callable) -> None:
    branch = make.branch()
    ana, tom = make.agent(branch=branch), make.agent(branch=branch, tier=2)
    escalation.escalate(make.ticket(branch, status="open"), ana, "Help")
    with as_of(now() + timedelta(hours=1)):
        assert unacknowledged.fire_due() == 1
    assert "not acknowledged" in login(tom).get("/queue?view=escalated").get_data(as_text=True)


def test_the_first_tier_goes_on_following_what_it_handed_up(make: Factory, login: Callable) -> None:
    branch = make.branch()
    ana, tom = make.agent(branch=branch), make.agent(branch=branch, tier=2)
    ticket = make.ticket(branch, status="open", subject="The carrier's form", assignee_id=ana.id)
    escalation.escalate(ticket, ana, "Help")
    client = login(ana)
    assert "The carrier&#39;s form" in client.get("/queue?view=following").get_data(as_text=True)
    escalation.hand_back(escalation.open_escalations(ticket.id)[0], tom, "The form is in the folder")
    assert "handed" in client.get("/notifications").get_data(as_text=True)


def test_how_long_somebody_has_costs_the_queue_no_statement(
    make: Factory, login: Callable, count_queries: Callable
) -> None:
    branch = make.branch()
    tom = make.agent(branch=branch, tier=2)
    for _ in range(3):
        make.ticket(branch, status="open")
    with count_queries() as before:
        login(tom).get("/queue?view=branch")
    for _ in range(3):
        escalation.escalate(make.ticket(branch, status="open"), tom, "Help")
    with count_queries() as statements:
        login(tom).get("/queue?view=escalated")
    assert len(statements) == len(before) <= 12
