"""The demo: loaded once through the real services, and a postbox that is a plain mail program."""

import email
import email.policy
import json
import stat
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.security import check_password_hash

from portal.demo import ACCOUNTS_FILE, letters
from portal.demo.data import load_demo
from portal.demo.sink import write_mail
from portal.errors import UserFault
from portal.extensions import db
from portal.models import (
    Branch,
    CalendarVersion,
    Clock,
    Escalation,
    Event,
    OutboxItem,
    ReplyTemplate,
    Ticket,
    User,
)
from portal.models.columns import now
from portal.rules import templating


@pytest.fixture
def loaded(app: Flask, database: None) -> dict:
    assert load_demo(app) is True
    path = app.config["SETTINGS"].var_dir / ACCOUNTS_FILE
    return json.loads(path.read_text())


def test_it_is_loaded_once(app: Flask, loaded: dict) -> None:
    before = db.session.scalar(select(func.count()).select_from(Event))
    assert load_demo(app) is False
    assert db.session.scalar(select(func.count()).select_from(Event)) == before


def test_the_accounts_are_told_to_their_owner_alone_and_open_the_door(app: Flask, loaded: dict) -> None:
    path = app.config["SETTINGS"].var_dir / ACCOUNTS_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert set(loaded) == {"admin", "lead", "agent", "agent2"}
    for account in loaded.values():
        user = db.session.query(User).filter_by(username=account["username"]).one()
        assert check_password_hash(user.password, account["password"])
    tom = db.session.query(User).filter_by(username="tom").one()
    assert not check_password_hash(tom.password, "!")


def test_it_shows_every_stage(loaded: dict) -> None:
    zones = set(db.session.scalars(select(Branch.time_zone)))
    assert len(zones) == 3
    statuses = set(db.session.scalars(select(Ticket.status)))
    assert {"new", "open", "pending", "on_hold", "resolved"} <= statuses
    states = set(db.session.scalars(select(Clock.state)))
    assert {"running", "paused", "met", "breached"} <= states
    assert db.session.query(Escalation).count() > 2
    assert db.session.query(OutboxItem).filter(OutboxItem.state != "sent").count() == 0


def test_its_calendars_show_what_hours_can_be(loaded: dict) -> None:
    south = db.session.query(Branch).filter_by(code="south").one()
    held, coming = south.calendar.versions
    assert [window["end"] for window in held.windows if window["weekday"] == 0] == ["12:30", "18:00"]
    assert (held.country, held.subdivision) == ("DE", "BY")
    assert {"Fronleichnam", "Allerheiligen"} <= {each["name"] for each in held.public_holidays}
    assert coming.valid_from > now().date()
    assert db.session.query(CalendarVersion).filter(CalendarVersion.counted_at.is_(None)).count() == 0


def test_its_templates_hold_only_known_placeholders(loaded: dict) -> None:
    for template in db.session.scalars(select(ReplyTemplate)):
        assert templating.check(template.body_html) == [], template.name


def test_the_sink_keeps_every_byte(tmp_path: Path) -> None:
    raw = b"Subject: \xff\xfe odd\r\n\r\nbody\0 with a NUL\r\n"
    path = write_mail(tmp_path, raw, "a@b.test", ["c@d.test"])
    assert path.read_bytes() == raw
    assert json.loads(path.with_suffix(".json").read_text())["to"] == ["c@d.test"]


def sent_mail(tmp_path: Path) -> letters.Letter:
    raw = (
        b"From: North support <support@north.demo.test>\r\nTo: Zoe <zoe@customer.test>\r\n"
        b"Reply-To: support+t-abc@north.demo.test\r\nSubject: Re: Parcel [#10482]\r\n"
        b"Message-ID: <m.1.x@north.demo.test>\r\nReferences: <first@customer.test>\r\n"
        b"Date: Mon, 23 Nov 2026 09:00:00 +0000\r\n\r\nIt is on its way.\r\n"
    )
    path = write_mail(tmp_path, raw, "a@b.test", ["zoe@customer.test"])
    letter = letters.read(tmp_path, path.stem)
    assert letter is not None
    return letter


def test_an_answer_carries_the_thread_and_the_quoted_text(tmp_path: Path) -> None:
    letter = sent_mail(tmp_path)
    written = letters.write(
        from_name="Zoe",
        from_address="zoe@customer.test",
        to=letter.answer_to,
        subject="Re: Parcel",
        text="Thanks!",
        answered=letter,
    )
    mail = email.message_from_bytes(written.raw, policy=email.policy.default)
    assert written.to == "support+t-abc@north.demo.test"
    assert mail["In-Reply-To"] == "<m.1.x@north.demo.test>"
    assert mail["References"] == "<first@customer.test> <m.1.x@north.demo.test>"
    assert "> It is on its way." in mail.get_content()


@pytest.mark.parametrize("field", ["from_name", "subject"])
def test_a_header_cannot_be_smuggled_in(field: str) -> None:
    fields = {"from_name": "Zoe", "subject": "Hi", field: "x\r\nBcc: victim@elsewhere.test"}
    with pytest.raises(UserFault, match="line breaks"):
        letters.write(from_address="zoe@customer.test", to="support@north.demo.test", text="Hello", **fields)


@pytest.mark.parametrize("name", ["../secret", "0" * 20 + "-zzzzzzzz", ""])
def test_only_mails_can_be_read(tmp_path: Path, name: str) -> None:
    assert letters.read(tmp_path, name) is None
