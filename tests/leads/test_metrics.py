"""The figures, against histories that are told by hand."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from portal.models.columns import now
from portal.services import metrics
from portal.services.metrics import Period
from tests.factory import Factory
from tests.leads.history import BEFORE, DURING, LONG_BEFORE, PERIOD, answered, board, opened, tell

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def test_first_response_is_the_median_of_first_answers_given_in_the_period(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    for minutes in (10, 20, 60):
        answered(opened(make, branch), agent, minutes * MINUTE)
    answered(opened(make, branch, BEFORE), agent, HOUR)

    found = board(branch).total.first_response

    assert found.median.value == 20 * 60
    assert found.median.count == 3
    assert found.p75.value == 40 * 60
    assert found.p90.value == 52 * 60
    assert found.median.previous == 3600
    assert found.median.previous_count == 1
    assert found.median.change == pytest.approx(-2 / 3)


def test_later_answers_of_a_ticket_do_not_count_as_first_ones(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    ticket = opened(make, branch)
    answered(ticket, agent, 10 * MINUTE)
    tell("reply_sent", ticket, DURING + 5 * HOUR, actor=agent, data={"template_id": None})
    found = board(branch).total
    assert found.first_response.median.count == 1
    assert found.template_usage.count == 2


def test_a_first_answer_belongs_to_the_period_in_which_it_was_given(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    answered(opened(make, branch, LONG_BEFORE), agent, DURING - LONG_BEFORE)
    found = board(branch).total.first_response.median
    assert (found.count, found.value) == (1, (DURING - LONG_BEFORE).total_seconds())


def test_the_last_moment_of_the_last_day_is_in_and_the_next_is_not(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    period = Period(date(2026, 3, 11), date(2026, 3, 20), "America/New_York")
    ticket = opened(make, branch)
    answered(ticket, agent, period.end - ticket.created_at - timedelta(seconds=1))
    other = opened(make, branch)
    answered(other, agent, period.end - other.created_at)
    assert board(branch, period=period).total.first_response.median.count == 1
    assert period.end.isoformat() == "2026-03-21T04:00:00+00:00"
    # Clocks went forward on 8 March there: days are counted, not hours.
    assert period.preceding.start.isoformat() == "2026-03-01T05:00:00+00:00"


def test_a_reply_that_was_called_back_is_no_answer(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    ticket = opened(make, branch)
    answered(ticket, agent, 10 * MINUTE, message_id=901, template_id=5)
    tell("reply_cancelled", ticket, DURING + 11 * MINUTE, actor=agent, message_id=901)
    found = board(branch).total
    assert found.first_response.median.value is None
    assert found.template_usage.count == 0


def test_working_time_is_reported_where_it_was_measured(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    answered(opened(make, branch), agent, 15 * HOUR, business_seconds=1800)
    answered(opened(make, branch), agent, HOUR)
    found = board(branch).total.first_response
    assert (found.business_median.value, found.business_median.count) == (1800, 1)
    assert found.median.count == 2


def test_pickup_and_escalation_are_shares_of_the_tickets_opened(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    mine, other, _third, spam = (
        opened(make, branch, status=status) for status in ("open", "new", "new", "spam")
    )
    tell("ticket_picked_up", mine, DURING + MINUTE, actor=agent)
    tell("ticket_picked_up", mine, DURING + HOUR, actor=agent)
    tell("ticket_escalated", mine, DURING + HOUR, actor=agent)
    tell("ticket_escalated", mine, DURING + 2 * HOUR)
    tell("ticket_picked_up", spam, DURING + HOUR, actor=agent)
    # Taken long after the period: it was opened in it, and that is what counts.
    tell("ticket_picked_up", other, DURING + timedelta(days=60), actor=agent)
    found = board(branch).total
    assert (found.pickup.value, found.pickup.count) == (pytest.approx(2 / 3), 3)
    assert (found.escalation.value, found.escalation.count) == (pytest.approx(1 / 3), 3)
    assert found.opened_count == 3


def test_template_usage_is_the_share_of_replies_written_from_one(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    ticket = opened(make, branch)
    for template_id in (7, None, None, None):
        tell("reply_sent", ticket, DURING + HOUR, actor=agent, data={"template_id": template_id})
    found = board(branch).total.template_usage
    assert (found.value, found.count, found.previous) == (0.25, 4, None)


def test_logins_count_members_once_and_those_who_stay_away_too(make: Factory) -> None:
    leeds, york = make.branch(), make.branch()
    both, quiet = make.agent(branch=leeds), make.agent(branch=leeds)
    make.membership(both, york)
    left = make.agent(branch=leeds)
    left.active = False
    stranger = make.agent(branch=make.branch())
    for person in (both, both, both, left, stranger):
        tell("user_logged_in", None, DURING, actor=person)
    tell("user_logged_in", None, BEFORE, actor=quiet)

    found = board(leeds, york)

    weeks = 10 / 7
    assert found.total.logins.count == 2
    assert found.total.logins.value == pytest.approx(3 / 2 / weeks)
    assert found.total.logins.previous == pytest.approx(1 / 2 / weeks)
    by_branch = {branch.id: figures.logins for branch, figures in found.branches}
    assert by_branch[york.id].value == pytest.approx(3 / weeks)
    assert by_branch[leeds.id].value == pytest.approx(3 / 2 / weeks)


def test_first_action_is_the_wait_until_someone_looked(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    ticket = opened(make, branch)
    tell("ticket_viewed", ticket, DURING + MINUTE, actor=agent, data={"is_first": True, "waited_seconds": 60})
    tell("ticket_viewed", ticket, DURING + HOUR, actor=agent, data={"is_first": False})
    found = board(branch).total.first_action
    assert (found.value, found.count) == (60, 1)


def test_backlog_counts_what_is_open_now_by_age(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    at = now()
    for days in (0.5, 2, 5, 30):
        make.ticket(branch, status="open", created_at=at - timedelta(days=days))
    make.ticket(branch, status="closed")
    make.ticket(branch, status="pending", assignee_id=agent.id, is_breached=True, first_responded_at=at)
    found = board(branch).total.backlog
    assert found.open_count == 5
    assert found.age_counts == (2, 1, 1, 1)
    assert (found.unassigned_count, found.unanswered_count, found.late_count) == (4, 4, 1)
    assert found.oldest_at == at - timedelta(days=30)


def test_figures_of_another_branch_stay_out(make: Factory) -> None:
    leeds, york = make.branch(), make.branch()
    agent = make.agent(branch=york)
    ticket = opened(make, york)
    answered(ticket, agent, HOUR)
    tell("ticket_viewed", ticket, DURING, actor=agent, data={"is_first": True, "waited_seconds": 60})
    found = board(leeds)
    assert found.is_empty
    assert found.total.first_response.median.count == 0
    assert found.total.template_usage.count == 0
    assert found.total.first_action.count == 0
    assert found.total.backlog.open_count == 0


def test_each_branch_has_its_own_figures_and_the_total_is_of_all_tickets(make: Factory) -> None:
    leeds, york = make.branch(name="Leeds"), make.branch(name="York")
    agent = make.agent()
    for branch, minutes in ((leeds, 10), (leeds, 20), (york, 90)):
        answered(opened(make, branch), agent, minutes * MINUTE)
    found = board(leeds, york)
    medians = {branch.name: figures.first_response.median.value for branch, figures in found.branches}
    assert medians == {"Leeds": 900, "York": 5400}
    # The median of all answers, not the mean of the branches' medians.
    assert found.total.first_response.median.value == 1200


def test_the_trend_has_a_bar_for_every_day_also_for_silent_ones(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    answered(opened(make, branch), agent, HOUR)
    found = board(branch).trend
    assert len(found) == 10
    assert [bar.first for bar in found if bar.count] == [date(2026, 3, 12)]
    assert {bar.median_seconds for bar in found} == {None, 3600.0}


@pytest.mark.parametrize(
    ("first", "last", "unit", "amount"),
    [
        (date(2026, 3, 1), date(2026, 3, 1), "day", 1),
        (date(2026, 1, 1), date(2026, 3, 31), "week", 14),
        (date(2025, 1, 15), date(2026, 1, 14), "month", 13),
    ],
)
def test_long_trends_are_read_by_week_or_month(
    make: Factory, first: date, last: date, unit: str, amount: int
) -> None:
    branch = make.branch()
    period = Period(first, last, "Europe/Berlin")
    ticket = opened(make, branch, period.start)
    answered(ticket, make.agent(), timedelta(seconds=1))
    found = board(branch, period=period).trend
    assert period.bar_unit == unit
    assert len(found) == amount
    assert (found[0].first, found[-1].last) == (first, last)
    assert found[0].count == 1


def test_a_board_takes_six_statements_however_many_branches(make: Factory, count_queries: Callable) -> None:
    branches = metrics.branches_of([make.branch().id for _ in range(5)])
    with count_queries() as statements:
        found = metrics.board(branches, PERIOD)
    assert len(found.branches) == 5
    assert len(statements) == 6
