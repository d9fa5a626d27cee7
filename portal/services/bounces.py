"""Mail that came back: which delivery it is about, and what that brings."""

from collections.abc import Sequence

from sqlalchemy import Select, func, select

from portal.channels.email.parsing import ParsedMail
from portal.extensions import db
from portal.models import Delivery, InboxItem, Message, Ticket
from portal.rules import tokens
from portal.services import events, notifications, suppression
from portal.services.replies import snippet_of
from portal.wording import sentence


def delivery_of(item: InboxItem, mail: ParsedMail, keys: Sequence[bytes]) -> tuple[Delivery, int] | None:
    """By our signed return path, else by our Message-ID in the returned part; with the ticket that it is of."""
    found = select(Delivery, Message.ticket_id).join(Message, Message.id == Delivery.message_id)
    for recipient in item.envelope_to:
        delivery_id = tokens.read_return_path(keys, recipient)
        if delivery_id is not None:
            return _first_delivery(found.where(Delivery.id == delivery_id))
    returned = mail.returned_message_id
    message_id = tokens.read_message_id(keys, returned) if returned else None
    if message_id is None:
        return None
    failed = [recipient.lower() for recipient in mail.failed_recipients]
    # The recipient that the bounce names first, else whoever got the mail first.
    is_named = func.lower(Delivery.recipient).in_(failed)
    return _first_delivery(
        found.where(Delivery.message_id == message_id).order_by(is_named.desc(), Delivery.id)
    )


def note_bounce(delivery: Delivery, mail: ParsedMail, ticket: Ticket, message: Message) -> None:
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
            sentence(
                "Your answer in #%(number)s did not reach %(recipient)s",
                number=ticket.number,
                recipient=delivery.recipient,
            ),
            ticket=ticket,
            fact_key=f"bounced-{delivery.id}",
        )


def _first_delivery(found: Select[Delivery, int]) -> tuple[Delivery, int] | None:
    row = db.session.execute(found.limit(1)).first()
    return (row[0], row[1]) if row else None
