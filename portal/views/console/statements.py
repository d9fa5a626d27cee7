"""Statements that pages ask again and again, made once for each filter and reach."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

from portal import access
from portal.models import User

MOST_KEPT = 2000

_Made = TypeVar("_Made")
_kept: OrderedDict[Hashable, Any] = OrderedDict()
_lock = Lock()


def kept(name: tuple[Hashable, ...], user: User, make: Callable[[], _Made]) -> _Made:
    """What `make` gives, made once for that name and whatever the person may see at present.

    For what depends on nothing else: neither on the time nor on rows.
    """
    places = frozenset((branch_id, place.tier_level) for branch_id, place in access.memberships(user).items())
    key = (name, user.id, access.role_names(user), places)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            found: _Made = _kept[key]
            return found
    made = make()
    with _lock:
        _kept[key] = made
        if len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
    return made
