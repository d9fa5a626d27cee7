"""Whoever is taken out of a branch is out at once: every door to its tickets, tried one by one."""

import threading
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import live as channel
from portal.extensions import db
from portal.models import Attachment, BranchMembership, Draft, Message, Notification, SavedView, Ticket, User
from portal.services import notifications
from portal.views.admin.security import reset_password
from portal.views.console import live as stream_view
from tests.console.test_live import _publish_when_heard
from tests.factory import Factory

SECRET = "Zinnober"
# Of the ticket, its messages and their files; what these take in their address is filled in.
OF_A_TICKET = ("<int(max=9223372036854775807):number>", "<int(max=9223372036854775807):message_id>")
LISTS = (
    "/queue",
    "/queue?view=all",
    f"/queue?view=all&text={SECRET}",
    "/queue?view=mine",
    "/queue?view=following",
    "/queue/list?view=all",
    "/queue/parts?view=all",
    "/queue/numbers?view=all",
    "/queue/export.csv?view=all",
    "/notifications",
    "/notifications/count",
    "/leads/",
    "/",
)


@dataclass
class Left:
    """A person who has just lost their branch, still signed in, and the ticket they had."""

    client: FlaskClient
    user: User
    ticket: Ticket
    message: Message
    file: Attachment


@pytest.fixture
def left(make: Factory, login) -> Left:
    branch, other = make.branch(name="Lost"), make.branch(name="Kept")
    user = make.agent("Lead", branch)
    make.membership(user, other)
    ticket = make.ticket(
        branch, make.customer(f"{SECRET} Customer"), subject=f"{SECRET} subject", assignee_id=user.id
    )
    ticket.follower_ids = [user.id]
    message = make.message(ticket, text=f"{SECRET} words", subject=f"{SECRET} subject")
    file = Attachment(
        message_id=message.id, name=f"{SECRET}.txt", size_bytes=1, sha256="0" * 64, public_key="left-file"
    )
    db.session.add(file)
    db.session.commit()
    client = login(user)
    assert SECRET in client.get(f"/tickets/{ticket.number}").get_data(as_text=True)
    written = {"kind": "reply", "mode": "reply", "html": f"<p>{SECRET} draft</p>"}
    assert client.post(f"/tickets/{ticket.number}/draft", data=written).status_code == 200
    notifications.notify(user.id, "assigned", f"{SECRET} is yours", fact_key="x", ticket=ticket)
    db.session.commit()
    place = db.session.scalars(
        select(BranchMembership).where(
            BranchMembership.user_id == user.id, BranchMembership.branch_id == branch.id
        )
    ).one()
    db.session.delete(place)
    db.session.commit()
    return Left(client, user, ticket, message, file)


def doors(app: Flask) -> list[tuple[str, str]]:
    """Every method and address of the application that names a ticket or a message."""
    return [
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        if any(part in rule.rule for part in OF_A_TICKET)
        for method in sorted(rule.methods & {"GET", "POST"})
    ]


def address_of(rule: str, left: Left) -> str:
    filled = rule.replace(OF_A_TICKET[0], str(left.ticket.number)).replace(
        OF_A_TICKET[1], str(left.message.id)
    )
    for place, value in (
        ("<any(reply, all, forward, note):mode>", "reply"),
        ("<int(max=9223372036854775807):escalation_id>", "1"),
        ("<int(max=2147483647):template_id>", "1"),
        ("<key>", "order"),
    ):
        filled = filled.replace(place, value)
    assert "<" not in filled, filled
    return filled


def state_of(ticket: Ticket) -> dict[str, Any]:
    db.session.refresh(ticket)
    return {column.name: getattr(ticket, column.name) for column in Ticket.__table__.columns}


def test_no_address_of_a_ticket_opens_any_more(app: Flask, left: Left) -> None:
    known = doors(app)
    assert len(known) > 40, "the addresses of tickets are found"
    before, open_doors = state_of(left.ticket), []
    for method, rule in known:
        answer = left.client.open(address_of(rule, left), method=method, data={"html": "<p>x</p>"})
        page = answer.get_data(as_text=True)
        if answer.status_code not in (403, 404) or SECRET in page:
            open_doors.append((method, rule, answer.status_code))
    assert open_doors == []
    assert state_of(left.ticket) == before


@pytest.mark.parametrize("address", LISTS)
def test_no_list_names_the_ticket_any_more(address: str, left: Left) -> None:
    answer = left.client.get(address, follow_redirects=True)
    # Figures are for leads: who leads no branch any more gets none.
    assert answer.status_code == (403 if address == "/leads/" else 200)
    page = answer.get_data(as_text=True)
    assert SECRET not in page.replace(f"text={SECRET}", "").replace(f'value="{SECRET}"', "").replace(
        f"“{SECRET}”", ""
    )
    assert str(left.ticket.number) not in page


def test_the_bell_counts_nothing_of_it(left: Left) -> None:
    assert db.session.scalars(select(Notification).where(Notification.user_id == left.user.id)).all()
    assert notifications.count_unread(left.user) == 0


def test_a_file_is_not_served_any_more(left: Left) -> None:
    answer = left.client.get(f"/files/{left.file.public_key}/{left.file.name}")
    assert answer.status_code == 404


def test_pick_up_next_does_not_bring_it_back(left: Left) -> None:
    left.ticket.assignee_id = None
    db.session.commit()
    left.client.post("/pick-up-next")
    db.session.refresh(left.ticket)
    assert left.ticket.assignee_id is None


def test_the_draft_stays_but_is_not_shown(left: Left) -> None:
    assert db.session.scalars(select(Draft).where(Draft.user_id == left.user.id)).all()


@pytest.mark.parametrize("how", ["place", "password"])
def test_an_open_stream_ends_when_the_place_is_taken(
    how: str, make: Factory, login, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Left alone it would go on, and say every second that it is there.
    monkeypatch.setattr(channel, "HEARTBEAT_SECONDS", 1)
    monkeypatch.setattr(stream_view, "SHORTEST_SECONDS", 5)
    monkeypatch.setattr(stream_view, "LONGEST_SECONDS", 6)
    branch, other = make.branch(), make.branch()
    branch_ids = (other.id, branch.id)
    agent, boss = make.agent(branch=branch), make.agent("Admin")
    place = db.session.scalars(select(BranchMembership).where(BranchMembership.user_id == agent.id)).one()
    place_id, agent_id, boss_id = place.id, agent.id, boss.id
    answer = login(agent).get("/live")
    stream = iter(answer.response)
    assert b"event: hello" in next(stream)
    # As long as nothing is taken, hints come.
    first = threading.Thread(target=_publish_when_heard, args=branch_ids)
    first.start()
    assert any(words.startswith(b"data:") for words in stream)
    first.join()

    boss = db.session.get_one(User, boss_id)
    if how == "place":
        login(boss).post(f"/admin/members/delete/{place_id}")
    else:
        reset_password(db.session.get_one(User, agent_id), "correct horse battery", boss)
    assert list(stream) == [], "the stream is over, and nothing more came"
    answer.close()


def test_a_saved_view_does_not_bring_it_back(left: Left) -> None:
    view = SavedView(name="All", owner_id=left.user.id, query={"view": "all"})
    db.session.add(view)
    db.session.commit()
    page = left.client.get(f"/queue?view=saved-{view.id}", follow_redirects=True).get_data(as_text=True)
    assert SECRET not in page
