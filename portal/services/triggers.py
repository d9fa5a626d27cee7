"""Escalation by rule: looked at in the transaction of the change that brings it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import cast

from sqlalchemy import func, literal, select
from sqlalchemy.orm import aliased

from portal.errors import UserFault
from portal.extensions import db
from portal.models import Branch, Escalation, EscalationRule, Message, Ticket
from portal.models.branch import PRIORITIES
from portal.models.ticket import TICKET_TYPES
from portal.rules import triggers as rules
from portal.services import escalation, rows
from portal.services.escalation import Ladder
from portal.wording import sentence

_WORDS_OF = {"priority": PRIORITIES, "type": TICKET_TYPES}


@dataclass(frozen=True)
class Arrived:
    """A customer's message that was put into a ticket, and what it did to it."""

    ticket: Ticket
    message: Message
    is_new: bool
    is_reopened: bool


def active_rules() -> tuple[rules.Rule, ...]:
    """Every rule that is in use. One statement."""
    found = select(EscalationRule).where(EscalationRule.is_active).order_by(EscalationRule.id)
    return tuple(_rule(row) for row in db.session.scalars(found))


def after_change(ticket: Ticket, change: rules.Change) -> Escalation | None:
    """Escalate the ticket where a rule asks for it after that change, inside the caller's transaction.

    One statement where none does.
    """
    return _judge_all({ticket.id: (ticket, change)}, active_rules()).get(ticket.id)


def after_messages(arrived: Sequence[Arrived], known: Sequence[rules.Rule]) -> dict[int, Escalation]:
    """Escalate each ticket where a rule asks for it after these messages; by ticket id. Does not commit.

    No statement where there is no rule, and none for a ticket that no rule is about; the messages are written by then.
    """
    if not known or not arrived:
        return {}
    changes: dict[int, tuple[Ticket, rules.Change]] = {}
    for each in arrived:
        ticket, change = changes.get(each.ticket.id, (each.ticket, rules.Change()))
        if each.is_new:
            change = replace(change, priority=ticket.priority, type=ticket.type)
        if each.is_reopened:
            change = replace(change, reopened_count=ticket.reopened_count)
        said = f"{each.message.subject if each.is_new else ''}\n{each.message.text}"
        changes[ticket.id] = ticket, replace(change, words=(*change.words, said))
    waiting = _waiting_counts(
        [
            ticket.id
            for ticket, _ in changes.values()
            if any(_may_hold(rule, ticket) for rule in known if rule.kind == "customer_waits")
        ]
    )
    return _judge_all(
        {
            ticket_id: (ticket, replace(change, waiting_count=waiting.get(ticket_id)))
            for ticket_id, (ticket, change) in changes.items()
        },
        known,
    )


def check_rule(row: EscalationRule) -> list[str]:
    """Raise UserFault for a rule that could not do what it says; give the names of branches where it will not.

    Its tier has to exist and to have people: in its branch, or for a rule of every branch in one of them at least.
    """
    problem = rules.rule_problem(row.kind, row.value)
    if problem:
        raise UserFault(problem)
    words = _WORDS_OF.get(row.kind)
    if words and row.value not in words:
        raise UserFault(
            "“%(value)s” does not fit. Choose one of: %(listed)s.", value=row.value, listed=", ".join(words)
        )
    if row.to_level < 2:
        raise UserFault("Level 1 answers first. Choose the level above it that tickets go to.")
    if not row.is_active:
        return []
    return _check_target(row)


def _check_target(row: EscalationRule) -> list[str]:
    # Also before it is written, a new row names its branch by the relationship.
    branch = row.branch
    wanted = select(Branch).where(Branch.is_active).order_by(Branch.name)
    branches = [branch] if branch is not None else list(db.session.scalars(wanted))
    ladders = escalation.ladders_of([one.id for one in branches])
    has_tier = [one for one in branches if any(each.level == row.to_level for each in ladders[one.id].tiers)]
    has_people = [one for one in has_tier if ladders[one.id].names.get(row.to_level)]
    where = branch.name if branch is not None else ""
    if not has_tier:
        if where:
            raise UserFault("%(branch)s has no tier of level %(level)s.", branch=where, level=row.to_level)
        raise UserFault("No branch has a tier of level %(level)s.", level=row.to_level)
    if not has_people:
        raise UserFault(
            "Nobody works at level %(level)s yet, so nobody would take these tickets. "
            "Give the level its people first, or switch the rule off.",
            level=row.to_level,
        )
    return [one.name for one in branches if one not in has_people]


def _rule(row: EscalationRule) -> rules.Rule:
    return rules.Rule(
        row.id, row.name, cast(rules.RuleKind, row.kind), row.value, row.to_level, row.branch_id
    )


def _may_hold(rule: rules.Rule, ticket: Ticket) -> bool:
    return rule.branch_id in (None, ticket.branch_id) and rule.to_level > ticket.tier_level


def _judge_all(
    changes: dict[int, tuple[Ticket, rules.Change]], known: Sequence[rules.Rule]
) -> dict[int, Escalation]:
    """Look at what is known without asking first: almost every change is about no rule."""
    suspects = {
        ticket_id: (ticket, change)
        for ticket_id, (ticket, change) in changes.items()
        if any(_may_hold(rule, ticket) and rules.why_held(rule, change) for rule in known)
    }
    if not suspects:
        return {}
    tickets = [ticket for ticket, _ in suspects.values()]
    ladders = escalation.ladders_of({ticket.branch_id for ticket in tickets})
    still_open = escalation.open_among(tickets)
    raised = {}
    for ticket, change in suspects.values():
        made = _judge(ticket, change, known, ladders[ticket.branch_id], still_open[ticket.id])
        if made is not None:
            raised[ticket.id] = made
    return raised


def _judge(
    ticket: Ticket,
    change: rules.Change,
    known: Sequence[rules.Rule],
    ladder: Ladder,
    still_open: list[Escalation],
) -> Escalation | None:
    rule, decision = rules.decide_rules(
        escalation.facts_of(ticket, still_open, ladder),
        known,
        change,
        branch_id=ticket.branch_id,
        spent={each.rule_id for each in still_open if each.rule_id is not None},
    )
    if rule is None:
        return None
    if decision.to_level is None:
        # Refused at save; where an import brings it, somebody has to know that it does nothing.
        says = sentence(
            "#%(number)s %(subject)s was not escalated: %(reason)s",
            number=ticket.number,
            subject=ticket.subject,
            reason=decision.reason,
        )
        escalation.tell_leads(ticket, ladder, says, fact_key=f"trigger-{rule.id}-{ticket.id}")
        return None
    if ticket not in db.session:
        rows.adopt(ticket)
    return escalation.perform(ticket, decision, trigger=rule.kind, actor=None, ladder=ladder, rule_id=rule.id)


def _waiting_counts(ticket_ids: Collection[int]) -> dict[int, int]:
    """How many messages of the customer nobody has answered yet, by ticket."""
    if not ticket_ids:
        return {}
    answer = aliased(Message)
    answered_at = (
        select(func.max(answer.created_at))
        .where(answer.ticket_id == Message.ticket_id, answer.direction == "out", ~answer.is_automatic)
        .correlate(Message)
        .scalar_subquery()
    )
    unanswered = (
        select(Message.ticket_id, func.count())
        .where(
            Message.ticket_id.in_(ticket_ids),
            Message.direction == "in",
            ~Message.is_auto_reply,
            ~Message.is_bounce,
            Message.created_at
            > func.coalesce(answered_at, literal("-infinity").cast(Message.created_at.type)),
        )
        .group_by(Message.ticket_id)
    )
    return dict(db.session.execute(unanswered).all())
