"""The first day of a desk: what is missing is said, with the way there, and goes away when it is done."""

import pytest

from portal.services import getting_started
from portal.views.admin.contents import SECTIONS
from tests.factory import Factory


def page_at(client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_an_empty_desk_leads_its_admin_through_what_is_missing(make: Factory, login) -> None:
    client = login(make.agent("Admin"))
    queue = page_at(client, "/queue")
    assert "Nothing is set up yet" in queue
    assert 'href="/admin/"' in queue
    page = page_at(client, "/admin/")
    assert "0 of 7 done" in page
    assert 'href="/admin/calendars/add"' in page

    make.branch()
    page = page_at(client, "/admin/")
    assert 'href="/admin/branches/list/"' in page
    assert 'href="/admin/accounts/add"' in page
    assert "Nothing is set up yet" not in page_at(client, "/queue")


def test_a_desk_with_everything_is_not_reminded(make: Factory, login) -> None:
    branch = make.branch()
    make.agent(branch=branch)
    make.account(branch)
    make.template()
    make.policy()
    assert getting_started.steps_done() == [True] * len(getting_started.STEPS)
    assert "Set up your desk" not in page_at(login(make.agent("Admin")), "/admin/")


@pytest.mark.parametrize("role", ["Lead", "Auditor"])
def test_whoever_cannot_set_up_a_desk_is_not_asked_to(role: str, make: Factory, login) -> None:
    client = login(make.agent(role))
    assert "Set up your desk" not in page_at(client, "/admin/")
    assert 'href="/admin/"' not in page_at(client, "/queue").split('id="rows-empty"')[1].split("</div>")[0]


def test_a_person_without_a_branch_learns_why_there_is_nothing(make: Factory, login) -> None:
    make.branch()
    assert "You belong to no branch yet" in page_at(login(make.agent("Agent")), "/queue")


def test_every_step_has_a_page_where_it_is_done() -> None:
    views = {view.__name__ for section in SECTIONS for view in section.views}
    assert {step.view for step in getting_started.STEPS} <= views
