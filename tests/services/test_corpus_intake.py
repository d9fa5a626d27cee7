"""Every sample mail goes through the real listener into the inbox and on to a ticket, and none is lost."""

import json
import smtplib
from collections import Counter
from pathlib import Path

from flask import Flask
from sqlalchemy import select

from portal.channels.email.listener import ListenerSettings, start
from portal.extensions import db
from portal.models import InboxItem, Message
from portal.services import accounts, intake
from tests.factory import Factory
from tests.shared import shared_path

ADDRESS = "support@corpus.test"


def test_every_sample_mail_arrives(app: Flask, real_commits: None) -> None:
    mails = sample_mails(shared_path("mail"))
    Factory().account(address=ADDRESS)

    def resolve(recipient: str) -> bool:
        with app.app_context():
            return accounts.is_ours(recipient)

    def accept(incoming: object) -> None:
        with app.app_context():
            intake.accept(incoming)

    listener = start(ListenerSettings(host="127.0.0.1", port=0, hostname="portal.test"), resolve, accept)
    try:
        hand_over(mails, listener.port)
    finally:
        listener.stop()

    ids = db.session.scalars(select(InboxItem.id).order_by(InboxItem.id)).all()
    assert len(ids) == len(mails)
    db.session.commit()
    assert intake.process_waiting() == len(mails)
    items = db.session.execute(select(InboxItem.state, InboxItem.reason, InboxItem.ticket_id)).all()
    states = Counter(state for state, _, _ in items)
    print(f"{len(mails)} sample mails: {dict(states)}")
    assert states["accepted"] == 0, [reason for state, reason, _ in items if state == "accepted"]
    # Whatever became no message of its own says why.
    assert all(reason for state, reason, _ in items if state == "quarantined")
    assert all(ticket_id or reason for _, reason, ticket_id in items)
    twins = sum(1 for _, reason, _ in items if "already" in reason)
    messages = db.session.query(Message).filter(Message.inbox_item_id.is_not(None)).count()
    assert messages + twins + states["quarantined"] == len(mails)
    assert states["quarantined"] <= len(mails) // 50


def sample_mails(root: Path) -> list[bytes]:
    """The raw mails that the sets' expectations name."""
    found = set()
    for listing in sorted(root.glob("*/expected.json")):
        for case in json.loads(listing.read_text()):
            if case["kind"] in ("parse", "flags", "robust") or case.get("input") in ("eml", "eml_text"):
                found.add(listing.parent / case["file"])
    return [path.read_bytes() for path in sorted(found)]


def hand_over(mails: list[bytes], port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as connection:
        for mail in mails:
            connection.sendmail("customer@sample.test", [ADDRESS], mail)
