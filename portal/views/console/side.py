"""What matters about a ticket: its customer, its clocks, where it goes next, its details."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import url_for

from portal import access
from portal.language import gettext, lazy_gettext, ngettext
from portal.models import Escalation, Ticket, User
from portal.rules import lifecycle
from portal.rules.escalation import PathStep, Turn
from portal.rules.policies import CLOCK_KINDS
from portal.rules.sla import ClockView
from portal.services import linking, sla
from portal.views.console import reading, words
from portal.views.console.own_fields import FieldLine, lines_of
from portal.views.console.reading import Found, Standing
from portal.views.console.words import Reader

IDENTITY_LABELS = {
    "email": lazy_gettext("E-mail"),
    "phone": lazy_gettext("Phone"),
    "telegram": lazy_gettext("Telegram"),
    "chat": lazy_gettext("Chat"),
}
MOST_NAMES = 3


@dataclass(frozen=True)
class ClockLine:
    """A clock with its bar: how much of the target is used, in words and in percent of the bar."""

    label: str
    value: str
    percent: int
    tone: str
    reason: str
    # When it runs out by the wall clock: the figures count working time, where the policy does.
    due: str
    has_bar: bool


@dataclass(frozen=True)
class Step:
    """A tier of the path: `state` is passed, here, next or later."""

    name: str
    state: str
    says: str


@dataclass(frozen=True)
class OtherTicket:
    """Another ticket of the customer."""

    number: int
    subject: str
    status: str
    url: str
    moment: str
    is_open: bool


@dataclass(frozen=True)
class Link:
    """A linked ticket; without a number it lies out of reach."""

    number: int | None
    subject: str
    status: str
    url: str
    is_open: bool


@dataclass(frozen=True)
class Stretch:
    """A stretch of a clock's life: when, why, and how much of it counted."""

    began: str
    ended: str
    reason: str
    counted: str
    is_running: bool


@dataclass(frozen=True)
class Explanation:
    """A clock with the stretches that add up to its figure."""

    label: str
    says: str
    target: str
    elapsed: str
    policy: str
    tone: str
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True)
class Side:
    """Everything in the side column."""

    identities: tuple[tuple[str, str], ...]
    others: tuple[OtherTicket, ...]
    clocks: tuple[ClockLine, ...]
    policy: str
    steps: tuple[Step, ...]
    may_escalate: bool
    open_escalation: Escalation | None
    higher: tuple[tuple[int, str], ...]
    opened: str
    opened_exactly: str
    followers: tuple[str, ...]
    fields: tuple[FieldLine, ...]
    # By what this ticket is to them, as a heading.
    links: tuple[tuple[str, tuple[Link, ...]], ...]


def side_of(found: Found, standing: Standing, user: User, reader: Reader) -> Side:
    """The side column of that ticket for that person."""
    ticket = found.ticket
    higher = tuple((step.level, step.name) for step in standing.path if step.level > ticket.tier_level)
    is_open = ticket.status in lifecycle.OPEN_STATUSES
    return Side(
        identities=tuple(
            (str(IDENTITY_LABELS[identity.kind]), identity.address) for identity in ticket.customer.identities
        ),
        others=_others(reading.other_tickets_of(user, ticket), reader),
        clocks=_clock_lines(standing.clocks, reader),
        policy=standing.policy,
        steps=tuple(_step(step, ticket, reader) for step in standing.path),
        may_escalate=bool(higher) and is_open and may_change(user),
        open_escalation=found.escalation if ticket.tier_level > 1 else None,
        higher=higher,
        opened=reader.moment(ticket.created_at),
        opened_exactly=reader.exactly(ticket.created_at),
        followers=found.followers,
        fields=lines_of(found.fields, ticket),
        links=_links(found),
    )


def may_change(user: User) -> bool:
    """Whether the person may do more than look."""
    return bool(access.role_names(user) & access.MAY_CHANGE_TICKETS)


def effects_line(ticket: Ticket) -> str:
    """For a ticket that is finished: how many of those that it causes are not; "" for none."""
    if ticket.status not in ("resolved", "closed"):
        return ""
    count = linking.count_open_effects(ticket)
    if not count:
        return ""
    return ngettext(
        "One ticket that it causes is still open.", "%(num)s tickets that it causes are still open.", count
    )


def explanations_of(ticket: Ticket, reader: Reader) -> list[Explanation]:
    """Every clock of the ticket with the stretches of time that make its figure."""
    return [
        Explanation(
            label=gettext(explained.label)
            + (f", {explained.clock.cycle}." if explained.clock.cycle > 1 else ""),
            says=words.told(explained.clock.reason),
            target=words.span(explained.clock.target_seconds),
            elapsed=words.span(explained.clock.elapsed_seconds),
            policy=explained.policy,
            tone="late" if explained.clock.is_breached else "",
            stretches=tuple(
                Stretch(
                    began=reader.moment(interval.started_at),
                    ended=reader.moment(interval.ended_at) if interval.ended_at else gettext("now"),
                    reason=words.told(interval.reason),
                    counted=words.span(interval.elapsed_seconds) if interval.is_running else "–",
                    is_running=interval.is_running,
                )
                for interval in explained.intervals
            ),
        )
        for explained in sla.explain(ticket)
    ]


def _clock_lines(clocks: Sequence[ClockView], reader: Reader) -> tuple[ClockLine, ...]:
    """The newest clock of each kind; an answer that is no longer owed is left out."""
    newest = {clock.kind: clock for clock in clocks}
    shown = [clock for clock in newest.values() if clock.state != "cancelled"]
    if any(clock.kind == "next_response" for clock in shown):
        shown = [clock for clock in shown if clock.kind != "first_response" or clock.stopped_at is None]
    shown.sort(key=lambda clock: CLOCK_KINDS.index(clock.kind))
    return tuple(_clock_line(clock, reader) for clock in shown)


def _clock_line(clock: ClockView, reader: Reader) -> ClockLine:
    left = clock.target_seconds - clock.elapsed_seconds
    is_warned = clock.warn_at is not None and clock.warn_at <= reader.at
    tone = "late" if clock.is_breached else "warn" if is_warned and clock.stopped_at is None else ""
    if clock.stopped_at is not None:
        after = words.span(clock.elapsed_seconds)
        value = (
            gettext("met late after %(span)s", span=after)
            if clock.is_breached
            else gettext("met after %(span)s", span=after)
        )
    elif clock.is_breached:
        value = gettext("%(span)s late", span=words.span(left))
    elif not clock.is_running:
        value = gettext("paused, %(span)s left", span=words.span(left))
    else:
        value = gettext("%(span)s left", span=words.span(left))
    due = (
        gettext("due %(moment)s", moment=reader.at_moment(clock.due_at))
        if clock.due_at and clock.stopped_at is None
        else ""
    )
    return ClockLine(
        label=words.clock(clock.kind),
        value=value,
        percent=min(clock.percent, 100),
        tone=tone if clock.stopped_at is None or clock.is_breached else "",
        reason=words.told(clock.reason),
        due=due,
        has_bar=clock.stopped_at is None,
    )


def _step(step: PathStep, ticket: Ticket, reader: Reader) -> Step:
    return Step(name=step.name, state=step.state, says=_step_says(step, ticket, reader))


def _step_says(step: PathStep, ticket: Ticket, reader: Reader) -> str:
    names = ", ".join(step.who[:MOST_NAMES])
    if len(step.who) > MOST_NAMES:
        names = gettext("%(names)s and %(count)s more", names=names, count=len(step.who) - MOST_NAMES)
    if step.state == "here":
        who = words.within_name(reader, ticket.assignee, gettext("nobody yet"))
        if step.turn is not None:
            return " · ".join([who, *_turn_says(step.turn, reader)])
        if ticket.assignee_id is None or ticket.picked_up_at is None:
            return who
        return gettext("%(who)s, since %(moment)s", who=who, moment=reader.since(ticket.picked_up_at))
    if step.state == "next" and step.at is not None:
        when = f"{reader.at_moment(step.at)} {gettext(step.unless) if step.unless else ''}".strip()
        return " · ".join(part for part in (when, names) if part)
    return names or gettext("nobody on this level yet")


def _turn_says(turn: Turn, reader: Reader) -> list[str]:
    """Told Ana 14:20; then Tom at 14:40 unless acknowledged."""
    since = reader.since(turn.since) if turn.since is not None else ""
    if turn.is_over:
        told = gettext("told whoever leads the branch %(moment)s", moment=since)
    elif turn.told:
        told = gettext("told %(who)s %(moment)s", who=turn.told, moment=since)
    else:
        told = gettext("told everyone on this level %(moment)s", moment=since)
    said = [told] if since else []
    if turn.then_at is None:
        said.append(gettext("not acknowledged"))
    elif turn.action is not None:
        then = {
            "next_on_call": gettext("then %(who)s is told", who=turn.then),
            "next_tier": gettext("then goes to %(name)s", name=turn.then),
            "branch_lead": gettext("then whoever leads the branch is told"),
        }[turn.action]
        when = reader.at_moment(turn.then_at)
        said.append(gettext("%(then)s %(when)s unless acknowledged", then=then, when=when))
    return said


def _links(found: Found) -> tuple[tuple[str, tuple[Link, ...]], ...]:
    return tuple(
        (heading.heading, links)
        for relation, heading in words.RELATIONS.items()
        if (links := tuple(_link(each) for each in found.links if each.relation == relation))
    )


def _link(linked: reading.Linked) -> Link:
    if linked.number is None:
        return Link(None, gettext("A ticket in another branch"), "", "", is_open=True)
    return Link(
        number=linked.number,
        subject=linked.subject or gettext("(no subject)"),
        status=words.within(words.status(linked.status)),
        url=url_for("console.ticket", number=linked.number),
        is_open=linked.status in lifecycle.OPEN_STATUSES,
    )


def _others(tickets: Sequence[Ticket], reader: Reader) -> tuple[OtherTicket, ...]:
    return tuple(
        OtherTicket(
            number=ticket.number,
            subject=ticket.subject or gettext("(no subject)"),
            status=words.within(words.status(ticket.status)),
            url=url_for("console.ticket", number=ticket.number),
            moment=reader.moment(ticket.last_activity_at),
            is_open=ticket.status in lifecycle.OPEN_STATUSES,
        )
        for ticket in tickets
    )
