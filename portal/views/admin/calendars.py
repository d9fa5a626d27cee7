"""Working hours."""

from typing import Any

from portal.extensions import db
from portal.language import lazy_gettext
from portal.models import Calendar, CalendarVersion
from portal.models.calendar import FROM_THE_BEGINNING
from portal.models.columns import now
from portal.services import audit
from portal.views.admin import checks
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.fields import JsonField, TimeZoneField, checked
from portal.views.admin.rows import Rows
from portal.wording import N_

SAID = ("time_zone", "windows", "days")


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
    add_columns = edit_columns = ["name", *SAID]
    search_columns = ["name"]
    base_order = ("name", "asc")
    add_form_extra_fields = edit_form_extra_fields = {
        "time_zone": TimeZoneField(lazy_gettext("Time zone")),
        "windows": JsonField(
            lazy_gettext("Working hours"),
            empty=[],
            description=lazy_gettext(
                'One entry for each stretch of work: {"weekday": 0, "start": "09:00", "end": "17:30"}. '
                "Weekday 0 is Monday, 6 is Sunday; an end before the start is on the next day."
            ),
            validators=[checked(checks.windows)],
        ),
        "days": JsonField(
            lazy_gettext("Days off"),
            empty=[],
            description=lazy_gettext(
                'Dates like "2026-12-25", or with hours of their own: '
                '{"date": "2026-12-24", "name": "Christmas Eve", "windows": [{"start": "09:00", "end": "12:00"}]}.'
            ),
            validators=[checked(checks.holidays)],
        ),
    }

    def prefill_form(self, form: Any, pk: Any) -> None:
        versions = db.session.get_one(Calendar, pk).versions
        for name in SAID if versions else ():
            form[name].data = getattr(versions[-1], name)

    def finish(self, row: Calendar, form: Any) -> audit.Changes:
        said = {name: form[name].data for name in SAID}
        newest = row.versions[-1] if row.versions else None
        if newest and all(getattr(newest, name) == value for name, value in said.items()):
            return {}
        version = CalendarVersion(
            calendar=row,
            valid_from=now().date() if newest else FROM_THE_BEGINNING,
            **said,
        )
        db.session.add(version)
        changes = audit.changes_of(version)
        changes.pop("calendar", None)
        return changes


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
