"""The blueprint that the desk's pages register with; nobody enters without signing in."""

from typing import Any

from flask import Blueprint, current_app, g, request
from flask_login import current_user

from portal.models import User

blueprint = Blueprint("console", __name__)
# Longer numbers are no ids: the address then does not exist, and the database is not asked.
ID = "int(max=9223372036854775807)"
SMALL_ID = "int(max=2147483647)"


@blueprint.before_request
def ask_to_sign_in() -> Any:
    if current_user.is_authenticated:
        return None
    if request.accept_mimetypes.best == "text/event-stream":
        # A stream of hints cannot sign in; its page says so when it asks for something.
        return "", 401
    return current_app.login_manager.unauthorized()  # type: ignore[attr-defined]


def person() -> User:
    """The person of this request: the row itself, for services that keep it."""
    user: User = g.user._get_current_object()  # noqa: SLF001 - the proxy ends with the request
    return user
