"""Configured mailboxes: which of them an address belongs to, and how to reach their servers."""

from typing import cast

from flask import current_app
from sqlalchemy import func, or_, select

from portal.channels.email.connecting import Security
from portal.channels.email.smtp import SmtpSettings
from portal.extensions import db
from portal.models import ChannelAccount, Ticket
from portal.rules import tokens
from portal.services import people


def account_of_recipient(recipient: str) -> ChannelAccount | None:
    """The active account that takes mail for that address, its sub-addresses (`support+…@`) included."""
    bare = tokens.without_tag(people.normalise_address(recipient))
    found = select(ChannelAccount).where(
        ChannelAccount.is_active,
        ChannelAccount.kind == "email",
        or_(func.lower(ChannelAccount.address) == bare, ChannelAccount.aliases.contains([bare])),
    )
    return db.session.scalar(found.order_by(ChannelAccount.id).limit(1))


def is_ours(recipient: str) -> bool:
    """Whether the listener takes mail for that address."""
    return account_of_recipient(recipient) is not None


def relay_of(account: ChannelAccount | None) -> SmtpSettings:
    """The account's own SMTP server, or the installation's relay; in demo mode the sink catches that.

    Raises Permanent when the stored password cannot be read, Retryable when there is no access token now.
    """
    from portal.secrets_box import unseal
    from portal.services import sign_in

    settings = current_app.config["SETTINGS"]
    if account is not None and account.smtp_host:
        is_by_token = account.auth_kind != "password" and account.smtp_username != ""
        return SmtpSettings(
            host=account.smtp_host,
            port=account.smtp_port,
            security=cast(Security, account.smtp_security),
            username=account.smtp_username,
            password="" if is_by_token else unseal(account.smtp_password_encrypted),
            access_token=sign_in.access_token(account) if is_by_token else "",
        )
    if settings.is_demo:
        return SmtpSettings(host="127.0.0.1", port=settings.sink_port, security="none")
    return SmtpSettings(host=settings.relay_host, port=settings.relay_port, security=settings.relay_security)


def account_for(ticket: Ticket) -> ChannelAccount | None:
    """The account that speaks for the ticket: the one it came in by, unless it has moved to another branch.

    None where neither the ticket nor its branch has one.
    """
    account = db.session.get(ChannelAccount, ticket.account_id) if ticket.account_id else None
    if account is None or account.branch_id != ticket.branch_id or not account.is_active:
        return account_of_branch(ticket.branch_id) or account
    return account


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
