"""Working hours."""

from portal.models import Calendar
from portal.views.admin import checks
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.rows import Rows
from portal.wording import N_

CHECKS = {"time_zone": checks.time_zone, "windows": checks.windows, "holidays": checks.holidays}
COLUMNS = ["name", "time_zone", "windows", "holidays"]


class CalendarView(AdminView):
    noun, nouns = "calendar", "calendars"
    add_title = N_("New calendar")
    list_title = N_("Calendars")
    explanation = N_("Working hours and days off. Clocks that count business time stand still outside them.")
    empty_text = N_("No calendars yet. Make one with your usual working hours; branches choose it.")
    route_base = "/admin/calendars"
    class_permission_name = "Calendars"
    datamodel = Rows(Calendar)
    column_checks = CHECKS
    list_columns = ["name", "time_zone", "created_at"]
    show_columns = [*COLUMNS, "created_at"]
    add_columns = edit_columns = COLUMNS
    search_columns = ["name", "time_zone"]
    base_order = ("name", "asc")
    label_columns = {"windows": N_("Working hours"), "holidays": N_("Days off")}
    description_columns = {
        "windows": N_(
            'One entry for each stretch of work: {"weekday": 0, "start": "09:00", "end": "17:30"}. '
            "Weekday 0 is Monday, 6 is Sunday; an end before the start is on the next day."
        ),
        "holidays": N_(
            'Dates like "2026-12-25", or with hours of their own: '
            '{"date": "2026-12-24", "name": "Christmas Eve", "windows": [{"start": "09:00", "end": "12:00"}]}.'
        ),
    }


class CalendarApi(AdminApi):
    noun = "calendar"
    resource_name = "calendars"
    class_permission_name = "Calendars"
    openapi_spec_tag = "Calendars"
    datamodel = Rows(Calendar)
    column_checks = CHECKS
    list_columns = show_columns = ["id", *COLUMNS]
    add_columns = edit_columns = COLUMNS
    search_columns = ["name"]
