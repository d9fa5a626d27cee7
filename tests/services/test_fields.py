"""Values of the desk's own fields on tickets: written with their event, required before resolving, kept in a merge."""

from datetime import timedelta

import pytest

from portal.errors import Conflict, NotFound, UserFault
from portal.extensions import db
from portal.models import Event, Message, Notification, Ticket, TicketField
from portal.models.columns import now
from portal.rules import templating
from portal.rules.bulk import SetStatus
from portal.services import bulk, fields, moving, replies, templates, tickets, waiting_replies
from tests.factory import Factory

COLOURS = [
    {"key": "blue", "label": "Blue", "is_active": True},
    {"key": "red", "label": "Red", "is_active": True},
]


def changes(ticket) -> list[dict]:
    found = db.session.query(Event).filter_by(ticket_id=ticket.id, kind="field_changed").order_by(Event.id)
    return [event.data for event in found]


def test_a_change_is_kept_with_one_event_that_says_from_what_to_what(make: Factory) -> None:
    make.field("colour", kind="choice", name="Colour", choices=COLOURS)
    ticket = make.ticket()
    agent = make.agent(branch=ticket.branch)
    tickets.set_field(ticket, "colour", ["blue"], agent)
    tickets.set_field(ticket, "colour", ["blue"], agent)
    tickets.set_field(ticket, "colour", ["red"], agent)
    tickets.set_field(ticket, "colour", [""], agent)
    db.session.refresh(ticket)
    assert ticket.fields == {}
    assert [(data["from"], data["to"], data["from_name"], data["to_name"]) for data in changes(ticket)] == [
        (None, "blue", "", "Blue"),
        ("blue", "red", "Blue", "Red"),
        ("red", None, "Red", ""),
    ]


def test_every_kind_is_stored_as_json_that_reads_back(make: Factory) -> None:
    written = {
        "text": ["A-17"],
        "number": ["12.5"],
        "date": ["2026-11-03"],
        "yes_no": ["no"],
        "choice": ["red"],
        "choices": ["red", "blue"],
    }
    for kind in written:
        make.field(f"f_{kind}", kind=kind, choices=COLOURS if kind.startswith("choice") else [])
    ticket = make.ticket()
    for kind, words in written.items():
        tickets.set_field(ticket, f"f_{kind}", words, None)
        # The same words again change nothing, whatever the session still holds.
        tickets.set_field(ticket, f"f_{kind}", words, None)
    db.session.expire_all()
    assert ticket.fields == {
        "f_text": "A-17",
        "f_number": 12.5,
        "f_date": "2026-11-03",
        "f_yes_no": False,
        "f_choice": "red",
        "f_choices": ["blue", "red"],
    }
    assert len(changes(ticket)) == 6


def test_a_field_that_the_ticket_does_not_have_is_not_found(make: Factory) -> None:
    ticket, elsewhere = make.ticket(), make.branch()
    make.field("foreign", branches=[elsewhere])
    make.field("retired", is_active=False)
    for key in ("foreign", "retired", "unknown"):
        with pytest.raises(NotFound):
            tickets.set_field(ticket, key, ["x"], None)
    assert ticket.fields == {}


def test_a_merged_ticket_takes_no_value_and_its_own_are_not_brought_along(make: Factory) -> None:
    make.field("order")
    branch = make.branch()
    agent = make.agent(branch=branch)
    target, merged = make.ticket(branch), make.ticket(branch)
    for ticket, value in ((target, "target's"), (merged, "merged one's")):
        make.message(ticket)
        tickets.set_field(ticket, "order", [value], agent)
    moving.merge([merged], target, agent)
    assert target.fields == {"order": "target's"}
    with pytest.raises(Conflict):
        tickets.set_field(merged, "order", ["late"], agent)


def test_a_ticket_is_not_resolved_while_a_required_field_is_empty(make: Factory) -> None:
    make.field("order", name="Order number", is_required=True)
    make.field("elsewhere", is_required=True, branches=[make.branch()])
    ticket = make.ticket(status="open")
    agent = make.agent(branch=ticket.branch)
    for status in ("resolved", "closed"):
        with pytest.raises(UserFault, match="“Order number” first"):
            tickets.set_status(ticket, status, agent)
    assert ticket.status == "open"
    tickets.set_status(ticket, "pending", agent)
    tickets.set_field(ticket, "order", ["A-17"], agent)
    tickets.set_status(ticket, "resolved", agent)
    assert ticket.status == "resolved"


def test_an_answer_that_resolves_is_refused_whole(make: Factory) -> None:
    make.field("order", name="Order number", is_required=True)
    ticket = make.ticket(make.account().branch, status="open")
    make.message(ticket, from_address="ada@customer.test")
    agent = make.agent(branch=ticket.branch)
    for more in ({}, {"send_at": now() + timedelta(hours=1)}):
        with pytest.raises(UserFault, match="“Order number” first"):
            replies.send_reply(ticket, agent, "<p>Done.</p>", then_status="resolved", **more)
    assert db.session.query(Event).filter_by(ticket_id=ticket.id, kind="reply_sent").count() == 0


def test_an_answer_for_later_is_sent_even_if_the_ticket_cannot_be_resolved_by_then(make: Factory) -> None:
    ticket = make.ticket(make.account().branch, status="open")
    make.message(ticket, from_address="ada@customer.test", created_at=now() - timedelta(hours=1))
    agent = make.agent(branch=ticket.branch)
    message = replies.send_reply(
        ticket, agent, "<p>Done.</p>", then_status="resolved", send_at=now() + timedelta(minutes=5)
    )
    make.field("order", name="Order number", is_required=True)
    message.send_at = now() - timedelta(minutes=1)
    db.session.commit()
    message_id, ticket_id, agent_id = message.id, ticket.id, agent.id
    assert waiting_replies.release_due() == 1
    assert db.session.get_one(Message, message_id).delivery_state == "queued"
    assert db.session.get_one(Ticket, ticket_id).status == "pending"
    told = db.session.query(Notification).filter_by(user_id=agent_id).one()
    assert "was sent, but the ticket was not resolved. Fill in “Order number” first" in told.text


def test_resolved_tickets_close_by_themselves_whatever_is_required_since(make: Factory) -> None:
    ticket = make.ticket(status="resolved", resolved_at=now() - timedelta(days=30))
    make.field("order", is_required=True)
    assert tickets.close_resolved() == 1
    assert ticket.status == "closed"


def test_templates_say_the_values_in_words(make: Factory) -> None:
    make.field("colour", kind="choice", choices=COLOURS)
    make.field("order")
    ticket = make.ticket()
    agent = make.agent(branch=ticket.branch)
    tickets.set_field(ticket, "colour", ["blue"], agent)
    html = "<p>{{ ticket.fields.colour }} {{ ticket.fields.order | default('none') }} {{ ticket.fields.order }}</p>"
    templates.check_body(html)
    filled = templates.filled_body(make.template(body_html=html), ticket, agent)
    assert "<p>Blue none " in filled.html
    assert filled.unfilled == ("ticket.fields.order",)


def test_a_template_with_an_unknown_field_is_refused(make: Factory) -> None:
    make.field("order")
    with pytest.raises(
        UserFault, match=r"no placeholder “ticket.fields.ordre”. Did you mean ticket.fields.order\?"
    ):
        templates.check_body("{{ ticket.fields.ordre }}")
    assert templating.check("{{ ticket.fields.order }}", ["order"]) == []


def test_definitions_come_in_their_order_with_branches_and_choices(make: Factory) -> None:
    branch = make.branch()
    make.field("second", position=2, branches=[branch])
    make.field("first", position=1, kind="choice", choices=COLOURS)
    found = fields.definitions()
    assert [field.key for field in found] == ["first", "second"]
    assert found[0].labels == {"blue": "Blue", "red": "Red"}
    assert found[1].branch_ids == {branch.id}


def test_whoever_does_not_see_a_branch_does_not_see_its_fields(make: Factory) -> None:
    north, south = make.branch(), make.branch()
    make.field("everywhere")
    make.field("north", branches=[north])
    keys = {
        person: [field.key for field in fields.visible_definitions(user)]
        for person, user in {
            "north": make.agent(branch=north),
            "south": make.agent(branch=south),
            "admin": make.agent("Admin"),
        }.items()
    }
    assert keys == {
        "north": ["everywhere", "north"],
        "south": ["everywhere"],
        "admin": ["everywhere", "north"],
    }


def test_a_field_is_used_while_any_ticket_has_a_value(make: Factory) -> None:
    make.field("order")
    make.field("colour")
    ticket = make.ticket()
    assert not fields.is_used("order")
    tickets.set_field(ticket, "order", ["0"], None)
    assert fields.is_used("order")
    assert not fields.is_used("colour")
    assert db.session.query(TicketField).count() == 2


def test_of_many_tickets_those_that_lack_a_required_field_are_left_alone_and_it_is_said_before(
    make: Factory,
) -> None:
    make.field("order", name="Order number", is_required=True)
    branch = make.branch()
    agent = make.agent(branch=branch)
    ready, lacking = (
        make.ticket(branch, status="open", fields={"order": "7"}),
        make.ticket(branch, status="open"),
    )
    action = SetStatus("resolved")
    plan = bulk.plan(agent, [ready.number, lacking.number], action)
    assert [(one.ticket.number, one.change.is_change) for one in plan] == [
        (ready.number, True),
        (lacking.number, False),
    ]
    assert "“Order number” first" in plan[1].change.reason
    done = bulk.apply(agent, {one.ticket.number: one.change.mark for one in plan}, action)
    assert done.changed == (ready.number,)
    assert set(done.left) == {lacking.number}
    assert lacking.status == "open"
