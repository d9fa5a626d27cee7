"""Targets for answering and resolving."""

from typing import Any

from flask import flash, redirect, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_login import current_user

from portal.errors import UserFault
from portal.extensions import db
from portal.language import lazy_gettext, ngettext
from portal.models import SlaPolicy, User
from portal.models.customer import CHANNEL_KINDS
from portal.models.ticket import TICKET_TYPES
from portal.rules.lifecycle import OPEN_STATUSES
from portal.rules.policies import policy_problems
from portal.services import applying, audit, policies
from portal.views.admin import checks, reach
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.fields import LinesField, PercentsField, WordsField, checked
from portal.views.admin.rows import Rows
from portal.views.console import words
from portal.wording import N_

PAUSES = {
    "first_response_paused_in": N_("Pause first response while"),
    "next_response_paused_in": N_("Pause next response while"),
    "resolution_paused_in": N_("Pause resolution while"),
}
CHECKS = {
    "types": checks.words(TICKET_TYPES),
    "channel_kinds": checks.words(CHANNEL_KINDS),
    "customer_levels": checks.tags,
    "warning_percents": checks.percents,
    **dict.fromkeys(PAUSES, checks.words(OPEN_STATUSES)),
}
CONDITIONS = ["branch", "priority", "types", "channel_kinds", "customer_levels"]
COLUMNS = [
    "name",
    "position",
    *CONDITIONS,
    "first_response_minutes",
    "next_response_minutes",
    "resolution_minutes",
    "is_business_time",
    *PAUSES,
    "warning_percents",
    "is_active",
]


def check_targets(policy: SlaPolicy) -> None:
    """Raise UserFault for a policy that would measure nothing, or never."""
    if problems := policy_problems(policies.rule_from(policy)):
        raise UserFault(" ".join(problems))


class PolicyView(AdminView):
    noun, nouns = "policy", "policies"
    add_title = N_("New policy")
    list_title = N_("Targets")
    explanation = N_(
        "How soon tickets are to be answered and resolved. The first matching policy by position holds."
    )
    empty_text = N_(
        "No targets yet, so no clock runs. Make a policy to measure first response and resolution."
    )
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
        "version.number",
        "is_active",
    ]
    show_columns = [*COLUMNS, "version.number", "version.created_at", "created_at"]
    add_columns = edit_columns = COLUMNS
    search_columns = ["name", "branch", "priority", "is_active"]
    base_order = ("position", "asc")
    label_columns = {
        "first_response_minutes": N_("First response (minutes)"),
        "next_response_minutes": N_("Next response (minutes)"),
        "resolution_minutes": N_("Resolution (minutes)"),
        "is_business_time": N_("Count working hours only"),
        "types": N_("Ticket types"),
        "channel_kinds": N_("Channels"),
        "customer_levels": N_("Levels of customers"),
        "warning_percents": N_("Warn at (%)"),
        "version.number": N_("Version"),
        "version.created_at": N_("Version since"),
        **PAUSES,
    }
    description_columns = {
        "position": N_("Lower ones are looked at first."),
        "branch": N_("Leave empty for every branch."),
        "priority": N_("Leave empty for every priority."),
        "first_response_minutes": N_("Until someone first answers. Leave empty for no target."),
        "next_response_minutes": N_("Until each further message is answered. Leave empty for no target."),
        "resolution_minutes": N_("Until the ticket is resolved. Leave empty for no target."),
        "is_business_time": N_("By the calendar of the ticket's branch; otherwise around the clock."),
    }
    add_form_extra_fields = edit_form_extra_fields = {
        "types": WordsField(
            lazy_gettext("Ticket types"), words=TICKET_TYPES, description=lazy_gettext("None: every type.")
        ),
        "channel_kinds": WordsField(
            lazy_gettext("Channels"), words=CHANNEL_KINDS, description=lazy_gettext("None: every channel.")
        ),
        "customer_levels": LinesField(
            lazy_gettext("Levels of customers"),
            rows=2,
            description=lazy_gettext(
                "As they stand with the customers, one in each line. None: every customer."
            ),
            validators=[checked(checks.tags)],
        ),
        "warning_percents": PercentsField(
            lazy_gettext("Warn at (%)"),
            description=lazy_gettext(
                "Of a target, like 50, 80: the assignee is told, and the clock turns amber at the first."
            ),
            default=[75],
        ),
        **{
            name: WordsField(
                lazy_gettext(label),
                words=OPEN_STATUSES,
                default=["pending"] if name.startswith("resolution") else [],
            )
            for name, label in PAUSES.items()
        },
    }

    page_verbs = {"apply": "edit"}
    show_template = "admin/policy.html"

    @expose("/apply/<pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("edit")
    def apply(self, pk: str) -> Any:
        """What the newest targets would do to open tickets that are measured by former ones; on POST, do it."""
        policy = self._row(pk)
        reach.check_may_change(policy)
        if request.method == "POST":
            done = applying.apply_again(policy, db.session.get_one(User, current_user.id))
            flash(
                ngettext(
                    "%(num)s ticket is measured by the newest targets now.",
                    "%(num)s tickets are measured by the newest targets now.",
                    done,
                ),
                "success",
            )
            return redirect(url_for(f"{self.endpoint}.apply", pk=pk))
        return self.render_template(
            "admin/apply_policy.html",
            policy=policy,
            found=applying.difference(policy),
            reader=words.reader(),
            most=applying.MOST_AT_ONCE,
            view=self,
        )

    def check_row(self, row: SlaPolicy) -> None:
        check_targets(row)

    def finish(self, row: SlaPolicy, form: Any) -> audit.Changes:  # noqa: ARG002
        policies.newest_version(row)
        return {}


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
        "version.number",
    ]
    add_columns = edit_columns = COLUMNS
    search_columns = ["name", "branch", "priority", "is_active"]

    def check_row(self, row: SlaPolicy) -> None:
        check_targets(row)
