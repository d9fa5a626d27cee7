"""The admin's landing page, and the navigation inside it."""

from dataclasses import dataclass
from typing import Any

from flask import current_app, redirect, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_login import current_user

from portal.access import access_ticket
from portal.language import gettext, tell
from portal.services import getting_started


@dataclass(frozen=True)
class Link:
    """One noun of the admin, as a link."""

    url: str
    label: str
    explanation: str
    is_current: bool


@dataclass(frozen=True)
class Group:
    """Links that belong together."""

    name: str
    icon: str
    links: tuple[Link, ...]


class AdminIndex(BaseView):
    route_base = "/admin"
    default_view = "index"
    class_permission_name = "Admin"
    method_permission_name = {"index": "read", "ticket": "read"}

    @expose("/")
    @has_access
    @permission_name("read")
    def index(self) -> Any:
        return self.render_template(
            "admin/index.html", title=gettext("Administration"), groups=admin_groups(), steps=_steps()
        )

    @expose("/tickets/<int:ticket_id>")
    @has_access
    @permission_name("read")
    def ticket(self, ticket_id: int) -> Any:
        """The desk's page of a ticket that a ledger names by id."""
        return redirect(f"/tickets/{access_ticket(current_user, ticket_id).number}")


@dataclass(frozen=True)
class Task:
    """A step of setting up a desk, as a link."""

    what: str
    why: str
    url: str
    is_done: bool


def _steps() -> list[Task]:
    """What setting up takes, for whoever may do it and while anything of it is missing."""
    if not current_app.appbuilder.sm.has_access("can_add", "Branches"):
        return []
    done = getting_started.steps_done()
    if all(done):
        return []
    return [
        Task(step.what, step.why, url_for(f"{step.view}.{'list' if is_done else 'add'}"), is_done)
        for step, is_done in zip(getting_started.STEPS, done, strict=True)
    ]


def admin_groups() -> list[Group]:
    """What of the admin the person may open, in groups. Asks no query beyond who they are."""
    from portal.views.admin.contents import SECTIONS

    may = current_app.appbuilder.sm.has_access
    groups = []
    for section in SECTIONS:
        links = tuple(
            Link(
                url_for(f"{view.__name__}.list"),
                tell(str(view.list_title)),
                view.explanation,
                request.path.startswith(f"{view.route_base}/"),
            )
            for view in section.views
            if may("can_read", view.class_permission_name)
        )
        if links:
            groups.append(Group(section.name, section.icon, links))
    return groups
