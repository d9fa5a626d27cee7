"""The rail of the shell: the rooms of the house that the person may enter."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app, request, url_for
from flask_login import current_user
from werkzeug.routing import BuildError

from portal import access

PRODUCT_NAME = "Portal"
SEARCH_ENDPOINT = "console.queue"


@dataclass(frozen=True)
class Item:
    """An entry of the rail. `badge` is a number beside it, 0 for none."""

    url: str
    icon: str
    label: str
    is_current: bool
    badge: int = 0


@dataclass(frozen=True)
class Room:
    """A part of the house: where it is, and who may enter."""

    endpoint: str
    path: str
    icon: str
    label: str
    is_open_to: Callable[[frozenset[str]], bool]


ROOMS = (
    Room("console.queue", "/queue", "inbox", "Tickets", bool),
    Room(
        "leads.dashboard",
        "/leads/",
        "chart",
        "Figures",
        lambda roles: bool(roles & {access.LEAD, access.ADMIN, access.AUDITOR}),
    ),
    Room(
        "TemplateView.list",
        "/admin/templates/list/",
        "template",
        "Templates",
        lambda roles: roles == {access.AGENT},
    ),
    Room(
        "AdminIndex.index",
        "/admin/",
        "settings",
        "Administration",
        lambda roles: bool(roles & {access.LEAD, access.ADMIN, access.AUDITOR}),
    ),
)


def install_navigation(app: Flask) -> None:
    """Give every template `navigation`, `search_url`, `product_name` and `admin_groups()`."""
    app.context_processor(_context)


def navigation() -> list[Item]:
    """The entries for the person of this request, in order; none before signing in."""
    roles = access.role_names(current_user)
    rooms = [room for room in ROOMS if room.is_open_to(roles) and _url(room.endpoint)]
    current = max(
        (room for room in rooms if _is_within(room.path)), key=lambda room: len(room.path), default=None
    )
    return [
        Item(_url(room.endpoint) or room.path, room.icon, room.label, is_current=room is current)
        for room in rooms
    ]


def _context() -> dict[str, Any]:
    from portal.views.admin.index import admin_groups

    return {
        "navigation": navigation() if current_user and current_user.is_authenticated else [],
        "search_url": _url(SEARCH_ENDPOINT) or "/",
        "product_name": current_app.config.get("APP_NAME", PRODUCT_NAME),
        "admin_groups": admin_groups,
    }


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
