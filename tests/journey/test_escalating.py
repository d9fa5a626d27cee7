"""Escalation in the browser: set up, by word, by clock and by hand; told, acknowledged, handed back, and passed on."""

import json
import smtplib
import threading
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.journey.conftest import Installation, wait_until
from tests.journey.test_restarts import connected

pytestmark = [pytest.mark.browser, pytest.mark.journey]

DESK = "support@north.demo.test"
# From the listener, or from a sweep of every 15 seconds, to the open page, on a machine that is busy.
SOON_MS = 60_000


@pytest.fixture
def hook() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """The port of a web server that takes messages, and what it has taken."""
    heard: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], heard
    server.shutdown()
    server.server_close()


def test_escalation_from_its_set_up_to_the_next_on_call(
    installation: Installation,
    open_page: Callable[..., Any],
    hook: tuple[int, list[dict[str, Any]]],
) -> None:
    port, heard = hook
    admin = open_page("admin")
    set_up(installation, admin, port)
    wait_until(lambda: any(each["title"] == "Portal" for each in heard), installation.log.read_text)

    # A word of the customer sends the ticket up by itself, and the tier hears of it in its queue and outside.
    number = ticket_of(installation, "A broken lamp", "My lawyer will write to you.")
    wait_until(lambda: any(f"#{number} " in each["title"] for each in heard), installation.log.read_text, 60)
    lead = open_page("lead")
    lead.goto(f"{installation.base_url}/queue?view=escalated")
    expect(lead.locator(f"#row-{number}")).to_contain_text("Acknowledge")
    lead.goto(f"{installation.base_url}/tickets/{number}")
    expect(lead.locator(".entries")).to_contain_text("by a rule")
    expect(lead.locator(".entries")).to_contain_text("The customer's message says “lawyer”")
    expect(lead.locator(".path")).to_contain_text("told Laura Fielding")
    expect(lead.locator(".path")).to_contain_text("then Tom Barrow is told")

    # Acknowledged, and handed back with a note.
    lead.get_by_role("button", name="Acknowledge", exact=True).click()
    expect(lead.locator("#side")).to_contain_text("Acknowledged")
    expect(lead.locator(".path")).not_to_contain_text("unless acknowledged")
    lead.locator("#side summary").filter(has_text="Hand back").click()
    lead.locator("#side textarea[name=note]").fill("Offer a new lamp.")
    lead.get_by_role("button", name="Hand back", exact=True).click()
    expect(lead.locator(".entries")).to_contain_text("Offer a new lamp.")
    agent = open_page("agent")
    agent.goto(f"{installation.base_url}/tickets/{number}")
    expect(agent.locator(".entries")).to_contain_text("handed back to the tier below")

    # By the clock: the path says so before, the breach does it.
    late = ticket_of(installation, "A silent radio", "It says nothing.")
    agent.goto(f"{installation.base_url}/tickets/{late}")
    expect(agent.locator(".path .is-next")).to_contain_text("unless")
    change(
        installation,
        "UPDATE clock SET due_at = now() WHERE kind = 'first_response' AND ticket_id ="
        " (SELECT id FROM ticket WHERE number = %s)",
        late,
    )
    expect(agent.locator(".entries")).to_contain_text("because a clock ran out", timeout=SOON_MS)
    expect(agent.locator(".path .is-here")).to_contain_text("Tier 2")

    # By hand, with a reason; whoever does it goes on following.
    raised = ticket_of(installation, "A crooked table", "It wobbles.")
    agent.goto(f"{installation.base_url}/tickets/{raised}")
    agent.locator("summary").filter(has_text="Escalate now").click()
    agent.locator("#side textarea[name=reason]").fill("Needs the carpenter.")
    agent.get_by_role("button", name="Escalate", exact=True).click()
    expect(agent.locator(".entries")).to_contain_text("Needs the carpenter.")
    expect(agent.locator("#side")).to_contain_text("told Laura Fielding")

    # Nobody acknowledges: the next on call is told, and then whoever leads the branch.
    change(installation, PASS, raised)
    expect(agent.locator(".entries")).to_contain_text("Tom Barrow was told", timeout=SOON_MS)
    expect(agent.locator(".path")).to_contain_text("then whoever leads the branch is told")
    change(installation, PASS, raised)
    expect(agent.locator(".entries")).to_contain_text("whoever leads the branch was told", timeout=SOON_MS)
    lead.goto(f"{installation.base_url}/notifications")
    expect(lead.locator(".bell-item").filter(has_text="A crooked table waits for somebody")).to_have_count(1)
    said = wait_until(
        lambda: [each["message"] for each in heard if f"#{raised} " in each["title"]][2:],
        installation.log.read_text,
        60,
    )
    assert len(said) == 1


PASS = (
    "UPDATE escalation SET acknowledge_by = now() WHERE ended_at IS NULL AND ticket_id ="
    " (SELECT id FROM ticket WHERE number = %s)"
)


def set_up(installation: Installation, admin: Any, port: int) -> None:
    """What the guide says: who is next where nobody acknowledges, who hears outside, and a rule."""
    admin.goto(f"{installation.base_url}/admin/tiers/list/")
    row = admin.locator("tr").filter(has_text="Tier 2 · Leeds")
    row.locator("a[href*='/edit/']").first.click()
    admin.locator("select[name=on_unacknowledged]").select_option("next_on_call", force=True)
    save(admin)

    admin.goto(f"{installation.base_url}/admin/notify-targets/add")
    admin.locator("select[name=tier]").select_option(label="Tier 2 · Leeds (level 2)", force=True)
    admin.locator("input[name=name]").fill("The hook")
    admin.locator("input[name=url]").fill(f"json://127.0.0.1:{port}/in")
    save(admin)
    try_target(installation, admin)
    expect(admin.locator("body")).to_contain_text("address of our own network")
    admin.goto(f"{installation.base_url}/admin/notify-targets/list/")
    admin.locator("tr").filter(has_text="The hook").locator("a[href*='/edit/']").first.click()
    admin.locator("input[name=may_reach_internal]").check()
    save(admin)
    try_target(installation, admin)
    expect(admin.locator("body")).to_contain_text("The hook has taken the test.")

    admin.goto(f"{installation.base_url}/admin/escalation-rules/add")
    admin.locator("input[name=name]").fill("Lawyers")
    admin.locator("select[name=kind]").select_option("keyword", force=True)
    admin.locator("input[name=value]").fill("lawyer, court")
    admin.locator("input[name=to_level]").fill("2")
    save(admin)
    expect(admin.locator("tr").filter(has_text="Lawyers")).to_have_count(1)


def save(admin: Any) -> None:
    admin.get_by_role("button", name="Save").click()
    admin.wait_for_url(lambda url: "/list" in url)


def try_target(installation: Installation, admin: Any) -> None:
    admin.goto(f"{installation.base_url}/admin/notify-targets/list/")
    admin.locator("tr").filter(has_text="The hook").locator("a[href*='/show/']").first.click()
    admin.get_by_text("Send a test").click()
    admin.wait_for_load_state("load")


def change(installation: Installation, statement: str, number: int) -> None:
    """Let time pass for one ticket."""
    with connected(installation) as connection:
        assert connection.execute(statement, [number]).rowcount == 1


def ticket_of(installation: Installation, subject: str, words: str) -> int:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "Nora <nora@customer.test>", DESK, subject
    letter["Message-ID"] = f"<{subject.replace(' ', '-')}@customer.test>"
    letter.set_content(words)
    with smtplib.SMTP("127.0.0.1", installation.smtp_port) as server:
        server.send_message(letter)
    found = wait_until(lambda: installation.tickets(subject), installation.log.read_text)
    number: int = found[0]["number"]
    return number
