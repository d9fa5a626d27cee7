"""Calendars with their versions: as the rules count by them, and how new ones are recorded."""

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import Select, Text, cast, select
from sqlalchemy.exc import IntegrityError

from portal.enqueue import wake_after_commit
from portal.errors import Conflict, UserFault
from portal.extensions import db
from portal.models import Branch, Calendar, CalendarVersion
from portal.models.columns import now
from portal.rules import hours
from portal.rules.calendars import parse_calendar
from portal.rules.public_holidays import holidays_of, missing_years, with_worked, worked_names
from portal.services import audit
from portal.services.transaction import transaction
from portal.wording import N_

COUNT_JOB = "portal.jobs.count.count_waiting"
LONGEST_NOTE = 500
MOST_YEARS_AHEAD = 5
_SAID = (
    CalendarVersion.valid_from,
    CalendarVersion.recorded_at,
    CalendarVersion.time_zone,
    cast(CalendarVersion.windows, Text),
    cast(CalendarVersion.days, Text),
    cast(CalendarVersion.public_holidays, Text),
)


@dataclass(frozen=True)
class Said:
    """What a version says, as it is written down: see `portal.rules.calendars.parse_calendar`."""

    time_zone: str
    windows: list[dict[str, Any]]
    days: list[dict[str, Any] | str]
    country: str = ""
    subdivision: str = ""
    public_holidays: list[dict[str, Any]] | tuple[()] = ()


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


def version_from(said: Said, valid_from: date) -> hours.Version:
    """What would be recorded now, as the rules know it. Raises UserFault in words for what cannot be."""
    try:
        calendar = parse_calendar(asdict(said), said.time_zone)
    except ValueError as error:
        raise UserFault(error.args[0]) from error
    return hours.Version(valid_from, now(), calendar)


def check_valid_from(valid_from: date, today: date) -> None:
    """Raise UserFault for a date so far away that it must be a slip."""
    if valid_from < date(today.year - 1, 1, 1):
        raise UserFault(
            "What was worked before %(day)s is not changed any more: choose that day or a later one.",
            day=f"{date(today.year - 1, 1, 1):%d %B %Y}",
        )
    if valid_from > today + timedelta(days=366 * MOST_YEARS_AHEAD):
        raise UserFault("That is more than five years ahead: choose a nearer day.")


def make(name: str, said: Said, valid_from: date, *, note: str, actor: User) -> Calendar:
    """A new calendar with its first version, which counts for all days before it as well. Commits.

    Raises Conflict where there is one of this name.
    """
    version_from(said, valid_from)
    calendar = Calendar(name=name)
    try:
        with transaction():
            db.session.add(calendar)
            db.session.flush()
            _add(calendar, said, valid_from, note=note, actor=actor, is_new=True)
    except IntegrityError as error:
        raise Conflict("There is a calendar of this name already.") from error
    return calendar


def record(
    calendar: Calendar, said: Said, valid_from: date, *, note: str, actor: User, seen_id: int | None
) -> CalendarVersion:
    """Record what the calendar says from that date on. Commits; its open tickets are counted by it in a job.

    Raises Conflict when the newest version is not the one that the person has seen.
    """
    version_from(said, valid_from)
    with transaction(calendar):
        newest = newest_version(calendar)
        if (newest.id if newest else None) != seen_id:
            raise Conflict("Somebody has changed these hours since you opened the page. Look at them first.")
        return _add(calendar, said, valid_from, note=note, actor=actor)


def newest_version(calendar: Calendar) -> CalendarVersion | None:
    """The one that was recorded last."""
    in_order = CalendarVersion.recorded_at.desc(), CalendarVersion.id.desc()
    found = select(CalendarVersion).where(CalendarVersion.calendar_id == calendar.id).order_by(*in_order)
    return db.session.scalars(found.limit(1)).first()


def standing(versions: Iterable[CalendarVersion]) -> list[CalendarVersion]:
    """By date, without those that one recorded later for the same date has replaced."""
    by_date = {version.valid_from: version for version in versions}
    return [by_date[day] for day in sorted(by_date)]


def extend_holidays() -> int:
    """Write down the public holidays of years that have come near; in how many calendars. Commits each.

    The versions that hold, or will, are recorded again with these years added: what was stays as it was.
    """
    today = now().date()
    with_country = select(CalendarVersion.calendar_id).where(CalendarVersion.country != "").distinct()
    ids = db.session.scalars(with_country.order_by(CalendarVersion.calendar_id)).all()
    db.session.commit()
    return sum(_extend(calendar_id, today) for calendar_id in ids)


def _extend(calendar_id: int, today: date) -> bool:
    with transaction():
        locked = select(Calendar).where(Calendar.id == calendar_id).with_for_update()
        calendar = db.session.scalars(locked).one_or_none()
        if calendar is None:
            return False
        versions = standing(calendar.versions)
        # Of those before today only the last one still counts any day.
        kept = [each for each in versions if each.valid_from > today]
        kept += [each for each in versions if each.valid_from <= today][-1:]
        is_changed = False
        for version in kept:
            years = missing_years(version.public_holidays, today) if version.country else []
            if years:
                _record_years(calendar, version, years)
                is_changed = True
    return is_changed


def _record_years(calendar: Calendar, version: CalendarVersion, years: list[int]) -> None:
    further = holidays_of(version.country, version.subdivision, years)
    said = Said(
        time_zone=version.time_zone,
        windows=version.windows,
        days=version.days,
        country=version.country,
        subdivision=version.subdivision,
        public_holidays=[
            *version.public_holidays,
            *with_worked(further, worked_names(version.public_holidays)),
        ],
    )
    note = N_("Public holidays of further years")
    _add(calendar, said, version.valid_from, note=note, actor=None)


def _add(
    calendar: Calendar,
    said: Said,
    valid_from: date,
    *,
    note: str,
    actor: User | None,
    is_new: bool = False,
) -> CalendarVersion:
    newest = newest_version(calendar)
    version = CalendarVersion(
        calendar_id=calendar.id,
        valid_from=valid_from,
        note=note[:LONGEST_NOTE],
        # In their order, though the clocks of two machines may not agree.
        recorded_at=max(now(), newest.recorded_at) if newest else now(),
        account_id=actor.id if actor else None,
        **{**asdict(said), "public_holidays": list(said.public_holidays)},
    )
    db.session.add(version)
    told = audit.changes_of(version)
    told.pop("calendar_id", None)
    db.session.flush()
    audit.record_change(calendar, "added" if is_new else "changed", actor, told)
    wake_after_commit(COUNT_JOB)
    return version


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
