"""Writing: nothing is lost by a refusal, nothing is sent unseen."""

import io
import re

import pytest

from portal.extensions import db
from portal.models import Attachment, Event, Message, OutboxItem
from portal.services import replies, tickets
from tests.factory import Factory

PARTIAL = {"X-Partial": "1"}


@pytest.fixture
def desk(make: Factory):
    """A ticket with a customer's question, in a branch that can send."""
    branch = make.branch()
    account = make.account(branch)
    ticket = make.ticket(
        branch, make.customer(address="zoe@customer.test"), status="open", account_id=account.id
    )
    question = make.message(ticket, from_address="zoe@customer.test", from_name="Zoë")
    return ticket, question, make.agent(branch=branch, first_name="Maya")


def test_a_reply_is_sent_and_leaves_the_ticket_open(desk, login) -> None:
    ticket, question, agent = desk
    answer = login(agent).post(
        f"/tickets/{ticket.number}/reply",
        data={"html": "<p>On its way</p>", "format": "html", "to": "zoe@customer.test", "seen": question.id},
        headers=PARTIAL,
    )
    assert answer.status_code == 200
    assert answer.json["says"] == "Sent to zoe@customer.test."
    db.session.refresh(ticket)
    assert ticket.status == "open"
    assert db.session.query(OutboxItem).count() == 1


@pytest.mark.parametrize("then", ["pending", "resolved"])
def test_a_reply_can_change_the_status(desk, login, then: str) -> None:
    ticket, _question, agent = desk
    login(agent).post(f"/tickets/{ticket.number}/reply", data={"html": "Done", "then": then})
    db.session.refresh(ticket)
    assert ticket.status == then


def test_a_template_that_sets_a_status_is_heeded_by_a_plain_send(desk, login, make: Factory) -> None:
    ticket, _question, agent = desk
    template = make.template(actions={"status": "resolved"})
    login(agent).post(f"/tickets/{ticket.number}/reply", data={"html": "Done", "template": template.id})
    db.session.refresh(ticket)
    assert ticket.status == "resolved"


def test_without_scripts_plain_text_is_sent_as_it_was_written(desk, login) -> None:
    ticket, _question, agent = desk
    answer = login(agent).post(
        f"/tickets/{ticket.number}/reply", data={"html": "One <b>\nline\n\nTwo & three"}
    )
    assert answer.status_code == 303
    sent = db.session.query(Message).filter_by(ticket_id=ticket.id, direction="out").one()
    assert sent.html.startswith("<p>One &lt;b&gt;<br>line</p><p>Two &amp; three</p>")


@pytest.mark.parametrize("html", ["", "   ", "<p>&nbsp;</p>", "<p></p><p><br></p>"])
def test_an_empty_reply_is_refused_in_words(desk, login, html: str) -> None:
    ticket, _question, agent = desk
    answer = login(agent).post(
        f"/tickets/{ticket.number}/reply", data={"html": html, "format": "html"}, headers=PARTIAL
    )
    assert answer.status_code == 422
    assert "nothing to send yet" in answer.get_data(as_text=True)
    assert db.session.query(OutboxItem).count() == 0


def test_a_refused_text_stands_in_the_form_again(desk, login) -> None:
    ticket, _question, agent = desk
    answer = login(agent).post(
        f"/tickets/{ticket.number}/reply",
        data={"html": "A long & careful answer", "to": "not an address", "cc": "b@c.test"},
    )
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    assert "is not an e-mail address" in page
    assert "A long &amp; careful answer</textarea>" in page
    assert 'value="not an address"' in page
    assert 'value="b@c.test"' in page


def test_a_reply_to_an_outdated_view_is_refused_once_and_shows_what_is_new(
    desk, login, make: Factory
) -> None:
    ticket, question, agent = desk
    newer = make.message(ticket, html="", text="Forget it, it has come", from_address="zoe@customer.test")
    data = {"html": "<p>We look for it</p>", "format": "html", "seen": question.id}
    client = login(agent)
    answer = client.post(f"/tickets/{ticket.number}/reply", data=data, headers=PARTIAL)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 409
    assert "Forget it, it has come" in page
    assert db.session.query(OutboxItem).count() == 0
    anyway = re.search(r'name="seen" value="(\d+)" data-anyway', page)
    assert anyway is not None
    assert int(anyway[1]) == newer.id
    sent = client.post(
        f"/tickets/{ticket.number}/reply", data={**data, "seen": [question.id, newer.id]}, headers=PARTIAL
    )
    assert sent.status_code == 200
    assert db.session.query(OutboxItem).count() == 1


def test_a_page_that_showed_no_message_yet_is_guarded_too(desk, login, make: Factory) -> None:
    ticket, _question, agent = desk
    answer = login(agent).post(f"/tickets/{ticket.number}/reply", data={"html": "First!", "seen": "0"})
    assert answer.status_code == 409
    assert db.session.query(OutboxItem).count() == 0


@pytest.mark.parametrize("seen", ["", "x", "-1", "99999999999999999999999", "²"])
def test_a_damaged_mark_of_what_was_seen_breaks_nothing(desk, login, seen: str) -> None:
    ticket, _question, agent = desk
    answer = login(agent).post(f"/tickets/{ticket.number}/reply", data={"html": "Hello", "seen": seen})
    assert answer.status_code == 303


def test_a_colleagues_reply_counts_as_new_and_ones_own_does_not(desk, login, make: Factory) -> None:
    ticket, question, agent = desk
    colleague = make.agent(branch=ticket.branch)
    replies.send_reply(ticket, agent, "<p>Mine</p>")
    data = {"html": "<p>More</p>", "format": "html", "seen": question.id}
    assert login(agent).post(f"/tickets/{ticket.number}/reply", data=data, headers=PARTIAL).status_code == 200
    replies.send_reply(ticket, colleague, "<p>Theirs</p>")
    answer = login(agent).post(f"/tickets/{ticket.number}/reply", data=data, headers=PARTIAL)
    assert answer.status_code == 409
    assert "Theirs" in answer.get_data(as_text=True)


def test_the_outdated_page_without_scripts_keeps_the_text_and_offers_to_send_anyway(
    desk, login, make: Factory
) -> None:
    ticket, question, agent = desk
    make.message(ticket, html="", text="Something new", from_address="zoe@customer.test")
    answer = login(agent).post(
        f"/tickets/{ticket.number}/reply", data={"html": "My answer", "seen": question.id}
    )
    page = answer.get_data(as_text=True)
    assert answer.status_code == 409
    assert "My answer</textarea>" in page
    assert "Send anyway" in page


def test_a_note_is_for_colleagues_only(desk, login) -> None:
    ticket, _question, agent = desk
    login(agent).post(f"/tickets/{ticket.number}/note", data={"html": "Blue door"})
    note = db.session.query(Message).filter_by(ticket_id=ticket.id, direction="note").one()
    assert note.html == "<p>Blue door</p>"
    assert db.session.query(OutboxItem).count() == 0
    assert login(agent).post(f"/tickets/{ticket.number}/note", data={"html": ""}).status_code == 422


def test_what_is_posted_is_sanitised(desk, login) -> None:
    ticket, _question, agent = desk
    evil = '<p onclick="x()">Hi</p><script>alert(1)</script><iframe src="https://evil.test"></iframe>'
    client = login(agent)
    client.post(f"/tickets/{ticket.number}/reply", data={"html": evil, "format": "html"})
    page = client.get(f"/tickets/{ticket.number}").get_data(as_text=True)
    for forbidden in ("onclick", "alert(1)", "evil.test"):
        assert forbidden not in page


def test_a_file_is_uploaded_attached_and_claimed_by_its_reply(desk, login) -> None:
    ticket, _question, agent = desk
    client = login(agent)
    kept = client.post("/uploads", data={"upload": (io.BytesIO(b"a,b"), "list.csv")}).json
    assert kept["name"] == "list.csv"
    client.post(f"/tickets/{ticket.number}/reply", data={"html": "See the list", "attachment": kept["key"]})
    attachment = db.session.query(Attachment).one()
    assert attachment.message_id is not None


def test_files_of_a_form_without_scripts_go_along(desk, login) -> None:
    ticket, _question, agent = desk
    login(agent).post(
        f"/tickets/{ticket.number}/reply",
        data={"html": "See both", "files": [(io.BytesIO(b"1"), "1.txt"), (io.BytesIO(b"2"), "2.txt")]},
    )
    assert {each.name for each in db.session.query(Attachment)} == {"1.txt", "2.txt"}


def test_an_upload_that_is_no_picture_is_refused_as_the_editor_expects(desk, login) -> None:
    _ticket, _question, agent = desk
    answer = login(agent).post("/uploads?inline=1", data={"upload": (io.BytesIO(b"<svg/>"), "x.svg")})
    assert answer.status_code == 422
    assert "not a picture" in answer.json["error"]["message"]
    assert login(agent).post("/uploads").status_code == 422


def test_a_template_is_filled_shown_and_noted(desk, login, make: Factory) -> None:
    ticket, _question, agent = desk
    template = make.template(
        name="Parcel", body_html="<p>Dear {{ customer.first_name }}, #{{ ticket.number }}</p>"
    )
    client = login(agent)
    assert "Parcel" in client.get(f"/tickets/{ticket.number}/templates", headers=PARTIAL).get_data(
        as_text=True
    )
    preview = client.get(f"/tickets/{ticket.number}/templates/{template.id}").get_data(as_text=True)
    assert f"Dear Zoë, #{ticket.number}" in preview
    answer = client.post(f"/tickets/{ticket.number}/templates/{template.id}", data={"offered": "1"})
    assert answer.json["id"] == template.id
    fact = db.session.query(Event).filter_by(kind="template_inserted").one()
    assert fact.data["was_offered"] is True


def test_a_template_of_another_branch_is_not_found(desk, login, make: Factory) -> None:
    ticket, _question, agent = desk
    foreign = make.template(branches=[make.branch()])
    assert login(agent).post(f"/tickets/{ticket.number}/templates/{foreign.id}").status_code == 404


def test_a_reply_can_be_taken_back_while_it_waits(desk, login) -> None:
    ticket, _question, agent = desk
    message = replies.send_reply(ticket, agent, "<p>Too quick</p>")
    answer = login(agent).post(f"/messages/{message.id}/cancel", headers=PARTIAL)
    assert "Too quick" in answer.json["html"]
    assert db.session.query(OutboxItem).one().state == "cancelled"
    assert login(agent).post(f"/messages/{message.id}/cancel", headers=PARTIAL).status_code == 409


@pytest.mark.parametrize("kind", ["reply", "note"])
def test_words_for_a_ticket_that_was_moved_out_of_reach_are_not_lost_without_a_word(
    desk, login, make: Factory, kind: str
) -> None:
    ticket, _, agent = desk
    client = login(agent)
    tickets.move_to_branch(ticket, make.branch(name="Elsewhere"), make.agent("Admin"))
    written = {"html": "<p>Long words</p>", "format": "html", "to": "zoe@customer.test"}
    for number in (ticket.number, 2**40):
        address = f"/tickets/{number}/{kind}"
        partial = client.post(address, data=written, headers=PARTIAL)
        assert partial.status_code == 404
        assert "somebody may have moved it" in partial.text
        assert "Your text is still here" in partial.text
        assert "Elsewhere" not in partial.text
        assert "Go back in your browser" in client.post(address, data=written).text
    assert db.session.query(OutboxItem).count() == 0
