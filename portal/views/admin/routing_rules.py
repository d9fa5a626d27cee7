"""Ordered rules that place a new ticket."""

from dataclasses import dataclass
from typing import Any

from flask import flash, make_response, redirect, request, url_for
from flask_appbuilder.actions import action
from flask_appbuilder.widgets import FormWidget
from flask_login import current_user
from wtforms import Form

from portal.errors import UserFault
from portal.extensions import db
from portal.language import gettext, lazy_gettext, ngettext, says, tell
from portal.models import RoutingRule
from portal.models.branch import STRATEGIES
from portal.models.ticket import TICKET_TYPES
from portal.rules.conditions import parse_condition
from portal.services import routing_rules, trying
from portal.views.admin import checks
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.condition_field import ConditionField, asked, in_words
from portal.views.admin.fields import LinesField, WordField, checked, label_of
from portal.views.admin.rows import Rows
from portal.wording import N_

CHECKS = {"conditions": checks.condition, "tags": checks.tags, "tier_level": checks.level}
ACTIONS = [
    "branch",
    "tier_level",
    "priority",
    "ticket_type",
    "tags",
    "assignee",
    "strategy",
    "policy",
    "is_last",
]
COLUMNS = ["name", "position", "is_active", "conditions", *ACTIONS]
TRIALS = ("try", "replay")


class RuleFormWidget(FormWidget):
    """The form with its rows of conditions, and the place to try it."""

    template = "admin/rule_form.html"


@dataclass(frozen=True)
class StepShown:
    """One rule of a trial in words."""

    name: str
    why: str
    is_draft: bool
    is_reached: bool
    is_matched: bool


@dataclass(frozen=True)
class Tried:
    """What the page shows of a trial, or why there is none."""

    fault: str = ""
    trial: trying.Trial | None = None
    steps: tuple[StepShown, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    replay: trying.Replay | None = None


def condition_words(value: Any) -> str:
    """Stored conditions in words, for a list."""
    try:
        return in_words(parse_condition(value or {}))
    except ValueError as error:
        return tell(error.args[0])


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
    list_columns = ["position", "name", "conditions", "branch", "priority", "is_last", "is_active"]
    show_columns = [*COLUMNS, "created_at"]
    add_fieldsets = edit_fieldsets = [
        (N_("Rule"), {"fields": ["name", "position", "is_active"]}),
        (N_("When"), {"fields": ["conditions"]}),
        (N_("Then"), {"fields": ACTIONS}),
    ]
    add_widget = edit_widget = RuleFormWidget
    search_columns = ["name", "branch", "is_active"]
    base_order = ("position", "asc")
    label_columns = {
        "conditions": N_("When"),
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
        "assignee": N_("A member of the branch; also while they are away."),
        "policy": N_("Leave empty for the policy that holds for such tickets."),
        "branch": N_("Leave empty to keep the branch of the address."),
        "tier_level": N_("Leave empty for level 1."),
        "is_last": N_("Once this rule has matched, no later one is looked at."),
    }
    formatters_columns = {"conditions": condition_words}
    add_form_extra_fields = edit_form_extra_fields = {
        "conditions": ConditionField(
            lazy_gettext("The rule holds where"),
            description=lazy_gettext("Capital letters do not matter."),
        ),
        "ticket_type": WordField(lazy_gettext("Type"), words=TICKET_TYPES, is_optional=True),
        "strategy": WordField(
            lazy_gettext("Or give it by"),
            words=STRATEGIES,
            is_optional=True,
            description=lazy_gettext("Instead of the strategy of the branch."),
        ),
        "tags": LinesField(
            lazy_gettext("Tags"),
            description=lazy_gettext("One in each line."),
            validators=[checked(checks.tags)],
        ),
    }

    def check_row(self, row: RoutingRule) -> None:
        routing_rules.check_rule(row)

    def is_saving(self) -> bool:
        return not asked()

    def _form_page(self, template: str, title: str, widgets: Any) -> Any:
        widget = next(iter(widgets.values()))
        form = widget.template_args["form"]
        if asked() and request.headers.get("X-Partial"):
            return make_response(str(form["conditions"]()))
        widget.template_args["tried"] = _tried(form) if asked() in TRIALS else None
        return super()._form_page(template, title, widgets)

    @action("up", N_("Move up"), "", "fa-arrow-up")
    def up(self, chosen: Any) -> Any:
        return self._moved(chosen, by=-1)

    @action("down", N_("Move down"), "", "fa-arrow-down")
    def down(self, chosen: Any) -> Any:
        return self._moved(chosen, by=1)

    @action("duplicate", N_("Duplicate"), "", "fa-copy")
    def duplicate(self, chosen: Any) -> Any:
        copies = routing_rules.duplicate(_ids(chosen), current_user)
        flash(gettext("A copy stands below each, switched off until you have looked at it."), "success")
        return redirect(url_for(f"{self.endpoint}.edit", pk=copies[0])) if len(copies) == 1 else None

    @action("enable", N_("Enable"), "", "fa-toggle-on")
    def enable(self, chosen: Any) -> None:
        _tell_changed(routing_rules.set_active(_ids(chosen), True, current_user))

    @action("disable", N_("Disable"), "", "fa-toggle-off")
    def disable(self, chosen: Any) -> None:
        _tell_changed(routing_rules.set_active(_ids(chosen), False, current_user))

    def _moved(self, chosen: Any, by: int) -> Any:
        _tell_changed(routing_rules.move(_ids(chosen), by, current_user))
        return redirect(url_for(f"{self.endpoint}.list"))


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
        routing_rules.check_rule(row)


def _ids(chosen: Any) -> list[int]:
    return [row.id for row in (chosen if isinstance(chosen, list) else [chosen])]


def _tell_changed(many: int) -> None:
    words = ngettext("%(num)s rule changed.", "%(num)s rules changed.", many)
    flash(words if many else gettext("Nothing was to be changed."), "success" if many else "info")


def _tried(form: Form) -> Tried:
    """What the rule as it stands in the form would do."""
    if not form.validate():
        return Tried(gettext("Complete what is marked first."))
    try:
        draft = _draft(form)
        with db.session.no_autoflush:
            if asked() == "replay":
                return Tried(
                    replay=trying.replay(draft, current_user, request.form.get("try-last", 200, int))
                )
            trial = trying.try_mail(request.form.get("try-mail", "").encode(), draft)
    except UserFault as fault:
        return Tried(says(fault))
    return Tried(trial=trial, steps=tuple(map(_step_shown, trial.steps)), facts=_facts(trial))


def _draft(form: Form) -> RoutingRule:
    """A rule in no session, with what the form says; with the id of the row that is being changed."""
    pk = (request.view_args or {}).get("pk")
    draft = RoutingRule(id=int(pk) if pk else None)
    for name in COLUMNS:
        value = form[name].data
        if name in ("branch", "assignee", "policy"):
            setattr(draft, f"{name}_id", value.id if value is not None else None)
        else:
            setattr(draft, name, value)
    return draft


def _step_shown(step: trying.Step) -> StepShown:
    if not step.is_reached:
        why = gettext("Not looked at: a rule before it says to stop.")
    elif step.matched is not None:
        words = [
            in_words(parse_condition({name: part[name] for name in part if name != "found"}))
            for part in step.matched
        ]
        why = gettext("Holds: %(what)s", what="; ".join(words) or gettext("always"))
    else:
        why = gettext("Does not hold: %(what)s", what=in_words(step.failed) if step.failed else "")
    return StepShown(step.rule.name, why, step.is_draft, step.is_reached, step.matched is not None)


def _facts(trial: trying.Trial) -> tuple[tuple[str, str], ...]:
    decision = trial.decision
    told = (
        (gettext("Level"), str(decision.tier_level or 1)),
        (gettext("Priority"), tell(label_of(decision.priority)) if decision.priority else ""),
        (gettext("Type"), tell(label_of(decision.type)) if decision.type else ""),
        (gettext("Tags"), ", ".join(decision.tags)),
    )
    return tuple((label, value) for label, value in told if value)
