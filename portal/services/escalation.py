"""The handing of tickets between tiers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import or_, select

from portal.errors import Conflict, UserFault
from portal.extensions import db
from portal.models import Agent, BranchMembership, Escalation, EscalationTier, Ticket
from portal.models.columns import now
from portal.rules import escalation as rules
from portal.rules import lifecycle as life_rules
from portal.rules.lifecycle import OPEN_STATUSES
from portal.services import alerts, events, following, lifecycle, notifications, rows, sla, snoozing
from portal.services.transaction import transaction
from portal.wording import as_evidence, sentence


def escalate(ticket: Ticket, actor: User, reason: str, to_level: int | None = None) -> Escalation:
    """Hand the ticket to a higher tier by hand. Commits. Raises UserFault without a reason or a tier to go to."""
    with transaction(ticket):
        decision = rules.decide_escalation(
            facts_of(ticket), rules.Trigger("manual", reason=reason, to_level=to_level)
        )
        if decision.to_level is None:
            raise UserFault(decision.reason)
        return perform(ticket, decision, trigger="manual", actor=actor)


def acknowledge(escalation: Escalation, actor: User) -> None:
    """Say that someone of the higher tier has it in hand. Commits; saying it twice changes nothing."""
    ticket = _ticket_of(escalation)
    with transaction(ticket, escalation):
        if escalation.ended_at is not None:
            raise UserFault("This escalation has ended already.")
        if escalation.acknowledged_at is not None:
            return
        note_acknowledged(ticket, escalation, actor)
        events.announce(ticket)


def hand_back(escalation: Escalation, actor: User, note: str) -> None:
    """Return the ticket to the tier it came from, with a note that says what to do. Commits."""
    if not note.strip():
        raise UserFault("Write a note for the tier that gets the ticket back.")
    ticket = _ticket_of(escalation)
    with transaction(ticket, escalation):
        if escalation.ended_at is not None:
            raise UserFault("This escalation has ended already.")
        return_to_sender(escalation, ticket, actor, note=note.strip())


def return_to_sender(escalation: Escalation, ticket: Ticket, actor: User, *, note: str) -> None:
    """End the escalation; the ticket goes to the level it came from. Inside the caller's transaction."""
    _end(escalation, actor, how="handed_back", note=note)
    ticket.tier_level, ticket.assignee_id = escalation.from_level, None
    _wait_again(ticket)
    events.record(
        "escalation_handed_back",
        ticket=ticket,
        actor=actor,
        data={"escalation": escalation.id, "to_level": escalation.from_level, "note": note},
    )
    snoozing.end(ticket, actor, "handed_back")
    following.tell(
        ticket,
        sentence(
            "%(who)s handed #%(number)s %(subject)s back: %(note)s",
            who=actor,
            number=ticket.number,
            subject=ticket.subject,
            note=note,
        ),
        fact_key=f"followed-back-{escalation.id}",
        but=[actor.id],
    )
    events.announce(ticket)


@dataclass(frozen=True)
class Ladder:
    """The tiers of a branch by level, and who works at each: names in the order of being on call.

    `on_call` are those who have a place in that order, `lead_ids` whoever leads the branch.
    """

    tiers: list[EscalationTier]
    names: dict[int, list[str]] = field(default_factory=dict)
    member_ids: dict[int, list[int]] = field(default_factory=dict)
    on_call: dict[int, list[rules.OnCall]] = field(default_factory=dict)
    lead_ids: list[int] = field(default_factory=list)

    def tier(self, level: int) -> EscalationTier:
        """The tier of that level. Raises StopIteration where there is none."""
        return next(tier for tier in self.tiers if tier.level == level)


def ladders_of(branch_ids: Collection[int]) -> dict[int, Ladder]:
    """The ladders of these branches: a branch's own tiers, or those of every branch where it has none. Reads only."""
    found = select(EscalationTier).where(
        or_(EscalationTier.branch_id.in_(branch_ids), EscalationTier.branch_id.is_(None))
    )
    tiers = list(db.session.scalars(found.order_by(EscalationTier.level)))
    common = [tier for tier in tiers if tier.branch_id is None]
    ladders = {}
    for branch_id in branch_ids:
        own = [tier for tier in tiers if tier.branch_id == branch_id]
        ladders[branch_id] = Ladder(own or common)
    people = (
        select(
            BranchMembership.branch_id,
            BranchMembership.tier_level,
            BranchMembership.user_id,
            BranchMembership.on_call_order,
            BranchMembership.is_lead,
            User.first_name,
            User.last_name,
            User.active,
            Agent.availability,
        )
        .join(User, User.id == BranchMembership.user_id)
        .outerjoin(Agent, Agent.user_id == User.id)
        .where(BranchMembership.branch_id.in_(branch_ids))
        .order_by(BranchMembership.on_call_order.nulls_last(), User.first_name, User.id)
    )
    for person in db.session.execute(people):
        ladder, level = ladders[person.branch_id], person.tier_level
        ladder.member_ids.setdefault(level, []).append(person.user_id)
        if not person.active:
            continue
        name = f"{person.first_name} {person.last_name}".strip()
        ladder.names.setdefault(level, []).append(name)
        if person.on_call_order is not None:
            turn = rules.OnCall(person.user_id, name, is_away=person.availability == "away")
            ladder.on_call.setdefault(level, []).append(turn)
        if person.is_lead:
            ladder.lead_ids.append(person.user_id)
    return ladders


def perform(
    ticket: Ticket,
    decision: rules.EscalationDecision,
    *,
    trigger: str,
    actor: User | None,
    ladder: Ladder | None = None,
    rule_id: int | None = None,
) -> Escalation:
    """Write what was decided, inside the caller's transaction: the object, the level, the event, the notifications."""
    assert decision.to_level is not None, "only a decision that escalates is performed"
    at = now()
    ladder = ladder or ladders_of([ticket.branch_id])[ticket.branch_id]
    tier = ladder.tier(decision.to_level)
    first = rules.first_on_call(tier_rule(tier, ladder))
    escalation = Escalation(
        id=rows.reserve_ids(Escalation, 1)[0],
        ticket_id=ticket.id,
        branch_id=ticket.branch_id,
        from_level=ticket.tier_level,
        to_level=decision.to_level,
        trigger=trigger,
        rule_id=rule_id,
        reason=decision.reason,
        created_by_id=actor.id if actor else None,
        created_at=at,
        acknowledge_by=at + timedelta(minutes=tier.acknowledge_within_minutes),
        told_ids=[first.user_id] if first else [],
        step_count=0,
    )
    db.session.add(escalation)
    # Whoever hands it up stays in the picture, and so does whoever had it.
    following.keep(ticket, [ticket.assignee_id, actor.id if actor else None])
    ticket.tier_level, ticket.assignee_id = decision.to_level, None
    events.record(
        "ticket_escalated",
        ticket=ticket,
        actor=actor,
        occurred_at=at,
        data={
            "escalation": escalation.id,
            "from_level": escalation.from_level,
            "to_level": escalation.to_level,
            "to_name": tier.name,
            "trigger": trigger,
            **as_evidence(decision.reason),
            "on_call": first.name if first else "",
            "evidence": decision.evidence,
        },
    )
    snoozing.end(ticket, actor, "escalated")
    members = ladder.member_ids.get(decision.to_level, ())
    says = sentence(
        "#%(number)s %(subject)s came to %(tier)s: %(reason)s",
        number=ticket.number,
        subject=ticket.subject,
        tier=tier.name,
        reason=decision.reason,
    )
    notifications.notify_all(
        members, "escalated", says, ticket=ticket, fact_key=f"escalation-{escalation.id}"
    )
    alerts.owe(
        ticket,
        tier,
        says,
        fact_key=f"escalation-{escalation.id}",
        user_ids=members,
        on_call_ids=escalation.told_ids,
    )
    if not ladder.names.get(decision.to_level):
        tell_leads(
            ticket,
            ladder,
            sentence("%(says)s Nobody works at %(tier)s, so please see to it.", says=says, tier=tier.name),
            fact_key=f"escalation-nobody-{escalation.id}",
        )
        if not members:
            leads = ladder.lead_ids
            nobody = f"escalation-nobody-{escalation.id}"
            alerts.owe(ticket, tier, says, fact_key=nobody, user_ids=leads, to_targets=False)
    following.tell(
        ticket,
        says,
        fact_key=f"followed-escalation-{escalation.id}",
        but=[*members, actor.id if actor else None],
    )
    events.announce(ticket)
    return escalation


def tell_leads(
    ticket: Ticket, ladder: Ladder, text: str, *, fact_key: str, tier: EscalationTier | None = None
) -> None:
    """Tell whoever leads the ticket's branch, or the admins where nobody does. Does not commit.

    With a `tier`, what is owed outside of the desk is owed too: it is the last that happens by itself.
    """
    told = ladder.lead_ids or notifications.admin_ids()
    notifications.notify_all(told, "unacknowledged", text, ticket=ticket, fact_key=fact_key)
    if tier is not None:
        alerts.owe(ticket, tier, text, fact_key=fact_key, user_ids=told)


def note_acknowledged(ticket: Ticket, escalation: Escalation, actor: User) -> None:
    """Record who has it in hand, inside the caller's transaction."""
    escalation.acknowledged_at, escalation.acknowledged_by_id = now(), actor.id
    events.record(
        "escalation_acknowledged",
        ticket=ticket,
        actor=actor,
        data={"escalation": escalation.id, "level": escalation.to_level},
    )


def acknowledge_open(ticket: Ticket, actor: User) -> None:
    """Whoever takes up the ticket at the tier where it is acknowledges its escalation. Does not commit."""
    if ticket.tier_level == 1:
        return
    for escalation in open_escalations(ticket.id):
        if _is_waiting(escalation, ticket):
            note_acknowledged(ticket, escalation, actor)


def end_all(ticket: Ticket, actor: User | None, *, how: str) -> None:
    """End every open escalation of the ticket, inside the caller's transaction."""
    for escalation in open_escalations(ticket.id):
        _end(escalation, actor, how=how)


def reopen(ticket: Ticket, *, since: datetime, how: str) -> None:
    """Take back the ending of what ended so since then, inside the caller's transaction."""
    ended = select(Escalation).where(
        Escalation.ticket_id == ticket.id, Escalation.ended_how == how, Escalation.ended_at >= since
    )
    for escalation in db.session.scalars(ended):
        escalation.ended_at, escalation.ended_by_id, escalation.ended_how = None, None, ""


def take_back(escalation: Escalation, ticket: Ticket, actor: User) -> None:
    """Undo an escalation that nobody has taken up yet, inside the caller's transaction. Raises Conflict otherwise."""
    if escalation.ended_at is not None or escalation.acknowledged_at is not None:
        raise Conflict("The tier it went to has taken it up.")
    return_to_sender(escalation, ticket, actor, note="Taken back")


def open_escalations(ticket_id: int) -> list[Escalation]:
    """The escalations of the ticket that have not ended, newest first."""
    found = select(Escalation).where(Escalation.ticket_id == ticket_id, Escalation.ended_at.is_(None))
    return list(db.session.scalars(found.order_by(Escalation.id.desc())))


def path_of(ticket: Ticket) -> tuple[rules.PathStep, ...]:
    """The tiers of the ticket's branch, with when it goes to the next one by itself. Reads only."""
    return rules.escalation_path(facts_of(ticket), sla.compute(ticket, now()))


def open_among(tickets: Collection[Ticket]) -> dict[int, list[Escalation]]:
    """The escalations of these tickets that have not ended, by ticket. Reads only."""
    found: dict[int, list[Escalation]] = {ticket.id: [] for ticket in tickets}
    still_open = select(Escalation).where(Escalation.ticket_id.in_(found), Escalation.ended_at.is_(None))
    for escalation in db.session.scalars(still_open):
        found[escalation.ticket_id].append(escalation)
    return found


def facts_of(
    ticket: Ticket, still_open: Sequence[Escalation] | None = None, ladder: Ladder | None = None
) -> rules.EscalationFacts:
    """Where the ticket stands, as the rules ask it. Reads only.

    `still_open` are its open escalations, `ladder` the tiers of its branch, where they are known.
    """
    still_open = open_escalations(ticket.id) if still_open is None else still_open
    ladder = ladder or ladders_of([ticket.branch_id])[ticket.branch_id]
    return rules.EscalationFacts(
        status=ticket.status,
        tier_level=ticket.tier_level,
        tiers=tuple(tier_rule(tier, ladder) for tier in ladder.tiers),
        open_levels=frozenset(escalation.to_level for escalation in still_open),
        waiting=next((_waiting(one) for one in still_open if _is_waiting(one, ticket)), None),
        status_label=""
        if ticket.status in OPEN_STATUSES
        else life_rules.label(ticket.status, lifecycle.current()),
    )


def tier_rule(tier: EscalationTier, ladder: Ladder) -> rules.Tier:
    """The tier with its people, as the rules know it."""
    return rules.Tier(
        level=tier.level,
        name=tier.name,
        escalate_at_percent=tier.escalate_at_percent,
        acknowledge_within_minutes=tier.acknowledge_within_minutes,
        members=tuple(ladder.names.get(tier.level, ())),
        on_unacknowledged=tier.on_unacknowledged,
        on_call=tuple(ladder.on_call.get(tier.level, ())),
    )


def _is_waiting(escalation: Escalation, ticket: Ticket) -> bool:
    return escalation.acknowledged_at is None and escalation.to_level == ticket.tier_level


def _waiting(escalation: Escalation) -> rules.Waiting:
    return rules.Waiting(
        to_level=escalation.to_level,
        since=escalation.stepped_at or escalation.created_at,
        acknowledge_by=escalation.acknowledge_by,
        told_ids=tuple(escalation.told_ids),
    )


def _wait_again(ticket: Ticket) -> None:
    """One that came back to a level which has never acknowledged it waits there anew, from the first on call."""
    waiting = [each for each in open_escalations(ticket.id) if _is_waiting(each, ticket)]
    if not waiting:
        return
    ladder = ladders_of([ticket.branch_id])[ticket.branch_id]
    for escalation in waiting:
        tier = ladder.tier(escalation.to_level)
        first = rules.first_on_call(tier_rule(tier, ladder))
        escalation.acknowledge_by = now() + timedelta(minutes=tier.acknowledge_within_minutes)
        escalation.told_ids, escalation.stepped_at = [first.user_id] if first else [], now()


def _ticket_of(escalation: Escalation) -> Ticket:
    ticket = db.session.get(Ticket, escalation.ticket_id)
    assert ticket is not None, "an escalation's ticket is kept by its foreign key"
    return ticket


def _end(escalation: Escalation, actor: User | None, *, how: str, note: str = "") -> None:
    escalation.ended_at = now()
    escalation.ended_by_id = actor.id if actor else None
    escalation.ended_how, escalation.note = how, note
