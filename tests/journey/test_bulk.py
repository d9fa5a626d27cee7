"""Many tickets at once in a browser: answered with a template, and taken back when the toast is long gone."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.journey.conftest import Installation, wait_until
from tests.journey.test_writing import answers_of, ticket_of_a_mail

pytestmark = [pytest.mark.browser, pytest.mark.journey]


def test_a_template_goes_to_many_and_is_taken_back_from_another_page(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    subjects = ("The lamp flickers", "The lamp hums")
    numbers = [ticket_of_a_mail(installation, subject) for subject in subjects]
    page = open_page("agent")
    page.goto(f"{installation.base_url}/queue?view=open&text=lamp")
    expect(page.locator(".bulk-bar[data-ready]")).to_be_attached()
    for number in numbers:
        page.locator(f'.row-pick input[value="{number}"]').check()
    page.locator(".bulk-bar").get_by_role("button", name="Reply").click()
    dialog = page.locator("dialog")
    templates = dialog.get_by_label("Template")
    templates.select_option(index=1)
    expect(dialog.get_by_text("Mail to nora@customer.test")).to_have_count(2)
    dialog.get_by_text("Mail to nora@customer.test").first.click()
    expect(dialog.locator(".bulk-letter").first).to_contain_text("Nora")
    dialog.get_by_role("button", name="Send 2 mails").click()

    toast = page.locator(".toast").filter(has_text="2 tickets changed.")
    expect(toast).to_be_visible()
    assert [answers_of(installation, subject) for subject in subjects] == [["queued"], ["queued"]]
    page.goto(f"{installation.base_url}/tickets/{numbers[0]}")
    menu = page.locator(".undo-menu")
    expect(menu).to_be_visible()
    page.keyboard.press("u")
    expect(menu.locator("[data-undo-says]")).to_have_text("2 tickets changed.")
    expect(menu.locator("[data-undo-until]")).to_contain_text("Can be taken back until")
    menu.get_by_role("button", name="Undo").click()
    expect(page.locator(".toast").filter(has_text="2 tickets as before.")).to_be_visible()
    expect(menu).to_be_hidden()
    assert [answers_of(installation, subject) for subject in subjects] == [["cancelled"], ["cancelled"]]


def test_a_merge_can_be_taken_back_on_the_page_it_led_to_and_in_other_tabs_of_the_same_person(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    first, other = (
        ticket_of_a_mail(installation, subject) for subject in ("Green kettle", "Green kettle too")
    )
    page = open_page("agent")
    tab = page.context.new_page()
    tab.goto(f"{installation.base_url}/queue")
    expect(tab.locator(".undo-menu")).to_be_hidden()
    page.goto(f"{installation.base_url}/tickets/{first}")
    page.get_by_label("More about this ticket").click()
    page.get_by_text("Merge into another ticket").click()
    dialog = page.locator("dialog")
    dialog.locator(f'input[name="number"][value="{other}"]').check()
    dialog.get_by_role("button", name="Merge into it").click()
    page.wait_for_url(f"**/tickets/{other}")
    expect(page.locator(".undo-menu")).to_be_visible()

    expect(tab.locator(".undo-menu")).to_be_visible()
    tab.locator(".undo-menu > summary").click()
    expect(tab.locator("[data-undo-says]")).to_have_text(f"#{first} was merged into #{other}.")
    tab.locator("[data-undo]").click()
    expect(page.locator(".undo-menu")).to_be_hidden()
    wait_until(
        lambda: len(installation.tickets("Green kettle too")[0]["messages"]) == 1, installation.log.read_text
    )

    # Somebody else at the same machine is offered nothing of it.
    page.evaluate(
        "localStorage.setItem('portal.undo', JSON.stringify({ user: '0', ends: Date.now() + 60000, fields: {} }))"
    )
    page.reload()
    expect(
        page.locator(".bell-menu [data-bell-count], .bell-menu > summary[aria-label]").first
    ).to_be_attached()
    expect(page.locator(".undo-menu")).to_be_hidden()
