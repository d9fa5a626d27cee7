"""One mail after the other into its ticket, and what the batch adds written at once.

New rows are kept back until all mails of the batch are placed: each kind is then one statement. Nothing here commits.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import select, text

from portal import storage
from portal.channels.email.html import html_to_text
from portal.channels.email.parsing import Address, ParsedMail, header_texts
from portal.channels.email.words import Words, words_of
from portal.extensions import db
from portal.models import (
    Attachment,
    ChannelAccount,
    Customer,
    Delivery,
    Identity,
    InboxItem,
    Message,
    Tag,
    Ticket,
)
from portal.models.columns import now
from portal.models.ticket import ticket_tag
from portal.rules import conditions, lifecycle, routing, threading
from portal.services import (
    acknowledging,
    agent_mail,
    bounces,
    events,
    following,
    giving,
    notifications,
    people,
    rows,
    snoozing,
    tickets,
    triggers,
)
from portal.services.desk import Desk
from portal.services.replies import snippet_of
from portal.services.threads import ThreadBook
from portal.wording import Sentence, as_evidence, as_json, sentence

LONGEST_SUBJECT = 500
MOST_REFERENCES = 100

_RESERVED = text(
    """
    SELECT
        ARRAY(SELECT nextval(pg_get_serial_sequence('message', 'id')) FROM generate_series(1, :messages)),
        ARRAY(SELECT nextval(pg_get_serial_sequence('customer', 'id')) FROM generate_series(1, :tickets)),
        ARRAY(SELECT nextval(pg_get_serial_sequence('ticket', 'id')) FROM generate_series(1, :tickets)),
        ARRAY(SELECT nextval('ticket_number_seq') FROM generate_series(1, :tickets))
    """
)


@dataclass
class Letter:
    """One mail on its way."""

    item: InboxItem
    mail: ParsedMail
    account: ChannelAccount
    facts: threading.MailFacts
    words: Words
    # What a bounce is about: the delivery, and the ticket of its message.
    bounced: tuple[Delivery, int] | None = None
    # The one of our people whose address it bears.
    agent: User | None = None


@dataclass
class _New:
    """What a batch adds, in the order in which it is written: each kind in one statement, whatever refers to it later.

    None of it is in the session before that.
    """

    customers: list[Customer] = field(default_factory=list)
    identities: list[Identity] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    # Of each attachment, to be stored.
    contents: list[bytes] = field(default_factory=list)


@dataclass
class _Ids:
    """Reserved ids, the next one last: what belongs together can be written in one go."""

    messages: list[int] = field(default_factory=list)
    customers: list[int] = field(default_factory=list)
    tickets: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Opened:
    """A new ticket, the mail that opened it, how the rules placed it, and the colleague who brought it."""

    ticket: Ticket
    message: Message
    mail: ParsedMail
    route: routing.RouteDecision
    judged: agent_mail.Judged | None


@dataclass
class Round:
    """What is known while a batch is placed."""

    desk: Desk
    book: ThreadBook
    keys: tuple[bytes, ...]
    twins: dict[tuple[str, str], int]
    customers: dict[str, Customer]
    tickets: dict[int, Ticket] = field(default_factory=dict)
    touched: dict[int, Ticket] = field(default_factory=dict)
    new: _New = field(default_factory=_New)
    ids: _Ids = field(default_factory=_Ids)
    opened: list[_Opened] = field(default_factory=list)
    # Tags of known customers, once a rule has asked for them; and who has been met in the batch.
    customer_tags: dict[int, tuple[str, ...]] | None = None
    met: set[int] = field(default_factory=set)
    # What customers have said, for the rules of escalation.
    arrived: list[triggers.Arrived] = field(default_factory=list)
    # What becomes of the items.
    settled: list[dict[str, Any]] = field(default_factory=list)


def reserve(work: Round, *, messages: int = 0, tickets: int = 0) -> None:
    """Ids for so many messages, and for so many new tickets with a number and a customer each."""
    reserved = db.session.execute(_RESERVED, {"messages": messages, "tickets": tickets}).one()
    ids = work.ids
    for kept, more in zip((ids.messages, ids.customers, ids.tickets, ids.numbers), reserved, strict=True):
        kept[:0] = reversed(more)


def place(work: Round, letter: Letter, decision: threading.ThreadDecision) -> None:
    """Put the mail into the ticket that was decided for it, or into a new one; what it adds is written later."""
    twin = identity_of(letter)
    if twin[0] and twin in work.twins:
        _note_twin(work, letter, work.twins[twin])
        return
    if letter.agent is not None:
        # What our own people may do is asked of the database.
        _write_so_far(work)
    ticket = work.tickets.get(decision.ticket_id or 0)
    judged = _judge_agent(work, letter, decision, ticket)
    if ticket is not None and judged is not None and judged.outcome in agent_mail.IN_TICKET:
        message = _new_message(work, letter, ticket, decision)
        _write_so_far(work)
        agent_mail.post(ticket, message, judged)
    else:
        ticket, message = _place_from_customer(work, letter, decision, judged)
    work.twins[twin] = message.id
    work.book.add(ticket, message)
    work.touched[ticket.id] = ticket
    _settle(work, letter, ticket.id, "")


def write(work: Round) -> None:
    """Everything that the batch adds, what it changes of tickets, and what becomes of its items."""
    _insert(work.new)
    rows.update_changed([ticket for ticket in work.touched.values() if ticket in db.session])
    rows.update(InboxItem, work.settled)


def follow_up(work: Round) -> None:
    """What a new ticket brings besides itself: tags, a colleague's remark, an acknowledgement where it is wanted."""
    firsts, arrivals = [], []
    for opened in work.opened:
        ticket, judged = opened.ticket, opened.judged
        passed_on = judged.forwarded if judged is not None else None
        is_answered = passed_on is None and work.desk.branches[ticket.branch_id].sends_acknowledgement
        tags = tickets.tag_names(opened.route.tags)
        arrival = giving.Arrival(
            ticket, work.desk.branches[ticket.branch_id], opened.route.assignee_id, opened.route.strategy
        )
        is_kept = not tags and passed_on is None and not is_answered and arrival.is_left_alone
        if not is_kept and ticket not in db.session:
            rows.adopt(ticket)
        if tags:
            ticket.tags = tickets.tags_named(tags)
        arrivals.append(arrival)
        if judged is not None and passed_on is not None:
            agent_mail.add_remark(ticket, judged.agent, passed_on.remark)
        elif is_answered:
            firsts.append(acknowledging.First(ticket, opened.message, opened.mail))
    acknowledging.acknowledge_all(firsts, work.desk.own_addresses)
    triggers.after_messages(work.arrived, work.desk.triggers)
    # Last, because it holds people until the commit.
    giving.give_out(arrivals)


def customers_of(letters: Sequence[Letter]) -> dict[str, Customer]:
    """The customers whom we know by the senders' addresses, by these."""
    wanted = {sender_of(letter.mail) for letter in letters}
    found = (
        select(Identity.address, Customer)
        .join(Customer, Customer.id == Identity.customer_id)
        .where(Identity.kind == "email", Identity.address.in_(wanted))
    )
    return {row.address: row.Customer for row in db.session.execute(found)}


def identity_of(letter: Letter) -> tuple[str, str]:
    """By what a mail is known again: its Message-ID and its sender."""
    return threading.clean_message_id(letter.facts.message_id), sender_of(letter.mail)


def sender_of(mail: ParsedMail) -> str:
    """The address that a mail is from."""
    return address_of(mail.from_address)


def address_of(sender: str) -> str:
    """The form in which a sender is known, also one without an address."""
    return people.normalise_address(sender or "unknown@invalid")[:320]


def _judge_agent(
    work: Round, letter: Letter, decision: threading.ThreadDecision, ticket: Ticket | None
) -> agent_mail.Judged | None:
    if letter.agent is None:
        return None
    return agent_mail.judge(
        letter.agent,
        letter.mail,
        decision,
        ticket=ticket,
        account=letter.account,
        own_addresses=work.desk.own_addresses,
    )


def _place_from_customer(
    work: Round, letter: Letter, decision: threading.ThreadDecision, judged: agent_mail.Judged | None
) -> tuple[Ticket, Message]:
    """In its ticket, or in a new one: as a mail of its sender, or of whoever wrote what a colleague passed on."""
    passed_on = judged.forwarded if judged is not None else None
    if passed_on is not None:
        letter = replace(letter, mail=passed_on.mail, words=words_of(passed_on.mail))
        if sender_of(letter.mail) not in work.customers:
            work.customers.update(customers_of([letter]))
    placed = _ticket_for(work, letter, decision)
    ticket, is_new = placed.ticket, placed.route is not None
    message = _new_message(work, letter, ticket, placed.decision)
    if judged is not None:
        agent_mail.note_judgement(message, judged)
    if letter.bounced is not None and not letter.mail.is_temporary_bounce:
        # Whom it did not reach may have been met in this batch.
        _write_so_far(work)
        bounces.note_bounce(letter.bounced[0], letter.mail, ticket, message)
    _after_message(work, ticket, message, letter.mail, is_new=is_new)
    if placed.route is not None:
        work.opened.append(_Opened(ticket, message, letter.mail, placed.route, judged))
    return ticket, message


@dataclass(frozen=True)
class _Placed:
    """The ticket of a mail and why; for a new one how the rules placed it, else None."""

    ticket: Ticket
    decision: threading.ThreadDecision
    route: routing.RouteDecision | None = None


def _ticket_for(work: Round, letter: Letter, decision: threading.ThreadDecision) -> _Placed:
    if decision.ticket_id is None:
        return _open(work, letter, decision)
    ticket = work.tickets[decision.ticket_id]
    if letter.mail.is_bounce or letter.mail.is_auto_reply:
        return _Placed(ticket, decision)
    after = lifecycle.status_after_customer_message(
        ticket.status,
        ticket.closed_at,
        now(),
        work.desk.branches[ticket.branch_id].reopen_window_days,
        work.desk.life,
    )
    if after.is_follow_up:
        followed = threading.ThreadDecision(None, "follow_up", after.reason, {"follows": ticket.number})
        return _open(work, letter, followed, follows=ticket)
    return _Placed(ticket, decision)


def _open(
    work: Round, letter: Letter, why: threading.ThreadDecision, follows: Ticket | None = None
) -> _Placed:
    """A new ticket, placed by the rules, their decision kept with it."""
    mail, account, desk = letter.mail, letter.account, work.desk
    if not work.ids.tickets:
        reserve(work, tickets=20)
    customer = follows.customer if follows is not None else _customer_for(work, letter)
    decision = routing.route(
        _route_facts(work, letter, customer, follows),
        desk.rules,
        desk.fall_back_branch_id(account),
        account.branch_id,
        desk.places,
        warnings=desk.rule_warnings,
    )
    ticket = tickets.open_ticket(
        subject=threading.strip_reply_prefixes(mail.subject)[:LONGEST_SUBJECT] or "(no subject)",
        branch=desk.branches[decision.branch_id],
        customer=customer,
        account_id=account.id,
        route={
            "rule": decision.rule,
            **as_evidence(decision.reason),
            "rule_id": decision.rule_id,
            "evidence": {
                **decision.evidence,
                "wordings": [as_json(warning) for warning in decision.evidence["warnings"]],
            },
        },
        tier_level=decision.tier_level or 1,
        priority=decision.priority,
        ticket_type=decision.type,
        policy_id=decision.policy_id,
        follows_id=follows.id if follows else None,
        language=mail.language or "",
        opened_at=letter.item.created_at,
        ticket_id=work.ids.tickets.pop(),
        policies=desk.policies,
    )
    ticket.number = work.ids.numbers.pop()
    work.tickets[ticket.id] = ticket
    work.new.tickets.append(ticket)
    return _Placed(ticket, why, decision)


def _route_facts(
    work: Round, letter: Letter, customer: Customer, follows: Ticket | None
) -> conditions.RouteFacts:
    return facts_of(
        letter.mail,
        letter.account,
        work.desk,
        customer,
        at=letter.item.created_at,
        customer_tags=_tags_of_customer(work, customer) if work.desk.asks_for("customer_tags") else (),
        is_known_customer=customer.id not in work.met,
        fields=follows.fields if follows is not None else {},
    )


def facts_of(
    mail: ParsedMail,
    account: ChannelAccount,
    desk: Desk,
    customer: Customer | None,
    *,
    at: datetime,
    customer_tags: tuple[str, ...] = (),
    is_known_customer: bool = False,
    fields: Mapping[str, Any] | None = None,
) -> conditions.RouteFacts:
    """What routing rules may ask of a mail that came to that account at that moment."""
    own = fields or {}
    branch = desk.branches[account.branch_id]
    return conditions.RouteFacts(
        channel="email",
        account=account.address,
        sender=mail.from_address.lower(),
        sender_name=mail.from_name,
        recipients=tuple(person.address for person in (*mail.to, *mail.cc)),
        subject=mail.subject,
        body=mail.text or html_to_text(mail.html or ""),
        language=mail.language or "",
        has_attachment=any(not attachment.is_inline for attachment in mail.attachments),
        attachment_names=tuple(attachment.name or "" for attachment in mail.attachments),
        headers=header_texts(mail) if desk.asks_for("header") else (),
        customer_name=customer.name if customer else "",
        customer_level=(customer.level or "") if customer else "",
        customer_language=(customer.language or "") if customer else "",
        customer_tags=customer_tags,
        is_known_customer=is_known_customer,
        fields={key: conditions.texts_of_value(value) for key, value in own.items()},
        at=at,
        time_zone=branch.time_zone,
        calendar=desk.calendars.get(branch.id),
    )


def _tags_of_customer(work: Round, customer: Customer) -> tuple[str, ...]:
    """The tags of the customer's tickets; for every known customer of the batch in one statement."""
    if work.customer_tags is None:
        known = {each.id for each in work.customers.values()} - work.met
        work.customer_tags = tags_of_customers(known)
    return work.customer_tags.get(customer.id, ())


def tags_of_customers(customer_ids: Collection[int]) -> dict[int, tuple[str, ...]]:
    """The tags that tickets of these customers have, by customer. One statement."""
    found = (
        select(Ticket.customer_id, Tag.name)
        .join(ticket_tag, ticket_tag.c.ticket_id == Ticket.id)
        .join(Tag, Tag.id == ticket_tag.c.tag_id)
        .where(Ticket.customer_id.in_(customer_ids))
        .distinct()
        .order_by(Tag.name)
    )
    names: dict[int, tuple[str, ...]] = {}
    for customer_id, name in db.session.execute(found):
        names[customer_id] = (*names.get(customer_id, ()), name)
    return names


def _customer_for(work: Round, letter: Letter) -> Customer:
    """The customer behind the sender's address, made where there is none."""
    address = sender_of(letter.mail)
    name = (letter.mail.from_name or address.partition("@")[0])[:200]
    known = work.customers.get(address)
    if known is None:
        known = rows.new(Customer, id=work.ids.customers.pop(), name=name)
        work.new.customers.append(known)
        work.new.identities.append(rows.new(Identity, customer_id=known.id, kind="email", address=address))
        work.customers[address] = known
        work.met.add(known.id)
    elif name and not known.name:
        known.name = name
    return known


def _new_message(work: Round, letter: Letter, ticket: Ticket, decision: threading.ThreadDecision) -> Message:
    mail, item = letter.mail, letter.item
    message = rows.new(
        Message,
        id=work.ids.messages.pop(),
        ticket_id=ticket.id,
        direction="in",
        channel_kind="email",
        account_id=letter.account.id,
        inbox_item_id=item.id,
        from_address=mail.from_address,
        from_name=mail.from_name,
        to=_as_json(mail.to),
        cc=_as_json(mail.cc),
        reply_to=_as_json(mail.reply_to),
        subject=mail.subject[:LONGEST_SUBJECT],
        text=letter.words.text,
        quoted_text=letter.words.quoted_text,
        html=letter.words.html,
        quoted_html=letter.words.quoted_html,
        has_remote_images=letter.words.has_remote_images,
        is_auto_reply=mail.is_auto_reply,
        is_bounce=mail.is_bounce,
        message_id_header=threading.clean_message_id(mail.message_id or ""),
        in_reply_to_header=threading.clean_message_id(mail.in_reply_to or ""),
        references_headers=_references(mail),
        thread_rule=decision.rule,
        thread_evidence={**as_evidence(decision.reason), **decision.evidence},
        created_at=item.created_at,
    )
    work.new.messages.append(message)
    work.new.contents += [attachment.content for attachment in mail.attachments]
    for attachment in mail.attachments:
        work.new.attachments.append(
            rows.new(
                Attachment,
                message_id=message.id,
                name=(attachment.name or "")[:200],
                content_type=(attachment.content_type or "application/octet-stream")[:255],
                size_bytes=len(attachment.content),
                content_id=attachment.content_id or "",
                is_inline=attachment.is_inline,
                public_key=secrets.token_urlsafe(24),
            )
        )
    return message


def _references(mail: ParsedMail) -> list[str]:
    """References with In-Reply-To at the end, so that one index finds every ancestor."""
    named = [*mail.references, *([mail.in_reply_to] if mail.in_reply_to else [])]
    cleaned = dict.fromkeys(threading.clean_message_id(reference) for reference in named)
    return [reference for reference in cleaned if reference][-MOST_REFERENCES:]


def _as_json(named: Sequence[Address]) -> list[dict[str, Any]]:
    return [{"name": person.name or "", "address": person.address} for person in named]


def _after_message(work: Round, ticket: Ticket, message: Message, mail: ParsedMail, *, is_new: bool) -> None:
    """Counters, status and the event that a customer's message brings; clocks follow for the whole batch."""
    is_automatic = mail.is_auto_reply or mail.is_bounce
    at: datetime = message.created_at
    ticket.message_count += 1
    ticket.snippet = snippet_of(message.text or html_to_text(message.html))
    ticket.is_last_message_ours = False
    ticket.unread_since = ticket.unread_since or at
    if not is_automatic:
        ticket.last_customer_message_at = at
    events.record(
        "message_received",
        ticket=ticket,
        actor_kind="customer",
        message_id=message.id,
        occurred_at=at,
        data={"rule": message.thread_rule, "is_automatic": is_automatic},
    )
    reopened_before = ticket.reopened_count
    if is_new:
        if not is_automatic:
            work.arrived.append(triggers.Arrived(ticket, message, is_new=True, is_reopened=False))
        return
    who = message.from_name or message.from_address
    if not is_automatic:
        after = lifecycle.status_after_customer_message(
            ticket.status,
            ticket.closed_at,
            now(),
            work.desk.branches[ticket.branch_id].reopen_window_days,
            work.desk.life,
        )
        tickets.change_status(ticket, after.status, None, rule=after.rule, actor_kind="customer")
        is_reopened = ticket.reopened_count > reopened_before
        work.arrived.append(triggers.Arrived(ticket, message, is_new=False, is_reopened=is_reopened))
        following.tell(
            ticket,
            _wrote(who, ticket),
            fact_key=f"followed-{message.id}",
            but=[ticket.assignee_id, ticket.snoozed_by_id],
        )
        snoozing.end_for_customer(ticket, who, message.id)
    if ticket.assignee_id is not None:
        notifications.notify(
            ticket.assignee_id,
            "answered",
            _wrote(who, ticket),
            ticket=ticket,
            fact_key=f"answered-{message.id}",
        )


def _wrote(who: str, ticket: Ticket) -> Sentence:
    return sentence(
        "%(who)s wrote in #%(number)s %(subject)s", who=who, number=ticket.number, subject=ticket.subject
    )


def _note_twin(work: Round, letter: Letter, message_id: int) -> None:
    """The same mail by way of another mailbox, or delivered twice: one message, which says where else it came in."""
    of_batch = (message for message in work.new.messages if message.id == message_id)
    message = next(of_batch, None) or db.session.get_one(Message, message_id)
    others = [*message.thread_evidence.get("also_received_at", ()), letter.account.address]
    message.thread_evidence = {**message.thread_evidence, "also_received_at": others}
    _settle(work, letter, message.ticket_id, "The same mail is in its ticket already.")


def _settle(work: Round, letter: Letter, ticket_id: int, reason: str) -> None:
    work.settled.append(
        {
            "id": letter.item.id,
            "state": "processed",
            "account_id": letter.account.id,
            "ticket_id": ticket_id,
            "reason": reason,
            "processed_at": now(),
        }
    )


def _write_so_far(work: Round) -> None:
    """For what asks the database: everything that has been added is written now, and in the session."""
    new, work.new = work.new, _New()
    _insert(new)
    for written in (*new.customers, *new.tickets, *new.messages):
        rows.adopt(written)


def _insert(new: _New) -> None:
    for attachment, digest in zip(new.attachments, storage.put_all(new.contents), strict=True):
        attachment.sha256 = digest
    rows.insert(new.customers)
    rows.insert(new.identities)
    rows.insert(new.tickets)
    rows.insert(new.messages)
    rows.insert(new.attachments)
