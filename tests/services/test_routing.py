"""Rules and strategies as mails and moves meet them."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.channels.base import IncomingBytes
from portal.errors import UserFault
from portal.extensions import db
from portal.models import (
    Agent,
    Event,
    InboxItem,
    Notification,
    RoutingRule,
    Ticket,
    User,
)
from portal.models.columns import now
from portal.services import intake, moving, quarantine, routing_rules, tickets
from tests.factory import Factory

DESK = "desk@portal.test"


def accept(*mails: bytes) -> None:
    take_in(*mails)
    intake.process_waiting()


def take_in(*mails: bytes) -> None:
    for number, raw in enumerate(mails):
        intake.accept(
            IncomingBytes(
                channel_kind="email",
                account_id=None,
                source_key=f"routing:{hash(raw)}:{number}",
                raw=raw,
                received_at=now(),
                envelope_from="x@customer.test",
                envelope_to=(DESK,),
            )
        )


def mail(number: int, sender: str = "", header: str = "X-Plain: yes", subject: str = "") -> bytes:
    return (
        f"From: {sender or f'c{number}@customer.test'}\r\nTo: {DESK}\r\nSubject: {subject or f'Matter {number}'}\r\n"
        f"Message-ID: <routing-{number}@customer.test>\r\n{header}\r\n\r\nIt is broken.\r\n"
    ).encode()


def rule(**values: Any) -> RoutingRule:
    row = RoutingRule(**{"name": "Rule", "conditions": {}, **values})
    db.session.add(row)
    db.session.commit()
    return row


def all_tickets() -> list[Ticket]:
    return list(
        db.session.scalars(select(Ticket).order_by(Ticket.id).execution_options(populate_existing=True))
    )


def when(field: str, operator: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value, **more}


def profile(person_id: int) -> Agent:
    return db.session.get_one(Agent, person_id)


@pytest.mark.parametrize(
    ("condition", "header"),
    [
        (when("header", "equals", "Grüße", name="X-Shop"), "X-Shop: =?utf-8?q?Gr=C3=BC=C3=9Fe?="),
        (when("subject", "matches", r"matter \d+"), "X-Plain: yes"),
        (when("customer_level", "equals", "gold"), "X-Plain: yes"),
        (when("customer_tags", "equals", "vip"), "X-Plain: yes"),
        (when("is_known_customer", "equals", True), "X-Plain: yes"),
        (when("working_hours", "equals", True), "X-Plain: yes"),
        (when("time", "between", "00:00-24:00"), "X-Plain: yes"),
    ],
)
def test_a_mail_is_routed_by_what_is_known_of_it(
    make: Factory, condition: dict[str, Any], header: str
) -> None:
    branch = make.branch()
    make.account(branch, address=DESK)
    gold = make.customer(address="gold@customer.test", level="gold")
    tickets.set_tags(make.ticket(branch, gold), ["vip"], None)
    rule(conditions=condition, priority="urgent")
    accept(mail(1, "gold@customer.test", header))
    assert all_tickets()[-1].priority == "urgent"
    (matched,) = all_tickets()[-1].route["evidence"]["rules"][0]["tests"]
    assert matched["found"]


def test_somebody_who_writes_for_the_first_time_is_not_known(make: Factory) -> None:
    make.account(make.branch(), address=DESK)
    rule(conditions=when("is_known_customer", "equals", True), priority="urgent")
    accept(mail(1, "new@customer.test"), mail(2, "new@customer.test"))
    assert [ticket.priority for ticket in all_tickets()] == ["normal", "normal"]
    accept(mail(3, "new@customer.test"))
    assert all_tickets()[-1].priority == "urgent"


def test_a_rule_that_was_imported_broken_loses_no_ticket_and_says_so(make: Factory) -> None:
    shop, closed = make.branch(), make.branch(is_active=False)
    closed.fall_back_branch_id = make.branch().id
    stranger = make.agent(branch=make.branch())
    fall_back, shop_id = closed.fall_back_branch_id, shop.id
    make.account(shop, address=DESK)
    rule(name="Unreadable", conditions=when("subject", "matches", "(a"), position=1)
    rule(name="Closed", conditions=when("subject", "contains", "one"), branch_id=closed.id)
    rule(name="Stranger", conditions=when("subject", "contains", "two"), assignee_id=stranger.id)
    rule(name="Heights", conditions=when("subject", "contains", "three"), tier_level=7)
    accept(mail(1, subject="one"), mail(2, subject="two"), mail(3, subject="three"))
    first, second, third = all_tickets()
    assert (first.branch_id, first.route["rule"]) == (fall_back, "fall_back_branch")
    assert (second.branch_id, second.assignee_id) == (shop_id, None)
    assert (third.branch_id, third.tier_level) == (shop_id, 1)
    warnings = [ticket.route["evidence"]["warnings"] for ticket in (first, second, third)]
    assert all("“Unreadable” was passed over" in each[0] for each in warnings)
    assert ["disabled" in warnings[0][1], "not a member" in warnings[1][1], "level 7" in warnings[2][1]] == [
        True
    ] * 3


def test_a_branch_goes_round_its_people_who_are_there(make: Factory) -> None:
    branch = make.branch(assignment_strategy="round_robin")
    make.account(branch, address=DESK)
    first, away, second = (make.agent(branch=branch, first_name=name).id for name in ("Ada", "Ben", "Chi"))
    make.agent(branch=branch, tier=2)
    profile(away).availability = "away"
    db.session.commit()
    accept(*(mail(number) for number in range(4)))
    accept(mail(9))
    assert [ticket.assignee_id for ticket in all_tickets()] == [
        first,
        second,
        first,
        second,
        first,
    ]
    event = db.session.scalars(
        select(Event).where(Event.kind == "ticket_assigned").order_by(Event.id)
    ).first()
    assert event is not None
    assert (event.data["rule"], event.data["evidence"]["away"]) == ("round_robin", [away])
    told = db.session.scalars(select(Notification).where(Notification.user_id == first)).all()
    assert [note.kind for note in told] == ["assigned"] * 3
    assert all_tickets()[0].route["assignment"]["reason"].startswith("It was Ada ")


def test_who_has_least_to_do_gets_the_next_and_nobody_more_than_they_can_take(make: Factory) -> None:
    branch = make.branch(assignment_strategy="least_loaded")
    make.account(branch, address=DESK)
    busy, idle = make.agent(branch=branch).id, make.agent(branch=branch).id
    for status in ("open", "pending"):
        make.ticket(make.branch(), assignee_id=busy, status=status)
    make.ticket(branch, assignee_id=idle, status="closed")
    profile(busy).capacity, profile(idle).capacity = 3, 2
    db.session.commit()
    accept(*(mail(number) for number in range(5)))
    given = [ticket.assignee_id for ticket in all_tickets()[3:]]
    assert given == [idle, idle, busy, None, None]
    assert "as many tickets as they can take" in all_tickets()[-1].route["assignment"]["reason"]


def test_a_customer_comes_back_to_whom_they_know(make: Factory) -> None:
    branch = make.branch(assignment_strategy="sticky")
    make.account(branch, address=DESK)
    make.agent(branch=branch)
    known = make.agent(branch=branch).id
    customer = make.customer(address="zoe@customer.test")
    make.ticket(branch, customer, assignee_id=known, status="closed")
    accept(mail(1, "zoe@customer.test"))
    assert all_tickets()[-1].assignee_id == known


def test_a_rule_overrules_how_the_branch_gives_tickets_out(make: Factory) -> None:
    branch = make.branch(assignment_strategy="round_robin")
    make.account(branch, address=DESK)
    person, named = make.agent(branch=branch).id, make.agent(branch=branch).id
    profile(named).availability = "away"
    rule(name="a", conditions=when("subject", "contains", "named"), assignee_id=named)
    rule(name="b", conditions=when("subject", "contains", "nobody"), strategy="manual")
    accept(mail(1, subject="named"), mail(2, subject="nobody"), mail(3))
    assert [ticket.assignee_id for ticket in all_tickets()] == [named, None, person]


def test_a_ticket_that_is_moved_is_given_out_there(make: Factory) -> None:
    here, there = make.branch(), make.branch(assignment_strategy="round_robin")
    person = make.agent(branch=there)
    ticket = make.ticket(here)
    tickets.move_to_branch(ticket, there, make.agent(branch=here))
    assert ticket.assignee_id == person.id
    kinds = list(
        db.session.scalars(select(Event.kind).where(Event.ticket_id == ticket.id).order_by(Event.id))
    )
    assert kinds.index("branch_changed") < kinds.index("ticket_assigned")


def test_what_is_opened_by_hand_or_split_off_is_given_out_as_well(make: Factory) -> None:
    branch = make.branch(assignment_strategy="round_robin")
    make.account(branch, address=DESK)
    first, second = (make.agent(branch=branch).id for _ in range(2))
    aside = InboxItem(source_key="aside", raw=mail(1), size_bytes=1, sha256="0" * 64, state="quarantined")
    db.session.add(aside)
    db.session.commit()
    boss = make.agent("Admin")
    by_hand = quarantine.open_by_hand(
        aside, branch=branch, address="zoe@customer.test", name="", subject="Parcel", actor=boss
    )
    assert by_hand.assignee_id == first

    again = make.message(by_hand, text="And my lamp is broken.", from_address="zoe@customer.test")
    split = moving.split_off(again, boss)
    assert split.assignee_id == second
    assert split.route["assignment"]["rule"] == "round_robin"


@pytest.mark.parametrize("strategy", ["round_robin", "least_loaded"])
def test_workers_at_once_give_the_same_turn_to_nobody_twice(
    strategy: str, app: Flask, real_commits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four workers, forty mails, three people there and one away; each can take twelve."""
    monkeypatch.setattr(intake, "BATCH", 4)
    make = Factory()
    branch = make.branch(assignment_strategy=strategy)
    make.account(branch, address=DESK)
    people = [make.agent(branch=branch).id for _ in range(4)]
    for person in people:
        profile(person).capacity = 12
    profile(people[3]).availability = "away"
    db.session.commit()
    take_in(*(mail(number) for number in range(40)))

    ready = Barrier(4)

    def work(_number: int) -> int:
        with app.app_context():
            ready.wait()
            return intake.process_waiting()

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(work, range(4)))
    assert sum(done) == 40
    assert sum(map(bool, done)) > 1, "one worker took everything: nobody raced"
    db.session.expire_all()
    given = Counter(ticket.assignee_id for ticket in all_tickets())
    assert given == {people[0]: 12, people[1]: 12, people[2]: 12, None: 4}
    turns = [ticket.assignee_id for ticket in sorted(all_tickets(), key=turn_of) if ticket.assignee_id]
    if strategy == "round_robin":
        rounds = [set(turns[start : start + 3]) for start in range(0, 36, 3)]
        assert rounds == [set(people[:3])] * 12


def turn_of(ticket: Ticket) -> int:
    """When it was given out, among all."""
    found = select(Event.id).where(Event.ticket_id == ticket.id, Event.kind == "ticket_assigned")
    return db.session.scalar(found) or 0


def test_giving_many_out_costs_as_many_statements_as_giving_one(
    make: Factory,
    monkeypatch: pytest.MonkeyPatch,
    count_queries: Callable[[], AbstractContextManager[list[str]]],
) -> None:
    monkeypatch.setattr(intake, "SHARES", 1)
    branch = make.branch()
    make.account(branch, address=DESK)
    for _ in range(3):
        profile(make.agent(branch=branch).id).capacity = 1_000
    counts: dict[str, list[int]] = {}
    number = 0
    for strategy in ("manual", "round_robin", "sticky"):
        branch.assignment_strategy = strategy
        db.session.commit()
        for size in (2, 40):
            mails = [mail(number + each) for each in range(size)]
            number += size
            with count_queries() as statements:
                accept(*mails)
            kept = 2 * size
            counts.setdefault(strategy, []).append(len(statements) - kept)
    assert counts["round_robin"][1] - counts["round_robin"][0] == counts["manual"][1] - counts["manual"][0]
    assert counts["round_robin"][1] - counts["manual"][1] <= 6
    assert counts["sticky"][1] - counts["manual"][1] <= 7


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda row, make: setattr(row.branch, "is_active", False), "is disabled and takes no tickets"),
        (lambda row, make: setattr(row, "assignee", make.agent(branch=make.branch())), "not a member of"),
        (lambda row, make: setattr(row, "tier_level", 5), "has no level 5"),
        (
            lambda row, make: (setattr(row, "branch", None), setattr(row, "tier_level", 8)),
            "No branch has a level 8",
        ),
        (
            lambda row, make: (
                setattr(row, "assignee", make.agent(branch=row.branch)),
                setattr(row, "strategy", "sticky"),
            ),
            "either one person or a strategy",
        ),
        (lambda row, make: setattr(row, "policy", make.policy(is_active=False)), "is disabled"),
    ],
)
def test_a_rule_that_could_not_do_what_it_says_is_refused(
    make: Factory, spoil: Callable[[RoutingRule, Factory], Any], words: str
) -> None:
    row = rule(branch_id=make.branch().id, tier_level=2)
    routing_rules.check_rule(row)
    spoil(row, make)
    with pytest.raises(UserFault, match=words):
        routing_rules.check_rule(row)


def test_the_ticket_shows_what_could_not_be_done_and_why_it_is_here(
    make: Factory, login: Callable[..., Any]
) -> None:
    shop = make.branch(assignment_strategy="round_robin")
    make.account(shop, address=DESK)
    reader = make.agent(branch=shop, first_name="Ada").id
    rule(name="Matters", conditions=when("subject", "contains", "<b>two"), branch_id=shop.id, is_last=False)
    rule(name="Unreadable", conditions=when("subject", "matches", "(a"))
    accept(mail(1, subject="Matter <b>two"))
    (ticket,) = all_tickets()
    page = login(db.session.get_one(User, reader)).get(f"/tickets/{ticket.number}").get_data(as_text=True)
    assert "The rule “Unreadable” was passed over" in page
    assert "routed by rule “Matters” (Subject: “Matter &lt;b&gt;two”)" in page
    assert "’s turn." in page or "&#39;s turn" in page
