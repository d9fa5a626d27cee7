"""The rail of the shell: the rooms of the house that the person may enter."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flask import Flask, current_app, request, url_for
from flask_login import current_user
from werkzeug.routing import BuildError

from portal import access
from portal.language import lazy_gettext
from portal.services import undelivered

PRODUCT_NAME = "Portal"
SEARCH_ENDPOINT = "console.queue"


@dataclass(frozen=True)
class Item:
    """An entry of the rail. What its number means is in its words, for those who cannot see where it stands."""

    url: str
    icon: str
    label: str
    is_current: bool
    room: "Room"

    @cached_property
    def badge(self) -> str:
        """The number beside it, counted when a page asks: pieces of pages have no rail. Empty for none."""
        count = self.room.count() if self.room.count else 0
        return "" if not count else str(count) if count < undelivered.MOST_COUNTED else f"{count - 1}+"

    @property
    def title(self) -> str:
        """Its name, and what the number counts."""
        return f"{self.label}: {self.badge} {self.room.counted}" if self.badge else self.label


@dataclass(frozen=True)
class Room:
    """A part of the house: where it is, and who may enter."""

    endpoint: str
    path: str
    icon: str
    label: str
    is_open_to: Callable[[frozenset[str]], bool]
    count: Callable[[], int] | None = None
    counted: str = ""


def _count_undelivered() -> int:
    return undelivered.count_of_news(access.led_branch_ids(current_user))


ROOMS = (
    Room("console.queue", "/queue", "inbox", lazy_gettext("Tickets"), bool),
    Room(
        "leads.dashboard",
        "/leads/",
        "chart",
        lazy_gettext("Figures"),
        lambda roles: bool(roles & {access.LEAD, access.ADMIN, access.AUDITOR}),
    ),
    Room(
        "leads.undelivered_list",
        "/leads/undelivered",
        "mail",
        lazy_gettext("Undelivered"),
        lambda roles: bool(roles & {access.LEAD, access.ADMIN, access.AUDITOR}),
        _count_undelivered,
        lazy_gettext("given up or come back in the last 7 days"),
    ),
    Room(
        "TemplateView.list",
        "/admin/templates/list/",
        "template",
        lazy_gettext("Templates"),
        lambda roles: roles == {access.AGENT},
    ),
    Room(
        "AdminIndex.index",
        "/admin/",
        "settings",
        lazy_gettext("Administration"),
        lambda roles: bool(roles & {access.LEAD, access.ADMIN, access.AUDITOR}),
    ),
)


# Where two keys lead from any page, by the view of the queue.
GOES = {
    "g m": "mine",
    "g u": "unassigned",
    "g b": "branch",
    "g r": "at_risk",
    "g l": "breached",
    "g e": "escalated",
    "g f": "following",
    "g w": "waiting",
    "g s": "snoozed",
    "g o": "open",
    "g c": "closed",
}


def goes() -> list[tuple[str, str, str]]:
    """Keys, label and address of the views that can be gone to from anywhere."""
    from portal.views.console.filters import VIEWS

    return [
        (keys, VIEWS[name].label, url_for(SEARCH_ENDPOINT, view=name))
        for keys, name in GOES.items()
        if name in VIEWS
    ]


def install_navigation(app: Flask) -> None:
    """Give every template `navigation`, `search_url`, `product_name`, `admin_groups()` and `look()`."""
    app.context_processor(_context)


def navigation() -> list[Item]:
    """The entries for the person of this request, in order; none before signing in."""
    roles = access.role_names(current_user)
    rooms = [room for room in ROOMS if room.is_open_to(roles) and _url(room.endpoint)]
    current = max(
        (room for room in rooms if _is_within(room.path)), key=lambda room: len(room.path), default=None
    )
    return [
        Item(_url(room.endpoint) or room.path, room.icon, room.label, room is current, room) for room in rooms
    ]


def _context() -> dict[str, Any]:
    from portal.views.admin.index import admin_groups

    return {
        "navigation": navigation() if current_user and current_user.is_authenticated else [],
        "search_url": _url(SEARCH_ENDPOINT) or "/",
        "product_name": current_app.config.get("APP_NAME", PRODUCT_NAME),
        "admin_groups": admin_groups,
        "look": look,
        "goes": goes,
    }


@dataclass(frozen=True)
class Look:
    """How pages look for the person of this request."""

    theme: str = "system"
    density: str = "comfortable"


def look() -> Look:
    """What the person has chosen; before signing in, what the system has."""
    profile = getattr(current_user, "agent", None) if current_user and current_user.is_authenticated else None
    return Look(profile.theme, profile.density) if profile is not None else Look()


def _url(endpoint: str) -> str | None:
    try:
        return url_for(endpoint)
    except BuildError:
        return None


def _is_within(path: str) -> bool:
    # A ticket's page belongs to the room of the tickets, as does everything that no other room claims.
    if path == "/queue":
        return not request.path.startswith(("/admin/", "/leads/"))
    return request.path.startswith(path)
