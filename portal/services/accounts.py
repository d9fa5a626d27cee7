"""Configured mailboxes: which of them an address belongs to, and how to reach their servers."""

from dataclasses import dataclass, field
from typing import cast

from flask import current_app
from sqlalchemy import func, or_, select

from portal.channels.email.connecting import Security
from portal.extensions import db
from portal.models import ChannelAccount


def own_addresses() -> frozenset[str]:
    """Every address of ours, lower-case: accounts and their aliases."""
    rows = db.session.execute(
        select(ChannelAccount.address, ChannelAccount.aliases).where(ChannelAccount.kind == "email")
    )
    return frozenset(address.lower() for main, aliases in rows for address in (main, *aliases))


def account_of_recipient(recipient: str) -> ChannelAccount | None:
    """The active account that takes mail for that address, its sub-addresses (`support+…@`) included."""
    local, _, domain = recipient.strip().lower().rpartition("@")
    bare = f"{local.partition('+')[0]}@{domain}"
    found = select(ChannelAccount).where(
        ChannelAccount.is_active,
        ChannelAccount.kind == "email",
        or_(func.lower(ChannelAccount.address) == bare, ChannelAccount.aliases.contains([bare])),
    )
    return db.session.scalar(found.order_by(ChannelAccount.id).limit(1))


def is_ours(recipient: str) -> bool:
    """Whether the listener takes mail for that address."""
    return account_of_recipient(recipient) is not None


@dataclass(frozen=True)
class Relay:
    """Where mail of an account is handed over."""

    host: str
    port: int
    security: Security
    username: str
    password: str = field(repr=False)
    access_token: str = field(default="", repr=False)


def relay_of(account: ChannelAccount | None) -> Relay:
    """The account's own SMTP server, or the installation's relay; in demo mode the sink catches that.

    Raises Permanent when the stored password cannot be read, Retryable when there is no access token now.
    """
    from portal.secrets_box import unseal
    from portal.services import sign_in

    settings = current_app.config["SETTINGS"]
    if account is not None and account.smtp_host:
        is_by_token = account.auth_kind != "password" and account.smtp_username != ""
        return Relay(
            account.smtp_host,
            account.smtp_port,
            cast(Security, account.smtp_security),
            account.smtp_username,
            "" if is_by_token else unseal(account.smtp_password_encrypted),
            access_token=sign_in.access_token(account) if is_by_token else "",
        )
    if settings.is_demo:
        return Relay("127.0.0.1", settings.sink_port, "none", "", "")
    return Relay(settings.relay_host, settings.relay_port, settings.relay_security, "", "")


def address_of_branch(branch_id: int) -> str:
    """The address under which customers write to the branch; "" where it has none."""
    account = account_of_branch(branch_id)
    return account.address if account else ""


def account_of_branch(branch_id: int) -> ChannelAccount | None:
    """The branch's first active mail account."""
    found = select(ChannelAccount).where(
        ChannelAccount.is_active, ChannelAccount.kind == "email", ChannelAccount.branch_id == branch_id
    )
    return db.session.scalar(found.order_by(ChannelAccount.id).limit(1))
