"""What happens to a ticket as a whole."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.dialects.postgresql import insert

from portal import access
from portal.errors import Conflict, NotFound, UserFault
from portal.extensions import db
from portal.models import Branch, Customer, SlaPolicy, Tag, Ticket
from portal.models.branch import PRIORITIES
from portal.models.columns import now
from portal.models.ticket import DUE_ORDER
from portal.rules import fields as field_rules
from portal.rules import lifecycle
from portal.rules import triggers as trigger_rules
from portal.services import assignment, escalation, events, fields, following, giving, sla, snoozing, triggers
from portal.services import lifecycle as living
from portal.services import policies as measuring
from portal.services.transaction import transaction

CLOSE_BATCH = 500
LONGEST_TAG = 64
# Changes of status that finish nothing: what goes into another ticket, and what goes back to how it was.
NOT_FINISHING = ("merged", "taken_back")
FINISHED = ("resolved", "closed")


def open_ticket(
    *,
    subject: str,
    branch: Branch,
    customer: Customer,
    channel_kind: str = "email",
    account_id: int | None = None,
    route: dict[str, Any] | None = None,
    tier_level: int = 1,
    priority: str | None = None,
    ticket_type: str | None = None,
    policy_id: int | None = None,
    tags: Iterable[str] = (),
    follows_id: int | None = None,
    language: str = "",
    opened_at: datetime | None = None,
    ticket_id: int | None = None,
    policies: Sequence[SlaPolicy] | None = None,
) -> Ticket:
    """A new ticket with its opening event, inside the caller's transaction: whoever opens one has words to add.

    `opened_at` (default: now) is when the customer's words reached us: from then on the clocks run. With a
    `ticket_id` that was reserved for it, the row is the caller's to write. `policies`: see policies.choice_for.
    """
    opened_at = opened_at or now()
    ticket = Ticket(
        id=ticket_id,
        subject=subject,
        branch_id=branch.id,
        customer_id=customer.id,
        channel_kind=channel_kind,
        account_id=account_id,
        route=route or {},
        tier_level=tier_level,
        priority=priority or branch.default_priority,
        type=ticket_type or "question",
        follows_id=follows_id,
        language=language,
        created_at=opened_at,
        status="new",
        message_count=0,
        reopened_count=0,
        follower_ids=[],
        fields={},
        revision=0,
    )
    measuring.place(ticket, branch, customer, policy_id, policies)
    if ticket_id is None:
        db.session.add(ticket)
        db.session.flush()
    if tags:
        ticket.tags = tags_named(tags)
    events.record(
        "ticket_opened",
        ticket=ticket,
        actor_kind="customer",
        occurred_at=opened_at,
        data={"priority": ticket.priority, "route": ticket.route.get("rule", ""), "follows": follows_id},
    )
    return ticket


def set_status(
    ticket: Ticket, status: str, actor: User | None, *, resolution_code_id: int | None = None
) -> None:
    """Move the ticket to a status, with the code of how it ended where it ends. Commits.

    Raises UserFault where the life of a ticket has no such step, or lacks what resolving it needs.
    """
    life = living.current()
    with transaction(ticket):
        check_not_merged(ticket)
        decision = lifecycle.check_transition(ticket.status, status, life)
        if not decision.allowed:
            raise UserFault(decision.reason)
        if status == ticket.status:
            return
        change_status(ticket, status, actor, rule=decision.rule, resolution_code_id=resolution_code_id)
        following.tell(
            ticket,
            f"{actor or 'Portal'} set #{ticket.number} {ticket.subject} to {lifecycle.label(status, life)}",
            fact_key=f"followed-status-{ticket.id}-{ticket.revision}",
            but=[actor.id if actor else None],
        )
        sla.refresh(ticket)
        events.announce(ticket)


def change_status(
    ticket: Ticket,
    status: str,
    actor: User | None,
    *,
    rule: str,
    actor_kind: str | None = None,
    resolution_code_id: int | None = None,
) -> None:
    """Set the status with its times and event, inside the caller's transaction; clocks are the caller's to refresh.

    Raises UserFault where a person finishes a ticket whose required fields are empty, or without the resolution code
    that its branch asks for.
    """
    before = ticket.status
    if before == status:
        return
    if actor is not None and rule not in NOT_FINISHING and lifecycle.is_finishing(before, status):
        fields.check_may_finish(ticket)
    code = _code_for(ticket, status, actor, rule, resolution_code_id)
    had_code_id = ticket.resolution_code_id
    ticket.status = status
    at = now()
    if status == "resolved":
        ticket.resolved_at = at
        escalation.end_all(ticket, actor, how="resolved")
    elif status == "closed":
        ticket.closed_at = at
        ticket.resolved_at = ticket.resolved_at or at
        escalation.end_all(ticket, actor, how="resolved")
    elif before in ("resolved", "closed") and status in lifecycle.OPEN_STATUSES:
        ticket.resolved_at = ticket.closed_at = None
        ticket.reopened_count += 1
    if status in lifecycle.OPEN_STATUSES:
        ticket.resolution_code_id = None
    elif code is not None:
        ticket.resolution_code_id = code.id
    events.record(
        "status_changed",
        ticket=ticket,
        actor=actor,
        actor_kind=actor_kind,
        occurred_at=at,
        data={"from": before, "to": status, "rule": rule, **_code_facts(ticket, code, had_code_id)},
    )
    is_reopened = before in FINISHED and status in lifecycle.OPEN_STATUSES
    # What a customer's mail opens again is judged together with all that the mail brings.
    if is_reopened and actor is not None and rule not in NOT_FINISHING:
        triggers.after_change(ticket, trigger_rules.Change(reopened_count=ticket.reopened_count))
    if status not in lifecycle.OPEN_STATUSES:
        snoozing.end(ticket, actor, "finished", actor_kind=actor_kind)


def check_code(ticket: Ticket, status: str, code_id: int | None) -> None:
    """Raise UserFault where a person could not set that status with that resolution code (None: without one)."""
    decision = lifecycle.check_resolution(
        living.current(),
        is_required=ticket.branch.requires_code,
        before=ticket.status,
        after=status,
        code_id=code_id,
    )
    if not decision.allowed:
        raise UserFault(decision.reason)


def _code_for(
    ticket: Ticket, status: str, actor: User | None, rule: str, code_id: int | None
) -> lifecycle.ResolutionCode | None:
    """The resolution code that the step brings. Raises UserFault where it needs another one, or any."""
    is_asked = actor is not None and rule not in NOT_FINISHING
    if code_id is None and not (is_asked and lifecycle.is_finishing(ticket.status, status)):
        return None
    life = living.current()
    decision = lifecycle.check_resolution(
        life,
        is_required=ticket.branch.requires_code,
        before=ticket.status,
        after=status,
        code_id=code_id,
    )
    if is_asked and not decision.allowed:
        raise UserFault(decision.reason)
    return life.code(code_id)


def _code_facts(
    ticket: Ticket, code: lifecycle.ResolutionCode | None, had_code_id: int | None
) -> dict[str, Any]:
    """What the ledger keeps of the resolution code: the one given, in its words of then, or the one taken away."""
    if code is not None:
        return {"resolution": code.id, "resolution_label": code.label}
    return {"resolution_before": had_code_id} if had_code_id != ticket.resolution_code_id else {}


def set_priority(ticket: Ticket, priority: str, actor: User | None) -> None:
    """Change the priority; another policy may hold from now on. Commits."""
    if priority not in PRIORITIES:
        raise UserFault(f"There is no priority {priority!r}.")
    if priority == ticket.priority:
        return
    with transaction(ticket):
        check_not_merged(ticket)
        change_priority(ticket, priority, actor)


def change_priority(ticket: Ticket, priority: str, actor: User | None) -> None:
    """Set the priority with its policy, event and clocks, inside the caller's transaction."""
    before, ticket.priority = ticket.priority, priority
    events.record("priority_changed", ticket=ticket, actor=actor, data={"from": before, "to": priority})
    measuring.place_anew(ticket, ticket.branch, actor, "priority_changed")
    sla.refresh(ticket)
    triggers.after_change(ticket, trigger_rules.Change(priority=priority))
    events.announce(ticket)


def set_tags(ticket: Ticket, names: Iterable[str], actor: User | None) -> None:
    """Give the ticket exactly these tags; unknown ones are made. Commits."""
    wanted = sorted(set(tag_names(names)))
    if sorted(tag.name for tag in ticket.tags) == wanted:
        return
    with transaction(ticket):
        check_not_merged(ticket)
        change_tags(ticket, wanted, actor)


def change_tags(ticket: Ticket, names: Iterable[str], actor: User | None) -> None:
    """Give the ticket the tags with these names, with its event, inside the caller's transaction."""
    before, wanted = sorted(tag.name for tag in ticket.tags), sorted(names)
    ticket.tags = tags_named(wanted)
    events.record("tags_changed", ticket=ticket, actor=actor, data={"from": before, "to": wanted})
    events.announce(ticket)


def tag_names(typed: Iterable[str]) -> list[str]:
    """What people type as tags, as tags are named: in small letters, with single spaces, none of them empty."""
    names = (" ".join(name.split()).lower()[:LONGEST_TAG] for name in typed)
    return [name for name in names if name]


def set_field(ticket: Ticket, key: str, written: Sequence[str], actor: User | None) -> None:
    """Give the desk's own field of that key the value that these words mean; without any, none. Commits.

    Raises NotFound for a field that the ticket does not have, UserFault in the rule's words for what it cannot take.
    """
    with transaction(ticket):
        check_not_merged(ticket)
        field = next((one for one in fields.definitions() if one.key == key), None)
        if field is None or not field.is_active or not field.is_of(ticket.branch_id):
            raise NotFound("This ticket has no such field any more. Reload the page to see what it has now.")
        before = field_rules.value_from(ticket.fields.get(key))
        try:
            value = field_rules.read_value(field, written, before)
        except field_rules.UnreadableValueError as fault:
            raise UserFault(fault.args[0]) from fault
        if value == before:
            return
        others = {name: kept for name, kept in ticket.fields.items() if name != key}
        ticket.fields = others if value is None else {**others, key: value}
        data = {
            "field": key,
            "name": field.name,
            "from": before,
            "to": value,
            "from_name": field_rules.say_value(field, before),
            "to_name": field_rules.say_value(field, value),
        }
        events.record("field_changed", ticket=ticket, actor=actor, data=data)
        events.announce(ticket)


def tags_named(names: Iterable[str]) -> list[Tag]:
    """The tags with these names, made where there are none, by name. Does not commit."""
    wanted = sorted(set(names))
    if not wanted:
        return []
    db.session.execute(
        insert(Tag)
        .values([{"name": name} for name in wanted])
        .on_conflict_do_nothing(index_elements=["name"])
    )
    return list(db.session.scalars(select(Tag).where(Tag.name.in_(wanted)).order_by(Tag.name)))


def move_to_branch(ticket: Ticket, branch: Branch, actor: User | None) -> None:
    """Hand the ticket to another branch: level 1 there, nobody's yet, measured by that branch's policy. Commits.

    Raises UserFault for a branch that takes no tickets.
    """
    if branch.id == ticket.branch_id:
        return
    if not branch.is_active:
        raise UserFault(
            "%(branch)s takes no tickets at present. Choose another branch.",
            branch=branch,
        )
    with transaction(ticket):
        check_not_merged(ticket)
        change_branch(ticket, branch, actor)


def change_branch(ticket: Ticket, branch: Branch, actor: User | None) -> None:
    """Hand the ticket over with its event and clocks, inside the caller's transaction."""
    before, before_name = ticket.branch_id, ticket.branch.name
    escalation.end_all(ticket, actor, how="handed_back")
    # The branch that loses the ticket hears of it as well.
    events.announce(ticket)
    ticket.branch_id, ticket.branch = branch.id, branch
    ticket.tier_level, ticket.assignee_id, ticket.assignee = 1, None, None
    events.record(
        "branch_changed",
        ticket=ticket,
        actor=actor,
        data={"from": before, "to": branch.id, "from_name": before_name, "to_name": branch.name},
    )
    measuring.place_anew(ticket, branch, actor, "branch_changed")
    snoozing.end(ticket, actor, "moved")
    sla.refresh(ticket)
    events.announce(ticket)
    if ticket.status in lifecycle.OPEN_STATUSES:
        db.session.flush()
        giving.give_out([giving.Arrival(ticket, branch)])


def mark_viewed(ticket: Ticket, actor: User) -> None:
    """Someone of the desk has opened it: unread no more; the first look is measured. Commits."""
    is_first = ticket.first_viewed_at is None
    if not is_first and ticket.unread_since is None:
        return
    with transaction(ticket):
        ticket.unread_since = None
        data: dict[str, Any] = {"is_first": is_first}
        if is_first:
            ticket.first_viewed_at = now()
            data["waited_seconds"] = int((ticket.first_viewed_at - ticket.created_at).total_seconds())
        events.record("ticket_viewed", ticket=ticket, actor=actor, data=data)


def pick_up_next(actor: User) -> Ticket | None:
    """The most urgent unassigned ticket that this person may work on, now theirs; None when none waits. Commits.

    Two people asking at once get two tickets: the row is locked, and a locked one is passed over.
    """
    levels = {branch_id: place.tier_level for branch_id, place in access.memberships(actor).items()}
    if not levels:
        raise UserFault("You are a member of no branch yet. Ask an admin to add you to one.")
    reachable = [
        (Ticket.branch_id == branch_id) & (Ticket.tier_level <= level) for branch_id, level in levels.items()
    ]
    waiting = (
        select(Ticket)
        .where(
            Ticket.assignee_id.is_(None),
            Ticket.status.in_(("new", "open")),
            Ticket.snoozed_until.is_(None),
            or_(*reachable),
        )
        .order_by(DUE_ORDER, Ticket.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=Ticket)
    )
    with transaction():
        ticket = db.session.scalar(waiting)
        if ticket is not None:
            assignment.place(ticket, actor, actor)
    return ticket


def close_resolved() -> int:
    """Close what has been resolved for as long as its branch says; return how many. Commits in batches."""
    closed = 0
    while True:
        with transaction():
            due = db.session.scalars(
                select(Ticket)
                .where(Ticket.status == "resolved", _has_rested())
                .order_by(Ticket.resolved_at)
                .limit(CLOSE_BATCH)
                .with_for_update(skip_locked=True)
            ).all()
            for ticket in due:
                change_status(ticket, "closed", None, rule="resolved_long_ago")
                sla.refresh(ticket)
                events.announce(ticket)
        closed += len(due)
        if len(due) < CLOSE_BATCH:
            return closed


def _has_rested() -> ColumnElement[bool]:
    """Whether a resolved ticket closes by itself now. Two statements; branches that close alike are asked together."""
    life, at = living.current(), now()
    alike: dict[int, list[int]] = {}
    for branch_id, own_days in db.session.execute(select(Branch.id, Branch.close_after_days)):
        days = lifecycle.closing_days(life, own_days)
        if days is not None:
            alike.setdefault(days, []).append(branch_id)
    return or_(
        false(),
        *(
            and_(Ticket.branch_id.in_(branch_ids), Ticket.resolved_at < at - timedelta(days=days))
            for days, branch_ids in alike.items()
        ),
    )


def check_not_merged(ticket: Ticket) -> None:
    """Raise Conflict for a ticket that has gone into another one: nothing may happen to it any more."""
    if ticket.merged_into_id is not None:
        into = number_of(ticket.merged_into_id)
        raise Conflict(
            "#%(number)s was merged into #%(into)s. Nothing was changed; go on there.",
            number=ticket.number,
            into=into,
        )


def number_of(ticket_id: int) -> int:
    """The number that people use for the ticket of that id."""
    # Also of one beyond the person's reach: the number alone tells nothing of what is in it.
    number: int = db.session.execute(
        select(Ticket.number).where(Ticket.id == ticket_id).execution_options(is_unscoped=True)
    ).scalar_one()
    return number
