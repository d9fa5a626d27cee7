"""Hints that something has changed, as they happen; the page then asks through its usual doors."""

import random
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from flask import Response, request

from portal import access
from portal import live as channel
from portal.extensions import db
from portal.live import Sign
from portal.views.console import presence
from portal.views.console.blueprint import ID, blueprint, person

# Whoever loses a branch or their account is cut off at once. A stream ends by itself besides, where that word was lost;
# not all at once, where all have begun at once.
LONGEST_SECONDS = 15 * 60
SHORTEST_SECONDS = 12 * 60
RETRY_MILLISECONDS = 2000
HINTS = frozenset({"ticket_changed", "presence", "notified", "reach_changed"})
SIGNS = {
    Sign.HERE: f"retry: {RETRY_MILLISECONDS}\nevent: hello\ndata: {{}}\n\n",
    Sign.AWAY: "event: away\ndata: {}\n\n",
    Sign.BEAT: "event: beat\ndata: {}\n\n",
}


@blueprint.get("/live")
def live() -> Response:
    """Server-sent events for this person: changes of tickets, presence and notifications within reach."""
    user = person()
    heard = _heard(user.id, access.branch_ids(user))
    # A thousand open pages must not hold a thousand connections.
    db.session.remove()
    answer = Response(heard, mimetype="text/event-stream")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


@blueprint.post(f"/tickets/<{ID}:number>/presence")
def note_presence(number: int) -> tuple[str, int]:
    """The person looks at the ticket (`state=viewing`), writes in it (`typing`), or has left it (`left`)."""
    found = access.access_ticket_by_number(person(), number)
    state = request.form.get("state", "viewing")
    presence.note(found, person(), is_typing=state == "typing", is_leaving=state == "left")
    return "", 204


def _heard(user_id: int, branch_ids: frozenset[int] | None) -> Iterator[str]:
    ends_at = time.monotonic() + random.uniform(SHORTEST_SECONDS, LONGEST_SECONDS)  # noqa: S311 - no secret
    for heard in channel.listen(partial(is_for, user_id=user_id, branch_ids=branch_ids)):
        is_over = not isinstance(heard, Sign) and heard.facts["kind"] == "reach_changed"
        if is_over or time.monotonic() > ends_at:
            return
        yield SIGNS[heard] if isinstance(heard, Sign) else f"data: {heard.text}\n\n"


def is_for(hint: dict[str, Any], user_id: int, branch_ids: frozenset[int] | None) -> bool:
    """Whether that person may hear of it: their own notifications, and tickets of branches within reach."""
    if hint.get("kind") not in HINTS:
        return False
    if hint["kind"] in ("notified", "reach_changed"):
        return bool(hint.get("user_id") == user_id)
    if hint["kind"] == "presence" and hint.get("user_id") == user_id:
        return False
    return branch_ids is None or hint.get("branch_id") in branch_ids
