"""The form of working hours as it was written: read, changed row by row, checked field by field, nothing lost."""

import re
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Any
from zoneinfo import available_timezones

from portal.errors import UserFault
from portal.language import gettext, says
from portal.models import CalendarVersion
from portal.rules import public_holidays
from portal.rules.calendars import parse_calendar, spans_in
from portal.rules.hours import DAY_MINUTES
from portal.services import calendars

TIME = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")
MOST_ROWS = 12
MOST_DAYS = 300
LONGEST_NAME = 120


@dataclass
class DayRow:
    """A day of its own: off where it has no hours."""

    date: str = ""
    name: str = ""
    hours: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.date or self.name or self.hours)


@dataclass
class Written:
    """What stands in the form, as it was typed, and what is wrong with it by field."""

    name: str = ""
    valid_from: str = ""
    note: str = ""
    time_zone: str = "UTC"
    country: str = ""
    subdivision: str = ""
    # By weekday from Monday on: the pairs of from and until.
    weekdays: list[list[tuple[str, str]]] = field(default_factory=lambda: [[] for _ in range(7)])
    around_the_clock: set[int] = field(default_factory=set)
    days: list[DayRow] = field(default_factory=list)
    worked: list[str] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)

    def runs_past_midnight(self, pair: tuple[str, str]) -> bool:
        """Whether the stretch ends on the next day."""
        start, end = _minute(pair[0]), _minute(pair[1])
        return start is not None and end is not None and end < start

    def change(self, do: str) -> None:
        """Add or remove a row, or copy Monday: what the small buttons do."""
        kind, _, rest = do.partition("-")
        where = [int(part) for part in rest.split("-") if part.isdecimal() and len(part) < 4]
        if do == "copy":
            self.weekdays[1:5] = [list(self.weekdays[0]) for _ in range(4)]
            self.around_the_clock -= {1, 2, 3, 4}
            self.around_the_clock |= {1, 2, 3, 4} if 0 in self.around_the_clock else set()
        elif do == "day":
            self.days.append(DayRow())
        elif kind == "add" and len(where) == 1 and where[0] < 7:
            self.weekdays[where[0]].append(("", ""))
        elif kind == "remove" and len(where) == 2 and where[0] < 7:
            del self.weekdays[where[0]][where[1] : where[1] + 1]
        elif kind == "undate" and len(where) == 1:
            del self.days[where[0] : where[0] + 1]

    def said(self, base: CalendarVersion | None, today: date) -> calendars.Said | None:
        """What it says; None, and `faults` by field, where something cannot be."""
        windows = [window for weekday in range(7) for window in self._windows_of(weekday)]
        self._check_ends(windows)
        if not windows and not any(key.startswith("weekday") for key in self.faults):
            self.faults["week"] = gettext("The week has no working time: give at least one day its hours.")
        if self.time_zone not in available_timezones():
            self.faults["time_zone"] = gettext("Choose a time zone of the list.")
        if len(self.note) > calendars.LONGEST_NOTE:
            self.faults["note"] = gettext("At most %(most)s signs fit here.", most=calendars.LONGEST_NOTE)
        days = self._own_days()
        listed = self._public(base, today)
        self.valid_from_date(today)
        said = calendars.Said(self.time_zone, windows, days, self.country, self.subdivision, listed)
        if not self.faults:
            try:
                calendars.version_from(said, today)
            except UserFault as fault:
                self.faults["week"] = says(fault)
        return None if self.faults else said

    def valid_from_date(self, today: date) -> date | None:
        """From when it is to hold; None, and a fault, where that is no day to choose."""
        try:
            day = date.fromisoformat(self.valid_from)
            calendars.check_valid_from(day, today)
        except UserFault as fault:
            self.faults["valid_from"] = says(fault)
        except ValueError:
            self.faults["valid_from"] = gettext("Choose the day from which these hours hold.")
        else:
            return day
        return None

    def holidays_by_name(self, base: CalendarVersion | None, today: date) -> list[tuple[str, list[date]]]:
        """The public holidays of this year and the next, in the order of their next day, by name."""
        try:
            listed = _listed(self.country, self.subdivision, base, today)
        except ValueError:
            return []
        by_name: dict[str, list[date]] = {}
        for each in listed:
            day = date.fromisoformat(each["date"])
            if today <= day and day.year <= today.year + 1:
                by_name.setdefault(each["name"], []).append(day)
        return sorted(by_name.items(), key=lambda each: each[1][0])

    def _windows_of(self, weekday: int) -> list[dict[str, Any]]:
        """The stretches of work of a weekday, in order; a fault where one cannot be."""
        if weekday in self.around_the_clock:
            return [{"weekday": weekday, "start": "00:00", "end": "24:00"}]
        key = f"weekday-{weekday}"
        found: list[tuple[int, int]] = []
        for start_text, end_text in self.weekdays[weekday][: MOST_ROWS + 1]:
            if not (start_text or end_text):
                continue
            start, end = _minute(start_text), _minute(end_text)
            if start is None or end is None or start >= DAY_MINUTES:
                self.faults.setdefault(key, gettext("Give both times, like 09:00 and 17:30."))
            elif start == end:
                self.faults.setdefault(
                    key,
                    gettext(
                        "From and until are the same. For a whole day, choose “around the clock” instead."
                    ),
                )
            else:
                found.append((start, end if end > start else end + DAY_MINUTES))
        found.sort()
        if any(end > start for (_, end), (start, _) in pairwise(found)):
            self.faults.setdefault(key, gettext("Two of these overlap."))
        if len(found) > MOST_ROWS:
            self.faults.setdefault(key, gettext("At most %(most)s stretches fit into a day.", most=MOST_ROWS))
        return [{"weekday": weekday, "start": _text(start), "end": _text(end)} for start, end in found]

    def _check_ends(self, windows: list[dict[str, Any]]) -> None:
        """What runs past midnight must leave the next morning alone."""
        for window in windows:
            end = _minute(window["end"])
            if end is None or window["end"] > window["start"]:
                continue
            following = (window["weekday"] + 1) % 7
            starts = [_minute(each["start"]) for each in windows if each["weekday"] == following]
            if any(start is not None and start < end for start in starts):
                words = gettext("The last of these runs into the hours of the next day.")
                self.faults.setdefault(f"weekday-{window['weekday']}", words)

    def _own_days(self) -> list[dict[str, Any] | str]:
        found: list[dict[str, Any] | str] = []
        seen: set[str] = set()
        if len(self.days) > MOST_DAYS:
            self.faults["days"] = gettext("At most %(most)s own days fit here.", most=MOST_DAYS)
        for number, row in enumerate(self.days[:MOST_DAYS]):
            if row.is_empty:
                continue
            key = f"day-{number}"
            try:
                day = date.fromisoformat(row.date)
                own = {
                    "date": day.isoformat(),
                    "name": row.name[:LONGEST_NAME],
                    "windows": spans_in(row.hours),
                }
                parse_calendar({"windows": [{"weekday": 0, "start": 0, "end": 1}], "days": [own]}, "UTC")
            except ValueError as error:
                is_date = not re.fullmatch(r"\d{4}-\d\d-\d\d", row.date)
                self.faults[key] = gettext("Give the day its date.") if is_date else says(error)
                continue
            if own["date"] in seen:
                self.faults[key] = gettext("This date is listed twice.")
            seen.add(own["date"])
            found.append(own)
        return sorted(found, key=lambda each: each["date"])  # type: ignore[index]

    def _public(self, base: CalendarVersion | None, today: date) -> list[dict[str, Any]]:
        try:
            listed = _listed(self.country, self.subdivision, base, today)
        except ValueError as error:
            known = self.country in public_holidays.countries()
            self.faults["subdivision" if known else "country"] = says(error)
            return []
        return public_holidays.with_worked(listed, self.worked)


def read(form: Any) -> Written:
    """What was sent, as it was typed."""

    def text(name: str) -> str:
        return form.get(name, "").replace("\0", "").strip()

    def texts(name: str) -> list[str]:
        return [each.replace("\0", "").strip() for each in form.getlist(name)]

    days = zip(texts("day-date"), texts("day-name"), texts("day-hours"), strict=False)
    return Written(
        name=text("name"),
        valid_from=text("valid_from"),
        note=text("note"),
        time_zone=text("time_zone"),
        country=text("country"),
        subdivision=text("subdivision"),
        weekdays=[
            list(zip(texts(f"from-{weekday}"), texts(f"until-{weekday}"), strict=False))
            for weekday in range(7)
        ],
        around_the_clock={int(each) for each in texts("around-the-clock") if each in set("0123456")},
        days=[DayRow(*each) for each in days],
        worked=texts("worked"),
    )


def written_from(version: CalendarVersion | None, today: date) -> Written:
    """The form as it begins: with what the version says, from its day or today on; usual hours where there is none."""
    if version is None:
        usual = [[("09:00", "17:00")] if weekday < 5 else [] for weekday in range(7)]
        return Written(valid_from=today.isoformat(), weekdays=usual)
    weekdays: list[list[tuple[str, str]]] = [[] for _ in range(7)]
    whole = set()
    try:
        calendar = parse_calendar({"windows": version.windows}, "UTC")
        for window in calendar.windows:
            if (window.start_minute, window.end_minute) == (0, DAY_MINUTES):
                whole.add(window.weekday)
            else:
                pair = (_text(window.start_minute), _text(window.end_minute % DAY_MINUTES))
                weekdays[window.weekday].append(pair)
    except ValueError:
        weekdays = [[] for _ in range(7)]
    return Written(
        valid_from=max(today, version.valid_from).isoformat(),
        time_zone=version.time_zone,
        country=version.country,
        subdivision=version.subdivision,
        weekdays=weekdays,
        around_the_clock=whole,
        days=[_day_row(each) for each in version.days],
        worked=sorted(public_holidays.worked_names(version.public_holidays)),
    )


def _day_row(day: Any) -> DayRow:
    said = day if isinstance(day, dict) else {"date": str(day)}
    spans = [f"{_shown(each['start'])}–{_shown(each['end'])}" for each in said.get("windows") or []]
    return DayRow(str(said.get("date", "")), str(said.get("name") or ""), ", ".join(spans))


def _listed(country: str, region: str, base: CalendarVersion | None, today: date) -> list[dict[str, Any]]:
    """The holidays to write down; those of earlier years stay as they were written."""
    if not country:
        return []
    years = public_holidays.years_around(today)
    listed: list[dict[str, Any]] = list(public_holidays.holidays_of(country, region, years))
    if base is not None and (base.country, base.subdivision) == (country, region):
        former = [each for each in base.public_holidays if int(each["date"][:4]) not in years]
        listed = sorted([*former, *listed], key=lambda each: each["date"])
    return listed


def _minute(text: str) -> int | None:
    matched = TIME.fullmatch(text)
    minute = int(matched[1]) * 60 + int(matched[2]) if matched else None
    return minute if minute is not None and minute <= DAY_MINUTES else None


def _text(minute: int) -> str:
    wrapped = minute if minute <= DAY_MINUTES else minute - DAY_MINUTES
    return f"{wrapped // 60:02}:{wrapped % 60:02}"


def _shown(value: Any) -> str:
    return _text(value) if isinstance(value, int) else str(value)
