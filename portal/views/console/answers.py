"""What a form of the ticket page gets back."""

from datetime import timedelta
from typing import Any

from flask import flash, jsonify, redirect, request, url_for

from portal.errors_pages import wants_partial
from portal.language import gettext
from portal.views.console import words


def kept_for(seconds: int) -> dict[str, Any]:
    """For an action that takes something back: how long it can be found when its toast is gone, and that in words."""
    reader = words.reader()
    until = gettext(
        "Can be taken back until %(time)s.", time=reader.time(reader.at + timedelta(seconds=seconds))
    )
    return {"seconds": seconds, "until": until}


def done(number: int, says: str, *, action: dict[str, Any] | None = None) -> Any:
    """A script is told what was done and, with `action`, what can be done next; a page without one goes back.

    An action is {"label", "url"} to go somewhere, or {"label", "post", "fields"} to take it back; `kept_for` says how
    long that is offered beside the bell.
    """
    if wants_partial():
        return jsonify(says=says, action=action)
    flash(says, "success")
    arguments: dict[str, Any] = request.args.to_dict()
    return redirect(url_for("console.ticket", number=number, **arguments), 303)
