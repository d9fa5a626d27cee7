"""The life of a ticket: the desk's words for statuses, the moves of agents, and how matters end."""

from typing import Any

from flask import flash, redirect, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_login import current_user
from sqlalchemy import select

from portal.errors import UserFault
from portal.extensions import appbuilder, db
from portal.language import gettext, says
from portal.models import LifecycleStatus, Message, ResolutionCode, Ticket, User
from portal.rules import lifecycle as rules
from portal.services import lifecycle
from portal.views.admin import reach
from portal.views.admin.base import AdminApi, AdminView
from portal.views.admin.fields import label_of, told
from portal.views.admin.rows import Rows
from portal.views.admin.writing import delete_row, write_row
from portal.wording import N_

COLUMNS = ["label", "position", "is_active"]


class LifecycleView(AdminView):
    noun, nouns = "status", "statuses"
    list_title = N_("Life of a ticket")
    show_title = N_("Status")
    explanation = N_(
        "What statuses are called here, and which moves people may make. What statuses mean – which clocks run, what "
        "counts as open – is the same everywhere, whatever they are called."
    )
    route_base = "/admin/lifecycle"
    class_permission_name = "Lifecycle"
    datamodel = Rows(LifecycleStatus)
    # One page for all eight, no more and no fewer.
    exclude_route_methods = {"download", "add", "edit", "delete"}
    may_delete = False
    list_columns = show_columns = ["name", "label", "may_become"]
    search_columns = ["name"]
    base_order = ("id", "asc")
    label_columns = {"name": N_("Status"), "label": N_("Label"), "may_become": N_("May become")}
    formatters_columns = {"may_become": lambda names: ", ".join(told(label_of(name)) for name in names)}
    page_verbs = {"save": "edit"}

    def title_of(self, row: LifecycleStatus) -> str:
        return told(label_of(row.name))

    @expose("/list/")
    @has_access
    def list(self) -> Any:
        self.update_redirect()
        return self._page(_as_it_is(lifecycle.current()), {})

    @expose("/save", methods=["POST"])
    @has_access
    @permission_name("edit")
    def save(self) -> Any:
        wanted = _asked()
        try:
            lifecycle.configure(wanted, db.session.get_one(User, current_user.id))
        except lifecycle.UnfitError as fault:
            flash(says(fault), "danger")
            return self._page(wanted, fault.problems), fault.status_code
        flash(gettext("Saved."), "success")
        return redirect(url_for(f"{self.endpoint}.list"), 303)

    def _page(self, wanted: lifecycle.Wanted, problems: Any) -> Any:
        return self.render_template(
            "admin/lifecycle.html",
            title=gettext("Life of a ticket"),
            view=self,
            wanted=wanted,
            problems=problems,
            table=rules.TABLE,
            targets=[name for name in rules.TABLE if name != rules.NEVER_A_TARGET],
            longest=rules.LONGEST_LABEL,
            most_days=rules.LONGEST_WAIT_DAYS,
            may_edit=appbuilder.sm.has_access("can_edit", self.class_permission_name),
        )


def _as_it_is(life: rules.Lifecycle) -> lifecycle.Wanted:
    return lifecycle.Wanted(life.labels, life.moves, life.requires_code, life.close_after_days)


def _asked() -> lifecycle.Wanted:
    form = request.form
    days = form.get("close_after_days", "").strip()
    return lifecycle.Wanted(
        labels={name: " ".join(form.get(f"label-{name}", "").split()) for name in rules.TABLE},
        moves={name: frozenset(form.getlist(f"moves-{name}")) for name in rules.TABLE},
        requires_code=form.get("requires_code") == "1",
        close_after_days=int(days) if days.isascii() and days.isdigit() and len(days) < 9 else -1,
    )


def check_codes(code: ResolutionCode) -> None:
    """Raise UserFault where nothing would be left to choose while something must be chosen."""
    life = lifecycle.current()
    left = any(each.id != code.id for each in life.offered_codes)
    if life.requires_code and not code.is_active and not left:
        raise UserFault(
            "The desk asks for a resolution code, and this is the last one. Enable another one first."
        )


class ResolutionCodeView(AdminView):
    noun, nouns = "resolution code", "resolution codes"
    add_title = N_("New resolution code")
    list_title = N_("Resolution codes")
    explanation = N_(
        "How matters end. Whether one is asked for is said under “Life of a ticket”, and may differ by branch. "
        "One that tickets have is disabled rather than deleted: those tickets keep it."
    )
    empty_text = N_("No resolution codes. Without any, none can be asked for.")
    route_base = "/admin/resolution-codes"
    class_permission_name = "ResolutionCodes"
    datamodel = Rows(ResolutionCode)
    list_columns = ["position", "label", "is_active"]
    show_columns = [*COLUMNS, "created_at"]
    add_columns = edit_columns = COLUMNS
    search_columns = ["label", "is_active"]
    base_order = ("position", "asc")
    label_columns = {"label": N_("Label"), "position": N_("Order"), "is_active": N_("Can be chosen")}
    description_columns = {"position": N_("Lower ones are offered first.")}

    def check_row(self, row: ResolutionCode) -> None:
        check_codes(row)

    @expose("/delete/<pk>", methods=["POST"])
    @has_access
    def delete(self, pk: str) -> Any:
        row = self._row(pk)
        try:
            reach.check_may_change(row)
            flash(_removed(row), "success")
        except UserFault as fault:
            flash(says(fault), "danger")
        return self.post_delete_redirect()


def _removed(code: ResolutionCode) -> str:
    """Delete the code, or disable it where tickets have it; what was done, in words."""
    is_used = select(Ticket.id).where(Ticket.resolution_code_id == code.id).exists()
    is_planned = select(Message.id).where(Message.then_resolution_code_id == code.id).exists()
    if not db.session.scalar(select(is_used | is_planned).execution_options(is_unscoped=True)):
        code.is_active = False
        check_codes(code)
        db.session.expire(code)
        delete_row(code)
        return gettext("Deleted.")

    def disable() -> None:
        code.is_active = False
        check_codes(code)

    write_row(code, "changed", disable)
    return gettext("Tickets have it, so it was disabled: it stays with them and is not offered any more.")


class ResolutionCodeApi(AdminApi):
    noun = "resolution code"
    resource_name = "resolution-codes"
    class_permission_name = "ResolutionCodes"
    openapi_spec_tag = "Resolution codes"
    datamodel = Rows(ResolutionCode)
    list_columns = show_columns = ["id", *COLUMNS, "created_at"]
    add_columns = edit_columns = COLUMNS
    search_columns = ["label", "is_active"]

    def check_row(self, row: ResolutionCode) -> None:
        check_codes(row)
