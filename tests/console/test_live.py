"""Live hints and presence: told within reach, forgotten by themselves."""

import threading

import pytest

from portal import live as channel
from portal.extensions import db
from portal.live import Sign
from portal.redis_handle import redis_handle
from portal.views.console import presence
from portal.views.console.live import is_for
from tests.factory import Factory

CHANGED = {"kind": "ticket_changed", "ticket_id": 1, "branch_id": 5}


@pytest.mark.parametrize(
    ("hint", "branches", "is_told"),
    [
        (CHANGED, frozenset({5}), True),
        (CHANGED, None, True),
        (CHANGED, frozenset({6}), False),
        (CHANGED, frozenset(), False),
        ({"kind": "notified", "user_id": 1}, frozenset(), True),
        ({"kind": "notified", "user_id": 2}, None, False),
        ({"kind": "presence", "user_id": 2, "branch_id": 5}, frozenset({5}), True),
        ({"kind": "presence", "user_id": 1, "branch_id": 5}, frozenset({5}), False),
        ({"kind": "unheard_of", "branch_id": 5}, frozenset({5}), False),
        ({"kind": "ticket_changed"}, frozenset({5}), False),
    ],
)
def test_a_hint_reaches_those_within_reach(hint: dict, branches: frozenset | None, is_told: bool) -> None:
    assert is_for(hint, 1, branches) is is_told


def test_the_stream_tells_of_a_change_and_of_no_foreign_one(make: Factory, login) -> None:
    branch, foreign = make.branch(), make.branch()
    agent, branch_ids = make.agent(branch=branch), (foreign.id, branch.id)
    answer = login(agent).get("/live")
    assert answer.mimetype == "text/event-stream"
    stream = iter(answer.response)
    assert b"event: hello" in next(stream)
    first = threading.Thread(target=_publish_when_heard, args=branch_ids)
    first.start()
    told = next(words for words in stream if words.startswith(b"data:"))
    first.join()
    answer.close()
    assert f'"branch_id": {branch_ids[1]}'.encode() in told


def _publish_when_heard(*branch_ids: int) -> None:
    """Publish as soon as somebody listens: what is published before is nobody's."""
    heard = threading.Event()
    while not redis_handle.client.pubsub_numsub(channel.CHANNEL)[0][1]:
        heard.wait(0.01)
    for branch_id in branch_ids:
        channel.publish("ticket_changed", ticket_id=1, number=10001, branch_id=branch_id)


def test_presence_is_told_shown_and_forgotten(make: Factory, login) -> None:
    branch = make.branch()
    ana, tom = make.agent(branch=branch, first_name="Ana"), make.agent(branch=branch, first_name="Tom")
    ticket = make.ticket(branch)
    assert login(ana).post(f"/tickets/{ticket.number}/presence", data={"state": "typing"}).status_code == 204
    here = presence.of_tickets([ticket.id])[ticket.id]
    assert [(person.user_id, person.is_typing) for person in here] == [(ana.id, True)]
    assert 0 < redis_handle.client.ttl(f"portal:presence:{ticket.id}") <= presence.KEPT_SECONDS
    assert "Ana is writing" in login(tom).get(f"/tickets/{ticket.number}").get_data(as_text=True)
    assert "Ana is writing" not in login(ana).get(f"/tickets/{ticket.number}").get_data(as_text=True)
    login(ana).post(f"/tickets/{ticket.number}/presence", data={"state": "left"})
    assert presence.of_tickets([ticket.id]) == {}


def test_the_stream_holds_no_database_connection(make: Factory, login) -> None:
    agent = make.agent(branch=make.branch())
    assert agent in db.session
    answer = login(agent).get("/live")
    assert list(db.session) == []
    assert not db.session().in_transaction()
    answer.close()


def test_all_streams_of_a_process_share_one_subscription(make: Factory, login) -> None:
    branch = make.branch()
    branch_id, agents = branch.id, [make.agent(branch=branch) for _ in range(3)]
    clients = [login(agent) for agent in agents]
    answers = [client.get("/live") for client in clients]
    streams = [iter(answer.response) for answer in answers]
    assert all(b"event: hello" in next(stream) for stream in streams)

    assert dict(redis_handle.client.pubsub_numsub(channel.CHANNEL))[channel.CHANNEL.encode()] == 1
    channel.publish("ticket_changed", ticket_id=1, number=10001, branch_id=branch_id)
    assert all(b'"number": 10001' in next(stream) for stream in streams)
    for answer in answers:
        answer.close()


def test_listeners_hear_that_redis_went_away_and_that_it_is_back(database: None) -> None:
    heard = channel.listen(lambda _facts: True)
    assert next(heard) is Sign.HERE
    redis_handle.client.client_kill_filter(_type="pubsub")
    assert next(heard) is Sign.AWAY
    assert next(heard) is Sign.HERE
    channel.publish("notified", user_id=1)
    assert next(heard).facts == {"kind": "notified", "user_id": 1}
    heard.close()


def test_a_listener_that_reads_no_more_is_let_go_and_the_others_hear_on(database: None) -> None:
    idle, awake = channel.listen(lambda _facts: True), channel.listen(lambda _facts: True)
    assert (next(idle), next(awake)) == (Sign.HERE, Sign.HERE)
    for number in range(channel.MOST_WAITING + 3):
        channel.publish("notified", user_id=number)
        assert next(awake).facts["user_id"] == number
    assert [hint.facts["user_id"] for hint in idle] == list(range(channel.MOST_WAITING))
    awake.close()
