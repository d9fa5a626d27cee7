"""Every page for everybody: axe (WCAG 2.2 A and AA) finds nothing, in the light and in the dark."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.journey.conftest import Installation, log_in

pytestmark = [pytest.mark.browser, pytest.mark.journey]

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
PAGES = {
    "agent": ("/queue", "/queue?view=all&text=order", "/settings", "/notifications", "TICKET", "CUSTOMER"),
    "lead": ("/leads/", "/leads/undelivered"),
    "admin": (
        "/admin/",
        "/admin/branches/list/",
        "/admin/branches/edit/1",
        "/admin/accounts/list/",
        "/admin/accounts/edit/1",
        "/admin/templates/list/",
        "/admin/people/list/",
    ),
    None: ("/login/",),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("who", PAGES, ids=lambda who: who or "nobody")
def test_nothing_stands_in_anybodys_way(
    installation: Installation, browser: Any, who: str | None, scheme: str
) -> None:
    # A page of its own: axe itself breaks the policy of our pages, which their own tests do not forgive.
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    if who is not None:
        log_in(page, installation, who)
    found = {}
    for path in PAGES[who]:
        visit(page, installation.base_url, path)
        result = Axe().run(page, options=RULES)
        broken = [
            f"{violation['id']}: {node['html'][:160]}"
            for violation in result.response["violations"]
            for node in violation["nodes"][:4]
        ]
        if broken:
            found[path] = broken
    context.close()
    assert not found


def visit(page: Any, base_url: str, path: str) -> None:
    if path not in ("TICKET", "CUSTOMER"):
        response = page.goto(base_url + path)
        assert response.status == 200, path
        page.wait_for_load_state("load")
        return
    page.goto(f"{base_url}/queue")
    page.locator("a.row").first.click()
    page.locator(".ck-editor__editable").first.wait_for()
    if path == "CUSTOMER":
        page.locator(".side-name a").click()
        page.locator("dialog[open]").wait_for()
