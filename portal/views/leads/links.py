"""From a figure to the list of the tickets behind it, where the queue's filter can say which they are."""

from datetime import date

from flask import url_for

from portal.models import Branch
from portal.services.metrics import Period
from portal.views.console.filters import TicketFilter


def opened(period: Period, branch: Branch | None = None) -> str:
    """The tickets opened in the period."""
    return _url(
        TicketFilter(
            view="all",
            branch=_of(branch),
            opened_from=period.first,
            opened_to=period.last,
            zone=period.time_zone,
        )
    )


def answered(first: date, last: date, time_zone: str, branch: Branch | None = None) -> str:
    """The tickets that were answered for the first time on those days."""
    return _url(
        TicketFilter(
            view="all",
            branch=_of(branch),
            answered_from=first,
            answered_to=last,
            zone=time_zone,
        )
    )


def backlog(branch: Branch | None = None, *, assignee: str = "", sla: str = "") -> str:
    """The open tickets: all, those of nobody (`assignee="none"`), or the late ones (`sla="late"`)."""
    people = (assignee,) if assignee else ()
    return _url(TicketFilter(view="open", branch=_of(branch), assignee=people, sla=sla))


def dashboard(period: Period, branch: Branch | None = None) -> str:
    """This page, for that branch and period."""
    return url_for(
        "leads.dashboard",
        first=period.first.isoformat(),
        last=period.last.isoformat(),
        branch=branch.id if branch else None,
    )


def _of(branch: Branch | None) -> tuple[int, ...]:
    return (branch.id,) if branch else ()


def _url(wanted: TicketFilter) -> str:
    return url_for("console.queue", **wanted.to_args())
