"""Branches, and the levels of their agents."""

import re
from typing import Any

from flask import current_app, flash
from flask_appbuilder.actions import action
from flask_login import current_user

from portal.errors import UserFault
from portal.language import lazy_gettext, says
from portal.models import Branch, EscalationTier
from portal.rules.templating import PLACEHOLDERS
from portal.services import tiers
from portal.views.admin import checks, reach
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.fields import DecisionField, EditorField, TimeZoneField, checked
from portal.views.admin.rows import Rows
from portal.wording import N_

MOST_AUTOMATIC = 1000
DNS_COLOURS = {"good": "success", "wrong": "danger", "missing": "warning", "unknown": "warning"}
LARGEST_ATTACHED_MB = 100


def check_acknowledgement(text: Any) -> None:
    """HTML with placeholders that have a value before anyone has taken the ticket."""
    checks.template_body(text)
    if re.search(r"\{\{\s*agent\.", str(text or "")):
        raise UserFault("Nobody has the ticket yet: an acknowledgement cannot name the agent.")


def check_automatic(value: Any) -> None:
    """How many automatic mails; 0 forbids them."""
    if value is None or not 0 <= value <= MOST_AUTOMATIC:
        raise UserFault(
            "Enter a number from 0 to %(most)s.",
            most=MOST_AUTOMATIC,
        )


def check_attached(value: Any) -> None:
    """A size in MB that mail servers may take."""
    if value is None or not 1 <= value <= LARGEST_ATTACHED_MB:
        raise UserFault(
            "Enter a size from 1 to %(largest_attached_mb)s MB.",
            largest_attached_mb=LARGEST_ATTACHED_MB,
        )


BRANCH_CHECKS = {
    "code": checks.code,
    "time_zone": checks.time_zone,
    "language": checks.language,
    "acknowledgement_html": check_acknowledgement,
    "automatic_per_recipient": check_automatic,
    "automatic_per_ticket": check_automatic,
    "attachment_limit_mb": check_attached,
    "close_after_days": checks.days_to_close,
}
TIER_CHECKS = {
    "level": checks.level,
    "escalate_at_percent": checks.percent,
    "acknowledge_within_minutes": checks.minutes_to_acknowledge,
}
PLACE_COLUMNS = [
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
    "close_after_days",
    "requires_code",
    "is_active",
]
MAIL_COLUMNS = ["from_name", "signature_html", "quotes_history", "attachment_limit_mb", "signs_with_dkim"]
AUTOMATIC_COLUMNS = [
    "sends_acknowledgement",
    "acknowledgement_html",
    "automatic_per_recipient",
    "automatic_per_ticket",
]
BRANCH_COLUMNS = [*PLACE_COLUMNS, *MAIL_COLUMNS, *AUTOMATIC_COLUMNS]
ACKNOWLEDGEMENT_HELP = lazy_gettext(
    "Placeholders are filled in for each ticket: %(placeholders)s",
    placeholders=", ".join(f"{{{{ {name} }}}}" for name in PLACEHOLDERS if not name.startswith("agent.")),
)
TIER_COLUMNS = [
    "branch",
    "level",
    "name",
    "acknowledge_within_minutes",
    "on_unacknowledged",
    "escalate_at_percent",
    "mails_members",
]


def check_fall_back(branch: Branch) -> None:
    """A branch whose tickets fall back to itself would have none."""
    if branch.fall_back_branch is not None and branch.fall_back_branch is branch:
        raise UserFault("A branch cannot fall back to itself. Choose another one, or none.")


def check_branch(branch: Branch) -> None:
    """What holds between the values of a branch."""
    check_fall_back(branch)
    if branch.sends_acknowledgement and not has_words(branch.acknowledgement_html):
        raise UserFault("Write the text of the acknowledgement, or switch it off.")
    if branch.signs_with_dkim and not branch.dkim_selector:
        raise UserFault("There is no key to sign with yet. Save without signing, then make a key.")


def has_words(html: str | None) -> bool:
    """Whether anything remains of it without its tags."""
    return bool(re.sub(r"<[^>]*>|&nbsp;", "", html or "").strip())


class TierView(AdminView):
    noun, nouns = "tier", "tiers"
    add_title = N_("New tier")
    list_title = N_("Tiers")
    explanation = N_(
        "Who is asked next, and how soon. A tier without a branch holds for every branch without its own."
    )
    empty_text = N_("No tiers yet. Level 1 answers first, level 2 is what tickets escalate to.")
    route_base = "/admin/tiers"
    class_permission_name = "Tiers"
    datamodel = Rows(EscalationTier)
    column_checks = TIER_CHECKS
    list_columns = ["name", "branch", "level", "acknowledge_within_minutes", "escalate_at_percent"]
    show_columns = add_columns = edit_columns = TIER_COLUMNS
    search_columns = ["name", "branch", "level"]
    base_order = ("level", "asc")
    label_columns = {
        "acknowledge_within_minutes": N_("Acknowledge within (minutes)"),
        "on_unacknowledged": N_("If nobody acknowledges"),
        "escalate_at_percent": N_("Escalate by itself at (%)"),
        "mails_members": N_("Mail its people"),
    }
    description_columns = {
        "branch": N_("Leave empty for a tier that every branch without its own uses."),
        "level": N_("1 answers first; 2 is escalated to."),
        "acknowledge_within_minutes": N_("How long an escalation may wait for someone to take it."),
        "escalate_at_percent": N_("Of a clock's target: 100 is when it is due, 75 is earlier, 0 is never."),
        "mails_members": N_(
            "Of each escalation, besides the bell. In their quiet hours mail waits, except for whoever "
            "is on call."
        ),
    }

    def check_row(self, row: EscalationTier) -> None:
        tiers.check_tier(row)

    def notices(self) -> list[str]:
        return [nobody.says() for nobody in tiers.without_people()]


class BranchView(AdminView):
    noun, nouns = "branch", "branches"
    add_title = N_("New branch")
    list_title = N_("Branches")
    explanation = N_(
        "Offices, shops or departments: each has its hours, its targets, its members and its addresses."
    )
    empty_text = N_("No branches yet. The first one needs a calendar; make that before.")
    route_base = "/admin/branches"
    class_permission_name = "Branches"
    datamodel = Rows(Branch)
    related_views = [TierView]
    column_checks = BRANCH_CHECKS
    list_columns = ["name", "code", "time_zone", "calendar", "policy", "assignment_strategy", "is_active"]
    show_fieldsets = [
        (N_("Branch"), {"fields": [*PLACE_COLUMNS, "created_at"]}),
        (N_("Mail"), {"fields": [*MAIL_COLUMNS, "dkim_selector", "dkim_record"]}),
        (N_("Automatic mail"), {"fields": AUTOMATIC_COLUMNS}),
    ]
    add_fieldsets = edit_fieldsets = [
        (N_("Branch"), {"fields": PLACE_COLUMNS}),
        (N_("Mail"), {"fields": MAIL_COLUMNS, "expanded": True}),
        (N_("Automatic mail"), {"fields": AUTOMATIC_COLUMNS, "expanded": True}),
    ]
    search_columns = ["name", "code", "calendar", "is_active"]
    base_order = ("name", "asc")
    label_columns = {
        "policy": N_("Targets"),
        "assignment_strategy": N_("New tickets go to"),
        "fall_back_branch": N_("Falls back to"),
        "reopen_window_days": N_("Reopen within (days)"),
        "close_after_days": N_("Resolved closes after (days)"),
        "requires_code": N_("Ask for a resolution code"),
        "from_name": N_("Sender's name"),
        "quotes_history": N_("Quote the answered message"),
        "attachment_limit_mb": N_("Files of one reply (MB)"),
        "signs_with_dkim": N_("Sign with DKIM"),
        "dkim_selector": N_("DKIM selector"),
        "dkim_record": N_("DKIM record"),
        "sends_acknowledgement": N_("Acknowledge new tickets"),
        "acknowledgement_html": N_("Acknowledgement"),
        "automatic_per_recipient": N_("Automatic mails a day to one address"),
        "automatic_per_ticket": N_("Automatic mails a day on one ticket"),
    }
    description_columns = {
        "close_after_days": N_("Leave empty to do as the desk does. 0: what is resolved stays resolved."),
        "code": N_("Short and lasting: it stands in exports and addresses, like NORTH."),
        "calendar": N_("New tickets are counted by it; those that are open keep theirs."),
        "policy": N_("Used where no policy of its own matches a ticket."),
        "fall_back_branch": N_("Takes tickets that are addressed to this branch while it is not in use."),
        "reopen_window_days": N_(
            "An answer to a closed ticket reopens it so long; later it opens a new one."
        ),
        "from_name": N_("How the branch signs its mails; the branch's name where empty."),
        "quotes_history": N_("Replies show what they answer below them."),
        "attachment_limit_mb": N_("All files of a reply together. Many servers refuse mails over 25 MB."),
        "signs_with_dkim": N_("After “Make a DKIM key” has made one and “Check DNS” has found its record."),
        "sends_acknowledgement": N_("Whoever opens a ticket by mail is told at once that it has arrived."),
        "automatic_per_recipient": N_(
            "Beyond it nothing automatic is sent: two machines stop writing to each other."
        ),
        "automatic_per_ticket": N_("0 forbids automatic mail."),
        "is_active": N_("Switch a branch off instead of deleting it: its tickets and figures stay."),
    }
    add_form_extra_fields = edit_form_extra_fields = {
        "time_zone": TimeZoneField(
            lazy_gettext("Time zone"), description=lazy_gettext("Dates in replies follow it.")
        ),
        "requires_code": DecisionField(
            lazy_gettext("Ask for a resolution code"),
            description=lazy_gettext("When a ticket is resolved or closed."),
        ),
        "signature_html": EditorField(
            lazy_gettext("Signature"),
            description=lazy_gettext("Stands under every reply of the branch."),
            rows=5,
        ),
        "acknowledgement_html": EditorField(
            lazy_gettext("Acknowledgement"),
            description=ACKNOWLEDGEMENT_HELP,
            rows=8,
            validators=[checked(check_acknowledgement)],
        ),
    }

    def check_row(self, row: Branch) -> None:
        check_branch(row)

    @action(
        "make_key",
        N_("Make a DKIM key"),
        lazy_gettext(
            "Make a new key for these branches? A former one stops signing; its record can go after a week."
        ),
        "fa-key",
    )
    def make_key(self, chosen: Any) -> None:
        # The machinery of keys is large, and only this button of the admin needs it.
        from portal.services.domain_keys import make_branch_key

        for branch in chosen if isinstance(chosen, list) else [chosen]:
            reach.check_may_change(branch)
            for line in make_branch_key(branch, current_user):
                flash(f"Publish this record: {line}", "success")

    @action("check_dns", N_("Check DNS"), None, "fa-globe")
    def check_dns(self, chosen: Any) -> None:
        from portal.services.domain_keys import check_records

        for branch in chosen if isinstance(chosen, list) else [chosen]:
            try:
                found = check_records(branch, current_app.config["SETTINGS"].dns_servers)
            except UserFault as fault:
                flash(says(fault), "info")
                continue
            for domain, findings in found:
                for finding in findings:
                    flash(f"{domain}, {finding.record}: {finding.sentence}", DNS_COLOURS[finding.verdict])


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
        check_branch(row)


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

    def check_row(self, row: EscalationTier) -> None:
        tiers.check_tier(row)
