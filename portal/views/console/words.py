"""Times, people and states in the words of the page."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, lru_cache
from typing import cast
from zoneinfo import ZoneInfo

from babel import Locale, dates
from flask import g
from flask_babel.speaklater import LazyString
from flask_login import current_user
from markupsafe import escape

from portal.language import SOURCE, formats, gettext, lazy_gettext, spoken, tell
from portal.models import Agent, User
from portal.models.columns import now
from portal.rules import lifecycle
from portal.rules.policies import CLOCK_LABELS
from portal.services import lifecycle as living


@dataclass(frozen=True)
class Relation:
    """What a ticket is to another: as a heading over the others, and as a sentence that goes on with one."""

    heading: str
    says: str


PRIORITIES = {
    "low": lazy_gettext("Low"),
    "normal": lazy_gettext("Normal"),
    "high": lazy_gettext("High"),
    "urgent": lazy_gettext("Urgent"),
}
TYPES = {
    "question": lazy_gettext("Question"),
    "incident": lazy_gettext("Incident"),
    "bug": lazy_gettext("Bug"),
    "improvement": lazy_gettext("Improvement"),
    "feature_request": lazy_gettext("Feature request"),
}
SEVERITIES = {
    "none": lazy_gettext("Not set"),
    "minor": lazy_gettext("Minor"),
    "major": lazy_gettext("Major"),
    "critical": lazy_gettext("Critical"),
}
CHANNELS = {
    "email": lazy_gettext("E-mail"),
    "web_form": lazy_gettext("Web form"),
    "chat": lazy_gettext("Chat"),
    "sms": lazy_gettext("SMS"),
    "whatsapp": lazy_gettext("WhatsApp"),
    "telegram": lazy_gettext("Telegram"),
    "api": lazy_gettext("API"),
    "phone": lazy_gettext("Phone"),
}
SHORT_CLOCKS = {
    "first_response": lazy_gettext("first"),
    "next_response": lazy_gettext("next"),
    "resolution": lazy_gettext("resolve"),
}
SLA_STATES = {
    "late": lazy_gettext("Late"),
    "at_risk": lazy_gettext("Due within the hour"),
    "in_time": lazy_gettext("In time"),
    "paused": lazy_gettext("Paused"),
    "none": lazy_gettext("Without a clock"),
}
RELATIONS = {
    "related": Relation(lazy_gettext("Related"), lazy_gettext("related to it")),
    "duplicates": Relation(lazy_gettext("Duplicate of"), lazy_gettext("a duplicate of it")),
    "duplicated_by": Relation(lazy_gettext("Duplicates"), lazy_gettext("the original of it")),
    "caused_by": Relation(lazy_gettext("Caused by"), lazy_gettext("caused by it")),
    "causes": Relation(lazy_gettext("Causes"), lazy_gettext("its cause")),
}
NAMELESS = lazy_gettext("Someone without a name")


@lru_cache(maxsize=2000)
def _day(day: date, skeleton: str, locale: Locale) -> str:
    """A day in the skeleton's parts (CLDR), "ccc" its name, "long" the whole. A list says few days again and again."""
    if skeleton in ("ccc", "long"):
        return dates.format_date(day, skeleton, locale=locale)
    return dates.format_skeleton(skeleton, datetime(day.year, day.month, day.day), locale=locale)  # noqa: DTZ001


@dataclass(frozen=True)
class Reader:
    """The person who reads the page: who "you" is, and in which zone their clock stands."""

    user_id: int
    zone: ZoneInfo
    at: datetime

    @cached_property
    def today(self) -> date:
        """The day that it is for them."""
        return self.at.astimezone(self.zone).date()

    def time(self, moment: datetime) -> str:
        """09:12"""
        return f"{moment.astimezone(self.zone):%H:%M}"

    def moment(self, moment: datetime) -> str:
        """Today 09:12, Yesterday 16:40, Mon 08:00 within the week, 12 Nov 09:12, 12 Nov 2025 09:12."""
        local, today = moment.astimezone(self.zone), self.today
        days = (today - local.date()).days
        time = f"{local:%H:%M}"
        if days == 0:
            return gettext("Today %(time)s", time=time)
        if days == 1:
            return gettext("Yesterday %(time)s", time=time)
        if days == -1:
            return gettext("Tomorrow %(time)s", time=time)
        if -7 < days < 7:
            return f"{_day(local.date(), 'ccc', formats())} {time}"
        skeleton = "MMMd" if local.year == today.year else "yMMMd"
        return f"{_day(local.date(), skeleton, formats())} {time}"

    def since(self, moment: datetime) -> str:
        """09:12 today, otherwise as a moment."""
        local = moment.astimezone(self.zone)
        return self.time(moment) if local.date() == self.today else self.moment(moment)

    def at_moment(self, moment: datetime) -> str:
        """The same within a sentence: at 09:12, tomorrow 09:37, Mon 08:00."""
        local = moment.astimezone(self.zone)
        time = f"{local:%H:%M}"
        days = (self.today - local.date()).days
        if days == 0:
            return gettext("at %(time)s", time=time)
        if days == 1:
            return gettext("yesterday %(time)s", time=time)
        return gettext("tomorrow %(time)s", time=time) if days == -1 else self.moment(moment)

    def day(self, day: date) -> str:
        """Fri 5 July 2024: a day that may lie anywhere in time."""
        return dates.format_date(day, gettext("EEE d MMMM y"), locale=formats())

    def exactly(self, moment: datetime) -> str:
        """23 November 2026, 09:12:05 GMT: what a short time shows on hover."""
        local = moment.astimezone(self.zone)
        return f"{_day(local.date(), 'long', formats())}, {local:%H:%M:%S %Z}"

    def name(self, user: User | None, other: str = "Portal") -> str:
        """You, the colleague's name, or `other` for nobody."""
        if user is None:
            return other
        return gettext("You") if user.id == self.user_id else str(user)


def within_name(reader: Reader, user: User | None, nobody: str) -> str:
    """The colleague's name within a line: you, theirs, or `nobody`."""
    if user is not None and user.id == reader.user_id:
        return gettext("you")
    return reader.name(user, nobody)


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
        return gettext("%(seconds)s s", seconds=whole)
    minutes = whole // 60
    if minutes < 60:
        return gettext("%(minutes)s min", minutes=minutes)
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        if minutes and hours < 24:
            return gettext("%(hours)s h %(minutes)s min", hours=hours, minutes=minutes)
        return gettext("%(hours)s h", hours=hours)
    days, hours = divmod(hours, 24)
    if hours and days < 7:
        return gettext("%(days)s d %(hours)s h", days=days, hours=hours)
    return gettext("%(days)s d", days=days)


def countdown(seconds: float) -> str:
    """What is left of a clock, for a chip: 0:14, −0:22, 12 h, 5 d. js/countdown.js goes on in the same words."""
    sign = "−" if seconds < 0 else ""
    hours, minutes = divmod(abs(int(seconds)) // 60, 60)
    if hours >= 96:
        return sign + gettext("%(days)s d", days=hours // 24)
    return sign + (gettext("%(hours)s h", hours=hours) if hours >= 10 else f"{hours}:{minutes:02}")


def field_value(value: object, said: str) -> str:
    """What a field of the desk's own says, `said` in English, in the reader's language: yes, no and days have words."""
    if isinstance(value, bool):
        return gettext("Yes") if value else gettext("No")
    if isinstance(value, str) and value != said and spoken() != SOURCE:
        try:
            return dates.format_date(date.fromisoformat(value), "long", locale=formats())
        except ValueError:
            return said
    return said


def size(count: int) -> str:
    """Bytes as people say them."""
    if count < 1024:
        return f"{count} B"
    if count < 1024 * 1024:
        return f"{count // 1024} KB"
    return f"{count / 1024 / 1024:.1f} MB"


def status(name: str) -> str:
    """A status as people read it."""
    return tell(lifecycle.label(name, living.current()))


def lazy_status(name: str) -> str:
    """The same for tables that are made before anybody asks."""
    return cast(str, _Typed(status, name))


class _Typed(LazyString):
    """Words that people have typed: other than those of our catalogues, a page has to escape them."""

    def __html__(self) -> str:
        return str(escape(str(self)))


def told(reason: str) -> str:
    """A sentence of the rules of clocks, with the desk's own words for statuses."""
    return tell(lifecycle.relabelled(reason, living.current()))


def clock(kind: str) -> str:
    """What a clock measures."""
    return gettext(CLOCK_LABELS[kind]) if kind in CLOCK_LABELS else gettext("A clock")


def either(parts: Iterable[str]) -> str:
    """Any of the parts: New or Open."""
    return gettext(" or ").join(str(part) for part in parts)


def within(words: str) -> str:
    """Words of a list within a sentence: small in English, as they are where nouns are written large."""
    return words.lower() if spoken() == SOURCE else words


def continued(sentence: str) -> str:
    """A sentence as a part of a longer one: without its full stop, and beginning small in English."""
    bare = sentence.rstrip(".")
    return f"{bare[:1].lower()}{bare[1:]}" if spoken() == SOURCE else bare


def initials(name: str) -> str:
    """At most two letters that stand for a name."""
    words = [word for word in name.replace("@", " ").split() if word[:1].isalnum()]
    letters = (words[:1] + words[-1:]) if len(words) > 1 else words[:1]
    return "".join(word[0] for word in letters).upper() or "?"


def person(name: str, address: str = "") -> str:
    """The name of a customer, else the address, else words that say so."""
    return name.strip() or address or str(NAMELESS)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError):
        return ZoneInfo("UTC")
