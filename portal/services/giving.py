"""Who gets the tickets that come to branches: decided for many at once, by one worker at a time for the same people."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on

from portal import live
from portal.extensions import db
from portal.models import Agent, Branch, BranchMembership, Notification, Ticket
from portal.models.columns import now
from portal.rules import assigning, lifecycle
from portal.services import events, rows
from portal.wording import as_evidence, as_json, sentence

_NOTIFIED = "assigned"


@dataclass(frozen=True)
class Arrival:
    """A ticket that has come to a branch, and what a routing rule says of who gets it."""

    ticket: Ticket
    branch: Branch
    assignee_id: int | None = None
    strategy: str | None = None

    @property
    def how(self) -> str:
        """The strategy that holds for it."""
        return self.strategy or self.branch.assignment_strategy

    @property
    def is_left_alone(self) -> bool:
        """Whether it waits in the queue without anybody having to be looked for."""
        return self.assignee_id is None and self.how == "manual"


@dataclass(frozen=True)
class _Member:
    candidate: assigning.Candidate
    place_id: int
    is_muted: bool


def give_out(arrivals: Sequence[Arrival]) -> None:
    """Give each ticket to whom its strategy finds, with its event, inside the caller's transaction.

    The tickets are written and in the session. Branches whose people take tickets themselves cost nothing; for the
    others it is six statements at most, however many tickets. The people are locked until the commit: two workers
    never give the same turn twice, and nobody gets more than they can take.
    """
    arrivals = [each for each in arrivals if not each.is_left_alone]
    if not arrivals:
        return
    members = _locked_members({each.branch.id for each in arrivals})
    last_agents = _last_agents([each.ticket for each in arrivals if each.how == "sticky"])
    turned: dict[int, int] = {}
    notifications: list[Notification] = []
    for arrival in arrivals:
        ticket = arrival.ticket
        of_branch = members[ticket.branch_id]
        decision = assigning.assign(
            arrival.how,
            ticket.tier_level,
            [each.candidate for each in of_branch.values()],
            wanted_id=arrival.assignee_id,
            last_agent_id=last_agents.get(ticket.customer_id),
        )
        member = of_branch.get(decision.user_id or 0)
        _keep(ticket, decision, member)
        if member is not None:
            turned[member.place_id] = _take_turn(members, ticket.branch_id, member)
            if not member.is_muted:
                notifications.append(_told(ticket, member))
    rows.update_changed([each.ticket for each in arrivals])
    rows.update(BranchMembership, [{"id": place_id, "turn": turn} for place_id, turn in turned.items()])
    rows.insert(notifications)


def whom(
    branch: Branch,
    level: int,
    *,
    strategy: str | None = None,
    wanted_id: int | None = None,
    customer_id: int | None = None,
) -> assigning.Assignment:
    """Who would get a ticket of that branch and level at this moment. Reads only: nobody's turn is taken."""
    how = strategy or branch.assignment_strategy
    last = None
    if how == "sticky" and customer_id is not None:
        newest = select(Ticket.assignee_id).where(
            Ticket.customer_id == customer_id, Ticket.assignee_id.is_not(None)
        )
        last = db.session.scalar(newest.order_by(Ticket.last_activity_at.desc(), Ticket.id.desc()).limit(1))
    members = [each.candidate for each in _members({branch.id})[branch.id].values()]
    return assigning.assign(how, level, members, wanted_id=wanted_id, last_agent_id=last)


def _keep(ticket: Ticket, decision: assigning.Assignment, member: _Member | None) -> None:
    name = member.candidate.name if member else ""
    evidence = {"rule": decision.rule, **as_evidence(decision.reason), "evidence": decision.evidence}
    route = {**ticket.route, "assignment": {**evidence, "name": name}}
    if decision.warning:
        known = ticket.route.get("evidence") or {}
        route["evidence"] = {
            **known,
            "warnings": [*known.get("warnings", ()), str(decision.warning)],
            "wordings": [*known.get("wordings", ()), as_json(decision.warning)],
        }
    ticket.route = route
    if member is None:
        return
    ticket.assignee_id = member.candidate.user_id
    events.record(
        "ticket_assigned",
        ticket=ticket,
        data={"from": None, "to": ticket.assignee_id, "name": name, **evidence},
    )
    events.announce(ticket)


def _take_turn(members: Mapping[int, dict[int, _Member]], branch_id: int, member: _Member) -> int:
    """Count the ticket for the person in each of their branches, and their turn in this one; the turn."""
    user_id = member.candidate.user_id
    turn = 1 + max(each.candidate.turn for each in members[branch_id].values())
    for place, of_branch in members.items():
        here = of_branch.get(user_id)
        if here is not None:
            known = here.candidate
            counted = replace(
                known, open_count=known.open_count + 1, turn=turn if place == branch_id else known.turn
            )
            of_branch[user_id] = replace(here, candidate=counted)
    return turn


def _told(ticket: Ticket, member: _Member) -> Notification:
    words = sentence(
        "%(who)s gave you #%(number)s %(subject)s", who="Portal", number=ticket.number, subject=ticket.subject
    )
    live.after_commit("notified", user_id=member.candidate.user_id)
    return rows.new(
        Notification,
        user_id=member.candidate.user_id,
        kind=_NOTIFIED,
        text=str(words),
        wording=as_json(words),
        fact_key=f"assigned-{ticket.id}-{ticket.revision}",
        ticket_id=ticket.id,
        created_at=now(),
    )


def _locked_members(branch_ids: Collection[int]) -> dict[int, dict[int, _Member]]:
    """The active members of these branches by id, as they are once nobody else gives them anything. Two statements."""
    people = select(BranchMembership.user_id).where(BranchMembership.branch_id.in_(branch_ids))
    db.session.execute(
        select(Agent.user_id)
        .where(Agent.user_id.in_(people))
        .order_by(Agent.user_id)
        .with_for_update(key_share=True)
    )
    return _members(branch_ids)


def _members(branch_ids: Collection[int]) -> dict[int, dict[int, _Member]]:
    """The active members of these branches by id. One statement."""
    open_count = (
        select(func.count())
        .select_from(Ticket)
        .where(Ticket.assignee_id == BranchMembership.user_id, Ticket.status.in_(lifecycle.OPEN_STATUSES))
        .scalar_subquery()
    )
    found = (
        select(BranchMembership, User, Agent.availability, Agent.capacity, Agent.muted_kinds, open_count)
        .join(User, User.id == BranchMembership.user_id)
        .join(Agent, Agent.user_id == BranchMembership.user_id)
        .where(BranchMembership.branch_id.in_(branch_ids), User.active)
        .execution_options(populate_existing=True, is_unscoped=True)
    )
    members: dict[int, dict[int, _Member]] = {branch_id: {} for branch_id in branch_ids}
    for place, user, availability, capacity, muted, count in db.session.execute(found):
        candidate = assigning.Candidate(
            user.id, str(user), place.tier_level, availability == "available", capacity, count, place.turn
        )
        members[place.branch_id][user.id] = _Member(candidate, place.id, _NOTIFIED in (muted or ()))
    return members


def _last_agents(tickets: Sequence[Ticket]) -> dict[int, int]:
    """Who last had a ticket of each customer, by customer, but for these tickets. One statement, or none."""
    if not tickets:
        return {}
    found = (
        select(Ticket.customer_id, Ticket.assignee_id)
        .where(
            Ticket.customer_id.in_({ticket.customer_id for ticket in tickets}),
            Ticket.id.not_in([ticket.id for ticket in tickets]),
            Ticket.assignee_id.is_not(None),
        )
        .ext(distinct_on(Ticket.customer_id))
        .order_by(Ticket.customer_id, Ticket.last_activity_at.desc(), Ticket.id.desc())
        .execution_options(is_unscoped=True)
    )
    return {row.customer_id: row.assignee_id for row in db.session.execute(found)}
