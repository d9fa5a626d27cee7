"""Every failure answered in words: as a page, as the partial that asked, or as JSON."""

from urllib.parse import urlsplit

import structlog
from flask import (
    Flask,
    Response,
    current_app,
    flash,
    g,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError, OperationalError
from werkzeug.exceptions import HTTPException

from portal.errors import Permanent, Retryable, UserFault
from portal.extensions import db
from portal.language import gettext, lazy_gettext, says

TITLES = {
    400: lazy_gettext("That request could not be read"),
    403: lazy_gettext("Not for your role"),
    404: lazy_gettext("Not found"),
    405: lazy_gettext("Not possible this way"),
    409: lazy_gettext("Something changed meanwhile"),
    413: lazy_gettext("Too large"),
    422: lazy_gettext("That cannot be done"),
    429: lazy_gettext("Too many tries"),
    500: lazy_gettext("Something broke on our side"),
    503: lazy_gettext("Portal is catching its breath"),
}
MESSAGES = {
    403: lazy_gettext("Your role does not open this page. An admin can give you another one."),
    404: lazy_gettext("There is nothing at this address, or it lies outside your branches."),
    405: lazy_gettext(
        "This address does not take that kind of request. Go back and use the button on the page."
    ),
    413: lazy_gettext(
        "What you sent is larger than this installation takes. Nothing was stored; try a smaller file."
    ),
    429: lazy_gettext("Too many tries in a short time. Wait a minute, then try again."),
    500: lazy_gettext("The error is recorded. What you had saved is safe; reload the page and try again."),
    503: lazy_gettext(
        "The database does not answer at the moment. Nothing you saved is lost; try again in a few seconds."
    ),
}

log = structlog.get_logger()


def install_error_pages(app: Flask) -> None:
    """Register a handler for every kind of failure a request can end in."""
    app.register_error_handler(UserFault, lambda fault: _answer(fault.status_code, says(fault)))
    app.register_error_handler(CSRFError, _answer_expired_form)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(Retryable, lambda error: _answer(503, says(error)))
    app.register_error_handler(Permanent, lambda error: _answer(422, says(error)))
    app.register_error_handler(OperationalError, _answer_database_away)
    app.register_error_handler(RedisError, _answer_redis_away)
    app.register_error_handler(Exception, _answer_unexpected)


def wants_json() -> bool:
    """Whether the caller is a program: an API path, or a request that prefers JSON to HTML."""
    if request.path.startswith("/api/"):
        return True
    accepted = request.accept_mimetypes
    return accepted["application/json"] > accepted["text/html"]


def wants_partial() -> bool:
    """Whether a script of ours asked for a piece of a page."""
    return request.headers.get("X-Partial") == "1"


def _answer(status_code: int, message: str) -> Response:
    title = str(TITLES.get(status_code, gettext("That did not work")))
    message = str(message)
    if wants_json():
        body: Response = jsonify(error=title, message=message)
    elif wants_partial():
        body = make_response(render_template("errors/partial.html", title=title, message=message))
    else:
        body = make_response(
            render_template("errors/error.html", status_code=status_code, title=title, message=message)
        )
    body.status_code = status_code
    return body


def _answer_http(error: HTTPException) -> Response | HTTPException:
    code = error.code or 500
    if code < 400:
        return error
    response = _answer(code, MESSAGES.get(code) or error.description or "")
    retry_after = getattr(error, "retry_after", None)
    if code == 429 and retry_after:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _answer_expired_form(_error: CSRFError) -> Response:
    """A form without a valid token: its session ended, or it is no form of ours."""
    message = gettext(
        "Your session has ended or this form is too old. Nothing was changed; reload the page and send it again."
    )
    if request.path.startswith("/login"):
        flash(gettext("That page had been open for a long time. Please sign in again."), "info")
        return make_response(redirect(url_for("AuthDBView.login")))
    if wants_partial() and not current_user.is_authenticated:
        return _answer_signed_out()
    return _answer(400, message)


def _answer_signed_out() -> Response:
    """To a script of ours whose page is still open: what stands there is kept, and where to sign in and come back."""
    page = urlsplit(request.referrer or "")
    body = make_response(
        render_template(
            "errors/partial.html",
            title=gettext("Your session has ended"),
            message=gettext("What you wrote is kept in this browser."),
            sign_in_url=url_for("AuthDBView.login", next=f"{page.path}?{page.query}" if page.path else None),
        )
    )
    body.status_code = 401
    return body


def _answer_database_away(error: OperationalError) -> Response:
    db.session.rollback()
    log.error("database_away", path=request.path, error=type(error.orig).__name__)
    # The page's frame would ask the database who this is, and fail like the page itself.
    g._login_user = current_app.login_manager.anonymous_user()  # type: ignore[attr-defined]  # noqa: SLF001
    response = _answer(503, MESSAGES[503])
    response.headers["Retry-After"] = "5"
    return response


def _answer_redis_away(error: RedisError) -> Response:
    log.error("redis_away", path=request.path, error=type(error).__name__)
    return _answer(
        503,
        gettext(
            "Live services are away for a moment. Nothing you saved is lost; try again in a few seconds."
        ),
    )


def _answer_unexpected(error: Exception) -> Response:
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return _answer_database_away(OperationalError(None, None, error.orig or error))
    db.session.rollback()
    log.error("request_failed", path=request.path, endpoint=request.endpoint, exc_info=error)
    return _answer(500, MESSAGES[500])
