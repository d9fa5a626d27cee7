"""What routing rules would do: with one mail, and with the last tickets over again. Reads only."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import and_, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import undefer

from portal import access
from portal.channels.email.parsing import header_texts, parse_mail
from portal.errors import UserFault
from portal.extensions import db
from portal.models import (
    Attachment,
    ChannelAccount,
    Customer,
    Identity,
    InboxItem,
    Message,
    RoutingRule,
    Ticket,
)
from portal.models.columns import now
from portal.rules import assigning, conditions, routing
from portal.rules.conditions import Condition, RouteFacts
from portal.rules.decision import Evidence
from portal.services import giving, placing
from portal.services.desk import Desk, read_desk, rule_of, with_rules
from portal.services.people import normalise_address

LONGEST_MAIL = 2_000_000
MOST_TICKETS = 1000
MOST_SHOWN = 50
# Of a stored mail, where a rule asks for headers: they come first.
HEADER_BYTES = 65_536


@dataclass(frozen=True)
class Step:
    """One rule, in its turn: what made it hold, or the part because of which it does not.

    `is_reached` is false after a rule that stopped.
    """

    rule: routing.Rule
    is_draft: bool
    is_reached: bool
    matched: list[Evidence] | None = None
    failed: Condition | None = None


@dataclass(frozen=True)
class Trial:
    """What would become of a mail: to which address it came, rule by rule, where it would go and who would get it."""

    account: ChannelAccount
    is_known_address: bool
    steps: tuple[Step, ...]
    decision: routing.RouteDecision
    branch_name: str
    assignment: assigning.Assignment


@dataclass(frozen=True)
class Changed:
    """A ticket that would have gone another way."""

    number: int
    subject: str
    before: str
    after: str
    is_elsewhere: bool


@dataclass(frozen=True)
class Replay:
    """The last tickets under the rules as they are and with the draft: how many change, from where to where."""

    looked_at: int
    matched: int
    changed: int
    moves: tuple[tuple[str, str, int], ...]
    shown: tuple[Changed, ...]


def try_mail(raw: bytes, draft: RoutingRule) -> Trial:
    """What would become of this mail. Raises UserFault for what is no mail, or too large a one."""
    if not raw.strip():
        raise UserFault("Paste a mail first, with its header: From, To, Subject, an empty line, the text.")
    if len(raw) > LONGEST_MAIL:
        raise UserFault("This mail is larger than 2 MB. Its header and the first lines are enough to try it.")
    mail = parse_mail(raw)
    if mail.limit_exceeded:
        raise UserFault("Such a mail would go to quarantine: %(why)s", why=mail.limit_exceeded)
    desk = _desk_with(draft)
    to = [person.address for person in (*mail.to, *mail.cc)]
    found = next((account for each in to if (account := desk.account_of_recipient(each)) is not None), None)
    account = found or next((each for each in desk.accounts if each.is_active), None)
    if account is None:
        raise UserFault("No mail can come in yet. Set up an address under Accounts first.")
    customer = _customer(mail.from_address)
    tags = placing.tags_of_customers([customer.id]).get(customer.id, ()) if customer else ()
    facts = placing.facts_of(
        mail, account, desk, customer, at=now(), customer_tags=tags, is_known_customer=customer is not None
    )
    decision = _route(facts, desk, account)
    return Trial(
        account=account,
        is_known_address=found is not None,
        steps=tuple(_steps(facts, desk.rules, draft)),
        decision=decision,
        branch_name=desk.branches[decision.branch_id].name,
        assignment=giving.whom(
            desk.branches[decision.branch_id],
            decision.tier_level or 1,
            strategy=decision.strategy,
            wanted_id=decision.assignee_id,
            customer_id=customer.id if customer else None,
        ),
    )


def replay(draft: RoutingRule, actor: User, many: int) -> Replay:
    """The newest tickets of the person's reach that came by mail, decided anew: without the draft, and with it.

    At most MOST_TICKETS. What is asked of the customer is as it is today. Six statements, whatever their number.
    """
    before, after = read_desk(), _desk_with(draft)
    met = _met(actor, min(many, MOST_TICKETS), after)
    moves: Counter[tuple[str, str]] = Counter()
    changed: list[Changed] = []
    matched = 0
    rule = _rule(draft)
    for ticket, facts, account in met:
        was, would_be = _route(facts, before, account), _route(facts, after, account)
        matched += any(each["id"] == rule.id for each in would_be.evidence["rules"])
        if _said(was) == _said(would_be):
            continue
        places = before.branches[was.branch_id].name, after.branches[would_be.branch_id].name
        moves[places] += 1
        changed.append(Changed(ticket.number, ticket.subject, *places, is_elsewhere=places[0] != places[1]))
    return Replay(
        looked_at=len(met),
        matched=matched,
        changed=len(changed),
        moves=tuple((*places, count) for places, count in moves.most_common()),
        shown=tuple(changed[:MOST_SHOWN]),
    )


def _rule(draft: RoutingRule) -> routing.Rule:
    try:
        return rule_of(draft)
    except ValueError as error:
        raise UserFault(error.args[0]) from error


def _desk_with(draft: RoutingRule) -> Desk:
    desk, rule = read_desk(), _rule(draft)
    others = [each for each in desk.rules if each.id != rule.id]
    # A draft is tried as if it were in use.
    return with_rules(desk, (*others, replace(rule, is_active=True)))


def _route(facts: RouteFacts, desk: Desk, account: ChannelAccount) -> routing.RouteDecision:
    return routing.route(facts, desk.rules, desk.fall_back_branch_id(account), account.branch_id, desk.places)


def _said(decision: routing.RouteDecision) -> tuple[object, ...]:
    return (
        decision.branch_id,
        decision.tier_level,
        decision.priority,
        decision.type,
        decision.tags,
        decision.policy_id,
        decision.assignee_id,
        decision.strategy,
    )


def _steps(facts: RouteFacts, rules: Sequence[routing.Rule], draft: RoutingRule) -> list[Step]:
    own = _rule(draft).id
    steps, is_over = [], False
    for rule in sorted(rules, key=lambda each: (each.position, each.id)):
        if is_over:
            steps.append(Step(rule, rule.id == own, is_reached=False))
            continue
        matched = conditions.matched_tests(rule.condition, facts)
        failed = conditions.failed_part(rule.condition, facts) if matched is None else None
        steps.append(Step(rule, rule.id == own, is_reached=True, matched=matched, failed=failed))
        if matched is not None:
            facts = replace(facts, tags=(*facts.tags, *rule.tags))
            is_over = rule.is_last
    return steps


def _customer(address: str) -> Customer | None:
    found = (
        select(Customer)
        .join(Identity, Identity.customer_id == Customer.id)
        .where(Identity.kind == "email", Identity.address == normalise_address(address))
    )
    return db.session.scalar(found)


def _met(actor: User, many: int, desk: Desk) -> list[tuple[Ticket, RouteFacts, ChannelAccount]]:
    """The tickets with what was known of the mail that opened each."""
    accounts = {account.id: account for account in desk.accounts}
    wanted = (
        access.visible_tickets(actor)
        .where(Ticket.account_id.in_(accounts), Ticket.merged_into_id.is_(None))
        .order_by(Ticket.created_at.desc(), Ticket.id.desc())
        .limit(many)
    )
    tickets = {ticket.id: ticket for ticket in db.session.scalars(wanted)}
    opening = (
        select(Message)
        .where(Message.ticket_id.in_(tickets), Message.direction == "in")
        .ext(distinct_on(Message.ticket_id))
        .order_by(Message.ticket_id, Message.created_at, Message.id)
        .options(undefer(Message.text))
    )
    messages = {message.ticket_id: message for message in db.session.scalars(opening)}
    ids = [message.id for message in messages.values()]
    names: dict[int, list[str]] = {}
    files = select(Attachment.message_id, Attachment.name).where(
        Attachment.message_id.in_(ids), Attachment.is_inline.is_(False)
    )
    for message_id, name in db.session.execute(files.order_by(Attachment.id)):
        names.setdefault(message_id or 0, []).append(name)
    customer_ids = {ticket.customer_id for ticket in tickets.values()}
    customers = {
        row.id: row for row in db.session.scalars(select(Customer).where(Customer.id.in_(customer_ids)))
    }
    first_met = _first_met(customer_ids)
    tags = placing.tags_of_customers(customer_ids) if desk.asks_for("customer_tags") else {}
    headers = _headers(messages.values()) if desk.asks_for("header") else {}
    found = []
    for ticket in tickets.values():
        message = messages.get(ticket.id)
        if message is None or ticket.account_id is None:
            continue
        account, customer = accounts[ticket.account_id], customers[ticket.customer_id]
        branch = desk.branches[account.branch_id]
        facts = RouteFacts(
            channel=ticket.channel_kind,
            account=account.address,
            sender=message.from_address.lower(),
            sender_name=message.from_name,
            recipients=tuple(person["address"] for person in (*message.to, *message.cc)),
            subject=message.subject,
            body=message.text,
            language=ticket.language or "",
            has_attachment=message.id in names,
            attachment_names=tuple(names.get(message.id, ())),
            headers=headers.get(message.id, ()),
            customer_name=customer.name,
            customer_level=customer.level or "",
            customer_language=customer.language or "",
            customer_tags=tags.get(customer.id, ()),
            is_known_customer=first_met[customer.id] < ticket.created_at,
            at=ticket.created_at,
            time_zone=branch.time_zone,
            calendar=desk.calendars.get(branch.id),
        )
        found.append((ticket, facts, account))
    return found


def _first_met(customer_ids: set[int]) -> dict[int, datetime]:
    """When each customer's first ticket was opened; out of the person's reach or not."""
    found = (
        select(Ticket.customer_id, func.min(Ticket.created_at))
        .where(Ticket.customer_id.in_(customer_ids))
        .group_by(Ticket.customer_id)
        .execution_options(is_unscoped=True)
    )
    return {row[0]: row[1] for row in db.session.execute(found)}


def _headers(messages: Iterable[Message]) -> dict[int, tuple[tuple[str, str], ...]]:
    items = {message.inbox_item_id: message.id for message in messages if message.inbox_item_id}
    found = select(InboxItem.id, func.substr(InboxItem.raw, 1, HEADER_BYTES)).where(
        and_(InboxItem.id.in_(items), InboxItem.raw.is_not(None))
    )
    return {
        items[item_id]: header_texts(parse_mail(bytes(raw))) for item_id, raw in db.session.execute(found)
    }
