"""Hours are changed in the browser: what moves is shown before, and has moved after, without scripts as well."""

import smtplib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.journey.conftest import Installation, log_in, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.journey]

DESK = "support@west.demo.test"


def test_the_due_time_of_a_ticket_moves_with_the_hours_of_its_calendar(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    number = ticket_of(installation, "A lamp that hums")
    admin = open_page("admin")
    before = due_of(installation, admin, number)
    assert before < datetime.now(UTC) + timedelta(days=1)

    # Closed yesterday, today and tomorrow, wherever that is; the other days stay as they are.
    open_form(installation, admin)
    for day in closed_days():
        admin.locator(f"[name=around-the-clock][value='{day}']").uncheck()
    admin.locator("[name=note]").fill("Closed for the fair")
    admin.get_by_role("button", name="See what it changes").click()
    expect(admin.locator("main")).to_contain_text("due at another moment")
    expect(admin.locator("main")).to_contain_text(f"#{number} A lamp that hums")
    assert due_of(installation, open_page("admin"), number) == before
    admin.get_by_role("button", name="Save these hours").click()
    expect(admin.locator("main")).to_contain_text("Closed for the fair")

    moved = wait_until(
        lambda: due if (due := due_of(installation, admin, number)) != before else None,
        installation.log.read_text,
        60,
    )
    assert moved > before + timedelta(days=1)


def test_hours_are_changed_without_scripts(installation: Installation, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    log_in(page, installation, "admin")
    page.goto(f"{installation.base_url}/admin/calendars/list/")
    page.goto(f"{installation.base_url}/admin/calendars/add")
    page.locator("[name=name]").fill("Night watch")
    page.get_by_role("button", name="Add hours Saturday").click()
    page.locator("[name=from-5]").fill("22:00")
    page.locator("[name=until-5]").fill("06:00")
    page.get_by_role("button", name="Add a day").click()
    expect(page.locator("main")).to_contain_text("past midnight, until Sunday")
    expect(page.locator("[name=name]")).to_have_value("Night watch")
    page.locator("[name=day-date]").fill("2027-01-04")
    page.locator("[name=country]").select_option("GB")
    page.get_by_role("button", name="Show regions and holidays").click()
    page.locator("[name=subdivision]").select_option(label="Scotland")
    page.locator("form.calendar-form").get_by_role("button", name="Save").last.click()
    expect(page.locator("h1")).to_have_text("Night watch")
    expect(page.locator("main")).to_contain_text("22:00–06:00 the next day")
    expect(page.locator("main")).to_contain_text("Boxing Day")
    context.close()


def open_form(installation: Installation, admin: Any) -> None:
    admin.goto(f"{installation.base_url}/admin/calendars/list/")
    row = admin.locator("tr").filter(has_text="Around the clock")
    row.locator("a[href*='/show/']").first.click()
    admin.get_by_role("link", name="Change the hours").click()
    admin.locator("form[data-attached~=calendar]").wait_for()


def closed_days() -> set[int]:
    today = datetime.now(UTC)
    return {(today + timedelta(days=days)).weekday() for days in (-1, 0, 1)}


def due_of(installation: Installation, page: Any, number: int) -> datetime:
    """When the queue says that the ticket is due."""
    page.goto(f"{installation.base_url}/queue?view=all&text=%23{number}")
    chip = page.locator(f"#row-{number} [data-due-at]").first
    return datetime.fromisoformat(chip.get_attribute("data-due-at"))


def ticket_of(installation: Installation, subject: str) -> int:
    """The number of the ticket that a mail has become."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Fred Fair <fred@fair.test>", DESK, subject
    mail["Message-ID"] = f"<{subject.replace(' ', '-')}@fair.test>"
    mail.set_content("It hums.")
    with smtplib.SMTP("127.0.0.1", installation.smtp_port, timeout=20) as server:
        server.send_message(mail)
    found = wait_until(lambda: installation.tickets(subject), installation.log.read_text)
    number: int = found[0]["number"]
    return number
