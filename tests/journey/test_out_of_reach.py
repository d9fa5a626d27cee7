"""A ticket that is moved away while somebody has it open: the page says so, and what was written stays."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.journey.conftest import Installation
from tests.journey.test_writing import send_button, ticket_of_a_mail, write

pytestmark = [pytest.mark.browser, pytest.mark.journey]


def test_who_writes_in_a_ticket_that_goes_elsewhere_is_told_and_keeps_the_words(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    number = ticket_of_a_mail(installation, "Wrong branch altogether")
    page, admin = open_page("agent"), open_page("admin")
    page.goto(f"{installation.base_url}/tickets/{number}")
    write(page, "Words that stay.")
    admin.goto(f"{installation.base_url}/queue/bulk?do=move&numbers={number}")
    admin.get_by_label("Branch").select_option(label="South · Munich")
    admin.get_by_role("button", name="Change 1 ticket").click()
    expect(admin.locator(".toast").filter(has_text="1 ticket changed.")).to_be_visible()

    # As the next hint, or the next minute, makes it ask.
    page.evaluate("document.dispatchEvent(new CustomEvent('portal:changed'))")
    expect(page.locator("[data-live-status]")).to_contain_text(f"#{number} is not within your reach any more")
    send_button(page).click()
    expect(page.locator("#reply-form [data-refusal]")).to_contain_text("Your text is still here")
    expect(page.locator("#reply-panel .ck-editor__editable")).to_contain_text("Words that stay.")
