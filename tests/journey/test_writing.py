"""Writing at the desk: a draft on two machines, second thoughts, a file that was forgotten, a colleague called in."""

import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.journey.conftest import Installation, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.journey]

DESK = "support@north.demo.test"


def test_words_survive_crashes_second_thoughts_and_forgotten_files(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    number = ticket_of_a_mail(installation, "The fridge hums")
    address = f"{installation.base_url}/tickets/{number}"

    # Begun at one machine, which then dies; gone on with at another.
    first = open_page("agent")
    first.goto(address)
    write(first, "We look into it")
    expect(first.locator("#reply-form [data-says]")).to_have_text("Draft kept")
    first.context.close()
    second = open_page("agent")
    second.goto(address)
    editor = second.locator("#reply-panel .ck-editor__editable")
    expect(editor).to_contain_text("We look into it")

    # A file that is announced and not there is asked about once.
    write(second, " and send the attached plan.")
    send_button(second).click()
    expect(second.get_by_text("You write “attached”, but nothing is attached.")).to_be_visible()
    assert answers_of(installation, "The fridge hums") == []
    second.get_by_role("button", name="Send anyway").click()
    expect(second.locator(".letter-out")).to_have_count(1)

    # Taken back at once: nothing counts, and the words are the draft again.
    second.locator(".toast").get_by_role("button", name="Undo").click()
    expect(second.locator("#reply-panel .ck-editor__editable")).to_contain_text("and send the attached plan.")
    expect(second.get_by_text("Taken back, not sent")).to_be_visible()
    assert answers_of(installation, "The fridge hums") == ["cancelled"]

    # A colleague is called in by name, and hears of it at once.
    colleague = open_page("lead")
    colleague.goto(f"{installation.base_url}/queue")
    bell = colleague.locator(".bell-menu > summary")
    expect(bell).to_be_visible()
    second.locator("#tab-note").click()
    note = second.locator("#note-panel .ck-editor__editable")
    expect(note).to_be_visible()
    note.click()
    second.keyboard.type("@lau")
    expect(second.locator(".ck-mentions")).to_be_visible()
    second.keyboard.press("Enter")
    second.keyboard.type(" please look")
    second.keyboard.press("Control+Enter")
    expect(second.locator(".letter-note")).to_contain_text("please look")
    expect(colleague.locator("[data-bell-count]")).to_be_visible()
    bell.click()
    colleague.locator(".bell-item").filter(has_text="mentioned you").click()
    expect(colleague.locator("#ticket-subject")).to_have_text("The fridge hums")


def test_a_second_window_does_not_overwrite_the_first(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    number = ticket_of_a_mail(installation, "The oven beeps")
    address = f"{installation.base_url}/tickets/{number}"
    one = open_page("agent")
    one.goto(address)
    expect(one.locator("#reply-panel .ck-editor__editable")).to_be_visible()
    other = one.context.new_page()
    other.goto(address)
    write(one, "From the first window.")
    expect(one.locator("#reply-form [data-says]")).to_have_text("Draft kept")
    write(other, "From the second.")

    expect(other.get_by_text("You went on with this draft in another window.")).to_be_visible()
    other.get_by_role("button", name="Take the newer text").click()
    expect(other.locator("#reply-panel .ck-editor__editable")).to_contain_text("From the first window.")


def write(page: Any, words: str) -> None:
    editor = page.locator("#reply-panel .ck-editor__editable")
    expect(editor).to_be_visible()
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type(words)


def send_button(page: Any) -> Any:
    return page.locator("#reply-form").get_by_role("button", name="Send", exact=True)


def ticket_of_a_mail(installation: Installation, subject: str) -> int:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Nora <nora@customer.test>", DESK, subject
    mail["Message-ID"] = f"<{subject.replace(' ', '-')}@customer.test>"
    mail.set_content("Please help.")
    with smtplib.SMTP("127.0.0.1", installation.smtp_port) as server:
        server.send_message(mail)
    found = wait_until(lambda: installation.tickets(subject), installation.log.read_text)
    number: int = found[0]["number"]
    return number


def answers_of(installation: Installation, subject: str) -> list[str]:
    messages = installation.tickets(subject)[0]["messages"]
    return [message["delivery_state"] for message in messages if message["direction"] == "out"]
