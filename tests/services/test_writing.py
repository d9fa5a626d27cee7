"""Drafts, replies for later, second thoughts, and passing messages on."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.errors import Conflict, UserFault
from portal.extensions import db
from portal.models import Attachment, Draft, Event, Notification, OutboxItem
from portal.models.columns import as_of, now
from portal.services import composing, drafts, events, replies, sla, uploads, waiting_replies
from tests.factory import Factory


@pytest.fixture
def ticket(make: Factory):
    branch = make.branch(signature_html="<p>Yours, the desk</p>")
    make.account(branch, address="desk@portal.test")
    found = make.ticket(branch, make.customer(address="zoe@customer.test"))
    make.message(found, from_address="zoe@customer.test", message_id_header="q@customer.test")
    events.record("ticket_opened", ticket=found, actor_kind="customer")
    db.session.commit()
    return found


@pytest.fixture
def agent(make: Factory, ticket):
    return make.agent(branch=ticket.branch)


def words(html: str, **values) -> drafts.Written:
    return drafts.Written(html=html, **values)


def test_a_draft_is_kept_and_dropped_when_it_is_sent(ticket, agent) -> None:
    assert drafts.keep(agent, ticket, "reply", words("<p>Half a</p>", cc="bob@"), revision=0) == 1
    assert drafts.keep(agent, ticket, "reply", words("<p>Half an answer</p>"), revision=1) == 2
    kept = drafts.drafts_of(agent, ticket)["reply"]
    assert (kept.html, kept.cc) == ("<p>Half an answer</p>", "")

    replies.send(ticket, agent, replies.Answer(html="<p>An answer</p>", is_from_draft=True))
    assert drafts.drafts_of(agent, ticket) == {}


def test_two_windows_do_not_overwrite_each_other(ticket, agent) -> None:
    drafts.keep(agent, ticket, "reply", words("<p>One</p>"), revision=0, window="theirs")
    with pytest.raises(Conflict):
        drafts.keep(agent, ticket, "reply", words("<p>Two</p>"), revision=0, window="mine")
    assert drafts.drafts_of(agent, ticket)["reply"].html == "<p>One</p>"
    assert drafts.keep(agent, ticket, "reply", words("<p>Two</p>"), revision=None, window="mine") == 2
    # Two savings of one window that were on their way together are no quarrel.
    assert drafts.keep(agent, ticket, "reply", words("<p>Three</p>"), revision=1, window="mine") == 3


def test_an_empty_draft_is_none(ticket, agent) -> None:
    drafts.keep(agent, ticket, "reply", words("<p>One</p>"), revision=0)
    assert drafts.keep(agent, ticket, "reply", words("<p>&nbsp;</p>"), revision=1) == 0
    assert drafts.drafts_of(agent, ticket) == {}


def test_a_draft_is_cleaned_like_everything_that_is_posted(ticket, agent) -> None:
    drafts.keep(agent, ticket, "reply", words('<p onclick="x()">Hi</p><script>x()</script>'), revision=0)
    assert drafts.drafts_of(agent, ticket)["reply"].html == "<p>Hi</p>"


def test_a_draft_is_nobody_elses(ticket, agent, make: Factory) -> None:
    drafts.keep(agent, ticket, "reply", words("<p>Mine</p>"), revision=0)
    assert drafts.drafts_of(make.agent(role="Admin"), ticket) == {}


def test_files_of_a_draft_are_not_dropped_as_unused(ticket, agent, make: Factory) -> None:
    def upload(key: str) -> None:
        db.session.add(
            Attachment(
                uploaded_by_id=agent.id, name="a", size_bytes=1, sha256="0" * 64, public_key=key * 24,
                created_at=now() - timedelta(days=30),
            )
        )  # fmt: skip

    for key in "abc":
        upload(key)
    picture = f'<img src="/files/{"b" * 24}/x.png">'
    drafts.keep(agent, ticket, "reply", words(picture, attachment_keys=["a" * 24]), revision=0)
    assert uploads.drop_unused() == 1
    left = db.session.scalars(select(Attachment.public_key).order_by(Attachment.public_key))
    assert list(left) == ["a" * 24, "b" * 24]


def test_a_reply_for_later_counts_only_when_it_goes_out(ticket, agent) -> None:
    at = now() + timedelta(hours=2)
    message = replies.send(
        ticket, agent, replies.Answer(html="<p>Later</p>", send_at=at, then_status="resolved")
    )
    message_id, ticket_id = message.id, ticket.id
    assert (message.delivery_state, ticket.first_responded_at) == ("scheduled", None)
    assert ticket.status == "new"
    assert db.session.scalar(select(OutboxItem)) is None
    assert not waiting_replies.has_due()
    assert waiting_replies.release_due() == 0

    with as_of(at + timedelta(minutes=1)):
        assert waiting_replies.has_due()
        assert waiting_replies.release_due() == 1
        assert waiting_replies.release_due() == 0
    ticket = db.session.get_one(type(ticket), ticket_id)
    assert ticket.status == "resolved"
    assert ticket.first_responded_at == at + timedelta(minutes=1)
    assert db.session.scalars(select(OutboxItem.message_id)).all() == [message_id]


def test_a_reply_for_later_is_held_back_when_the_customer_writes(ticket, agent, make: Factory) -> None:
    at = now() + timedelta(hours=2)
    message_id = replies.send(ticket, agent, replies.Answer(html="<p>Later</p>", send_at=at)).id
    ids = ticket.id, agent.id
    make.message(ticket, from_address="zoe@customer.test", created_at=now() + timedelta(minutes=5))
    with as_of(at + timedelta(minutes=1)):
        waiting_replies.release_due()

    ticket, agent = (
        db.session.get_one(type(row), id_) for row, id_ in zip((ticket, agent), ids, strict=True)
    )
    assert db.session.scalar(select(OutboxItem)) is None
    assert drafts.drafts_of(agent, ticket)["reply"].html == "<p>Later</p>"
    assert db.session.scalars(select(Notification.kind).where(Notification.user_id == agent.id)).all() == [
        "held_back"
    ]
    assert db.session.scalars(select(Event.message_id).where(Event.kind == "reply_held_back")).all() == [
        message_id
    ]


@pytest.mark.parametrize("hours", [-1, 24 * 400])
def test_a_time_in_the_past_or_far_away_is_refused(ticket, agent, hours: int) -> None:
    with pytest.raises(UserFault, match="within the next year"):
        replies.send(ticket, agent, replies.Answer(html="<p>x</p>", send_at=now() + timedelta(hours=hours)))


def test_a_reply_that_is_taken_back_never_counted(ticket, agent) -> None:
    before = {clock.kind: clock.state for clock in sla.compute(ticket, now())}
    message = replies.send_reply(
        ticket, agent, "<p>Wrong</p>", cc=["bob@customer.test"], then_status="resolved"
    )
    assert ticket.status == "resolved"
    waiting_replies.cancel_sending(message, agent)

    assert ticket.status == "new"
    assert ticket.first_responded_at is None
    assert {clock.kind: clock.state for clock in sla.compute(ticket, now())} == before
    draft = drafts.drafts_of(agent, ticket)["reply"]
    assert (draft.html, draft.to, draft.cc) == ("<p>Wrong</p>", "zoe@customer.test", "bob@customer.test")


def test_words_that_stand_there_already_are_not_replaced_by_those_taken_back(ticket, agent) -> None:
    message = replies.send_reply(ticket, agent, "<p>Wrong</p>")
    drafts.keep(agent, ticket, "reply", words("<p>Better</p>"), revision=0)
    waiting_replies.cancel_sending(message, agent)
    assert drafts.drafts_of(agent, ticket)["reply"].html == "<p>Better</p>"


def test_passing_on_is_no_answer(ticket, agent) -> None:
    question = db.session.scalars(select(type(ticket.messages[0]))).first()
    message = replies.forward(
        ticket,
        agent,
        replies.Answer(html="<p>Look</p>", to=["bob@supplier.test"], about_message_id=question.id),
    )
    assert message.subject.startswith("Fwd: ")
    assert message.in_reply_to_header == ""
    assert ticket.first_responded_at is None
    assert ticket.status == "new"
    assert {clock.state for clock in sla.compute(ticket, now()) if clock.kind == "first_response"} == {
        "running"
    }
    with pytest.raises(UserFault, match="Enter an address"):
        replies.forward(ticket, agent, replies.Answer(html="<p>Look</p>"))


def test_a_forward_begins_with_the_whole_message_and_its_files(ticket, agent, make: Factory) -> None:
    message = make.message(
        ticket, html='<p>New</p><img src="cid:one@x">', quoted_html="<p>Old</p>", from_name="<b>Zoe</b>",
        from_address="zoe@customer.test", to=[{"name": "", "address": "desk@portal.test"}],
    )  # fmt: skip
    for key, content_id in (("p" * 24, "one@x"), ("f" * 24, "")):
        db.session.add(
            Attachment(
                message_id=message.id, name="n", size_bytes=1, sha256="0" * 64, public_key=key,
                content_id=content_id, is_inline=bool(content_id),
            )
        )  # fmt: skip
    db.session.commit()
    begun = composing.begin(message, "forward", agent)

    assert "&lt;b&gt;Zoe&lt;/b&gt;" in begun.html
    assert "<p>New</p>" in begun.html
    assert "<p>Old</p>" in begun.html
    assert "cid:" not in begun.html
    assert len(begun.files) == 1
    assert begun.files[0].uploaded_by_id == agent.id
    assert begun.files[0].public_key != "f" * 24


def test_an_answer_to_all_leaves_us_out(ticket, agent, make: Factory) -> None:
    message = make.message(
        ticket, from_address="zoe@customer.test",
        to=[{"name": "", "address": "desk+t-abc@portal.test"}, {"name": "", "address": "bob@customer.test"}],
        cc=[{"name": "", "address": "DESK@portal.test"}, {"name": "", "address": "Zoe@customer.test"}],
    )  # fmt: skip
    assert composing.begin(message, "all", agent).cc == ("bob@customer.test",)
    assert composing.begin(message, "reply", agent).cc == ()
    assert composing.begin(message, "all", agent).to == ("zoe@customer.test",)


def test_drafts_disappear_from_no_ticket_that_is_out_of_reach(ticket, agent, make: Factory, login) -> None:
    stranger = login(make.agent(branch=make.branch()))
    message = ticket.messages[0]
    assert stranger.post(f"/tickets/{ticket.number}/draft", data={"html": "x"}).status_code == 404
    assert stranger.post(f"/messages/{message.id}/compose/forward").status_code == 404
    assert db.session.scalar(select(Draft)) is None
