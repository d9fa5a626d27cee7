"""Times, people and states in the words of the page."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from flask import g
from flask_login import current_user

from portal.models import Agent, User
from portal.models.columns import now


@dataclass(frozen=True)
class Relation:
    """What a ticket is to another: as a heading over the others, and as a sentence that goes on with one."""

    heading: str
    says: str


PRIORITIES = {"low": "Low", "normal": "Normal", "high": "High", "urgent": "Urgent"}
TYPES = {
    "question": "Question",
    "incident": "Incident",
    "bug": "Bug",
    "improvement": "Improvement",
    "feature_request": "Feature request",
}
SEVERITIES = {"none": "Not set", "minor": "Minor", "major": "Major", "critical": "Critical"}
CHANNELS = {
    "email": "E-mail",
    "web_form": "Web form",
    "chat": "Chat",
    "sms": "SMS",
    "whatsapp": "WhatsApp",
    "telegram": "Telegram",
    "api": "API",
    "phone": "Phone",
}
SHORT_CLOCKS = {"first_response": "first", "next_response": "next", "resolution": "resolve"}
SLA_STATES = {
    "late": "Late",
    "at_risk": "Due within the hour",
    "in_time": "In time",
    "paused": "Paused",
    "none": "Without a clock",
}
RELATIONS = {
    "related": Relation("Related", "related to it"),
    "duplicates": Relation("Duplicate of", "a duplicate of it"),
    "duplicated_by": Relation("Duplicates", "the original of it"),
    "caused_by": Relation("Caused by", "caused by it"),
    "causes": Relation("Causes", "its cause"),
}
NAMELESS = "Someone without a name"


@dataclass(frozen=True)
class Reader:
    """The person who reads the page: who "you" is, and in which zone their clock stands."""

    user_id: int
    zone: ZoneInfo
    at: datetime

    def time(self, moment: datetime) -> str:
        """09:12"""
        return f"{moment.astimezone(self.zone):%H:%M}"

    def moment(self, moment: datetime) -> str:
        """Today 09:12, Yesterday 16:40, Mon 08:00 within the week, 12 Nov 09:12, 12 Nov 2025 09:12."""
        local, today = moment.astimezone(self.zone), self.at.astimezone(self.zone)
        days = (today.date() - local.date()).days
        if days == 0:
            day = "Today"
        elif days in (1, -1):
            day = "Yesterday" if days == 1 else "Tomorrow"
        elif -7 < days < 7:
            day = f"{local:%a}"
        else:
            day = f"{local.day} {local:%b}" + (f" {local.year}" if local.year != today.year else "")
        return f"{day} {local:%H:%M}"

    def day(self, day: date) -> str:
        """Fri 5 July 2024: a day that may lie anywhere in time."""
        return f"{day:%a} {day.day} {day:%B %Y}"

    def exactly(self, moment: datetime) -> str:
        """23 November 2026, 09:12:05 GMT: what a short time shows on hover."""
        local = moment.astimezone(self.zone)
        return f"{local.day} {local:%B %Y, %H:%M:%S %Z}"

    def name(self, user: User | None, other: str = "Portal") -> str:
        """You, the colleague's name, or `other` for nobody."""
        if user is None:
            return other
        return "You" if user.id == self.user_id else str(user)


def reader() -> Reader:
    """The person of this request. One query, once."""
    if "console_reader" not in g:
        profile: Agent | None = getattr(current_user, "agent", None)
        g.console_reader = Reader(current_user.id, _zone(profile.time_zone if profile else "UTC"), now())
    return g.console_reader


def span(seconds: float) -> str:
    """A length of time in at most two units: 42 s, 14 min, 7 h 14 min, 2 d 3 h."""
    whole = abs(int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes and hours < 24 else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours and days < 7 else f"{days} d"


def countdown(seconds: float) -> str:
    """What is left of a clock, for a chip: 0:14, −0:22, 12 h, 5 d. js/countdown.js goes on in the same words."""
    sign = "−" if seconds < 0 else ""
    hours, minutes = divmod(abs(int(seconds)) // 60, 60)
    if hours >= 96:
        return f"{sign}{hours // 24} d"
    return f"{sign}{hours} h" if hours >= 10 else f"{sign}{hours}:{minutes:02}"


def size(count: int) -> str:
    """Bytes as people say them."""
    if count < 1024:
        return f"{count} B"
    if count < 1024 * 1024:
        return f"{count // 1024} KB"
    return f"{count / 1024 / 1024:.1f} MB"


def initials(name: str) -> str:
    """At most two letters that stand for a name."""
    words = [word for word in name.replace("@", " ").split() if word[:1].isalnum()]
    letters = (words[:1] + words[-1:]) if len(words) > 1 else words[:1]
    return "".join(word[0] for word in letters).upper() or "?"


def person(name: str, address: str = "") -> str:
    """The name of a customer, else the address, else words that say so."""
    return name.strip() or address or NAMELESS


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError):
        return ZoneInfo("UTC")
