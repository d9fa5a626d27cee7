"""Targets for answering and resolving."""

from portal.errors import UserFault
from portal.models import SlaPolicy
from portal.views.admin import checks
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.fields import LinesField, checked
from portal.views.admin.rows import Rows

CHECKS = {"paused_statuses": checks.statuses, "warning_percent": checks.percent}
COLUMNS = [
    "name",
    "position",
    "branch",
    "priority",
    "first_response_minutes",
    "next_response_minutes",
    "resolution_minutes",
    "is_business_time",
    "paused_statuses",
    "warning_percent",
    "is_active",
]
PAUSED_HELP = "Statuses in which the clocks stand still, one in each line, like pending."


def check_targets(policy: SlaPolicy) -> None:
    """A policy without a target would match tickets and measure nothing."""
    targets = (policy.first_response_minutes, policy.next_response_minutes, policy.resolution_minutes)
    if not any(targets):
        raise UserFault("Set at least one target: first response, next response or resolution.")


class PolicyView(AdminView):
    noun, nouns = "policy", "policies"
    list_title = "Targets"
    explanation = (
        "How soon tickets are to be answered and resolved. The first matching policy by position holds."
    )
    empty_text = "No targets yet, so no clock runs. Make a policy to measure first response and resolution."
    route_base = "/admin/policies"
    class_permission_name = "Policies"
    datamodel = Rows(SlaPolicy)
    column_checks = CHECKS
    list_columns = [
        "position",
        "name",
        "branch",
        "priority",
        "first_response_minutes",
        "next_response_minutes",
        "resolution_minutes",
        "is_active",
    ]
    show_columns = [*COLUMNS, "created_at"]
    add_columns = edit_columns = COLUMNS
    search_columns = ["name", "branch", "priority", "is_active"]
    base_order = ("position", "asc")
    label_columns = {
        "first_response_minutes": "First response (minutes)",
        "next_response_minutes": "Next response (minutes)",
        "resolution_minutes": "Resolution (minutes)",
        "is_business_time": "Count working hours only",
        "paused_statuses": "Paused while",
        "warning_percent": "Warn at (%)",
    }
    description_columns = {
        "position": "Lower ones are looked at first.",
        "branch": "Leave empty for every branch.",
        "priority": "Leave empty for every priority.",
        "first_response_minutes": "Until someone first answers. Leave empty for no target.",
        "next_response_minutes": "Until each further message is answered. Leave empty for no target.",
        "resolution_minutes": "Until the ticket is resolved. Leave empty for no target.",
        "is_business_time": "By the calendar of the ticket's branch; otherwise around the clock.",
        "warning_percent": "Of the target: the clock turns amber and people are told.",
    }
    add_form_extra_fields = edit_form_extra_fields = {
        "paused_statuses": LinesField(
            "Paused while", description=PAUSED_HELP, validators=[checked(checks.statuses)]
        )
    }

    def check_row(self, row: SlaPolicy) -> None:
        check_targets(row)


class PolicyApi(AdminApi):
    noun = "policy"
    resource_name = "policies"
    class_permission_name = "Policies"
    openapi_spec_tag = "Policies"
    datamodel = Rows(SlaPolicy)
    column_checks = CHECKS
    list_columns = show_columns = [
        "id",
        *(name for name in COLUMNS if name != "branch"),
        "branch.id",
        "branch.name",
    ]
    add_columns = edit_columns = COLUMNS
    search_columns = ["name", "branch", "priority", "is_active"]

    def check_row(self, row: SlaPolicy) -> None:
        check_targets(row)
