"""Calendars are looked at and changed by people who write no JSON."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest

from portal.extensions import db
from portal.models import AuditEntry, Calendar, CalendarVersion, Clock
from portal.models.columns import as_of, now
from portal.services import calendars, counting, events, sla, tickets
from portal.services.transaction import transaction
from tests.leads.test_what_if import asked

TUESDAY = datetime(2026, 11, 24, 9, tzinfo=UTC)
OFFICE = [{"weekday": day, "start": "09:00", "end": "17:00"} for day in range(5)]


@pytest.fixture(autouse=True)
def _today():
    with as_of(TUESDAY):
        yield


def office(**more):
    """The form of an office, Monday to Friday."""
    return {
        **{f"from-{day}": ["09:00"] for day in range(5)},
        **{f"until-{day}": ["17:00"] for day in range(5)},
        "valid_from": "2026-11-24",
        "time_zone": "Europe/London",
        "country": "",
        "subdivision": "",
        "note": "",
        "do": "check",
        **more,
    }


def versions_of(calendar):
    return db.session.query(CalendarVersion).filter_by(calendar_id=calendar.id).order_by("id").all()


def save(client, calendar, **more):
    base = versions_of(calendar)[-1].id
    address = f"/admin/calendars/version/{calendar.id}"
    return client.post(address, data=office(do="save", base=base, **more))


class TestForm:
    def test_new_calendar_is_made_with_its_first_version(self, house, login):
        answer = login(house.admin).post(
            "/admin/calendars/add", data=office(name="Leeds", note="From the start")
        )
        assert answer.status_code == 302
        calendar = db.session.query(Calendar).filter_by(name="Leeds").one()
        (version,) = calendar.versions
        assert (version.windows, version.time_zone) == (OFFICE, "Europe/London")
        assert (version.account_id, version.note) == (house.admin.id, "From the start")
        entry = db.session.query(AuditEntry).filter_by(object_type="calendar", action="added").one()
        assert entry.changes["time_zone"]["to"] == "Europe/London"

    def test_lunch_night_shift_and_midnight_are_kept(self, house, login):
        values = office(
            name="Shifts",
            **{"from-0": ["13:30", "09:00"], "until-0": ["18:00", "12:30"]},
            **{"from-4": ["22:00"], "until-4": ["06:00"], "from-2": ["20:00"], "until-2": ["00:00"]},
            **{"around-the-clock": ["6"]},
        )
        login(house.admin).post("/admin/calendars/add", data=values)
        (version,) = db.session.query(Calendar).filter_by(name="Shifts").one().versions
        said = [(each["weekday"], each["start"], each["end"]) for each in version.windows]
        assert said[:2] == [(0, "09:00", "12:30"), (0, "13:30", "18:00")]
        assert (2, "20:00", "24:00") in said
        assert (4, "22:00", "06:00") in said
        assert (6, "00:00", "24:00") in said
        page = login(house.admin).get(f"/admin/calendars/version/{version.calendar_id}").text
        assert "past midnight, until Saturday" in page
        assert "checked" in re.search(r'name="around-the-clock" value="6"[^>]*>', page).group()

    @pytest.mark.parametrize(
        ("wrong", "field", "words"),
        [
            ({"until-1": ["09:00"]}, "weekday-1", "From and until are the same"),
            ({"until-1": [""]}, "weekday-1", "Give both times"),
            ({"from-1": ["nine"]}, "weekday-1", "Give both times"),
            ({"from-1": ["09:00", "12:00"], "until-1": ["13:00", "17:00"]}, "weekday-1", "overlap"),
            ({"from-0": ["22:00"], "until-0": ["10:00"]}, "weekday-0", "hours of the next day"),
            (
                {f"{side}-{day}": [] for side in ("from", "until") for day in range(5)},
                "week",
                "no working time",
            ),
            ({"time_zone": "Europe/Lundun"}, "time_zone", "Choose a time zone"),
            ({"time_zone": "../../etc/passwd"}, "time_zone", "Choose a time zone"),
            ({"valid_from": "1999-01-01"}, "valid_from", "is not changed any more"),
            ({"valid_from": "2099-01-01"}, "valid_from", "five years ahead"),
            ({"valid_from": "soon"}, "valid_from", "Choose the day"),
            ({"country": "XX"}, "country", "no country"),
            ({"country": "DE", "subdivision": "TX"}, "subdivision", "no region"),
            (
                {"day-date": ["2026-12-24"] * 2, "day-name": ["a", "b"], "day-hours": ["", ""]},
                "day-1",
                "listed twice",
            ),
            ({"day-date": [""], "day-name": ["a"], "day-hours": [""]}, "day-0", "its date"),
            (
                {"day-date": ["2026-12-24"], "day-name": [""], "day-hours": ["noon"]},
                "day-0",
                "Write hours like",
            ),
            (
                {"day-date": ["2026-12-24"], "day-name": [""], "day-hours": ["09:00-12:00, 11:00-13:00"]},
                "day-0",
                "overlap",
            ),
            ({"note": "n" * 501}, "note", "At most 500"),
        ],
    )
    def test_what_cannot_be_is_said_at_the_field_and_nothing_is_lost(self, wrong, field, words, house, login):
        calendar = house.north.calendar
        values = office(**{"note": "Kept words", "from-4": ["09:11"], **wrong})
        page = login(house.admin).post(f"/admin/calendars/version/{calendar.id}", data=values)
        assert page.status_code == 422
        fault = re.search(rf'id="fault-{field}">(.*?)</p>', page.text, re.DOTALL)
        assert fault is not None, page.text
        assert words in fault.group(1)
        assert 'value="09:11"' in page.text or field == "week"
        assert "note" in wrong or "Kept words" in page.text
        assert len(versions_of(calendar)) == 1

    def test_new_calendar_needs_a_name_that_is_free(self, house, login):
        client = login(house.admin)
        for name in ("", "x" * 121):
            assert client.post("/admin/calendars/add", data=office(name=name)).status_code == 422
        taken = house.north.calendar.name
        page = client.post("/admin/calendars/add", data=office(name=taken, note="Kept words"))
        assert page.status_code == 409
        assert "of this name already" in page.text
        assert "Kept words" in page.text
        assert db.session.query(Calendar).filter_by(name=taken).count() == 1

    def test_what_people_write_is_no_markup(self, house, login):
        client, calendar = login(house.admin), house.north.calendar
        evil = "<script>alert(1)</script>"
        days = {"day-date": ["2026-12-24"], "day-name": [evil], "day-hours": [""]}
        save(client, calendar, note=evil, worked=[evil], **days)
        address = f"/admin/calendars/version/{calendar.id}"
        for page in (
            client.get(f"/admin/calendars/show/{calendar.id}"),
            client.get(address),
            client.post(address, data=office(note=evil, country=evil, **days)),
            client.post(address, data=office(note=evil, **days)),
        ):
            assert evil not in page.text
            assert "&lt;script&gt;alert(1)" in page.text

    @pytest.mark.parametrize(
        ("do", "counts"),
        [
            ("add-0", {"from-0": 2, "from-1": 1}),
            ("remove-0-0", {"from-0": 0, "from-1": 1}),
            ("add-9", {"from-0": 1}),
            ("remove-0-77", {"from-0": 1}),
            ("remove-x-0", {"from-0": 1}),
            ("day", {"day-date": 2}),
            ("undate-0", {"day-date": 0}),
            ("copy", {"from-4": 1, "from-5": 0}),
            ("edit", {"from-0": 1}),
        ],
    )
    def test_rows_come_and_go_without_scripts(self, do, counts, house, login):
        values = office(do=do, **{"day-date": ["2026-12-24"], "day-name": ["Eve"], "day-hours": [""]})
        values["note"] = "Kept words"
        page = login(house.admin).post(f"/admin/calendars/version/{house.north.calendar_id}", data=values)
        assert page.status_code == 200
        shown = re.sub(r"<template>.*?</template>", "", page.text, flags=re.DOTALL)
        assert {name: shown.count(f'name="{name}"') for name in counts} == counts
        assert "Kept words" in shown

    def test_monday_is_copied_to_the_weekdays(self, house, login):
        values = office(do="copy", **{"from-0": ["07:15", "13:00"], "until-0": ["12:00", "16:00"]})
        page = (
            login(house.admin).post(f"/admin/calendars/version/{house.north.calendar_id}", data=values).text
        )
        assert page.count('value="07:15"') == 5


class TestHolidays:
    def test_a_country_brings_its_named_holidays_for_the_years_around(self, house, login):
        calendar = house.north.calendar
        assert save(login(house.admin), calendar, country="DE", subdivision="BY").status_code == 302
        version = versions_of(calendar)[-1]
        years = {each["date"][:4] for each in version.public_holidays}
        assert years == {str(year) for year in range(2025, 2032)}
        assert {"date": "2026-12-25", "name": "Erster Weihnachtstag"} in version.public_holidays
        page = login(house.admin).get(f"/admin/calendars/show/{calendar.id}").text
        assert "Erster Weihnachtstag" in page

    def test_the_form_shows_them_before_anything_is_saved(self, house, login):
        values = office(do="holidays", country="GB", subdivision="SCT")
        page = (
            login(house.admin).post(f"/admin/calendars/version/{house.north.calendar_id}", data=values).text
        )
        assert "Saint Andrew" in page
        assert "Scotland" in page

    def test_one_of_them_is_worked_on_and_an_own_day_wins(self, house, login):
        calendar = house.north.calendar
        days = {"day-date": ["2026-12-26"], "day-name": ["Sale"], "day-hours": ["10:00–14:00"]}
        save(login(house.admin), calendar, country="GB", subdivision="ENG", worked=["Christmas Day"], **days)
        held = calendars.hours_of([calendar.id])[calendar.id].valid_on(date(2026, 12, 1)).calendar
        by_day = {each.date: each for each in held.holidays}
        assert date(2026, 12, 25) not in by_day
        assert by_day[date(2026, 12, 26)].windows == ((600, 840),)
        assert by_day[date(2026, 12, 28)].name == "Boxing Day (observed)"

    def test_years_that_come_near_are_added_and_the_past_stays(self, house, login):
        calendar = house.north.calendar
        save(login(house.admin), calendar, country="GB", subdivision="ENG", worked=["Christmas Day"])
        before = versions_of(calendar)[-1]
        assert calendars.extend_holidays() == 0
        with as_of(datetime(2027, 1, 2, tzinfo=UTC)):
            assert calendars.extend_holidays() == 1
            assert calendars.extend_holidays() == 0
        after = versions_of(calendar)[-1]
        assert (after.valid_from, after.windows, after.days) == (
            before.valid_from,
            before.windows,
            before.days,
        )
        assert after.account_id is None
        assert after.public_holidays[: len(before.public_holidays)] == before.public_holidays
        added = after.public_holidays[len(before.public_holidays) :]
        assert {each["date"][:4] for each in added} == {"2032"}
        assert {each["name"] for each in added if each.get("is_worked")} == {"Christmas Day"}


class TestVersions:
    def test_before_saving_it_is_said_which_clocks_move(self, make, house, login):
        ticket = asked(make, house.north, TUESDAY - timedelta(hours=14))
        ticket_due = ticket.next_due_at
        client = login(house.admin)
        page = client.post(
            f"/admin/calendars/version/{house.north.calendar_id}", data=office(note="Office only")
        )
        assert page.status_code == 200
        assert "due at another moment" in page.text
        assert f"#{ticket.number}" in page.text
        assert 'name="note" value="Office only"' in page.text
        assert len(versions_of(house.north.calendar)) == 1
        db.session.refresh(ticket)
        assert ticket.next_due_at == ticket_due

    def test_after_saving_they_have_moved_and_what_was_met_has_not(self, make, house, login):
        with as_of(TUESDAY - timedelta(hours=14)):
            waiting = asked(make, house.north, TUESDAY - timedelta(minutes=10))
        met = asked(make, house.north, TUESDAY - timedelta(hours=14), 20)
        calendar = house.north.calendar
        kept = db.session.query(Clock).filter_by(ticket_id=met.id, kind="first_response").one()
        figures = (kept.state, kept.elapsed_seconds, kept.due_at)
        assert save(login(house.admin), calendar).status_code == 302
        assert counting.has_waiting()
        counting.count_waiting(30)
        assert not counting.has_waiting()
        db.session.expire_all()
        # Ten minutes before opening, and an hour to answer.
        assert waiting.next_due_at == TUESDAY + timedelta(hours=1)
        kept = db.session.query(Clock).filter_by(ticket_id=met.id, kind="first_response").one()
        assert (kept.state, kept.elapsed_seconds, kept.due_at) == figures
        (told,) = events.of_ticket(waiting.id, ["hours_changed"])
        assert (told.actor_id, told.data["to"]) == (house.admin.id, waiting.next_due_at.isoformat())
        history = login(house.admin).get(f"/tickets/{waiting.number}").text
        assert f"The hours of “{calendar.name}” were changed" in history

    def test_a_job_that_was_interrupted_goes_on_where_it_was(self, make, house, login, monkeypatch):
        monkeypatch.setattr(counting, "BATCH", 2)
        all_of_them = [asked(make, house.north, TUESDAY - timedelta(minutes=10)) for _ in range(5)]
        save(login(house.admin), house.north.calendar)
        assert counting._count_batch() == 2
        assert versions_of(house.north.calendar)[-1].counted_to == all_of_them[1].id
        assert counting.count_waiting(30) == 3
        assert counting.count_waiting(30) == 0
        db.session.expire_all()
        assert {ticket.next_due_at for ticket in all_of_them} == {TUESDAY + timedelta(hours=1)}

    def test_the_second_of_two_who_save_at_once_is_told(self, house, login):
        calendar = house.north.calendar
        client, base = login(house.admin), versions_of(calendar)[-1].id
        address = f"/admin/calendars/version/{calendar.id}"
        assert client.post(address, data=office(do="save", base=base)).status_code == 302
        again = client.post(address, data=office(do="save", base=base, note="Kept words"))
        assert again.status_code == 409
        assert "Somebody has changed these hours" in again.text
        assert "Kept words" in again.text
        assert len(versions_of(calendar)) == 2

    def test_the_zone_of_a_branch_does_not_change_its_hours(self, make):
        branch = make.branch(calendar=make.calendar(windows=OFFICE, time_zone="Europe/London"))
        ticket = asked(make, branch, TUESDAY)
        due = ticket.next_due_at
        branch.time_zone = "Asia/Tokyo"
        db.session.commit()
        assert not sla.recompute(ticket)
        assert ticket.next_due_at == due

    def test_a_ticket_without_hours_of_its_own_is_counted_by_its_branchs(self, make):
        branch = make.branch(calendar=make.calendar(windows=OFFICE, time_zone="Europe/London"))
        with transaction():
            ticket = tickets.open_ticket(subject="Old", branch=branch, customer=make.customer())
            ticket.calendar_id = None
            sla.refresh(ticket)
        assert ticket.next_due_at == TUESDAY + timedelta(hours=1)
        assert now() == TUESDAY

    def test_the_page_tells_the_versions_with_their_state(self, house, login):
        calendar = house.north.calendar
        client = login(house.admin)
        save(client, calendar, valid_from="2027-01-04", note="New year, new hours")
        page = client.get(f"/admin/calendars/show/{calendar.id}").text
        assert "New year, new hours" in page
        assert "will hold" in page
        assert "holds now" in page

    @pytest.mark.parametrize("page", ["show", "version"])
    def test_pages_ask_few_queries(self, page, make, house, login, count_queries):
        client, calendar = login(house.admin), house.north.calendar
        for _ in range(3):
            save(client, calendar, country="DE", subdivision="BY")
        with count_queries() as counted:
            assert client.get(f"/admin/calendars/{page}/{calendar.id}").status_code == 200
        assert len(counted) <= 12, counted

    def test_the_difference_asks_few_queries_however_many_tickets(self, make, house, login, count_queries):
        for _ in range(6):
            asked(make, house.north, TUESDAY - timedelta(minutes=10))
        client = login(house.admin)
        with count_queries() as counted:
            page = client.post(f"/admin/calendars/version/{house.north.calendar_id}", data=office())
        assert page.status_code == 200
        assert len(counted) <= 12, counted


class TestAccess:
    @pytest.mark.parametrize("role", ["agent", "lead", "auditor"])
    def test_only_admins_change_hours(self, role, house, login):
        calendar = house.north.calendar
        client = login(getattr(house, role))
        base = versions_of(calendar)[-1].id
        for address in (f"version/{calendar.id}", "add"):
            answer = client.post(
                f"/admin/calendars/{address}", data=office(do="save", base=base, name="Mine")
            )
            assert answer.status_code in (302, 403)
            assert client.get(f"/admin/calendars/{address}").status_code in (302, 403)
        assert len(versions_of(calendar)) == 1
        assert db.session.query(Calendar).filter_by(name="Mine").count() == 0

    def test_an_auditor_reads_and_is_offered_no_change(self, house, login):
        page = login(house.auditor).get(f"/admin/calendars/show/{house.north.calendar_id}")
        assert page.status_code == 200
        assert "Change the hours" not in page.text

    def test_programs_read_versions_and_write_none(self, house, login):
        client, calendar = login(house.admin), house.north.calendar
        found = client.get("/api/v1/calendar_versions/").json["result"]
        assert calendar.id in [each["calendar"]["id"] for each in found]
        assert client.post("/api/v1/calendar_versions/", json={"time_zone": "UTC"}).status_code == 405
        assert client.post("/api/v1/calendars/", json={"name": "Empty"}).status_code == 405
        assert login(house.agent).get("/api/v1/calendar_versions/").status_code == 403

    @pytest.mark.parametrize("pk", ["0", "999999", "x", "-1", "1%20OR%201=1"])
    def test_ids_that_are_none_are_not_found(self, pk, house, login):
        client = login(house.admin)
        assert client.get(f"/admin/calendars/version/{pk}").status_code == 404
        assert client.post(f"/admin/calendars/version/{pk}", data=office()).status_code == 404


def test_the_form_begins_with_the_hours_of_today_or_of_the_version_that_is_chosen(house, login):
    calendar = house.north.calendar
    client = login(house.admin)
    save(client, calendar, valid_from="2027-01-04", **{"from-2": ["06:30"]})
    page = client.get(f"/admin/calendars/version/{calendar.id}").text
    assert 'value="06:30"' not in page
    assert 'name="valid_from" value="2026-11-24"' in page
    coming = versions_of(calendar)[-1]
    page = client.get(f"/admin/calendars/version/{calendar.id}?of={coming.id}").text
    assert 'value="06:30"' in page
    assert 'name="valid_from" value="2027-01-04"' in page
    foreign = versions_of(house.south.calendar)[-1]
    assert client.get(f"/admin/calendars/version/{calendar.id}?of={foreign.id}").status_code == 404
    page = client.post(f"/admin/calendars/version/{calendar.id}", data=office()).text
    assert "From Mon 4 January 2027 on a version that is there already holds" in page
