"""Ordered rules that place a new ticket."""

from portal.language import lazy_gettext
from portal.models import RoutingRule
from portal.models.branch import STRATEGIES
from portal.models.ticket import TICKET_TYPES
from portal.services import routing_rules as rule_checks
from portal.views.admin import checks
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.fields import LinesField, WordField, checked
from portal.views.admin.rows import Rows
from portal.wording import N_

CHECKS = {"conditions": checks.condition, "tags": checks.tags, "tier_level": checks.level}
COLUMNS = [
    "name",
    "position",
    "conditions",
    "branch",
    "tier_level",
    "priority",
    "ticket_type",
    "tags",
    "assignee",
    "strategy",
    "policy",
    "is_last",
    "is_active",
]


class RoutingRuleView(AdminView):
    noun, nouns = "routing rule", "routing rules"
    add_title = N_("New routing rule")
    list_title = N_("Routing rules")
    explanation = N_(
        "Where new tickets go. The address decides the branch; these rules, in order, refine or overrule it."
    )
    empty_text = N_("No rules yet: every ticket goes to the branch of the address it was written to.")
    route_base = "/admin/routing-rules"
    class_permission_name = "RoutingRules"
    datamodel = Rows(RoutingRule)
    column_checks = CHECKS
    list_columns = ["position", "name", "branch", "tier_level", "priority", "tags", "is_last", "is_active"]
    show_columns = [*COLUMNS, "created_at"]
    add_columns = edit_columns = COLUMNS
    search_columns = ["name", "branch", "is_active"]
    base_order = ("position", "asc")
    label_columns = {
        "branch": N_("Send to branch"),
        "tier_level": N_("At level"),
        "ticket_type": N_("Type"),
        "is_last": N_("Stop here"),
        "assignee": N_("Give it to"),
        "strategy": N_("Or give it by"),
        "policy": N_("Measured by"),
    }
    description_columns = {
        "position": N_("Lower ones are looked at first."),
        "conditions": N_(
            'Like {"all": [{"field": "subject", "operator": "contains", "value": "refund"}]}; '
            '"any" and "not" work as well, {} always holds. Fields: sender, domain, recipients, subject, body, '
            "language, account, channel and more. Operators: equals, in, contains, starts_with, ends_with, all_words, "
            "any_word, matches."
        ),
        "assignee": N_("A member of the branch; also while they are away."),
        "strategy": N_("Instead of the strategy of the branch."),
        "policy": N_("Leave empty for the policy that holds for such tickets."),
        "branch": N_("Leave empty to keep the branch of the address."),
        "tier_level": N_("Leave empty for level 1."),
        "is_last": N_("Once this rule has matched, no later one is looked at."),
    }
    add_form_extra_fields = edit_form_extra_fields = {
        "ticket_type": WordField(lazy_gettext("Type"), words=TICKET_TYPES, is_optional=True),
        "strategy": WordField(lazy_gettext("Or give it by"), words=STRATEGIES, is_optional=True),
        "tags": LinesField(
            lazy_gettext("Tags"),
            description=lazy_gettext("One in each line."),
            validators=[checked(checks.tags)],
        ),
    }

    def check_row(self, row: RoutingRule) -> None:
        rule_checks.check_rule(row)


class RoutingRuleApi(AdminApi):
    noun = "routing rule"
    resource_name = "routing_rules"
    class_permission_name = "RoutingRules"
    openapi_spec_tag = "Routing rules"
    datamodel = Rows(RoutingRule)
    column_checks = CHECKS
    list_columns = show_columns = [
        "id",
        *(name for name in COLUMNS if name not in ("branch", "assignee", "policy")),
        "branch.id",
        "branch.name",
        "assignee.id",
        "policy.id",
    ]
    add_columns = edit_columns = COLUMNS
    search_columns = ["name", "branch", "is_active"]

    def check_row(self, row: RoutingRule) -> None:
        rule_checks.check_rule(row)
