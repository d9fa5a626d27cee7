"""The leads' page, as the people who may open it see it."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from portal.extensions import db
from portal.models import User
from portal.models.columns import now
from tests.factory import Factory
from tests.leads.history import answered, opened

YESTERDAY = timedelta(days=1)


def figure_of(page: str, metric: str) -> str:
    """The large value of that card."""
    card = page[page.index(f'data-metric="{metric}"') :]
    found = re.search(r'leads-value">\s*<(?:a|span)[^>]*>([^<]*)<', card)
    assert found, f"no value on the card of {metric}"
    return found[1]


@pytest.mark.parametrize("role", ["Lead", "Admin", "Auditor"])
def test_the_north_star_stands_on_top(make: Factory, login: Callable, role: str) -> None:
    branch = make.branch(name="Leeds")
    agent = make.agent(branch=branch)
    answered(opened(make, branch, now() - YESTERDAY), agent, timedelta(minutes=80))
    answer = login(make.agent(role, branch=branch)).get("/leads/")
    assert answer.status_code == 200
    assert figure_of(answer.text, "first_response_median") == "1 h 20 min"


def test_an_agent_is_told_that_this_is_not_for_their_role(make: Factory, login: Callable) -> None:
    answer = login(make.agent("Agent", branch=make.branch())).get("/leads/")
    assert answer.status_code == 403
    assert "lead a branch" in answer.text


def test_someone_who_is_not_signed_in_is_asked_to_sign_in(client) -> None:
    assert client.get("/leads/").status_code in (302, 401)


def test_a_lead_sees_the_branches_they_lead_and_no_other(make: Factory, login: Callable) -> None:
    leeds, york, bath = make.branch(name="Leeds"), make.branch(name="York"), make.branch(name="Bath")
    lead = make.agent("Lead", branch=leeds)
    make.membership(lead, york, is_lead=True)
    make.membership(lead, bath)
    for branch, minutes in ((leeds, 10), (york, 20), (bath, 600)):
        answered(opened(make, branch, now() - YESTERDAY), lead, timedelta(minutes=minutes))
    page = login(lead).get("/leads/").text
    assert figure_of(page, "first_response_median") == "15 min"
    assert "Leeds" in page
    assert "York" in page
    assert "Bath" not in page


def test_a_branch_outside_the_persons_reach_cannot_be_asked_for(make: Factory, login: Callable) -> None:
    leeds, bath = make.branch(name="Leeds"), make.branch(name="Bath")
    lead = make.agent("Lead", branch=leeds)
    answered(opened(make, leeds, now() - YESTERDAY), lead, timedelta(minutes=10))
    answered(opened(make, bath, now() - YESTERDAY), lead, timedelta(minutes=600))
    page = login(lead).get(f"/leads/?branch={bath.id}").text
    assert figure_of(page, "first_response_median") == "10 min"
    assert "Bath" not in page


def test_an_admin_may_look_at_one_branch(make: Factory, login: Callable) -> None:
    leeds, bath = make.branch(name="Leeds"), make.branch(name="Bath")
    agent = make.agent()
    answered(opened(make, leeds, now() - YESTERDAY), agent, timedelta(minutes=10))
    answered(opened(make, bath, now() - YESTERDAY), agent, timedelta(minutes=30))
    page = login(make.agent("Admin")).get(f"/leads/?branch={bath.id}").text
    assert figure_of(page, "first_response_median") == "30 min"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("first=2026-03-20&last=2026-03-10", "lies after the last day"),
        ("first=yesterday", "is not a date"),
        ("first=2026-02-30&last=2026-03-01", "is not a date"),
        ("first=0001-01-01", "between the year 2000"),
        ("first=2001-01-01", "more than three years"),
        ("days=-1", "number of days"),
        ("days=" + "9" * 50, "number of days"),
        ("days=x", "number of days"),
    ],
)
def test_days_that_cannot_be_are_answered_with_a_sentence(
    make: Factory, login: Callable, query: str, sentence: str
) -> None:
    answer = login(make.agent("Admin")).get(f"/leads/?{query}")
    assert answer.status_code == 422
    assert sentence in answer.text
    assert 'name="first"' in answer.text


def test_an_empty_desk_says_what_is_missing(make: Factory, login: Callable) -> None:
    page = login(make.agent("Lead", branch=make.branch())).get("/leads/").text
    assert "Nothing to measure yet" in page


def test_a_figure_without_a_basis_says_so(make: Factory, login: Callable) -> None:
    branch = make.branch()
    opened(make, branch, now() - YESTERDAY)
    page = login(make.agent("Lead", branch=branch)).get("/leads/").text
    assert "No first answer was given in these days" in page
    assert "No replies sent in these days" in page


def test_the_trend_can_be_read_as_a_table(make: Factory, login: Callable) -> None:
    branch = make.branch()
    lead = make.agent("Lead", branch=branch)
    answered(opened(make, branch, now() - YESTERDAY), lead, timedelta(minutes=10))
    page = login(lead).get("/leads/?days=7").text
    table = page[page.index("Show as a table") :]
    assert table[: table.index("</table>")].count('scope="row"') == 7


def test_days_are_those_of_the_persons_time_zone(make: Factory, login: Callable) -> None:
    lead = make.agent("Lead", branch=make.branch())
    lead.agent.time_zone = "Pacific/Auckland"
    db.session.flush()
    assert (
        "Pacific/Auckland" in login(lead).get("/leads/").text
        or "Nothing to measure" in login(lead).get("/leads/").text
    )


def test_names_are_shown_as_text(make: Factory, login: Callable) -> None:
    evil = "<script>alert(1)</script>"
    branch = make.branch(name=evil)
    make.branch()
    opened(make, branch, now() - YESTERDAY)
    page = login(make.agent("Admin")).get("/leads/").text
    assert evil not in page
    assert "&lt;script&gt;alert" in page


def list_behind(client, page: str, metric: str) -> str:
    """The address behind the figure of that card."""
    card = page[page.index(f'data-metric="{metric}"') :]
    found = re.search(r'href="([^"]+)"', card)
    assert found, f"nothing to open behind {metric}"
    return found[1].replace("&amp;", "&")


@pytest.mark.parametrize(
    ("metric", "count"),
    [("first_response_median", 2), ("pickup_rate", 4), ("escalation_rate", 4), ("backlog", 3)],
)
def test_a_figure_opens_the_list_of_exactly_the_tickets_behind_it(
    make: Factory, login: Callable, metric: str, count: int
) -> None:
    branch = make.branch()
    lead = make.agent("Lead", branch=branch)
    for status, is_answered in (("open", True), ("closed", True), ("new", False), ("pending", False)):
        ticket = opened(make, branch, now() - YESTERDAY, status=status)
        if is_answered:
            answered(ticket, lead, timedelta(minutes=10))
            ticket.first_responded_at = ticket.created_at + timedelta(minutes=10)
    opened(make, branch, now() - timedelta(days=200), status="closed")
    db.session.flush()
    client = login(lead)
    page = client.get("/leads/?days=7").text
    exported = client.get(list_behind(client, page, metric).replace("/queue?", "/queue/export.csv?")).text
    assert len(exported.splitlines()) - 1 == count


def test_the_page_asks_at_most_twelve_statements(
    make: Factory, login: Callable, count_queries: Callable
) -> None:
    branches = [make.branch() for _ in range(4)]
    lead = make.agent("Lead", branch=branches[0])
    for branch in branches[1:]:
        make.membership(lead, branch, is_lead=True)
    for branch in branches:
        answered(opened(make, branch, now() - YESTERDAY), lead, timedelta(minutes=10))
    db.session.commit()
    client = login(lead)
    with count_queries() as statements:
        assert client.get("/leads/").status_code == 200
    assert len(statements) <= 12, "\n".join(statements)


def test_a_lead_who_leads_nothing_is_told_so(make: Factory, login: Callable) -> None:
    person: User = make.agent("Lead", branch=None)
    make.membership(person, make.branch(), is_lead=False)
    assert login(person).get("/leads/").status_code == 403
