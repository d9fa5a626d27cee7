"""Mail that nobody wrote: the acknowledgement of a new ticket.

Whether one is sent is decided by `portal.rules.loops`, and the decision is an event of the ticket either way.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from flask import current_app
from sqlalchemy import Select, func, select, text

from portal.channels.email.html import html_to_text, sanitise_reply
from portal.channels.email.parsing import ParsedMail
from portal.extensions import db
from portal.models import Branch, ChannelAccount, Customer, Delivery, Message, Ticket
from portal.models.columns import now
from portal.rules import loops, subjects, templating, tokens
from portal.rules.decision import Decision
from portal.rules.lifecycle import Lifecycle
from portal.services import accounts, events, lifecycle, outbox, people, rows, suppression, templates
from portal.services.desk import read_desk
from portal.wording import as_evidence

_WAITING_LOCKS = text(
    """
    SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest(CAST(:keys AS text[])) AS key
    """
)
_UNFILLED = re.compile(r"<mark data-unfilled=[^>]*>[^<]*</mark>")


@dataclass(frozen=True, eq=False)
class First:
    """The first message of a new ticket, and the mail that it was."""

    ticket: Ticket
    message: Message
    mail: ParsedMail

    @cached_property
    def recipient(self) -> str:
        """Where an answer to it goes."""
        return recipient_of(self.mail)


def acknowledge(
    ticket: Ticket, message: Message, mail: ParsedMail, own_addresses: Collection[str] | None = None
) -> Message | None:
    """Answer the first message of a new ticket by itself where its branch wants that; the mail, or None.

    Inside the caller's transaction; delivery follows the commit. It never meets a clock: those are met by what a
    person writes. `own_addresses` (lower-case): those of every account, where the caller knows them.
    """
    written = acknowledge_all([First(ticket, message, mail)], own_addresses)
    return written[0] if written else None


def acknowledge_all(firsts: Sequence[First], own_addresses: Collection[str] | None = None) -> list[Message]:
    """Like acknowledge, for many in as many statements as for one; the mails. Their tickets are in the session.

    Costs no statement where no branch sends any, as long as the branches have been read in this session.
    """
    wanted = [first for first in firsts if branch_of(first.ticket).sends_acknowledgement]
    if not wanted:
        return []
    db.session.flush()
    if own_addresses is None:
        own_addresses = read_desk().own_addresses
    decisions = _decide_all(wanted, own_addresses)
    allowed: list[tuple[First, ChannelAccount]] = []
    for first, decision in zip(wanted, decisions, strict=True):
        account = accounts.account_for(first.ticket) if decision.allowed else None
        if account is not None:
            allowed.append((first, account))
        elif decision.allowed:
            missing = Decision(False, "no_account", "The branch has no mail account to send it from.")
            _note(first, "acknowledgement_withheld", first.message, missing)
        else:
            _note(first, "acknowledgement_withheld", first.message, decision)
    written = _write_all(allowed)
    for (first, _), message in zip(allowed, written, strict=True):
        _note(first, "acknowledgement_sent", message, decisions[wanted.index(first)])
    return written


def branch_of(ticket: Ticket) -> Branch:
    """The ticket's branch, from the session where it has been read."""
    return db.session.get_one(Branch, ticket.branch_id)


def recipient_of(mail: ParsedMail) -> str:
    """Where an automatic answer to that mail goes: Reply-To, else From; lower-case, "" when there is neither."""
    answer_to = next((person.address for person in mail.reply_to if "@" in person.address), mail.from_address)
    return people.normalise_address(answer_to or "")[:320]


def _decide_all(firsts: Sequence[First], own_addresses: Collection[str]) -> list[Decision]:
    """By what the mails say of themselves first, which asks nothing of the database; then by what was sent before."""
    origins = [_origin_of(first.mail, own_addresses) for first in firsts]
    decisions = [loops.may_answer(origin, own_addresses) for origin in origins]
    asked = [position for position, decision in enumerate(decisions) if decision.allowed]
    if not asked:
        return decisions
    suppressed = suppression.suppressed_among(
        address
        for position in asked
        for address in (firsts[position].mail.from_address, firsts[position].recipient)
    )
    for position in asked:
        decisions[position] = loops.may_answer(origins[position], own_addresses, suppressed)
    asked = [position for position in asked if decisions[position].allowed]
    _lock_recipients([firsts[position] for position in asked])
    sent = _Sent([firsts[position] for position in asked])
    for position in asked:
        decisions[position] = sent.decide(firsts[position])
    return decisions


def _lock_recipients(firsts: Sequence[First]) -> None:
    # Intake takes the mails of one sender one after the other; many senders may name one address to answer to.
    foreign = {first.recipient for first in firsts if first.recipient != _sender_of(first.mail)}
    if foreign:
        keys = sorted(f"automatic mail to {recipient}" for recipient in foreign)
        db.session.execute(_WAITING_LOCKS, {"keys": keys})


class _Sent:
    """How much automatic mail went where lately, what is decided now included."""

    def __init__(self, firsts: Sequence[First]) -> None:
        since = now() - timedelta(seconds=loops.Caps().window_seconds)
        self._by_recipient = _counted(
            select(Delivery.recipient, func.count())
            .where(
                Delivery.is_automatic,
                Delivery.recipient.in_({first.recipient for first in firsts}),
                Delivery.created_at > since,
            )
            .group_by(Delivery.recipient)
        )
        self._by_ticket = _counted(
            select(Message.ticket_id, func.count())
            .where(
                Message.ticket_id.in_({first.ticket.id for first in firsts}),
                Message.is_automatic,
                Message.created_at > since,
            )
            .group_by(Message.ticket_id)
        )

    def decide(self, first: First) -> Decision:
        branch = branch_of(first.ticket)
        counts = loops.AutomaticCounts(
            to_recipient=self._by_recipient[first.recipient], on_ticket=self._by_ticket[first.ticket.id]
        )
        caps = loops.Caps(
            per_recipient=branch.automatic_per_recipient, per_ticket=branch.automatic_per_ticket
        )
        decision = loops.within_caps(counts, caps)
        if decision.allowed:
            self._by_recipient[first.recipient] += 1
            self._by_ticket[first.ticket.id] += 1
        return decision


def _counted(found: Select[Any, int]) -> Counter[Any]:
    return Counter({row[0]: row[1] for row in db.session.execute(found)})


def _sender_of(mail: ParsedMail) -> str:
    return people.normalise_address(mail.from_address)


def _origin_of(mail: ParsedMail, own_addresses: Collection[str]) -> loops.MailOrigin:
    keys: tuple[bytes, ...] = current_app.config["SETTINGS"].signing_keys
    is_ours = bool(mail.message_id and tokens.read_message_id(keys, mail.message_id))
    return loops.MailOrigin(
        from_address=mail.from_address or "",
        reply_to_address=recipient_of(mail),
        is_auto_reply=mail.is_auto_reply,
        is_bounce=mail.is_bounce,
        is_list=mail.is_list,
        is_feedback_report=mail.is_feedback_report,
        is_ours=is_ours or mail.x_loop.strip().strip("<>").lower() in own_addresses,
        has_null_return_path=mail.has_null_return_path,
        auto_submitted=mail.auto_submitted,
        precedence=mail.precedence,
        suppressed_responses=mail.suppressed_responses,
    )


def _write_all(allowed: Sequence[tuple[First, ChannelAccount]]) -> list[Message]:
    if not allowed:
        return []
    customer_ids = {first.ticket.customer_id for first, _ in allowed}
    # Read once, and found in the session from here on.
    customers = db.session.scalars(select(Customer).where(Customer.id.in_(customer_ids))).all()
    assert customers, "a ticket has a customer"
    known = _addresses_for([first.ticket for first, _ in allowed])
    ids = rows.reserve_ids(Message, len(allowed))
    written = []
    for (first, account), message_id in zip(allowed, ids, strict=True):
        ticket = first.ticket
        written.append(_message(first, account, message_id, _text_of(ticket, known[ticket.id])))
        ticket.message_count += 1
    rows.insert(written)
    outbox.owe_now([(message, account) for message, (_, account) in zip(written, allowed, strict=True)])
    rows.update_changed([first.ticket for first, _ in allowed])
    for message in written:
        rows.adopt(message)
    return written


def _addresses_for(tickets: Sequence[Ticket]) -> dict[int, templates.Addresses]:
    """By ticket, what the words of its branch may name; read only where they do."""
    words = {ticket.id: branch_of(ticket).acknowledgement_html for ticket in tickets}
    naming_customer = {ticket.customer_id for ticket in tickets if "customer.email" in words[ticket.id]}
    naming_branch = {ticket.branch_id for ticket in tickets if "branch.email" in words[ticket.id]}
    of_customers = people.addresses_of(naming_customer) if naming_customer else {}
    of_branches = {branch_id: accounts.address_of_branch(branch_id) for branch_id in naming_branch}
    names_status = any("ticket.status" in each for each in words.values())
    life = lifecycle.current() if names_status else Lifecycle()
    return {
        ticket.id: templates.Addresses(
            of_customers.get(ticket.customer_id, ""), of_branches.get(ticket.branch_id, ""), life
        )
        for ticket in tickets
    }


def _message(first: First, account: ChannelAccount, message_id: int, html: str) -> Message:
    ticket, answered, branch = first.ticket, first.message, branch_of(first.ticket)
    key: bytes = current_app.config["SETTINGS"].signing_keys[0]
    ancestors = [*answered.references_headers, answered.message_id_header]
    return rows.new(
        Message,
        id=message_id,
        ticket_id=ticket.id,
        direction="out",
        channel_kind="email",
        account_id=account.id,
        is_automatic=True,
        from_name=branch.from_name or branch.name,
        from_address=account.address,
        to=[{"name": "", "address": first.recipient}],
        cc=[],
        bcc=[],
        subject=subjects.numbered_subject(answered.subject or ticket.subject, ticket.number),
        html=html,
        text=html_to_text(html),
        message_id_header=tokens.message_id_for(key, message_id, account.address.rpartition("@")[2]),
        in_reply_to_header=answered.message_id_header,
        references_headers=list(dict.fromkeys(each for each in ancestors if each)),
        delivery_state="queued",
        created_at=now(),
    )


def _text_of(ticket: Ticket, addresses: templates.Addresses) -> str:
    """The branch's words with this ticket's values; what has no value is left out rather than shown as a gap."""
    branch = branch_of(ticket)
    filled = templating.fill(branch.acknowledgement_html, templates.values_of(ticket, None, addresses))
    words = sanitise_reply(_UNFILLED.sub("", filled.html))
    signature = branch.signature_html.strip()
    return f'{words}<div class="signature">{sanitise_reply(signature)}</div>' if signature else words


def _note(first: First, kind: str, message: Message, decision: Decision) -> None:
    events.record(
        kind,
        ticket=first.ticket,
        message_id=message.id,
        data={
            "recipient": first.recipient,
            "rule": decision.rule,
            **as_evidence(decision.reason),
            "evidence": dict(decision.evidence),
        },
    )
