"""What becomes of a batch of accepted mails: read, placed and written in as few statements as one mail needs.

Everything that deciding asks of the database is read first, for all mails at once; then each mail is decided in the
order in which it came, and sees what the ones before it have added. Nothing here commits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flask import current_app
from sqlalchemy import or_, select, text

from portal.channels.email.parsing import ParsedMail, parse_mail
from portal.channels.email.words import words_of
from portal.extensions import db
from portal.models import ChannelAccount, InboxItem, Message, Ticket
from portal.models.columns import now
from portal.rules import threading, tokens
from portal.services import agent_mail, bounces, events, people, placing, sla
from portal.services.desk import Desk, read_desk
from portal.services.placing import Letter, Round
from portal.services.threads import ThreadBook
from portal.time_limit import TooSlow, time_limit

# Ten megabytes of the worst kind take two; whatever takes longer must not hold up what comes after it.
MOST_SECONDS_PER_MAIL = 20
TOO_SLOW = f"Reading it took longer than {MOST_SECONDS_PER_MAIL} seconds."

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
    work = Round(desk, book, keys, _twins_of(letters), placing.customers_of(letters))
    with events.held():
        left = _place_all(work, letters, may_wait=may_wait)
        touched = list(work.touched.values())
        clocks = sla.advance(touched)
        for ticket in touched:
            events.announce(ticket)
        placing.write(work)
        sla.keep(clocks)
        placing.follow_up(work)
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
    return {mail.message_id or item.sha256, *root, placing.sender_of(mail)}


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
    bounced = bounces.delivery_of(item, mail, _keys()) if mail.is_bounce else None
    return Letter(item, mail, account, _facts(item, mail, account, desk), words, bounced)


def _note_agents(letters: Sequence[Letter]) -> None:
    """Which of the mails bear the address of one of our people."""
    agents = agent_mail.agents_among({placing.sender_of(letter.mail) for letter in letters})
    for letter in letters:
        letter.agent = agents.get(placing.sender_of(letter.mail))
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
        (header, placing.address_of(brought_by or sender)): row_id
        for header, sender, brought_by, row_id in db.session.execute(found)
    }
    return {
        **twins,
        **agent_mail.sent_on(placing.identity_of(letter) for letter in letters if letter.agent is not None),
    }


def _place_all(work: Round, letters: Sequence[Letter], *, may_wait: bool) -> list[Letter]:
    """Place each letter in turn; give those that must wait for whoever holds their ticket."""
    decided = [_decide(work, letter).ticket_id for letter in letters]
    placing.reserve(work, messages=len(letters), tickets=decided.count(None))
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
        placing.place(work, letter, decision)
    return left


def _decide(work: Round, letter: Letter) -> threading.ThreadDecision:
    if letter.bounced is not None:
        return threading.ThreadDecision(
            letter.bounced[1],
            "bounce",
            "It reports what became of a message that we sent from this ticket.",
        )
    return threading.decide_thread(letter.facts, work.book, work.keys)


def _lock_tickets(work: Round, ticket_ids: set[int], *, may_wait: bool) -> None:
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


def _keys() -> tuple[bytes, ...]:
    keys: tuple[bytes, ...] = current_app.config["SETTINGS"].signing_keys
    return keys
