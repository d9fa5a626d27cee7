"""The queue's list, exactly as filtered and permitted, as a file."""

from flask import Response, request, stream_with_context
from flask_login import current_user, login_required

from portal.models.columns import now
from portal.services import exports, fields
from portal.views.console.queue import wanted_list
from portal.views.leads.dashboard import blueprint


@blueprint.get("/queue/export.csv")
@login_required
def export_queue() -> Response:
    wanted = wanted_list()
    tickets = wanted.of(current_user)
    exports.record_export(current_user, wanted.to_args(), address=request.remote_addr or "")
    own_fields = [field for field in fields.visible_definitions(current_user) if field.is_active]
    chunks = exports.stream_tickets(tickets, own_fields, has_bom=request.args.get("bom") == "1")
    answer = Response(stream_with_context(chunks), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="tickets-{now():%Y-%m-%d}.csv"'
    # A proxy that waits for the whole file before it passes it on would undo the streaming.
    answer.headers["X-Accel-Buffering"] = "no"
    return answer
