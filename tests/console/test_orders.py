"""Every order of the lists of work stands in an index: nothing is sorted, whoever looks and however far they page."""

import re

import pytest
from sqlalchemy import text

from portal.extensions import db
from portal.views.console import lists
from portal.views.console.filters import TicketFilter
from tests.factory import Factory

# What the rows of these views have in common beyond being open is left to a filter on the way.
WORK = ("branch", "open", "unassigned", "waiting")
SORTS = ("due", "newest", "oldest", "priority", "activity")


def plan_of(wanted: TicketFilter, user, after: str = "") -> str:
    found = wanted.order.applied(lists._narrowed(wanted, user, after, 51)).limit(51)
    compiled = found.compile(db.engine, compile_kwargs={"render_postcompile": True})
    connection = db.session.connection()
    # With few rows a table is read faster than an index; what is asked is whether the index could serve.
    for setting in ("enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_incremental_sort"):
        db.session.execute(text(f"SET LOCAL {setting} = off"))
    cursor = connection.connection.cursor()
    return "\n".join(
        line for (line,) in cursor.execute("EXPLAIN " + str(compiled), compiled.params).fetchall()
    )


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("view", WORK)
@pytest.mark.parametrize("role", ["Agent", "Admin"])
def test_the_order_of_a_list_of_work_is_read_from_an_index(
    make: Factory, role: str, view: str, sort: str
) -> None:
    branch = make.branch()
    user = make.agent(role, branch if role == "Agent" else None)
    last = make.ticket(branch)
    wanted = TicketFilter(view=view, sort=sort)
    for after in ("", wanted.order.cursor(last)):
        plan = plan_of(wanted, user, after)
        assert "Sort" not in plan, plan
        assert "Index" in plan, plan


@pytest.mark.parametrize("sort", SORTS)
def test_of_several_branches_each_gives_its_first_ones(make: Factory, sort: str) -> None:
    user = make.agent(branch=make.branch())
    make.membership(user, make.branch())
    plan = plan_of(TicketFilter(view="open", sort=sort), user)
    # Which of the two that hold this order depends on how many rows the planner believes in.
    assert re.search(r"ix_ticket_(open_)?branch_", plan), plan
    assert "Seq Scan on ticket" not in plan, plan


@pytest.mark.parametrize("sort", ["newest", "oldest", "activity"])
def test_finished_and_all_tickets_are_read_from_an_index_as_well(make: Factory, sort: str) -> None:
    for view in ("closed", "all"):
        plan = plan_of(TicketFilter(view=view, sort=sort), make.agent("Admin"))
        assert "Sort" not in plan, plan
