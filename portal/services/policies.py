"""Which policy measures a ticket, in which version; when that changes, the ledger says since when and why."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import select

from portal.extensions import db
from portal.models import Branch, Customer, PolicyVersion, SlaPolicy, Ticket
from portal.models.sla import Targets
from portal.rules import policies as rules
from portal.services import events
from portal.wording import as_evidence

TARGET_COLUMNS = tuple(Targets.__annotations__)


def active_policies() -> list[SlaPolicy]:
    """Every policy that may be chosen, in the order in which they are tried. Reads only."""
    found = select(SlaPolicy).where(SlaPolicy.is_active).order_by(SlaPolicy.position, SlaPolicy.id)
    return list(db.session.scalars(found))


def choice_for(
    ticket: Ticket, branch: Branch, customer: Customer, policies: Sequence[SlaPolicy] | None = None
) -> rules.PolicyChoice:
    """The policy that holds for the ticket of that customer in that branch, and why.

    `policies` are the active ones in their order, for callers that place many tickets; read here otherwise.
    """
    facts = rules.PolicyFacts(
        branch_id=branch.id,
        branch_policy_id=branch.policy_id,
        priority=ticket.priority,
        type=ticket.type,
        channel_kind=ticket.channel_kind,
        customer_level=customer.level or "",
    )
    candidates = active_policies() if policies is None else policies
    return rules.choose_policy(map(_conditions_of, candidates), facts)


def place(
    ticket: Ticket,
    branch: Branch,
    customer: Customer,
    policy_id: int | None,
    policies: Sequence[SlaPolicy] | None = None,
) -> None:
    """Put a new ticket under that policy, or the one that holds for it, in the version of now."""
    ticket.policy_id = policy_id or choice_for(ticket, branch, customer, policies).policy_id
    ticket.policy_version_id = _version_id(ticket.policy_id)
    ticket.calendar_id = branch.calendar_id


def place_anew(ticket: Ticket, branch: Branch, actor: User | None, why: str) -> None:
    """Put the ticket under the policy and hours that hold for it now, with an event where that changes anything.

    `why` is the kind of event that brought it. Inside the caller's transaction; clocks are the caller's to refresh.
    """
    choice = choice_for(ticket, branch, ticket.customer)
    apply(ticket, choice.policy_id, branch.calendar_id, actor, why=why, reason=choice.reason)


def apply(
    ticket: Ticket, policy_id: int | None, calendar_id: int, actor: User | None, *, why: str, reason: str = ""
) -> bool:
    """Measure the ticket by the newest version of that policy and by those hours from now on; whether that is new.

    Inside the caller's transaction; clocks are the caller's to refresh.
    """
    before = (ticket.policy_version_id, ticket.calendar_id)
    was = ticket.policy_id
    version_id = _version_id(policy_id)
    if before == (version_id, calendar_id):
        return False
    ticket.policy_id, ticket.policy_version_id, ticket.calendar_id = policy_id, version_id, calendar_id
    names = _names({was, policy_id})
    events.record(
        "policy_applied",
        ticket=ticket,
        actor=actor,
        data={
            "from": names.get(was, ""),
            "to": names.get(policy_id, ""),
            "policy_version_id": version_id,
            "calendar_id": calendar_id,
            "from_policy_version_id": before[0],
            "from_calendar_id": before[1],
            "why": why,
            **as_evidence(reason),
        },
    )
    return True


def newest_version(policy: SlaPolicy) -> PolicyVersion:
    """The version with the policy's present targets, made where there is none, inside the caller's transaction."""
    if policy.version is None or _targets(policy.version) != _targets(policy):
        # Two who need it at once: the second finds what the first has made.
        db.session.refresh(policy, ["version_id", "version"], with_for_update={"of": SlaPolicy})
    if policy.version is None or _targets(policy.version) != _targets(policy):
        policy.version = PolicyVersion(
            policy_id=policy.id,
            number=policy.version.number + 1 if policy.version else 1,
            name=policy.name,
            **_targets(policy),
        )
        db.session.flush()
    return policy.version


def version_id_of(ticket: Ticket) -> int | None:
    """The version by which the ticket is measured now; of one that says none, its policy's newest."""
    if ticket.policy_version_id is not None or ticket.policy_id is None:
        return ticket.policy_version_id
    policy = db.session.get_one(SlaPolicy, ticket.policy_id)
    return policy.version_id or newest_version(policy).id


def rules_of(
    version_ids: Collection[int], instead: Mapping[int | None, rules.Policy] | None = None
) -> dict[int, rules.Policy]:
    """These versions as the rules know them, by id. A statement for each that the session does not have.

    `instead`, by the id of a policy, stands in the place of all its versions.
    """
    found = {version_id: db.session.get(PolicyVersion, version_id) for version_id in version_ids}
    return {
        version_id: (instead or {}).get(version.policy_id) or rule_from(version)
        for version_id, version in found.items()
        if version is not None
    }


def rule_from(row: SlaPolicy | PolicyVersion) -> rules.Policy:
    """The targets of a row as the rules know them."""
    return rules.policy_from_minutes(
        row.first_response_minutes,
        row.next_response_minutes,
        row.resolution_minutes,
        is_business_time=row.is_business_time,
        paused_statuses={
            "first_response": row.first_response_paused_in,
            "next_response": row.next_response_paused_in,
            "resolution": row.resolution_paused_in,
        },
        warning_percents=row.warning_percents,
        name=row.name,
    )


def _version_id(policy_id: int | None) -> int | None:
    policy = db.session.get(SlaPolicy, policy_id) if policy_id else None
    return newest_version(policy).id if policy else None


def _targets(row: SlaPolicy | PolicyVersion) -> dict[str, Any]:
    return {name: getattr(row, name) for name in TARGET_COLUMNS}


def _conditions_of(policy: SlaPolicy) -> rules.Conditions:
    return rules.Conditions(
        policy_id=policy.id,
        name=policy.name,
        branch_id=policy.branch_id,
        priority=policy.priority,
        types=policy.types,
        channel_kinds=policy.channel_kinds,
        customer_levels=policy.customer_levels,
    )


def _names(policy_ids: set[int | None]) -> dict[int | None, str]:
    found = select(SlaPolicy.id, SlaPolicy.name).where(
        SlaPolicy.id.in_([each for each in policy_ids if each])
    )
    return {row.id: row.name for row in db.session.execute(found)}
