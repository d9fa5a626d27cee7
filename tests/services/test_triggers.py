"""Rules escalate in the transaction of the change that brings it, once until it is handed back and happens anew."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import inspect, select

from portal.channels.base import IncomingBytes
from portal.errors import UserFault
from portal.extensions import db
from portal.models import Branch, Escalation, EscalationRule, Event, Notification, Ticket, User
from portal.models.columns import now
from portal.services import escalation, intake, replies, tickets, triage, triggers
from tests.factory import Factory

DESK = "desk@portal.test"


def rule(kind: str, value: str, branch: Branch | None = None, **more: Any) -> EscalationRule:
    row = EscalationRule(
        name=f"{kind} {value}", kind=kind, value=value, branch_id=branch.id if branch else None, **more
    )
    db.session.add(row)
    db.session.commit()
    return row


@pytest.fixture
def branch(make: Factory) -> Branch:
    branch = make.branch()
    make.account(branch, address=DESK)
    return branch


@pytest.fixture
def ana(make: Factory, branch: Branch) -> User:
    return make.agent(branch=branch)


@pytest.fixture
def tom(make: Factory, branch: Branch) -> User:
    return make.agent(branch=branch, tier=2)


def receive(*mails: str) -> None:
    for raw in mails:
        intake.accept(
            IncomingBytes(
                channel_kind="email",
                source_key=f"key {hash(raw)}",
                raw=raw.encode(),
                envelope_from="",
                envelope_to=(DESK,),
                received_at=now(),
                account_id=None,
            )
        )
    intake.process_waiting()
    db.session.expire_all()


def mail(number: int, words: str, *, answers: int | None = None, sender: str = "zoe@customer.test") -> str:
    reference = f"In-Reply-To: <{answers}@customer.test>\n" if answers else ""
    return (
        f"From: Zoe <{sender}>\nTo: {DESK}\nSubject: Matter {answers or number}\n"
        f"Message-ID: <{number}@customer.test>\n{reference}\n{words}\n"
    ).replace("\n", "\r\n")


def raised(ticket: Ticket) -> list[tuple[str, int]]:
    found = select(Escalation.trigger, Escalation.to_level).where(Escalation.ticket_id == ticket.id)
    return [(trigger, level) for trigger, level in db.session.execute(found.order_by(Escalation.id))]


def again(row: User) -> User:
    """The person in the session of now: intake ends the one before."""
    return db.session.get_one(User, inspect(row).identity[0])


def only_ticket() -> Ticket:
    return db.session.scalars(select(Ticket)).one()


def test_a_priority_escalates_once_until_it_is_handed_back_and_set_anew(
    make: Factory, branch: Branch, ana: User, tom: User
) -> None:
    rule("priority", "urgent")
    ticket = make.ticket(branch, status="open")
    tickets.set_priority(ticket, "urgent", ana)
    assert (ticket.tier_level, raised(ticket)) == (2, [("priority", 2)])
    tickets.set_priority(ticket, "low", ana)
    tickets.set_priority(ticket, "urgent", ana)
    assert len(raised(ticket)) == 1
    escalation.hand_back(escalation.open_escalations(ticket.id)[0], tom, "Not for us")
    tickets.set_priority(ticket, "high", ana)
    assert ticket.tier_level == 1
    tickets.set_priority(ticket, "urgent", ana)
    assert (ticket.tier_level, len(raised(ticket))) == (2, 2)
    told = select(Event.data["reason"].astext).where(Event.kind == "ticket_escalated")
    assert set(db.session.scalars(told)) == {"Its priority became Urgent (rule “priority urgent”)."}


def test_a_type_escalates(make: Factory, branch: Branch, ana: User, tom: User) -> None:
    rule("type", "incident", branch)
    ticket = make.ticket(branch, status="open")
    triage.judge(ticket, ana, ticket_type="bug")
    assert raised(ticket) == []
    triage.judge(ticket, ana, ticket_type="incident")
    assert raised(ticket) == [("type", 2)]


def test_reopening_escalates_by_hand_and_by_mail_alike(
    make: Factory, branch: Branch, ana: User, tom: User
) -> None:
    rule("reopened", "2")
    receive(mail(1, "Hello"))
    ticket, ana = only_ticket(), again(ana)
    tickets.set_status(ticket, "resolved", ana)
    tickets.set_status(ticket, "open", ana)
    assert raised(ticket) == []
    tickets.set_status(ticket, "resolved", ana)
    receive(mail(2, "Again!", answers=1))
    ticket, ana = only_ticket(), again(ana)
    assert (ticket.reopened_count, raised(ticket)) == (2, [("reopened", 2)])
    tickets.set_status(ticket, "resolved", ana)
    tickets.set_status(ticket, "open", ana)
    # Resolving ended that escalation; it is at its tier still, so there is nowhere to go.
    assert raised(ticket) == [("reopened", 2)]


def test_a_customer_who_writes_again_and_again_escalates(
    make: Factory, branch: Branch, ana: User, tom: User
) -> None:
    rule("customer_waits", "3")
    receive(mail(1, "Hello"), mail(2, "Hello?", answers=1))
    ticket = only_ticket()
    assert raised(ticket) == []
    replies.send_reply(ticket, again(ana), "<p>We are looking</p>")
    receive(mail(3, "And?", answers=1), mail(4, "And??", answers=1))
    assert raised(only_ticket()) == []
    receive(mail(5, "And???", answers=1))
    assert raised(only_ticket()) == [("customer_waits", 2)]


def test_words_of_a_first_mail_escalate_the_new_ticket(branch: Branch, tom: User) -> None:
    rule("keyword", "lawyer, press")
    receive(mail(1, "My lawyer will hear of this"))
    ticket = only_ticket()
    assert (ticket.tier_level, ticket.status, raised(ticket)) == (2, "new", [("keyword", 2)])
    kinds = db.session.scalars(select(Notification.kind).where(Notification.user_id == again(tom).id)).all()
    assert kinds == ["escalated"]


def test_what_a_customer_only_quotes_says_nothing(branch: Branch, ana: User, tom: User) -> None:
    rule("keyword", "lawyer")
    receive(mail(1, "Hello"))
    receive(mail(2, "Thanks\n\nOn Mon, Ana wrote:\n> ask your lawyer", answers=1))
    assert raised(only_ticket()) == []


def test_a_rule_of_another_branch_or_switched_off_does_nothing(
    make: Factory, branch: Branch, tom: User
) -> None:
    rule("keyword", "lawyer", make.branch())
    rule("keyword", "press", is_active=False)
    receive(mail(1, "My lawyer and the press"))
    assert raised(only_ticket()) == []


def test_a_rule_for_a_tier_that_is_not_there_tells_whoever_leads(make: Factory, branch: Branch) -> None:
    rule("keyword", "lawyer", to_level=7)
    lead = make.agent("Lead", branch)
    receive(mail(1, "My lawyer"))
    ticket = only_ticket()
    assert (ticket.tier_level, raised(ticket)) == (1, [])
    told = db.session.scalars(select(Notification.text).where(Notification.user_id == again(lead).id)).one()
    assert "level 7, which this branch does not have" in told


def test_what_rules_cost_a_batch_of_mails(branch: Branch, tom: User, count_queries: Callable) -> None:
    def cost(first: int) -> int:
        with count_queries() as statements:
            receive(*(mail(first + at, "Hello", sender=f"c{first + at}@customer.test") for at in range(12)))
        return len(statements)

    cost(100)
    without = cost(200)
    rule("keyword", "lawyer")
    rule("priority", "urgent")
    rule("reopened", "2")
    assert cost(300) == without
    rule("customer_waits", "3")
    assert cost(400) == without + 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "priority", "value": "moon"}, "Choose one of"),
        ({"kind": "type", "value": ""}, "what it has to become"),
        ({"kind": "reopened", "value": "often"}, "how many times"),
        ({"kind": "keyword", "value": " , "}, "at least one word"),
        ({"kind": "keyword", "value": "lawyer", "to_level": 1}, "Level 1 answers first"),
        ({"kind": "keyword", "value": "lawyer", "to_level": 5}, "no tier of level 5"),
        ({"kind": "keyword", "value": "lawyer", "to_level": 2}, "Nobody works at level 2"),
    ],
)
def test_rules_that_could_do_nothing_are_refused(branch: Branch, values: dict[str, Any], words: str) -> None:
    row = EscalationRule(**{"name": "Rule", "to_level": 2, "is_active": True, "branch": branch, **values})
    with db.session.no_autoflush, pytest.raises(UserFault, match=words):
        triggers.check_rule(row)


def test_a_rule_of_every_branch_says_where_nobody_would_take_it(
    make: Factory, branch: Branch, tom: User
) -> None:
    other = make.branch(name="Empty")
    row = EscalationRule(name="Rule", kind="keyword", value="lawyer", to_level=2, is_active=True)
    assert triggers.check_rule(row) == [other.name]
