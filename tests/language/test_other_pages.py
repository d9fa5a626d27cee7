"""Pages outside the desk: signing in, one's password, what is not there and what nobody may see."""

import pytest
from flask_babel import get_domain

from tests.factory import Factory
from tests.language.test_pages import OPEN, Marked, unmarked


@pytest.fixture
def marked(make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A language whose every word stands in brackets."""
    monkeypatch.setattr(get_domain(), "get_translations", Marked)


def bare_words(answer) -> list[str]:
    page = answer.get_data(as_text=True)
    assert OPEN in page
    return unmarked(page)


@pytest.mark.usefixtures("marked")
def test_signing_in_is_translated(client) -> None:
    assert bare_words(client.get("/login/")) == []
    wrong = {"username": "nobody", "password": "wrong"}
    assert bare_words(client.post("/login/", data=wrong, follow_redirects=True)) == []


@pytest.mark.usefixtures("marked")
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 404),
        ("/tickets/999999", 404),
        ("/admin/branches/list/", 403),
        ("/resetmypassword/form", 200),
    ],
)
def test_what_a_person_meets_besides_is_translated(path: str, status: int, make: Factory, login) -> None:
    client = login(make.agent("Agent", make.branch(name="Datum"), first_name="Datum", username="datum"))
    answer = client.get(path)
    if answer.status_code == 302:
        answer = client.get(path, follow_redirects=True)
    else:
        assert answer.status_code == status
    assert bare_words(answer) == []
