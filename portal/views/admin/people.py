"""The people who log in: account, profile and places in branches on one page; roles; keys for their programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import flash, redirect, url_for
from flask_appbuilder import expose
from flask_appbuilder.actions import action
from flask_appbuilder.security.sqla.models import ApiKey, Role, User
from flask_login import current_user, login_required
from markupsafe import Markup
from sqlalchemy import select
from wtforms import Field, Form
from wtforms.validators import Length, Optional

from portal.access import ADMIN, branch_ids
from portal.errors import UserFault
from portal.extensions import db
from portal.language import gettext, lazy_gettext, tell
from portal.models import Agent, Branch, BranchMembership
from portal.models.agent import AVAILABILITIES
from portal.services import api_keys, audit, tiers
from portal.views.admin import checks, roles
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.fields import (
    EditorField,
    NumberField,
    SecretField,
    TextField,
    TimeZoneField,
    WordField,
    checked,
)
from portal.views.admin.rows import Rows
from portal.views.admin.security import SHORTEST_PASSWORD, set_password
from portal.wording import N_

PROFILE = ("time_zone", "language", "availability", "capacity", "signature_html")
ACCOUNT = ["first_name", "last_name", "username", "email", "roles", "active"]
PASSWORD_LENGTH = Length(
    min=SHORTEST_PASSWORD,
    max=200,
    message=lazy_gettext("A password has at least %(shortest)s characters.", shortest=SHORTEST_PASSWORD),
)


@dataclass(frozen=True)
class Place:
    """A person's place in a branch as the form holds it."""

    tier_level: int = 1
    is_lead: bool = False

    def __str__(self) -> str:
        return f"level {self.tier_level}{', leads' if self.is_lead else ''}"


class PlacesField(Field):
    """A line for each branch: whether the person is a member, at which level, and whether they lead it.

    `data` is {branch id: Place}; None when the form did not show it, which changes nothing.
    """

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:  # noqa: ARG002
        self.process_errors = []
        self.object_data = data
        self.data = data if isinstance(data, dict) else None
        if formdata and f"{self.name}-shown" in formdata:
            self.data = {
                branch.id: Place(
                    _level(formdata.get(f"{self.name}-{branch.id}-level")),
                    f"{self.name}-{branch.id}-lead" in formdata,
                )
                for branch in self.branches()
                if f"{self.name}-{branch.id}-member" in formdata
            }

    def populate_obj(self, obj: Any, name: str) -> None:
        """The view writes the places, once the person has an id."""

    def branches(self) -> list[Branch]:
        if not hasattr(self, "_branches"):
            _count, self._branches = Rows(Branch).query(order_column="name")
        return self._branches

    def widget(self, field: Field, **_kwargs: Any) -> Markup:
        from flask import render_template

        return Markup(render_template("admin/places_field.html", field=field, places=self.data or {}))  # noqa: S704


class PeopleView(AdminView):
    noun, nouns = "person", "people"
    add_title = N_("New person")
    list_title = N_("People")
    explanation = N_("Everyone who signs in: what they may do, where they work and at which level.")
    empty_text = N_("Nobody yet.")
    route_base = "/admin/people"
    class_permission_name = "People"
    datamodel = Rows(User)
    may_delete = False
    column_checks = {"email": checks.address, "username": checks.username}
    list_columns = ["first_name", "last_name", "username", "email", "roles", "active", "last_login"]
    show_columns = [*ACCOUNT, "memberships", "last_login", "login_count", "fail_login_count"]
    add_columns = edit_columns = [*ACCOUNT, "password", "places", *PROFILE]
    search_columns = ["first_name", "last_name", "username", "email", "roles", "active"]
    base_order = ("username", "asc")
    label_columns = {
        "username": N_("Name to sign in"),
        "email": N_("E-mail"),
        "roles": N_("Role"),
        "memberships": N_("Branches"),
        "last_login": N_("Last signed in"),
        "login_count": N_("Times signed in"),
        "fail_login_count": N_("Failed tries since"),
    }
    description_columns = {
        "active": N_("Switch off instead of deleting: what the person did stays in the tickets."),
        "roles": N_("What each may do stands under Roles."),
    }
    add_form_extra_fields = edit_form_extra_fields = {
        "password": SecretField(
            lazy_gettext("Password"),
            description=lazy_gettext(
                "At least %(shortest)s characters. Leave empty to keep the present one; a new one signs the person "
                "out everywhere.",
                shortest=SHORTEST_PASSWORD,
            ),
            validators=[Optional(), PASSWORD_LENGTH],
        ),
        "places": PlacesField(
            lazy_gettext("Branches"),
            description=lazy_gettext("Members see the branch's tickets; leads its figures too."),
        ),
        "time_zone": TimeZoneField(lazy_gettext("Time zone")),
        "language": TextField(lazy_gettext("Language"), default="en", validators=[checked(checks.language)]),
        "availability": WordField(lazy_gettext("Availability"), words=AVAILABILITIES, default="available"),
        "capacity": NumberField(
            lazy_gettext("Capacity"),
            default=20,
            description=lazy_gettext("Open tickets that automatic assignment stops at."),
        ),
        "signature_html": EditorField(
            lazy_gettext("Signature"),
            rows=5,
            default="",
            description=lazy_gettext("Stands above the branch's in this person's replies."),
        ),
    }

    @expose("/me/")
    @login_required
    def userinfo(self) -> Any:
        return redirect(url_for("ResetMyPasswordView.this_form_get"))

    def prefill_form(self, form: Form, pk: Any) -> None:
        profile = db.session.get(Agent, pk) or Agent(user_id=None)
        for name in PROFILE:
            value = getattr(profile, name)
            if value is not None:
                form[name].data = value
        form["places"].data = _places_of(pk)

    def fill(self, row: User, form: Form) -> None:
        if not form.password.data and row.id is None:
            raise UserFault("A new person needs a password. They can change it after signing in.")
        if row.id is not None:
            _check_stays_open(row)

    def finish(self, row: User, form: Form) -> audit.Changes:
        changes: audit.Changes = {}
        profile = db.session.get(Agent, row.id) or Agent(user_id=row.id)
        if form.password.data:
            db.session.add(profile)
            set_password(row, form.password.data)
            changes["password"] = {"from": audit.HIDDEN, "to": audit.HIDDEN}
        for name in PROFILE:
            if form[name].raw_data:
                setattr(profile, name, form[name].data)
        changes.update(audit.changes_of(profile))
        changes.pop("user_id", None)
        db.session.add(profile)
        changes.update(_write_places(row, form["places"].data))
        return changes


class MembersView(AdminView):
    noun, nouns = "member", "members"
    add_title = N_("New member")
    list_title = N_("Members")
    explanation = N_(
        "Who works in which branch, at which level. A person's own page shows all their places at once."
    )
    empty_text = N_("Nobody works in a branch yet. Open a person and tick their branches.")
    route_base = "/admin/members"
    class_permission_name = "Members"
    datamodel = Rows(BranchMembership)
    list_columns = ["user", "branch", "tier_level", "is_lead", "on_call_order"]
    show_columns = [*list_columns, "created_at"]
    add_columns = edit_columns = list_columns
    column_checks = {"tier_level": checks.level}
    search_columns = ["branch", "user", "tier_level", "is_lead"]
    base_order = ("branch_id", "asc")
    label_columns = {
        "user": N_("Person"),
        "tier_level": N_("Level"),
        "on_call_order": N_("On call as number"),
    }
    description_columns = {
        "tier_level": N_("1 answers first; 2 is escalated to."),
        "on_call_order": N_("Whom escalations ask first, second … Leave empty for nobody special."),
    }

    def notices(self) -> Sequence[str]:
        return [nobody.says() for nobody in tiers.without_people(branch_ids(current_user))]


class RoleView(AdminView):
    noun, nouns = "role", "roles"
    list_title = N_("Roles")
    explanation = N_(
        "What each role may do. Roles are part of Portal and cannot be changed; people are given them."
    )
    route_base = "/admin/roles"
    class_permission_name = "Roles"
    datamodel = Rows(Role)
    is_read_only = True
    list_columns = ["name"]
    show_columns = ["name", "user"]
    search_columns = ["name"]
    base_order = ("name", "asc")
    label_columns = {"user": N_("People"), "name": N_("Role")}
    formatters_columns = {
        "name": lambda name: Markup("<strong>{}</strong> – {}").format(
            name, tell(roles.DESCRIPTIONS.get(name, ""))
        ),
    }


class ApiKeyView(AdminView):
    noun, nouns = "API key", "API keys"
    add_title = N_("New API key")
    list_title = N_("API keys")
    explanation = N_(
        "Keys with which programs use the REST interface in a person's name, with that person's rights."
    )
    empty_text = N_("No keys yet. A program sends one as “Authorization: Bearer …”.")
    route_base = "/admin/api-keys"
    class_permission_name = "ApiKeys"
    datamodel = Rows(ApiKey)
    exclude_route_methods = {"download", "edit", "delete"}
    list_columns = ["name", "user", "key_prefix", "created_on", "last_used_on", "revoked_on"]
    show_columns = list_columns
    add_columns = ["name", "user"]
    edit_columns = ["name"]
    search_columns = ["name", "user"]
    label_columns = {
        "user": N_("Acts as"),
        "key_prefix": N_("Begins with"),
        "created_on": N_("Since"),
        "last_used_on": N_("Last used"),
        "revoked_on": N_("Ended"),
    }
    description_columns = {"name": N_("What it is for, so that it can be ended later.")}

    def _save(self, row: ApiKey, form: Form, action: str) -> bool:  # noqa: ARG002
        key = api_keys.create_api_key(form.user.data, form.name.data, current_user)
        flash(f"The key is {key} – copy it now, it is not shown again.", "warning")
        return True

    @action(
        "revoke",
        N_("End"),
        lazy_gettext("End the chosen keys? Programs that use them stop working at once."),
        "fa-ban",
    )
    def revoke(self, keys: Any) -> None:
        for key in keys if isinstance(keys, list) else [keys]:
            api_keys.revoke_api_key(key.id, current_user)
        flash(gettext("The keys have ended."), "success")


class MemberApi(AdminApi):
    noun = "member"
    resource_name = "members"
    class_permission_name = "Members"
    openapi_spec_tag = "Members"
    datamodel = Rows(BranchMembership)
    column_checks = {"tier_level": checks.level}
    list_columns = show_columns = [
        "id",
        "tier_level",
        "is_lead",
        "on_call_order",
        "user.id",
        "user.username",
        "branch.id",
        "branch.name",
    ]
    add_columns = edit_columns = ["user", "branch", "tier_level", "is_lead", "on_call_order"]
    search_columns = ["branch", "user", "tier_level"]


class PeopleApi(AdminApi):
    noun = "person"
    resource_name = "people"
    class_permission_name = "People"
    openapi_spec_tag = "People"
    datamodel = Rows(User)
    is_read_only = True
    list_columns = show_columns = [
        "id",
        "username",
        "first_name",
        "last_name",
        "email",
        "active",
        "roles.name",
    ]
    add_columns = edit_columns = ["first_name", "last_name"]
    search_columns = ["username", "email", "active"]


def _places_of(user_id: int) -> dict[int, Place]:
    places = db.session.scalars(select(BranchMembership).where(BranchMembership.user_id == user_id))
    return {place.branch_id: Place(place.tier_level, place.is_lead) for place in places}


def _write_places(user: User, wanted: dict[int, Place] | None) -> audit.Changes:
    if wanted is None:
        return {}
    present = {
        place.branch_id: place
        for place in db.session.scalars(select(BranchMembership).where(BranchMembership.user_id == user.id))
    }
    before = {branch_id: Place(place.tier_level, place.is_lead) for branch_id, place in present.items()}
    if before == wanted:
        return {}
    for branch_id, place in present.items():
        if branch_id not in wanted:
            db.session.delete(place)
    for branch_id, place in wanted.items():
        row = present.get(branch_id) or BranchMembership(user_id=user.id, branch_id=branch_id)
        row.tier_level, row.is_lead = place.tier_level, place.is_lead
        db.session.add(row)
    return {"branches": {"from": _told(before), "to": _told(wanted)}}


def _told(places: dict[int, Place]) -> list[str]:
    names = dict(db.session.execute(select(Branch.id, Branch.name).where(Branch.id.in_(places))).all())
    return sorted(f"{names.get(branch_id, branch_id)} ({place})" for branch_id, place in places.items())


def _check_stays_open(user: User) -> None:
    """Somebody must be able to come back in: not oneself locked out, and not the last admin."""
    is_admin = user.active and any(role.name == ADMIN for role in user.roles)
    if user.id == current_user.id and not user.active:
        raise UserFault("You cannot switch off your own account. Ask another admin.")
    if is_admin:
        return
    others = select(User.id).where(User.active, User.id != user.id, User.roles.any(Role.name == ADMIN))
    if db.session.scalar(others.limit(1)) is None:
        raise UserFault("This is the last active admin. Make someone else an admin first.")


def _level(text: str | None) -> int:
    return min(max(int(text), 1), 9) if text and text.isascii() and text.isdigit() else 1
