"""What a form of the ticket page gets back."""

from typing import Any

from flask import flash, jsonify, redirect, request, url_for

from portal.errors_pages import wants_partial


def done(number: int, says: str, *, action: dict[str, Any] | None = None) -> Any:
    """A script is told what was done and, with `action`, what can be done next; a page without one goes back.

    An action is {"label", "url"} to go somewhere, or {"label", "post", "fields"} to take it back.
    """
    if wants_partial():
        return jsonify(says=says, action=action)
    flash(says, "success")
    arguments: dict[str, Any] = request.args.to_dict()
    return redirect(url_for("console.ticket", number=number, **arguments), 303)
