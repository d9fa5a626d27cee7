"""How the desk is set up, read once for a batch of mails: accounts, branches, rules, policies."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import structlog
from sqlalchemy import select

from portal.extensions import db
from portal.models import Branch, ChannelAccount, EscalationTier, RoutingRule, SlaPolicy
from portal.rules import conditions, hours, routing, tokens
from portal.rules import triggers as trigger_rules
from portal.rules.lifecycle import Lifecycle
from portal.services import calendars, lifecycle, people, policies, triggers
from portal.wording import sentence

UNSAVED_RULE_ID = 2**31

log = structlog.get_logger()


@dataclass(frozen=True)
class Desk:
    """What admins have configured, as of one moment. The rows belong to the session that read them."""

    accounts: tuple[ChannelAccount, ...]
    branches: dict[int, Branch]
    rules: tuple[routing.Rule, ...]
    policies: tuple[SlaPolicy, ...]
    triggers: tuple[trigger_rules.Rule, ...] = ()
    life: Lifecycle = field(default_factory=Lifecycle)
    # What is wrong with rules that could not be read, in sentences.
    rule_warnings: tuple[str, ...] = ()
    # By branch, where a rule asks for them.
    levels: Mapping[int, Collection[int]] = field(default_factory=dict)
    calendars: Mapping[int, hours.Hours] = field(default_factory=dict)

    @cached_property
    def own_addresses(self) -> frozenset[str]:
        """Every address of ours, lower-case: accounts and their aliases."""
        return frozenset(
            address.lower() for account in self.accounts for address in (account.address, *account.aliases)
        )

    @cached_property
    def active_branch_ids(self) -> frozenset[int]:
        """Branches that new tickets may go to."""
        return frozenset(branch.id for branch in self.branches.values() if branch.is_active)

    @cached_property
    def places(self) -> routing.Places:
        """Where tickets may go."""
        closed = (branch for branch in self.branches.values() if not branch.is_active)
        fall_backs = {branch.id: self._end_of_fall_backs(branch) for branch in closed}
        known = {branch_id: end for branch_id, end in fall_backs.items() if end is not None}
        return routing.Places(self.active_branch_ids, known, self.levels)

    def asks_for(self, field: str) -> bool:
        """Whether a rule looks at that field."""
        return _ask(self.rules, field)

    def account(self, account_id: int) -> ChannelAccount | None:
        """The account with that id."""
        return next((account for account in self.accounts if account.id == account_id), None)

    def account_of_recipient(self, recipient: str) -> ChannelAccount | None:
        """The active account that takes mail for that address, its sub-addresses (`support+…@`) included."""
        return self._takers.get(tokens.without_tag(people.normalise_address(recipient)))

    def fall_back_branch_id(self, account: ChannelAccount) -> int:
        """The branch of the account, or the one that its chain of fall-backs ends in."""
        end = self._end_of_fall_backs(self.branches[account.branch_id])
        # Nowhere to fall back to: where the mail came in is better than nowhere.
        return end if end is not None else min(self.active_branch_ids, default=account.branch_id)

    def _end_of_fall_backs(self, first: Branch) -> int | None:
        branch: Branch | None = first
        seen: set[int] = set()
        while branch is not None and not branch.is_active and branch.id not in seen:
            seen.add(branch.id)
            branch = self.branches.get(branch.fall_back_branch_id or 0)
        return branch.id if branch is not None and branch.is_active else None

    @cached_property
    def _takers(self) -> dict[str, ChannelAccount]:
        takers: dict[str, ChannelAccount] = {}
        for account in self.accounts:
            if account.is_active:
                for address in (account.address, *account.aliases):
                    takers.setdefault(address.lower(), account)
        return takers


def read_desk() -> Desk:
    """The desk as it is now: five statements, and one each for levels and working hours where a rule asks for them."""
    found = (
        select(ChannelAccount, lifecycle.as_json())
        .where(ChannelAccount.kind == "email")
        .order_by(ChannelAccount.id)
    )
    accounts = db.session.execute(found).all()
    rules, warnings = read_rules(db.session.scalars(select(RoutingRule).where(RoutingRule.is_active)))
    branches = {branch.id: branch for branch in db.session.scalars(select(Branch))}
    return Desk(
        accounts=tuple(account for account, _ in accounts),
        life=lifecycle.keep(accounts[0][1] if accounts else None),
        branches=branches,
        rules=rules,
        rule_warnings=warnings,
        levels=_levels(branches) if any(rule.tier_level for rule in rules) else {},
        calendars=calendars.hours_of_branches(branches) if _ask(rules, "working_hours") else {},
        policies=tuple(policies.active_policies()),
        triggers=triggers.active_rules(),
    )


def with_rules(desk: Desk, rules: Sequence[routing.Rule]) -> Desk:
    """The same desk under other rules, with what these ask for. Two statements at most."""
    ordered = tuple(rules)
    return replace(
        desk,
        rules=ordered,
        levels=_levels(desk.branches) if any(rule.tier_level for rule in ordered) else {},
        calendars=calendars.hours_of_branches(desk.branches) if _ask(ordered, "working_hours") else {},
    )


def read_rules(rows: Iterable[RoutingRule]) -> tuple[tuple[routing.Rule, ...], tuple[str, ...]]:
    """The rules of these rows, and in sentences what is wrong with those that cannot be read."""
    rules, warnings = [], []
    for row in rows:
        try:
            rules.append(rule_of(row))
        except ValueError as error:
            # Refused at save; an imported one must not stop the mail.
            log.warning("routing_rule_unreadable", rule_id=row.id)
            warnings.append(
                sentence(
                    "The rule “%(name)s” was passed over, because it cannot be read: %(why)s",
                    name=row.name,
                    why=error.args[0],
                )
            )
    return tuple(rules), tuple(warnings)


def rule_of(row: RoutingRule) -> routing.Rule:
    """The rule of a row, saved or not. Raises ValueError for conditions that cannot be read."""
    return routing.Rule(
        # One that is not saved yet comes after those of its position.
        id=row.id or UNSAVED_RULE_ID,
        name=row.name or "",
        position=row.position if row.position is not None else 100,
        is_active=row.is_active is not False,
        condition=conditions.parse_condition(row.conditions or {}),
        branch_id=row.branch_id,
        tier_level=row.tier_level,
        priority=row.priority,
        type=row.ticket_type,
        tags=tuple(row.tags or ()),
        policy_id=row.policy_id,
        assignee_id=row.assignee_id,
        strategy=row.strategy,
        is_last=row.is_last is not False,
    )


def _ask(rules: Iterable[routing.Rule], field: str) -> bool:
    return any(conditions.asks_for(rule.condition, field) for rule in rules)


def _levels(branch_ids: Collection[int]) -> dict[int, frozenset[int]]:
    """The levels of each branch: of its own tiers, or of those of every branch where it has none."""
    listed: dict[int | None, set[int]] = {}
    for branch_id, level in db.session.execute(select(EscalationTier.branch_id, EscalationTier.level)):
        listed.setdefault(branch_id, set()).add(level)
    common = listed.get(None, set())
    return {branch_id: frozenset(listed.get(branch_id, common) | {1}) for branch_id in branch_ids}
