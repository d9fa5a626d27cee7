"""Mail that nobody wrote: the acknowledgement of a new ticket.

Whether one is sent is decided by `portal.rules.loops`, and the decision is an event of the ticket either way.
"""

import re
from collections.abc import Collection
from datetime import timedelta

from flask import current_app
from sqlalchemy import func, select

from portal.channels.email.html import html_to_text, sanitise_reply
from portal.channels.email.parsing import ParsedMail
from portal.extensions import db
from portal.models import Branch, ChannelAccount, Delivery, Message, Ticket
from portal.models.columns import now
from portal.rules import loops, subjects, templating, tokens
from portal.rules.decision import Decision
from portal.services import accounts, events, outbox, people, suppression, templates
from portal.services.desk import read_desk

_UNFILLED = re.compile(r"<mark data-unfilled=[^>]*>[^<]*</mark>")


def acknowledge(
    ticket: Ticket, message: Message, mail: ParsedMail, own_addresses: Collection[str] | None = None
) -> Message | None:
    """Answer the first message of a new ticket by itself where its branch wants that; the mail, or None.

    Inside the caller's transaction; delivery follows the commit. Costs no statement for a branch that sends none, as
    long as the branch has been read in this session. `own_addresses` (lower-case): those of every account, where
    the caller knows them. It never meets a clock: those are met by what a person writes.
    """
    branch = db.session.get(Branch, ticket.branch_id)
    if branch is None or not branch.sends_acknowledgement:
        return None
    db.session.flush()
    recipient = recipient_of(mail)
    account = accounts.account_for(ticket)
    if own_addresses is None:
        own_addresses = read_desk().own_addresses
    decision = _decide(ticket, branch, mail, recipient, own_addresses)
    if decision.allowed and account is None:
        decision = Decision(False, "no_account", "The branch has no mail account to send it from.")
    if not decision.allowed or account is None:
        _note(ticket, "acknowledgement_withheld", message, decision, recipient)
        return None
    written = _write(ticket, branch, message, account, recipient)
    _note(ticket, "acknowledgement_sent", written, decision, recipient)
    return written


def recipient_of(mail: ParsedMail) -> str:
    """Where an automatic answer to that mail goes: Reply-To, else From; lower-case, "" when there is neither."""
    answer_to = next((person.address for person in mail.reply_to if "@" in person.address), mail.from_address)
    return people.normalise_address(answer_to or "")[:320]


def _decide(
    ticket: Ticket, branch: Branch, mail: ParsedMail, recipient: str, own_addresses: Collection[str]
) -> Decision:
    """By what the mail says of itself first, which asks nothing of the database; then by what was sent before."""
    origin = _origin_of(mail, own_addresses)
    decision = loops.may_answer(origin, own_addresses)
    if not decision.allowed:
        return decision
    decision = loops.may_answer(
        origin, own_addresses, suppression.suppressed_among((mail.from_address, recipient))
    )
    if not decision.allowed:
        return decision
    if recipient != people.normalise_address(mail.from_address):
        # Intake takes the mails of one sender one after the other; many senders may name one address to answer to.
        key = func.hashtextextended(f"automatic mail to {recipient}", 0)
        db.session.execute(select(func.pg_advisory_xact_lock(key)))
    caps = loops.Caps(per_recipient=branch.automatic_per_recipient, per_ticket=branch.automatic_per_ticket)
    return loops.within_caps(_counts(ticket.id, recipient, caps), caps)


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


def _counts(ticket_id: int, recipient: str, caps: loops.Caps) -> loops.AutomaticCounts:
    since = now() - timedelta(seconds=caps.window_seconds)
    to_recipient = select(func.count()).where(
        Delivery.is_automatic, Delivery.recipient == recipient, Delivery.created_at > since
    )
    on_ticket = select(func.count()).where(
        Message.ticket_id == ticket_id, Message.is_automatic, Message.created_at > since
    )
    counted = db.session.execute(select(to_recipient.scalar_subquery(), on_ticket.scalar_subquery())).one()
    return loops.AutomaticCounts(to_recipient=counted[0], on_ticket=counted[1])


def _write(
    ticket: Ticket, branch: Branch, answered: Message, account: ChannelAccount, recipient: str
) -> Message:
    html = _text_of(ticket, branch)
    message = Message(
        ticket_id=ticket.id,
        direction="out",
        channel_kind="email",
        account_id=account.id,
        is_automatic=True,
        from_name=branch.from_name or branch.name,
        from_address=account.address,
        to=[{"name": "", "address": recipient}],
        subject=subjects.numbered_subject(answered.subject or ticket.subject, ticket.number),
        html=html,
        text=html_to_text(html),
        in_reply_to_header=answered.message_id_header,
        references_headers=list(
            dict.fromkeys(each for each in [*answered.references_headers, answered.message_id_header] if each)
        ),
        delivery_state="queued",
        created_at=now(),
    )
    db.session.add(message)
    db.session.flush()
    key: bytes = current_app.config["SETTINGS"].signing_keys[0]
    message.message_id_header = tokens.message_id_for(key, message.id, account.address.rpartition("@")[2])
    ticket.message_count += 1
    outbox.owe(message, account)
    return message


def _text_of(ticket: Ticket, branch: Branch) -> str:
    """The branch's words with this ticket's values; what has no value is left out rather than shown as a gap."""
    filled = templating.fill(branch.acknowledgement_html, templates.values_of(ticket, None))
    words = sanitise_reply(_UNFILLED.sub("", filled.html))
    signature = branch.signature_html.strip()
    return f'{words}<div class="signature">{sanitise_reply(signature)}</div>' if signature else words


def _note(ticket: Ticket, kind: str, message: Message, decision: Decision, recipient: str) -> None:
    events.record(
        kind,
        ticket=ticket,
        message_id=message.id,
        data={
            "recipient": recipient,
            "rule": decision.rule,
            "reason": decision.reason,
            "evidence": dict(decision.evidence),
        },
    )
