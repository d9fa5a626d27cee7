"""A routing rule from nothing, in the browser: built, tried, compared, saved, and then it takes real mail."""

import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.journey.conftest import Installation, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.journey]

DESK = "support@north.demo.test"


def letter(subject: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Nora <nora@customer.test>", DESK, subject
    mail["Message-ID"] = f"<{subject.replace(' ', '-')}@customer.test>"
    mail.set_content("My umbrella leaks.")
    return mail


def test_a_rule_is_built_tried_and_takes_mail(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    admin = open_page("admin")
    admin.goto(f"{installation.base_url}/admin/routing-rules/add")
    admin.locator("input[name=name]").fill("Umbrellas")
    admin.locator("input[name=position]").fill("1")

    # By keyboard: what is added has the focus.
    admin.get_by_role("button", name="Add conditions").press("Enter")
    expect(admin.locator("#conditions-0-0-field")).to_be_focused()
    admin.keyboard.press("Tab")
    admin.locator("#conditions-0-0-operator").select_option("any_word")
    words = admin.locator("textarea#conditions-0-0-value")
    expect(words).to_be_visible()
    words.fill("umbrella\nparasol")
    admin.get_by_role("button", name="Add a condition").press("Enter")
    expect(admin.locator("#conditions-0-1-field")).to_be_focused()
    admin.locator("#conditions-0-1-field").select_option("has_attachment")
    expect(admin.locator("select#conditions-0-1-value")).to_be_visible()
    expect(words).to_have_value("umbrella\nparasol")
    admin.locator("#conditions-0-1-value").select_option("no")
    admin.locator("#tags").fill("rain")
    admin.locator("select[name=priority]").select_option("high", force=True)

    # Tried with a mail that does not hold, and with one that does; nothing is saved by it.
    admin.locator("#try-mail").fill(letter("A broken lamp").as_string())
    admin.get_by_role("button", name="Try with this mail").click()
    own = admin.locator(".tried-steps li").filter(has_text="Umbrellas")
    expect(own).to_contain_text("Does not hold: Subject has any of the words “umbrella”, “parasol”")
    admin.locator("#try-mail").fill(letter("An umbrella").as_string())
    admin.get_by_role("button", name="Try with this mail").click()
    expect(own).to_contain_text("Holds:")
    expect(admin.locator(".tried-facts")).to_contain_text("rain")
    admin.get_by_role("button", name="Compare with the last tickets").click()
    expect(admin.locator("#tried-title")).to_contain_text("of the last tickets would be placed otherwise")

    # Return in a field saves, and the list says in words what the rule is.
    admin.locator("input[name=name]").press("Enter")
    admin.wait_for_url(lambda url: "/list" in url)
    expect(admin.locator("tbody tr").first).to_contain_text(
        "Subject has any of the words “umbrella”, “parasol”"
    )

    with smtplib.SMTP("127.0.0.1", installation.smtp_port, timeout=30) as session:
        session.send_message(letter("My umbrella leaks"))
    number = wait_until(lambda: installation.tickets("My umbrella leaks"), installation.log.read_text, 60)[0][
        "number"
    ]
    admin.goto(f"{installation.base_url}/tickets/{number}")
    expect(admin.locator("main")).to_contain_text("rain")
