"""What the rules say, and what is stored of it, is told to everybody in their own language."""

from datetime import timedelta

import pytest

from portal.extensions import db
from portal.models import Notification
from portal.models.columns import now
from portal.rules import lifecycle
from portal.rules.fields import Field, may_finish
from portal.services import assignment, notifications, people
from portal.wording import Sentence, as_evidence, as_json, from_json, reason_in, sentence
from tests.factory import Factory


@pytest.fixture
def desk(make: Factory, login):
    """A person who reads German, signed in, and a colleague in the same branch."""
    branch = make.branch()
    user = make.agent(branch=branch)
    people.keep_preferences(user, people.Preferences(language="de"))
    return login(user), user, make.agent(branch=branch, first_name="Ben"), branch


def page_at(client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.get_data(as_text=True)


def test_a_sentence_survives_being_stored() -> None:
    said = sentence("It is %(after)s already.", after=lifecycle.label("pending", lifecycle.Lifecycle()))
    again = from_json(as_json(said))
    assert again == said == "It is Waiting on customer already."
    assert isinstance(again, Sentence)
    assert isinstance(again.values["after"], Sentence)


def test_a_list_within_a_sentence_survives_too() -> None:
    fields = [Field(key=key, name=key, kind="text", is_required=True) for key in ("a", "b", "c")]
    said = may_finish(fields, {}, branch_id=1).reason
    assert said == "Fill in “a”, “b” and “c” first: a ticket of this branch cannot be resolved without."
    assert from_json(as_json(said)) == said


def test_places_may_be_called_as_anything_is(desk, make: Factory) -> None:
    """Why a template is suggested names `words`, as the function that translates it does."""
    client, user, _colleague, branch = desk
    make.template(name="Refund", body_text="a refund for the lamp")
    ticket = make.ticket(branch, subject="Refund for the lamp", assignee_id=user.id)
    assert "passt zu: " in page_at(client, f"/tickets/{ticket.number}/suggestions")


def test_a_reason_that_is_older_stays_as_it_was_written() -> None:
    assert reason_in({"reason": "As it was said in 2025."}) == "As it was said in 2025."
    assert as_evidence("Nothing more.") == {"reason": "Nothing more."}


def test_the_bell_speaks_german(desk, make: Factory) -> None:
    client, user, colleague, branch = desk
    ticket = make.ticket(branch, subject="Lampe", assignee_id=None)
    assignment.assign(ticket, user, colleague)
    told = db.session.query(Notification).filter_by(user_id=user.id).one()
    assert told.text == f"{colleague} gave you #{ticket.number} Lampe"
    assert f"{colleague} hat Ihnen #{ticket.number} Lampe zugewiesen" in page_at(client, "/notifications")


def test_what_the_bell_told_before_stays_readable(desk, make: Factory) -> None:
    client, user, _colleague, branch = desk
    ticket = make.ticket(branch)
    notifications.notify(user.id, "assigned", "Ann gave you this", fact_key="old", ticket=ticket)
    db.session.commit()
    assert db.session.query(Notification).filter_by(user_id=user.id).one().wording is None
    assert "Ann gave you this" in page_at(client, "/notifications")


def test_why_a_message_is_here_is_said_in_german(desk, make: Factory) -> None:
    client, user, _colleague, branch = desk
    ticket = make.ticket(branch, assignee_id=user.id)
    reason = lifecycle.status_after_customer_message(
        "closed", now() - timedelta(days=99), now(), 14, lifecycle.Lifecycle()
    ).reason
    make.message(ticket, thread_rule="follow_up", thread_evidence=as_evidence(reason))
    page = page_at(client, f"/tickets/{ticket.number}")
    assert "Es wurde vor mehr als 14 Tagen geschlossen" in page


def test_what_many_tickets_stay_as_is_told_in_german(desk, make: Factory) -> None:
    client, user, _colleague, branch = desk
    done = make.ticket(branch, status="closed", assignee_id=user.id)
    planned = client.post(
        "/queue/bulk/plan", data={"do": "status", "status": "pending", "number": done.number}
    )
    assert "Ein Ticket im Status „Geschlossen“ kann nicht zu „Wartet auf Kunde" in planned.get_data(
        as_text=True
    )
