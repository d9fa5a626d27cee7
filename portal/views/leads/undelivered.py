"""Mail that did not reach its recipients, for the people who lead the branch, with a way to try again."""

from flask import flash, redirect, render_template, request, url_for
from flask_login import current_user, login_required
from werkzeug import Response

from portal import access
from portal.errors import Forbidden
from portal.language import gettext, lazy_gettext
from portal.services import undelivered
from portal.views.leads.dashboard import blueprint

STATES = {
    "deferred": lazy_gettext("Will be tried again"),
    "failed": lazy_gettext("Given up"),
    "bounced": lazy_gettext("Came back"),
}


@blueprint.get("/leads/undelivered")
@login_required
def undelivered_list() -> str:
    after = request.args.get("after", "")
    page = undelivered.undelivered(_led_ids(), after)
    return render_template(
        "leads/undelivered.html",
        page=page,
        is_first=not after,
        states=STATES,
        may_retry=bool(access.role_names(current_user) & access.MAY_CHANGE_TICKETS),
    )


@blueprint.post("/leads/undelivered/<int:outbox_item_id>/retry")
@login_required
def retry_undelivered(outbox_item_id: int) -> Response:
    ids = _led_ids()
    access.check_may_change(current_user)
    recipients = undelivered.retry(outbox_item_id, ids, current_user)
    flash(gettext("On its way again to %(join)s.", join=", ".join(recipients)), "success")
    return redirect(url_for("leads.undelivered_list"))


def _led_ids() -> frozenset[int] | None:
    ids = access.led_branch_ids(current_user)
    if ids is not None and not ids:
        raise Forbidden("Undelivered mail is for the people who lead a branch, and for admins and auditors.")
    return ids
