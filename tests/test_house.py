"""What holds for the whole house: schema and models agree, commands answer, nothing foreign is served."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from portal.extensions import db
from portal.models.columns import as_of, now
from portal.services import events
from tests.factory import Factory

ROOT = Path(__file__).resolve().parents[1]


def test_migrations_and_models_agree(app: Flask) -> None:
    done = app.test_cli_runner().invoke(args=["db", "check", "--directory", str(ROOT / "migrations")])
    assert done.exit_code == 0, done.output


def test_every_month_ahead_has_its_partition(make: Factory) -> None:
    assert events.ensure_partitions() == []
    make.ticket()
    with as_of(now().replace(year=2031)):
        events.record("ticket_viewed", ticket=None)
    db.session.commit()
    # What no month holds is kept all the same.
    assert db.session.scalar(text("SELECT count(*) FROM event_default")) == 1


def test_an_unknown_kind_of_event_is_a_programming_error(make: Factory) -> None:
    with pytest.raises(KeyError):
        events.record("something_happened")


def test_tickets_are_printed_as_json(app: Flask, make: Factory) -> None:
    ticket = make.ticket(customer=make.customer(address="zoe@customer.test"), subject="100% wool_socks")
    make.message(ticket, message_id_header="1@customer.test", from_address="zoe@customer.test")
    make.ticket(subject="Another matter")
    done = app.test_cli_runner().invoke(args=["tickets", "--json", "--query", "100% wool_"])
    found = json.loads(done.output)
    assert [item["subject"] for item in found] == ["100% wool_socks"]
    assert found[0]["messages"][0]["message_id"] == "1@customer.test"
    assert found[0]["customer"] == "zoe@customer.test"


def test_answering_from_the_command_line_respects_reach(app: Flask, make: Factory) -> None:
    ticket = make.ticket()
    make.agent(branch=make.branch(), username="stranger")
    runner = app.test_cli_runner()
    done = runner.invoke(args=["reply", str(ticket.number), "--as", "stranger", "--html", "<p>Hi</p>"])
    assert done.exit_code == 1
    assert "within your reach" in done.output
    done = runner.invoke(args=["reply", str(ticket.number), "--as", "nobody", "--html", "<p>Hi</p>"])
    assert "no person named" in done.output


@pytest.mark.parametrize("path", ["/queue", "/tickets/10001", "/leads/", "/admin/", "/live"])
def test_without_a_session_the_way_leads_to_the_sign_in_and_back(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 302
    assert answer.location.startswith("/login/")


def test_the_old_editor_is_not_served(client: FlaskClient) -> None:
    assert client.get("/ckeditor/static/standard/ckeditor.js").status_code == 404


def test_every_answer_is_protected(client: FlaskClient) -> None:
    headers = client.get("/login/").headers
    policy = headers["Content-Security-Policy"]
    assert "script-src 'self' 'nonce-" in policy
    assert "unsafe-eval" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_form_without_its_token_changes_nothing(app: Flask, make: Factory, login: Callable) -> None:
    ticket = make.ticket(status="open")
    client = login(make.agent(branch=ticket.branch))
    app.config["WTF_CSRF_ENABLED"] = True
    try:
        answer = client.post(f"/tickets/{ticket.number}/status", data={"status": "resolved"})
    finally:
        app.config["WTF_CSRF_ENABLED"] = False
    assert answer.status_code == 400
    assert "Nothing was changed" in answer.get_data(as_text=True)
    db.session.refresh(ticket)
    assert ticket.status == "open"


def test_a_missing_page_says_so_in_words(make: Factory, login: Callable) -> None:
    client = login(make.agent(branch=make.branch()))
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert "nothing at this address" in answer.get_data(as_text=True)
