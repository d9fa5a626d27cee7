"""The north star moves when the desk answers."""

from datetime import timedelta

import pytest

from portal.models.columns import now
from portal.services import assignment, replies, tickets
from portal.services.metrics import Period
from tests.factory import Factory
from tests.leads.history import board


def test_an_answer_sent_by_the_desk_moves_the_north_star(make: Factory) -> None:
    branch = make.branch()
    make.account(branch)
    agent = make.agent(branch=branch)
    ticket = make.ticket(branch, created_at=now() - timedelta(hours=2))
    make.message(ticket, message_id_header="<a@customer.test>", from_address="zoe@customer.test")
    today = now().date()
    period = Period(today - timedelta(days=1), today)
    assert board(branch, period=period).total.first_response.median.count == 0

    tickets.mark_viewed(ticket, agent)
    assignment.pick_up(ticket, agent)
    replies.send_reply(ticket, agent, "<p>Here is your answer.</p>")
    replies.send_reply(ticket, agent, "<p>And one thing more.</p>")

    found = board(branch, period=period).total
    assert found.first_response.median.count == 1
    assert found.first_response.median.value == pytest.approx(7200, abs=60)
    assert found.first_action.value == pytest.approx(7200, abs=60)
    assert found.template_usage.count == 2
