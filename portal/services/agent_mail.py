"""Mails that our own people send from their mail program: answers, and what they pass on.

Inside intake's transaction, for one mail at a time: such mails are rare, and what they may do is decided by
`portal.rules.agent_mail`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from flask import current_app
from flask_appbuilder.security.sqla.models import User
from sqlalchemy import func, select

from portal import access
from portal.channels.email.authentication import MICROSOFT
from portal.channels.email.forwarding import Forwarded, read_forward
from portal.channels.email.html import html_to_text, sanitise_reply, text_to_html
from portal.channels.email.parsing import ParsedMail
from portal.extensions import db
from portal.models import Attachment, ChannelAccount, Identity, Message, Ticket
from portal.models.columns import now
from portal.rules import agent_mail as rules
from portal.rules import subjects, threading, tokens
from portal.services import accounts, events, outbox, people, replies

_CID = re.compile(r"""(src\s*=\s*["'])cid:([^"']+)""", re.IGNORECASE)
_MOST_CORRESPONDENTS = 50

# By the end of the host name of a mailbox, the server that verifies senders there.
_PROVIDERS = {
    ".gmail.com": "mx.google.com",
    ".googlemail.com": "mx.google.com",
    ".office365.com": MICROSOFT,
    ".outlook.com": MICROSOFT,
}

# What stands in the ticket that the mail belongs to, as the colleague's own.
IN_TICKET = frozenset({"reply_sent", "reply_to_send", "note"})


@dataclass(frozen=True, slots=True)
class Judged:
    """What a colleague's mail becomes, why, and the mail inside it when it is that one which opens a ticket."""

    agent: User
    outcome: rules.Outcome
    reason: str
    is_verified: bool
    forwarded: Forwarded | None = None


def agents_among(addresses: Iterable[str]) -> dict[str, User]:
    """The people who may work on tickets among these addresses (lower case), by address: one statement."""
    wanted = {address for address in addresses if address}
    found = select(User).where(func.lower(User.email).in_(wanted), User.active)
    users = {user.email.lower(): user for user in db.session.scalars(found)} if wanted else {}
    return {
        address: user
        for address, user in users.items()
        if access.role_names(user) & access.MAY_CHANGE_TICKETS
    }


def is_proved(mail: ParsedMail, account: ChannelAccount) -> bool:
    """Whether a server that we trust says that the mail is from the address it bears.

    That is one of MAIL_VERIFIERS, or Google's or Microsoft's own where the mailbox lies there: they remove what a
    stranger writes in their name. What anybody could have written proves nothing here.
    """
    trusted = set(current_app.config["SETTINGS"].mail_verifiers)
    trusted.update(
        server for suffix, server in _PROVIDERS.items() if account.imap_host.lower().endswith(suffix)
    )
    return mail.authentication == "pass" and mail.authenticated_by in trusted


def judge(
    agent: User,
    mail: ParsedMail,
    decision: threading.ThreadDecision,
    *,
    ticket: Ticket | None,
    account: ChannelAccount,
    own_addresses: frozenset[str],
) -> Judged:
    """What this mail of one of our people becomes; `ticket` is the one that it belongs to, if there is one.

    `account` is the mailbox that it came to; `own_addresses` (lower case) are those of all our mailboxes.
    """
    is_verified = is_proved(mail, account)
    passed_on = read_forward(mail) if is_verified else None
    ours = own_addresses | {agent.email.lower()}
    if passed_on is not None and tokens.without_tag(_plain(passed_on.mail.from_address)) in ours:
        passed_on = None
    named = {_plain(person.address) for person in (*mail.to, *mail.cc)} - {""}
    customer = _customer_addresses(ticket) if ticket is not None else frozenset()
    found = rules.decide_agent_mail(
        rules.AgentMailFacts(
            is_verified=is_verified,
            is_automatic=mail.is_auto_reply or mail.is_bounce or mail.is_feedback_report,
            thread_rule=decision.rule if ticket is not None else "",
            may_work_in_ticket=ticket is not None and access.may_see_branch(agent, ticket.branch_id),
            is_answerable=ticket is not None and _is_answerable(ticket) and bool(customer),
            is_forward=passed_on is not None,
            # A sub-address of ours reaches us, not somebody else.
            recipients=frozenset(address for address in named if tokens.without_tag(address) not in ours),
            customer_addresses=customer,
        )
    )
    forwarded = passed_on if found.outcome == "forward" else None
    return Judged(agent, found.outcome, found.reason, is_verified, forwarded)


def note_judgement(message: Message, judged: Judged) -> None:
    """Keep with the message what was decided about the colleague whose address its mail bears."""
    message.thread_evidence = {
        **message.thread_evidence,
        "reason": f"{message.thread_evidence.get('reason', '')} {judged.reason}".strip(),
        "posted_as": judged.outcome,
        "agent_reason": judged.reason,
        "is_verified": judged.is_verified,
        "brought_by": judged.agent.email,
    }


def post(ticket: Ticket, message: Message, judged: Judged) -> None:
    """Make a stored mail what was decided: the agent's answer, or a note. Inside the caller's transaction.

    The answer that is sent on gets a Message-ID of ours; that of the agent's own mail stays among its references, so
    that what answers it finds the ticket, and the same mail by another mailbox is known again.
    """
    agent = judged.agent
    note_judgement(message, judged)
    message.author_id = agent.id
    if judged.outcome == "note":
        message.direction, message.from_name = "note", str(agent)
        _write_note_event(ticket, message, agent)
        return
    message.direction = "out"
    if judged.outcome == "reply_to_send":
        _send_on(ticket, message, agent)
    else:
        message.delivery_state, message.sent_at = "sent", message.created_at
        db.session.flush()
    replies.note_sent(ticket, message, agent)


def add_remark(ticket: Ticket, agent: User, remark: str) -> None:
    """What the colleague wrote above a mail that they passed on, as a note. Inside the caller's transaction."""
    if not remark:
        return
    note = Message(
        ticket_id=ticket.id,
        direction="note",
        channel_kind="email",
        author_id=agent.id,
        from_name=str(agent),
        text=remark,
        created_at=now(),
    )
    db.session.add(note)
    _write_note_event(ticket, note, agent)


def sent_on(mails: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Per Message-ID and sender among these, the answer that was sent on in its place, under a Message-ID of ours."""
    wanted = {message_id: sender.lower() for message_id, sender in mails if message_id}
    if not wanted:
        return {}
    found = select(Message.id, Message.references_headers, Message.thread_evidence).where(
        Message.references_headers.overlap(list(wanted)),
        Message.thread_evidence["posted_as"].astext == "reply_to_send",
    )
    return {
        (message_id, sender): row_id
        for row_id, references, evidence in db.session.execute(found)
        for message_id, sender in wanted.items()
        if message_id in references and str(evidence["brought_by"]).lower() == sender
    }


def _customer_addresses(ticket: Ticket) -> frozenset[str]:
    """The addresses of the ticket's customer, and those that its messages came from."""
    identities = select(Identity.address).where(
        Identity.customer_id == ticket.customer_id, Identity.kind == "email"
    )
    senders = (
        select(Message.from_address)
        .where(Message.ticket_id == ticket.id, Message.direction == "in", Message.author_id.is_(None))
        .order_by(Message.created_at.desc())
        .limit(_MOST_CORRESPONDENTS)
    )
    found = [*db.session.scalars(identities), *db.session.scalars(senders)]
    return frozenset(map(_plain, found)) - {""}


def _is_answerable(ticket: Ticket) -> bool:
    return ticket.status not in ("spam", "trash") and accounts.account_for(ticket) is not None


def _plain(address: str) -> str:
    return people.normalise_address(address)


def _send_on(ticket: Ticket, message: Message, agent: User) -> None:
    """The same words as a mail of the branch, to whoever the answer is for."""
    account = accounts.account_for(ticket)
    assert account is not None, "a ticket that nobody speaks for is not answered"
    key: bytes = current_app.config["SETTINGS"].signing_keys[0]
    parent = replies.last_said(ticket.id, but=message.id)
    own_id = message.message_id_header
    message.account_id = account.id
    message.from_address = account.address
    message.from_name = ticket.branch.from_name or ticket.branch.name
    message.to, message.cc, message.reply_to = replies.default_recipients(ticket, parent), [], []
    message.subject = subjects.numbered_subject(message.subject or ticket.subject, ticket.number)
    db.session.flush()
    words = _with_own_pictures(message) or text_to_html(message.text)
    message.html = replies.signed(sanitise_reply(words), ticket, agent)
    message.text = html_to_text(words)
    # The branch quotes by itself what is answered.
    message.quoted_html = message.quoted_text = ""
    message.message_id_header = tokens.message_id_for(key, message.id, account.address.rpartition("@")[2])
    message.in_reply_to_header = parent.message_id_header if parent else ""
    ancestors = [*(replies.thread_of(parent) if parent else []), own_id]
    message.references_headers = [one for one in dict.fromkeys(ancestors) if one]
    message.delivery_state = "queued"
    outbox.owe(message, account)


def _with_own_pictures(message: Message) -> str:
    """The page with the addresses under which its pictures are served here."""
    found = select(Attachment).where(Attachment.message_id == message.id, Attachment.content_id != "")
    pictures = {picture.content_id: picture for picture in db.session.scalars(found)}

    def as_served(match: re.Match[str]) -> str:
        picture = pictures.get(match.group(2))
        if picture is None:
            return match.group(0)
        picture.is_inline = True
        return f"{match.group(1)}/files/{picture.public_key}/picture"

    return _CID.sub(as_served, message.html)


def _write_note_event(ticket: Ticket, note: Message, agent: User) -> None:
    ticket.message_count += 1
    db.session.flush()
    events.record("note_added", ticket=ticket, actor=agent, message_id=note.id)
