"""An empty installation, set up in the browser as the guide says, until a mail is answered for, warned of and late."""

import smtplib
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.journey.conftest import Installation, started, wait_until
from tests.journey.test_restarts import connected

pytestmark = [pytest.mark.browser, pytest.mark.journey]

PASSWORD = "correct horse battery"
# From the listener, or from a sweep of every 15 seconds, to the open page, on a machine that is busy.
SOON_MS = 60_000


@pytest.fixture
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation without demo data, and its first admin."""
    with started(tmp_path_factory.mktemp("nothing"), demo=False) as installation:
        made = {
            "username": "ada",
            "firstname": "Ada",
            "lastname": "Boss",
            "email": "ada@shop.test",
            "password": PASSWORD,
        }
        words = [word for name, value in made.items() for word in (f"--{name}", value)]
        installation.flask("fab", "create-admin", *words)
        yield replace(
            installation,
            accounts={name: {"username": name, "password": PASSWORD} for name in ("ada", "tom", "lea")},
        )


def test_a_desk_from_nothing_to_a_ticket_that_is_late(
    empty: Installation, open_page_of: Callable[..., Any]
) -> None:
    admin = open_page_of(empty, "ada")
    expect(admin.get_by_role("heading", name="Nothing is set up yet")).to_be_visible()
    admin.get_by_role("link", name="Set up your desk").click()
    expect(admin.locator(".admin-start")).to_contain_text("0 of 7 done")

    step(admin, "Working hours")
    admin.get_by_label("Name", exact=True).fill("Around the clock")
    for box in admin.get_by_label("around the clock").all():
        box.check()
    admin.get_by_role("button", name="Save").click()
    admin.wait_for_url(lambda url: "/add" not in url)

    step(admin, "Targets")
    admin.locator("input[name=name]").fill("Promised")
    admin.locator("input[name=first_response_minutes]").fill("60")
    admin.locator("input[name=resolution_minutes]").fill("480")
    save(admin)

    step(admin, "A branch")
    admin.locator("input[name=name]").fill("Shop")
    admin.locator("input[name=code]").fill("SHOP")
    choose(admin, "calendar", "Around the clock")
    choose(admin, "policy", "Promised")
    save(admin)

    step(admin, "Tiers")
    for level, name in ((1, "Counter"), (2, "Workshop")):
        if level > 1:
            admin.goto(f"{empty.base_url}/admin/tiers/add")
        admin.locator("input[name=name]").fill(name)
        admin.locator("input[name=level]").fill(str(level))
        # Nobody works at level 2 yet: going there by itself comes once somebody does.
        admin.locator("input[name=escalate_at_percent]").fill("0")
        save(admin)

    step(admin, "People")
    for level, (username, first, last) in enumerate(
        (("tom", "Tom", "Counter"), ("lea", "Lea", "Workshop")), start=1
    ):
        if level > 1:
            admin.goto(f"{empty.base_url}/admin/people/add")
        for name, value in {"first_name": first, "last_name": last, "username": username}.items():
            admin.locator(f"input[name={name}]").fill(value)
        admin.locator("input[name=email]").fill(f"{username}@shop.test")
        admin.locator("input[name=password]").fill(PASSWORD)
        choose(admin, "roles", "Agent")
        place = admin.locator("tr").filter(has=admin.get_by_text("Shop", exact=True)).last
        place.locator("input[type=checkbox]").first.check()
        place.locator("input[type=number], select").first.fill(str(level))
        save(admin)
    admin.goto(f"{empty.base_url}/admin/tiers/list/")
    admin.locator("tr").filter(has_text="Workshop").locator("a[href*='/edit/']").first.click()
    admin.locator("input[name=escalate_at_percent]").fill("100")
    save(admin)

    step(admin, "An address")
    admin.locator("input[name=name]").fill("Support")
    admin.locator("input[name=address]").fill("help@shop.test")
    choose(admin, "branch", "Shop")
    save(admin)

    step(admin, "Templates")
    admin.locator("input[name=name]").fill("Thanks")
    admin.locator("#reply-panel, .ck-editor__editable").first.fill("Thank you for writing.")
    choose(admin, "state", "Published")
    save(admin)
    admin.goto(f"{empty.base_url}/admin/")
    expect(admin.get_by_role("heading", name="Administration")).to_be_visible()
    expect(admin.locator(".admin-start")).to_have_count(0)

    # A customer writes; the counter sees the ticket with its clocks.
    number = ticket_of(empty, "My clock has stopped")
    agent = open_page_of(empty, "tom")
    agent.goto(f"{empty.base_url}/queue?view=all")
    expect(agent.locator(f"#row-{number}")).to_contain_text("My clock has stopped")
    agent.goto(f"{empty.base_url}/tickets/{number}")
    expect(agent.locator("#side")).to_contain_text("First response")
    agent.get_by_role("button", name="Assign to me").first.click()
    expect(agent.get_by_role("button", name="Assign to me")).to_have_count(0)

    # Nearly due: whoever has it is told. Late: it turns red, and the workshop has it.
    change(
        empty,
        "UPDATE clock SET warn_at = now(), warnings = jsonb_build_array(jsonb_build_array(75, now())) ",
        number,
    )
    expect(agent.locator(".entries")).to_contain_text("runs low", timeout=SOON_MS)
    agent.goto(f"{empty.base_url}/notifications")
    expect(agent.locator(".bell-item").filter(has_text="nearly due")).to_have_count(1)
    agent.goto(f"{empty.base_url}/tickets/{number}")
    change(empty, "UPDATE clock SET due_at = now() ", number)
    expect(agent.locator(".entries")).to_contain_text("because a clock ran out", timeout=SOON_MS)
    expect(agent.locator(".path .is-here")).to_contain_text("Workshop")
    upstairs = open_page_of(empty, "lea")
    upstairs.goto(f"{empty.base_url}/queue?view=escalated")
    expect(upstairs.locator(f"#row-{number}")).to_contain_text("My clock has stopped")


def step(admin: Any, name: str) -> None:
    """Open the next thing that the guide on the first page of the administration names."""
    admin.goto(admin.url.split("/", 3)[0] + "//" + admin.url.split("/")[2] + "/admin/")
    admin.locator(".admin-start").get_by_role("link", name=name, exact=True).click()
    admin.wait_for_load_state("load")


def save(admin: Any) -> None:
    admin.get_by_role("button", name="Save").last.click()
    admin.wait_for_url(lambda url: "/list" in url)


def choose(admin: Any, name: str, label: str) -> None:
    admin.locator(f"select[name={name}]").select_option(label=label, force=True)


def change(installation: Installation, statement: str, number: int) -> None:
    """Let time pass for the first response of one ticket."""
    where = "WHERE kind = 'first_response' AND ticket_id = (SELECT id FROM ticket WHERE number = %s)"
    with connected(installation) as connection:
        assert connection.execute(statement + where, [number]).rowcount == 1


def ticket_of(installation: Installation, subject: str) -> int:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "Nora <nora@customer.test>", "help@shop.test", subject
    letter["Message-ID"] = "<stopped@customer.test>"
    letter.set_content("It says ten past ten.")
    with smtplib.SMTP("127.0.0.1", installation.smtp_port, timeout=30) as session:
        session.send_message(letter)
    found = wait_until(lambda: installation.tickets(subject), installation.log.read_text, 60)
    return int(found[0]["number"])
