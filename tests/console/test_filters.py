"""The queue's filter: read from an address, written back, applied within reach."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text
from werkzeug.datastructures import MultiDict

from portal import access
from portal.errors import NotFound, UserFault
from portal.extensions import db
from portal.models import User
from portal.models.columns import now
from portal.services import tickets
from portal.views.console.filters import TicketFilter, filter_from
from tests.factory import Factory

# For addresses that name nothing of which it matters who asks.
ANYONE = User()


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        ({}, TicketFilter()),
        ({"view": "mine"}, TicketFilter(view="mine")),
        ({"status": "pending,open"}, TicketFilter(status=("open", "pending"))),
        ({"branch": "3", "tier": "2"}, TicketFilter(branch=(3,), tier=2)),
        ({"assignee": "me"}, TicketFilter(assignee=("me",))),
        ({"assignee": "17"}, TicketFilter(assignee=("17",))),
        ({"priority": "urgent", "type": "bug"}, TicketFilter(priority=("urgent",), type=("bug",))),
        ({"tag": "  Delivery  late "}, TicketFilter(tag=("delivery late",))),
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
    found = filter_from(MultiDict(args), ANYONE)
    assert found == wanted
    assert filter_from(found.to_args(), ANYONE) == wanted


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
        filter_from(args, ANYONE)


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(UserFault, match=r"no view.*no status"):
        filter_from({"view": "x", "status": "y"}, ANYONE)


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
        TicketFilter(assignee=("me",)),
        TicketFilter(customer=str(wanted.customer_id)),
        TicketFilter(text=str(wanted.number)),
        TicketFilter(text=wanted.subject),
        TicketFilter(branch=(branch.id,), status=("open",)),
    ):
        found = db.session.scalars(narrowed.of(agent)).all()
        assert [ticket.id for ticket in found] == [wanted.id], narrowed


def test_a_branch_out_of_reach_is_not_found(make: Factory) -> None:
    agent, foreign = make.agent(branch=make.branch()), make.branch()
    with pytest.raises(NotFound):
        TicketFilter(branch=(foreign.id,)).apply(access.visible_tickets(agent), agent)


def test_a_customers_name_and_address_are_searched_within_reach_only(make: Factory) -> None:
    branch, foreign = make.branch(), make.branch()
    agent = make.agent(branch=branch)
    customer = make.customer("Harald Nyström", "harald@post.test")
    here = make.ticket(branch, customer)
    make.ticket(foreign, customer)
    for typed in ("nyström", "harald@post", "HARALD"):
        assert [ticket.id for ticket in db.session.scalars(TicketFilter(text=typed).of(agent))] == [here.id]


@pytest.mark.parametrize("typed", ["%", "_", "\\", "'", '"; drop table ticket; --', "100%"])
def test_signs_of_patterns_and_sql_are_plain_text_in_a_search(make: Factory, typed: str) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    make.ticket(branch, subject="An ordinary matter")
    wanted = make.ticket(branch, subject=f"Has {typed} in it")
    assert list(db.session.scalars(TicketFilter(text=typed).of(agent))) == [wanted]


def test_days_are_those_of_the_zone(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    # Half past midnight in London is the day before in UTC during summer time.
    ticket = make.ticket(branch, created_at=now().replace(2026, 7, 1, 23, 30, 0, 0))
    in_london = TicketFilter(opened_from=date(2026, 7, 2), opened_to=date(2026, 7, 2), zone="Europe/London")
    assert list(db.session.scalars(in_london.of(agent))) == [ticket]
    assert list(db.session.scalars(in_london.with_(zone="UTC").of(agent))) == []


COLOURS = [
    {"key": "blue", "label": "Blue", "is_active": True},
    {"key": "red", "label": "Red", "is_active": True},
    {"key": "pink", "label": "Pink", "is_active": False},
]


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        ({"branch": "4,3,3"}, TicketFilter(branch=(3, 4))),
        ({"assignee": "17,none,me,9"}, TicketFilter(assignee=("me", "none", "9", "17"))),
        ({"tag": "Refund, delivery  late,refund"}, TicketFilter(tag=("delivery late", "refund"))),
        ({"tag_id": "12,3"}, TicketFilter(tag_id=(3, 12))),
        ({"customer": "17"}, TicketFilter(customer="17")),
        ({"customer": "Ada@Post.Test, "}, TicketFilter(customer="ada@post.test")),
        ({"customer": "+44 1234"}, TicketFilter(customer="+44 1234")),
        ({"template": "5,2"}, TicketFilter(template=(2, 5))),
        ({"activity_from": "2026-11-01"}, TicketFilter(activity_from=date(2026, 11, 1))),
    ],
)
def test_several_values_are_read_and_written_back(args: dict[str, str], wanted: TicketFilter) -> None:
    found = filter_from(MultiDict(args), ANYONE)
    assert found == wanted
    assert filter_from(found.to_args(), ANYONE) == wanted


def test_a_form_that_sends_a_name_twice_means_both() -> None:
    sent = MultiDict(
        [("status", "open"), ("status", ""), ("status", "new"), ("assignee", "me"), ("assignee", "3")]
    )
    assert filter_from(sent, ANYONE) == TicketFilter(status=("new", "open"), assignee=("me", "3"))


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"branch": "3,north"}, "“branch” must be a number, not “north”"),
        ({"assignee": "me,ana"}, "“assignee” must be a number, not “ana”"),
        ({"tag": f"a,{'x' * 65}"}, "longer than 64"),
        ({"tag_id": "0"}, "“tag_id” must be a number"),
        ({"customer": "Ada Lovelace"}, "must be the address of one customer, not “ada lovelace”"),
        ({"customer": "a@b.test, c@d.test"}, "must be the address of one customer"),
        ({"customer": "9" * 30}, "must be the address of one customer"),
        ({"template": "refund"}, "“template” must be a number"),
        ({"activity_to": "soon"}, "“activity_to” must be a day"),
    ],
)
def test_what_cannot_be_read_of_several_is_refused(args: dict[str, str], says: str) -> None:
    with pytest.raises(UserFault, match=says):
        filter_from(args, ANYONE)


def found_by(agent, **args: str) -> set[int]:
    return {ticket.id for ticket in db.session.scalars(filter_from(args, agent).of(agent))}


def test_several_values_mean_any_of_them(make: Factory) -> None:
    north, south, west = make.branch(), make.branch(), make.branch()
    agent = make.agent(branch=north)
    make.membership(agent, south)
    make.membership(agent, west)
    mine = make.ticket(north, assignee_id=agent.id)
    nobodys = make.ticket(south)
    other = make.ticket(west, assignee_id=make.agent(branch=west).id)
    mine.tags, other.tags = tickets.tags_named(["refund"]), tickets.tags_named(["late"])
    db.session.commit()
    late = other.tags[0].id
    assert found_by(agent, branch=f"{north.id},{south.id}") == {mine.id, nobodys.id}
    assert found_by(agent, assignee="me,none") == {mine.id, nobodys.id}
    assert found_by(agent, assignee=f"none,{other.assignee_id}") == {nobodys.id, other.id}
    assert found_by(agent, tag="refund,late") == {mine.id, other.id}
    assert found_by(agent, tag="refund", tag_id=str(late)) == {mine.id, other.id}
    assert found_by(agent, tag_id=str(late)) == {other.id}
    assert found_by(agent, tag="unknown") == set()


def test_a_customer_is_meant_by_id_or_by_any_of_their_addresses(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    ada = make.customer("Ada", "ada@post.test")
    ticket = make.ticket(branch, ada)
    make.ticket(branch)
    for customer in (str(ada.id), "ada@post.test", "ADA@post.test,"):
        assert found_by(agent, customer=customer) == {ticket.id}
    assert found_by(agent, customer="nobody@post.test") == set()


def test_tickets_are_found_by_the_template_that_was_sent(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    refund, other = make.template(), make.template()
    sent, withdrawn = make.ticket(branch), make.ticket(branch)
    make.message(sent, "out", template_id=refund.id, delivery_state="sent")
    make.message(withdrawn, "out", template_id=refund.id, delivery_state="cancelled")
    assert found_by(agent, template=str(refund.id)) == {sent.id}
    assert found_by(agent, template=f"{refund.id},{other.id}") == {sent.id}
    assert found_by(agent, template=str(other.id)) == set()


def test_days_of_activity_narrow(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    ticket = make.ticket(branch, last_activity_at=now().replace(2026, 7, 1, 12, 0, 0, 0))
    assert found_by(agent, activity_from="2026-07-01", activity_to="2026-07-01") == {ticket.id}
    assert found_by(agent, activity_from="2026-07-02") == set()


def test_the_desks_own_fields_narrow_by_value_and_by_range(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    make.field("order")
    make.field("amount", kind="number")
    make.field("bought", kind="date")
    make.field("insured", kind="yes_no")
    make.field("colour", kind="choice", choices=COLOURS)
    make.field("colours", kind="choices", choices=COLOURS)
    values = {
        "order": "A-17, b",
        "amount": 9.5,
        "bought": "2026-11-03",
        "insured": False,
        "colour": "pink",
        "colours": ["blue", "red"],
    }
    ticket = make.ticket(branch, fields=values)
    make.ticket(branch, fields={"order": "A-18", "amount": 100, "insured": True, "colours": ["pink"]})
    make.ticket(branch)
    for args in (
        {"field.order": "A-17, b"},
        {"field.amount": "9.50"},
        {"field.amount.from": "9", "field.amount.to": "10"},
        {"field.bought.from": "2026-11-03", "field.bought.to": "2026-11-03"},
        {"field.insured": "no"},
        {"field.colour": "pink,red"},
        {"field.colours": "red"},
        {"field.amount.to": "9.5", "field.colours": "blue,pink"},
    ):
        assert found_by(agent, **args) == {ticket.id}, args
        asked = filter_from(args, agent)
        assert filter_from(asked.to_args(), agent) == asked
    assert found_by(agent, **{"field.amount.from": "-1"}) > {ticket.id}
    assert found_by(agent, **{"field.order": ""}) > {ticket.id}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"field.unknown": "1"}, "There is no field “unknown”"),
        ({"field.amount": "many"}, "“Amount” must be a number"),
        ({"field.amount.until": "1"}, "There is no field “amount”"),
        ({"field.amount.is": "full"}, "can be asked to be “empty”"),
        ({"is_untagged": "no"}, "There is no is_untagged “no”"),
        ({"field.": "1"}, "There is no field “”"),
        ({"field.colour": "gold"}, "“gold” cannot be chosen"),
    ],
)
def test_a_question_that_no_field_can_take_is_refused(make: Factory, args: dict[str, str], says: str) -> None:
    make.field("amount", kind="number")
    make.field("colour", kind="choice", choices=COLOURS)
    with pytest.raises(UserFault, match=says):
        filter_from(args, ANYONE)


@pytest.mark.parametrize("end", ["", ".from", ".to", ".is", ".until"])
@pytest.mark.parametrize("value", ["9", "x", "empty"])
def test_a_field_out_of_reach_is_answered_like_one_that_does_not_exist(
    make: Factory, end: str, value: str
) -> None:
    agent = make.agent(branch=make.branch())
    make.field("secret", kind="number", name="Turnover", branches=[make.branch()])

    def answer(key: str) -> str:
        with pytest.raises(UserFault) as refused:
            filter_from({f"field.{key}{end}": value}, agent)
        return str(refused.value).replace(key, "…")

    assert answer("secret") == answer("nothing")


def test_a_field_without_a_value_is_found_beside_values_or_alone(make: Factory) -> None:
    here, other = make.branch(), make.branch()
    agent = make.agent("Admin")
    make.field("order", branches=[here])
    make.field("amount", kind="number")
    make.field("colours", kind="choices", choices=COLOURS)
    full = make.ticket(here, fields={"order": "A-17", "amount": 5, "colours": ["red"]})
    half = make.ticket(here, fields={"amount": 0})
    none = make.ticket(here)
    foreign = make.ticket(other)
    for args, wanted in (
        ({"field.order.is": "empty"}, {half, none}),
        ({"field.order.is": "empty", "field.order": "A-17"}, {full, half, none}),
        ({"field.amount.is": "empty"}, {none, foreign}),
        ({"field.amount.is": "empty", "field.amount.from": "1"}, {full, none, foreign}),
        ({"field.colours.is": "empty", "field.colours": "red", "field.amount.to": "0"}, {half}),
        ({"field.order.is": "empty", "field.amount.is": "empty"}, {none}),
    ):
        assert found_by(agent, **args) == {ticket.id for ticket in wanted}, args
        asked = filter_from(args, agent)
        assert filter_from(asked.to_args(), agent) == asked


def test_tickets_without_a_tag_or_an_answer_are_found_beside_others_or_alone(make: Factory) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch)
    tagged, other, bare = (make.ticket(branch) for _ in range(3))
    tickets.set_tags(tagged, ["parcel"], agent)
    tickets.set_tags(other, ["broken"], agent)
    tagged.first_responded_at = datetime(2026, 11, 2, 12, tzinfo=UTC)
    other.first_responded_at = datetime(2026, 11, 9, 12, tzinfo=UTC)
    db.session.commit()
    for args, wanted in (
        ({"is_untagged": "yes"}, {bare}),
        ({"is_untagged": "yes", "tag": "parcel"}, {tagged, bare}),
        ({"is_unanswered": "yes"}, {bare}),
        ({"is_unanswered": "yes", "answered_to": "2026-11-05"}, {tagged, bare}),
    ):
        assert found_by(agent, **args) == {ticket.id for ticket in wanted}, args
        asked = filter_from(args, agent)
        assert filter_from(asked.to_args(), agent) == asked


def test_a_field_is_found_by_its_index(make: Factory) -> None:
    make.field("order")
    agent = make.agent("Admin")
    found = filter_from({"field.order": "A-17"}, agent).apply(access.visible_tickets(agent), agent)
    db.session.execute(text("SET LOCAL enable_seqscan = off"))
    compiled = found.compile(db.engine, compile_kwargs={"literal_binds": True})
    plan = "\n".join(db.session.scalars(text("EXPLAIN " + str(compiled).replace(":", r"\:"))))
    assert "ix_ticket_fields" in plan, plan
