"""What an action on many tickets means for one of them, and why it leaves others alone."""

import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from portal.rules import lifecycle
from portal.rules.escalation import EscalationFacts, Trigger, decide_escalation
from portal.wording import N_, sentence

MOST_TICKETS = 200


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a ticket stands, as far as an action on many asks it."""

    number: int
    status: str
    priority: str
    tags: tuple[str, ...]
    branch_id: int
    branch: str
    assignee_id: int | None
    assignee: str
    is_merged: bool = False
    escalation: EscalationFacts | None = None
    letter: "Letter | None" = None
    # Why it cannot be resolved yet (portal.rules.fields.may_finish); "" where it can.
    unfinished: str = ""
    # Whether its branch asks for a resolution code; None: as the desk says.
    requires_code: bool | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A template as it would go out for one ticket. `fault` says why it cannot, "" where it can."""

    to: str
    html: str
    unfilled: tuple[str, ...] = ()
    newest_message_id: int | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Assign:
    """To somebody (None: to nobody) who works in these branches (None: in every one)."""

    user_id: int | None
    name: str = ""
    branch_ids: Collection[int] | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """To another branch."""

    branch_id: int
    name: str
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Prioritise:
    """To a priority."""

    priority: str


@dataclass(frozen=True, slots=True)
class SetStatus:
    """To a status; with the code of how it ended, where it ends."""

    status: str
    resolution_code_id: int | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """Some tags more, some fewer."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Escalate:
    """One tier up, with the reason for those who work there."""

    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The same template to each customer, with each ticket's own values."""

    template_id: int


@dataclass(frozen=True, slots=True)
class Merge:
    """All into the ticket of that number."""

    into: int
    subject: str = ""
    is_open_to_it: bool = True


Action = Assign | Move | Prioritise | SetStatus | Label | Escalate | Answer | Merge


@dataclass(frozen=True, slots=True)
class Change:
    """What one ticket will be made of: from `before` to `after` in users' words, or nothing, for a reason.

    Two decisions with the same `mark` rest on the same state of the ticket: what was agreed to then holds now.
    """

    is_change: bool
    before: str
    after: str
    rule: str
    reason: str = ""

    @property
    def mark(self) -> str:
        return f"{zlib.crc32(repr(self).encode()):x}"


def decide(ticket: Standing, action: Action, life: lifecycle.Lifecycle) -> Change:
    """What the action makes of the ticket. A merged ticket is left alone whatever is asked."""
    if ticket.is_merged:
        return _left("merged", N_("It was merged into another ticket."))
    if isinstance(action, SetStatus):
        return _set_status(ticket, action, life)
    if isinstance(action, Answer):
        return _answer(ticket, action, life)
    return _DECISIONS[type(action)](ticket, action)


def _assign(ticket: Standing, action: Assign) -> Change:
    after = action.name if action.user_id else sentence("nobody")
    if ticket.assignee_id == action.user_id:
        return _left(
            "unchanged",
            sentence("It is with %(after)s already.", after=after)
            if action.user_id
            else N_("Nobody has it."),
        )
    if (
        action.user_id is not None
        and action.branch_ids is not None
        and ticket.branch_id not in action.branch_ids
    ):
        return _left(
            "not_a_member",
            sentence("%(name)s is not a member of %(branch)s.", name=action.name, branch=ticket.branch),
        )
    return Change(True, ticket.assignee or sentence("nobody"), after, "assign")


def _move(ticket: Standing, action: Move) -> Change:
    if not action.is_active:
        return _left("branch_closed", sentence("%(name)s takes no tickets at present.", name=action.name))
    return _set("move", ticket.branch, action.name, is_same=ticket.branch_id == action.branch_id)


def _prioritise(ticket: Standing, action: Prioritise) -> Change:
    return _set("priority", _priority(ticket.priority), _priority(action.priority))


def _priority(name: str) -> str:
    return sentence(name.capitalize())


def _set_status(ticket: Standing, action: SetStatus, life: lifecycle.Lifecycle) -> Change:
    step = lifecycle.check_transition(ticket.status, action.status, life)
    if not step.allowed:
        return _left(step.rule, step.reason)
    if ticket.unfinished and lifecycle.is_finishing(ticket.status, action.status):
        return _left("required_field", ticket.unfinished)
    code = lifecycle.check_resolution(
        life,
        is_required=ticket.requires_code,
        before=ticket.status,
        after=action.status,
        code_id=action.resolution_code_id,
    )
    if not code.allowed:
        return _left(code.rule, code.reason)
    before, after = lifecycle.label(ticket.status, life), lifecycle.label(action.status, life)
    return _set("status", before, after, is_same=ticket.status == action.status)


def _label(ticket: Standing, action: Label) -> Change:
    after = sorted((set(ticket.tags) | set(action.added)) - set(action.removed))
    return _set(
        "tags", ", ".join(ticket.tags) or sentence("no tags"), ", ".join(after) or sentence("no tags")
    )


def _escalate(ticket: Standing, action: Escalate) -> Change:
    assert ticket.escalation is not None, "whoever asks whether it can be escalated says where it stands"
    decision = decide_escalation(ticket.escalation, Trigger("manual", reason=action.reason))
    if decision.to_level is None:
        return _left(decision.rule, decision.reason)
    names = {tier.level: tier.name for tier in ticket.escalation.tiers}
    level = ticket.escalation.tier_level
    return Change(
        True,
        names.get(level) or sentence("Tier %(level)s", level=level),
        names[decision.to_level],
        "escalate",
    )


def _answer(ticket: Standing, _action: Answer, life: lifecycle.Lifecycle) -> Change:
    assert ticket.letter is not None, "whoever asks whether it can be answered says with what"
    letter = ticket.letter
    if ticket.status in ("spam", "trash"):
        return _left(
            "not_answerable", sentence("It is in %(status)s.", status=lifecycle.label(ticket.status, life))
        )
    if letter.fault:
        return _left("no_address", letter.fault)
    if letter.unfilled:
        return _left(
            "unfilled",
            sentence(
                "No value for %(unfilled)s. Answer this one by hand.", unfilled=", ".join(letter.unfilled)
            ),
        )
    return Change(
        True, sentence("to %(names)s", names=letter.to), letter.html, "reply", str(letter.newest_message_id)
    )


def _merge(ticket: Standing, action: Merge) -> Change:
    if ticket.number == action.into:
        return _left("target", N_("The others come here."))
    if not action.is_open_to_it:
        return _left("not_answerable", sentence("#%(into)s takes no other tickets.", into=action.into))
    return Change(True, f"#{ticket.number}", f"#{action.into} {action.subject}".strip(), "merge")


_DECISIONS: dict[type[Action], Callable[[Standing, Any], Change]] = {
    Assign: _assign,
    Move: _move,
    Prioritise: _prioritise,
    Label: _label,
    Escalate: _escalate,
    Merge: _merge,
}


def _set(rule: str, before: str, after: str, *, is_same: bool | None = None) -> Change:
    if before == after if is_same is None else is_same:
        return _left(
            "unchanged",
            sentence("It is %(after)s already.", after=after)
            if rule != "tags"
            else N_("Its tags stay the same."),
        )
    return Change(True, before, after, rule)


def _left(rule: str, reason: str) -> Change:
    return Change(False, "", "", rule, reason)
