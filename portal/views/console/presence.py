"""Who has a ticket open right now, and who is writing: kept in Redis, forgotten by itself, never needed."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import redis
import structlog

from portal import live
from portal.models import Ticket, User
from portal.redis_handle import redis_handle
from portal.views.console import words

# js/console/presence.js tells of itself every 20 seconds while its page is looked at.
KEPT_SECONDS = 50

log = structlog.get_logger()


@dataclass(frozen=True)
class Present:
    """A person who has a ticket open."""

    user_id: int
    name: str
    initials: str
    is_typing: bool


def note(ticket: Ticket, user: User, *, is_typing: bool, is_leaving: bool = False) -> None:
    """Remember, and tell open pages, that the person looks at the ticket, writes in it, or has left it."""
    name = str(user)
    here = Present(user.id, name, words.initials(name), is_typing)
    try:
        if is_leaving:
            redis_handle.client.hdel(_key(ticket.id), str(user.id))
        else:
            pipe = redis_handle.client.pipeline(transaction=False)
            pipe.hset(_key(ticket.id), str(user.id), json.dumps({**asdict(here), "at": time.time()}))
            pipe.expire(_key(ticket.id), KEPT_SECONDS)
            pipe.execute()
    except redis.RedisError as error:
        log.warning("redis_away", what="presence", error=type(error).__name__)
        return
    live.publish(
        "presence",
        ticket_id=ticket.id,
        number=ticket.number,
        branch_id=ticket.branch_id,
        user_id=user.id,
        name=name,
        is_typing=is_typing,
        is_here=not is_leaving,
    )


def of_tickets(ticket_ids: Iterable[int]) -> dict[int, tuple[Present, ...]]:
    """Who is in each of these tickets; nobody where Redis is away."""
    ids = list(ticket_ids)
    if not ids:
        return {}
    try:
        pipe = redis_handle.client.pipeline(transaction=False)
        for ticket_id in ids:
            pipe.hvals(_key(ticket_id))
        answers = pipe.execute()
    except redis.RedisError as error:
        log.warning("redis_away", what="presence", error=type(error).__name__)
        return {}
    return {
        ticket_id: present
        for ticket_id, values in zip(ids, answers, strict=True)
        if (present := _still_there(values))
    }


def _still_there(values: Iterable[bytes]) -> tuple[Present, ...]:
    oldest = time.time() - KEPT_SECONDS
    people = [json.loads(value) for value in values]
    return tuple(
        Present(person["user_id"], person["name"], person["initials"], person["is_typing"])
        for person in sorted(people, key=lambda person: person["name"])
        if person["at"] >= oldest
    )


def _key(ticket_id: int) -> str:
    return f"portal:presence:{ticket_id}"
