"""The queue's filter: read from an address, written back, applied within reach."""

from datetime import date

import pytest
from werkzeug.datastructures import MultiDict

from portal import access
from portal.errors import NotFound, UserFault
from portal.extensions import db
from portal.models.columns import now
from portal.views.console.filters import TicketFilter, filter_from
from tests.factory import Factory


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        ({}, TicketFilter()),
        ({"view": "mine"}, TicketFilter(view="mine")),
        ({"status": "pending,open"}, TicketFilter(status=("open", "pending"))),
        ({"branch": "3", "tier": "2"}, TicketFilter(branch=3, tier=2)),
        ({"assignee": "me"}, TicketFilter(assignee="me")),
        ({"assignee": "17"}, TicketFilter(assignee="17")),
        ({"priority": "urgent", "type": "bug"}, TicketFilter(priority=("urgent",), type=("bug",))),
        ({"tag": "  Delivery  late "}, TicketFilter(tag="delivery late")),
        ({"sla": "late", "sort": "newest"}, TicketFilter(sla="late", sort="newest")),
        (
            {"opened_from": "2026-11-01", "zone": "Europe/London"},
            TicketFilter(opened_from=date(2026, 11, 1), zone="Europe/London"),
        ),
        ({"text": " two\twords\0 "}, TicketFilter(text="two words")),
        ({"unknown": "ignored"}, TicketFilter()),
    ],
)
def test_an_address_is_read_and_written_back(args: dict[str, str], wanted: TicketFilter) -> None:
    found = filter_from(MultiDict(args))
    assert found == wanted
    assert filter_from(found.to_args()) == wanted


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"view": "nonsense"}, "no view “nonsense”"),
        ({"status": "open,asleep"}, "no status “asleep”"),
        ({"branch": "north"}, "“branch” must be a number"),
        ({"branch": "99999999999999999999"}, "“branch” must be a number"),
        ({"branch": "-1"}, "“branch” must be a number"),
        ({"branch": "²"}, "“branch” must be a number"),
        ({"assignee": "ana"}, "“assignee” must be a number"),
        ({"sla": "soon"}, "no sla “soon”"),
        ({"sort": "random"}, "no sort “random”"),
        ({"opened_from": "yesterday"}, "must be a day"),
        ({"opened_to": "9999-12-31"}, "between the years"),
        ({"zone": "../../etc/passwd"}, "no time zone"),
        ({"text": "x" * 201}, "longer than 200"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(args: dict[str, str], says: str) -> None:
    with pytest.raises(UserFault, match=says):
        filter_from(args)


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(UserFault, match=r"no view.*no status"):
        filter_from({"view": "x", "status": "y"})


def test_each_condition_narrows(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    wanted = make.ticket(
        branch, status="open", priority="high", type="bug", tier_level=2, assignee_id=agent.id
    )
    make.ticket(branch, status="new")
    for narrowed in (
        TicketFilter(view="mine"),
        TicketFilter(status=("open",)),
        TicketFilter(priority=("high", "urgent")),
        TicketFilter(type=("bug",)),
        TicketFilter(tier=2),
        TicketFilter(assignee="me"),
        TicketFilter(customer=wanted.customer_id),
        TicketFilter(text=str(wanted.number)),
        TicketFilter(text=wanted.subject),
        TicketFilter(branch=branch.id, status=("open",)),
    ):
        found = db.session.scalars(narrowed.of(agent)).all()
        assert [ticket.id for ticket in found] == [wanted.id], narrowed


def test_a_branch_out_of_reach_is_not_found(make: Factory) -> None:
    agent, foreign = make.agent(branch=make.branch()), make.branch()
    with pytest.raises(NotFound):
        TicketFilter(branch=foreign.id).apply(access.visible_tickets(agent), agent)


def test_a_customers_name_and_address_are_searched_within_reach_only(make: Factory) -> None:
    branch, foreign = make.branch(), make.branch()
    agent = make.agent(branch=branch)
    customer = make.customer("Harald Nyström", "harald@post.test")
    here = make.ticket(branch, customer)
    make.ticket(foreign, customer)
    for text in ("nyström", "harald@post", "HARALD"):
        assert [ticket.id for ticket in db.session.scalars(TicketFilter(text=text).of(agent))] == [here.id]


@pytest.mark.parametrize("text", ["%", "_", "\\", "'", '"; drop table ticket; --', "100%"])
def test_signs_of_patterns_and_sql_are_plain_text_in_a_search(make: Factory, text: str) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    make.ticket(branch, subject="An ordinary matter")
    wanted = make.ticket(branch, subject=f"Has {text} in it")
    assert list(db.session.scalars(TicketFilter(text=text).of(agent))) == [wanted]


def test_days_are_those_of_the_zone(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    # Half past midnight in London is the day before in UTC during summer time.
    ticket = make.ticket(branch, created_at=now().replace(2026, 7, 1, 23, 30, 0, 0))
    in_london = TicketFilter(opened_from=date(2026, 7, 2), opened_to=date(2026, 7, 2), zone="Europe/London")
    assert list(db.session.scalars(in_london.of(agent))) == [ticket]
    assert list(db.session.scalars(in_london.with_(zone="UTC").of(agent))) == []
