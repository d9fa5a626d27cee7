"""How the desk is set up, read once for a batch of mails: accounts, branches, rules, policies."""

from dataclasses import dataclass
from functools import cached_property

import structlog
from sqlalchemy import select

from portal.extensions import db
from portal.models import Branch, ChannelAccount, RoutingRule, SlaPolicy
from portal.rules import routing, tokens
from portal.rules import triggers as trigger_rules
from portal.services import people, policies, triggers

log = structlog.get_logger()


@dataclass(frozen=True)
class Desk:
    """What admins have configured, as of one moment. The rows belong to the session that read them."""

    accounts: tuple[ChannelAccount, ...]
    branches: dict[int, Branch]
    rules: tuple[routing.Rule, ...]
    policies: tuple[SlaPolicy, ...]
    triggers: tuple[trigger_rules.Rule, ...] = ()

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

    def account(self, account_id: int) -> ChannelAccount | None:
        """The account with that id."""
        return next((account for account in self.accounts if account.id == account_id), None)

    def account_of_recipient(self, recipient: str) -> ChannelAccount | None:
        """The active account that takes mail for that address, its sub-addresses (`support+…@`) included."""
        return self._takers.get(tokens.without_tag(people.normalise_address(recipient)))

    def fall_back_branch_id(self, account: ChannelAccount) -> int:
        """The branch of the account, or the one that its chain of fall-backs ends in."""
        branch: Branch | None = self.branches[account.branch_id]
        seen: set[int] = set()
        while branch is not None and not branch.is_active and branch.id not in seen:
            seen.add(branch.id)
            branch = self.branches.get(branch.fall_back_branch_id or 0)
        if branch is not None and branch.is_active:
            return branch.id
        # Nowhere to fall back to: where the mail came in is better than nowhere.
        return min(self.active_branch_ids, default=account.branch_id)

    @cached_property
    def _takers(self) -> dict[str, ChannelAccount]:
        takers: dict[str, ChannelAccount] = {}
        for account in self.accounts:
            if account.is_active:
                for address in (account.address, *account.aliases):
                    takers.setdefault(address.lower(), account)
        return takers


def read_desk() -> Desk:
    """The desk as it is now: five statements."""
    accounts = select(ChannelAccount).where(ChannelAccount.kind == "email").order_by(ChannelAccount.id)
    return Desk(
        accounts=tuple(db.session.scalars(accounts)),
        branches={branch.id: branch for branch in db.session.scalars(select(Branch))},
        rules=tuple(_readable_rules()),
        policies=tuple(policies.active_policies()),
        triggers=triggers.active_rules(),
    )


def _readable_rules() -> list[routing.Rule]:
    rules = []
    for row in db.session.scalars(select(RoutingRule).where(RoutingRule.is_active)):
        try:
            condition = routing.parse_condition(row.conditions)
        except ValueError:
            # Refused at save; an imported one must not stop the mail.
            log.warning("routing_rule_unreadable", rule_id=row.id)
            continue
        rules.append(
            routing.Rule(
                id=row.id,
                name=row.name,
                position=row.position,
                condition=condition,
                branch_id=row.branch_id,
                tier_level=row.tier_level,
                priority=row.priority,
                type=row.ticket_type,
                tags=tuple(row.tags),
                policy_id=row.policy_id,
                is_last=row.is_last,
            )
        )
    return rules
