"""Working hours: the page of a calendar, and the form of what it says from a day on."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from flask import abort, current_app, flash, redirect, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.errors import Conflict
from portal.extensions import db
from portal.language import gettext, lazy_gettext, says
from portal.models import Branch, Calendar, CalendarVersion, User
from portal.models.columns import now
from portal.rules.hours import WEEKDAYS
from portal.rules.public_holidays import region_names
from portal.services import calendars, counting
from portal.views.admin import calendar_form, calendar_page, reach
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.rows import Rows
from portal.views.console import words
from portal.wording import N_

DAY_NAMES = tuple(lazy_gettext(day) for day in WEEKDAYS)
# What is sent along unchanged while a person looks at what the change would do.
NOT_KEPT = frozenset({"csrf_token", "do"})


class CalendarView(AdminView):
    noun, nouns = "calendar", "calendars"
    add_title = N_("New calendar")
    list_title = N_("Calendars")
    explanation = N_("Working hours and days off. Clocks that count business time stand still outside them.")
    empty_text = N_("No calendars yet. Make one with your usual working hours; branches choose it.")
    route_base = "/admin/calendars"
    class_permission_name = "Calendars"
    datamodel = Rows(Calendar)
    list_columns = ["name", "created_at"]
    show_columns = ["name", "created_at"]
    add_columns = edit_columns = ["name"]
    search_columns = ["name"]
    base_order = ("name", "asc")
    label_columns = {"name": N_("Name"), "created_at": N_("Since")}
    page_verbs = {"version": "edit"}

    @expose("/show/<pk>", methods=["GET"])
    @has_access
    def show(self, pk: str) -> Any:
        """The calendar's weeks, its next holidays and its versions."""
        calendar = self._row(pk)
        self.update_redirect()
        versions = _versions(calendar)
        held = calendars.hours_of([calendar.id])[calendar.id]
        today = _today(versions[-1] if versions else None)
        lines = calendar_page.lines(versions, today)
        branches = select(Branch.name).where(Branch.calendar_id == calendar.id).order_by(Branch.name)
        return self.render_template(
            "admin/calendar.html",
            title=calendar.name,
            calendar=calendar,
            current=next((line.version for line in lines if line.state == "current"), None),
            weeks=calendar_page.weeks(held, today),
            holidays=calendar_page.next_holidays(held, today),
            lines=lines,
            branches=db.session.scalars(branches).all(),
            may_edit=_may("can_edit"),
            may_delete=_may("can_delete"),
            day_names=DAY_NAMES,
            country_name=calendar_page.country_name,
            spans=calendar_page.spans,
            reader=words.reader(),
            view=self,
        )

    @expose("/add", methods=["GET", "POST"])
    @has_access
    def add(self) -> Any:
        """The form of a new calendar."""
        return self._edited(None)

    @expose("/version/<pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("edit")
    def version(self, pk: str) -> Any:
        """The form of what a calendar says from a day on; then what that would do to running clocks."""
        calendar = self._row(pk)
        reach.check_may_change(calendar)
        return self._edited(calendar)

    def _edited(self, calendar: Calendar | None) -> Any:
        versions = _versions(calendar) if calendar else []
        newest, base = versions[-1] if versions else None, _asked(versions)
        today = _today(base)
        if request.method == "GET":
            written = calendar_form.written_from(base, today)
            return self._form(calendar, base, written, today, newest)
        written, do = calendar_form.read(request.form), request.form.get("do", "check")
        if do not in ("check", "save"):
            written.change(do)
            return self._form(calendar, base, written, today, newest)
        said, valid_from = written.said(base, today), written.valid_from_date(today)
        if calendar is None:
            _check_name(written)
        if written.faults or said is None or valid_from is None:
            return self._form(calendar, base, written, today, newest), 422
        actor = db.session.get_one(User, current_user.id)
        if calendar is not None and do == "check":
            return self._difference(calendar, said, valid_from, versions)
        try:
            if calendar is None:
                calendar = calendars.make(written.name, said, valid_from, note=written.note, actor=actor)
            else:
                seen_id = _number(request.form.get("base", ""))
                calendars.record(calendar, said, valid_from, note=written.note, actor=actor, seen_id=seen_id)
        except Conflict as fault:
            written.faults["week" if calendar else "name"] = says(fault)
            newest = calendars.newest_version(calendar) if calendar else None
            return self._form(calendar, base, written, today, newest), 409
        flash(gettext("Saved. Open tickets are counted by it within a minute."), "success")
        return redirect(url_for(f"{self.endpoint}.show", pk=calendar.id))

    def _form(
        self,
        calendar: Calendar | None,
        base: CalendarVersion | None,
        written: calendar_form.Written,
        today: date,
        newest: CalendarVersion | None,
    ) -> Any:
        return self.render_template(
            "admin/calendar_form.html",
            title=calendar.name if calendar else gettext("New calendar"),
            calendar=calendar,
            newest=newest,
            written=written,
            today=today,
            day_names=DAY_NAMES,
            time_zones=sorted(available_timezones()),
            countries=calendar_page.countries(),
            regions=region_names(written.country),
            holidays=written.holidays_by_name(base, today),
            reader=words.reader(),
            view=self,
        )

    def _difference(
        self, calendar: Calendar, said: calendars.Said, valid_from: date, versions: list[CalendarVersion]
    ) -> Any:
        version = calendars.version_from(said, valid_from)
        later = [each.valid_from for each in calendars.standing(versions) if each.valid_from > valid_from]
        return self.render_template(
            "admin/calendar_difference.html",
            title=calendar.name,
            calendar=calendar,
            valid_from=valid_from,
            until=min(later, default=None),
            found=counting.difference(calendar, version),
            weeks=calendar_page.weeks(version.calendar, valid_from, 2),
            day_names=DAY_NAMES,
            kept=[each for each in request.form.items(multi=True) if each[0] not in NOT_KEPT],
            words=words,
            reader=words.reader(),
            view=self,
        )


class CalendarApi(AdminApi):
    noun = "calendar"
    resource_name = "calendars"
    class_permission_name = "Calendars"
    openapi_spec_tag = "Calendars"
    datamodel = Rows(Calendar)
    exclude_route_methods = {"post"}
    list_columns = show_columns = ["id", "name"]
    add_columns = edit_columns = ["name"]
    search_columns = ["name"]


class CalendarVersionApi(AdminApi):
    """What calendars say; written in the form, which shows what a change would do."""

    noun = "calendar version"
    resource_name = "calendar_versions"
    class_permission_name = "Calendars"
    openapi_spec_tag = "Calendars"
    datamodel = Rows(CalendarVersion)
    is_read_only = True
    list_columns = show_columns = [
        "id",
        "calendar.id",
        "calendar.name",
        "valid_from",
        "recorded_at",
        "time_zone",
        "windows",
        "days",
        "country",
        "subdivision",
        "public_holidays",
        "note",
    ]
    search_columns = ["calendar"]


def _versions(calendar: Calendar) -> list[CalendarVersion]:
    found = (
        select(CalendarVersion)
        .where(CalendarVersion.calendar_id == calendar.id)
        .order_by(CalendarVersion.recorded_at, CalendarVersion.id)
        .options(joinedload(CalendarVersion.account))
    )
    return list(db.session.scalars(found))


def _asked(versions: list[CalendarVersion]) -> CalendarVersion | None:
    """The version that the form begins with: the one in the address, else the one that holds today."""
    standing = calendars.standing(versions)
    asked = request.args.get("of", "")
    if asked:
        return next((each for each in standing if str(each.id) == asked), None) or abort(404)
    lines = calendar_page.lines(versions, _today(versions[-1] if versions else None))
    return next((line.version for line in lines if line.state == "current"), None)


def _today(version: CalendarVersion | None) -> date:
    """The day that it is where the calendar counts."""
    zone = version.time_zone if version and version.time_zone in available_timezones() else "UTC"
    return now().astimezone(ZoneInfo(zone)).date()


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _may(permission: str) -> bool:
    may: bool = current_app.appbuilder.sm.has_access(permission, CalendarView.class_permission_name)
    return may


def _check_name(written: calendar_form.Written) -> None:
    if not 1 <= len(written.name) <= calendar_form.LONGEST_NAME:
        written.faults["name"] = gettext("Give the calendar a name of at most 120 signs.")
