"""Calendars with their versions, as the rules count by them."""

import json
from collections.abc import Collection, Iterable
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, Text, cast, select

from portal.extensions import db
from portal.models import Branch, CalendarVersion
from portal.rules import hours
from portal.rules.calendars import parse_calendar

_SAID = (
    CalendarVersion.valid_from,
    CalendarVersion.recorded_at,
    CalendarVersion.time_zone,
    cast(CalendarVersion.windows, Text),
    cast(CalendarVersion.days, Text),
    cast(CalendarVersion.public_holidays, Text),
)


def hours_of(calendar_ids: Collection[int]) -> dict[int, hours.Hours]:
    """These calendars with all their versions, by id; always open where one has none. One statement."""
    found = select(CalendarVersion.calendar_id, *_SAID).where(CalendarVersion.calendar_id.in_(calendar_ids))
    return _read(found, calendar_ids)


def hours_of_branches(branch_ids: Collection[int]) -> dict[int, hours.Hours]:
    """The calendars that these branches have now, by the branch's id. One statement."""
    found = (
        select(Branch.id, *_SAID)
        .join(Branch, Branch.calendar_id == CalendarVersion.calendar_id)
        .where(Branch.id.in_(branch_ids))
    )
    return _read(found, branch_ids)


def version_from(row: CalendarVersion) -> hours.Version:
    """What the row says, as the rules know it; always open where it cannot be read."""
    said = (json.dumps(row.windows), json.dumps(row.days), json.dumps(row.public_holidays))
    return hours.Version(row.valid_from, row.recorded_at, _calendar(row.time_zone, *said))


def _read(found: Select[*tuple[Any, ...]], ids: Iterable[int]) -> dict[int, hours.Hours]:
    versions: dict[int, list[hours.Version]] = {each: [] for each in ids}
    in_order = found.order_by(CalendarVersion.recorded_at, CalendarVersion.id)
    for id_, valid_from, recorded_at, *said in db.session.execute(in_order):
        versions[id_].append(_version(valid_from, recorded_at, *said))
    return {id_: _eras(tuple(each)) if each else hours.always_open() for id_, each in versions.items()}


def _version(valid_from: date, recorded_at: datetime, time_zone: str, *said: str) -> hours.Version:
    return hours.Version(valid_from, recorded_at, _calendar(time_zone, *said))


@lru_cache(maxsize=500)
def _eras(versions: tuple[hours.Version, ...]) -> hours.Eras:
    return hours.Eras(versions)


@lru_cache(maxsize=500)
def _calendar(time_zone: str, windows: str, days: str, public_holidays: str) -> hours.Calendar:
    said = {
        "windows": json.loads(windows),
        "days": json.loads(days),
        "public_holidays": json.loads(public_holidays),
    }
    try:
        return parse_calendar(said, time_zone)
    except ValueError:
        # Refused at save; an imported one must not stop the mail.
        return hours.always_open()
