"""Read-only ledgers: what happened, what came in, what went out, who changed the configuration."""

from typing import Any

from flask import Response, abort, flash
from flask_appbuilder import expose
from flask_appbuilder.actions import action
from flask_appbuilder.security.decorators import has_access, permission_name
from markupsafe import Markup
from sqlalchemy import select

from portal.errors import UserFault
from portal.extensions import db
from portal.language import gettext, lazy_gettext
from portal.models import AuditEntry, Delivery, Event, InboxItem, OutboxItem
from portal.views.admin import by_hand, show
from portal.views.admin.base import AdminView
from portal.views.admin.fields import label_of
from portal.views.admin.rows import EventRows, Rows
from portal.wording import N_


def _ticket(ticket_id: int | None) -> Any:
    return show.link(f"/admin/tickets/{ticket_id}", "Open the ticket") if ticket_id else show.NOTHING


class EventView(AdminView):
    noun, nouns = "event", "events"
    list_title = N_("Events")
    explanation = N_(
        "Every fact of every ticket, as it happened. Figures and clocks are computed from these."
    )
    empty_text = N_("Nothing has happened yet.")
    route_base = "/admin/events"
    class_permission_name = "Events"
    datamodel = EventRows(Event)
    is_read_only = True
    list_columns = ["occurred_at", "kind", "actor", "actor_kind", "ticket_id", "data"]
    show_columns = [
        "occurred_at",
        "kind",
        "actor",
        "actor_kind",
        "ticket_id",
        "message_id",
        "branch_id",
        "tier_level",
        "channel_kind",
        "data",
        "version",
    ]
    search_columns = ["kind", "ticket_id", "actor", "occurred_at"]
    base_order = ("occurred_at", "desc")
    label_columns = {
        "kind": N_("What"),
        "actor": N_("Who"),
        "actor_kind": N_("Who it was"),
        "data": N_("Details"),
    }
    formatters_columns = {"kind": label_of, "ticket_id": _ticket}


class InboxView(AdminView):
    noun, nouns = "received mail", "received mails"
    list_title = N_("Received mails")
    explanation = N_(
        "Everything that was accepted, as it came, until it is proven to stand in a ticket – and after."
    )
    empty_text = N_("Nothing has come in yet.")
    route_base = "/admin/inbox"
    class_permission_name = "Inbox"
    datamodel = Rows(InboxItem)
    is_read_only = True
    list_columns = [
        "id",
        "created_at",
        "state",
        "envelope_from",
        "envelope_to",
        "size_bytes",
        "reason",
        "ticket_id",
    ]
    show_columns = [
        "id",
        "created_at",
        "state",
        "reason",
        "envelope_from",
        "envelope_to",
        "account",
        "size_bytes",
        "attempt_count",
        "next_attempt_at",
        "processed_at",
        "ticket_id",
        "source_key",
        "sha256",
    ]
    search_columns = ["state", "envelope_from", "account", "ticket_id", "created_at"]
    label_columns = {
        "created_at": N_("Received"),
        "envelope_from": N_("From"),
        "envelope_to": N_("To"),
        "size_bytes": N_("Size"),
    }
    formatters_columns = {
        "id": lambda number: Markup('{0} <a href="/admin/inbox/raw/{0}">Download</a>').format(number),
        "ticket_id": _ticket,
        "size_bytes": show.bytes_count,
    }
    page_verbs = {"raw": "read", "open_by_hand": "edit"}
    show_template = "admin/received.html"

    def may_open(self, row: InboxItem) -> bool:
        """Whether this person can make a ticket of the mail."""
        may_edit = self.appbuilder.sm.has_access("can_edit", self.class_permission_name)
        return row.state == "quarantined" and bool(may_edit)

    @expose("/open/<pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("edit")
    def open_by_hand(self, pk: str) -> Any:
        """A ticket of a mail in quarantine."""
        return by_hand.page(self, self._row(pk))

    @expose("/raw/<pk>")
    @has_access
    @permission_name("read")
    def raw(self, pk: str) -> Response:
        item = self.datamodel.get(pk, self._base_filters)
        if item is None:
            abort(404)
        content = db.session.scalar(select(InboxItem.raw).where(InboxItem.id == item.id))
        # Never opened by the browser: it is a stranger's mail.
        response = Response(content, content_type="application/octet-stream")
        response.headers["Content-Disposition"] = f'attachment; filename="received-{item.id}.eml"'
        return response

    @action("retry", N_("Try again"), lazy_gettext("Process the chosen mails again?"), "fa-refresh")
    def retry(self, chosen: Any) -> None:
        # The machinery of mails is large, and only this button of the admin needs it.
        from portal.services import intake

        items = chosen if isinstance(chosen, list) else [chosen]
        wrong = [str(item.id) for item in items if item.state != "quarantined"]
        if wrong:
            raise UserFault(
                "Only mails in quarantine can be tried again; this is not so for %(listed)s.",
                listed=", ".join(wrong),
            )
        for item in items:
            intake.retry(item)
        flash(gettext("They are being processed again."), "success")


class DeliveryView(AdminView):
    noun, nouns = "delivery", "deliveries"
    list_title = N_("Deliveries")
    explanation = N_("What became of each mail for each recipient.")
    empty_text = N_("Nothing has been sent yet.")
    route_base = "/admin/deliveries"
    class_permission_name = "Outbox"
    datamodel = Rows(Delivery)
    is_read_only = True
    list_columns = ["id", "recipient", "state", "code", "reply", "attempt_count", "sent_at"]
    show_columns = [*list_columns, "outbox_item", "created_at"]
    search_columns = ["recipient", "message_id"]
    label_columns = {"reply": N_("The server's answer"), "code": N_("Code"), "attempt_count": N_("Tries")}


class OutboxView(AdminView):
    noun, nouns = "mail to send", "mails to send"
    list_title = N_("Mails to send")
    explanation = N_("Everything that is owed to the outside, and what became of it.")
    empty_text = N_("Nothing has been sent yet.")
    route_base = "/admin/outbox"
    class_permission_name = "Outbox"
    datamodel = Rows(OutboxItem)
    related_views = [DeliveryView]
    is_read_only = True
    list_columns = [
        "id",
        "created_at",
        "state",
        "message",
        "account",
        "attempt_count",
        "next_attempt_at",
        "last_error",
    ]
    show_columns = [*list_columns, "sent_at"]
    search_columns = ["state", "account", "message_id"]
    label_columns = {
        "created_at": N_("Since"),
        "attempt_count": N_("Tries"),
        "last_error": N_("Last trouble"),
    }

    @action(
        "retry",
        N_("Try again"),
        lazy_gettext("Send the chosen mails again to whom they did not reach?"),
        "fa-refresh",
    )
    def retry(self, chosen: Any) -> None:
        from portal.services import outbox

        items = chosen if isinstance(chosen, list) else [chosen]
        wrong = [str(item.id) for item in items if item.state != "failed"]
        if wrong:
            raise UserFault(
                "Only mails that failed can be tried again; this is not so for %(listed)s.",
                listed=", ".join(wrong),
            )
        for item in items:
            outbox.retry(item)
        flash(gettext("They are on their way again."), "success")


class AuditView(AdminView):
    noun, nouns = "change", "changes"
    list_title = N_("Changes of the configuration")
    explanation = N_("Who changed what here, from what to what. Passwords are named, never shown.")
    empty_text = N_("Nothing has been changed yet.")
    route_base = "/admin/audit"
    class_permission_name = "Audit"
    datamodel = Rows(AuditEntry)
    is_read_only = True
    list_columns = ["occurred_at", "actor", "action", "object_type", "object_name", "changes", "address"]
    show_columns = [*list_columns, "object_id"]
    search_columns = ["actor", "object_type", "object_id", "occurred_at"]
    base_order = ("occurred_at", "desc")
    label_columns = {
        "actor": N_("Who"),
        "action": N_("Did"),
        "object_type": N_("To"),
        "object_name": N_("Called"),
        "address": N_("From"),
    }
    formatters_columns = {"changes": show.changes, "object_type": label_of, "action": label_of}
