"""What if: the last days again, under targets and hours that are only tried."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import render_template, request
from flask_login import login_required
from sqlalchemy import or_, select

from portal.errors import NotFound, UserFault
from portal.extensions import db
from portal.language import gettext, lazy_gettext, says
from portal.models import Branch, Calendar, SlaPolicy
from portal.models.columns import now
from portal.rules import hours
from portal.rules.calendars import parse_calendar, spans_in
from portal.rules.policies import CLOCK_KINDS, Policy, policy_from_minutes, policy_problems
from portal.services import calendars, policies, simulating, sla
from portal.services.simulating import Simulation, Tally
from portal.views.console import words
from portal.views.leads.dashboard import blueprint, led_branches

DAYS = (7, 30, 90)
TARGETS = {
    "first_response": lazy_gettext("First response"),
    "next_response": lazy_gettext("Next response"),
    "resolution": lazy_gettext("Resolution"),
}
WEEKDAYS = tuple(lazy_gettext(day) for day in hours.WEEKDAYS)
LONGEST_MINUTES = 60 * 24 * 365


@dataclass(frozen=True)
class Line:
    """One kind of clock in one branch: how many late, before and after, of how many."""

    branch: str
    label: str
    tally: Tally
    share_before: str
    share_after: str
    tone: str


@blueprint.get("/leads/what-if")
@login_required
def what_if() -> tuple[str, int]:
    """The form; with `try` in the address also what would have been."""
    branches = led_branches()
    policy = _policy(branches)
    calendar = _calendar(branches)
    fault, found = "", None
    try:
        if "try" in request.args:
            draft = _draft(policy, calendar)
            found = simulating.simulate(draft, [branch.id for branch in branches], _days())
    except UserFault as error:
        fault = says(error)
    page = render_template(
        "leads/what_if.html",
        fault=fault,
        found=found,
        lines=_lines(found, branches) if found else (),
        days=_days(),
        ranges=DAYS,
        policies=_policies(branches),
        policy=policy,
        targets=_written_targets(policy) if policy else {},
        labels=TARGETS,
        is_business_time=_is_business_time(policy),
        calendars=_calendars(branches),
        calendar=calendar,
        weekdays=WEEKDAYS,
        windows=_written_windows(calendar) if calendar else (),
        branch_names={branch.id: branch.name for branch in branches},
        words=words,
    )
    return page, UserFault.status_code if fault else 200


def _days() -> int:
    asked = request.args.get("days", "")
    return int(asked) if asked in {str(each) for each in DAYS} else 30


def _policies(branches: Sequence[Branch]) -> list[SlaPolicy]:
    """Those by which tickets of these branches can be measured."""
    ids = [branch.id for branch in branches]
    of_branch = [branch.policy_id for branch in branches if branch.policy_id]
    is_theirs = or_(SlaPolicy.branch_id.in_(ids), SlaPolicy.id.in_(of_branch), SlaPolicy.branch_id.is_(None))
    return list(db.session.scalars(select(SlaPolicy).where(is_theirs).order_by(SlaPolicy.name)))


def _calendars(branches: Sequence[Branch]) -> list[Calendar]:
    wanted = {branch.calendar_id for branch in branches}
    return list(db.session.scalars(select(Calendar).where(Calendar.id.in_(wanted)).order_by(Calendar.name)))


def _policy(branches: Sequence[Branch]) -> SlaPolicy | None:
    """The one that was asked for, else that of the first branch."""
    offered = {str(policy.id): policy for policy in _policies(branches)}
    asked = request.args.get("policy", "")
    if asked and asked not in offered:
        raise NotFound("There is no such policy within your reach.")
    usual = next((str(branch.policy_id) for branch in branches if branch.policy_id), "")
    return offered.get(asked or usual) or next(iter(offered.values()), None)


def _calendar(branches: Sequence[Branch]) -> Calendar | None:
    offered = {str(calendar.id): calendar for calendar in _calendars(branches)}
    asked = request.args.get("calendar", "")
    if asked and asked not in offered:
        raise NotFound("There is no such calendar within your reach.")
    usual = next((str(branch.calendar_id) for branch in branches), "")
    return offered.get(asked or usual)


def _draft(policy: SlaPolicy | None, calendar: Calendar | None) -> sla.Draft:
    """What the form asks for. Raises UserFault in words for what cannot be."""
    tried = _tried_policy(policy) if policy else None
    windows = _tried_windows() if calendar else ()
    return sla.Draft(
        policy_id=policy.id if policy else None,
        policy=tried,
        calendar_id=calendar.id if calendar else None,
        windows=windows,
    )


def _tried_policy(policy: SlaPolicy) -> Policy:
    minutes = {kind: _minutes(kind) for kind in CLOCK_KINDS}
    held = policies.rule_from(policy)
    tried = policy_from_minutes(
        minutes["first_response"],
        minutes["next_response"],
        minutes["resolution"],
        is_business_time=_is_business_time(policy),
        paused_statuses=held.paused_statuses,
        warning_percents=held.warning_percents,
        name=held.name,
    )
    if problems := policy_problems(tried):
        raise UserFault(problems[0])
    return tried


def _minutes(kind: str) -> int | None:
    written = request.args.get(kind, "").strip()
    if not written:
        return None
    if not (written.isascii() and written.isdecimal()) or not 0 < int(written[:9]) <= LONGEST_MINUTES:
        raise UserFault("A target is a whole number of minutes, at most a year of them.")
    return int(written)


def _is_business_time(policy: SlaPolicy | None) -> bool:
    if "try" in request.args:
        return "business" in request.args
    return bool(policy and policy.is_business_time)


def _tried_windows() -> tuple[hours.Window, ...]:
    try:
        windows = [
            {"weekday": weekday, **span}
            for weekday in range(7)
            for span in spans_in(request.args.get(f"day-{weekday}", ""))
        ]
        return parse_calendar({"windows": windows}, "UTC").windows
    except ValueError as error:
        raise UserFault(error.args[0]) from error


def _written_targets(policy: SlaPolicy) -> dict[str, str]:
    if "try" in request.args:
        return {kind: request.args.get(kind, "") for kind in CLOCK_KINDS}
    targets = policies.rule_from(policy).targets
    return {kind: str(targets[kind] // 60) if kind in targets else "" for kind in CLOCK_KINDS}


def _written_windows(calendar: Calendar) -> list[str]:
    if "try" in request.args:
        return [request.args.get(f"day-{weekday}", "") for weekday in range(7)]
    days: list[list[str]] = [[] for _ in range(7)]
    held = calendars.hours_of([calendar.id])[calendar.id]
    for window in hours.hours_at(held, now()).windows:
        start, end = hours.clock_text(window.start_minute), hours.clock_text(window.end_minute)
        days[window.weekday].append(f"{start}–{end}")
    return [", ".join(day) for day in days]


def _lines(found: Simulation, branches: Sequence[Branch]) -> list[Line]:
    return [
        Line(
            branch=branch.name,
            label=gettext(words.clock(kind)),
            tally=tally,
            share_before=_share(tally.late_before, tally.owed_before),
            share_after=_share(tally.late_after, tally.owed_after),
            tone="late"
            if tally.late_after > tally.late_before
            else "good"
            if tally.late_after < tally.late_before
            else "",
        )
        for branch in branches
        for kind in CLOCK_KINDS
        if (tally := found.tallies.get((branch.id, kind))) is not None
    ]


def _share(late: int, owed: int) -> str:
    return f"{late / owed:.0%}" if owed else "–"
