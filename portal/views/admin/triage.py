"""Criteria of triage: when a ticket is of a type, or of a severity."""

from typing import Any

from wtforms import Form

from portal.extensions import db
from portal.language import gettext, lazy_gettext, tell
from portal.models import TriageCriterion
from portal.views.admin.base import AdminView
from portal.views.admin.fields import LongField, label_of
from portal.views.admin.rows import Rows
from portal.views.console.words import SEVERITIES, TYPES
from portal.wording import N_


def _name_of(value: str) -> str:
    return str({**TYPES, **SEVERITIES}.get(value, value))


class TriageView(AdminView):
    noun, nouns = "criterion of triage", "criteria of triage"
    add_title = N_("New criterion of triage")
    list_title = N_("Criteria of triage")
    explanation = N_(
        "What agents read beside the type and the severity of a ticket, so that everybody judges alike. "
        "The types and severities themselves are the same in every installation; the words about them are yours."
    )
    empty_text = N_("There are no criteria.")
    route_base = "/admin/triage"
    class_permission_name = "Triage"
    datamodel = Rows(TriageCriterion)
    # One for each type and severity, no more and no fewer.
    exclude_route_methods = {"download", "add", "delete"}
    may_delete = False
    list_columns = show_columns = ["kind", "value", "text"]
    edit_columns = ["text"]
    search_columns = ["kind", "text"]
    base_order = ("id", "asc")
    label_columns = {"kind": N_("Of"), "value": N_("Name"), "text": N_("When it fits")}
    formatters_columns = {"kind": lambda kind: tell(label_of(kind)), "value": _name_of}
    edit_form_extra_fields = {
        "text": LongField(
            lazy_gettext("When it fits"),
            description=lazy_gettext("A sentence or two in plain words, with examples from your own desk."),
            default="",
        )
    }

    def title_of(self, row: TriageCriterion) -> str:
        return _name_of(row.value)

    def prefill_form(self, form: Form, pk: Any) -> None:
        row = db.session.get_one(TriageCriterion, pk)
        form["text"].label.text = gettext("When it fits: %(name)s", name=_name_of(row.value))
