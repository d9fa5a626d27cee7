"""Followers hear of a ticket what they would have to look for, once, and only while they may see it."""

from sqlalchemy import select

from portal.extensions import db
from portal.models import BranchMembership, Notification, Ticket
from portal.models.columns import now
from portal.services import assignment, escalation, events, following, moving, replies, snoozing, tickets
from tests.factory import Factory
from tests.services.test_agent_mail import Scene, arrive, mail, scene
from tests.services.test_snoozing import AN_HOUR, told

__all__ = ["scene"]


def texts(user_id: int) -> list[str]:
    found = select(Notification.text).where(Notification.user_id == user_id, Notification.kind == "followed")
    return list(db.session.scalars(found.order_by(Notification.id)))


def write_again(message_id: str = "<2@customer.test>") -> None:
    arrive(mail("zoe@customer.test", message_id, "In-Reply-To: <first@customer.test>"))


def test_a_follower_hears_of_mail_replies_and_statuses(scene: Scene, make: Factory) -> None:
    follower_id = make.agent(branch=scene.branch).id
    following.follow(scene.ticket, db.session.get(type(scene.agent), follower_id))
    write_again()
    replies.send_reply(scene.ticket, scene.agent, "<p>Soon.</p>")
    tickets.set_status(scene.ticket, "resolved", scene.agent)
    number = scene.ticket.number
    assert texts(follower_id) == [
        f"Somebody wrote in #{number} Lamp",
        f"{scene.agent} answered #{number} Lamp",
        f"{scene.agent} set #{number} Lamp to Resolved",
    ]


def test_nobody_is_told_what_they_did_or_hear_anyway(scene: Scene) -> None:
    following.follow(scene.ticket, scene.agent)
    assignment.assign(scene.ticket, scene.agent, scene.agent)
    write_again()
    replies.send_reply(scene.ticket, scene.agent, "<p>Soon.</p>")
    tickets.set_status(scene.ticket, "resolved", scene.agent)
    assert told(scene.agent) == ["answered"]
    assignment.assign(scene.ticket, None, scene.agent)
    tickets.set_status(scene.ticket, "open", scene.agent)
    snoozing.snooze(scene.ticket, now() + AN_HOUR, scene.agent)
    write_again("<3@customer.test>")
    assert told(scene.agent) == ["answered", "woken"]


def test_who_unfollows_hears_no_more(scene: Scene) -> None:
    following.follow(scene.ticket, scene.agent)
    following.follow(scene.ticket, scene.agent)
    following.unfollow(scene.ticket, scene.agent)
    following.unfollow(scene.ticket, scene.agent)
    write_again()
    assert texts(scene.agent.id) == []
    kinds = [event.kind for event in events.of_ticket(scene.ticket.id)]
    assert [kind for kind in kinds if "follow" in kind] == ["ticket_followed", "ticket_unfollowed"]


def test_who_lost_sight_of_the_ticket_hears_nothing(scene: Scene) -> None:
    following.follow(scene.ticket, scene.agent)
    db.session.query(BranchMembership).filter_by(user_id=scene.agent_id).delete()
    db.session.commit()
    write_again()
    assert told(scene.agent) == []


def test_whoever_escalates_and_whoever_had_it_go_on_following(make: Factory) -> None:
    branch = make.branch()
    owner, actor, above = (
        make.agent(branch=branch),
        make.agent(branch=branch),
        make.agent(branch=branch, tier=2),
    )
    ticket = make.ticket(branch, status="open", assignee_id=owner.id)
    raised = escalation.escalate(ticket, actor, "Too hard")
    assert ticket.follower_ids == [owner.id, actor.id]
    assert (told(owner), told(actor), told(above)) == (["followed"], [], ["escalated"])
    escalation.hand_back(raised, above, "Ask for the slip")
    assert f"handed #{ticket.number}" in texts(actor.id)[-1]


def test_a_merge_takes_the_followers_along(make: Factory) -> None:
    branch = make.branch()
    one, two, actor = (make.agent(branch=branch) for _ in range(3))
    merged, into = make.ticket(branch, status="open"), make.ticket(branch, status="open")
    make.message(merged)
    following.follow(merged, one)
    following.follow(merged, two)
    following.follow(into, two)
    moving.merge([merged], into, actor)
    db.session.expire_all()
    assert db.session.get(Ticket, into.id).follower_ids == [two.id, one.id]
