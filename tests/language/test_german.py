"""A person who chooses Deutsch reads German, and only they do."""

import pytest

from portal.extensions import db
from portal.models import Agent
from portal.services import people
from tests.factory import Factory


@pytest.fixture
def german(make: Factory, login):
    branch = make.branch()
    user = make.agent(branch=branch)
    people.keep_preferences(user, people.Preferences(language="de"))
    return login(user), make.ticket(branch, subject="Lampe")


def page_at(client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.get_data(as_text=True)


def test_the_desk_speaks_german(german) -> None:
    client, ticket = german
    queue = page_at(client, "/queue")
    assert '<html lang="de"' in queue
    assert "Nicht zugewiesen" in queue
    assert "Unassigned" not in queue
    assert "Mir zuweisen" in page_at(client, f"/tickets/{ticket.number}")
    assert "Ihre Einstellungen" in page_at(client, "/settings")


def test_a_fault_is_told_in_german(german) -> None:
    client, _ticket = german
    answer = client.post("/settings", data={"time_zone": "Nowhere"})
    assert answer.status_code == 422
    assert "Die Zeitzone „Nowhere“ gibt es nicht." in answer.get_data(as_text=True)


def test_a_colleague_goes_on_in_english(make: Factory, login) -> None:
    client = login(make.agent(branch=make.branch()))
    assert '<html lang="en"' in client.get("/queue", headers={"Accept-Language": "de"}).get_data(as_text=True)


def test_an_unknown_language_cannot_be_chosen(make: Factory, login) -> None:
    user = make.agent(branch=make.branch())
    answer = login(user).post("/settings", data={"time_zone": "UTC", "language": "xx"})
    assert answer.status_code == 422
    profile = db.session.get(Agent, user.id)
    assert profile is None or profile.language == "en"


@pytest.mark.parametrize(
    ("accepts", "says"), [("de-AT,de;q=0.8", "Bei Portal anmelden"), ("fr", "Sign in to Portal")]
)
def test_before_signing_in_the_browser_decides(client, accepts: str, says: str) -> None:
    page = client.get("/login/", headers={"Accept-Language": accepts}).get_data(as_text=True)
    assert says in page
