"""Branches, and the levels of their agents."""

from portal.errors import UserFault
from portal.models import Branch, EscalationTier
from portal.views.admin import checks
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.fields import EditorField
from portal.views.admin.rows import Rows

BRANCH_CHECKS = {"code": checks.code, "time_zone": checks.time_zone, "language": checks.language}
TIER_CHECKS = {"level": checks.level, "escalate_at_percent": checks.percent}
BRANCH_COLUMNS = [
    "name",
    "code",
    "time_zone",
    "language",
    "calendar",
    "policy",
    "default_priority",
    "assignment_strategy",
    "fall_back_branch",
    "reopen_window_days",
    "from_name",
    "signature_html",
    "is_active",
]
TIER_COLUMNS = [
    "branch",
    "level",
    "name",
    "acknowledge_within_minutes",
    "on_unacknowledged",
    "escalate_at_percent",
]


def check_fall_back(branch: Branch) -> None:
    """A branch whose tickets fall back to itself would have none."""
    if branch.fall_back_branch is not None and branch.fall_back_branch is branch:
        raise UserFault("A branch cannot fall back to itself. Choose another one, or none.")


class TierView(AdminView):
    noun, nouns = "tier", "tiers"
    explanation = (
        "Who is asked next, and how soon. A tier without a branch holds for every branch without its own."
    )
    empty_text = "No tiers yet. Level 1 answers first, level 2 is what tickets escalate to."
    route_base = "/admin/tiers"
    class_permission_name = "Tiers"
    datamodel = Rows(EscalationTier)
    column_checks = TIER_CHECKS
    list_columns = ["name", "branch", "level", "acknowledge_within_minutes", "escalate_at_percent"]
    show_columns = add_columns = edit_columns = TIER_COLUMNS
    search_columns = ["name", "branch", "level"]
    base_order = ("level", "asc")
    label_columns = {
        "acknowledge_within_minutes": "Acknowledge within (minutes)",
        "on_unacknowledged": "If nobody acknowledges",
        "escalate_at_percent": "Escalate by itself at (%)",
    }
    description_columns = {
        "branch": "Leave empty for a tier that every branch without its own uses.",
        "level": "1 answers first; 2 is escalated to.",
        "acknowledge_within_minutes": "How long an escalation may wait for someone to take it.",
        "escalate_at_percent": "Of a clock's target: 100 is when it is due, 75 is earlier, 0 is never.",
    }


class BranchView(AdminView):
    noun, nouns = "branch", "branches"
    explanation = (
        "Offices, shops or departments: each has its hours, its targets, its members and its addresses."
    )
    empty_text = "No branches yet. The first one needs a calendar; make that before."
    route_base = "/admin/branches"
    class_permission_name = "Branches"
    datamodel = Rows(Branch)
    related_views = [TierView]
    column_checks = BRANCH_CHECKS
    list_columns = ["name", "code", "time_zone", "calendar", "policy", "assignment_strategy", "is_active"]
    show_columns = [*BRANCH_COLUMNS, "created_at"]
    add_columns = edit_columns = BRANCH_COLUMNS
    search_columns = ["name", "code", "calendar", "is_active"]
    base_order = ("name", "asc")
    label_columns = {
        "policy": "Targets",
        "assignment_strategy": "New tickets go to",
        "fall_back_branch": "Falls back to",
        "reopen_window_days": "Reopen within (days)",
        "from_name": "Sender's name",
    }
    description_columns = {
        "code": "Short and lasting: it stands in exports and addresses, like NORTH.",
        "time_zone": "Like Europe/Berlin. Working hours and dates in replies follow it.",
        "policy": "Used where no policy of its own matches a ticket.",
        "fall_back_branch": "Takes tickets that are addressed to this branch while it is not in use.",
        "reopen_window_days": "An answer to a closed ticket reopens it so long; later it opens a new one.",
        "from_name": "How the branch signs its mails; the branch's name where empty.",
        "signature_html": "Stands under every reply of the branch.",
        "is_active": "Switch a branch off instead of deleting it: its tickets and figures stay.",
    }
    add_form_extra_fields = edit_form_extra_fields = {
        "signature_html": EditorField("Signature", description=description_columns["signature_html"], rows=5)
    }

    def check_row(self, row: Branch) -> None:
        check_fall_back(row)


class BranchApi(AdminApi):
    noun = "branch"
    resource_name = "branches"
    class_permission_name = "Branches"
    openapi_spec_tag = "Branches"
    datamodel = Rows(Branch)
    column_checks = BRANCH_CHECKS
    list_columns = show_columns = [
        "id",
        *(name for name in BRANCH_COLUMNS if name not in ("calendar", "policy", "fall_back_branch")),
        "calendar.id",
        "calendar.name",
        "policy.id",
        "policy.name",
    ]
    add_columns = edit_columns = BRANCH_COLUMNS
    search_columns = ["name", "code", "is_active"]

    def check_row(self, row: Branch) -> None:
        check_fall_back(row)


class TierApi(AdminApi):
    noun = "tier"
    resource_name = "tiers"
    class_permission_name = "Tiers"
    openapi_spec_tag = "Tiers"
    datamodel = Rows(EscalationTier)
    column_checks = TIER_CHECKS
    list_columns = show_columns = ["id", *TIER_COLUMNS[1:], "branch.id", "branch.name"]
    add_columns = edit_columns = TIER_COLUMNS
    search_columns = ["name", "branch", "level"]
