"""One action on many tickets, against the real database: done, left alone, taken back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask, current_app
from sqlalchemy import event as sql
from sqlalchemy import or_, select

from portal.errors import Forbidden, UserFault
from portal.extensions import db
from portal.models import Branch, Clock, Event, Message, OutboxItem, Ticket, TicketLink, User
from portal.models.columns import now
from portal.rules import bulk as rules
from portal.services import (
    assignment,
    bulk,
    drafts,
    escalation,
    events,
    following,
    linking,
    moving,
    replies,
    sla,
    snoozing,
    tickets,
    triage,
)
from tests.factory import Factory


@pytest.fixture
def branch(make: Factory) -> Branch:
    branch = make.branch(policy_id=make.policy().id)
    make.account(branch, address="desk@shop.test")
    return branch


@pytest.fixture
def ann(make: Factory, branch: Branch) -> User:
    return make.agent(branch=branch, username="ann")


def marks(actor: User, found: list[Ticket], action: rules.Action) -> dict[int, str]:
    planned = bulk.plan(actor, [ticket.number for ticket in found], action)
    return {each.ticket.number: each.change.mark for each in planned}


def do(actor: User, found: list[Ticket], action: rules.Action) -> bulk.Done:
    return bulk.apply(actor, marks(actor, found, action), action)


def written(make: Factory, branch: Branch, words: str = "Please help", **values) -> Ticket:
    """A ticket with a customer's message, as mail brings it."""
    ticket = tickets.open_ticket(
        subject=words, branch=branch, customer=values.pop("customer", None) or make.customer()
    )
    message = make.message(
        ticket,
        text=words,
        from_address=ticket.customer.identities[0].address,
        message_id_header=f"<{ticket.number}@customer.test>",
        created_at=ticket.created_at,
    )
    ticket.message_count, ticket.snippet, ticket.last_customer_message_at = 1, words, ticket.created_at
    events.record(
        "message_received",
        ticket=ticket,
        actor_kind="customer",
        message_id=message.id,
        occurred_at=ticket.created_at,
    )
    sla.refresh(ticket)
    db.session.commit()
    return ticket


def state_of(ticket: Ticket) -> dict[str, object]:
    """Everything that an undo has to bring back."""
    db.session.refresh(ticket)
    clocks = db.session.execute(
        select(Clock.kind, Clock.state, Clock.cycle).where(Clock.ticket_id == ticket.id).order_by(Clock.kind)
    )
    return {
        **{
            name: getattr(ticket, name)
            for name in (
                *("status", "priority", "branch_id", "tier_level", "assignee_id", "policy_id", "resolved_at"),
                *("closed_at", "reopened_count", "merged_into_id", "snippet"),
                *("first_responded_at", "last_customer_message_at"),
            )
        },
        "tags": sorted(tag.name for tag in ticket.tags),
        "clocks": [tuple(clock) for clock in clocks],
        "messages": sorted(
            db.session.scalars(
                select(Message.id).where(
                    Message.ticket_id == ticket.id, Message.delivery_state != "cancelled"
                )
            )
        ),
    }


@pytest.mark.parametrize("what", ["assign", "move", "priority", "status", "tags", "escalate", "reply"])
def test_every_action_is_done_and_taken_back(make: Factory, branch: Branch, ann: User, what: str) -> None:
    other = make.branch(policy_id=make.policy().id)
    template = make.template(body_html="<p>Dear {{ customer.name }}, we look into it.</p>")
    action = {
        "assign": rules.Assign(ann.id, str(ann), frozenset({branch.id})),
        "move": rules.Move(other.id, other.name),
        "priority": rules.Prioritise("urgent"),
        "status": rules.SetStatus("resolved"),
        "tags": rules.Label(added=("vip",)),
        "escalate": rules.Escalate("The same fault in all of them"),
        "reply": rules.Answer(template.id),
    }[what]
    found = [written(make, branch, f"Matter {number}") for number in range(3)]
    before = [state_of(ticket) for ticket in found]

    done = do(ann, found, action)

    assert (sorted(done.changed), done.left) == ([ticket.number for ticket in found], {})
    assert all(state_of(ticket) != old for ticket, old in zip(found, before, strict=True))
    back = bulk.take_back(ann, done.undo)
    assert (sorted(back.changed), back.left) == (sorted(done.changed), {})
    assert [state_of(ticket) for ticket in found] == before


def test_reopening_is_taken_back_with_its_counter_and_times(make: Factory, branch: Branch, ann: User) -> None:
    ticket = written(make, branch)
    tickets.set_status(ticket, "resolved", ann)
    before = state_of(ticket)
    done = do(ann, [ticket], rules.SetStatus("open"))
    assert ticket.reopened_count == 1
    bulk.take_back(ann, done.undo)
    assert state_of(ticket) == before


def test_an_escalation_that_resolving_ended_is_open_again(make: Factory, branch: Branch, ann: User) -> None:
    ticket = written(make, branch)
    made = escalation.escalate(ticket, ann, "Needs a refund")
    done = do(ann, [ticket], rules.SetStatus("resolved"))
    assert made.ended_at is not None
    bulk.take_back(ann, done.undo)
    db.session.refresh(made)
    assert (made.ended_at, made.ended_how) == (None, "")


def test_a_merge_is_taken_back_exactly(make: Factory, branch: Branch, ann: User) -> None:
    customer = make.customer()
    target, first, second = (
        written(make, branch, words, customer=customer) for words in ("The lid", "Lid again", "And again")
    )
    earlier = written(make, branch, "Older", customer=customer)
    moving.merge([earlier], first, ann)
    tickets.set_status(target, "pending", ann)
    found = [target, first, second]
    before = [state_of(ticket) for ticket in found]

    done = do(ann, found, rules.Merge(target.number, "The lid"))
    assert sorted(done.changed) == sorted([first.number, second.number])
    assert done.left[target.number] == "The others come here."
    assert [ticket.merged_into_id for ticket in (first, second, earlier)] == [target.id] * 3
    came_later = make.message(target, text="New words", message_id_header="<new@customer.test>")
    db.session.commit()

    back = bulk.take_back(ann, done.undo)
    assert (len(back.changed), back.left) == (2, {})
    db.session.refresh(earlier)
    assert earlier.merged_into_id == first.id
    after = [state_of(ticket) for ticket in found]
    assert came_later.id in after[0]["messages"]
    assert after[1:] == before[1:]
    assert after[0]["status"] == "pending"
    assert [clock[:2] for clock in after[0]["clocks"]] == [clock[:2] for clock in before[0]["clocks"]]
    # Another merge finds the ticket as any other.
    assert do(ann, [first], rules.Merge(target.number)).changed == (first.number,)


def test_drafts_followers_and_links_come_back_with_a_merged_ticket(
    make: Factory, branch: Branch, ann: User
) -> None:
    ben, cleo = (make.agent(branch=branch, username=name) for name in ("ben", "cleo"))
    target, first, second, cause, effect = (written(make, branch) for _ in range(5))
    for user, ticket, words in (
        (ann, first, "Ann"),
        (ben, first, "Ben"),
        (ben, target, "There"),
        (cleo, second, "C"),
    ):
        drafts.keep(user, ticket, "reply", drafts.Written(html=f"<p>{words}</p>"), revision=None)
    following.follow(first, ben)
    following.follow(second, ben)
    following.follow(second, cleo)
    following.follow(target, cleo)
    linking.link(first, cause, "caused_by", ann)
    linking.link(first, effect, "related", ann)
    linking.link(second, target, "related", ann)
    linking.link(target, effect, "duplicates", ann)
    found = [target, first, second]

    def hanging_on() -> list[object]:
        db.session.expire_all()
        return [
            [drafts.drafts_of(user, ticket).keys() for user in (ann, ben, cleo)]
            + [set(ticket.follower_ids), links_of(ticket)]
            for ticket in found
        ]

    before = hanging_on()
    done = do(ann, found, rules.Merge(target.number))
    assert hanging_on()[0] != before[0]
    assert len(links_of(target)) == 3
    # Somebody went on with a draft where it had gone: there it stays.
    drafts.keep(cleo, target, "reply", drafts.Written(html="<p>C, and more</p>"), revision=None)
    assert len(bulk.take_back(ann, done.undo).changed) == 2
    assert drafts.drafts_of(cleo, target)["reply"].html == "<p>C, and more</p>"
    assert drafts.drafts_of(cleo, second) == {}
    drafts.forget(cleo, target, "reply")
    drafts.keep(cleo, second, "reply", drafts.Written(html="<p>C</p>"), revision=None)
    assert hanging_on() == before


def links_of(ticket: Ticket) -> set[tuple[str, int, int]]:
    found = select(TicketLink).where(
        or_(TicketLink.from_ticket_id == ticket.id, TicketLink.to_ticket_id == ticket.id)
    )
    return {(each.kind, each.from_ticket_id, each.to_ticket_id) for each in db.session.scalars(found)}


def test_what_changed_after_the_preview_is_left_alone(make: Factory, branch: Branch, ann: User) -> None:
    ben = make.agent(branch=branch, username="ben")
    one, other = written(make, branch), written(make, branch)
    action = rules.Assign(ann.id, str(ann), frozenset({branch.id}))
    agreed = marks(ann, [one, other], action)
    assignment.assign(one, ben, ben)
    done = bulk.apply(ann, agreed, action)
    assert (done.changed, done.left) == ((other.number,), {one.number: "It has changed since you looked."})
    assert one.assignee_id == ben.id


def test_what_changed_after_it_was_done_is_not_taken_back(make: Factory, branch: Branch, ann: User) -> None:
    one, other = written(make, branch), written(make, branch)
    done = do(ann, [one, other], rules.Prioritise("urgent"))
    tickets.set_status(one, "resolved", ann)
    back = bulk.take_back(ann, done.undo)
    assert (back.changed, back.left) == ((other.number,), {one.number: "Something has happened to it since."})
    assert (one.priority, other.priority) == ("urgent", "normal")


def test_a_mail_on_its_way_is_not_taken_back(make: Factory, branch: Branch, ann: User) -> None:
    template = make.template(body_html="<p>Hello</p>")
    ticket = written(make, branch)
    done = do(ann, [ticket], rules.Answer(template.id))
    item = db.session.scalars(select(OutboxItem)).one()
    item.state = "sent"
    db.session.commit()
    back = bulk.take_back(ann, done.undo)
    assert back.changed == ()
    assert "already on its way" in back.left[ticket.number]


def test_mails_to_many_can_be_taken_back_for_longer(
    make: Factory, branch: Branch, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    settings = replace(current_app.config["SETTINGS"], undo_seconds=8)
    monkeypatch.setitem(current_app.config, "SETTINGS", settings)
    do(ann, [written(make, branch)], rules.Answer(make.template(body_html="<p>Hello</p>").id))
    item = db.session.scalars(select(OutboxItem)).one()
    assert timedelta(seconds=25) < item.next_attempt_at - now() <= timedelta(seconds=32)


def test_a_template_with_holes_is_sent_to_nobody_who_would_see_them(
    make: Factory, branch: Branch, ann: User
) -> None:
    template = make.template(body_html="<p>{{ customer.company }} has {{ ticket.number }}</p>")
    ticket = written(make, branch)
    done = do(ann, [ticket], rules.Answer(template.id))
    assert done.changed == ()
    assert "customer.company" in done.left[ticket.number]
    assert db.session.scalars(select(Message).where(Message.direction == "out")).all() == []


def test_tickets_out_of_reach_are_as_if_there_were_none(make: Factory, branch: Branch, ann: User) -> None:
    foreign = written(make, make.branch())
    action = rules.Prioritise("urgent")
    assert bulk.plan(ann, [foreign.number, 999_999], action) == []
    done = bulk.apply(ann, {foreign.number: "guessed"}, action)
    assert (done.changed, done.left) == ((), {foreign.number: "It is not within your reach."})
    assert foreign.priority == "normal"
    target = written(make, branch)
    assert do(ann, [target], rules.Merge(foreign.number)).changed == ()


def test_a_move_out_of_ones_reach_can_be_taken_back(make: Factory, branch: Branch, ann: User) -> None:
    ticket = written(make, branch)
    far = make.branch()
    done = do(ann, [ticket], rules.Move(far.id, far.name))
    assert bulk.plan(ann, [ticket.number], rules.Prioritise("low")) == []
    assert bulk.take_back(ann, done.undo).changed == (ticket.number,)
    assert ticket.branch_id == branch.id


def test_an_undo_is_for_whoever_did_it_and_for_a_while(
    make: Factory, branch: Branch, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = do(ann, [written(make, branch)], rules.Prioritise("urgent"))
    ben = make.agent(branch=branch, username="ben")
    with pytest.raises(UserFault, match="Only whoever did this"):
        bulk.take_back(ben, done.undo)
    for forged in ("", "nonsense", done.undo[:-2], f"x{done.undo}"):
        with pytest.raises(UserFault, match="altered"):
            bulk.take_back(ann, forged)
    monkeypatch.setattr(bulk, "UNDO_SECONDS", -1)
    with pytest.raises(UserFault, match="too late"):
        bulk.take_back(ann, done.undo)


def test_people_who_only_look_change_nothing(make: Factory, branch: Branch) -> None:
    auditor = make.agent(role="Auditor", username="audrey")
    with pytest.raises(Forbidden):
        do(auditor, [written(make, branch)], rules.Prioritise("urgent"))


def test_at_most_two_hundred_at_once(ann: User) -> None:
    with pytest.raises(UserFault, match="at most 200"):
        bulk.plan(ann, list(range(201)), rules.Prioritise("urgent"))


@pytest.mark.parametrize("what", ["assign", "tags", "escalate", "reply", "merge"])
def test_a_preview_costs_the_same_for_many(make: Factory, branch: Branch, ann: User, what: str) -> None:
    template = make.template(body_html="<p>Dear {{ customer.name }}</p>")
    found = [written(make, branch, f"Matter {number}") for number in range(12)]
    action = {
        "assign": rules.Assign(ann.id, str(ann), frozenset({branch.id})),
        "tags": rules.Label(added=("vip",)),
        "escalate": rules.Escalate("The same fault"),
        "reply": rules.Answer(template.id),
        "merge": rules.Merge(found[0].number),
    }[what]
    numbers = [ticket.number for ticket in found]

    def statements(amount: int) -> int:
        db.session.expire_all()
        db.session.refresh(ann)
        counted = []
        engine = db.engine

        def note(*args) -> None:
            counted.append(args[2])

        sql.listen(engine, "before_cursor_execute", note)
        try:
            bulk.plan(ann, numbers[:amount], action)
        finally:
            sql.remove(engine, "before_cursor_execute", note)
        return len(counted)

    statements(2)
    assert statements(12) == statements(2)


def test_two_people_at_once_do_it_once(app: Flask, real_commits: None) -> None:
    make = Factory()
    branch = make.branch()
    make.account(branch, address="desk@shop.test")
    ticket = written(make, branch)
    people = [make.agent(branch=branch, username=name) for name in ("ann", "ben")]
    actions = {user.id: rules.Assign(user.id, str(user), frozenset({branch.id})) for user in people}
    agreed = {user.id: marks(user, [ticket], actions[user.id]) for user in people}
    db.session.commit()

    def take(user_id: int) -> tuple[int, ...]:
        with app.app_context():
            user = db.session.get_one(User, user_id)
            return bulk.apply(user, agreed[user_id], actions[user_id]).changed

    with ThreadPoolExecutor(2) as pool:
        taken = list(pool.map(take, agreed))
    assert sorted(map(len, taken)) == [0, 1]
    picked = select(Event).where(Event.ticket_id == ticket.id, Event.kind == "ticket_picked_up")
    assert len(db.session.scalars(picked).all()) == 1


def test_a_failure_in_the_middle_keeps_the_way_back(
    make: Factory, branch: Branch, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [written(make, branch) for _ in range(3)]
    agreed = marks(ann, found, rules.Prioritise("urgent"))
    set_priority, broken = tickets.set_priority, found[1].id

    def fail_once(ticket: Ticket, *more: object) -> None:
        if ticket.id == broken:
            raise RuntimeError("the cable was pulled")
        set_priority(ticket, *more)

    monkeypatch.setattr(tickets, "set_priority", fail_once)
    done = bulk.apply(ann, agreed, rules.Prioritise("urgent"))
    assert (len(done.changed), list(done.left)) == (2, [found[1].number])
    assert bulk.take_back(ann, done.undo).changed == done.changed


def test_two_who_merge_into_each_other_make_no_circle(app: Flask, real_commits: None) -> None:
    make = Factory()
    branch = make.branch()
    people = [make.agent(branch=branch, username=name).id for name in ("ann", "ben")]
    one, other = written(make, branch), written(make, branch)
    wanted = [(people[0], one.number, other.number), (people[1], other.number, one.number)]
    db.session.commit()

    def merge(who: tuple[int, int, int]) -> bulk.Done:
        user_id, number, into = who
        with app.app_context():
            user = db.session.get_one(User, user_id)
            action = rules.Merge(into)
            mark = bulk.plan(user, [number], action)[0].change.mark
            return bulk.apply(user, {number: mark}, action)

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(merge, wanted))
    assert sorted(len(each.changed) for each in done) == [0, 1]
    assert not any("just now" in reason for each in done for reason in each.left.values())


def test_a_merged_ticket_keeps_its_priority_type_and_tags(make: Factory, branch: Branch, ann: User) -> None:
    gone, into = written(make, branch), written(make, branch)
    moving.merge([gone], into, ann)
    for change in (
        lambda: tickets.set_priority(gone, "urgent", ann),
        lambda: triage.judge(gone, ann, ticket_type="bug", severity="major"),
        lambda: tickets.set_tags(gone, ["vip"], ann),
    ):
        with pytest.raises(UserFault, match="was merged into"):
            change()
    with pytest.raises(UserFault):
        replies.send_reply(gone, ann, "<p>Hello</p>")


@pytest.mark.parametrize("action", [rules.SetStatus("resolved"), rules.Prioritise("urgent")], ids=str)
def test_what_was_snoozed_is_snoozed_again_when_all_is_taken_back(
    make: Factory, branch: Branch, ann: User, action: rules.Action
) -> None:
    ticket, until = written(make, branch), now() + timedelta(hours=1)
    bob = make.agent(branch=branch)
    snoozing.snooze(ticket, until, bob)
    done = do(ann, [ticket], action)
    db.session.refresh(ticket)
    assert (ticket.snoozed_until is None) == isinstance(action, rules.SetStatus)
    bulk.take_back(ann, done.undo)
    db.session.refresh(ticket)
    assert (ticket.snoozed_until, ticket.snoozed_by_id) == (until, bob.id)
