"""Following on the desk: the eye in the head, the list, and who else does."""

from portal.extensions import db
from portal.models import BranchMembership
from portal.services import following
from tests.console.test_queue import numbers_in
from tests.factory import Factory

PARTIAL = {"X-Partial": "1"}


def test_a_ticket_is_followed_shown_and_left_again(make: Factory, login) -> None:
    branch = make.branch()
    agent, colleague = make.agent(branch=branch), make.agent(branch=branch, first_name="Bo")
    ticket, other = make.ticket(branch, status="open"), make.ticket(branch, status="open")
    client = login(agent)
    page = client.get(f"/tickets/{ticket.number}").get_data(as_text=True)
    assert 'aria-pressed="false"' in page
    assert "Followed by" not in page
    assert client.post(f"/tickets/{ticket.number}/follow", headers=PARTIAL).status_code == 200
    following.follow(ticket, colleague)
    page = client.get(f"/tickets/{ticket.number}").get_data(as_text=True)
    assert 'aria-pressed="true"' in page
    assert f"<dt>Followed by</dt><dd>{agent}, {colleague}</dd>" in page
    listed = client.get("/queue?view=following").get_data(as_text=True)
    assert numbers_in(listed) == [ticket.number]
    assert other.number not in numbers_in(listed)
    client.post(f"/tickets/{ticket.number}/unfollow", headers=PARTIAL)
    assert numbers_in(client.get("/queue?view=following").get_data(as_text=True)) == []


def test_only_who_may_still_see_it_is_named(make: Factory, login) -> None:
    branch = make.branch()
    agent, gone = make.agent(branch=branch), make.agent(branch=branch, first_name="Bo")
    ticket = make.ticket(branch, status="open")
    following.follow(ticket, gone)
    db.session.query(BranchMembership).filter_by(user_id=gone.id).delete()
    db.session.commit()
    assert str(gone) not in login(agent).get(f"/tickets/{ticket.number}").get_data(as_text=True)


def test_a_place_in_another_branch_of_the_reader_does_not_count(make: Factory, login) -> None:
    here, there = make.branch(), make.branch()
    reader = make.agent(branch=here)
    make.membership(reader, there)
    gone = make.agent(branch=there, first_name="Gone")
    ticket = make.ticket(here, follower_ids=[reader.id, gone.id])
    make.ticket(there)
    page = login(reader).get(f"/tickets/{ticket.number}").get_data(as_text=True)
    assert f"<dt>Followed by</dt><dd>{reader}</dd>" in page


def test_a_ticket_out_of_reach_cannot_be_followed_nor_seen_by_who_did(make: Factory, login) -> None:
    branch = make.branch()
    stranger, ticket = make.agent(branch=make.branch()), make.ticket(branch, status="open")
    client = login(stranger)
    assert client.post(f"/tickets/{ticket.number}/follow").status_code == 404
    assert client.post(f"/tickets/{ticket.number}/unfollow").status_code == 404
    ticket.follower_ids = [stranger.id]
    db.session.commit()
    assert numbers_in(client.get("/queue?view=following").get_data(as_text=True)) == []
    assert login(make.agent(role="Auditor")).post(f"/tickets/{ticket.number}/follow").status_code == 403
