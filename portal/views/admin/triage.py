"""Criteria of triage: when a ticket is of a type, or of a severity."""

from typing import Any

from wtforms import Form

from portal.extensions import db
from portal.models import TriageCriterion
from portal.views.admin.base import AdminView
from portal.views.admin.fields import LongField
from portal.views.admin.rows import Rows
from portal.views.console.words import SEVERITIES, TYPES
from portal.wording import N_


def _name_of(value: str) -> str:
    return {**TYPES, **SEVERITIES}.get(value, value)


class TriageView(AdminView):
    noun, nouns = "criterion of triage", "criteria of triage"
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
    label_columns = {"kind": "Of", "value": "Name", "text": "When it fits"}
    formatters_columns = {"kind": str.capitalize, "value": _name_of}
    edit_form_extra_fields = {
        "text": LongField(
            "When it fits",
            description="A sentence or two in plain words, with examples from your own desk.",
            default="",
        )
    }

    def prefill_form(self, form: Form, pk: Any) -> None:
        row = db.session.get_one(TriageCriterion, pk)
        form["text"].label.text = f"When it fits: {_name_of(row.value)}"
