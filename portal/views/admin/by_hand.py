"""The page that makes a ticket of a mail in quarantine, with what an admin corrects in what could be read of it."""

from typing import TYPE_CHECKING, Any

from flask import flash, redirect, request, url_for
from flask_appbuilder.fieldwidgets import BS3TextFieldWidget, Select2Widget
from flask_appbuilder.forms import DynamicForm
from flask_appbuilder.widgets import FormWidget
from flask_login import current_user
from sqlalchemy import select
from wtforms import SelectField, StringField
from wtforms.validators import InputRequired, Length

from portal.errors import UserFault
from portal.extensions import db
from portal.language import gettext, lazy_gettext, says
from portal.models import Branch, InboxItem, Ticket, User
from portal.services import accounts
from portal.wording import N_

if TYPE_CHECKING:
    from portal.services.quarantine import Readable
    from portal.views.admin.base import AdminView


class OpenForm(DynamicForm):  # type: ignore[misc]
    """What an admin says of a mail that could not be read by itself."""

    SHOWN = ("branch", "address", "name", "subject")

    branch = SelectField(lazy_gettext("Branch"), coerce=int, widget=Select2Widget())
    address = StringField(
        lazy_gettext("Sender's address"),
        validators=[InputRequired(N_("Answers need somewhere to go.")), Length(max=320)],
        description=lazy_gettext("Answers go there, and the ticket belongs to the customer of this address."),
        widget=BS3TextFieldWidget(),
    )
    name = StringField(
        lazy_gettext("Sender's name"), validators=[Length(max=200)], widget=BS3TextFieldWidget()
    )
    subject = StringField(lazy_gettext("Subject"), validators=[Length(max=500)], widget=BS3TextFieldWidget())


class OpenWidget(FormWidget):  # type: ignore[misc]
    """The form with a button that says what it does."""

    template = "admin/open_form.html"


def page(view: "AdminView", item: InboxItem) -> Any:
    """The form, filled with what could be read; sent, the way to the ticket that was made."""
    # The machinery of mails is large, and only this page of the admin needs it.
    from portal.services import quarantine

    if item.state != "quarantined":
        flash(
            gettext("Only a mail in quarantine is opened by hand. This one has been dealt with."), "warning"
        )
        return redirect(url_for(f"{view.endpoint}.show", pk=item.id))
    raw = db.session.scalar(select(InboxItem.raw).where(InboxItem.id == item.id)) or b""
    readable = quarantine.read(raw)
    form = _form(item, readable)
    if request.method == "POST" and form.validate():
        ticket = _opened(item, form)
        if ticket is not None:
            flash(f"#{ticket.number} is opened. The mail as it came is attached to it.", "success")
            return redirect(url_for("console.ticket", number=ticket.number), 303)
    widget = OpenWidget(form=form, include_cols=OpenForm.SHOWN, exclude_cols=[], fieldsets=None)
    return view.render_template(
        "admin/open_by_hand.html",
        title=f"Open a ticket from received mail {item.id}",
        widgets={"add": widget},
        related_views=[],
        view=view,
        row=item,
        readable=readable,
        no_text=quarantine.NO_TEXT,
    )


def _form(item: InboxItem, readable: "Readable") -> OpenForm:
    takers = (accounts.account_of_recipient(recipient) for recipient in item.envelope_to)
    account = item.account or next((taker for taker in takers if taker is not None), None)
    form = OpenForm(
        data={
            "branch": account.branch_id if account is not None else None,
            "address": readable.address,
            "name": readable.name,
            "subject": readable.subject,
        }
    )
    branches = db.session.scalars(select(Branch).where(Branch.is_active).order_by(Branch.name))
    form.branch.choices = [(branch.id, branch.name) for branch in branches]
    return form


def _opened(item: InboxItem, form: OpenForm) -> Ticket | None:
    from portal.services import quarantine

    try:
        return quarantine.open_by_hand(
            item,
            branch=db.session.get_one(Branch, form.branch.data),
            address=form.address.data,
            name=form.name.data,
            subject=form.subject.data,
            actor=db.session.get_one(User, current_user.id),
        )
    except UserFault as fault:
        flash(says(fault), "danger")
        return None
