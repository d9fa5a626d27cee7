"""Customers and their addresses."""

from typing import Any

from flask import flash
from flask_appbuilder.actions import action
from flask_login import current_user

from portal.language import gettext, lazy_gettext
from portal.models import Customer, Identity
from portal.services import suppression
from portal.views.admin import checks
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.fields import LongField
from portal.views.admin.rows import Rows
from portal.wording import N_

CHECKS = {"language": checks.language}
COLUMNS = ["name", "language", "level", "notes"]


class IdentityView(AdminView):
    noun, nouns = "address", "addresses"
    list_title = N_("Addresses")
    explanation = N_(
        "The addresses of customers on each kind of channel. One whose mail came back for good is blocked: "
        "nothing automatic goes there until it is unblocked."
    )
    empty_text = N_("No addresses yet. They come with the first message of a customer.")
    route_base = "/admin/addresses"
    class_permission_name = "Customers"
    datamodel = Rows(Identity)
    is_read_only = True
    list_columns = ["id", "address", "kind", "customer", "suppressed_at", "suppressed_reason", "created_at"]
    show_columns = ["address", "kind", "customer", "suppressed_at", "suppressed_reason", "created_at"]
    search_columns = ["address"]
    label_columns = {"suppressed_at": N_("Blocked since"), "suppressed_reason": N_("Blocked because")}

    @action(
        "clear",
        N_("Unblock"),
        lazy_gettext("Let automatic mail go to the chosen addresses again?"),
        "fa-unlock",
    )
    def clear(self, chosen: Any) -> None:
        for identity in chosen if isinstance(chosen, list) else [chosen]:
            suppression.clear(identity, current_user)
        flash(gettext("Automatic mail may go there again."), "success")


class CustomerView(AdminView):
    noun, nouns = "customer", "customers"
    add_title = N_("New customer")
    list_title = N_("Customers")
    explanation = N_("The people who write to you. New ones appear with their first message.")
    empty_text = N_("No customers yet. The first mail brings the first one.")
    route_base = "/admin/customers"
    class_permission_name = "Customers"
    datamodel = Rows(Customer)
    related_views = [IdentityView]
    may_delete = False
    column_checks = CHECKS
    list_columns = ["id", "name", "identities", "language", "level", "created_at"]
    show_columns = [*COLUMNS, "created_at"]
    add_columns = edit_columns = COLUMNS
    search_columns = ["name"]
    label_columns = {"identities": N_("Addresses")}
    description_columns = {
        "level": N_("Like gold or partner; shown beside their tickets."),
        "notes": N_("For colleagues only."),
    }
    add_form_extra_fields = edit_form_extra_fields = {
        "notes": LongField(
            lazy_gettext("Notes"), description=lazy_gettext("For colleagues only."), default=""
        )
    }


class CustomerApi(AdminApi):
    noun = "customer"
    resource_name = "customers"
    class_permission_name = "Customers"
    openapi_spec_tag = "Customers"
    datamodel = Rows(Customer)
    may_delete = False
    column_checks = CHECKS
    list_columns = show_columns = [
        "id",
        "name",
        "language",
        "level",
        "created_at",
        "identities.kind",
        "identities.address",
    ]
    add_columns = edit_columns = COLUMNS
    search_columns = ["name"]
