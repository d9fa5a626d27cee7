"""What a ticket's status may be, what it may become, and what a message makes of it: one table."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from portal.rules.decision import Decision, Evidence
from portal.wording import N_, Sentence, sentence


@dataclass(frozen=True, slots=True)
class Status:
    """One row of the table: the stored name, the usual words for it, and where agents may usually move it next."""

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
# An answer ends the wait of the customer, so these become "Waiting on customer" when an agent replies.
ANSWERABLE_STATUSES: tuple[str, ...] = ("new", "open", "pending")


# Nobody answered yet: no move of an agent can make that true again.
NEVER_A_TARGET = "new"
USUAL_MOVES: Mapping[str, frozenset[str]] = {name: status.may_become for name, status in TABLE.items()}
CLOSE_AFTER_DAYS = 14
LONGEST_WAIT_DAYS = 3650
LONGEST_LABEL = 40
FINISHED: tuple[str, ...] = ("resolved", "closed")


@dataclass(frozen=True, slots=True)
class ResolutionCode:
    """How a matter ended, in the desk's words. A retired one stays on the tickets that have it."""

    id: int
    label: str
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What admins have made of the table: their words for statuses, and which moves agents may make.

    The statuses themselves, and what clocks and automation do with them, are not theirs to change. A branch may say
    otherwise about `requires_code` and `close_after_days` (0: never).
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    moves: Mapping[str, frozenset[str]] = field(default_factory=lambda: USUAL_MOVES)
    codes: tuple[ResolutionCode, ...] = ()
    requires_code: bool = False
    close_after_days: int = CLOSE_AFTER_DAYS

    @property
    def offered_codes(self) -> tuple[ResolutionCode, ...]:
        """Those that can be chosen, in their order."""
        return tuple(code for code in self.codes if code.is_active)

    def code(self, code_id: int | None) -> ResolutionCode | None:
        """The code of that id, retired or not."""
        return next((code for code in self.codes if code.id == code_id), None)


@dataclass(frozen=True, slots=True)
class StatusDecision:
    """The status that follows. With `is_follow_up` the ticket stays so and a new, linked one is opened."""

    status: str
    rule: str
    reason: str
    is_follow_up: bool = False
    evidence: Evidence = field(default_factory=dict)


def label(status: str, life: Lifecycle) -> str:
    """The status in the desk's words, as they are; else in ours, which can be translated. An unknown one as it is."""
    if own := life.labels.get(status):
        return sentence("%(words)s", words=own)
    return usual_label(status)


def usual_label(status: str) -> str:
    """The status in our words: `pending` is "Waiting on customer". An unknown one comes back as it is."""
    return sentence(TABLE[status].label) if status in TABLE else status


def relabelled(words: str, life: Lifecycle) -> str:
    """A sentence in which statuses have our words, with the desk's own in their place.

    What is counted from the ledger (portal.rules.sla) knows nothing of words, so that a renamed status moves no clock.
    """
    if not life.labels or not isinstance(words, Sentence):
        return words
    if not words.values:
        name = next((name for name, status in TABLE.items() if status.label == words.message), None)
        return words if name is None else label(name, life)
    values = {
        name: relabelled(value, life) if isinstance(value, Sentence) else value
        for name, value in words.values.items()
    }
    return sentence(words.message, **values)


def labels(life: Lifecycle) -> dict[str, str]:
    """Every status in users' words, in table order."""
    return {name: label(name, life) for name in TABLE}


def choices(status: str, life: Lifecycle) -> tuple[tuple[str, str], ...]:
    """What an agent may choose for a ticket of `status`, itself included: (name, label) in table order."""
    ways = life.moves.get(status, frozenset())
    return tuple((name, label(name, life)) for name in TABLE if name == status or name in ways)


def coded(choices: Sequence[tuple[str, str]], status: str, life: Lifecycle) -> list[tuple[str, str]]:
    """The choices for a ticket of `status` with those that finish it split up by resolution code: `resolved:3`."""
    found: list[tuple[str, str]] = []
    for name, text in choices:
        if is_finishing(status, name) and life.offered_codes:
            found += [
                (f"{name}:{code.id}", sentence("%(status)s · %(code)s", status=text, code=code.label))
                for code in life.offered_codes
            ]
        else:
            found.append((name, text))
    return found


def read_choice(chosen: str) -> tuple[str, int | None]:
    """The status, and the resolution code if there is one, of a choice as `coded` writes it."""
    status, _, code = chosen.partition(":")
    is_id = code.isascii() and code.isdigit() and len(code) < 10
    return (status, int(code)) if is_id else (chosen, None)


def check_transition(from_status: str, to_status: str, life: Lifecycle) -> Decision:
    """Whether an agent may move a ticket between two statuses. Staying is allowed, so that a retry is harmless."""
    evidence: Evidence = {"from": from_status, "to": to_status}
    unknown = next((name for name in (from_status, to_status) if name not in TABLE), None)
    if unknown is not None:
        return Decision(
            False,
            "unknown_status",
            sentence("There is no status %(unknown)s.", unknown=repr(unknown)),
            evidence,
        )
    before, after = label(from_status, life), label(to_status, life)
    if from_status == to_status:
        reason = sentence("The ticket is already %(after)s.", after=after)
        return Decision(True, "unchanged", reason, evidence)
    if to_status in life.moves.get(from_status, ()):
        reason = sentence("%(before)s may become %(after)s.", before=before, after=after)
        return Decision(True, "allowed", reason, evidence)
    ways = tuple(text for name, text in choices(from_status, life) if name != from_status)
    if not ways:
        reason = sentence(
            "A ticket that is %(before)s cannot become %(after)s: it stays as it is.",
            before=before,
            after=after,
        )
        return Decision(False, "not_allowed", reason, evidence)
    reason = sentence(
        "A ticket that is %(before)s cannot become %(after)s. It can become: %(ways)s.",
        before=before,
        after=after,
        ways=ways,
    )
    return Decision(False, "not_allowed", reason, evidence)


def problems_of_moves(moves: Mapping[str, Collection[str]], life: Lifecycle) -> dict[str, str]:
    """What is wrong with these moves, a sentence for each status that they lead from; empty where tickets can go on."""
    problems: dict[str, str] = {}
    for name in TABLE:
        ways = set(moves.get(name, ())) - {name}
        unknown = next((each for each in sorted(ways) if each not in TABLE), None)
        if unknown is not None:
            problems[name] = sentence("There is no status %(unknown)s.", unknown=repr(unknown))
        elif NEVER_A_TARGET in ways:
            problems[name] = sentence("Nothing becomes %(new)s again.", new=label(NEVER_A_TARGET, life))
        elif not ways and name in OPEN_STATUSES:
            problems[name] = sentence(
                "Nothing could be done with a ticket that is %(status)s. Leave at least one way out of it.",
                status=label(name, life),
            )
    return problems


def problems_of_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with the desk's words for statuses (empty: ours), a sentence for each status."""
    problems: dict[str, str] = {}
    words = {name: (labels.get(name) or status.label) for name, status in TABLE.items()}
    for name, said in words.items():
        if len(said) > LONGEST_LABEL:
            problems[name] = sentence("A label has at most %(most)s letters.", most=LONGEST_LABEL)
        elif not said.isprintable():
            problems[name] = N_("A label is one line of plain words.")
        elif sum(other.casefold() == said.casefold() for other in words.values()) > 1:
            problems[name] = sentence("Two statuses would be called “%(label)s”.", label=said)
    return problems


def check_resolution(
    life: Lifecycle, *, is_required: bool | None, before: str, after: str, code_id: int | None
) -> Decision:
    """Whether a person may make this move with that resolution code (None: with none).

    `is_required` is what the ticket's branch says, None where it says what the desk says. Nothing is required where
    there is no code to choose.
    """
    evidence: Evidence = {"code": code_id}
    if code_id is not None:
        code = life.code(code_id)
        if code is None:
            return Decision(
                False,
                "unknown_code",
                N_("There is no such resolution code. Choose one from the list."),
                evidence,
            )
        if after not in FINISHED:
            return Decision(
                False, "no_resolution", N_("Only what is resolved has a resolution code."), evidence
            )
        if not code.is_active:
            reason = sentence(
                "The resolution code “%(code)s” is not used any more. Choose another one.", code=code.label
            )
            return Decision(False, "retired_code", reason, evidence)
        return Decision(True, "coded", sentence("It ended as %(code)s.", code=code.label), evidence)
    if not is_finishing(before, after) or not asks_for_code(life, is_required):
        return Decision(True, "not_required", N_("No resolution code is needed."), evidence)
    reason = sentence(
        "Choose a resolution code to set the ticket to %(after)s. Nothing was changed.",
        after=label(after, life),
    )
    return Decision(False, "code_required", reason, evidence)


def asks_for_code(life: Lifecycle, is_required: bool | None) -> bool:
    """Whether tickets of a branch that says so (None: as the desk) are resolved with a code only."""
    return bool(life.offered_codes) and (life.requires_code if is_required is None else is_required)


def closing_days(life: Lifecycle, days_of_branch: int | None) -> int | None:
    """After how many days a resolved ticket closes by itself: the branch's, else the desk's; None for never."""
    return (life.close_after_days if days_of_branch is None else days_of_branch) or None


def status_after_customer_message(
    status: str, closed_at: datetime | None, now: datetime, reopen_window_days: int, life: Lifecycle
) -> StatusDecision:
    """What a customer's message makes of a ticket.

    `closed_at` counts for closed tickets only. Within `reopen_window_days` of it (the last moment included)
    the ticket opens again; later, or when the moment of closing is unknown, a linked follow-up ticket is
    opened.
    """
    if status == "new":
        return StatusDecision(
            "new",
            "still_new",
            sentence("Nobody has answered yet, so the ticket stays %(status)s.", status=label(status, life)),
        )
    if status == "spam":
        return StatusDecision(
            "spam",
            "stays_spam",
            sentence("The ticket is %(status)s, and more of it stays there.", status=label(status, life)),
        )
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
        sentence("The customer wrote, so the ticket is no longer %(status)s.", status=label(status, life)),
    )


def is_finishing(before: str, after: str) -> bool:
    """Whether the step ends the work on a ticket: resolved or closed, from neither of them."""
    return after in FINISHED and before not in FINISHED


def status_after_reply(status: str, life: Lifecycle, chosen: str | None = None) -> StatusDecision:
    """What an agent's reply makes of a ticket: the status the agent chose, otherwise "Waiting on customer".

    On hold and finished tickets keep their status unless the agent chooses another. An illegal choice keeps
    the status, with rule `not_allowed` and the sentence to show.
    """
    if chosen is not None:
        decision = check_transition(status, chosen, life)
        kept = chosen if decision.allowed else status
        rule = "chosen" if decision.allowed else "not_allowed"
        return StatusDecision(kept, rule, decision.reason, evidence=decision.evidence)
    if status in ANSWERABLE_STATUSES:
        return StatusDecision("pending", "answered", N_("The customer has an answer; we wait for them."))
    return StatusDecision(
        status,
        "kept",
        sentence("A reply leaves a ticket that is %(status)s as it is.", status=label(status, life)),
    )


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
