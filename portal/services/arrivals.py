"""What becomes of a batch of accepted mails: read, placed and written in as few statements as one mail needs.

Everything that deciding asks of the database is read first, for all mails at once; then each mail is decided in the
order in which it came, and sees what the ones before it have added. Nothing here commits.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from flask import current_app
from flask_appbuilder.security.sqla.models import User
from sqlalchemy import Select, func, or_, select, text

from portal import storage
from portal.channels.email.html import html_to_text
from portal.channels.email.parsing import Address, ParsedMail, parse_mail
from portal.channels.email.words import Words, words_of
from portal.extensions import db
from portal.models import Attachment, ChannelAccount, Customer, Delivery, Identity, InboxItem, Message, Ticket
from portal.models.columns import now
from portal.rules import lifecycle, routing, threading, tokens
from portal.services import (
    acknowledging,
    agent_mail,
    events,
    notifications,
    people,
    rows,
    sla,
    suppression,
    tickets,
)
from portal.services.desk import Desk, read_desk
from portal.services.replies import snippet_of
from portal.services.threads import ThreadBook
from portal.time_limit import TooSlow, time_limit

LONGEST_SUBJECT = 500
# Ten megabytes of the worst kind take two; whatever takes longer must not hold up what comes after it.
MOST_SECONDS_PER_MAIL = 20
TOO_SLOW = f"Reading it took longer than {MOST_SECONDS_PER_MAIL} seconds."
MOST_REFERENCES = 100

_LOCKS = text(
    """
    SELECT key, pg_try_advisory_xact_lock(hashtextextended(key, 0))
    FROM unnest(CAST(:keys AS text[])) AS key
    """
)
_WAITING_LOCKS = text(
    """
    SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest(CAST(:keys AS text[])) AS key
    """
)
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
    """A new ticket, the mail that opened it, the tags that the rules give it, and the colleague who brought it."""

    ticket: Ticket
    message: Message
    mail: ParsedMail
    tags: tuple[str, ...]
    judged: agent_mail.Judged | None


@dataclass(frozen=True)
class _Placed:
    """The ticket of a mail and why; for a new one the tags that the rules give it, else None."""

    ticket: Ticket
    decision: threading.ThreadDecision
    tags: tuple[str, ...] | None = None


@dataclass
class _Round:
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
    # What becomes of the items.
    settled: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Taken:
    """How many mails were dealt with, and those that another worker has in hand, by item, as they were read."""

    done_count: int
    left: dict[int, ParsedMail]


def take(
    items: Sequence[InboxItem], *, may_wait: bool, known: Mapping[int, ParsedMail] | None = None
) -> Taken:
    """Make messages of these locked items, or quarantine them with the reason.

    What another worker has in hand (the same mail, the same thread, the same ticket) is left as it is for a later
    round, unless it `may_wait` for that worker. `known` are mails that were left in earlier rounds, by item: they need
    not be read again, and what answers one that is still left is left too.
    """
    with db.session.no_autoflush:
        return _take(items, known or {}, may_wait=may_wait)


def quarantine(item: InboxItem, reason: str) -> None:
    """Put the item aside with the reason, for an admin to look at."""
    item.state, item.reason, item.processed_at = "quarantined", reason[:1000], now()
    events.record("mail_quarantined", data={"inbox_item": item.id, "reason": item.reason})


def _take(items: Sequence[InboxItem], known: Mapping[int, ParsedMail], *, may_wait: bool) -> Taken:
    desk = read_desk()
    read = {item: known.get(item.id) or _read(item) for item in items}
    missing = known.keys() - {item.id for item in items}
    free = _free_of_others(read, {known[item_id].message_id for item_id in missing}, may_wait=may_wait)
    letters = [letter for item in free if (letter := _addressed(item, read[item], desk)) is not None]
    left = {item.id: mail for item, mail in read.items() if item not in free}
    if letters:
        left |= {letter.item.id: letter.mail for letter in _take_letters(letters, desk, may_wait=may_wait)}
    return Taken(len(items) - len(left), left)


def _take_letters(letters: Sequence[Letter], desk: Desk, *, may_wait: bool) -> list[Letter]:
    """Make messages of these; give those that must wait."""
    _note_agents(letters)
    keys = _keys()
    book = ThreadBook(desk.own_addresses)
    book.read([letter.facts for letter in letters], keys)
    work = _Round(desk, book, keys, _twins_of(letters), _customers_of(letters))
    with events.held():
        left = _place_all(work, letters, may_wait=may_wait)
        touched = list(work.touched.values())
        clocks = sla.advance(touched)
        for ticket in touched:
            events.announce(ticket)
        _write(work)
        sla.keep(clocks)
        _follow_up(work)
    return left


def _read(item: InboxItem) -> ParsedMail:
    try:
        with time_limit(MOST_SECONDS_PER_MAIL):
            return parse_mail(item.raw)
    except TooSlow:
        return ParsedMail(limit_exceeded=TOO_SLOW)


def _free_of_others(
    read: Mapping[InboxItem, ParsedMail], left_ids: set[str | None], *, may_wait: bool
) -> list[InboxItem]:
    """Those whose mail, thread and sender no other worker has in hand, now locked against it.

    Two copies of one mail, two answers to one that we never saw, and two first mails of one sender must see each other.
    An answer comes after what it answers: not before one of those in `left_ids`, or one that is left now.
    """
    keys = {item: _lock_keys(item, mail) for item, mail in read.items()}
    every = sorted({key for each in keys.values() for key in each})
    if may_wait:
        db.session.execute(_WAITING_LOCKS, {"keys": every})
        return list(read)
    locked = {key for key, is_ours in db.session.execute(_LOCKS, {"keys": every}) if is_ours}
    free = []
    for item, mail in read.items():
        if keys[item] <= locked and left_ids.isdisjoint((mail.in_reply_to or "", *mail.references)):
            free.append(item)
        else:
            left_ids.add(mail.message_id)
    return free


def _lock_keys(item: InboxItem, mail: ParsedMail) -> set[str]:
    root = mail.references[:1] or ((mail.in_reply_to,) if mail.in_reply_to else ())
    return {mail.message_id or item.sha256, *root, _sender(mail)}


def _addressed(item: InboxItem, mail: ParsedMail, desk: Desk) -> Letter | None:
    """The mail with the account that it came to; None when that is settled: quarantined, or our own."""
    if mail.limit_exceeded:
        quarantine(item, mail.limit_exceeded)
        return None
    account = _account_of(item, mail, desk)
    if account is None:
        quarantine(item, "None of its recipients is an address of ours.")
        return None
    if mail.message_id and tokens.read_message_id(_keys(), mail.message_id):
        reason = "Our own mail came back to us; it stands in its ticket already."
        item.account_id, item.processed_at = account.id, now()
        item.state, item.reason = "processed", reason
        return None
    try:
        with time_limit(MOST_SECONDS_PER_MAIL):
            words = words_of(mail)
    except TooSlow:
        quarantine(item, TOO_SLOW)
        return None
    bounced = _bounced_delivery(item, mail) if mail.is_bounce else None
    return Letter(item, mail, account, _facts(item, mail, account, desk), words, bounced)


def _note_agents(letters: Sequence[Letter]) -> None:
    """Which of the mails bear the address of one of our people."""
    agents = agent_mail.agents_among({_sender(letter.mail) for letter in letters})
    for letter in letters:
        letter.agent = agents.get(_sender(letter.mail))
        if letter.agent is not None:
            letter.facts = replace(letter.facts, is_from_agent=True)


def _account_of(item: InboxItem, mail: ParsedMail, desk: Desk) -> ChannelAccount | None:
    """The account that received it: the one that fetched it, else the first recipient that is ours."""
    if item.account_id is not None:
        return desk.account(item.account_id)
    named = [*item.envelope_to] or [person.address for person in (*mail.to, *mail.cc)]
    takers = (desk.account_of_recipient(recipient) for recipient in named)
    return next((account for account in takers if account is not None), None)


def _facts(item: InboxItem, mail: ParsedMail, account: ChannelAccount, desk: Desk) -> threading.MailFacts:
    named = [*item.envelope_to, *(person.address for person in (*mail.to, *mail.cc))]
    return threading.MailFacts(
        message_id=mail.message_id or "",
        from_address=people.normalise_address(mail.from_address),
        recipients=tuple(dict.fromkeys(address for address in named if address)),
        in_reply_to=(mail.in_reply_to,) if mail.in_reply_to else (),
        references=mail.references,
        subject=mail.subject,
        attached_message_ids=mail.attached_message_ids,
        authentication=mail.authentication,
        branch_id=account.branch_id,
        own_addresses=desk.own_addresses,
    )


def _twins_of(letters: Sequence[Letter]) -> dict[tuple[str, str], int]:
    """Per Message-ID and sender, the message that this very mail has already become."""
    wanted = {threading.clean_message_id(letter.facts.message_id) for letter in letters} - {""}
    if not wanted:
        return {}
    found = select(
        Message.message_id_header,
        Message.from_address,
        Message.thread_evidence["brought_by"].astext,
        Message.id,
    ).where(
        Message.message_id_header.in_(wanted),
        Message.message_id_header != "",
        or_(Message.direction == "in", Message.thread_evidence.has_key("brought_by")),
    )
    twins = {
        (header, _address_of(brought_by or sender)): row_id
        for header, sender, brought_by, row_id in db.session.execute(found)
    }
    return {
        **twins,
        **agent_mail.sent_on(_identity(letter) for letter in letters if letter.agent is not None),
    }


def _identity(letter: Letter) -> tuple[str, str]:
    """By what a mail is known again: its Message-ID and its sender."""
    return threading.clean_message_id(letter.facts.message_id), _sender(letter.mail)


def _customers_of(letters: Sequence[Letter]) -> dict[str, Customer]:
    wanted = {_sender(letter.mail) for letter in letters}
    found = (
        select(Identity.address, Customer)
        .join(Customer, Customer.id == Identity.customer_id)
        .where(Identity.kind == "email", Identity.address.in_(wanted))
    )
    return {row.address: row.Customer for row in db.session.execute(found)}


def _place_all(work: _Round, letters: Sequence[Letter], *, may_wait: bool) -> list[Letter]:
    """Place each letter in turn; give those that must wait for whoever holds their ticket."""
    decided = [_decide(work, letter).ticket_id for letter in letters]
    _reserve(work, messages=len(letters), tickets=decided.count(None))
    wanted = {ticket_id for ticket_id in decided if ticket_id is not None}
    _lock_tickets(work, wanted, may_wait=may_wait)
    left: list[Letter] = []
    held: set[str] = set()
    for letter in letters:
        decision = _decide(work, letter)
        root = set(letter.facts.references[:1]) | set(letter.facts.in_reply_to)
        if decision.ticket_id is not None and decision.ticket_id not in work.tickets:
            # One that an earlier mail of the batch has led to; with its ticket in other hands it waits.
            _lock_tickets(work, {decision.ticket_id}, may_wait=may_wait)
        if root & held or (decision.ticket_id is not None and decision.ticket_id not in work.tickets):
            held.add(letter.facts.message_id)
            left.append(letter)
            continue
        _place(work, letter, decision)
    return left


def _reserve(work: _Round, *, messages: int = 0, tickets: int = 0) -> None:
    """Ids for so many messages, and for so many new tickets with a number and a customer each."""
    reserved = db.session.execute(_RESERVED, {"messages": messages, "tickets": tickets}).one()
    ids = work.ids
    for kept, more in zip((ids.messages, ids.customers, ids.tickets, ids.numbers), reserved, strict=True):
        kept[:0] = reversed(more)


def _decide(work: _Round, letter: Letter) -> threading.ThreadDecision:
    if letter.bounced is not None:
        return threading.ThreadDecision(
            letter.bounced[1],
            "bounce",
            "It reports what became of a message that we sent from this ticket.",
        )
    return threading.decide_thread(letter.facts, work.book, work.keys)


def _lock_tickets(work: _Round, ticket_ids: set[int], *, may_wait: bool) -> None:
    missing = ticket_ids - work.tickets.keys()
    if not missing:
        return
    found = (
        select(Ticket)
        .where(Ticket.id.in_(missing))
        .order_by(Ticket.id)
        .with_for_update(skip_locked=not may_wait, of=Ticket)
        .execution_options(populate_existing=True)
    )
    # One that was merged since the look-up is left for the next round, which finds where it leads.
    work.tickets.update(
        {ticket.id: ticket for ticket in db.session.scalars(found) if ticket.merged_into_id is None}
    )


def _place(work: _Round, letter: Letter, decision: threading.ThreadDecision) -> None:
    twin = _identity(letter)
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


def _settle(work: _Round, letter: Letter, ticket_id: int, reason: str) -> None:
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


def _judge_agent(
    work: _Round, letter: Letter, decision: threading.ThreadDecision, ticket: Ticket | None
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
    work: _Round, letter: Letter, decision: threading.ThreadDecision, judged: agent_mail.Judged | None
) -> tuple[Ticket, Message]:
    """In its ticket, or in a new one: as a mail of its sender, or of whoever wrote what a colleague passed on."""
    passed_on = judged.forwarded if judged is not None else None
    if passed_on is not None:
        letter = replace(letter, mail=passed_on.mail, words=words_of(passed_on.mail))
        if _sender(letter.mail) not in work.customers:
            work.customers.update(_customers_of([letter]))
    placed = _ticket_for(work, letter, decision)
    ticket, is_new = placed.ticket, placed.tags is not None
    message = _new_message(work, letter, ticket, placed.decision)
    if judged is not None:
        agent_mail.note_judgement(message, judged)
    if letter.bounced is not None and not letter.mail.is_temporary_bounce:
        # Whom it did not reach may have been met in this batch.
        _write_so_far(work)
        _note_bounce(letter.bounced[0], letter.mail, ticket, message)
    _after_message(work, ticket, message, letter.mail, is_new=is_new)
    if placed.tags is not None:
        work.opened.append(_Opened(ticket, message, letter.mail, placed.tags, judged))
    return ticket, message


def _note_twin(work: _Round, letter: Letter, message_id: int) -> None:
    """The same mail by way of another mailbox, or delivered twice: one message, which says where else it came in."""
    of_batch = (message for message in work.new.messages if message.id == message_id)
    message = next(of_batch, None) or db.session.get_one(Message, message_id)
    others = [*message.thread_evidence.get("also_received_at", ()), letter.account.address]
    message.thread_evidence = {**message.thread_evidence, "also_received_at": others}
    _settle(work, letter, message.ticket_id, "The same mail is in its ticket already.")


def _ticket_for(work: _Round, letter: Letter, decision: threading.ThreadDecision) -> _Placed:
    if decision.ticket_id is None:
        return _open(work, letter, decision)
    ticket = work.tickets[decision.ticket_id]
    if letter.mail.is_bounce or letter.mail.is_auto_reply:
        return _Placed(ticket, decision)
    after = lifecycle.status_after_customer_message(
        ticket.status, ticket.closed_at, now(), work.desk.branches[ticket.branch_id].reopen_window_days
    )
    if after.is_follow_up:
        followed = threading.ThreadDecision(None, "follow_up", after.reason, {"follows": ticket.number})
        return _open(work, letter, followed, follows=ticket)
    return _Placed(ticket, decision)


def _open(
    work: _Round, letter: Letter, why: threading.ThreadDecision, follows: Ticket | None = None
) -> _Placed:
    """A new ticket, placed by the rules, their decision kept with it."""
    mail, account, desk = letter.mail, letter.account, work.desk
    if not work.ids.tickets:
        _reserve(work, tickets=20)
    customer = follows.customer if follows is not None else _customer_for(work, letter)
    decision = routing.route(
        _route_facts(mail, account),
        work.desk.rules,
        desk.fall_back_branch_id(account),
        account.branch_id,
        desk.active_branch_ids,
    )
    ticket = tickets.open_ticket(
        subject=threading.strip_reply_prefixes(mail.subject)[:LONGEST_SUBJECT] or "(no subject)",
        branch=desk.branches[decision.branch_id],
        customer=customer,
        account_id=account.id,
        route={
            "rule": decision.rule,
            "reason": decision.reason,
            "rule_id": decision.rule_id,
            "evidence": decision.evidence,
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
    return _Placed(ticket, why, decision.tags)


def _route_facts(mail: ParsedMail, account: ChannelAccount) -> routing.RouteFacts:
    return routing.RouteFacts(
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
    )


def _customer_for(work: _Round, letter: Letter) -> Customer:
    """The customer behind the sender's address, made where there is none."""
    address = _sender(letter.mail)
    name = (letter.mail.from_name or address.partition("@")[0])[:200]
    known = work.customers.get(address)
    if known is None:
        known = rows.new(Customer, id=work.ids.customers.pop(), name=name)
        work.new.customers.append(known)
        work.new.identities.append(rows.new(Identity, customer_id=known.id, kind="email", address=address))
        work.customers[address] = known
    elif name and not known.name:
        known.name = name
    return known


def _new_message(work: _Round, letter: Letter, ticket: Ticket, decision: threading.ThreadDecision) -> Message:
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
        thread_evidence={"reason": decision.reason, **decision.evidence},
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


def _after_message(work: _Round, ticket: Ticket, message: Message, mail: ParsedMail, *, is_new: bool) -> None:
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
    if is_new:
        return
    if not is_automatic:
        after = lifecycle.status_after_customer_message(
            ticket.status, ticket.closed_at, now(), work.desk.branches[ticket.branch_id].reopen_window_days
        )
        tickets.change_status(ticket, after.status, None, rule=after.rule, actor_kind="customer")
    if ticket.assignee_id is not None:
        who = message.from_name or message.from_address
        notifications.notify(
            ticket.assignee_id,
            "answered",
            f"{who} wrote in #{ticket.number} {ticket.subject}",
            ticket=ticket,
            fact_key=f"answered-{message.id}",
        )


def _write(work: _Round) -> None:
    """Everything that the batch adds, what it changes of tickets, and what becomes of its items."""
    _insert(work.new)
    rows.update_changed([ticket for ticket in work.touched.values() if ticket in db.session])
    rows.update(InboxItem, work.settled)


def _write_so_far(work: _Round) -> None:
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


def _follow_up(work: _Round) -> None:
    """What a new ticket brings besides itself: tags, a colleague's remark, an acknowledgement where it is wanted."""
    firsts = []
    for opened in work.opened:
        ticket, judged = opened.ticket, opened.judged
        passed_on = judged.forwarded if judged is not None else None
        is_answered = passed_on is None and work.desk.branches[ticket.branch_id].sends_acknowledgement
        if (opened.tags or passed_on is not None or is_answered) and ticket not in db.session:
            rows.adopt(ticket)
        if opened.tags:
            ticket.tags = tickets.tags_named(opened.tags)
        if judged is not None and passed_on is not None:
            agent_mail.add_remark(ticket, judged.agent, passed_on.remark)
        elif is_answered:
            firsts.append(acknowledging.First(ticket, opened.message, opened.mail))
    acknowledging.acknowledge_all(firsts, work.desk.own_addresses)


def _bounced_delivery(item: InboxItem, mail: ParsedMail) -> tuple[Delivery, int] | None:
    """By our signed return path, else by our Message-ID in the returned part; with the ticket that it is of."""
    found = select(Delivery, Message.ticket_id).join(Message, Message.id == Delivery.message_id)
    for recipient in item.envelope_to:
        delivery_id = tokens.read_return_path(_keys(), recipient)
        if delivery_id is not None:
            return _first_delivery(found.where(Delivery.id == delivery_id))
    returned = mail.returned_message_id
    message_id = tokens.read_message_id(_keys(), returned) if returned else None
    if message_id is None:
        return None
    failed = [recipient.lower() for recipient in mail.failed_recipients]
    # The recipient that the bounce names first, else whoever got the mail first.
    is_named = func.lower(Delivery.recipient).in_(failed)
    return _first_delivery(
        found.where(Delivery.message_id == message_id).order_by(is_named.desc(), Delivery.id)
    )


def _first_delivery(found: Select[Delivery, int]) -> tuple[Delivery, int] | None:
    row = db.session.execute(found.limit(1)).first()
    return (row[0], row[1]) if row else None


def _note_bounce(delivery: Delivery, mail: ParsedMail, ticket: Ticket, message: Message) -> None:
    """Mark the delivery that bounced and tell whoever wrote the mail. A delay is no failure yet."""
    delivery.state = "bounced"
    delivery.reply = snippet_of(message.text)
    answered = db.session.get(Message, delivery.message_id)
    assert answered is not None, "a delivery's message is kept by its foreign key"
    answered.delivery_state = "bounced"
    events.record(
        "delivery_bounced",
        ticket=ticket,
        message_id=answered.id,
        data={"recipient": delivery.recipient, "status": mail.bounce_status or ""},
    )
    suppression.suppress(delivery.recipient, f"{mail.bounce_status or ''} {delivery.reply}".strip())
    for user_id in notifications.people(answered.author_id, ticket.assignee_id):
        notifications.notify(
            user_id,
            "bounced",
            f"Your answer in #{ticket.number} did not reach {delivery.recipient}",
            ticket=ticket,
            fact_key=f"bounced-{delivery.id}",
        )


def _sender(mail: ParsedMail) -> str:
    return _address_of(mail.from_address)


def _address_of(sender: str) -> str:
    return people.normalise_address(sender or "unknown@invalid")[:320]


def _references(mail: ParsedMail) -> list[str]:
    """References with In-Reply-To at the end, so that one index finds every ancestor."""
    named = [*mail.references, *([mail.in_reply_to] if mail.in_reply_to else [])]
    cleaned = dict.fromkeys(threading.clean_message_id(reference) for reference in named)
    return [reference for reference in cleaned if reference][-MOST_REFERENCES:]


def _as_json(named: Sequence[Address]) -> list[dict[str, Any]]:
    return [{"name": person.name or "", "address": person.address} for person in named]


def _keys() -> tuple[bytes, ...]:
    keys: tuple[bytes, ...] = current_app.config["SETTINGS"].signing_keys
    return keys
