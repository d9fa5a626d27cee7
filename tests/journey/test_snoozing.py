"""A ticket put aside with one key comes back by itself: when its customer writes, and at its time."""

import smtplib
from collections.abc import Callable
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.journey.conftest import Installation, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.journey]

DESK = "support@north.demo.test"
# From the listener to the open page, on a machine that is busy with other things.
MAIL_MS = 30_000


def test_a_snoozed_ticket_returns_when_the_customer_writes(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    number = ticket_of(installation, "The kettle drips")
    page = open_page("agent")
    page.goto(f"{installation.base_url}/tickets/{number}")
    opened(page)
    page.locator("#ticket-subject").click()
    page.keyboard.press("z")
    dialog = page.locator("dialog[open]")
    expect(dialog).to_contain_text("Clocks keep running")
    dialog.get_by_role("button", name="Tomorrow morning").click()
    expect(page.locator(".ticket-head .banner")).to_contain_text("Snoozed until Tomorrow 09:00 by you")
    expect(page.locator(".fact").last).to_be_visible()
    expect(page.locator(".entries")).to_contain_text("Snoozed until Tomorrow 09:00 by you")

    # It is out of the way, and its place says when it is back.
    page.goto(f"{installation.base_url}/queue?view=unassigned")
    expect(page.locator("[data-rows]")).to_be_visible()
    expect(page.locator(f"#row-{number}")).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page.locator(f"#row-{number}")).to_contain_text("until Tomorrow 09:00")

    # The customer's mail brings it back, while somebody looks.
    page.locator(f"#row-{number}").click()
    expect(page.locator(".ticket-head .banner")).to_be_visible()
    opened(page)
    mail(installation, "The kettle drips", "Now it drips on the cat.", is_answer=True)
    expect(page.locator(".entries")).to_contain_text("Now it drips on the cat.", timeout=MAIL_MS)
    expect(page.locator(".entries")).to_contain_text("because the customer wrote")
    expect(page.locator(".ticket-head .banner")).to_have_count(0)
    page.goto(f"{installation.base_url}/queue?view=unassigned")
    expect(page.locator(f"#row-{number}")).to_be_visible()
    page.locator(".bell-menu > summary").click()
    expect(page.locator(".bell-item").filter(has_text="which you had snoozed")).to_have_count(1)


def test_a_snooze_is_taken_back_with_one_click(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    number = ticket_of(installation, "The toaster smokes")
    page = open_page("agent")
    page.goto(f"{installation.base_url}/tickets/{number}")
    opened(page)
    page.get_by_role("link", name="Snooze").click()
    own = page.locator("dialog[open] .snooze-own")
    own.locator("input[type=datetime-local]").fill(f"{datetime.now() + timedelta(days=3):%Y-%m-%dT10:30}")
    own.get_by_role("button", name="Snooze until then").click()
    expect(page.locator(".ticket-head .banner")).to_contain_text("10:30 by you")
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".ticket-head .banner")).to_have_count(0)
    expect(page.locator(".entries")).to_contain_text("woken")


def test_a_reply_goes_out_and_its_ticket_is_put_aside_with_one_click(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    number = ticket_of(installation, "The blender sings")
    page = open_page("agent")
    page.goto(f"{installation.base_url}/tickets/{number}")
    opened(page)
    page.locator("#reply-panel .ck-editor__editable").click()
    page.keyboard.type("We are looking for the song.")
    page.locator("#reply-form").get_by_label("Send and snooze").click()
    page.locator("#reply-form").get_by_role("button", name="Tomorrow morning").click()
    expect(page.locator(".ticket-head .banner")).to_contain_text("Snoozed until Tomorrow 09:00 by you")
    expect(page.locator(".letter-out")).to_have_count(1)
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator("#reply-panel .ck-editor__editable")).to_contain_text("looking for the song")
    expect(page.locator(".ticket-head .banner")).to_have_count(0)


def opened(page: Any) -> None:
    """Once the editor stands, what belongs to the page's own scripts does as well."""
    expect(page.locator("#reply-panel .ck-editor__editable")).to_be_visible()


def ticket_of(installation: Installation, subject: str) -> int:
    mail(installation, subject, "Please help.")
    found = wait_until(lambda: installation.tickets(subject), installation.log.read_text)
    number: int = found[0]["number"]
    return number


def mail(installation: Installation, subject: str, words: str, *, is_answer: bool = False) -> None:
    first = f"<{subject.replace(' ', '-')}@customer.test>"
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "Nora <nora@customer.test>", DESK, subject
    letter["Message-ID"] = f"<again-{first[1:]}" if is_answer else first
    if is_answer:
        letter["In-Reply-To"] = first
    letter.set_content(words)
    with smtplib.SMTP("127.0.0.1", installation.smtp_port) as server:
        server.send_message(letter)
