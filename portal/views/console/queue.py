"""The queue: views with their counts, and the list that one of them, or a filter, makes."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from flask import flash, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from portal import access
from portal.errors import UserFault
from portal.errors_pages import wants_partial
from portal.language import gettext, says
from portal.rules.bulk import MOST_TICKETS
from portal.services import getting_started, saved_views
from portal.views.console import bulk, filter_panel, finding, lists, presence, search, words
from portal.views.console.answers import kept_for
from portal.views.console.blueprint import blueprint, person
from portal.views.console.filters import EVERYTHING, VIEWS, TicketFilter, filter_from
from portal.views.console.rows import rows_of
from portal.views.console.side import may_change

# What web servers take as an address, with some room for what stands around it.
LONGEST_VIEW = 3500
SEARCH_VIEWS = (EVERYTHING.name,)


@dataclass(frozen=True)
class Shelf:
    """A view as the left column shows it; `count` is None where none is shown."""

    label: str
    icon: str
    url: str
    count: str | None
    is_current: bool
    tone: str = ""
    saved_id: int | None = None


@blueprint.get("/")
def home() -> Response:
    return redirect(url_for("console.queue"))


@blueprint.get("/queue")
def queue() -> Any:
    try:
        wanted = wanted_list()
        return _to_short(wanted) or _to_number(wanted) or _page(wanted)
    except UserFault as fault:
        return render_template("console/queue.html", fault=says(fault), **_left(None)), fault.status_code


def _to_short(wanted: TicketFilter) -> Response | None:
    """To the address without what a form sends along: the short one is kept and passed on."""
    if all(len(values) == 1 and values[0] for _, values in request.args.lists()):
        return None
    is_usual = wanted.sort == wanted.base.sort
    return redirect(url_for("console.queue", **wanted.with_(sort="" if is_usual else wanted.sort).to_args()))


def _to_number(wanted: TicketFilter) -> Response | None:
    """To the ticket itself, where its number alone was searched for and nothing else has it."""
    number = finding.number_in(wanted.text)
    if number is not None and wanted == TicketFilter(view=EVERYTHING.name, text=wanted.text):
        found = search.found_by(wanted.text, person())
        if len(found.ticket_ids) == 1 and lists.page_of(wanted, person()).tickets[0].number == number:
            return redirect(url_for("console.ticket", number=number))
    return None


def _page(wanted: TicketFilter) -> str:
    return render_template(
        "console/queue.html",
        fault="",
        bulk_kinds=bulk.KINDS.values(),
        most_picked=MOST_TICKETS,
        **_left(wanted),
        **list_context(wanted),
        **filter_panel.said_of(wanted),
    )


@blueprint.get("/queue/parts")
def queue_parts() -> str:
    """What changes on the queue page by itself: the views with their counts, and the list."""
    wanted = wanted_list()
    return render_template("console/queue_parts.html", **_left(wanted), **list_context(wanted))


@blueprint.get("/queue/list")
def queue_list() -> str:
    """The list alone: beside a ticket, and for the rows that follow (`after`)."""
    wanted = wanted_list()
    return render_template("console/_list.html", **list_context(wanted))


@blueprint.get("/queue/numbers")
def queue_numbers() -> dict[str, list[int]]:
    """The numbers of the first tickets of a list, as many as can be chosen at once."""
    return {"numbers": lists.numbers_of(wanted_list(), person(), MOST_TICKETS)}


@blueprint.post("/queue/views")
def save_view() -> Response:
    wanted = filter_from(request.form, person())
    written = request.form.get("shared_with", "")
    if written and not (written.isascii() and written.isdigit() and len(written) < 10):
        raise UserFault("Choose from the list for whom the view is.")
    shared_with = int(written) if written else None
    kept = lists.lasting(wanted).to_args()
    if len(urlencode(kept)) > LONGEST_VIEW:
        raise UserFault("This filter is too long to be opened as a link. Take some of its values away.")
    saved_views.save_view(person(), request.form.get("name", ""), kept, branch_id=shared_with)
    flash(gettext("The view “%(strip)s” is saved.", strip=request.form["name"].strip()), "success")
    return redirect(url_for("console.queue", **wanted.to_args()))


@blueprint.post("/queue/views/<int:view_id>/remove")
def remove_view(view_id: int) -> Response:
    undo = saved_views.remove_view(person(), view_id)
    says = gettext("The view is removed; its tickets are where they were.")
    if wants_partial():
        back = {
            "label": gettext("Undo"),
            "post": url_for("console.bring_view_back"),
            "fields": {"undo": undo},
            "kept": kept_for(saved_views.BACK_WITHIN_SECONDS),
        }
        return jsonify(says=says, action=back)
    flash(says, "success")
    return redirect(url_for("console.queue"))


@blueprint.post("/queue/views/undo")
def bring_view_back() -> Response:
    name = saved_views.bring_back(person(), request.form.get("undo", ""))
    return jsonify(says=gettext("The view “%(name)s” is back.", name=name))


def wanted_list() -> TicketFilter:
    """The list that the address asks for; without a word about it, the person's branches, or everything open."""
    wanted = filter_from(request.args, person())
    if wanted.view:
        return wanted
    if wanted.is_narrowed:
        return replace(wanted, view=EVERYTHING.name)
    return replace(wanted, view="branch" if access.memberships(person()) else "open")


def list_context(wanted: TicketFilter) -> dict[str, Any]:
    """What the template of a list needs; `current` marks the ticket beside it."""
    page = lists.page_of(wanted, person(), request.args.get("after", ""))
    ids = access.branch_ids(person())
    found = search.found_by(wanted.text, person(), wanted.zone)
    return {
        "wanted": wanted,
        "title": _title(wanted),
        "rows": rows_of(
            page.tickets,
            wanted,
            words.reader(),
            presence=presence.of_tickets(ticket.id for ticket in page.tickets),
            shows_branch=(ids is None or len(ids) > 1) and len(wanted.branch) != 1,
            found=search.snippets_of(wanted.text, found, [ticket.id for ticket in page.tickets]),
        ),
        "current": request.args.get("current", type=int),
        # Beside a ticket the list is there to go on to the next one.
        "may_pick": may_change(person()) and "current" not in request.args,
        "is_cut": found.is_cut,
        "not_understood": search.not_understood(wanted.text),
        "missing": "" if page.tickets else _missing(),
        "is_continued": bool(request.args.get("after")),
        "next_url": _more_url(wanted, page.next_cursor),
        "list_url": url_for("console.queue_list", **wanted.to_args()),
    }


def _missing() -> str:
    """Why this person cannot have any ticket at all: the desk has no branch yet, or they belong to none."""
    ids = access.branch_ids(person())
    if ids is None:
        return "" if getting_started.has_branch() else "branch"
    return "" if ids else "place"


def shelves(wanted: TicketFilter | None) -> tuple[list[Shelf], list[Shelf]]:
    """The built-in views and the saved ones, with their counts."""
    saved = {view.id: view for view in lists.saved_views(person())}
    readable: dict[str, TicketFilter] = {}
    for view in saved.values():
        try:
            readable[f"saved-{view.id}"] = lists.filter_of(view, person())
        except UserFault:
            # Written by an older release, or about a field out of reach: it says so when it is opened.
            continue
    countable = {name: one for name, one in readable.items() if one.is_within_reach(person())}
    counts = lists.counts_of({**lists.view_filters(), **countable}, person())
    return (
        [_shelf(name, wanted, counts) for name in VIEWS],
        [_saved_shelf(view, readable.get(f"saved-{view.id}"), wanted, counts) for view in saved.values()],
    )


def _shelf(name: str, wanted: TicketFilter | None, counts: dict[str, int]) -> Shelf:
    view = VIEWS[name]
    count = counts.get(name)
    return Shelf(
        label=view.label,
        icon=view.icon,
        url=url_for("console.queue", view=name),
        count=None if count is None else _capped(count),
        is_current=wanted is not None and wanted.view == name and not wanted.is_narrowed,
        tone={"at_risk": "warn", "breached": "late"}.get(name, "") if count else "",
    )


def _saved_shelf(
    view: Any, wanted_there: TicketFilter | None, wanted: TicketFilter | None, counts: dict[str, int]
) -> Shelf:
    count = counts.get(f"saved-{view.id}")
    return Shelf(
        label=view.name,
        icon="users" if view.branch_id else "star",
        url=f"{url_for('console.queue')}?{urlencode(wanted_there.to_args() if wanted_there else lists.kept_in(view))}",
        count=None if count is None else _capped(count),
        is_current=wanted is not None and wanted == wanted_there,
        saved_id=view.id if saved_views.may_remove(person(), view) else None,
    )


def _capped(count: int) -> str:
    return f"{lists.COUNT_CAP - 1}+" if count >= lists.COUNT_CAP else str(count)


def _left(wanted: TicketFilter | None) -> dict[str, Any]:
    built_in, saved = shelves(wanted)
    return {"shelves": built_in, "saved_shelves": saved}


def _title(wanted: TicketFilter) -> str:
    if wanted.text:
        return gettext("Results for “%(text)s”", text=wanted.text)
    places = access.memberships(person())
    if wanted.view == "branch" and len(places) == 1:
        return f"{wanted.base.label} · {next(iter(places.values())).branch.name}"
    return gettext("My branches") if wanted.view == "branch" and len(places) > 1 else wanted.base.label


def _more_url(wanted: TicketFilter, cursor: str) -> str:
    return url_for("console.queue", **wanted.to_args(), after=cursor) if cursor else ""
