"""Every page for everybody: axe (WCAG 2.2 A and AA) finds nothing, in the light and in the dark."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.journey.conftest import IS_ATTACHED, Installation, log_in

pytestmark = [pytest.mark.browser, pytest.mark.journey]

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
PAGES = {
    "agent": (
        *("/queue", "/queue?view=all&text=order", "/settings", "/notifications"),
        *("FILTER", "SELECTION", "KEYS"),
        *("TICKET", "TICKET CUSTOMER", "TICKET SNOOZE", "TICKET TRIAGE", "TICKET CLOCKS", "TICKET HISTORY"),
        *("TICKET MERGE", "TICKET TEMPLATES", "TICKET NOTE", "TICKET LINK", "TICKET SNOOZED"),
    ),
    "lead": ("/leads/", "/leads/undelivered", "/leads/what-if"),
    "admin": (
        "/admin/",
        *(
            f"/admin/{noun}/list/"
            for noun in ("branches", "tiers", "accounts", "templates", "people", "members")
        ),
        *(f"/admin/{noun}/list/" for noun in ("policies", "calendars", "routing-rules", "tags", "fields")),
        *(f"/admin/{noun}/list/" for noun in ("triage", "customers", "roles", "inbox", "outbox", "audit")),
        *(f"/admin/{noun}/edit/1" for noun in ("branches", "accounts", "templates", "policies", "people")),
        *(
            "/admin/fields/add",
            "/admin/escalation-rules/add",
            "/admin/notify-targets/add",
            "/admin/policies/apply/1",
            "/admin/calendars/show/2",
            "/admin/calendars/version/2",
            "/admin/calendars/add",
            "CALENDAR FAULTS",
            "CALENDAR DIFFERENCE",
        ),
        *("/admin/escalation-rules/list/", "/admin/notify-targets/list/", "/admin/routing-rules/edit/1"),
        *("/admin/lifecycle/list/", "/admin/resolution-codes/list/"),
    ),
    None: ("/login/",),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("who", PAGES, ids=lambda who: who or "nobody")
def test_nothing_stands_in_anybodys_way(
    installation: Installation, browser: Any, who: str | None, scheme: str
) -> None:
    # A page of its own: axe itself breaks the policy of our pages, which their own tests do not forgive.
    # Without motion: axe must not look at what is still fading in.
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
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


def test_german_stands_in_nobodys_way_either(installation: Installation, browser: Any) -> None:
    """Longer words, the same room: axe finds nothing, and nothing is wider than a small screen."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    page = context.new_page()
    log_in(page, installation, "agent2")
    choose_language(page, installation.base_url, "de")
    found: dict[str, Any] = {}
    for path in ("/settings", "/queue", "TICKET"):
        visit(page, installation.base_url, path)
        assert page.locator("html").get_attribute("lang") == "de"
        if page.evaluate("document.documentElement.scrollWidth") > 390:
            found[path] = "wider than the screen"
        violations = Axe().run(page, options=RULES).response["violations"]
        if violations:
            found[path] = [f"{each['id']}: {each['nodes'][0]['html'][:160]}" for each in violations]
    choose_language(page, installation.base_url, "en")
    context.close()
    assert not found


def choose_language(page: Any, base_url: str, language: str) -> None:
    page.goto(f"{base_url}/settings")
    page.locator("select[name=language]").select_option(language)
    page.locator(".settings button.button-primary").click()
    page.locator(f"html[lang={language}]").wait_for()


# What is opened on the page before axe looks: a key that is pressed, or a thing that is clicked, and what then shows.
OPENED = {
    "FILTER": ("key f", "dialog[open]"),
    "SELECTION": (".row-pick input", ".bulk-bar"),
    "KEYS": ("key ?", "dialog[open]"),
    "TICKET CUSTOMER": (".side-name a", "dialog[open]"),
    "TICKET SNOOZE": ("key z", "dialog[open]"),
    "TICKET TRIAGE": ("key y", "dialog[open]"),
    "TICKET LINK": ("key l", "dialog[open]"),
    "TICKET SNOOZED": ("key z", "dialog[open]"),
    "TICKET CLOCKS": ("#side a:has-text('Explain these figures')", "dialog[open]"),
    "TICKET HISTORY": ("#side h3 a:has-text('History')", "dialog[open]"),
    "TICKET MERGE": ("menu", "dialog[open]"),
    "TICKET TEMPLATES": (".template-menu > summary", "#template-search"),
    "TICKET NOTE": ("#tab-note", "#note-panel .ck-editor__editable"),
}


def visit(page: Any, base_url: str, path: str) -> None:
    if path.startswith("/"):
        response = page.goto(base_url + path)
        assert response.status == 200, path
        page.wait_for_load_state("load")
        return
    if path.startswith("CALENDAR"):
        page.goto(f"{base_url}/admin/calendars/version/2")
        page.locator("form[data-attached~=calendar]").wait_for()
        if path == "CALENDAR FAULTS":
            page.locator("[name=until-0]").first.fill("09:00")
            page.get_by_role("button", name="Add a day").click()
            page.locator("[name=day-name]").last.fill("Nameless")
        page.get_by_role("button", name="See what it changes").click()
        page.locator("[role=alert]" if path == "CALENDAR FAULTS" else ".calendar-strip").wait_for()
        return
    page.goto(f"{base_url}/queue")
    page.locator("a.row").first.wait_for()
    if path.startswith("TICKET"):
        page.locator("a.row").first.click()
        page.locator(".ck-editor__editable").first.wait_for()
    if path not in OPENED:
        return
    wanted, shown = OPENED[path]
    # Before its script is there, a link leads to a page of its own.
    page.wait_for_function(IS_ATTACHED)
    if wanted == "menu":
        page.locator("#ticket-menu > summary").click()
        page.get_by_text("Merge into another ticket").click()
    elif wanted.startswith("key "):
        page.keyboard.press(wanted.removeprefix("key "))
    else:
        page.locator(wanted).first.click()
    page.locator(shown).first.wait_for()
    if path == "TICKET SNOOZED":
        page.locator("dialog[open]").get_by_role("button", name="Tomorrow morning").click()
        page.locator(".ticket-head .banner").wait_for()
    if path == "SELECTION":
        page.locator(".bulk-bar").get_by_role("button", name="Priority").click()
        page.locator(".bulk select").select_option("urgent")
        page.locator(".bulk-plan").wait_for()
