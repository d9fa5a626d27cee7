"""Who is told what happens to a ticket without owning it. Where they lose sight of it, they hear nothing more."""

from collections.abc import Collection, Iterable

from flask_appbuilder.security.sqla.models import User

from portal.errors import UserFault
from portal.models import Ticket
from portal.services import events, notifications
from portal.services.transaction import transaction

MOST_FOLLOWERS = 50


def follow(ticket: Ticket, actor: User) -> None:
    """Tell this person from now on what happens to the ticket. Commits; asked twice, nothing changes.

    Raises UserFault where too many follow it already.
    """
    with transaction(ticket):
        if actor.id in ticket.follower_ids:
            return
        if len(ticket.follower_ids) >= MOST_FOLLOWERS:
            raise UserFault(
                "%(most)s people follow this ticket already, and more cannot.",
                most=MOST_FOLLOWERS,
            )
        keep(ticket, [actor.id])
        events.record("ticket_followed", ticket=ticket, actor=actor)


def unfollow(ticket: Ticket, actor: User) -> None:
    """Tell this person no more. Commits; for somebody who does not follow it, nothing changes."""
    with transaction(ticket):
        if actor.id not in ticket.follower_ids:
            return
        ticket.follower_ids = [user_id for user_id in ticket.follower_ids if user_id != actor.id]
        events.record("ticket_unfollowed", ticket=ticket, actor=actor)


def keep(ticket: Ticket, user_ids: Iterable[int | None]) -> None:
    """Let these people follow the ticket as well, inside the caller's transaction; the event is the caller's."""
    more = [user_id for user_id in user_ids if user_id is not None]
    # A new list: a column does not see what is done to the one it holds.
    ticket.follower_ids = list(dict.fromkeys([*ticket.follower_ids, *more]))[:MOST_FOLLOWERS]


def take_along(ticket: Ticket, into: Ticket) -> None:
    """Those who followed a merged ticket follow the one it went into. Does not commit."""
    # They stay with the merged one too, for the day on which the merge is taken back.
    keep(into, ticket.follower_ids)


def bring_back(into: Ticket, user_ids: Collection[int]) -> None:
    """Those who came to follow this ticket with one that was merged into it follow it no more. Does not commit."""
    into.follower_ids = [user_id for user_id in into.follower_ids if user_id not in user_ids]


def tell(ticket: Ticket, text: str, *, fact_key: str, but: Iterable[int | None] = ()) -> None:
    """Tell the ticket's followers a fact, except those who did it or hear of it otherwise. Does not commit."""
    told = notifications.people(*ticket.follower_ids) - notifications.people(*but)
    notifications.notify_all(told, "followed", text, fact_key=fact_key, ticket=ticket)
