"""The leads' page: how long customers wait, and what stands behind it."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, make_response, render_template, request
from flask_login import current_user, login_required

from portal import access
from portal.errors import Forbidden, UserFault
from portal.language import gettext, lazy_gettext, says
from portal.models import Branch
from portal.models.columns import now
from portal.services import metrics
from portal.services.metrics import Backlog, Board, Figures, Metric, Period
from portal.views.leads import links, wording
from portal.views.leads.chart import Chart, trend_chart
from portal.views.leads.period import period_from, presets
from portal.wording import N_

blueprint = Blueprint("leads", __name__)
AGE_LABELS = (
    lazy_gettext("under a day"),
    lazy_gettext("1 to 3 days"),
    lazy_gettext("3 to 7 days"),
    lazy_gettext("over a week"),
)
# What a figure is measured on: one, many, and what is said where there is none.
BASES = {
    "answers": (
        N_("1 first answer"),
        N_("%(amount)s first answers"),
        N_("No first answers in these days, so there is nothing to measure yet."),
    ),
    "measured": (
        N_("1 first answer measured"),
        N_("%(amount)s first answers measured"),
        N_("No first answers were measured in these days, so there is nothing to show yet."),
    ),
    "opened": (
        N_("1 ticket opened"),
        N_("%(amount)s tickets opened"),
        N_("No tickets opened in these days, so there is nothing to measure yet."),
    ),
    "replies": (
        N_("1 reply sent"),
        N_("%(amount)s replies sent"),
        N_("No replies sent in these days, so there is nothing to measure yet."),
    ),
    "looked_at": (
        N_("1 ticket looked at"),
        N_("%(amount)s tickets looked at"),
        N_("No tickets looked at in these days, so there is nothing to measure yet."),
    ),
    "people": (
        N_("1 person"),
        N_("%(amount)s people"),
        N_("No people in these branches, so there is nothing to measure yet."),
    ),
}


@dataclass(frozen=True)
class Card:
    """One figure as it stands on the page."""

    metric: Metric
    label: str
    definition: str
    basis: str
    url: str | None
    value: str
    before: str
    change: str
    direction: str
    missing: str


@dataclass(frozen=True)
class AgePart:
    """One stretch of the backlog's age."""

    label: str
    count: int
    percent: float


@blueprint.get("/leads/")
@login_required
def dashboard() -> Response:
    branches = led_branches()
    zone = _time_zone()
    today = now().astimezone(ZoneInfo(zone)).date()
    try:
        period = period_from(request.args, today, zone)
    except UserFault as fault:
        return _answer(None, branches, today, zone, says(fault))
    chosen = _chosen(branches)
    return _answer(metrics.board(chosen, period), branches, today, zone)


def led_branches() -> list[Branch]:
    """The branches whose figures the person may see, by name. Raises Forbidden for one who sees none."""
    ids = access.led_branch_ids(current_user)
    if ids is not None and not ids:
        raise Forbidden("Figures are for the people who lead a branch, and for admins and auditors.")
    return metrics.branches_of(ids)


def _chosen(branches: list[Branch]) -> list[Branch]:
    """The branch that was asked for, where it is one of these; otherwise all of them."""
    wanted = request.args.get("branch", "")
    return [branch for branch in branches if str(branch.id) == wanted] or branches


def _time_zone() -> str:
    agent = getattr(current_user, "agent", None)
    return agent.time_zone if agent else "UTC"


def _answer(board: Board | None, branches: list[Branch], today: date, zone: str, fault: str = "") -> Response:
    period = board.period if board else None
    chosen = _chosen(branches)
    answer = make_response(
        render_template(
            "leads/dashboard.html",
            fault=fault,
            board=board,
            period=period,
            first=request.args.get("first", "") if fault else _iso(period.first if period else None),
            last=request.args.get("last", "") if fault else _iso(period.last if period else None),
            today=today,
            presets=presets(period, today),
            branches=branches,
            branch=chosen[0] if len(chosen) == 1 and len(branches) > 1 else None,
            zone=zone,
            words=wording,
            links=links,
            **(_figures(board, chosen, branches) if board else {}),
        )
    )
    answer.status_code = UserFault.status_code if fault else 200
    return answer


def _figures(board: Board, chosen: list[Branch], branches: list[Branch]) -> dict[str, object]:
    branch = chosen[0] if len(chosen) == 1 else None
    return {
        "north_star": _card(
            board.total.first_response.median,
            "answers",
            links.answered(board.period.first, board.period.last, board.period.time_zone, branch),
        ),
        "spread": [
            _card(board.total.first_response.p75, "answers"),
            _card(board.total.first_response.p90, "answers"),
            _card(board.total.first_response.business_median, "measured"),
        ],
        "cards": _cards(board.total, board.period, branch),
        "chart": _chart(board, branch),
        "ages": _ages(board.total.backlog),
        "oldest": _age(board.total.backlog.oldest_at, board.at),
        "shows_branches": len(branches) > 1,
    }


def _cards(figures: Figures, period: Period, branch: Branch | None) -> list[Card]:
    opened = links.opened(period, branch)
    return [
        _card(figures.pickup, "opened", opened),
        _card(figures.template_usage, "replies"),
        _card(figures.escalation, "opened", opened),
        _card(figures.first_action, "looked_at"),
        _card(figures.logins, "people"),
    ]


def _card(metric: Metric, basis: str, url: str | None = None) -> Card:
    one, many, none = BASES[basis]
    said = gettext(one) if metric.count == 1 else gettext(many, amount=f"{metric.count:,}")
    return Card(
        metric=metric,
        label=gettext(metric.label),
        definition=gettext(metric.definition),
        basis=said,
        url=url,
        value=wording.figure(metric),
        before=wording.previous_figure(metric),
        change=wording.change(metric),
        direction=wording.direction(metric),
        missing=gettext(none),
    )


def _chart(board: Board, branch: Branch | None) -> Chart | None:
    zone = board.period.time_zone
    urls = [links.answered(bar.first, bar.last, zone, branch) for bar in board.trend]
    return trend_chart(board.trend, board.period.bar_unit, urls)


def _ages(backlog: Backlog) -> list[AgePart]:
    whole = backlog.open_count or 1
    return [
        AgePart(label, count, round(100 * count / whole, 2))
        for label, count in zip(AGE_LABELS, backlog.age_counts, strict=True)
    ]


def _age(since: datetime | None, at: datetime) -> str:
    return wording.duration((at - since).total_seconds() if since else None)


def _iso(day: date | None) -> str:
    return day.isoformat() if day else ""
