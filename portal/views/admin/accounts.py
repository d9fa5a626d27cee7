"""Configured mailboxes. Passwords go in and never come out."""

from typing import Any

from flask import flash, redirect, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.actions import action
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_login import current_user
from sqlalchemy import func, inspect, or_, select
from wtforms import DateField, Form
from wtforms.validators import Optional

from portal.errors import Permanent, Retryable, UserFault
from portal.extensions import db
from portal.language import lazy_gettext, says
from portal.models import ChannelAccount
from portal.secrets_box import seal
from portal.services import audit, mailbox_warnings, sign_in
from portal.services.mailbox_warnings import MailboxWarning
from portal.views.admin import checks
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.fields import LinesField, SecretField, checked
from portal.views.admin.rows import Rows
from portal.wording import N_

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
LOGIN = ["auth_kind", "oauth_tenant", "oauth_client_id", "oauth_client_secret", "secret_expires_on"]
SECRETS = ("imap_password", "smtp_password", "oauth_client_secret")
NO_SECRETS = [name for name in (*GENERAL, *LOGIN, *IMAP, *SMTP) if name not in SECRETS]
# Whoever changes one of these has to sign in again: tokens go to the servers that they were got for.
BOUND = (
    "auth_kind",
    "oauth_tenant",
    "oauth_client_id",
    "imap_host",
    "imap_username",
    "smtp_host",
    "smtp_username",
)
LOOPBACK = ("127.0.0.1", "::1", "localhost")
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
            "%(listed)s belongs to the account %(address)s already. An address has one account.",
            listed=", ".join(taken),
            address=address,
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
            raise UserFault(
                "The %(protocol)s server or user has changed: enter its password again.",
                protocol=kind.upper(),
            )


def check_login(account: ChannelAccount) -> None:
    """What OAuth 2 needs is there, and tokens are kept only as long as they are for the same client and servers."""
    if account.auth_kind != "password":
        if not account.oauth_client_id:
            raise UserFault("For OAuth 2 enter the client id that the provider gave for Portal.")
        unsafe = [
            kind.upper()
            for kind in SERVERS
            if getattr(account, f"{kind}_host")
            and getattr(account, f"{kind}_security") == "none"
            and getattr(account, f"{kind}_host") not in LOOPBACK
        ]
        if unsafe:
            raise UserFault(
                "A token is sent over an encrypted connection only: choose TLS for %(unsafe)s.",
                unsafe=unsafe[0],
            )
    if account.id is not None and any(inspect(account).attrs[name].history.deleted for name in BOUND):
        sign_in.forget(account)
        if inspect(account).attrs.auth_kind.history.deleted and not (
            inspect(account).attrs.oauth_client_secret_encrypted.history.has_changes()
        ):
            account.oauth_client_secret_encrypted = None


class AccountView(AdminView):
    noun, nouns = "account", "accounts"
    add_title = N_("New account")
    list_title = N_("Accounts")
    explanation = N_(
        "The mailboxes that customers write to. Without an IMAP server mail comes by the listener."
    )
    empty_text = N_("No accounts yet. Add the address that your customers write to.")
    route_base = "/admin/accounts"
    class_permission_name = "Accounts"
    datamodel = Rows(ChannelAccount)
    column_checks = CHECKS
    list_columns = ["address", "name", "branch", "kind", "is_active", "fetched_at", "last_error"]
    show_fieldsets = [
        (N_("Account"), {"fields": GENERAL}),
        (
            N_("Login"),
            {
                "fields": [
                    *(name for name in LOGIN if name in NO_SECRETS),
                    "oauth_signed_in_at",
                    "oauth_refresh_expires_at",
                    "login_failure_count",
                ]
            },
        ),
        (
            N_("Fetching"),
            {
                "fields": [
                    *(name for name in IMAP if name in NO_SECRETS),
                    "fetched_at",
                    "compared_at",
                    "last_error",
                ]
            },
        ),
        (N_("Sending"), {"fields": [name for name in SMTP if name in NO_SECRETS]}),
    ]
    add_fieldsets = edit_fieldsets = [
        (N_("Account"), {"fields": GENERAL}),
        (N_("Login"), {"fields": LOGIN, "expanded": True}),
        (N_("Fetching by IMAP"), {"fields": IMAP, "expanded": True}),
        (N_("Sending by SMTP"), {"fields": SMTP, "expanded": True}),
    ]
    search_columns = ["address", "name", "branch", "is_active"]
    base_order = ("address", "asc")
    label_columns = {
        "kind": N_("Channel"),
        "auth_kind": N_("Login by"),
        "oauth_tenant": N_("Tenant"),
        "oauth_client_id": N_("Client id"),
        "oauth_signed_in_at": N_("Signed in"),
        "oauth_refresh_expires_at": N_("Sign-in ends"),
        "secret_expires_on": N_("Password or secret expires on"),
        "login_failure_count": N_("Refused logins in a row"),
        "compared_at": N_("Compared with the server"),
        "imap_host": N_("IMAP server"),
        "imap_port": N_("IMAP port"),
        "imap_security": N_("IMAP security"),
        "imap_username": N_("IMAP user"),
        "imap_folder": N_("Folder"),
        "imap_post_action": N_("Fetched mails are"),
        "imap_move_folder": N_("Moved to folder"),
        "smtp_host": N_("SMTP server"),
        "smtp_port": N_("SMTP port"),
        "smtp_security": N_("SMTP security"),
        "smtp_username": N_("SMTP user"),
        "fetched_at": N_("Last fetched"),
        "last_error": N_("Last trouble"),
    }
    description_columns = {
        "auth_kind": N_(
            "With OAuth 2, save first, then sign in on the account's page. The passwords are not used then."
        ),
        "oauth_tenant": N_("Microsoft only: the directory (tenant) id of your organisation."),
        "oauth_client_id": N_(
            "As Google or Microsoft show it for the registration that you made for Portal."
        ),
        "imap_host": N_("Leave empty when your mail server hands mail to Portal's listener."),
        "imap_post_action": N_(
            "What happens on the server: marked as seen, moved, deleted, or left as it was."
        ),
        "smtp_host": N_("Leave empty to send through the installation's relay."),
        "branch": N_("New tickets from this address go there, unless a routing rule says otherwise."),
    }
    add_form_extra_fields = edit_form_extra_fields = {
        "oauth_client_secret": SecretField(
            lazy_gettext("Client secret"),
            description=lazy_gettext("Stored encrypted. Leave empty to keep it."),
        ),
        "secret_expires_on": DateField(
            lazy_gettext("Password or secret expires on"),
            description=lazy_gettext(
                "Where you know it: admins are warned from thirty days before. Microsoft shows the day."
            ),
            validators=[Optional()],
            render_kw={"class": "form-control"},
        ),
        "aliases": LinesField(
            lazy_gettext("Other addresses"),
            description=lazy_gettext("One in each line: mail to these belongs here too."),
            validators=[checked(checks.addresses)],
        ),
        "imap_password": SecretField(
            lazy_gettext("IMAP password"),
            description=lazy_gettext("Stored encrypted. Leave empty to keep it."),
        ),
        "smtp_password": SecretField(
            lazy_gettext("SMTP password"),
            description=lazy_gettext("Stored encrypted. Leave empty to keep it."),
        ),
    }
    show_template = "admin/account.html"
    action_verbs = {"test_connection": "edit"}
    page_verbs = {"sign_in": "edit", "signed_in": "edit"}

    def warnings_of(self, row: ChannelAccount) -> list[MailboxWarning]:
        return mailbox_warnings.warnings_of(row)

    def may_sign_in(self) -> bool:
        return bool(self.appbuilder.sm.has_access("can_edit", self.class_permission_name))

    @expose("/sign_in/<pk>")
    @has_access
    @permission_name("edit")
    def sign_in(self, pk: str) -> Any:
        """To the provider, whence the browser comes back to `signed_in`."""
        account = self._row(pk)
        try:
            return redirect(sign_in.begin(account, current_user.id))
        except (UserFault, Permanent) as fault:
            flash(says(fault), "danger")
        return redirect(url_for(f"{self.endpoint}.show", pk=pk))

    @expose("/signed_in")
    @has_access
    @permission_name("edit")
    def signed_in(self) -> Any:
        """Back from the provider, with a code or a refusal."""
        if "code" not in request.args:
            said = request.args.get("error_description") or request.args.get("error") or "no code came back"
            flash(f"The sign-in was not completed: {said[:300]}", "danger")
            return redirect(url_for(f"{self.endpoint}.list"))
        try:
            account = sign_in.finish(request.args.get("state", ""), request.args["code"], current_user.id)
        except (UserFault, Permanent, Retryable) as fault:
            flash(says(fault), "danger")
            return redirect(url_for(f"{self.endpoint}.list"))
        audit.record_change(
            account, "changed", current_user, {"oauth_sign_in": {"from": audit.HIDDEN, "to": audit.HIDDEN}}
        )
        db.session.commit()
        flash(f"Portal is signed in for {account.address}. Test the connection now.", "success")
        return redirect(url_for(f"{self.endpoint}.show", pk=account.id))

    def fill(self, row: ChannelAccount, form: Form) -> None:
        if form.imap_password.data:
            row.imap_password_encrypted = seal(form.imap_password.data)
        if form.smtp_password.data:
            row.smtp_password_encrypted = seal(form.smtp_password.data)
        if form.oauth_client_secret.data:
            row.oauth_client_secret_encrypted = seal(form.oauth_client_secret.data)

    def check_row(self, row: ChannelAccount) -> None:
        check_addresses(row)
        check_same_server(row)
        check_login(row)

    @action("test_connection", N_("Test connection"), None, "fa-plug")
    def test_connection(self, chosen: Any) -> None:
        # The machinery of mails is large, and only this button of the admin needs it.
        from portal.services.connection_check import check_account

        for account in chosen if isinstance(chosen, list) else [chosen]:
            try:
                found = check_account(account)
            except (Permanent, Retryable) as error:
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
        "login_failure_count",
        "branch.id",
        "branch.name",
    ]
    add_columns = edit_columns = NO_SECRETS
    search_columns = ["address", "branch", "is_active"]

    def check_row(self, row: ChannelAccount) -> None:
        check_addresses(row)
        check_same_server(row)
        check_login(row)
