"""Tickets, read by programs. Changes go through the desk's own interface, which records who did what."""

from portal.models import Ticket
from portal.views.admin.base import AdminApi
from portal.views.admin.rows import Rows

FACTS = [
    "id",
    "number",
    "subject",
    "status",
    "priority",
    "type",
    "severity",
    "tier_level",
    "channel_kind",
    "created_at",
    "last_activity_at",
    "first_responded_at",
    "resolved_at",
    "closed_at",
    "next_due_at",
    "next_due_kind",
    "is_breached",
    "message_count",
]
PEOPLE = ["branch.id", "branch.name", "customer.id", "customer.name", "assignee.id", "assignee.username"]


class TicketApi(AdminApi):
    noun = "ticket"
    resource_name = "tickets"
    class_permission_name = "Tickets"
    openapi_spec_tag = "Tickets"
    datamodel = Rows(Ticket)
    is_read_only = True
    list_columns = [*FACTS, *PEOPLE]
    show_columns = [*FACTS, *PEOPLE, "tags.name", "route"]
    search_columns = [
        "number",
        "subject",
        "status",
        "branch",
        "assignee",
        "customer",
        "created_at",
        "last_activity_at",
    ]
