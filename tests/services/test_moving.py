"""Messages into the ticket where they belong: nothing is lost, both tickets say so, and answers follow."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from flask import Flask, current_app
from sqlalchemy import select

from portal.channels.base import IncomingBytes
from portal.errors import Conflict, Forbidden, NotFound, UserFault
from portal.extensions import db
from portal.models import (
    Attachment,
    Clock,
    Customer,
    Delivery,
    Event,
    InboxItem,
    Message,
    Notification,
    Ticket,
    User,
)
from portal.models.columns import now
from portal.rules import tokens
from portal.services import drafts, events, intake, moving, replies, tickets
from tests.factory import Factory

DESK = "desk@shop.test"
ZOE, EVE = "zoe@customer.test", "eve@other.test"


class Desk:
    """A branch with its mailbox and an agent; mails come in through the inbox, as they do from a server."""

    def __init__(self, make: Factory) -> None:
        self.make = make
        self.branch = make.branch()
        make.account(self.branch, address=DESK)
        self.ann = make.agent(branch=self.branch, username="ann")

    def receive(
        self, number: int, sender: str = ZOE, *, to: str = DESK, at: datetime | None = None, **headers: str
    ) -> Message:
        """A mail with Message-ID <number@sender's domain>, as the message that it becomes."""
        head = {
            "From": sender,
            "To": to,
            "Subject": f"Matter {number}",
            "Message-ID": id_of(number, sender),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        raw = "\r\n".join(f"{name}: {value}" for name, value in head.items())
        item_id = intake.accept(
            IncomingBytes(
                channel_kind="email",
                account_id=None,
                source_key=f"test:{number}:{sender}:{to}",
                raw=f"{raw}\r\n\r\nWords of mail {number}".encode(),
                envelope_from=sender,
                envelope_to=(to,),
                received_at=at or now(),
            )
        )
        intake.process(item_id)
        item = db.session.get_one(InboxItem, item_id)
        assert item.state == "processed", item.reason
        return db.session.scalars(select(Message).where(Message.inbox_item_id == item_id)).one()

    def answer(self, ticket: Ticket, text: str = "An answer", actor: User | None = None) -> Message:
        return sent(replies.send_reply(ticket, actor or self.ann, f"<p>{text}</p>"))


def sent(message: Message) -> Message:
    """As if it had been delivered."""
    message.delivery_state = "sent"
    db.session.commit()
    return message


def id_of(number: int, sender: str = ZOE) -> str:
    return f"<{number}@{sender.partition('@')[2]}>"


def two_matters(desk: Desk) -> tuple[Message, Message, Ticket]:
    """Zoë's two mails in one ticket, and another ticket of hers."""
    started = now() - timedelta(minutes=40)
    first = desk.receive(1, at=started)
    second = desk.receive(2, at=started + timedelta(minutes=10), In_Reply_To=id_of(1))
    other = desk.receive(3, at=started + timedelta(minutes=20))
    assert first.ticket_id == second.ticket_id != other.ticket_id
    return first, second, other.ticket


def kinds_of(ticket: Ticket) -> list[str]:
    return [event.kind for event in events.of_ticket(ticket.id)]


def clocks_of(ticket: Ticket) -> dict[str, str]:
    rows = db.session.scalars(select(Clock).where(Clock.ticket_id == ticket.id).order_by(Clock.cycle))
    return {clock.kind: clock.state for clock in rows}


@pytest.fixture
def desk(make: Factory) -> Desk:
    return Desk(make)


def test_a_moved_message_stands_in_the_other_ticket_with_all_that_hangs_on_it(desk: Desk) -> None:
    first, second, other = two_matters(desk)
    old = first.ticket
    kept = Attachment(message_id=second.id, name="a.pdf", size_bytes=1, sha256="0" * 64, public_key="k" * 32)
    db.session.add(kept)
    db.session.commit()
    rule = second.thread_rule

    moving.move_message(second, other, desk.ann)

    assert second.ticket is other
    assert [attachment.message.ticket_id for attachment in second.attachments] == [other.id]
    assert db.session.get_one(InboxItem, second.inbox_item_id).ticket_id == other.id
    assert second.moved_from_ticket_ids == [old.id]
    assert second.thread_rule == rule
    assert second.thread_evidence["reason"], "why it came in is kept"
    note = second.thread_evidence["moved_by_hand"][0]
    assert (note["from"], note["to"], note["by"]) == (old.number, other.number, str(desk.ann))
    away = events.of_ticket(old.id, ["messages_moved_away"])
    here = events.of_ticket(other.id, ["messages_moved_here"])
    assert [(event.data["number"], event.message_id, event.actor_id) for event in (*away, *here)] == [
        (other.number, second.id, desk.ann.id),
        (old.number, second.id, desk.ann.id),
    ]


def test_both_tickets_are_counted_anew(desk: Desk) -> None:
    first, second, other = two_matters(desk)
    old = first.ticket
    tickets.mark_viewed(other, desk.ann)
    revisions = old.revision, other.revision

    moving.move_message(second, other, desk.ann)

    assert (old.message_count, other.message_count) == (1, 2)
    assert old.snippet == "Words of mail 1"
    assert old.last_customer_message_at == first.created_at
    assert old.unread_since == first.created_at
    # Mail 3 is the newer one there.
    assert other.snippet == "Words of mail 3"
    assert other.unread_since == second.created_at, "nobody of that ticket has seen it"
    assert (old.revision, other.revision) == (revisions[0] + 1, revisions[1] + 1)


def test_the_ticket_that_it_leaves_owes_no_answer_to_it_and_the_other_does(desk: Desk) -> None:
    first, _second, other = two_matters(desk)
    old = first.ticket
    desk.answer(other)
    desk.answer(old)
    third = desk.receive(4, In_Reply_To=id_of(1))
    assert (old.status, clocks_of(old)["next_response"]) == ("open", "running")
    assert (other.status, "next_response" in clocks_of(other)) == ("pending", False)

    moving.move_message(third, other, desk.ann)

    assert clocks_of(old)["next_response"] == "cancelled"
    assert clocks_of(other)["next_response"] == "running"
    waiting = db.session.scalars(select(Clock).filter_by(ticket_id=other.id, kind="next_response")).one()
    assert waiting.started_at == third.created_at, "the customer waits since the mail reached us"
    assert other.status == "open"
    assert other.next_due_at is not None


def test_an_answer_that_is_moved_away_answered_nobody_here(desk: Desk) -> None:
    first, _second, other = two_matters(desk)
    wrong = desk.answer(first.ticket, "Meant for the other ticket")
    old = first.ticket
    assert clocks_of(old)["first_response"] == "met"

    moving.move_message(wrong, other, desk.ann)

    assert clocks_of(old)["first_response"] == "running"
    assert old.first_responded_at is None
    assert clocks_of(other)["first_response"] == "met"
    assert other.first_responded_at == wrong.created_at


def test_moved_there_and_back_everything_is_as_before(desk: Desk) -> None:
    first, second, other = two_matters(desk)
    old = first.ticket
    before = [clocks_of(old), old.snippet, old.message_count, old.last_customer_message_at, clocks_of(other)]

    moving.move_message(second, other, desk.ann)
    assert moving.way_back(second) == old.id
    moving.move_message(second, old, desk.ann)

    after = [clocks_of(old), old.snippet, old.message_count, old.last_customer_message_at, clocks_of(other)]
    assert after == before
    assert [note["to"] for note in second.thread_evidence["moved_by_hand"]] == [other.number, old.number]
    assert moving.way_back(second) == other.id


def test_a_breach_is_told_once_however_often_a_message_goes_to_and_fro(desk: Desk) -> None:
    long_ago = now() - timedelta(hours=3)
    first = desk.receive(1, at=long_ago)
    second = desk.receive(2, at=long_ago + timedelta(minutes=5), In_Reply_To=id_of(1))
    other = desk.receive(3, at=long_ago + timedelta(minutes=10)).ticket
    for to in (other, first.ticket, other):
        moving.move_message(second, to, desk.ann)
    for ticket in (first.ticket, other):
        told = [event.data["clock"] for event in events.of_ticket(ticket.id) if event.kind == "sla_breached"]
        assert told == ["first_response"]


def test_a_later_wait_in_the_place_of_a_moved_one_can_still_be_late(desk: Desk) -> None:
    first, _second, other = two_matters(desk)
    old = first.ticket
    desk.answer(old)
    third = desk.receive(4, In_Reply_To=id_of(1))
    row = db.session.scalars(select(Clock).filter_by(ticket_id=old.id, kind="next_response")).one()
    row.breached_at = now()
    fourth = desk.receive(5, In_Reply_To=id_of(1), at=now() + timedelta(milliseconds=1))
    moving.move_message(third, other, desk.ann)
    assert (row.state, row.started_at) == ("running", fourth.created_at)
    assert row.breached_at is None, "the sweep looks at it again"


def test_the_answer_to_a_moved_mail_follows_it_even_to_the_old_address(desk: Desk) -> None:
    first, second, other = two_matters(desk)
    old = first.ticket
    ours = desk.answer(old)
    address = reply_address_of(ours)
    moving.move_message(second, other, desk.ann)

    followed = desk.receive(
        5, to=address, In_Reply_To=id_of(2), References=f"{id_of(1)} <{ours.message_id_header}> {id_of(2)}"
    )
    assert (followed.ticket_id, followed.thread_rule) == (other.id, "moved_message")
    assert followed.thread_evidence["moved_from"] == old.id

    stayed = desk.receive(6, to=address, In_Reply_To=f"<{ours.message_id_header}>")
    assert (stayed.ticket_id, stayed.thread_rule) == (old.id, "signed_address")

    moving.move_message(ours, other, desk.ann)
    follows = desk.receive(7, to=address, In_Reply_To=f"<{ours.message_id_header}>")
    assert follows.ticket_id == other.id


def test_our_answer_after_the_move_goes_on_in_the_thread_that_the_customer_has(desk: Desk) -> None:
    _first, _second, other = two_matters(desk)
    third = desk.receive(8, In_Reply_To=id_of(2), References=f"{id_of(1)} {id_of(2)}")
    moving.move_message(third, other, desk.ann)

    answer = desk.answer(other)

    assert answer.in_reply_to_header == third.message_id_header
    assert answer.references_headers == [
        *(value.strip("<>") for value in (id_of(1), id_of(2))),
        third.message_id_header,
    ]
    assert answer.subject.endswith(f"[#{other.number}]")
    back = desk.receive(9, to=reply_address_of(answer), In_Reply_To=f"<{answer.message_id_header}>")
    assert back.ticket_id == other.id


def reply_address_of(message: Message) -> str:
    from portal.models import ChannelAccount
    from portal.services import outbox

    account = db.session.get_one(ChannelAccount, message.account_id)
    return outbox._reply_to(message, account)


def test_splitting_off_makes_a_ticket_of_the_sender(desk: Desk) -> None:
    first = desk.receive(1)
    second = desk.receive(2, EVE, In_Reply_To=id_of(1), Subject=f"Re: [#{first.ticket.number}] Another thing")
    old = first.ticket
    assert second.ticket_id == old.id

    new = moving.split_off(second, desk.ann)

    assert (new.branch_id, new.follows_id, new.status) == (old.branch_id, old.id, "new")
    assert new.subject == "Another thing"
    assert new.created_at == second.created_at
    assert [identity.address for identity in new.customer.identities] == [EVE]
    assert (new.message_count, old.message_count) == (1, 1)
    assert clocks_of(new) == {"first_response": "running", "resolution": "running"}
    opening = events.of_ticket(new.id)[0]
    assert (opening.kind, opening.occurred_at) == ("ticket_opened", second.created_at)
    assert events.of_ticket(old.id, ["messages_moved_away"])[0].data["how"] == "split_off"


def test_splitting_off_with_what_came_later_takes_answers_and_notes_along(desk: Desk) -> None:
    first, second, _other = two_matters(desk)
    old = first.ticket
    note = replies.add_note(old, desk.ann, "<p>Mind the second matter</p>")
    answer = desk.answer(old)

    new = moving.split_off(second, desk.ann, with_later=True)

    assert {second.ticket_id, note.ticket_id, answer.ticket_id} == {new.id}
    assert (new.message_count, old.message_count) == (3, 1)
    assert new.status == "pending"
    assert new.first_responded_at == answer.created_at
    assert old.first_responded_at is None
    assert clocks_of(new)["first_response"] in ("met", "breached")
    assert clocks_of(old)["first_response"] in ("running", "breached")
    assert (
        db.session.scalars(select(Clock).filter_by(ticket_id=new.id, kind="first_response")).one().stopped_at
    )


def test_what_a_colleague_wrote_is_no_ticket_of_its_own(desk: Desk) -> None:
    first, _second, _other = two_matters(desk)
    answer = desk.answer(first.ticket)
    with pytest.raises(UserFault, match="customer wrote"):
        moving.split_off(answer, desk.ann)


def test_a_ticket_is_never_left_with_nothing(desk: Desk) -> None:
    only, other = desk.receive(1), desk.receive(2)
    replies.add_note(only.ticket, desk.ann, "<p>A note says nothing</p>")
    assert moving.is_only_message(only)
    with pytest.raises(UserFault, match="Merge the whole ticket"):
        moving.move_message(only, other.ticket, desk.ann)
    with pytest.raises(UserFault, match="Merge the whole ticket"):
        moving.split_off(only, desk.ann, with_later=True)
    assert only.ticket.message_count == 2
    assert db.session.query(Ticket).count() == 2


def test_a_refused_move_changes_nothing(desk: Desk) -> None:
    first, second, other = two_matters(desk)
    tickets.set_status(other, "trash", desk.ann)
    with pytest.raises(UserFault, match="is in Trash"):
        moving.move_message(second, other, desk.ann)
    with pytest.raises(UserFault, match="already"):
        moving.move_message(second, first.ticket, desk.ann)
    assert "messages_moved_away" not in kinds_of(first.ticket)
    assert (second.ticket_id, second.moved_from_ticket_ids) == (first.ticket_id, [])


def test_only_who_may_change_both_tickets_moves_between_them(desk: Desk, make: Factory) -> None:
    first, second, other = two_matters(desk)
    elsewhere = make.ticket(make.branch())
    with pytest.raises(NotFound):
        moving.move_message(second, elsewhere, desk.ann)
    stranger = make.agent(branch=elsewhere.branch)
    with pytest.raises(NotFound):
        moving.move_message(second, elsewhere, stranger)
    with pytest.raises(NotFound):
        moving.split_off(second, stranger)
    with pytest.raises(NotFound):
        moving.merge([other], elsewhere, desk.ann)
    with pytest.raises(NotFound):
        moving.merge([elsewhere], other, desk.ann)
    auditor = make.agent(role="Auditor")
    for attempt in (
        lambda: moving.move_message(second, other, auditor),
        lambda: moving.split_off(second, auditor),
        lambda: moving.merge([other], first.ticket, auditor),
    ):
        with pytest.raises(Forbidden):
            attempt()
    assert second.ticket_id == first.ticket_id


def test_a_closed_ticket_that_gets_a_customers_message_is_open_again(desk: Desk) -> None:
    _first, second, other = two_matters(desk)
    desk.answer(other)
    tickets.set_status(other, "closed", desk.ann)
    other.closed_at = now() - timedelta(days=400)
    db.session.commit()
    moving.move_message(second, other, desk.ann)
    assert (other.status, other.closed_at) == ("open", None)
    assert clocks_of(other)["next_response"] == "running"


def test_the_agent_of_the_other_ticket_is_told(desk: Desk, make: Factory) -> None:
    _first, second, other = two_matters(desk)
    ben = make.agent(branch=desk.branch, username="ben")
    other.assignee_id = ben.id
    db.session.commit()
    moving.move_message(second, other, desk.ann)
    told = db.session.scalars(select(Notification).where(Notification.user_id == ben.id)).all()
    assert [f"#{other.number}" in each.text for each in told] == [True]


def test_a_merged_ticket_hands_over_all_it_has_and_owes_nothing_more(desk: Desk) -> None:
    mine, other = desk.receive(1), desk.receive(2, EVE)
    replies.add_note(mine.ticket, desk.ann, "<p>Note</p>")
    merged, into = mine.ticket, other.ticket

    moving.merge([merged], into, desk.ann)

    assert db.session.query(Message).filter_by(ticket_id=into.id).count() == 3
    assert (into.message_count, merged.message_count) == (3, 0)
    assert (merged.merged_into_id, merged.status) == (into.id, "closed")
    assert set(clocks_of(merged).values()) == {"cancelled"}
    assert (merged.next_due_at, merged.is_breached) == (None, False)
    assert clocks_of(into)["first_response"] == "running"
    waiting = db.session.scalars(select(Clock).filter_by(ticket_id=into.id, kind="first_response")).one()
    assert waiting.started_at == mine.created_at, "the longest wait counts"
    assert mine.moved_from_ticket_ids == [], "it was not moved out of its thread"
    assert events.of_ticket(merged.id, ["ticket_merged"])[0].data["number"] == into.number
    assert events.of_ticket(into.id, ["messages_moved_here"])[0].data["number"] == merged.number


def test_mail_to_a_merged_ticket_lands_in_the_one_it_went_into(desk: Desk) -> None:
    mine, other = desk.receive(1), desk.receive(2, EVE)
    ours = desk.answer(mine.ticket)
    merged, into = mine.ticket, other.ticket
    address = reply_address_of(ours)
    moving.merge([merged], into, desk.ann)
    by_address = desk.receive(10, to=address)
    by_our_id = desk.receive(11, In_Reply_To=f"<{ours.message_id_header}>")
    by_their_id = desk.receive(12, In_Reply_To=id_of(1))
    # Zoë takes part in the other ticket now, by her identity and by her messages.
    by_number = desk.receive(13, Subject=f"My parcel [#{merged.number}]")
    for message in (by_address, by_our_id, by_their_id, by_number):
        assert message.ticket_id == into.id, message.thread_rule
    assert by_address.thread_evidence["merged_from"] == merged.id


def test_the_customer_of_a_merged_ticket_takes_part_by_every_address_of_theirs(
    desk: Desk, make: Factory
) -> None:
    from portal.models import Identity

    mine, other = desk.receive(1), desk.receive(2, EVE)
    customer_id = mine.ticket.customer_id
    db.session.add(Identity(customer_id=customer_id, kind="email", address="zoe@private.test"))
    db.session.commit()
    moving.merge([mine.ticket], other.ticket, desk.ann)
    again = desk.receive(14, "zoe@private.test", Subject=f"Hello [#{other.ticket.number}]")
    assert again.ticket_id == other.ticket_id


def test_chains_are_shortened_and_circles_refused(desk: Desk) -> None:
    a, b, c = (desk.receive(number).ticket for number in (1, 2, 3))
    with pytest.raises(UserFault, match="itself"):
        moving.merge([a], a, desk.ann)
    moving.merge([a], b, desk.ann)
    with pytest.raises(Conflict, match=f"merged into #{b.number}"):
        moving.merge([b], a, desk.ann)
    with pytest.raises(Conflict):
        moving.merge([a], c, desk.ann)
    moving.merge([b], c, desk.ann)
    db.session.refresh(a)
    assert (a.merged_into_id, b.merged_into_id, c.merged_into_id) == (c.id, c.id, None)
    assert desk.receive(20, Subject=f"Where? [#{a.number}]").ticket_id == c.id


def test_two_tickets_at_once_go_into_a_third(desk: Desk) -> None:
    a, b, c = (desk.receive(number).ticket for number in (1, 2, 3))
    moving.merge([a, b], c, desk.ann)
    assert (c.message_count, a.merged_into_id, b.merged_into_id) == (3, c.id, c.id)


def test_nothing_happens_to_a_merged_ticket_any_more(desk: Desk) -> None:
    mine, other = desk.receive(1), desk.receive(2)
    merged, into = mine.ticket, other.ticket
    third = desk.receive(3, In_Reply_To=id_of(2))
    moving.merge([merged], into, desk.ann)
    for attempt in (
        lambda: tickets.set_status(merged, "open", desk.ann),
        lambda: replies.add_note(merged, desk.ann, "<p>Lost?</p>"),
        lambda: replies.send_reply(merged, desk.ann, "<p>Lost?</p>"),
        lambda: moving.move_message(third, merged, desk.ann),
    ):
        with pytest.raises(Conflict, match=f"merged into #{into.number}"):
            attempt()


def test_a_mail_that_was_decided_before_the_merge_waits_for_the_next_round(desk: Desk, monkeypatch) -> None:
    """Between look-up and lock the ticket is merged: the mail must not go into a ticket that nobody sees."""
    from portal.services import arrivals

    mine, other = desk.receive(1), desk.receive(2)
    merged, into = mine.ticket, other.ticket
    really_placed = arrivals._place_all

    def merge_first(work, letters, *, may_wait):
        monkeypatch.setattr(arrivals, "_place_all", really_placed)
        merged.merged_into_id = into.id
        db.session.flush()
        return really_placed(work, letters, may_wait=may_wait)

    monkeypatch.setattr(arrivals, "_place_all", merge_first)
    item_id = intake.accept(
        IncomingBytes(
            channel_kind="email",
            account_id=None,
            source_key="race",
            raw=f"From: {ZOE}\r\nTo: {DESK}\r\nMessage-ID: <30@customer.test>\r\n"
            f"In-Reply-To: {id_of(1)}\r\n\r\nHello".encode(),
            envelope_from=ZOE,
            envelope_to=(DESK,),
            received_at=now(),
        )
    )
    intake.process(item_id)
    assert db.session.get_one(InboxItem, item_id).state == "accepted"
    intake.process(item_id)
    assert db.session.get_one(InboxItem, item_id).ticket_id == into.id


def test_moving_costs_the_same_however_many_messages_stand_there(desk: Desk, count_queries) -> None:
    counted = []
    for amount in (0, 20):
        _first, second, other = two_matters_of(desk, amount)
        with count_queries() as statements:
            moving.move_message(second, other, desk.ann)
        counted.append(len(statements))
    assert counted[0] == counted[1]


def two_matters_of(desk: Desk, more: int) -> tuple[Message, Message, Ticket]:
    customer = desk.make.customer()
    one, other = desk.make.ticket(desk.branch, customer), desk.make.ticket(desk.branch, customer)
    first, second = desk.make.message(one), desk.make.message(one)
    for _ in range(more):
        desk.make.message(one)
        desk.make.message(other)
    return first, second, other


def test_a_reply_that_is_not_sent_yet_is_not_moved(desk: Desk) -> None:
    first, second, other = two_matters(desk)
    queued = replies.send_reply(first.ticket, desk.ann, "<p>Soon</p>")
    scheduled = replies.send_reply(
        first.ticket, desk.ann, "<p>Tomorrow</p>", send_at=now() + timedelta(days=1)
    )
    for message in (queued, scheduled):
        with pytest.raises(UserFault, match="not sent yet"):
            moving.move_message(message, other, desk.ann)
    old = first.ticket
    new = moving.split_off(second, desk.ann, with_later=True)
    # What was written after the second matter goes along with it; what waits for its time counts for nothing yet.
    assert {queued.ticket_id, scheduled.ticket_id} == {new.id}
    assert new.first_responded_at == queued.created_at
    assert (old.first_responded_at, old.message_count) == (None, 1)


def test_what_was_passed_on_to_somebody_else_answers_no_customer(desk: Desk) -> None:
    first, _second, other = two_matters(desk)
    passed_on = replies.forward(
        first.ticket, desk.ann, replies.Answer(html="<p>Look</p>", to=["supplier@else.test"])
    )
    sent(passed_on)
    moving.move_message(passed_on, other, desk.ann)
    assert clocks_of(other)["first_response"] == "running"
    assert other.first_responded_at is None
    assert other.snippet == "Words of mail 3"


def test_drafts_of_a_merged_ticket_go_along_unless_their_writer_has_one_there(
    desk: Desk, make: Factory
) -> None:
    mine, other = desk.receive(1).ticket, desk.receive(2).ticket
    ben = make.agent(branch=desk.branch, username="ben")
    for user, ticket, words in ((desk.ann, mine, "A"), (ben, mine, "B"), (ben, other, "C")):
        drafts.keep(user, ticket, "reply", drafts.Written(html=f"<p>{words}</p>"), revision=None)
    moving.merge([mine], other, desk.ann)
    assert drafts.drafts_of(desk.ann, other)["reply"].html == "<p>A</p>"
    assert drafts.drafts_of(ben, other)["reply"].html == "<p>C</p>"
    assert drafts.drafts_of(ben, mine)["reply"].html == "<p>B</p>", "kept, though nobody asks for it"


def test_a_bounce_of_a_moved_answer_comes_to_where_the_answer_stands(desk: Desk) -> None:
    first, _second, other = two_matters(desk)
    ours = desk.answer(first.ticket)
    delivery = db.session.scalars(select(Delivery).where(Delivery.message_id == ours.id)).one()
    moving.move_message(ours, other, desk.ann)
    key = current_app.config["SETTINGS"].signing_keys[0]
    bounce = desk.receive(
        9,
        "mailer-daemon@customer.test",
        to=tokens.return_path_for(key, delivery.id, DESK),
        Content_Type="text/plain",
        Auto_Submitted="auto-replied",
        Subject="Undelivered Mail Returned to Sender",
        X_Failed_Recipients=ZOE,
    )
    assert (bounce.is_bounce, bounce.ticket_id) == (True, other.id)
    assert ours.delivery_state == "bounced"


def test_of_two_who_move_one_message_at_once_one_is_told(app: Flask, real_commits: None) -> None:
    make = Factory()
    branch = make.branch()
    ticket, *others = make.tickets(5, branch)
    make.message(ticket)
    message = make.message(ticket)
    wanted = [(make.agent(branch=branch).id, message.id, other.id) for other in others]

    def move(who: tuple[int, int, int]) -> str:
        user_id, message_id, ticket_id = who
        with app.app_context():
            try:
                moving.move_message(
                    db.session.get(Message, message_id),
                    db.session.get(Ticket, ticket_id),
                    db.session.get(User, user_id),
                )
            except Conflict as conflict:
                return str(conflict)
            return "moved"

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(move, wanted))
    assert answers.count("moved") >= 1
    db.session.expire_all()
    moves = db.session.query(Event).filter_by(kind="messages_moved_here").count()
    # Who came later and saw where it stands now has moved it on from there, which is no conflict.
    assert moves == answers.count("moved") == len(message.thread_evidence["moved_by_hand"])
    assert db.session.query(Message).filter_by(ticket_id=message.ticket_id).count() == 1
    for each in (ticket, *others):
        assert db.session.query(Message).filter_by(ticket_id=each.id).count() == each.message_count


def test_two_tickets_that_are_merged_into_each_other_at_once_make_no_circle(
    app: Flask, real_commits: None
) -> None:
    make = Factory()
    branch = make.branch()
    one, two = make.tickets(2, branch)
    make.message(one)
    make.message(two)
    agent = make.agent(branch=branch)
    ids = [(one.id, two.id, agent.id), (two.id, one.id, agent.id)]

    def merge(which: tuple[int, int, int]) -> str:
        merged_id, into_id, user_id = which
        with app.app_context():
            try:
                moving.merge(
                    [db.session.get(Ticket, merged_id)],
                    db.session.get(Ticket, into_id),
                    db.session.get(User, user_id),
                )
            except Conflict:
                return "conflict"
            return "merged"

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(merge, ids))
    assert answers == ["conflict", "merged"]
    db.session.expire_all()
    survivor, merged = (one, two) if two.merged_into_id else (two, one)
    assert (survivor.merged_into_id, merged.merged_into_id) == (None, survivor.id)
    assert survivor.message_count == 2


def test_a_sender_without_a_customer_becomes_one(desk: Desk) -> None:
    first = desk.receive(1)
    second = desk.receive(2, EVE, In_Reply_To=id_of(1))
    before = db.session.query(Customer).count()
    moving.split_off(second, desk.ann)
    assert db.session.query(Customer).count() == before + 1
    assert (
        db.session.query(Event).filter_by(ticket_id=first.ticket_id, kind="messages_moved_away").count() == 1
    )
