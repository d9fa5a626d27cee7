"""What of each table a person meets in the admin: conditions for queries, built on `portal.access`.

Admins and auditors see every row. For everyone else a table that is not named here holds nothing.
"""

from collections.abc import Callable
from typing import Any

from flask import has_request_context
from flask_appbuilder.security.sqla.models import Role, User
from flask_login import current_user
from sqlalchemy import ColumnElement, or_, select, true

from portal.access import branch_ids, led_branch_ids, visible_customers
from portal.errors import Forbidden
from portal.models import (
    Branch,
    BranchMembership,
    Calendar,
    ChannelAccount,
    Customer,
    EscalationRule,
    EscalationTier,
    Identity,
    ReplyTemplate,
    RoutingRule,
    SlaPolicy,
    Tag,
    Ticket,
    TriageCriterion,
)
from portal.models.template import reply_template_branch


def condition_for(model: type) -> ColumnElement[bool] | None:
    """What limits the rows of `model` in this request; None where nothing does."""
    if not has_request_context() or not current_user.is_authenticated:
        return None
    ids = branch_ids(current_user)
    if ids is None:
        return None
    limit = _LIMITS.get(model)
    return limit(ids) if limit else ~true()


def check_may_change(row: Any) -> None:
    """Raise Forbidden where the person sees the row but does not answer for it."""
    if not has_request_context() or not isinstance(row, ReplyTemplate):
        return
    led = led_branch_ids(current_user)
    if led is None:
        return
    if not row.branches:
        raise Forbidden(
            "A template without branches belongs to every branch, and only an admin may change it. "
            "Choose at least one branch that you lead."
        )
    foreign = [branch.name for branch in row.branches if branch.id not in led]
    if foreign:
        raise Forbidden(
            "You do not lead %(listed)s: ask its lead or an admin.",
            listed=", ".join(sorted(foreign)),
        )


def _templates(ids: frozenset[int]) -> ColumnElement[bool]:
    scopes = select(reply_template_branch.c.branch_id).where(
        reply_template_branch.c.template_id == ReplyTemplate.id
    )
    return or_(~scopes.exists(), scopes.where(reply_template_branch.c.branch_id.in_(ids)).exists())


def _people(_ids: frozenset[int]) -> ColumnElement[bool]:
    led = led_branch_ids(current_user) or frozenset()
    colleagues = select(BranchMembership.user_id).where(BranchMembership.branch_id.in_(led))
    return or_(User.id == current_user.id, User.id.in_(colleagues))


def _members(_ids: frozenset[int]) -> ColumnElement[bool]:
    return BranchMembership.branch_id.in_(led_branch_ids(current_user) or frozenset())


def _customers(_ids: frozenset[int]) -> ColumnElement[bool]:
    where = visible_customers(current_user).whereclause
    return true() if where is None else where


def _identities(_ids: frozenset[int]) -> ColumnElement[bool]:
    known = visible_customers(current_user).with_only_columns(Customer.id)
    return Identity.customer_id.in_(known)


_LIMITS: dict[type, Callable[[frozenset[int]], ColumnElement[bool]]] = {
    Branch: Branch.id.in_,
    BranchMembership: _members,
    Calendar: lambda _ids: true(),
    ChannelAccount: ChannelAccount.branch_id.in_,
    Customer: _customers,
    EscalationRule: lambda ids: or_(EscalationRule.branch_id.is_(None), EscalationRule.branch_id.in_(ids)),
    EscalationTier: lambda ids: or_(EscalationTier.branch_id.is_(None), EscalationTier.branch_id.in_(ids)),
    Identity: _identities,
    ReplyTemplate: _templates,
    Role: lambda _ids: true(),
    RoutingRule: lambda ids: or_(RoutingRule.branch_id.is_(None), RoutingRule.branch_id.in_(ids)),
    SlaPolicy: lambda ids: or_(SlaPolicy.branch_id.is_(None), SlaPolicy.branch_id.in_(ids)),
    Tag: lambda _ids: true(),
    Ticket: Ticket.branch_id.in_,
    TriageCriterion: lambda _ids: true(),
    User: _people,
}
