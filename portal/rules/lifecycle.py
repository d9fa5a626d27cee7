"""What a ticket's status may be, what it may become, and what a message makes of it: one table."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from portal.rules.decision import Decision, Evidence
from portal.wording import N_, sentence


@dataclass(frozen=True, slots=True)
class Status:
    """One row of the table: the stored name, the words people read, and where an agent may move it next."""

    name: str
    label: str
    is_open: bool
    may_become: frozenset[str]


_ANY_OPEN = frozenset({"open", "pending", "on_hold", "resolved", "closed", "spam", "trash"})

TABLE: dict[str, Status] = {
    status.name: status
    for status in (
        Status("new", N_("New"), True, _ANY_OPEN),
        Status("open", N_("Open"), True, _ANY_OPEN - {"open"}),
        Status("pending", N_("Waiting on customer"), True, _ANY_OPEN - {"pending"}),
        Status("on_hold", N_("On hold"), True, _ANY_OPEN - {"on_hold"}),
        Status("resolved", N_("Resolved"), False, _ANY_OPEN - {"resolved"}),
        Status("closed", N_("Closed"), False, frozenset({"open", "spam", "trash"})),
        Status("spam", N_("Spam"), False, frozenset({"open", "trash"})),
        Status("trash", N_("Trash"), False, frozenset({"open", "spam"})),
    )
}

STATUSES: tuple[str, ...] = tuple(TABLE)
OPEN_STATUSES: tuple[str, ...] = tuple(name for name, status in TABLE.items() if status.is_open)
LABELS: dict[str, str] = {name: sentence(status.label) for name, status in TABLE.items()}
# An answer ends the wait of the customer, so these become "Waiting on customer" when an agent replies.
ANSWERABLE_STATUSES: tuple[str, ...] = ("new", "open", "pending")


@dataclass(frozen=True, slots=True)
class StatusDecision:
    """The status that follows. With `is_follow_up` the ticket stays so and a new, linked one is opened."""

    status: str
    rule: str
    reason: str
    is_follow_up: bool = False
    evidence: Evidence = field(default_factory=dict)


def label(status: str) -> str:
    """The status in users' words: `pending` is "Waiting on customer". An unknown one comes back as it is."""
    return LABELS.get(status, status)


def choices(status: str) -> tuple[tuple[str, str], ...]:
    """What an agent may choose for a ticket of `status`, itself included: (name, label) in table order."""
    row = TABLE[status]
    return tuple((name, LABELS[name]) for name in TABLE if name == status or name in row.may_become)


def check_transition(from_status: str, to_status: str) -> Decision:
    """Whether a ticket may move between two statuses. Staying is allowed, so that a retry is harmless."""
    evidence: Evidence = {"from": from_status, "to": to_status}
    unknown = next((name for name in (from_status, to_status) if name not in TABLE), None)
    if unknown is not None:
        return Decision(
            False,
            "unknown_status",
            sentence("There is no status %(unknown)s.", unknown=repr(unknown)),
            evidence,
        )
    if from_status == to_status:
        return Decision(
            True,
            "unchanged",
            sentence("The ticket is already %(after)s.", after=label(to_status)),
            evidence,
        )
    if to_status in TABLE[from_status].may_become:
        return Decision(
            True,
            "allowed",
            sentence(
                "%(before)s may become %(after)s.",
                before=label(from_status),
                after=label(to_status),
            ),
            evidence,
        )
    ways = tuple(text for name, text in choices(from_status) if name != from_status)
    reason = sentence(
        "A ticket that is %(before)s cannot become %(after)s. It can become: %(ways)s.",
        before=label(from_status),
        after=label(to_status),
        ways=ways,
    )
    return Decision(False, "not_allowed", reason, evidence)


def status_after_customer_message(
    status: str, closed_at: datetime | None, now: datetime, reopen_window_days: int
) -> StatusDecision:
    """What a customer's message makes of a ticket.

    `closed_at` counts for closed tickets only. Within `reopen_window_days` of it (the last moment included)
    the ticket opens again; later, or when the moment of closing is unknown, a linked follow-up ticket is
    opened.
    """
    if status == "new":
        return StatusDecision("new", "still_new", N_("Nobody has answered yet, so the ticket stays New."))
    if status == "spam":
        return StatusDecision("spam", "stays_spam", N_("The ticket is Spam, and more of it stays there."))
    if status == "trash":
        return StatusDecision(
            "open", "restored", N_("The customer wrote again, so the ticket left the trash.")
        )
    if status == "closed":
        return _after_closing(closed_at, now, reopen_window_days)
    if status == "open":
        return StatusDecision("open", "still_open", N_("The ticket was open already."))
    rule = "reopened" if status == "resolved" else "customer_answered"
    return StatusDecision(
        "open",
        rule,
        sentence("The customer wrote, so the ticket is no longer %(status)s.", status=label(status)),
    )


def is_finishing(before: str, after: str) -> bool:
    """Whether the step ends the work on a ticket: resolved or closed, from neither of them."""
    finished = ("resolved", "closed")
    return after in finished and before not in finished


def status_after_reply(status: str, chosen: str | None = None) -> StatusDecision:
    """What an agent's reply makes of a ticket: the status the agent chose, otherwise "Waiting on customer".

    On hold and finished tickets keep their status unless the agent chooses another. An illegal choice keeps
    the status, with rule `not_allowed` and the sentence to show.
    """
    if chosen is not None:
        decision = check_transition(status, chosen)
        kept = chosen if decision.allowed else status
        rule = "chosen" if decision.allowed else "not_allowed"
        return StatusDecision(kept, rule, decision.reason, evidence=decision.evidence)
    if status in ANSWERABLE_STATUSES:
        return StatusDecision("pending", "answered", N_("The customer has an answer; we wait for them."))
    return StatusDecision(
        status, "kept", sentence("A reply leaves a ticket that is %(status)s as it is.", status=label(status))
    )


def closes_at(resolved_at: datetime, close_after_days: int) -> datetime:
    """When a resolved ticket closes by itself."""
    return resolved_at + timedelta(days=close_after_days)


def _after_closing(closed_at: datetime | None, now: datetime, reopen_window_days: int) -> StatusDecision:
    evidence: Evidence = {
        "closed_at": closed_at.isoformat() if closed_at else None,
        "reopen_window_days": reopen_window_days,
    }
    if closed_at is not None and now <= closed_at + timedelta(days=reopen_window_days):
        reason = sentence(
            "The customer wrote within %(days)s days of closing, so the ticket is open again.",
            days=reopen_window_days,
        )
        return StatusDecision("open", "reopened", reason, evidence=evidence)
    reason = sentence(
        "It was closed more than %(days)s days ago, so a new, linked ticket is opened.",
        days=reopen_window_days,
    )
    return StatusDecision("closed", "follow_up", reason, is_follow_up=True, evidence=evidence)
