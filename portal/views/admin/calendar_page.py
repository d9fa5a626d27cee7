"""What the page of a calendar shows: its weeks, its next holidays, its versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from babel import Locale, dates

from portal.language import formats, gettext
from portal.models import CalendarVersion
from portal.rules import hours, public_holidays
from portal.rules.calendars import parse_calendar
from portal.services import calendars

WEEKS = 4
MOST_HOLIDAYS = 10
DAY = hours.DAY_MINUTES


@dataclass(frozen=True)
class Day:
    """A day of the strip: what of it is worked, in minutes after midnight, and the same in words."""

    date: date
    label: str
    bars: tuple[tuple[int, int], ...]
    words: str
    name: str
    is_today: bool
    is_special: bool
    begins: bool


@dataclass(frozen=True)
class Special:
    """A day that is not like its weekday."""

    date: date
    name: str
    words: str


@dataclass(frozen=True)
class Line:
    """A version in the list, and whether it holds today, will hold, held, or has been replaced."""

    version: CalendarVersion
    state: str
    label: str


def weeks(calendar: hours.Hours, today: date, count: int = WEEKS) -> list[list[Day]]:
    """This week and the next ones, from Monday on."""
    monday = today - timedelta(days=today.weekday())
    begins = (
        {version.valid_from for version in calendar.versions} if isinstance(calendar, hours.Eras) else set()
    )
    return [
        [_day(calendar, monday + timedelta(days=7 * week + weekday), today, begins) for weekday in range(7)]
        for week in range(count)
    ]


def next_holidays(calendar: hours.Hours, today: date) -> list[Special]:
    """The next days with hours of their own, or none."""
    found: list[Special] = []
    held = _eras(calendar)
    for number, version in enumerate(held):
        until = held[number + 1].valid_from if number + 1 < len(held) else date.max
        since = max(version.valid_from, today) if number else today
        found += [
            Special(holiday.date, holiday.name, spans(holiday.windows))
            for holiday in version.calendar.holidays
            if since <= holiday.date < until
        ]
    return sorted(found, key=lambda each: each.date)[:MOST_HOLIDAYS]


def lines(versions: Sequence[CalendarVersion], today: date) -> list[Line]:
    """All versions, the newest first."""
    standing = calendars.standing(versions)
    reached = [version for version in standing if version.valid_from <= today]
    current = (reached or standing or [None])[-1 if reached else 0]
    labels = {
        "current": gettext("holds now"),
        "coming": gettext("will hold"),
        "former": gettext("held until then"),
        "replaced": gettext("replaced"),
    }

    def state(version: CalendarVersion) -> str:
        if version is current:
            return "current"
        if version not in standing:
            return "replaced"
        return "coming" if version.valid_from > today else "former"

    ordered = sorted(versions, key=lambda each: (each.valid_from, each.recorded_at, each.id), reverse=True)
    return [Line(version, state(version), labels[state(version)]) for version in ordered]


def hours_said(said: calendars.Said) -> hours.Calendar:
    """What was written, as the rules know it."""
    return parse_calendar(said.__dict__, said.time_zone)


def spans(windows: Sequence[tuple[int, int]]) -> str:
    """09:00–12:30, 13:30–17:00; in words where nothing or everything is worked, or where the end is tomorrow."""
    if not windows:
        return gettext("off")
    if tuple(windows) == ((0, DAY),):
        return gettext("around the clock")
    return ", ".join(_span(*window) for window in windows)


def country_name(code: str) -> str:
    """The country in the reader's language."""
    locale: Locale = formats()
    return str(locale.territories.get(code, code)) if code else ""


def countries() -> list[tuple[str, str]]:
    """All countries by code and name, in the order of their names."""
    named = [(code, country_name(code)) for code in public_holidays.countries()]
    return sorted(named, key=lambda each: each[1])


def _span(start: int, end: int) -> str:
    text = f"{hours.clock_text(start)}–{hours.clock_text(end)}"
    return gettext("%(hours)s the next day", hours=text) if end > DAY else text


def _eras(calendar: hours.Hours) -> list[hours.Version]:
    return hours.standing_versions(calendar.versions) if isinstance(calendar, hours.Eras) else []


def _day(calendar: hours.Hours, day: date, today: date, begins: set[date]) -> Day:
    windows = hours.day_windows(calendar, day)
    before = hours.day_windows(calendar, day - timedelta(days=1))
    spill = [(0, end - DAY) for _, end in before if end > DAY]
    bars = tuple(sorted([*spill, *((start, min(end, DAY)) for start, end in windows)]))
    special = _special(calendar, day)
    return Day(
        date=day,
        label=dates.format_skeleton(
            "MMMd", datetime(day.year, day.month, day.day, tzinfo=UTC), locale=formats()
        ),
        bars=bars,
        words=spans(windows),
        name=special.name if special else "",
        is_today=day == today,
        is_special=special is not None,
        begins=day in begins,
    )


def _special(calendar: hours.Hours, day: date) -> hours.Holiday | None:
    held = calendar.valid_on(day).calendar if isinstance(calendar, hours.Eras) else calendar
    return next((each for each in held.holidays if each.date == day), None)
