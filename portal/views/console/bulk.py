"""One action on many tickets of the queue: what it will do, doing it, taking it back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import jsonify, render_template, request, url_for
from markupsafe import Markup
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from portal import access
from portal.channels.email.html import sanitise_reply
from portal.errors import NotFound, UserFault
from portal.errors_pages import wants_partial
from portal.extensions import db
from portal.language import gettext, lazy_gettext, ngettext, says, tell
from portal.models import Branch, Ticket
from portal.models.branch import PRIORITIES
from portal.rules import bulk as rules
from portal.rules import lifecycle
from portal.services import assignment, bulk, templates, tickets
from portal.services import lifecycle as living
from portal.views.console import lists, words
from portal.views.console.answers import kept_for
from portal.views.console.blueprint import blueprint, person
from portal.views.console.filters import LARGEST_SMALL_ID

TOAST_SECONDS = 60
MOST_REASONS = 3
MOST_TAGS = 30
LARGEST_NUMBER = 2**63 - 1


@dataclass(frozen=True)
class Kind:
    """An action as the bar offers it."""

    name: str
    label: str
    icon: str
    heading: str


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("assign", lazy_gettext("Assign"), "user-check", lazy_gettext("Assign")),
        Kind("status", lazy_gettext("Status"), "check", lazy_gettext("Change the status")),
        Kind("priority", lazy_gettext("Priority"), "flag", lazy_gettext("Change the priority")),
        Kind("tags", lazy_gettext("Tags"), "tag", lazy_gettext("Change the tags")),
        Kind("reply", lazy_gettext("Reply"), "reply", lazy_gettext("Answer with a template")),
        Kind("escalate", lazy_gettext("Escalate"), "arrow-up", lazy_gettext("Escalate")),
        Kind("merge", lazy_gettext("Merge"), "merge", lazy_gettext("Merge into one")),
        Kind("move", lazy_gettext("Branch"), "building-2", lazy_gettext("Move to a branch")),
    )
}


@dataclass(frozen=True)
class PlannedRow:
    """A ticket of the preview. `letter` is a mail as it will go out, `reason` why the ticket stays as it is."""

    number: int
    subject: str
    customer: str
    before: str
    after: str
    letter: Markup
    reason: str
    seen: str


@blueprint.get("/queue/bulk")
def bulk_plan() -> str:
    """The choice that an action asks for, and what it will do."""
    access.check_may_change(person())
    kind, numbers = _kind(request.args), _numbers(request.args)
    context = _plan_context(kind, numbers, request.args)
    context |= {"kind": kind, "fields": _fields(kind, numbers), "args": request.args}
    if wants_partial():
        return render_template("console/_bulk.html", **context)
    return render_template("console/bulk.html", **context)


@blueprint.post("/queue/bulk/plan")
def bulk_preview() -> str:
    """What an action will do, alone. Posted, because a reason may be longer than an address can be; changes nothing."""
    access.check_may_change(person())
    context = _plan_context(_kind(request.form), _numbers(request.form), request.form)
    return render_template("console/_bulk_plan.html", **context)


@blueprint.post("/queue/bulk")
def bulk_apply() -> Any:
    action = _action(_kind(request.form), request.form)
    if action is None:
        raise UserFault("Choose what is to happen to the tickets. Nothing was changed.")
    done = bulk.apply(person(), _agreed(request.form.getlist("seen")), action)
    amount = len(done.changed)
    said = _says(done, ngettext("%(num)s ticket changed.", "%(num)s tickets changed.", amount))
    return _answer(done, said, bulk.undo_seconds(action))


@blueprint.post("/queue/bulk/undo")
def bulk_undo() -> Any:
    done = bulk.take_back(person(), request.form.get("undo", ""))
    amount = len(done.changed)
    return _answer(
        done, _says(done, ngettext("%(num)s ticket as before.", "%(num)s tickets as before.", amount))
    )


def undo_action(undo: str, seconds: int) -> dict[str, Any]:
    """What a script is told of the way back, which is open for so long."""
    return {
        "label": gettext("Undo"),
        "post": url_for("console.bulk_undo"),
        "fields": {"undo": undo},
        "seconds": min(TOAST_SECONDS, seconds),
        "kept": kept_for(seconds),
    }


def _answer(done: bulk.Done, says: str, seconds: int = 0) -> Any:
    if wants_partial():
        return jsonify(says=says, action=undo_action(done.undo, seconds) if done.undo else None)
    return render_template("console/bulk_done.html", says=says, done=done)


def _says(done: bulk.Done, what: str) -> str:
    """12 tickets changed. Left alone: #10007 (it is resolved already) and 2 more."""
    said = what if done.changed else gettext("Nothing was changed.")
    if not done.left:
        return said
    reasons = ", ".join(
        f"#{number} ({words.continued(tell(reason))})"
        for number, reason in list(done.left.items())[:MOST_REASONS]
    )
    more = len(done.left) - MOST_REASONS
    left = (
        gettext("Left alone: %(reasons)s and %(more)s more.", reasons=reasons, more=more)
        if more > 0
        else gettext("Left alone: %(reasons)s.", reasons=reasons)
    )
    return f"{said} {left}"


def _plan_context(kind: Kind, numbers: Sequence[int], args: MultiDict[str, str]) -> dict[str, Any]:
    """The preview, or why there is none yet."""
    context: dict[str, Any] = {"kind": kind, "rows": (), "fault": "", "numbers": numbers, "chosen": ()}
    try:
        action = _action(kind, args)
        if action is None:
            return context
        planned = bulk.plan(person(), numbers, action)
    except UserFault as fault:
        return {**context, "fault": says(fault)}
    rows = sorted((_row(each) for each in planned), key=lambda row: bool(row.reason))
    chosen = [(name, value) for name in _NAMES[kind.name] for value in args.getlist(name)]
    amount = sum(not row.reason for row in rows)
    return {**context, "rows": rows, "chosen": chosen, "amount": amount, "gone": len(numbers) - len(rows)}


def _row(planned: bulk.Planned) -> PlannedRow:
    ticket, change = planned.ticket, planned.change
    is_letter = change.rule == "reply"
    return PlannedRow(
        number=ticket.number,
        subject=ticket.subject or gettext("(no subject)"),
        customer=words.person(ticket.customer.name),
        before=tell(change.before),
        after="" if is_letter else tell(change.after),
        letter=Markup(sanitise_reply(change.after)) if is_letter else Markup(""),  # noqa: S704
        reason="" if change.is_change else tell(change.reason),
        seen=f"{ticket.number}:{change.mark}",
    )


# --- what is asked --------------------------------------------------------------------------------------------------

# The fields of each action's choice.
_NAMES: dict[str, tuple[str, ...]] = {
    "assign": ("assignee",),
    "status": ("status",),
    "priority": ("priority",),
    "tags": ("added", "removed"),
    "reply": ("template",),
    "escalate": ("reason",),
    "merge": ("into",),
    "move": ("branch",),
}


Choices = list[tuple[Any, str]]


def _fields(kind: Kind, numbers: Sequence[int]) -> dict[str, Choices]:
    """What can be chosen, for the fields that have choices."""
    choices = _CHOICES.get(kind.name)
    return {_NAMES[kind.name][0]: choices(numbers)} if choices else {}


def _statuses(numbers: Sequence[int]) -> Choices:
    """Every status; where the desk asks how a matter ended, what ends it with each code; where a branch does, both."""
    life = living.current()
    plain = list(lifecycle.labels(life).items())
    coded = lifecycle.coded(plain, "open", life)
    offered = coded if life.requires_code else plain
    if not life.requires_code and _is_asked_in(_branches_of(numbers)):
        offered = [*plain, *(each for each in coded if each not in plain)]
    return [(name, tell(words_)) for name, words_ in offered]


def _assignees(numbers: Sequence[int]) -> Choices:
    colleagues = assignment.members_of_branches(_branches_of(numbers))
    return [
        ("me", gettext("Me")),
        ("none", gettext("Nobody")),
        *((user.id, str(user)) for user in colleagues),
    ]


def _targets(numbers: Sequence[int]) -> Choices:
    """Of the chosen tickets the oldest first: what came later mostly belongs to it."""
    found = access.visible_tickets(person()).where(Ticket.number.in_(numbers)).order_by(Ticket.number)
    return [(each.number, f"#{each.number} {each.subject}") for each in db.session.scalars(found)]


_CHOICES: dict[str, Callable[[Sequence[int]], Choices]] = {
    "assign": _assignees,
    "status": _statuses,
    "priority": lambda _: [(name, words.PRIORITIES[name]) for name in reversed(PRIORITIES)],
    "reply": lambda _: [(each.id, each.name) for each in templates.usable_templates(person())],
    "merge": _targets,
    "move": lambda _: [(branch.id, branch.name) for branch in lists.active_branches()],
}


def _is_asked_in(branch_ids: set[int]) -> bool:
    """Whether any of these branches asks for a resolution code of its own accord."""
    asking = select(Branch.id).where(Branch.id.in_(branch_ids), Branch.requires_code.is_(True))
    return db.session.scalar(asking.limit(1)) is not None


def _branches_of(numbers: Sequence[int]) -> set[int]:
    found = access.visible_tickets(person()).where(Ticket.number.in_(numbers))
    return set(db.session.scalars(found.with_only_columns(Ticket.branch_id).distinct()))


def _kind(args: Mapping[str, str]) -> Kind:
    kind = KINDS.get(args.get("do", ""))
    if kind is None:
        raise UserFault("Choose what to do with the tickets.")
    return kind


def _numbers(args: MultiDict[str, str]) -> list[int]:
    """The chosen tickets: `number` once for each, or `numbers` with commas between them."""
    written = [*args.getlist("number"), *args.get("numbers", "").split(",")]
    numbers = [_number(text, LARGEST_NUMBER) for text in written if text.strip()]
    if None in numbers:
        raise UserFault("One of these is not the number of a ticket.")
    if not numbers:
        raise UserFault("Choose the tickets first.")
    if len(numbers) > rules.MOST_TICKETS:
        raise UserFault(
            "Choose at most %(most)s tickets at once.",
            most=rules.MOST_TICKETS,
        )
    return [number for number in dict.fromkeys(numbers) if number is not None]


def _agreed(seen: Sequence[str]) -> dict[int, str]:
    """What was previewed: the mark of each ticket, by number."""
    pairs = [one.partition(":") for one in seen]
    return {number: mark for text, _, mark in pairs if (number := _number(text, LARGEST_NUMBER)) is not None}


def _number(text: str, largest: int) -> int | None:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < len(str(largest)) + 1):
        return None
    return int(text) if int(text) <= largest else None


def _action(kind: Kind, args: MultiDict[str, str]) -> rules.Action | None:
    """The action that was chosen; None while it is not. Raises UserFault for one that there is not."""
    if not any(args.get(name, "").strip() for name in _NAMES[kind.name]):
        return None
    return _READ[kind.name](args)


def _read_assign(args: Mapping[str, str]) -> rules.Action:
    wanted = args["assignee"]
    if wanted == "none":
        return rules.Assign(None)
    user_id = person().id if wanted == "me" else _number(wanted, LARGEST_SMALL_ID)
    found = assignment.colleague(access.access_colleague(person(), user_id or 0).id)
    if found is None:
        raise NotFound("There is no such colleague. Choose another one.")
    user, branch_ids = found
    return rules.Assign(user.id, str(user), branch_ids)


def _read_status(args: Mapping[str, str]) -> rules.Action:
    status, code_id = lifecycle.read_choice(args["status"])
    if status not in lifecycle.STATUSES:
        raise UserFault("There is no status %(unknown)s.", unknown=repr(args["status"]))
    return rules.SetStatus(status, code_id)


def _read_priority(args: Mapping[str, str]) -> rules.Action:
    if args["priority"] not in PRIORITIES:
        raise UserFault("There is no priority %(unknown)s.", unknown=repr(args["priority"]))
    return rules.Prioritise(args["priority"])


def _read_tags(args: Mapping[str, str]) -> rules.Action:
    added, removed = (
        tickets.tag_names(args.get(name, "").replace(";", ",").split(",")) for name in ("added", "removed")
    )
    if len(added) > MOST_TAGS:
        raise UserFault(
            "A ticket can have at most %(most)s tags.",
            most=MOST_TAGS,
        )
    return rules.Label(tuple(added), tuple(removed))


def _read_reply(args: Mapping[str, str]) -> rules.Action:
    template_id = _number(args["template"], LARGEST_SMALL_ID)
    template = templates.access_template(template_id or 0, person())
    return rules.Answer(template.id)


def _read_merge(args: Mapping[str, str]) -> rules.Action:
    number = _number(args["into"], LARGEST_NUMBER)
    into = access.access_ticket_by_number(person(), number or 0, for_change=True)
    is_open_to_it = into.merged_into_id is None and into.status not in ("spam", "trash")
    return rules.Merge(into.number, into.subject, is_open_to_it)


def _read_move(args: Mapping[str, str]) -> rules.Action:
    branch = db.session.get(Branch, _number(args["branch"], LARGEST_SMALL_ID) or 0)
    if branch is None:
        raise NotFound("There is no such branch. Choose another one.")
    return rules.Move(branch.id, branch.name, branch.is_active)


_READ = {
    "assign": _read_assign,
    "status": _read_status,
    "priority": _read_priority,
    "tags": _read_tags,
    "reply": _read_reply,
    "escalate": lambda args: rules.Escalate(args["reason"].strip()),
    "merge": _read_merge,
    "move": _read_move,
}
