"""The desk in figures, read from the ledger. What each figure means, with its edge cases: docs/metrics.md.

Every function here reads and never writes. Times are UTC inside; a period is whole days in the zone of the person
who looks. `branch_ids` are always named: whoever may see every branch names every branch (`branches_of`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select, text

from portal.extensions import db
from portal.models import Branch
from portal.models.columns import now
from portal.services import metrics_sql as sql
from portal.wording import N_

SECONDS, SHARE, PER_WEEK = "seconds", "share", "per_week"
Row = Mapping[str, Any]
# By whether it is the period asked for (True) or the preceding one (False).
TwoRows = Mapping[bool, Row]
# A trend of more bars than this is read by the week, then by the month.
MOST_DAILY_BARS, MOST_WEEKLY_BARS = 45, 190


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, `first` and `last` included, as they are counted in `time_zone`."""

    first: date
    last: date
    time_zone: str = "UTC"

    @property
    def day_count(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def start(self) -> datetime:
        """The first moment of it, in UTC."""
        return _midnight(self.first, self.time_zone)

    @property
    def end(self) -> datetime:
        """The first moment after it, in UTC."""
        return _midnight(self.last + timedelta(days=1), self.time_zone)

    @property
    def preceding(self) -> "Period":
        """As many days, ending the day before this one begins."""
        return Period(
            self.first - timedelta(days=self.day_count), self.first - timedelta(days=1), self.time_zone
        )

    @property
    def bar_unit(self) -> str:
        """The width of one bar of the trend: day, week or month."""
        if self.day_count <= MOST_DAILY_BARS:
            return "day"
        return "week" if self.day_count <= MOST_WEEKLY_BARS else "month"


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a period beside the same figure of the preceding period; None where nothing was measured.

    `unit` is seconds, share (0 to 1) or per_week; `count` is how many things it was measured on.
    """

    name: str
    label: str
    value: float | None
    previous: float | None
    count: int
    previous_count: int
    unit: str
    definition: str
    is_lower_better: bool = False

    @property
    def change(self) -> float | None:
        """By how much of the preceding value it moved (0.25: a quarter more); shares move in points."""
        if self.value is None or self.previous is None:
            return None
        if self.unit == SHARE:
            return self.value - self.previous
        return (self.value - self.previous) / self.previous if self.previous else None


@dataclass(frozen=True, slots=True)
class FirstResponse:
    """The north star: how long customers waited for the first answer of a person."""

    median: Metric
    p75: Metric
    p90: Metric
    business_median: Metric


@dataclass(frozen=True, slots=True)
class Bar:
    """One step of the trend; `median_seconds` is None where no first answer was given."""

    first: date
    last: date
    median_seconds: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is open now, whatever the period; ages count from the opening of the ticket."""

    open_count: int = 0
    unassigned_count: int = 0
    unanswered_count: int = 0
    late_count: int = 0
    # Younger than a day, one to three days, three to seven, older.
    age_counts: tuple[int, int, int, int] = (0, 0, 0, 0)
    oldest_at: datetime | None = None
    median_age_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """The metrics of one branch, or of all the branches asked for."""

    first_response: FirstResponse
    pickup: Metric
    template_usage: Metric
    escalation: Metric
    logins: Metric
    first_action: Metric
    opened_count: int
    backlog: Backlog


@dataclass(frozen=True, slots=True)
class Board:
    """Everything the leads' page shows. `total` counts each thing once, also where people work in two branches."""

    period: Period
    total: Figures
    branches: tuple[tuple[Branch, Figures], ...]
    trend: tuple[Bar, ...]
    at: datetime

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all has come in, now or in either period."""
        figures = self.total
        return not (figures.opened_count or figures.backlog.open_count or figures.pickup.previous_count)


DEFINITIONS: Mapping[str, tuple[str, str, str, bool]] = {
    # name: label, unit, definition, whether lower is better
    "first_response_median": (
        N_("First response"),
        SECONDS,
        N_(
            "Half of the first answers given in the period came within this time. From the opening of the ticket to "
            "the first reply of a person, nights and weekends included."
        ),
        True,
    ),
    "first_response_p75": (
        N_("Three in four within"),
        SECONDS,
        N_("75 % of the first answers came within it."),
        True,
    ),
    "first_response_p90": (
        N_("Nine in ten within"),
        SECONDS,
        N_("90 % of the first answers came within it."),
        True,
    ),
    "first_response_business_median": (
        N_("Median in working hours"),
        SECONDS,
        N_(
            "The same, counting only the branch's working hours: the reading of the first-response clock. Tickets "
            "whose policy sets no such clock are left out."
        ),
        True,
    ),
    "pickup_rate": (
        N_("Pickup rate"),
        SHARE,
        N_(
            "Of the tickets opened in the period, the share that an agent has taken by their own choice. Tickets "
            "that are spam or in the trash are left out."
        ),
        False,
    ),
    "template_usage": (
        N_("Template usage"),
        SHARE,
        N_(
            "Of the replies sent in the period, the share that was written from a template. Replies called back "
            "before they left are left out."
        ),
        False,
    ),
    "escalation_rate": (
        N_("Escalation rate"),
        SHARE,
        N_(
            "Of the tickets opened in the period, the share that has gone to a higher tier at least once, by hand "
            "or by the clock. Tickets that are spam or in the trash are left out."
        ),
        True,
    ),
    "login_frequency": (
        N_("Logins per person and week"),
        PER_WEEK,
        N_(
            "Logins of the active members of these branches, for each member and seven days; members who never "
            "logged in count."
        ),
        False,
    ),
    "first_action": (
        N_("Time to first action"),
        SECONDS,
        N_(
            "Half of the tickets opened by an agent for the first time in the period had waited no longer than this "
            "to be looked at. From the opening of the ticket, nights and weekends included."
        ),
        True,
    ),
}


def branches_of(branch_ids: Iterable[int] | None) -> list[Branch]:
    """The branches with those ids (None: every branch), by name."""
    # The ids are what access.led_branch_ids allows, which is narrower than what the session's own scope does.
    found = select(Branch).order_by(Branch.name)
    if branch_ids is not None:
        found = found.where(Branch.id.in_(list(branch_ids)))
    return list(db.session.scalars(found))


def board(branches: Sequence[Branch], period: Period) -> Board:
    """All figures of those branches for the period, each beside the preceding period's: six statements."""
    at = now()
    asked = {
        "branch_ids": [branch.id for branch in branches],
        "previous_start": period.preceding.start,
        "start": period.start,
        "end": period.end,
    }
    responses = _rows(sql.FIRST_RESPONSE, asked, unit=period.bar_unit, time_zone=period.time_zone)
    actions = _by_branch(_rows(sql.FIRST_ACTION, asked))
    opened = _by_branch(_rows(sql.OPENED, asked))
    replies = _by_branch(_rows(sql.REPLIES, asked))
    logins = {row["branch_id"]: row for row in _rows(sql.LOGINS, asked)}
    backlogs = {row["branch_id"]: _backlog(row) for row in _rows(sql.BACKLOG, asked, at=at)}
    by_branch = _by_branch(row for row in responses if row["bar"] is None)

    def figures(branch_id: int | None) -> Figures:
        return Figures(
            first_response=_first_response(by_branch.get(branch_id, {})),
            pickup=_share("pickup_rate", opened.get(branch_id, {}), "picked_up_count", "ticket_count"),
            template_usage=_share(
                "template_usage", replies.get(branch_id, {}), "template_count", "reply_count"
            ),
            escalation=_share(
                "escalation_rate", opened.get(branch_id, {}), "escalated_count", "ticket_count"
            ),
            logins=_login_frequency(logins.get(branch_id), period.day_count),
            first_action=_seconds("first_action", actions.get(branch_id, {}), "median"),
            opened_count=_number(opened.get(branch_id, {}).get(True), "ticket_count"),
            backlog=backlogs.get(branch_id, Backlog()),
        )

    return Board(
        period=period,
        total=figures(None),
        branches=tuple((branch, figures(branch.id)) for branch in branches),
        trend=_trend(period, [row for row in responses if row["bar"] is not None]),
        at=at,
    )


def _rows(statement: str, asked: Mapping[str, Any], **more: Any) -> list[Row]:
    # Text, not the ORM: the session's scope would hide logins, which belong to no branch, from leads; the branches
    # are limited by `branch_ids` in every statement instead.
    return [dict(row) for row in db.session.execute(text(statement), {**asked, **more}).mappings()]


def _by_branch(rows: Iterable[Row]) -> dict[int | None, dict[bool, Row]]:
    """Rows by branch id (None: all together) and period."""
    found: dict[int | None, dict[bool, Row]] = {}
    for row in rows:
        found.setdefault(row["branch_id"], {})[row["is_current"]] = row
    return found


def _first_response(rows: TwoRows) -> FirstResponse:
    return FirstResponse(
        median=_seconds("first_response_median", rows, "median"),
        p75=_seconds("first_response_p75", rows, "p75"),
        p90=_seconds("first_response_p90", rows, "p90"),
        business_median=_seconds(
            "first_response_business_median", rows, "business_median", count="business_count"
        ),
    )


def _seconds(name: str, rows: TwoRows, column: str, *, count: str = "answer_count") -> Metric:
    current, previous = rows.get(True), rows.get(False)
    return _metric(
        name,
        value=current[column] if current else None,
        previous=previous[column] if previous else None,
        count=_number(current, count),
        previous_count=_number(previous, count),
    )


def _share(name: str, rows: TwoRows, part: str, whole: str) -> Metric:
    current, previous = rows.get(True), rows.get(False)
    return _metric(
        name,
        value=_ratio(_number(current, part), _number(current, whole)),
        previous=_ratio(_number(previous, part), _number(previous, whole)),
        count=_number(current, whole),
        previous_count=_number(previous, whole),
    )


def _login_frequency(row: Row | None, day_count: int) -> Metric:
    people = _number(row, "member_count")
    weeks = day_count / 7
    return _metric(
        "login_frequency",
        value=_ratio(_number(row, "login_count"), people * weeks),
        previous=_ratio(_number(row, "previous_login_count"), people * weeks),
        count=people,
        previous_count=people,
    )


def _metric(name: str, **values: Any) -> Metric:
    label, unit, definition, is_lower_better = DEFINITIONS[name]
    return Metric(
        name=name, label=label, unit=unit, definition=definition, is_lower_better=is_lower_better, **values
    )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _number(row: Row | None, column: str) -> int:
    return int(row[column] or 0) if row else 0


def _backlog(row: Row) -> Backlog:
    return Backlog(
        open_count=row["open_count"],
        unassigned_count=row["unassigned_count"],
        unanswered_count=row["unanswered_count"],
        late_count=row["late_count"],
        age_counts=(row["day_count"], row["three_day_count"], row["week_count"], row["older_count"]),
        oldest_at=row["oldest_at"],
        median_age_seconds=row["median_age"],
    )


def _trend(period: Period, rows: Iterable[Row]) -> tuple[Bar, ...]:
    """Every bar of the period in order, also those in which nothing was answered."""
    zone = ZoneInfo(period.time_zone)
    found = {row["bar"].astimezone(zone).date(): row for row in rows}
    bars = []
    for first, last in _steps(period):
        row = found.get(_bar_start(first, period.bar_unit))
        bars.append(Bar(first, last, row["median"] if row else None, _number(row, "answer_count")))
    return tuple(bars)


def _steps(period: Period) -> Iterable[tuple[date, date]]:
    first = period.first
    while first <= period.last:
        begin = _bar_start(first, period.bar_unit)
        following = {
            "day": begin + timedelta(days=1),
            "week": begin + timedelta(days=7),
            "month": (begin + timedelta(days=32)).replace(day=1),
        }[period.bar_unit]
        yield first, min(following - timedelta(days=1), period.last)
        first = following


def _bar_start(day: date, unit: str) -> date:
    """The first day of the week (Monday, as PostgreSQL has it) or month in which `day` lies."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day


def _midnight(day: date, time_zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(time_zone)).astimezone(UTC)
