"""Which tickets a list is about: one object for the queue, its counts, saved views, exports and links.

It is read from an address and written back into one, so that whatever a page shows can be bookmarked, shared, saved
and exported. A value that cannot be read is refused with a sentence, never dropped: a list that silently shows more
than was asked for is a wrong list.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, exists, false, literal_column, or_, select, true

from portal import access
from portal.errors import NotFound, UserFault
from portal.models import Tag, Ticket, User
from portal.models.branch import PRIORITIES
from portal.models.columns import now
from portal.models.customer import CHANNEL_KINDS
from portal.models.ticket import SEVERITIES, TICKET_TYPES, ticket_tag
from portal.rules.lifecycle import OPEN_STATUSES, STATUSES
from portal.views.console import paging, search

AT_RISK_MINUTES = 60
LONGEST_TEXT = 200
MOST_TAG_LETTERS = 64
LARGEST_ID = 2**63 - 1
LARGEST_SMALL_ID = 2**31 - 1
SLA_STATES = ("late", "at_risk", "in_time", "paused", "none")

# The words stand in the statement itself: a partial index is not chosen for a parameter.
IS_OPEN = Ticket.status.in_([literal_column(f"'{status}'") for status in OPEN_STATUSES])
IS_SNOOZED = Ticket.snoozed_until.is_not(None)
IS_FOLLOWED = Ticket.follower_ids != literal_column("'{}'::integer[]")
IS_FINISHED = Ticket.status.in_([literal_column("'resolved'"), literal_column("'closed'")])


@dataclass(frozen=True)
class View:
    """A named list that everybody has. `sort` is the order in which it is read where none is asked for."""

    name: str
    label: str
    icon: str
    sort: str = "due"
    has_count: bool = True
    empty: str = "Nothing waits here."


VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        View("mine", "Mine", "user", empty="You have no open tickets. Pick up the next one with N."),
        View("unassigned", "Unassigned", "inbox", empty="Every open ticket has someone. Well done."),
        View("branch", "My branch", "building-2", empty="No open tickets in your branches."),
        View("at_risk", "At risk", "alarm-clock", empty="Nothing falls due within the hour."),
        View("breached", "Breached", "triangle-alert", empty="Nothing is late."),
        View("escalated", "Escalated to me", "arrow-up", empty="Nothing has been escalated to your tier."),
        View(
            "following",
            "Following",
            "eye",
            sort="activity",
            empty="You follow no open ticket. F follows the one that is open.",
        ),
        View(
            "waiting",
            "Waiting on customer",
            "pause",
            sort="activity",
            empty="No ticket waits for its customer's answer.",
        ),
        View(
            "snoozed",
            "Snoozed",
            "moon",
            sort="back",
            empty="Nothing is put aside. Z snoozes the open ticket.",
        ),
        View("open", "All open", "list", empty="No open tickets within your reach."),
        View(
            "closed",
            "Recently closed",
            "check",
            sort="activity",
            has_count=False,
            empty="Nothing was closed lately.",
        ),
    )
}
# Every ticket, whatever its status: for searches, exports and links from figures.
EVERYTHING = View(
    "all", "All tickets", "search", sort="activity", has_count=False, empty="No ticket matches."
)


@dataclass(frozen=True)
class TicketFilter:
    """What narrows a list; an empty value does not. Several statuses, priorities, types or severities mean any of them.

    `assignee` is a user's id, "me" or "none"; `customer` and `branch` are ids; `tag` a tag's name. The days are those
    of `zone`, first and last included; `opened` by the moment a ticket was opened, `answered` by its first answer.
    """

    view: str = ""
    status: tuple[str, ...] = ()
    branch: int | None = None
    tier: int | None = None
    assignee: str = ""
    priority: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    channel: tuple[str, ...] = ()
    tag: str = ""
    customer: int | None = None
    sla: str = ""
    opened_from: date | None = None
    opened_to: date | None = None
    answered_from: date | None = None
    answered_to: date | None = None
    zone: str = ""
    text: str = ""
    sort: str = ""

    def to_args(self) -> dict[str, Any]:
        """The arguments of an address that means this filter; reading them gives it back."""
        return {field.name: _written(value) for field in fields(self) if (value := getattr(self, field.name))}

    def apply(self, tickets: Select[Any], user: User) -> Select[Any]:
        """The tickets of that select that match, in no order. Raises NotFound for a branch out of reach."""
        if self.branch is not None and not access.may_see_branch(user, self.branch):
            raise NotFound("This filter names a branch that does not exist or lies outside your reach.")
        return tickets.where(*_conditions(self, user))

    def of(self, user: User) -> Select[Any]:
        """The tickets within the person's reach that match, in this filter's order."""
        return self.order.applied(self.apply(access.visible_tickets(user), user))

    def with_(self, **values: Any) -> "TicketFilter":
        return replace(self, **values)

    @property
    def base(self) -> View:
        """The named list that this filter narrows; everything, where it names none but asks for something."""
        return VIEWS.get(self.view) or EVERYTHING

    @property
    def order(self) -> paging.Order:
        return paging.ORDERS[self.sort or self.base.sort]

    @property
    def is_narrowed(self) -> bool:
        """Whether it asks for more than its named list."""
        return replace(self, view="", sort="", zone="") != TicketFilter()


def filter_from(args: Mapping[str, str]) -> TicketFilter:
    """The filter that an address asks for. Raises UserFault that names everything that cannot be read."""
    reader = _Reader(args)
    found = TicketFilter(
        view=reader.word("view", (*VIEWS, EVERYTHING.name)),
        status=reader.words("status", STATUSES),
        branch=reader.number("branch", LARGEST_SMALL_ID),
        tier=reader.number("tier", 99),
        assignee=reader.assignee(),
        priority=reader.words("priority", PRIORITIES),
        type=reader.words("type", TICKET_TYPES),
        severity=reader.words("severity", SEVERITIES),
        channel=reader.words("channel", CHANNEL_KINDS),
        tag=reader.text("tag", MOST_TAG_LETTERS).lower(),
        customer=reader.number("customer", LARGEST_ID),
        sla=reader.word("sla", SLA_STATES),
        opened_from=reader.day("opened_from"),
        opened_to=reader.day("opened_to"),
        answered_from=reader.day("answered_from"),
        answered_to=reader.day("answered_to"),
        zone=reader.zone(),
        text=reader.text("text", LONGEST_TEXT),
        sort=reader.word("sort", paging.ORDERS),
    )
    reader.refuse()
    return found


class _Reader:
    """Reads arguments one by one and collects what is wrong with them, so that all is said at once."""

    def __init__(self, args: Mapping[str, str]) -> None:
        self._args = args
        self._problems: list[str] = []

    def text(self, name: str, longest: int) -> str:
        value = " ".join(self._args.get(name, "").replace("\0", "").split())
        if len(value) > longest:
            self._problems.append(f"“{name}” is longer than {longest} characters.")
            return ""
        return value

    def word(self, name: str, known: Any) -> str:
        value = self.text(name, LONGEST_TEXT)
        if value and value not in known:
            self._problems.append(f"There is no {name} “{value}”.")
            return ""
        return value

    def words(self, name: str, known: Any) -> tuple[str, ...]:
        values = [value for value in self.text(name, LONGEST_TEXT).split(",") if value]
        self._problems += [f"There is no {name} “{value}”." for value in values if value not in known]
        return tuple(value for value in known if value in values)

    def number(self, name: str, largest: int) -> int | None:
        value = self.text(name, LONGEST_TEXT)
        if not value:
            return None
        if not (value.isascii() and value.isdigit()) or not 1 <= int(value) <= largest:
            self._problems.append(f"“{name}” must be a number, not “{value}”.")
            return None
        return int(value)

    def assignee(self) -> str:
        value = self.text("assignee", LONGEST_TEXT)
        if value in ("", "me", "none"):
            return value
        number = self.number("assignee", LARGEST_SMALL_ID)
        return str(number) if number else ""

    def day(self, name: str) -> date | None:
        value = self.text(name, LONGEST_TEXT)
        if not value:
            return None
        try:
            day = date.fromisoformat(value)
        except ValueError:
            self._problems.append(f"“{name}” must be a day like 2026-11-23, not “{value}”.")
            return None
        if not 1970 <= day.year <= 9000:
            self._problems.append(f"“{name}” must be a day between the years 1970 and 9000.")
            return None
        return day

    def zone(self) -> str:
        value = self.text("zone", LONGEST_TEXT)
        if not value:
            return ""
        try:
            return ZoneInfo(value).key
        except (ValueError, OSError):
            self._problems.append(f"There is no time zone “{value}”.")
            return ""

    def refuse(self) -> None:
        if self._problems:
            raise UserFault("This list cannot be shown as asked: " + " ".join(self._problems))


def _written(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _conditions(wanted: TicketFilter, user: User) -> list[ColumnElement[bool]]:
    given: list[ColumnElement[bool] | None] = [
        _of_view(wanted.view, user),
        Ticket.status.in_(wanted.status) if wanted.status else None,
        Ticket.branch_id == wanted.branch if wanted.branch else None,
        Ticket.tier_level == wanted.tier if wanted.tier else None,
        _of_assignee(wanted.assignee, user),
        Ticket.priority.in_(wanted.priority) if wanted.priority else None,
        Ticket.type.in_(wanted.type) if wanted.type else None,
        Ticket.severity.in_(wanted.severity) if wanted.severity else None,
        Ticket.channel_kind.in_(wanted.channel) if wanted.channel else None,
        _tagged(wanted.tag) if wanted.tag else None,
        Ticket.customer_id == wanted.customer if wanted.customer else None,
        _of_sla(wanted.sla),
        *_of_days(wanted),
        search.matches(wanted.text, user, wanted.zone) if wanted.text else None,
    ]
    return [condition for condition in given if condition is not None]


def _of_view(view: str, user: User) -> ColumnElement[bool] | None:
    # What is snoozed leaves the lists of work; where clocks or statuses are looked at it stays, for clocks run on.
    narrowed: dict[str, Callable[[], ColumnElement[bool] | None]] = {
        "mine": lambda: and_(~IS_SNOOZED, Ticket.assignee_id == user.id),
        "unassigned": lambda: and_(~IS_SNOOZED, Ticket.assignee_id.is_(None)),
        "branch": lambda: and_(~IS_SNOOZED, _in_own_branches(user)),
        "at_risk": lambda: _of_sla("at_risk"),
        "breached": lambda: and_(Ticket.is_breached),
        "escalated": lambda: and_(~IS_SNOOZED, _on_own_tier(user)),
        "following": lambda: and_(IS_FOLLOWED, Ticket.follower_ids.contains([user.id])),
        "snoozed": lambda: IS_SNOOZED,
        "waiting": lambda: Ticket.status == literal_column("'pending'"),
    }
    if view in narrowed:
        condition = narrowed[view]()
        return IS_OPEN if condition is None else and_(IS_OPEN, condition)
    return {"open": IS_OPEN, "closed": IS_FINISHED}.get(view)


def _in_own_branches(user: User) -> ColumnElement[bool]:
    """The branches that the person is a member of; for someone who sees every branch without one, all of them."""
    own = list(access.memberships(user))
    if not own and access.branch_ids(user) is None:
        return true()
    return Ticket.branch_id.in_(own)


def _on_own_tier(user: User) -> ColumnElement[bool]:
    raised = Ticket.tier_level > literal_column("1")
    places = [
        and_(Ticket.branch_id == branch_id, Ticket.tier_level == place.tier_level)
        for branch_id, place in access.memberships(user).items()
        if place.tier_level > 1
    ]
    return and_(raised, or_(*places)) if places else false()


def _of_assignee(assignee: str, user: User) -> ColumnElement[bool] | None:
    if not assignee:
        return None
    if assignee == "none":
        return Ticket.assignee_id.is_(None)
    return Ticket.assignee_id == (user.id if assignee == "me" else int(assignee))


def _tagged(name: str) -> ColumnElement[bool]:
    return exists(
        select(ticket_tag.c.ticket_id)
        .join(Tag, Tag.id == ticket_tag.c.tag_id)
        .where(ticket_tag.c.ticket_id == Ticket.id, Tag.name == name)
    )


def _of_sla(state: str) -> ColumnElement[bool] | None:
    at = now()
    soon = at + timedelta(minutes=AT_RISK_MINUTES)
    match state:
        case "late":
            return Ticket.is_breached.is_(True)
        case "at_risk":
            return and_(~Ticket.is_breached, paging.DUE.between(at, soon))
        case "in_time":
            return and_(~Ticket.is_breached, Ticket.next_due_at > soon)
        case "paused":
            return Ticket.is_paused.is_(True)
        case "none":
            return and_(Ticket.next_due_at.is_(None), ~Ticket.is_paused)
    return None


def _of_days(wanted: TicketFilter) -> list[ColumnElement[bool]]:
    zone = ZoneInfo(wanted.zone or "UTC")
    spans = (
        (Ticket.created_at, wanted.opened_from, wanted.opened_to),
        (Ticket.first_responded_at, wanted.answered_from, wanted.answered_to),
    )
    found: list[ColumnElement[bool]] = []
    for column, first, last in spans:
        if first:
            found.append(column >= _midnight(first, zone))
        if last:
            found.append(column < _midnight(last + timedelta(days=1), zone))
    return found


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, tzinfo=zone)
