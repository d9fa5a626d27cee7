"""Moving a message, splitting it off, merging a ticket: found by keyboard and by number, within reach only."""

import re

import pytest

from portal.extensions import db
from portal.models import Event, Message, Ticket
from portal.models.columns import now
from portal.services import moving
from tests.factory import Factory

PARTIAL = {"X-Partial": "1"}
MOST_STATEMENTS = 10


class Desk:
    """Two tickets of Zoë and one of someone else in a branch, one of Zoë's in another branch."""

    def __init__(self, make: Factory, login) -> None:
        self.branch, self.elsewhere = make.branch(name="North"), make.branch(name="South")
        self.agent = make.agent(branch=self.branch, first_name="Ann", username="ann")
        zoe, eve = make.customer("Zoë Müller", "zoe@customer.test"), make.customer("Eve Black")
        self.ticket = make.ticket(self.branch, zoe, subject="The kettle leaks", status="open")
        self.other = make.ticket(self.branch, zoe, subject="Wrong lamp", status="pending")
        self.strange = make.ticket(self.branch, eve, subject="Kettle refund", status="open")
        self.far = make.ticket(self.elsewhere, zoe, subject="Kettle far away", status="open")
        self.first = make.message(self.ticket, from_address="zoe@customer.test", from_name="Zoë Müller")
        self.second = make.message(self.ticket, from_address="zoe@customer.test", from_name="Zoë Müller")
        make.message(self.other)
        make.message(self.strange)
        self.client = login(self.agent)
        self.make = make

    def page(self, address: str) -> str:
        return self.client.get(address).get_data(as_text=True)

    def found(self, text: str) -> list[int]:
        answer = self.client.get(
            f"/messages/{self.second.id}/move", query_string={"q": text}, headers=PARTIAL
        ).get_data(as_text=True)
        assert "<form" not in answer, "only what was found"
        return numbers_in(answer)


def numbers_in(html: str) -> list[int]:
    return [int(number) for number in re.findall(r'name="number" value="(\d+)"', html)]


@pytest.fixture
def desk(make: Factory, login) -> Desk:
    return Desk(make, login)


def test_the_menu_of_each_message_offers_what_can_be_done_with_it(desk: Desk) -> None:
    note = desk.make.message(desk.ticket, "note", author_id=desk.agent.id)
    page = desk.page(f"/tickets/{desk.ticket.number}")
    for message in (desk.first, desk.second, note):
        assert f'href="/messages/{message.id}/move"' in page
    assert f'href="/messages/{desk.second.id}/split"' in page
    assert f'href="/messages/{note.id}/split"' not in page
    assert f'href="/tickets/{desk.ticket.number}/merge"' in page
    assert "Move back" not in page


def test_the_only_message_is_not_offered_to_be_split_off(desk: Desk) -> None:
    only = db.session.query(Message).filter_by(ticket_id=desk.other.id).one()
    page = desk.page(f"/tickets/{desk.other.number}")
    assert f'href="/messages/{only.id}/move"' in page
    assert "/split" not in page
    assert f'action="/tickets/{desk.other.number}/merge"' in desk.page(f"/messages/{only.id}/move")


def test_the_customers_other_tickets_come_first_and_none_out_of_reach(desk: Desk) -> None:
    assert numbers_in(desk.page(f"/messages/{desk.second.id}/move")) == [desk.other.number]
    assert desk.found("kettle") == [desk.strange.number]
    assert set(desk.found("e")) == {desk.other.number, desk.strange.number}
    assert desk.found("e")[0] == desk.other.number
    assert desk.found(f"#{desk.strange.number}") == [desk.strange.number]
    assert desk.found(str(desk.far.number)) == []
    assert desk.found("eve black") == [desk.strange.number]


def test_merged_and_discarded_tickets_are_not_offered(desk: Desk) -> None:
    desk.other.status = "trash"
    db.session.commit()
    assert desk.found("lamp") == []
    desk.other.status = "open"
    db.session.commit()
    assert desk.found("lamp") == [desk.other.number]
    moving.merge([desk.other], desk.strange, desk.agent)
    assert desk.found("lamp") == []


def test_the_sender_of_the_message_counts_as_customer_too(desk: Desk) -> None:
    eves = desk.make.message(desk.ticket, from_address=desk.strange.customer.identities[0].address)
    found = numbers_in(desk.page(f"/messages/{eves.id}/move"))
    assert set(found) == {desk.other.number, desk.strange.number}


def test_choosing_takes_few_statements_however_many_tickets_there_are(desk: Desk, count_queries) -> None:
    desk.make.tickets(15, desk.branch, customer=desk.ticket.customer)
    address = f"/messages/{desk.second.id}/move"
    for query in ("", "?q=matter", "?q=zo"):
        db.session.expunge_all()
        with count_queries() as statements:
            answer = desk.client.get(f"{address}{query}", headers=PARTIAL)
        assert answer.status_code == 200
        assert len(numbers_in(answer.get_data(as_text=True))) == 10
        assert len(statements) <= MOST_STATEMENTS, "\n".join(statements)


def test_a_moved_message_says_so_in_both_tickets_and_can_be_moved_back(desk: Desk) -> None:
    answer = desk.client.post(
        f"/messages/{desk.second.id}/move", data={"number": desk.other.number}, headers=PARTIAL
    )
    assert answer.json["says"].startswith(f"Moved to #{desk.other.number}.")
    assert answer.json["action"] == {
        "label": "Move back",
        "post": f"/messages/{desk.second.id}/move",
        "fields": {"number": desk.ticket.number},
    }
    old, new = desk.page(f"/tickets/{desk.ticket.number}"), desk.page(f"/tickets/{desk.other.number}")
    assert f'<a href="/tickets/{desk.other.number}">Message moved to #{desk.other.number} by you</a>' in old
    assert f"Message moved here from #{desk.ticket.number} by you" in new
    assert f"Here because: moved here from #{desk.ticket.number} by {desk.agent}" in new
    assert f"Move back to #{desk.ticket.number}" in new
    db.session.refresh(desk.other)
    assert desk.other.status == "open"

    back = desk.client.post(f"/messages/{desk.second.id}/move", data={"number": f"#{desk.ticket.number}"})
    assert (back.status_code, back.location) == (303, f"/tickets/{desk.other.number}")
    db.session.refresh(desk.second)
    assert desk.second.ticket_id == desk.ticket.id


def test_why_it_first_came_in_stands_below_a_moved_message(desk: Desk) -> None:
    desk.second.thread_rule = "known_message_id"
    desk.second.thread_evidence = {"reason": "It answers a message that stands in this ticket."}
    db.session.commit()
    moving.move_message(desk.second, desk.other, desk.agent)
    page = desk.page(f"/tickets/{desk.other.number}")
    assert "it first came in because: it answers a message that stands in this ticket" in page


@pytest.mark.parametrize("number", ["", "abc", "0", "99999999999999999999"])
def test_a_number_that_is_none_is_refused_in_words(desk: Desk, number: str) -> None:
    answer = desk.client.post(f"/messages/{desk.second.id}/move", data={"number": number}, headers=PARTIAL)
    assert answer.status_code in (404, 422)
    assert "data-error" in answer.get_data(as_text=True)


def test_a_ticket_out_of_reach_is_no_place_to_move_to_or_from(desk: Desk, login) -> None:
    for address in (f"/messages/{desk.second.id}/move", f"/tickets/{desk.ticket.number}/merge"):
        assert desk.client.post(address, data={"number": desk.far.number}).status_code == 404
    stranger = login(desk.make.agent(branch=desk.elsewhere))
    auditor = login(desk.make.agent(role="Auditor"))
    for address in (
        f"/messages/{desk.second.id}/move",
        f"/messages/{desk.second.id}/split",
        f"/tickets/{desk.ticket.number}/merge",
    ):
        for client, status in ((stranger, 404), (auditor, 403)):
            assert client.get(address).status_code == status
            assert client.post(address, data={"number": desk.far.number}).status_code == status
    db.session.refresh(desk.second)
    assert desk.second.ticket_id == desk.ticket.id
    assert db.session.query(Event).filter(Event.kind.like("%moved%")).count() == 0
    page = auditor.get(f"/tickets/{desk.ticket.number}").get_data(as_text=True)
    assert "/move" not in page
    assert "/merge" not in page


def test_splitting_off_asks_whether_what_came_later_goes_along(desk: Desk) -> None:
    note = desk.make.message(desk.ticket, "note", author_id=desk.agent.id)
    asked = desk.page(f"/messages/{desk.second.id}/split")
    assert "the 1 after it" in asked
    answer = desk.client.post(f"/messages/{desk.second.id}/split", data={"later": "1"}, headers=PARTIAL)
    made = db.session.query(Ticket).filter_by(follows_id=desk.ticket.id).one()
    assert answer.json["action"] == {"label": f"Open #{made.number}", "url": f"/tickets/{made.number}"}
    db.session.refresh(note)
    assert note.ticket_id == made.id
    assert f"2 messages split off as #{made.number} by you" in desk.page(f"/tickets/{desk.ticket.number}")
    assert f"2 messages split off from #{desk.ticket.number} by you" in desk.page(f"/tickets/{made.number}")


def test_a_merged_number_leads_to_the_ticket_it_went_into(desk: Desk) -> None:
    answer = desk.client.post(
        f"/tickets/{desk.ticket.number}/merge", data={"number": desk.other.number}, headers=PARTIAL
    )
    assert answer.json["url"] == f"/tickets/{desk.other.number}"
    led = desk.client.get(f"/tickets/{desk.ticket.number}?view=mine")
    assert (led.status_code, led.location) == (
        302,
        f"/tickets/{desk.other.number}?view=mine&merged={desk.ticket.number}",
    )
    assert f"#{desk.ticket.number} was merged into this ticket." in desk.page(led.location)
    assert "was merged" not in desk.page(f"/tickets/{desk.other.number}?merged={desk.strange.number}")
    assert f"#{desk.ticket.number} merged into this ticket by you" in desk.page(led.location)


def test_whoever_has_a_merged_ticket_open_is_told_and_can_do_nothing_to_it(desk: Desk) -> None:
    moving.merge([desk.ticket], desk.other, desk.agent)
    parts = desk.page(f"/tickets/{desk.ticket.number}/parts?looking=1")
    assert "This ticket was merged into another one." in parts
    assert f"Merged into #{desk.other.number} by you" in parts
    assert "<select" not in parts
    for action, data in (
        ("reply", {"html": "Hello"}),
        ("note", {"html": "Hello"}),
        ("status", {"status": "open"}),
    ):
        answer = desk.client.post(f"/tickets/{desk.ticket.number}/{action}", data=data)
        assert answer.status_code == 409
        assert f"merged into #{desk.other.number}" in answer.get_data(as_text=True)


def test_a_merged_ticket_that_leads_out_of_reach_says_so(desk: Desk, login) -> None:
    both = desk.make.agent(branch=desk.branch)
    desk.make.membership(both, desk.elsewhere)
    moving.merge([desk.ticket], desk.far, both)
    answer = desk.client.get(f"/tickets/{desk.ticket.number}")
    assert answer.status_code == 404
    assert f"was merged into #{desk.far.number}, which lies outside your reach" in answer.get_data(
        as_text=True
    )
    assert "Kettle far away" not in answer.get_data(as_text=True)
    assert login(both).get(f"/tickets/{desk.ticket.number}").status_code == 302


def test_a_merged_ticket_is_in_no_list_of_what_waits(desk: Desk) -> None:
    desk.ticket.unread_since = now()
    db.session.commit()
    moving.merge([desk.ticket], desk.other, desk.agent)
    for view in ("open", "branch", "unassigned"):
        assert f'id="row-{desk.ticket.number}"' not in desk.page(f"/queue?view={view}")
    assert f'href="/tickets/{desk.ticket.number}"' not in desk.page(f"/tickets/{desk.other.number}")


def test_a_merge_is_taken_back_from_the_page_it_led_to(desk: Desk) -> None:
    answer = desk.client.post(
        f"/tickets/{desk.ticket.number}/merge", data={"number": desk.other.number}, headers=PARTIAL
    ).get_json()
    assert answer["url"] == f"/tickets/{desk.other.number}"
    assert answer["says"] == f"#{desk.ticket.number} was merged into #{desk.other.number}."
    assert desk.ticket.merged_into_id == desk.other.id
    undo = answer["action"]
    assert undo["kept"]["seconds"] == 600
    assert undo["kept"]["until"].startswith("Can be taken back until ")
    undone = desk.client.post(undo["post"], data=undo["fields"], headers=PARTIAL).get_json()
    assert undone["says"] == "1 ticket as before."
    assert desk.ticket.merged_into_id is None
    assert {desk.first.ticket_id, desk.second.ticket_id} == {desk.ticket.id}
