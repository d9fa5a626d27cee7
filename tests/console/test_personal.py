"""The bell, mentions, and what a person chooses for themselves."""

import pytest
from sqlalchemy import select

from portal.extensions import db
from portal.models import Agent, BranchMembership, Notification
from portal.services import notifications, people, replies
from tests.factory import Factory


def mention(username: str) -> str:
    return f'<p>Look, <span class="mention" data-mention="@{username}">@Somebody</span></p>'


def told(user) -> list[str]:
    return list(db.session.scalars(select(Notification.text).where(Notification.user_id == user.id)))


def test_a_colleague_who_is_mentioned_is_told(make: Factory) -> None:
    branch = make.branch()
    ann, bob = make.agent(branch=branch, username="ann"), make.agent(branch=branch, username="bob")
    note = replies.add_note(make.ticket(branch, subject="Lamp"), ann, mention("bob") + mention("ann"))

    assert [text.endswith("Lamp") for text in told(bob)] == [True]
    # Nobody is told of their own words.
    assert told(ann) == []
    assert 'data-mention="@bob"' in note.html


def test_nobody_is_told_of_a_ticket_out_of_reach(make: Factory) -> None:
    branch = make.branch()
    make.agent(branch=make.branch(), username="eve")
    stranger = make.agent(branch=make.branch(), username="mallory")
    replies.add_note(make.ticket(branch), make.agent(branch=branch), mention("eve") + mention("mallory"))

    assert told(stranger) == []


def test_a_reply_mentions_nobody(make: Factory) -> None:
    branch = make.branch()
    make.account(branch)
    bob = make.agent(branch=branch, username="bob")
    replies.send_reply(make.ticket(branch), make.agent(branch=branch), mention("bob"))
    assert told(bob) == []


def test_what_is_muted_is_not_told(make: Factory) -> None:
    user = make.agent(branch=make.branch())
    people.keep_preferences(user, people.Preferences(muted_kinds=["assigned"]))
    notifications.notify(user.id, "assigned", "Muted", fact_key="a")
    notifications.notify(user.id, "escalated", "Told", fact_key="b")
    notifications.notify(user.id, "escalated", "Told twice", fact_key="b")

    assert told(user) == ["Told"]


def test_the_bell_counts_and_is_read(make: Factory, login) -> None:
    branch = make.branch()
    user = make.agent(branch=branch)
    ticket = make.ticket(branch)
    for number in range(3):
        notifications.notify(
            user.id, "assigned", f"<b>Fact {number}</b>", fact_key=str(number), ticket=ticket
        )
    db.session.commit()
    client = login(user)
    assert client.get("/notifications/count").json["count"] == 3
    page = client.get("/notifications").get_data(as_text=True)
    assert "&lt;b&gt;Fact 2&lt;/b&gt;" in page
    assert f"/tickets/{ticket.number}" in page

    one = db.session.scalar(select(Notification.id).where(Notification.fact_key == "0"))
    client.post("/notifications/read", data={"id": one})
    assert client.get("/notifications/count").json["count"] == 2
    client.post("/notifications/read")
    assert client.get("/notifications/count").json["count"] == 0


def test_the_bell_forgets_what_is_out_of_reach_now(make: Factory, login) -> None:
    branch = make.branch()
    user = make.agent(branch=branch)
    notifications.notify(user.id, "assigned", "Secret", fact_key="1", ticket=make.ticket(branch))
    db.session.execute(BranchMembership.__table__.delete().where(BranchMembership.user_id == user.id))
    db.session.commit()
    client = login(user)

    assert "Secret" not in client.get("/notifications").get_data(as_text=True)
    assert client.get("/notifications/count").json["count"] == 0


def test_nobody_reads_another_persons_bell(make: Factory, login) -> None:
    owner, other = make.agent(branch=make.branch()), make.agent(branch=make.branch())
    notifications.notify(owner.id, "assigned", "Mine", fact_key="1")
    db.session.commit()
    one = db.session.scalar(select(Notification.id))
    login(other).post("/notifications/read", data={"id": one})

    assert login(owner).get("/notifications/count").json["count"] == 1


def test_who_is_away_says_so_from_any_page_and_comes_back_to_it(make: Factory, login) -> None:
    ana = make.agent(branch=make.branch())
    client = login(ana)
    here = {"Referer": "http://localhost/queue?view=open"}
    answer = client.post("/settings/availability", data={"availability": "away"}, headers=here)
    assert (answer.status_code, answer.location) == (303, "/queue?view=open")
    assert db.session.get_one(Agent, ana.id).availability == "away"
    assert "I am back" in client.get("/queue").text
    elsewhere = {"Referer": "https://evil.test/queue"}
    answer = client.post("/settings/availability", data={"availability": "available"}, headers=elsewhere)
    assert answer.location == "/queue"
    assert client.post("/settings/availability", data={"availability": "asleep"}).status_code == 422


def test_settings_are_kept_and_shown(make: Factory, login) -> None:
    user = make.agent(branch=make.branch())
    client = login(user)
    chosen = {
        "time_zone": "Europe/Berlin", "theme": "dark", "density": "compact", "availability": "away",
        "signature": "<p>Ann</p><script>x</script>", "heard": ["assigned", "escalated"],
    }  # fmt: skip
    assert client.post("/settings", data=chosen).status_code == 303
    profile = db.session.get_one(Agent, user.id)
    assert (profile.time_zone, profile.availability) == ("Europe/Berlin", "away")
    assert profile.signature_html == "<p>Ann</p>"
    assert "mentioned" in profile.muted_kinds
    assert "assigned" not in profile.muted_kinds
    page = client.get("/settings").get_data(as_text=True)
    assert 'data-theme="dark" data-density="compact"' in page


@pytest.mark.parametrize("wrong", [{"time_zone": "Mars/Base"}, {"theme": "pink"}, {"density": "none"}])
def test_settings_that_there_are_none_of_are_refused(make: Factory, login, wrong: dict[str, str]) -> None:
    chosen = {"time_zone": "UTC", "theme": "dark", "density": "compact", "availability": "away", **wrong}
    answer = login(make.agent(branch=make.branch())).post("/settings", data=chosen)

    assert answer.status_code == 422
    assert next(iter(wrong.values())) in answer.get_data(as_text=True)
