"""Open tickets are counted by changed hours once, however many workers look, and whatever happened meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from flask import Flask

from portal.extensions import db
from portal.models import CalendarVersion, Clock, Event
from portal.models.columns import as_of, now
from portal.services import calendars, counting, sla, sweep
from portal.services.transaction import transaction
from tests.factory import Factory
from tests.leads.test_what_if import asked

ALWAYS = [{"weekday": day, "start": "00:00", "end": "24:00"} for day in range(7)]


def closed(at: datetime) -> calendars.Said:
    """Every day but the ones about that moment."""
    off = {(at + timedelta(days=days)).weekday() for days in (-1, 0, 1)}
    return calendars.Said("UTC", [window for window in ALWAYS if window["weekday"] not in off], [])


def change(make: Factory, branch, said: calendars.Said) -> None:
    newest = calendars.newest_version(branch.calendar)
    calendars.record(
        branch.calendar,
        said,
        now().date() - timedelta(days=3),
        note="",
        actor=make.agent("Admin"),
        seen_id=newest.id,
    )


def test_four_workers_at_once_count_every_ticket_once(
    app: Flask, real_commits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Factory()
    monkeypatch.setattr(counting, "BATCH", 3)
    branch = make.branch()
    ids = [asked(make, branch, now() - timedelta(minutes=5)).id for _ in range(13)]
    change(make, branch, closed(now()))
    db.session.remove()

    def count(_number: int) -> int:
        with app.app_context():
            return counting.count_waiting(60)

    with ThreadPoolExecutor(4) as pool:
        counted = sum(pool.map(count, range(8)))
    count(0)
    assert counted <= len(ids)
    told = db.session.query(Event).filter(Event.ticket_id.in_(ids), Event.kind == "hours_changed").count()
    assert told == len(ids)
    assert not counting.has_waiting()
    soonest = {due for (due,) in db.session.query(Clock.due_at).filter(Clock.kind == "first_response")}
    assert min(soonest) > now() + timedelta(days=1)


def test_a_breach_that_was_fired_stays_one(make: Factory) -> None:
    branch = make.branch()
    ticket = asked(make, branch, now() - timedelta(minutes=70))
    sweep.sweep()
    first = db.session.query(Clock).filter_by(ticket_id=ticket.id, kind="first_response").one()
    assert first.state == "breached"
    due_at, breached_at = first.due_at, first.breached_at
    change(make, branch, closed(now()))
    counting.count_waiting(60)
    db.session.expire_all()
    assert (first.state, first.due_at, first.breached_at) == ("breached", due_at, breached_at)
    assert db.session.query(Event).filter_by(ticket_id=ticket.id, kind="sla_breached").count() == 1


def test_hours_that_make_a_clock_late_at_once_are_noticed_once(make: Factory) -> None:
    branch = make.branch(calendar=make.calendar(windows=closed(now()).windows))
    ticket = asked(make, branch, now() - timedelta(minutes=70))
    assert ticket.next_due_at > now() + timedelta(days=1)
    found = counting.difference(
        branch.calendar,
        calendars.version_from(calendars.Said("UTC", ALWAYS, []), now().date() - timedelta(days=3)),
    )
    assert (found.moved, found.late_at_once, found.compared) == (2, 1, 1)
    change(make, branch, calendars.Said("UTC", ALWAYS, []))
    counting.count_waiting(60)
    sweep.sweep()
    with transaction(ticket):
        sla.refresh(ticket)
    assert ticket.is_breached
    assert db.session.query(Event).filter_by(ticket_id=ticket.id, kind="sla_breached").count() == 1


def test_what_was_recorded_is_never_changed(make: Factory) -> None:
    branch = make.branch()
    (first,) = branch.calendar.versions
    before = (first.windows, first.valid_from, first.recorded_at)
    change(make, branch, closed(now()))
    db.session.expire_all()
    versions = db.session.query(CalendarVersion).filter_by(calendar_id=branch.calendar_id).all()
    assert len(versions) == 2
    assert (first.windows, first.valid_from, first.recorded_at) == before


def test_a_version_of_a_machine_whose_clock_is_ahead_waits_until_it_is_known(make: Factory) -> None:
    branch = make.branch()
    ticket = asked(make, branch, now() - timedelta(minutes=5))
    due_at = ticket.next_due_at
    with as_of(now() + timedelta(seconds=30)):
        change(make, branch, closed(now()))
    assert not counting.has_waiting()
    assert counting.count_waiting(60) == 0
    change(make, branch, closed(now()))
    first, ahead, behind = db.session.query(CalendarVersion).order_by(CalendarVersion.id)
    assert first.recorded_at < ahead.recorded_at <= behind.recorded_at
    with as_of(now() + timedelta(seconds=31)):
        assert counting.has_waiting()
        counting.count_waiting(60)
    db.session.expire_all()
    assert ticket.next_due_at > due_at + timedelta(days=1)
