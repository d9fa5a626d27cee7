"""Keys that are pressed before everything has come: they open what they mean, which says that it is on its way."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.journey.conftest import Installation
from tests.journey.test_writing import ticket_of_a_mail

pytestmark = [pytest.mark.browser, pytest.mark.journey]


def test_templates_open_before_the_suggestions_are_there(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    number = ticket_of_a_mail(installation, "My lamp arrived damaged")
    page = open_page("agent")
    held: list[Route] = []
    is_slow = True

    def hold(route: Route) -> None:
        if is_slow:
            held.append(route)
        else:
            route.continue_()

    page.route(f"**/tickets/{number}/suggestions", hold)
    page.route("**/console/templates.js*", hold)
    page.goto(f"{installation.base_url}/tickets/{number}", wait_until="load")
    page.keyboard.press("t")
    menu = page.locator("#reply-panel .template-menu")
    expect(menu.get_by_text("Loading…")).to_be_visible()
    expect(page.locator("#reply-panel .suggested button")).to_have_count(0)

    is_slow = False
    for route in held:
        route.continue_()
    expect(menu.get_by_label("Find a template")).to_be_focused()
    expect(page.locator("#reply-panel .suggested button").first).to_be_visible()
    # What is suggested has come beside the panel, which stays open.
    expect(menu.locator("[data-words]").first).to_be_visible()


def test_the_filter_is_a_page_while_its_dialog_has_not_come(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    page = open_page("agent")
    page.route("**/console/dialog.js*", lambda _route: None)
    page.goto(f"{installation.base_url}/queue?view=open&priority=high", wait_until="load")
    page.keyboard.press("f")
    page.wait_for_url("**/queue/filter?view=open&priority=high")
    page.get_by_label("No tag").check()
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/queue?view=open&priority=high&is_untagged=yes")
