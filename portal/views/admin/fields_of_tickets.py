"""Fields that the desk defines for its own tickets."""

from dataclasses import asdict
from typing import Any

from portal.errors import UserFault
from portal.language import lazy_gettext
from portal.models import TicketField
from portal.rules import fields as rules
from portal.services import fields
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.fields import LinesField, WordField
from portal.views.admin.rows import Rows
from portal.wording import N_

# A name heads a column of the export, which a spreadsheet would run as a formula if it began like one.
NAME_STARTS = ("=", "+", "-", "@")
COLUMNS = [
    "name",
    "key",
    "kind",
    "choices",
    "help_text",
    "branches",
    "position",
    "is_required",
    "is_in_filter",
    "is_active",
]
# The key stands in addresses and templates, and the kind decides how the values are stored: both stay.
EDIT_COLUMNS = [name for name in COLUMNS if name not in ("key", "kind")]


def check_key(value: Any) -> None:
    """A key that can stand in an address and in a template."""
    try:
        rules.check_key(str(value or ""))
    except rules.UnreadableValueError as fault:
        raise UserFault(fault.args[0]) from fault


def check_name(value: Any) -> None:
    """A name that can head a column of the export."""
    if str(value or "").startswith(NAME_STARTS):
        raise UserFault(
            "A name cannot begin with %(listed)s: it heads a column of the export.",
            listed=" ".join(NAME_STARTS),
        )


def check_choices(value: Any) -> None:
    """Choices as they are stored: a list of {"key", "label", "is_active"}."""
    is_list = isinstance(value, list) and all(isinstance(item, dict) for item in value)
    try:
        found = [rules.Choice(**item) for item in value] if is_list else None
        for choice in found or ():
            rules.choices_from([f"{choice.key} = {choice.label}"])
    except (TypeError, rules.UnreadableValueError) as error:
        raise UserFault(CHOICES_SHAPE) from error
    if found is None or len({choice.key for choice in found}) < len(found):
        raise UserFault(CHOICES_SHAPE)


CHOICES_SHAPE = 'Send choices like [{"key": "blue", "label": "Blue", "is_active": true}], each key once.'
CHECKS = {"key": check_key, "name": check_name, "choices": check_choices}


def check_field(field: TicketField) -> None:
    """Lists need something to choose from, and nothing else has choices."""
    if field.kind in rules.WITH_CHOICES:
        if not any(choice["is_active"] for choice in field.choices):
            raise UserFault("Write what can be chosen, one in each line.")
    elif field.choices:
        raise UserFault("Only a field of the kind “One of a list” or “Several of a list” has choices.")


class ChoicesField(LinesField):
    """Choices, one in each line; what is taken out of the list is retired, and stays readable where it was chosen."""

    def process_data(self, value: Any) -> None:
        lines = [f"{item['key']} = {item['label']}" for item in value or () if item["is_active"]]
        super().process_data(lines)

    def populate_obj(self, obj: TicketField, name: str) -> None:
        before = tuple(rules.Choice(**item) for item in obj.choices or ())
        try:
            choices = rules.choices_from(self.data or (), before)
        except rules.UnreadableValueError as fault:
            raise UserFault(fault.args[0]) from fault
        setattr(obj, name, [asdict(choice) for choice in choices])


CHOICES_HELP = lazy_gettext(
    "For lists: one choice in each line, like blue = Dark blue. The key before the = stays on the tickets; the words "
    "can be changed any time. Without a key one is made. What you take out stays readable where it was chosen."
)


def shown_choices(choices: Any) -> str:
    """The choices in one line, retired ones marked."""
    return ", ".join(item["label"] + ("" if item["is_active"] else " (retired)") for item in choices or ())


class FieldView(AdminView):
    noun, nouns = "field", "fields"
    add_title = N_("New field")
    list_title = N_("Ticket fields")
    explanation = N_(
        "What your desk wants to know of a ticket besides its type and priority: an order number, a device."
    )
    empty_text = N_(
        "No fields of your own yet. Make one, and it stands beside every ticket of its branches at once."
    )
    route_base = "/admin/fields"
    class_permission_name = "Fields"
    datamodel = Rows(TicketField)
    column_checks = CHECKS
    list_columns = ["position", "name", "key", "kind", "branches", "is_required", "is_in_filter", "is_active"]
    show_columns = [*COLUMNS, "created_at"]
    add_columns = COLUMNS
    edit_columns = EDIT_COLUMNS
    search_columns = ["name", "key", "kind", "is_active"]
    base_order = ("position", "asc")
    label_columns = {
        "help_text": N_("Help"),
        "is_required": N_("Required before resolving"),
        "is_in_filter": N_("Shown in the list's filter"),
        "is_active": N_("In use"),
    }
    description_columns = {
        "name": N_("As agents read it: Order number."),
        "key": N_(
            "Short and lasting, like order_number: for templates ({{ ticket.fields.order_number }}), addresses and "
            "exports. It cannot be changed later."
        ),
        "help_text": N_("A sentence that is shown where the field is filled in."),
        "branches": N_("Leave empty for every branch."),
        "position": N_("Lower ones come first."),
        "is_required": N_("A ticket cannot be resolved before it is filled in."),
        "is_active": N_(
            "Switch a field off instead of deleting it: its values stay readable on their tickets."
        ),
    }
    formatters_columns = {
        "choices": shown_choices,
        "kind": lambda kind: rules.KINDS.get(kind, kind),
    }
    add_form_extra_fields = {
        "choices": ChoicesField(lazy_gettext("Choices"), description=CHOICES_HELP, rows=6),
        "kind": WordField(
            lazy_gettext("Kind"),
            words=tuple(rules.KINDS),
            description=lazy_gettext(
                "It cannot be changed later: retire the field and make another one instead."
            ),
        ),
    }
    edit_form_extra_fields = {
        "choices": ChoicesField(lazy_gettext("Choices"), description=CHOICES_HELP, rows=6)
    }

    def check_row(self, row: TicketField) -> None:
        check_field(row)

    def check_may_delete(self, row: TicketField) -> None:
        if fields.is_used(row.key):
            raise UserFault(
                "Tickets have values of “%(name)s”, so it was kept. Switch it off instead: "
                "then nobody is asked for it any more, and the values stay readable.",
                name=row.name,
            )


class FieldApi(AdminApi):
    noun = "field"
    resource_name = "ticket-fields"
    class_permission_name = "Fields"
    openapi_spec_tag = "Fields"
    datamodel = Rows(TicketField)
    # Whether tickets have values is asked on the page alone: programs switch a field off.
    may_delete = False
    column_checks = CHECKS
    list_columns = show_columns = [
        "id",
        *(name for name in COLUMNS if name != "branches"),
        "branches.id",
        "branches.name",
    ]
    add_columns = COLUMNS
    edit_columns = EDIT_COLUMNS
    search_columns = ["name", "key", "kind", "is_active"]

    def check_row(self, row: TicketField) -> None:
        check_field(row)
