"""Configured mailboxes. Passwords go in and never come out."""

from typing import Any

from flask import flash
from flask_appbuilder.actions import action
from sqlalchemy import func, inspect, or_, select
from wtforms import Form

from portal.errors import Permanent, UserFault
from portal.extensions import db
from portal.models import ChannelAccount
from portal.secrets_box import seal
from portal.views.admin import checks
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.fields import LinesField, SecretField, checked
from portal.views.admin.rows import Rows

CHECKS = {
    "address": checks.address,
    "aliases": checks.addresses,
    "imap_port": checks.port,
    "smtp_port": checks.port,
}
GENERAL = ["name", "kind", "address", "aliases", "branch", "is_active"]
IMAP = [
    "imap_host",
    "imap_port",
    "imap_security",
    "imap_username",
    "imap_password",
    "imap_folder",
    "imap_post_action",
    "imap_move_folder",
]
SMTP = ["smtp_host", "smtp_port", "smtp_security", "smtp_username", "smtp_password"]
NO_SECRETS = [name for name in (*GENERAL, *IMAP, *SMTP) if not name.endswith("_password")]
SERVERS = {"imap": ("imap_host", "imap_username"), "smtp": ("smtp_host", "smtp_username")}


def check_addresses(account: ChannelAccount) -> None:
    """Addresses in lower case, and none that is another account's: a mail has one home."""
    account.address = account.address.strip().lower()
    account.aliases = list(dict.fromkeys(alias.strip().lower() for alias in account.aliases or []))
    ours = [account.address, *account.aliases]
    others = select(ChannelAccount.address, ChannelAccount.aliases).where(
        ChannelAccount.kind == account.kind,
        ChannelAccount.id != (account.id or 0),
        or_(
            func.lower(ChannelAccount.address).in_(ours),
            *(ChannelAccount.aliases.contains([address]) for address in ours),
        ),
    )
    for address, aliases in db.session.execute(others):
        taken = sorted(set(ours) & {address.lower(), *aliases})
        raise UserFault(
            f"{', '.join(taken)} belongs to the account {address} already. An address has one account."
        )
    if account.imap_post_action == "move" and not account.imap_move_folder:
        raise UserFault("Name the folder that fetched mails are moved to.")


def check_same_server(account: ChannelAccount) -> None:
    """A stored password goes to the server that it was entered for, and to no other."""
    if account.id is None:
        return
    for kind, names in SERVERS.items():
        moved = any(inspect(account).attrs[name].history.deleted for name in names)
        secret = f"{kind}_password_encrypted"
        is_new = inspect(account).attrs[secret].history.has_changes()
        if moved and not is_new and getattr(account, secret) and getattr(account, f"{kind}_host"):
            raise UserFault(f"The {kind.upper()} server or user has changed: enter its password again.")


class AccountView(AdminView):
    noun, nouns = "account", "accounts"
    explanation = "The mailboxes that customers write to. Without an IMAP server mail comes by the listener."
    empty_text = "No accounts yet. Add the address that your customers write to."
    route_base = "/admin/accounts"
    class_permission_name = "Accounts"
    datamodel = Rows(ChannelAccount)
    column_checks = CHECKS
    list_columns = ["address", "name", "branch", "kind", "is_active", "fetched_at", "last_error"]
    show_fieldsets = [
        ("Account", {"fields": GENERAL}),
        (
            "Fetching",
            {"fields": [*(name for name in IMAP if name in NO_SECRETS), "fetched_at", "last_error"]},
        ),
        ("Sending", {"fields": [name for name in SMTP if name in NO_SECRETS]}),
    ]
    add_fieldsets = edit_fieldsets = [
        ("Account", {"fields": GENERAL}),
        ("Fetching by IMAP", {"fields": IMAP, "expanded": True}),
        ("Sending by SMTP", {"fields": SMTP, "expanded": True}),
    ]
    search_columns = ["address", "name", "branch", "is_active"]
    base_order = ("address", "asc")
    label_columns = {
        "kind": "Channel",
        "imap_host": "IMAP server",
        "imap_port": "IMAP port",
        "imap_security": "IMAP security",
        "imap_username": "IMAP user",
        "imap_folder": "Folder",
        "imap_post_action": "Fetched mails are",
        "imap_move_folder": "Moved to folder",
        "smtp_host": "SMTP server",
        "smtp_port": "SMTP port",
        "smtp_security": "SMTP security",
        "smtp_username": "SMTP user",
        "fetched_at": "Last fetched",
        "last_error": "Last trouble",
    }
    description_columns = {
        "imap_host": "Leave empty when your mail server hands mail to Portal's listener.",
        "imap_post_action": "What happens on the server: marked as seen, moved, deleted, or left as it was.",
        "smtp_host": "Leave empty to send through the installation's relay.",
        "branch": "New tickets from this address go there, unless a routing rule says otherwise.",
    }
    add_form_extra_fields = edit_form_extra_fields = {
        "aliases": LinesField(
            "Other addresses",
            description="One in each line: mail to these belongs here too.",
            validators=[checked(checks.addresses)],
        ),
        "imap_password": SecretField(
            "IMAP password", description="Stored encrypted. Leave empty to keep it."
        ),
        "smtp_password": SecretField(
            "SMTP password", description="Stored encrypted. Leave empty to keep it."
        ),
    }
    action_verbs = {"test_connection": "edit"}

    def fill(self, row: ChannelAccount, form: Form) -> None:
        if form.imap_password.data:
            row.imap_password_encrypted = seal(form.imap_password.data)
        if form.smtp_password.data:
            row.smtp_password_encrypted = seal(form.smtp_password.data)

    def check_row(self, row: ChannelAccount) -> None:
        check_addresses(row)
        check_same_server(row)

    @action("test_connection", "Test connection", None, "fa-plug")
    def test_connection(self, chosen: Any) -> None:
        # The machinery of mails is large, and only this button of the admin needs it.
        from portal.services.connection_check import check_account

        for account in chosen if isinstance(chosen, list) else [chosen]:
            try:
                found = check_account(account)
            except Permanent as error:
                flash(f"{account.address}: {error}", "danger")
                continue
            if not found:
                flash(f"{account.address} has no server of its own: nothing to test.", "info")
            for protocol, step in found:
                if not step.ok:
                    flash(f"{account.address}, {protocol}: {step.sentence}", "danger")
            for protocol in dict.fromkeys(protocol for protocol, _step in found):
                if all(step.ok for name, step in found if name == protocol):
                    flash(f"{account.address}, {protocol}: the connection works.", "success")


class AccountApi(AdminApi):
    noun = "account"
    resource_name = "accounts"
    class_permission_name = "Accounts"
    openapi_spec_tag = "Accounts"
    datamodel = Rows(ChannelAccount)
    column_checks = CHECKS
    list_columns = show_columns = [
        "id",
        *(name for name in NO_SECRETS if name != "branch"),
        "fetched_at",
        "last_error",
        "branch.id",
        "branch.name",
    ]
    add_columns = edit_columns = NO_SECRETS
    search_columns = ["address", "branch", "is_active"]

    def check_row(self, row: ChannelAccount) -> None:
        check_addresses(row)
        check_same_server(row)
