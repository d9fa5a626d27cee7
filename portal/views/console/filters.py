"""Which tickets a list is about: one object for the queue, its counts, saved views, exports and links.

It is read from an address and written back into one, so that whatever a page shows can be bookmarked, shared, saved
and exported. A value that cannot be read is refused with a sentence, never dropped: a list that silently shows more
than was asked for is a wrong list.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from dataclasses import fields as parts_of
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select

from portal import access
from portal.errors import NotFound, UserFault
from portal.language import lazy_gettext, says
from portal.models import User
from portal.models.branch import PRIORITIES
from portal.models.customer import CHANNEL_KINDS
from portal.models.ticket import SEVERITIES, TICKET_TYPES
from portal.rules.fields import Condition, UnreadableValueError, read_condition, write_condition
from portal.rules.lifecycle import STATUSES
from portal.services import fields
from portal.views.console import paging, words
from portal.views.console.conditions import conditions_of

LONGEST_TEXT = 200
LONGEST_LIST = 2000
LONGEST_ADDRESS = 320
MOST_TAG_LETTERS = 64
LARGEST_ID = 2**63 - 1
LARGEST_SMALL_ID = 2**31 - 1
YES = "yes"
SLA_STATES = ("late", "at_risk", "in_time", "paused", "none")
# field.order_number=A-17, field.amount.from=5, field.colour.is=empty: the desk's own fields, by their keys.
FIELD_PREFIX = "field."
FIELD_ENDS = frozenset({"", "from", "to", "is"})
NOT_BY_ID = ("me", "none")


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
        View(
            "mine",
            lazy_gettext("Mine"),
            "user",
            empty=lazy_gettext("You have no open tickets. Pick up the next one with N."),
        ),
        View(
            "unassigned",
            lazy_gettext("Unassigned"),
            "inbox",
            empty=lazy_gettext("Every open ticket has someone. Well done."),
        ),
        View(
            "branch",
            lazy_gettext("My branch"),
            "building-2",
            empty=lazy_gettext("No open tickets in your branches."),
        ),
        View(
            "at_risk",
            lazy_gettext("At risk"),
            "alarm-clock",
            empty=lazy_gettext("Nothing falls due within the hour."),
        ),
        View("breached", lazy_gettext("Breached"), "triangle-alert", empty=lazy_gettext("Nothing is late.")),
        View(
            "escalated",
            lazy_gettext("Escalated to me"),
            "arrow-up",
            empty=lazy_gettext("Nothing has been escalated to your tier."),
        ),
        View(
            "following",
            lazy_gettext("Following"),
            "eye",
            sort="activity",
            empty=lazy_gettext("You follow no open ticket. F follows the one that is open."),
        ),
        View(
            "waiting",
            words.lazy_status("pending"),
            "pause",
            sort="activity",
            empty=lazy_gettext("No ticket waits for its customer's answer."),
        ),
        View(
            "snoozed",
            lazy_gettext("Snoozed"),
            "moon",
            sort="back",
            empty=lazy_gettext("Nothing is put aside. Z snoozes the open ticket."),
        ),
        View(
            "open", lazy_gettext("All open"), "list", empty=lazy_gettext("No open tickets within your reach.")
        ),
        View(
            "closed",
            lazy_gettext("Recently closed"),
            "check",
            sort="activity",
            has_count=False,
            empty=lazy_gettext("Nothing was closed lately."),
        ),
    )
}
# Every ticket, whatever its status: for searches, exports and links from figures.
EVERYTHING = View(
    "all",
    lazy_gettext("All tickets"),
    "search",
    sort="activity",
    has_count=False,
    empty=lazy_gettext("No ticket matches."),
)


@dataclass(frozen=True)
class TicketFilter:
    """What narrows a list; an empty value does not. Several values of one kind mean any of them.

    `assignee` is a user's id, "me" or "none"; `customer` an id or an address; `branch` and `template` are ids; a tag is
    meant by its name, or by its id where it may be renamed meanwhile; `is_untagged` finds tickets without a tag, beside
    those of the tags that are named. The days are those of `zone`, first and last included; `opened` by the moment a
    ticket was opened, `answered` by its first answer (`is_unanswered`: without one), `activity` by what happened last;
    `fields` are what is asked of the desk's own fields, one condition each.
    """

    view: str = ""
    status: tuple[str, ...] = ()
    branch: tuple[int, ...] = ()
    tier: int | None = None
    assignee: tuple[str, ...] = ()
    priority: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    channel: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    tag_id: tuple[int, ...] = ()
    is_untagged: bool = False
    customer: str = ""
    template: tuple[int, ...] = ()
    sla: str = ""
    opened_from: date | None = None
    opened_to: date | None = None
    answered_from: date | None = None
    answered_to: date | None = None
    is_unanswered: bool = False
    activity_from: date | None = None
    activity_to: date | None = None
    fields: tuple[Condition, ...] = ()
    zone: str = ""
    text: str = ""
    sort: str = ""

    def to_args(self) -> dict[str, Any]:
        """The arguments of an address that means this filter; reading them gives it back."""
        given = {part.name: getattr(self, part.name) for part in parts_of(self) if part.name != "fields"}
        written = {name: _written(value) for name, value in given.items() if value}
        for condition in self.fields:
            for end, text in write_condition(condition).items():
                written[f"{FIELD_PREFIX}{condition.key}" + (f".{end}" if end else "")] = text
        return written

    def apply(self, tickets: Select[Any], user: User) -> Select[Any]:
        """The tickets of that select that match, in no order. Raises NotFound for a branch or field out of reach."""
        if not self.is_within_reach(user):
            raise NotFound(
                "This filter names a branch or a field that does not exist or lies outside your reach."
            )
        return tickets.where(*conditions_of(self, user))

    @property
    def is_plain(self) -> bool:
        """Whether what it asks the database depends on nothing but itself and the person's reach."""
        return not (self.text or self.fields)

    def of(self, user: User) -> Select[Any]:
        """The tickets within the person's reach that match, in this filter's order."""
        return self.order.applied(self.apply(access.visible_tickets(user), user))

    def is_within_reach(self, user: User) -> bool:
        """Whether the person may see every branch and every field that it names."""
        if not all(access.may_see_branch(user, branch_id) for branch_id in self.branch):
            return False
        asked = {condition.key for condition in self.fields}
        return not asked or asked <= {field.key for field in fields.visible_definitions(user)}

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


def filter_from(args: Mapping[str, str], user: User) -> TicketFilter:
    """The filter that an address asks for. Raises UserFault that names everything that cannot be read.

    Reads the definitions of the desk's own fields where it asks about one. A field out of the person's reach is
    answered like one that does not exist, whatever is asked of it.
    """
    reader = _Reader(args, user)
    found = TicketFilter(
        view=reader.word("view", (*VIEWS, EVERYTHING.name)),
        status=reader.words("status", STATUSES),
        branch=reader.numbers("branch", LARGEST_SMALL_ID),
        tier=reader.number("tier", 99),
        assignee=reader.assignees(),
        priority=reader.words("priority", PRIORITIES),
        type=reader.words("type", TICKET_TYPES),
        severity=reader.words("severity", SEVERITIES),
        channel=reader.words("channel", CHANNEL_KINDS),
        tag=reader.tags(),
        tag_id=reader.numbers("tag_id", LARGEST_SMALL_ID),
        is_untagged=reader.word("is_untagged", (YES,)) == YES,
        customer=reader.customer(),
        template=reader.numbers("template", LARGEST_SMALL_ID),
        sla=reader.word("sla", SLA_STATES),
        opened_from=reader.day("opened_from"),
        opened_to=reader.day("opened_to"),
        answered_from=reader.day("answered_from"),
        answered_to=reader.day("answered_to"),
        is_unanswered=reader.word("is_unanswered", (YES,)) == YES,
        activity_from=reader.day("activity_from"),
        activity_to=reader.day("activity_to"),
        fields=reader.fields(),
        zone=reader.zone(),
        text=reader.text("text", LONGEST_TEXT),
        sort=reader.word("sort", paging.ORDERS),
    )
    reader.refuse()
    return found


class _Reader:
    """Reads arguments one by one and collects what is wrong with them, so that all is said at once."""

    def __init__(self, args: Mapping[str, str], user: User) -> None:
        self._args = args
        self._user = user
        self._problems: list[str] = []

    def text(self, name: str, longest: int) -> str:
        value = " ".join(self._all(name).replace("\0", "").split())
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
        values = self._several(name)
        self._problems += [f"There is no {name} “{value}”." for value in values if value not in known]
        return tuple(value for value in known if value in values)

    def number(self, name: str, largest: int) -> int | None:
        value = self.text(name, LONGEST_TEXT)
        return self._number(name, value, largest) if value else None

    def numbers(self, name: str, largest: int) -> tuple[int, ...]:
        found = (self._number(name, value, largest) for value in self._several(name))
        return tuple(sorted({number for number in found if number is not None}))

    def assignees(self) -> tuple[str, ...]:
        found = self._several("assignee")
        numbers = (self._number("assignee", one, LARGEST_SMALL_ID) for one in found if one not in NOT_BY_ID)
        ids = sorted({number for number in numbers if number is not None})
        return (*(one for one in NOT_BY_ID if one in found), *map(str, ids))

    def tags(self) -> tuple[str, ...]:
        names = sorted({name.lower() for name in self._several("tag")})
        if any(len(name) > MOST_TAG_LETTERS for name in names):
            self._problems.append(f"A tag in “tag” is longer than {MOST_TAG_LETTERS} characters.")
            return ()
        return tuple(names)

    def customer(self) -> str:
        # A completed address ends with a comma.
        value = self.text("customer", LONGEST_ADDRESS).rstrip(", ").lower()
        if not value or value[0] == "+" or ("@" in value and not {",", " "} & set(value)):
            return value
        if value.isascii() and value.isdigit() and 1 <= int(value) <= LARGEST_ID:
            return str(int(value))
        self._problems.append(
            f"“customer” must be the address of one customer, not “{value}”. Choose it from the list."
        )
        return ""

    def fields(self) -> tuple[Condition, ...]:
        asked: dict[str, dict[str, str]] = {}
        for name in self._args:
            key, _, end = name.removeprefix(FIELD_PREFIX).partition(".")
            if name.startswith(FIELD_PREFIX) and self._all(name).strip():
                asked.setdefault(key, {})[end] = self.text(name, LONGEST_LIST)
        known = {field.key: field for field in fields.visible_definitions(self._user)} if asked else {}
        found = []
        for key, written in asked.items():
            if key not in known or written.keys() - FIELD_ENDS:
                self._problems.append(f"There is no field “{key[:LONGEST_TEXT]}”.")
                continue
            try:
                found.append(read_condition(known[key], written))
            except UnreadableValueError as fault:
                self._problems.append(says(fault))
        return tuple(sorted((one for one in found if write_condition(one)), key=lambda one: one.key))

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

    def _all(self, name: str) -> str:
        """The value of that name; of several, as forms send them, one list."""
        getlist = getattr(self._args, "getlist", None)
        values: Iterable[str] = getlist(name) if getlist else [self._args.get(name, "")]
        return ",".join(value for value in values if value)

    def _several(self, name: str) -> list[str]:
        values = (value.strip() for value in self.text(name, LONGEST_LIST).split(","))
        return [value for value in values if value]

    def _number(self, name: str, value: str, largest: int) -> int | None:
        if not (value.isascii() and value.isdigit()) or not 1 <= int(value) <= largest:
            self._problems.append(f"“{name}” must be a number, not “{value}”.")
            return None
        return int(value)

    def refuse(self) -> None:
        if self._problems:
            raise UserFault("This list cannot be shown as asked: " + " ".join(self._problems))


def _written(value: Any) -> str:
    if value is True:
        return YES
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
