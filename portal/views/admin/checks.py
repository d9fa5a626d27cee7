"""What values of the configuration must satisfy, for forms and REST alike. Each raises UserFault with a sentence."""

import re
from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from portal.errors import UserFault
from portal.rules import conditions
from portal.rules.calendars import parse_calendar
from portal.rules.lifecycle import LONGEST_WAIT_DAYS, STATUSES
from portal.services import templates

ADDRESS = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+\.?[^@\s<>,;\"]*")
CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
USERNAME = re.compile(r"[\w.@+-]{1,128}")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def time_zone(value: Any) -> None:
    """A name of the time zone database."""
    try:
        ZoneInfo(str(value))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UserFault(
            "There is no time zone “%(value)s”. Write it like Europe/Berlin.",
            value=value,
        ) from error


def code(value: Any) -> None:
    """A short name for addresses and exports."""
    if not CODE.fullmatch(str(value or "")):
        raise UserFault("Use letters, digits, - and _ only, beginning with a letter or digit.")


def username(value: Any) -> None:
    """A name to sign in with."""
    if not USERNAME.fullmatch(str(value or "")):
        raise UserFault("Use letters, digits and . _ - @ only, at most 128 of them.")


def language(value: Any) -> None:
    """A language tag, or none."""
    if value and not LANGUAGE.fullmatch(str(value)):
        raise UserFault("Write the language like en, de or pt-BR.")


def address(value: Any) -> None:
    """One e-mail address."""
    if not ADDRESS.fullmatch(str(value or "")):
        raise UserFault(
            "“%(value)s” is not an e-mail address.",
            value=value,
        )


def addresses(value: Any) -> None:
    """A list of e-mail addresses."""
    for item in _texts(value):
        address(item)


def windows(value: Any) -> None:
    """Working hours of a week."""
    _calendar({"windows": value, "days": []})


def holidays(value: Any) -> None:
    """Days off, or days with other hours."""
    _calendar({"windows": [{"weekday": 0, "start": "09:00", "end": "17:00"}], "days": value})


def condition(value: Any) -> None:
    """When a routing rule holds."""
    try:
        conditions.parse_condition(value)
    except ValueError as error:
        raise UserFault(error.args[0]) from error


def statuses(value: Any) -> None:
    """A list of ticket statuses."""
    for item in _texts(value):
        if item not in STATUSES:
            raise UserFault(
                "“%(item)s” is no status. The statuses are %(listed)s.",
                item=item,
                listed=", ".join(STATUSES),
            )


def words(listed: Sequence[str]) -> Callable[[Any], None]:
    """A check for a list of some of these."""

    def check(value: Any) -> None:
        for item in _texts(value):
            if item not in listed:
                raise UserFault(
                    "“%(item)s” is none of these: %(listed)s.", item=item, listed=", ".join(listed)
                )

    return check


def percents(value: Any) -> None:
    """A list of whole percentages."""
    if not isinstance(value, list) or not all(type(item) is int for item in value):
        raise UserFault("Write a list of whole numbers, like [50, 80].")


def tags(value: Any) -> None:
    """A list of short names."""
    for item in _texts(value):
        if not item.strip() or len(item) > 64:
            raise UserFault("A tag has between 1 and 64 signs.")


def template_body(value: Any) -> None:
    """HTML with known placeholders."""
    templates.check_body(str(value or ""))


def template_actions(value: Any) -> None:
    """What sending a template does besides: {"status", "priority", "tags", "escalate"}."""
    from portal.models.branch import PRIORITIES

    if not isinstance(value, dict):
        raise UserFault('Write an object like {"status": "pending", "tags": ["refund"]}, or {} for nothing.')
    known: dict[str, Any] = {
        "status": lambda item: item in STATUSES,
        "priority": lambda item: item in PRIORITIES,
        "tags": lambda item: isinstance(item, list) and all(isinstance(tag, str) for tag in item),
        "escalate": lambda item: isinstance(item, bool),
    }
    for name, item in value.items():
        if name not in known:
            raise UserFault(
                "“%(name)s” is no action. The actions are %(listed)s.",
                name=name,
                listed=", ".join(known),
            )
        if not known[name](item):
            raise UserFault(
                "“%(item)s” does not fit the action “%(name)s”.",
                item=item,
                name=name,
            )


def percent(value: Any) -> None:
    """A share of a target at which a tier takes tickets; 0 is never, 100 when the target is reached."""
    if not 0 <= int(value or 0) <= 100:
        raise UserFault("Enter a percentage from 0 (never) to 100 (when it is due).")


def minutes_to_acknowledge(value: Any) -> None:
    """How long an escalation may wait: up to a week."""
    if value is None or not 1 <= int(value) <= 7 * 24 * 60:
        raise UserFault("Enter how many minutes, from 1 to 10080 (a week).")


def days_to_close(value: Any) -> None:
    """After how many days a resolved ticket closes; none is as the desk says, 0 is never."""
    if value is not None and not 0 <= int(value) <= LONGEST_WAIT_DAYS:
        raise UserFault("Enter a number of days between 0 and %(most)s.", most=LONGEST_WAIT_DAYS)


def port(value: Any) -> None:
    """A TCP port."""
    if not 1 <= int(value or 0) <= 65535:
        raise UserFault("A port is a number from 1 to 65535.")


def level(value: Any) -> None:
    """The level of a tier."""
    if value is not None and not 1 <= int(value) <= 9:
        raise UserFault("A level is a number from 1 (answers first) to 9.")


def _calendar(value: dict[str, Any]) -> None:
    try:
        parse_calendar(value, "UTC")
    except (ValueError, TypeError, KeyError) as error:
        raise UserFault(error.args[0]) from error


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UserFault("Write a list of texts.")
    return value
