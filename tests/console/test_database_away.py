"""While the database is away, everybody is told so: also those whose page would ask it who they are."""

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine

from portal.extensions import db
from tests.journey.conftest import free_port


@pytest.fixture
def take_database_away(database: None) -> Iterator:
    there = db.engines[None]

    def take_away() -> None:
        db.session.remove()
        db.engines[None] = create_engine(f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none")

    yield take_away
    db.session.remove()
    db.engines[None] = there


@pytest.mark.parametrize("path", ["/queue", "/leads/", "/admin/"])
def test_a_page_says_so_to_someone_who_is_signed_in(make, login, take_database_away, path):
    client = login(make.agent(role="Admin"))
    take_database_away()
    answer = client.get(path)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "The database does not answer at the moment" in answer.text


def test_a_script_is_told_in_a_piece_of_a_page(make, login, take_database_away):
    client = login(make.agent(role="Admin"))
    take_database_away()
    answer = client.get("/queue", headers={"X-Partial": "1"})
    assert answer.status_code == 503
    assert "<html" not in answer.text
