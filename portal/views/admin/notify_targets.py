"""Chat services and webhooks that hear of a tier's escalations."""

from typing import Any

from flask import flash
from flask_appbuilder.actions import action
from wtforms import Form

from portal.errors import UserFault
from portal.language import gettext, lazy_gettext, says
from portal.models import NotifyTarget
from portal.services import alerts
from portal.views.admin.base import AdminView
from portal.views.admin.fields import SecretField
from portal.views.admin.rows import Rows
from portal.wording import N_

COLUMNS = ["tier", "name", "url", "may_reach_internal", "is_active"]
SHOWN = ["tier", "name", "shown", "may_reach_internal", "is_active", "failing_since", "last_error"]


class NotifyTargetView(AdminView):
    noun, nouns = "notify target", "notify targets"
    add_title = N_("New notify target")
    list_title = N_("Notify targets")
    explanation = N_(
        "Where else a tier hears of its escalations: Slack, Teams, a webhook and many more. Without any, its people "
        "hear by the bell, and by mail where the tier says so."
    )
    empty_text = N_("No targets yet: escalations are told by the bell, and by mail where the tier says so.")
    route_base = "/admin/notify-targets"
    class_permission_name = "NotifyTargets"
    datamodel = Rows(NotifyTarget)
    list_columns = ["name", "tier", "shown", "is_active", "failing_since", "last_error"]
    show_columns = [*SHOWN, "created_at"]
    add_columns = edit_columns = COLUMNS
    search_columns = ["name", "tier", "is_active"]
    base_order = ("name", "asc")
    label_columns = {
        "shown": N_("Goes to"),
        "may_reach_internal": N_("May reach our own network"),
        "last_error": N_("Last trouble"),
    }
    description_columns = {
        "may_reach_internal": N_(
            "Only for a service that you run yourself: otherwise addresses inside your network "
            "are refused, wherever the address above leads."
        ),
    }
    add_form_extra_fields = edit_form_extra_fields = {
        "url": SecretField(
            lazy_gettext("Address"),
            description=lazy_gettext(
                "As Apprise writes it, like slack://…, msteams://… or jsons://host/path. Stored encrypted and "
                "never shown again; leave empty to keep it."
            ),
        )
    }
    action_verbs = {"send_test": "edit"}

    def fill(self, row: NotifyTarget, form: Form) -> None:
        if form.url.data:
            alerts.set_url(row, form.url.data)

    def check_row(self, row: NotifyTarget) -> None:
        if not row.url_encrypted:
            raise UserFault("Enter the address of the service.")

    @action("send_test", N_("Send a test"), None, "fa-paper-plane")
    def send_test(self, chosen: Any) -> None:
        for target in chosen if isinstance(chosen, list) else [chosen]:
            try:
                alerts.send_test(target)
            except UserFault as fault:
                flash(says(fault), "danger")
            else:
                flash(gettext("%(target)s has taken the test.", target=target.name), "success")
