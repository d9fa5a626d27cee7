"""Rules that escalate tickets by themselves."""

from flask import flash

from portal.language import gettext, lazy_gettext
from portal.models import EscalationRule
from portal.models.branch import PRIORITIES
from portal.models.ticket import TICKET_TYPES
from portal.rules.triggers import KINDS
from portal.services import tiers, triggers
from portal.views.admin import checks
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.rows import Rows
from portal.wording import N_

CHECKS = {"to_level": checks.level}
COLUMNS = ["name", "branch", "kind", "value", "to_level", "is_active"]


def check_rule(rule: EscalationRule) -> None:
    """Refuse what could not do what it says; say where a rule of every branch will find nobody."""
    nowhere = triggers.check_rule(rule)
    if nowhere:
        flash(
            gettext(
                "In %(branches)s nobody works at level %(level)s: there, whoever leads the branch is told.",
                branches=", ".join(nowhere),
                level=rule.to_level,
            ),
            "warning",
        )


class EscalationRuleView(AdminView):
    noun, nouns = "escalation rule", "escalation rules"
    add_title = N_("New escalation rule")
    list_title = N_("Escalation rules")
    explanation = N_(
        "What sends a ticket to a higher tier by itself, besides its clocks. Each rule counts once for a ticket until "
        "it has been handed back and the same happens anew."
    )
    empty_text = N_("No rules yet: tickets escalate by hand, and by the clock where their tier says so.")
    route_base = "/admin/escalation-rules"
    class_permission_name = "EscalationRules"
    datamodel = Rows(EscalationRule)
    column_checks = CHECKS
    list_columns = ["name", "branch", "kind", "value", "to_level", "is_active"]
    show_columns = [*COLUMNS, "created_at"]
    add_columns = edit_columns = COLUMNS
    search_columns = ["name", "branch", "kind", "is_active"]
    base_order = ("name", "asc")
    label_columns = {"kind": N_("When"), "value": N_("This"), "to_level": N_("To level")}
    description_columns = {
        "branch": N_("Leave empty for every branch."),
        "kind": N_("What has to happen. It is looked at in the moment in which it happens."),
        "value": lazy_gettext(
            "A priority (%(priorities)s), a type (%(types)s), how many times, or the words with commas between them; "
            "capital letters do not matter, and only whole words count.",
            priorities=", ".join(PRIORITIES),
            types=", ".join(TICKET_TYPES),
        ),
        "to_level": N_("The tier that tickets go to: it has to exist and to have people."),
    }
    formatters_columns = {"kind": lambda kind: gettext(KINDS.get(kind, kind))}

    def check_row(self, row: EscalationRule) -> None:
        check_rule(row)

    def notices(self) -> list[str]:
        return [nobody.says() for nobody in tiers.without_people()]


class EscalationRuleApi(AdminApi):
    noun = "escalation rule"
    resource_name = "escalation_rules"
    class_permission_name = "EscalationRules"
    openapi_spec_tag = "Escalation rules"
    datamodel = Rows(EscalationRule)
    column_checks = CHECKS
    list_columns = show_columns = [
        "id",
        *(name for name in COLUMNS if name != "branch"),
        "branch.id",
        "branch.name",
    ]
    add_columns = edit_columns = COLUMNS
    search_columns = ["name", "branch", "kind", "is_active"]

    def check_row(self, row: EscalationRule) -> None:
        triggers.check_rule(row)
