"""Prepared replies."""

from typing import Any

from portal.language import lazy_gettext
from portal.models import ReplyTemplate
from portal.models.columns import now
from portal.rules.templating import PLACEHOLDERS
from portal.services import templates
from portal.views.admin import checks
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.fields import EditorField, checked
from portal.views.admin.rows import Rows
from portal.wording import N_

CHECKS = {
    "body_html": checks.template_body,
    "actions": checks.template_actions,
    "language": checks.language,
}
COLUMNS = ["name", "shortcut", "category", "language", "state", "branches", "subject", "body_html", "actions"]
BODY_HELP = lazy_gettext(
    "Placeholders are filled in when an agent inserts the template: %(placeholders)s; and {{ ticket.fields.key }} for "
    "a field of your own, by its key.",
    placeholders=", ".join(f"{{{{ {name} }}}}" for name in PLACEHOLDERS),
)


def keep_words(template: ReplyTemplate) -> None:
    """What the ranking reads of the template, and when it was last changed."""
    template.body_text = templates.plain_body(template.body_html or "")
    template.updated_at = now()


class TemplateView(AdminView):
    noun, nouns = "template", "templates"
    add_title = N_("New template")
    list_title = N_("Templates")
    explanation = N_("Prepared replies that agents find, insert and adapt.")
    empty_text = N_("No templates yet. Write one for the question you answer most often.")
    route_base = "/admin/templates"
    class_permission_name = "Templates"
    datamodel = Rows(ReplyTemplate)
    column_checks = CHECKS
    list_columns = ["name", "category", "language", "branches", "state", "sent_count", "updated_at"]
    show_columns = [*COLUMNS, "sent_count", "owner", "updated_at"]
    add_columns = edit_columns = COLUMNS
    search_columns = ["name", "category", "language", "state", "branches"]
    base_order = ("name", "asc")
    label_columns = {
        "body_html": N_("Text"),
        "actions": N_("Besides"),
        "sent_count": N_("Sent"),
        "updated_at": N_("Last changed"),
    }
    description_columns = {
        "shortcut": N_("Typed in the composer to find it at once."),
        "branches": N_("Leave empty for every branch."),
        "state": N_("Agents see published ones only."),
        "actions": N_(
            'What sending it does besides, like {"status": "pending", "tags": ["refund"]}; {} for nothing.'
        ),
    }
    add_form_extra_fields = edit_form_extra_fields = {
        "body_html": EditorField(
            lazy_gettext("Text"), description=BODY_HELP, validators=[checked(checks.template_body)]
        )
    }

    def fill(self, row: ReplyTemplate, form: Any) -> None:  # noqa: ARG002
        keep_words(row)


class TemplateApi(AdminApi):
    noun = "template"
    resource_name = "templates"
    class_permission_name = "Templates"
    openapi_spec_tag = "Templates"
    datamodel = Rows(ReplyTemplate)
    column_checks = CHECKS
    list_columns = [
        "id",
        "name",
        "shortcut",
        "category",
        "language",
        "state",
        "sent_count",
        "updated_at",
        "branches.id",
        "branches.name",
    ]
    show_columns = [*list_columns, "subject", "body_html", "actions"]
    add_columns = edit_columns = COLUMNS
    search_columns = ["name", "category", "language", "state", "branches"]

    def check_row(self, row: ReplyTemplate) -> None:
        keep_words(row)
