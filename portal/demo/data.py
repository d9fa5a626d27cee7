"""The demo's desk: three branches with their people, rules and templates, and tickets at every stage.

Everything passes through the services that a real desk uses, as of the moment at which it is said to have happened,
so that events, clocks and figures are what they would be.
"""

import json
import os
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask
from flask_appbuilder.security.sqla.models import User
from sqlalchemy import case, func, or_, select, update
from werkzeug.security import generate_password_hash

from portal.channels.base import IncomingBytes
from portal.demo import ACCOUNTS_FILE
from portal.demo.stories import CUSTOMERS, EARLIER, STORIES, TEMPLATES, Story
from portal.extensions import db
from portal.models import (
    Agent,
    Branch,
    BranchMembership,
    Calendar,
    CalendarVersion,
    ChannelAccount,
    Clock,
    Delivery,
    Escalation,
    EscalationTier,
    InboxItem,
    Message,
    OutboxItem,
    ReplyTemplate,
    Role,
    RoutingRule,
    SlaPolicy,
    Ticket,
)
from portal.models.columns import as_of, now
from portal.rules.public_holidays import holidays_of, years_around
from portal.services import (
    assignment,
    escalation,
    events,
    intake,
    replies,
    sla,
    sweep,
    templates,
    tickets,
    unacknowledged,
)

DOMAIN = "demo.test"
OFFICE = [{"weekday": day, "start": "08:00", "end": "18:00"} for day in range(5)]
OFFICE_AND_SATURDAY = [*OFFICE, {"weekday": 5, "start": "09:00", "end": "13:00"}]
SPLIT = [
    window
    for day in range(5)
    for window in (
        {"weekday": day, "start": "09:00", "end": "12:30"},
        {"weekday": day, "start": "13:30", "end": "18:00"},
    )
]
ALWAYS = [{"weekday": day, "start": "00:00", "end": "24:00"} for day in range(7)]
CHRISTMAS = [{"date": "2026-12-25", "name": "Christmas Day"}, {"date": "2027-01-01", "name": "New Year"}]
SWEEP_LAG = timedelta(seconds=9)


@dataclass(frozen=True)
class Place:
    """A branch as the demo describes it."""

    code: str
    name: str
    time_zone: str
    calendar: str
    language: str


PLACES = (
    Place("north", "North · Leeds", "Europe/London", "Shop hours with Saturday", "en"),
    Place("south", "South · Munich", "Europe/Berlin", "Office with lunch break", "de"),
    Place("west", "West · New York", "America/New_York", "Around the clock", "en"),
)
# User name, role, first and last name, places as {branch: level}; those of ACCOUNTS get passwords that are told.
PEOPLE: tuple[tuple[str, str, str, str, dict[str, int]], ...] = (
    ("admin", "Admin", "Ada", "Okoro", {}),
    ("lead", "Lead", "Laura", "Fielding", {"north": 2, "west": 2}),
    ("agent", "Agent", "Maya", "Kessler", {"north": 1}),
    ("agent2", "Agent", "Ana", "Sousa", {"north": 1}),
    ("tom", "Agent", "Tom", "Barrow", {"north": 2}),
    ("bruno", "Agent", "Bruno", "Adler", {"south": 1}),
    ("vera", "Agent", "Vera", "Lindt", {"south": 2}),
    ("hank", "Agent", "Hank", "Morris", {"west": 1}),
    ("joy", "Agent", "Joy", "Park", {"west": 2}),
)
ACCOUNTS = ("admin", "lead", "agent", "agent2")


def load_demo(app: Flask) -> bool:
    """Load the demo into an empty installation; False, and nothing changed, where there is a branch already."""
    var_dir: Path = app.config["SETTINGS"].var_dir
    if db.session.scalar(select(Branch.id).limit(1)) is not None:
        return False
    events.ensure_partitions(now() - timedelta(days=40))
    with as_of(now() - timedelta(days=30)):
        branches = _load_places()
        _load_people(branches, var_dir)
        _load_rules()
        _load_templates()
    _tell_stories()
    _settle_mail()
    return True


def _load_places() -> dict[str, Branch]:
    windows = {
        "Shop hours with Saturday": OFFICE_AND_SATURDAY,
        "Office with lunch break": SPLIT,
        "Around the clock": ALWAYS,
    }
    branches = {}
    for place in PLACES:
        calendar = Calendar(name=place.calendar, versions=_versions(place, windows[place.calendar]))
        policy = SlaPolicy(
            name=f"{place.name.partition(' ')[0]} standard",
            first_response_minutes=120,
            next_response_minutes=240,
            resolution_minutes=2 * 24 * 60,
            resolution_paused_in=["pending", "on_hold"],
            warning_percents=[50, 80],
        )
        db.session.add_all([calendar, policy])
        db.session.flush()
        branch = Branch(
            code=place.code,
            name=place.name,
            time_zone=place.time_zone,
            language=place.language,
            calendar_id=calendar.id,
            policy_id=policy.id,
            from_name=f"{place.name.partition(' ')[0]} support",
            signature_html=f"<p>{place.name} · support@{place.code}.{DOMAIN}</p>",
        )
        db.session.add(branch)
        db.session.flush()
        db.session.add_all(
            [
                EscalationTier(branch_id=branch.id, level=1, name=f"Tier 1 · {place.name.split(' · ')[1]}"),
                EscalationTier(
                    branch_id=branch.id,
                    level=2,
                    name=f"Tier 2 · {place.name.split(' · ')[1]}",
                    acknowledge_within_minutes=20,
                    on_unacknowledged="next_on_call",
                ),
                ChannelAccount(
                    name=f"{place.name} mail", address=f"support@{place.code}.{DOMAIN}", branch_id=branch.id
                ),
            ]
        )
        branches[place.code] = branch
    branches["south"].fall_back_branch_id = branches["west"].fall_back_branch_id = branches["north"].id
    db.session.commit()
    return branches


def _versions(place: Place, windows: list[dict[str, Any]]) -> list[CalendarVersion]:
    """What the calendar says; Munich has Bavaria's holidays, and works on Saturdays from the next month but one on."""
    said = {"time_zone": place.time_zone, "windows": windows, "counted_at": now()}
    if place.code != "south":
        return [CalendarVersion(**said, days=CHRISTMAS)]
    today = now().date()
    said |= {
        "country": "DE",
        "subdivision": "BY",
        "public_holidays": holidays_of("DE", "BY", years_around(today)),
        "days": [
            {
                "date": f"{today.year}-12-24",
                "name": "Heiligabend",
                "windows": [{"start": "09:00", "end": "12:00"}],
            }
        ],
    }
    coming = CalendarVersion(
        **said | {"windows": [*windows, {"weekday": 5, "start": "10:00", "end": "14:00"}]},
        valid_from=(today.replace(day=1) + timedelta(days=95)).replace(day=1),
        note="Open on Saturdays as well",
    )
    return [CalendarVersion(**said), coming]


def _load_people(branches: dict[str, Branch], var_dir: Path) -> None:
    roles = {role.name: role for role in db.session.scalars(select(Role))}
    told = {}
    for username, role, first_name, last_name, places in PEOPLE:
        password = secrets.token_urlsafe(9)
        if username in ACCOUNTS:
            told[username] = {"username": username, "password": password}
        user = User(
            username=username,
            first_name=first_name,
            last_name=last_name,
            email=f"{username}@{DOMAIN}",
            active=True,
            # The others are colleagues to see and mention, not to log in as.
            password=generate_password_hash(password) if username in ACCOUNTS else "!",
        )
        user.roles = [roles[role]]
        db.session.add(user)
        db.session.flush()
        db.session.add(Agent(user_id=user.id, time_zone="Europe/London"))
        for order, (code, level) in enumerate(places.items()):
            db.session.add(
                BranchMembership(
                    user_id=user.id,
                    branch_id=branches[code].id,
                    tier_level=level,
                    is_lead=role == "Lead",
                    on_call_order=order + 1 if level > 1 else None,
                )
            )
    db.session.commit()
    _write_accounts(var_dir / ACCOUNTS_FILE, told)


def _write_accounts(path: Path, accounts: dict[str, dict[str, str]]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(accounts, file, indent=2)
    path.chmod(0o600)


def _load_rules() -> None:
    urgent = SlaPolicy(
        name="Urgent everywhere",
        position=10,
        priority="urgent",
        first_response_minutes=30,
        next_response_minutes=60,
        resolution_minutes=8 * 60,
        warning_percents=[50, 80],
    )
    db.session.add_all(
        [
            urgent,
            RoutingRule(
                name="Urgent in the subject",
                position=10,
                conditions={"field": "subject", "operator": "contains", "value": "urgent"},
                priority="urgent",
                tags=["urgent"],
                is_last=False,
            ),
            RoutingRule(
                name="Delivery words",
                position=20,
                conditions={
                    "any": [
                        {"field": "subject", "operator": "contains", "value": word}
                        for word in ("parcel", "delivery", "bestellung", "pallet")
                    ]
                },
                tags=["delivery"],
                is_last=False,
            ),
            RoutingRule(
                name="Refund words",
                position=30,
                conditions={
                    "any": [
                        {"field": "subject", "operator": "contains", "value": word}
                        for word in ("refund", "charged", "invoice", "rechnung")
                    ]
                },
                tags=["billing"],
                is_last=False,
            ),
        ]
    )
    db.session.commit()


def _load_templates() -> None:
    for told in TEMPLATES:
        db.session.add(
            ReplyTemplate(
                name=told.name,
                category=told.category,
                language=told.language,
                shortcut=told.shortcut,
                body_html=told.body,
                body_text=templates.plain_body(told.body),
                actions=dict(told.actions),
            )
        )
    db.session.commit()


@dataclass
class Course:
    """One story on its way: its ticket once there is one, and who works on it."""

    story: Story
    customer: str
    number: int
    ticket: Ticket | None = None


def _tell_stories() -> None:
    """Every step of every story in the order of its time, with the sweep looking in between as it would have."""
    chance = random.Random(20261123)  # noqa: S311 - the same demo every time
    numbers = count(1)
    steps: list[tuple[datetime, int, Callable[[datetime], None]]] = []
    for story in STORIES:
        names = list(CUSTOMERS[story.branch])
        chance.shuffle(names)
        for index, (begun, name) in enumerate(zip(story.times, names, strict=False)):
            course = Course(story, name, next(numbers))
            at = _in_the_day(now() - timedelta(hours=begun), story.branch, course.number)
            steps.append((at, course.number, _opening(course)))
            for minutes, what, words in story.steps or (EARLIER if index else ()):
                at += timedelta(minutes=max(1, int(minutes * chance.uniform(0.7, 1.4))))
                if at < now():
                    steps.append((at, course.number, _step(course, what, words)))
    for at, _, do in sorted(steps, key=lambda step: step[:2]):
        _fire_until(at)
        with as_of(at):
            do(at)
    _fire_until(now())


def _in_the_day(at: datetime, code: str, number: int) -> datetime:
    """Older questions come while the shop is open; those of the last hours stay where the clocks are wanted."""
    if now() - at < timedelta(hours=12):
        return at
    zone = ZoneInfo(next(place.time_zone for place in PLACES if place.code == code))
    local = at.astimezone(zone).replace(hour=9 + number % 6, minute=number * 7 % 60)
    while local.weekday() > 4:
        local -= timedelta(days=1)
    return local.astimezone(UTC)


def _fire_until(until: datetime) -> None:
    """Fire what was due when the desk's sweep would have: a few seconds after it came due."""
    is_unfired = (Clock.state == "running") & or_(
        Clock.warn_at < until,
        Clock.breached_at.is_(None) & (Clock.due_at < until),
    )
    moment = func.least(Clock.warn_at, case((Clock.breached_at.is_(None), Clock.due_at)))
    of_clocks = select(func.min(moment)).where(is_unfired)
    of_steps = select(func.min(Escalation.acknowledge_by)).where(
        Escalation.acknowledged_at.is_(None), Escalation.ended_at.is_(None), Escalation.acknowledge_by < until
    )
    soonest = select(func.least(of_clocks.scalar_subquery(), of_steps.scalar_subquery()))
    while (due := db.session.scalar(soonest)) is not None:
        with as_of(due + SWEEP_LAG):
            sweep.sweep()
            unacknowledged.fire_due()


def _opening(course: Course) -> Callable[[datetime], None]:
    def open_it(at: datetime) -> None:
        course.ticket = _write(course, at, course.story.subject, course.story.body, None)

    return open_it


def _step(course: Course, what: str, words: str) -> Callable[[datetime], None]:
    def do(at: datetime) -> None:
        ticket = course.ticket
        assert ticket is not None, "a story begins with its opening"
        person = _worker(ticket)
        kind, _, detail = what.partition(":")
        if kind == "customer":
            _write(course, at, f"Re: {ticket.subject} [#{ticket.number}]", words, ticket)
        elif kind == "reply":
            _view(ticket, person)
            replies.send_reply(ticket, person, words)
        elif kind == "template":
            _view(ticket, person)
            _answer_with(ticket, person, detail)
        elif kind == "note":
            replies.add_note(ticket, person, words)
        elif kind == "pick_up":
            _view(ticket, person)
            assignment.pick_up(ticket, person)
        elif kind == "escalate":
            if ticket.tier_level == 1:
                escalation.escalate(ticket, person, words)
        elif kind == "status":
            tickets.set_status(ticket, detail, person)
        else:
            _act_on_escalation(ticket, kind, words)

    return do


def _view(ticket: Ticket, person: User) -> None:
    tickets.mark_viewed(ticket, person)


def _answer_with(ticket: Ticket, person: User, name: str) -> None:
    template = db.session.scalars(select(ReplyTemplate).where(ReplyTemplate.name == name)).one()
    templates.record_offered(ticket, templates.suggestions(ticket, person), person)
    templates.record_inserted(ticket, template, person, was_offered=True)
    filled = templates.filled_body(template, ticket, person)
    replies.send_reply(ticket, person, filled.html, template_id=template.id)


def _act_on_escalation(ticket: Ticket, kind: str, words: str) -> None:
    for open_one in escalation.open_escalations(ticket.id)[:1]:
        upper = _worker(ticket)
        if kind == "acknowledge":
            escalation.acknowledge(open_one, upper)
        else:
            escalation.hand_back(open_one, upper, words)


def _worker(ticket: Ticket) -> User:
    """Who works on it: whoever has it, else a member of its level."""
    if ticket.assignee is not None:
        return ticket.assignee
    found = (
        select(User)
        .join(BranchMembership, BranchMembership.user_id == User.id)
        .where(BranchMembership.branch_id == ticket.branch_id)
        .order_by(BranchMembership.tier_level != ticket.tier_level, User.id + ticket.id % 2)
    )
    # The two of a level take turns.
    people = [user for user in db.session.scalars(found) if user.username != "lead"]
    return people[
        ticket.id % 2 if len(people) > 1 and ticket.tier_level == 1 and ticket.branch.code == "north" else 0
    ]


def _write(course: Course, at: datetime, subject: str, body: str, ticket: Ticket | None) -> Ticket:
    """The customer's mail, taken in as the listener would."""
    address = f"{course.customer.split()[0].lower()}.{course.number}@customer.test".encode(
        "ascii", "ignore"
    ).decode()
    to = f"support@{course.story.branch}.{DOMAIN}"
    mail = EmailMessage()
    mail["From"] = f"{course.customer} <{address}>"
    mail["To"] = to
    mail["Subject"] = subject
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<demo-{course.number}-{at.timestamp():.0f}@customer.test>"
    if ticket is not None:
        last = _last_of_ours(ticket)
        mail["In-Reply-To"] = f"<{last}>"
        mail["References"] = f"<{last}>"
    mail.set_content(body)
    item_id = intake.accept(
        IncomingBytes(
            source_key=f"demo:{course.number}:{at.timestamp():.0f}",
            channel_kind="email",
            account_id=None,
            envelope_from=address,
            envelope_to=(to,),
            received_at=at,
            raw=mail.as_bytes(),
        )
    )
    intake.process(item_id)
    item = db.session.get(InboxItem, item_id, populate_existing=True)
    assert item is not None
    assert item.ticket_id is not None, f"a demo mail became no ticket: {item.reason}"
    found = db.session.get(Ticket, item.ticket_id)
    assert found is not None
    return found


def _last_of_ours(ticket: Ticket) -> str:
    found = select(Message.message_id_header).where(
        Message.ticket_id == ticket.id, Message.direction != "note"
    )
    return db.session.scalars(found.order_by(Message.direction.desc(), Message.id.desc()).limit(1)).one()


def _settle_mail() -> None:
    """What was sent in the past has been delivered in the past."""
    sent: dict[str, Any] = {"state": "sent", "sent_at": OutboxItem.created_at}
    db.session.execute(update(OutboxItem).values(**sent))
    db.session.execute(
        update(Delivery).values(state="sent", code=250, reply="OK", sent_at=Delivery.created_at)
    )
    db.session.execute(
        update(Message)
        .where(Message.direction == "out")
        .values(delivery_state="sent", sent_at=Message.created_at)
    )
    db.session.commit()
    for ticket in db.session.scalars(select(Ticket)):
        sla.recompute(ticket)
