"""Whose ticket it is."""

from collections.abc import Collection

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import select

from portal.errors import UserFault
from portal.extensions import db
from portal.models import BranchMembership, Ticket
from portal.models.columns import now
from portal.services import escalation, events, notifications, snoozing
from portal.services.transaction import transaction
from portal.wording import sentence


def assign(ticket: Ticket, assignee: User | None, actor: User | None) -> None:
    """Give the ticket to a member of its branch, or to nobody. Commits.

    Taking it oneself is a pick-up. Raises UserFault for someone who does not belong to the branch.
    """
    if ticket.assignee_id == (assignee.id if assignee else None):
        return
    if assignee is not None and not may_work_in(assignee, ticket.branch_id):
        raise UserFault(
            "%(assignee)s is not a member of %(branch)s, so the ticket stays where it is.",
            assignee=assignee,
            branch=ticket.branch,
        )
    with transaction(ticket):
        place(ticket, assignee, actor)


def pick_up(ticket: Ticket, actor: User) -> None:
    """Take the ticket oneself. Commits."""
    assign(ticket, actor, actor)


def place(ticket: Ticket, assignee: User | None, actor: User | None) -> None:
    """Set the assignee and record it, inside the caller's transaction."""
    before = ticket.assignee_id
    ticket.assignee_id = assignee.id if assignee else None
    is_pick_up = assignee is not None and actor is not None and assignee.id == actor.id
    if is_pick_up and ticket.picked_up_at is None:
        ticket.picked_up_at = now()
    events.record(
        "ticket_picked_up" if is_pick_up else "ticket_assigned",
        ticket=ticket,
        actor=actor,
        data={"from": before, "to": ticket.assignee_id, "name": str(assignee) if assignee else ""},
    )
    if is_pick_up and actor is not None:
        escalation.acknowledge_open(ticket, actor)
    if assignee is not None:
        snoozing.end(ticket, actor, "assigned")
    if assignee is not None and not is_pick_up:
        notifications.notify(
            assignee.id,
            "assigned",
            sentence(
                "%(who)s gave you #%(number)s %(subject)s",
                who=actor or "Portal",
                number=ticket.number,
                subject=ticket.subject,
            ),
            ticket=ticket,
            fact_key=f"assigned-{ticket.id}-{ticket.revision}",
        )
    events.announce(ticket)


def may_work_in(user: User, branch_id: int) -> bool:
    """Whether tickets of the branch can be given to that person."""
    found = select(BranchMembership.id).where(
        BranchMembership.user_id == user.id, BranchMembership.branch_id == branch_id
    )
    return bool(user.is_active) and (
        db.session.scalar(found) is not None or any(role.name == "Admin" for role in user.roles)
    )


def colleague(user_id: int) -> tuple[User, frozenset[int] | None] | None:
    """Someone who can have tickets, with the ids of the branches they work in (None: every one). Reads only."""
    user = db.session.get(User, user_id)
    if user is None or not user.is_active:
        return None
    if any(role.name == "Admin" for role in user.roles):
        return user, None
    places = select(BranchMembership.branch_id).where(BranchMembership.user_id == user_id)
    return user, frozenset(db.session.scalars(places))


def members_of_branches(branch_ids: Collection[int]) -> list[User]:
    """The active members of any of these branches, by name."""
    is_member = select(BranchMembership.id).where(
        BranchMembership.user_id == User.id, BranchMembership.branch_id.in_(branch_ids)
    )
    found = select(User).where(User.active, is_member.exists()).order_by(User.first_name, User.last_name)
    return list(db.session.scalars(found))


def members_of(branch_id: int) -> list[tuple[User, int]]:
    """The active members of a branch with their level, by name."""
    found = (
        select(User, BranchMembership.tier_level)
        .join(BranchMembership, BranchMembership.user_id == User.id)
        .where(BranchMembership.branch_id == branch_id, User.active)
        .order_by(User.first_name, User.last_name)
    )
    return [(user, level) for user, level in db.session.execute(found)]
