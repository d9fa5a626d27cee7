"""Who someone is: signing in, slowed-down guessing, sessions that can be ended, keys and tokens for programs.

Flask-AppBuilder decides by `current_user` and `g.user`, Portal's `access` by `current_user` alone. Here they are
made the same person however the request came in: by cookie, by API key or by token.
"""

import time
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, flash, g, redirect, request, session, url_for
from flask_appbuilder import expose
from flask_appbuilder.api.manager import OpenApi
from flask_appbuilder.security.api import SecurityApi as FabSecurityApi
from flask_appbuilder.security.decorators import has_access, no_cache
from flask_appbuilder.security.forms import DynamicForm, LoginForm_db
from flask_appbuilder.security.sqla.manager import SecurityManager
from flask_appbuilder.security.sqla.models import User
from flask_appbuilder.security.views import AuthDBView as FabAuthDBView
from flask_appbuilder.security.views import ResetMyPasswordView as FabResetMyPasswordView
from flask_jwt_extended import get_current_user, verify_jwt_in_request
from flask_jwt_extended.exceptions import JWTExtendedException
from flask_limiter import Limiter
from flask_login import LoginManager, current_user, login_user
from jwt import PyJWTError
from sqlalchemy import select
from sqlalchemy.orm import contains_eager, joinedload
from werkzeug.security import generate_password_hash
from werkzeug.wrappers import Response as AnyResponse
from wtforms import PasswordField
from wtforms.validators import DataRequired, EqualTo, Length

from portal import live
from portal.errors_pages import wants_json, wants_partial
from portal.extensions import csrf, db, limiter
from portal.language import gettext, lazy_gettext, ngettext
from portal.models import Agent
from portal.models.columns import now
from portal.services import api_keys, audit, events, lifecycle
from portal.services.transaction import transaction
from portal.views.admin import lockout
from portal.wording import N_

LOGIN_LIMIT = "30 per minute; 300 per hour"
SHORTEST_PASSWORD = 10
PAGES_OF_FAB = ("/admin/", "/resetmypassword/")
SIGNED_IN_AT = "signed_in_at"
WRONG = N_("That name and password do not belong together. Check both and try again.")


class PasswordForm(DynamicForm):
    """A new password, twice."""

    password = PasswordField(
        lazy_gettext("New password"),
        description=lazy_gettext(
            "At least %(shortest)s characters; several words are easier to remember than signs.",
            shortest=SHORTEST_PASSWORD,
        ),
        validators=[
            DataRequired(N_("Enter the new password.")),
            Length(
                min=SHORTEST_PASSWORD,
                max=200,
                message=lazy_gettext(
                    "A password has at least %(shortest)s characters.", shortest=SHORTEST_PASSWORD
                ),
            ),
        ],
        render_kw={"class": "form-control", "autocomplete": "new-password"},
    )
    conf_password = PasswordField(
        lazy_gettext("The same again"),
        validators=[EqualTo("password", message=N_("The two passwords are not the same."))],
        render_kw={"class": "form-control", "autocomplete": "new-password"},
    )


class AuthDBView(FabAuthDBView):
    """The sign-in page. Its name is FAB's, because other places link to the endpoint."""

    title = lazy_gettext("Sign in")

    @expose("/login/", methods=["GET", "POST"])
    @no_cache
    def login(self) -> Any:
        if current_user.is_authenticated:
            return redirect(safe_next())
        form = LoginForm_db()
        status_code = 200
        if form.validate_on_submit():
            user = self.appbuilder.sm.auth_user_db(form.username.data, form.password.data)
            if user is not None:
                _begin_session(user)
                return redirect(safe_next())
            status_code = 429 if g.get("seconds_to_wait") else 401
            flash(_refusal(), "danger")
        page = self.render_template(
            self.login_template, title=self.title, form=form, appbuilder=self.appbuilder
        )
        response = current_app.make_response((page, status_code))
        if g.get("seconds_to_wait"):
            response.headers["Retry-After"] = str(g.seconds_to_wait)
        return response

    @expose("/logout/", methods=["GET", "POST"])
    def logout(self) -> Any:
        super().logout()
        session.clear()
        return redirect(url_for(f"{self.endpoint}.login"))


class ResetMyPasswordView(FabResetMyPasswordView):
    """A person's own password; their other sessions end with the old one."""

    form = PasswordForm
    form_title = lazy_gettext("Change your password")
    message = lazy_gettext("Your password is changed. Everywhere else you have been signed out.")

    @expose("/form", methods=["POST"])
    @has_access
    def this_form_post(self) -> Any:
        return super().this_form_post()

    def form_post(self, form: DynamicForm) -> Any:
        reset_password(db.session.get(User, current_user.id), form.password.data, current_user)
        session[SIGNED_IN_AT] = time.time()
        flash(str(self.message), "success")
        return redirect("/")


class SecurityApi(FabSecurityApi):
    """Tokens for programs that sign in by name and password."""

    @expose("/login", methods=["POST"])
    def login(self) -> Response:
        response = super().login()
        if g.get("seconds_to_wait"):
            response = self.response(429, message=_refusal())
            response.headers["Retry-After"] = str(g.seconds_to_wait)
        return response

    login.__doc__ = FabSecurityApi.login.__doc__


class PortalSecurityManager(SecurityManager):
    """FAB's security with Portal's rules. Roles come from code (`roles.FAB_ROLES`); nothing is public."""

    userstatschartview = None
    authdbview = AuthDBView
    resetmypasswordview = ResetMyPasswordView
    security_api = SecurityApi

    def create_limiter(self, app: Flask) -> Limiter:  # noqa: ARG002
        return limiter

    def create_login_manager(self, app: Flask) -> LoginManager:
        manager = super().create_login_manager(app)
        manager.login_view = "AuthDBView.login"
        manager.unauthorized_handler(_ask_to_sign_in)
        return manager

    def register_views(self) -> None:
        from portal.views.admin.people import PeopleView

        limited = [self.appbuilder.add_api(self.security_api)]
        self.auth_view = self.appbuilder.add_view_no_menu(self.authdbview())
        limited.append(self.auth_view)
        for view in limited:
            limiter.limit(LOGIN_LIMIT, methods=["POST"], exempt_when=_is_unlimited)(view.blueprint)
        self.appbuilder.add_view_no_menu(self.resetmypasswordview())
        self.appbuilder.add_api(OpenApi)
        self.userdbmodelview = PeopleView
        self.user_view = self.appbuilder.add_view_no_menu(PeopleView)

    def before_request(self) -> AnyResponse | None:
        """Make `current_user` and `g.user` the person of this request."""
        if request.path.startswith("/api/"):
            _know_program()
        g.user = current_user
        # FAB would say "Access is Denied" to everyone who has simply not signed in yet.
        if request.path.startswith(PAGES_OF_FAB) and not current_user.is_authenticated:
            return _ask_to_sign_in()
        return None

    def load_user(self, pk: Any) -> User | None:
        """The person of a session, unless their sessions ended after it began. One query with roles and profile."""
        user, valid_from = _person(pk)
        if user is None or (valid_from and session.get(SIGNED_IN_AT, 0) < valid_from.timestamp()):
            return None
        return user

    def load_user_jwt(self, _jwt_header: Any, jwt_data: dict[str, Any]) -> User | None:
        user, valid_from = _person(jwt_data["sub"])
        if user is None or (valid_from and jwt_data.get("iat", 0) < int(valid_from.timestamp())):
            return None
        return user

    def auth_user_db(self, username: str, password: str) -> User | None:
        """The person, or None; then `g.seconds_to_wait` tells whether the name has to wait."""
        g.seconds_to_wait = lockout.seconds_to_wait(username or "")
        if g.seconds_to_wait:
            return None
        user = super().auth_user_db(username, password)
        if user is not None:
            lockout.forget(username)
        return user

    def update_user_auth_stat(self, user: User, success: bool = True) -> None:
        user.login_count = user.login_count or 0
        user.fail_login_count = user.fail_login_count or 0
        with transaction():
            if success:
                user.login_count += 1
                user.fail_login_count = 0
                user.last_login = now().replace(tzinfo=None)
                events.record("user_logged_in", actor=user, data={"way": _way()})
            else:
                user.fail_login_count += 1

    def reset_password(self, userid: Any, password: str) -> None:
        reset_password(db.session.get(User, int(userid)), password, current_user)

    def has_access(self, permission_name: str, view_name: str) -> bool:
        if not current_user.is_authenticated:
            return False
        return any(
            self._has_access_builtin_roles(role, permission_name, view_name) for role in current_user.roles
        )

    def get_user_roles(self, user: User) -> list[Any]:
        return list(user.roles) if user.is_authenticated else []

    def is_item_public(self, permission_name: str, view_name: str) -> bool:  # noqa: ARG002
        return False

    def get_public_role(self) -> None:
        return None


def reset_password(user: User, password: str, actor: User) -> None:
    """Give the person a new password and end every session and token of theirs. Commits."""
    with transaction():
        set_password(user, password)
        audit.record_change(user, "password_reset", actor)


def set_password(user: User, password: str) -> None:
    """Set the password, hashed, and the moment from which sessions count. Does not commit."""
    user.password = generate_password_hash(password)
    profile = db.session.get(Agent, user.id)
    if profile is None:
        profile = Agent(user_id=user.id)
        db.session.add(profile)
    profile.sessions_valid_from = now()
    live.reach_changed(user.id)


def safe_next() -> str:
    """Where to go after signing in: the page that was asked for, if it is one of ours, else the queue."""
    wanted = request.args.get("next", "")
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return "/"
    # The host is left out, whichever was named: FAB sends whole addresses of ours.
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    is_ours = target.startswith("/") and not target.startswith("//") and "\\" not in target
    if not is_ours or not target.isprintable() or target.startswith(("/login", "/logout")):
        return "/"
    return target


def _begin_session(user: User) -> None:
    # A session that was planted before signing in is worth nothing afterwards.
    session.clear()
    session.permanent = True
    login_user(user, remember=False)
    session[SIGNED_IN_AT] = time.time()


def _refusal() -> str:
    seconds = g.get("seconds_to_wait")
    if not seconds:
        return gettext(WRONG)
    if seconds < 60:
        return ngettext(
            "Too many tries for this name. Wait %(num)s second, then try again.",
            "Too many tries for this name. Wait %(num)s seconds, then try again.",
            seconds,
        )
    return ngettext(
        "Too many tries for this name. Wait %(num)s minute, then try again.",
        "Too many tries for this name. Wait %(num)s minutes, then try again.",
        -(-seconds // 60),
    )


def _person(pk: Any) -> tuple[User | None, Any]:
    found = (
        select(User, Agent.sessions_valid_from, lifecycle.as_json())
        .outerjoin(Agent, Agent.user_id == User.id)
        .options(joinedload(User.roles), contains_eager(User.agent))
        .where(User.id == int(pk))
        # The scope of a request is that of this very person: asking for it here would ask for ever.
        .execution_options(is_unscoped=True)
    )
    row = db.session.execute(found).unique().one_or_none()
    if row is None or not row[0].is_active:
        return None, None
    lifecycle.keep(row[2])
    return row[0], row[1]


def _know_program() -> None:
    """Let a key or token decide who this is; a cookie must bring its form token along when it changes something."""
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        user = _user_of_bearer(credential.strip())
        if user is None:
            abort(401, "The key or token in the Authorization header is not valid, or no longer.")
        # Beside a key, a cookie counts for nothing: one request is one person.
        g._login_user = user  # noqa: SLF001
        return
    is_change = request.method not in ("GET", "HEAD", "OPTIONS", "TRACE")
    if is_change and current_user.is_authenticated and current_app.config["WTF_CSRF_ENABLED"]:
        csrf.protect()


def _user_of_bearer(credential: str) -> User | None:
    if credential.startswith(api_keys.PREFIX):
        return api_keys.user_of_key(credential)
    try:
        verify_jwt_in_request(refresh=request.path.endswith("/security/refresh"))
    except (JWTExtendedException, PyJWTError):
        return None
    return get_current_user()


def _ask_to_sign_in() -> AnyResponse:
    if wants_json() or wants_partial():
        abort(401, "Sign in first: your session has ended.")
    return redirect(url_for("AuthDBView.login", next=request.full_path.rstrip("?")))


def _way() -> str:
    return "api" if request.path.startswith("/api/") else "page"


def _is_unlimited() -> bool:
    return not current_app.config["RATELIMIT_ENABLED"]
