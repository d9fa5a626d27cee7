"""Snoozing on the desk: the dialog, the lists it leaves, and the line that says so."""

import re
from dataclasses import dataclass
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from flask_appbuilder.security.sqla.models import User

from portal.extensions import db
from portal.models import Agent, Ticket
from portal.models.columns import now
from portal.services import events, snoozing
from tests.factory import Factory

PARTIAL = {"X-Partial": "1"}


@dataclass
class Desk:
    agent: User
    client: FlaskClient
    ticket: Ticket

    def post(self, action: str, **data: str):
        return self.client.post(f"/tickets/{self.ticket.number}/{action}", data=data, headers=PARTIAL)

    def page(self, what: str = "") -> str:
        return self.client.get(f"/tickets/{self.ticket.number}{what}").get_data(as_text=True)

    def numbers(self, view: str) -> list[int]:
        page = self.client.get("/queue", query_string={"view": view}).get_data(as_text=True)
        return [int(number) for number in re.findall(r'id="row-(\d+)"', page)]

    def count(self, label: str) -> str:
        page = self.client.get("/queue").get_data(as_text=True)
        return re.findall(rf'{label}</span>\s*<span class="shelf-count[^"]*">(\d+)', page)[0]


@pytest.fixture
def desk(make: Factory, login) -> Desk:
    branch = make.branch()
    agent = make.agent(branch=branch, tier=2)
    profile = db.session.query(Agent).filter_by(user_id=agent.id).one()
    profile.time_zone = "Asia/Tokyo"
    db.session.commit()
    return Desk(agent, login(agent), make.ticket(branch, status="open", tier_level=2))


def test_a_snoozed_ticket_leaves_the_lists_of_work_and_stands_among_the_snoozed(desk: Desk) -> None:
    desk.ticket.assignee_id = desk.agent.id
    db.session.commit()
    work = ("mine", "branch", "escalated")
    assert [desk.numbers(view) for view in work] == [[desk.ticket.number]] * 3
    assert (desk.numbers("snoozed"), desk.count("Snoozed"), desk.count("Mine")) == ([], "0", "1")
    snoozing.snooze(desk.ticket, now() + timedelta(days=1), desk.agent)
    assert [desk.numbers(view) for view in work] == [[], [], []]
    assert (desk.numbers("snoozed"), desk.count("Snoozed"), desk.count("Mine")) == (
        [desk.ticket.number],
        "1",
        "0",
    )
    assert desk.numbers("open") == [desk.ticket.number]


def test_an_unassigned_one_is_not_waiting_for_anybody_while_it_is_snoozed(desk: Desk) -> None:
    assert desk.numbers("unassigned") == [desk.ticket.number]
    snoozing.snooze(desk.ticket, now() + timedelta(days=1), desk.agent)
    assert desk.numbers("unassigned") == []


def test_a_late_ticket_stays_among_the_late_ones(desk: Desk) -> None:
    desk.ticket.is_breached = True
    desk.ticket.next_due_at, desk.ticket.next_due_kind = now() - timedelta(hours=1), "first_response"
    db.session.commit()
    snoozing.snooze(desk.ticket, now() + timedelta(days=1), desk.agent)
    assert desk.numbers("breached") == [desk.ticket.number]


def test_the_form_takes_a_time_of_the_readers_own_zone_and_can_be_undone(desk: Desk) -> None:
    day = (now() + timedelta(days=3)).date()
    answer = desk.post("snooze", until=f"{day}T09:00")
    assert answer.status_code == 200
    assert "until the customer writes" in answer.json["says"]
    db.session.refresh(desk.ticket)
    # Nine o'clock in Tokyo is midnight in London.
    assert desk.ticket.snoozed_until.isoformat() == f"{day}T00:00:00+00:00"
    assert "Snoozed until" in desk.page()
    assert "09:00 by you" in desk.page()
    undo = answer.json["action"]
    assert undo["label"] == "Undo"
    assert desk.client.post(undo["post"], headers=PARTIAL).status_code == 200
    db.session.refresh(desk.ticket)
    assert desk.ticket.snoozed_until is None
    kinds = [event.kind for event in events.of_ticket(desk.ticket.id)]
    assert [kind for kind in kinds if kind != "ticket_viewed"] == ["ticket_snoozed", "ticket_woken"]
    assert "by you, woken" in desk.page()


@pytest.mark.parametrize("until", ["", "soon", "2020-01-01T09:00", "9999-01-01T09:00", "2026-13-01T09:00"])
def test_a_moment_that_makes_no_sense_is_refused_in_words(desk: Desk, until: str) -> None:
    answer = desk.post("snooze", until=until)
    assert answer.status_code == 422
    assert re.search("Choose|year", answer.get_data(as_text=True))
    db.session.refresh(desk.ticket)
    assert desk.ticket.snoozed_until is None


def test_the_dialog_says_that_clocks_run_on_and_warns_of_what_is_due_before(desk: Desk) -> None:
    desk.ticket.next_due_at, desk.ticket.next_due_kind = now() + timedelta(hours=2.02), "first_response"
    db.session.commit()
    for headers in ({}, PARTIAL):
        asked = desk.client.get(f"/tickets/{desk.ticket.number}/snooze", headers=headers)
        dialog = asked.get_data(as_text=True)
        assert "Clocks keep running: first response is due in 2 h" in dialog
        assert dialog.count("after a clock runs out") >= 2
    day = (now() + timedelta(days=3)).date()
    assert "First response is due" in desk.post("snooze", until=f"{day}T09:00").json["says"]


def test_a_ticket_out_of_reach_can_be_neither_snoozed_nor_woken(make: Factory, login, desk: Desk) -> None:
    stranger = login(make.agent(branch=make.branch()))
    snoozing.snooze(desk.ticket, now() + timedelta(days=1), desk.agent)
    number = desk.ticket.number
    assert stranger.get(f"/tickets/{number}/snooze").status_code == 404
    assert stranger.post(f"/tickets/{number}/snooze", data={"until": "2027-01-01T09:00"}).status_code == 404
    assert stranger.post(f"/tickets/{number}/wake").status_code == 404
    auditor = login(make.agent(role="Auditor"))
    assert auditor.post(f"/tickets/{number}/wake").status_code == 403
    page = auditor.get(f"/tickets/{number}").get_data(as_text=True)
    assert "Snoozed until" in page
    assert "Wake now" not in page
    db.session.refresh(desk.ticket)
    assert desk.ticket.snoozed_until is not None


def test_a_page_without_scripts_goes_back_to_the_ticket(desk: Desk) -> None:
    day = (now() + timedelta(days=3)).date()
    answer = desk.client.post(f"/tickets/{desk.ticket.number}/snooze", data={"until": f"{day}T09:00"})
    assert (answer.status_code, answer.location) == (303, f"/tickets/{desk.ticket.number}")


def test_a_reply_is_sent_and_the_ticket_snoozed_in_one_go(desk: Desk, make: Factory) -> None:
    make.account(desk.ticket.branch)
    page = desk.page()
    assert "Send now, and snooze the ticket" in page
    until = re.findall(r'name="snooze_until" value="([^"]+)"', page)[-1]
    answer = desk.post("reply", html="Soon.", to="zoe@customer.test", snooze_until=until)
    assert answer.status_code == 200
    assert "Snoozed until" in answer.json["says"]
    db.session.refresh(desk.ticket)
    assert desk.ticket.snoozed_until is not None
    assert desk.ticket.is_last_message_ours


def test_a_reply_with_a_moment_that_makes_no_sense_is_not_sent(desk: Desk, make: Factory) -> None:
    make.account(desk.ticket.branch)
    answer = desk.post("reply", html="Soon.", to="zoe@customer.test", snooze_until="soon")
    assert answer.status_code == 422
    assert "Your text is still here" in answer.get_data(as_text=True)
    db.session.refresh(desk.ticket)
    assert desk.ticket.message_count == 0


def test_a_reply_goes_out_also_where_the_ticket_cannot_be_snoozed(desk: Desk, make: Factory) -> None:
    make.account(desk.ticket.branch)
    answer = desk.post(
        "reply", html="Done.", to="zoe@customer.test", then="resolved", snooze_until="2020-01-01T09:00"
    )
    assert "Sent to zoe@customer.test. The ticket was not snoozed." in answer.json["says"]
    db.session.refresh(desk.ticket)
    assert (desk.ticket.status, desk.ticket.message_count) == ("resolved", 1)


def test_send_anyway_still_does_what_the_first_button_said(desk: Desk, make: Factory) -> None:
    make.account(desk.ticket.branch)
    answer = desk.post(
        "reply", html="See the attached file.", to="zoe@customer.test", snooze_until="2030-01-01T09:00"
    )
    assert answer.status_code == 422
    refusal = answer.get_data(as_text=True)
    assert 'name="snooze_until" value="2030-01-01T09:00"' in refusal
