"""The main job, as people do it: real processes, a real browser, real mail both ways."""

import email
import email.policy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.journey.conftest import Installation, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.journey]

SUBJECT = "The blue teapot has a crack"


def test_a_mail_becomes_a_ticket_is_answered_and_the_thread_holds(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    lead = open_page("lead")
    answered_before = answers_counted(lead, installation)
    agent = open_page("agent")
    agent.goto(f"{installation.base_url}/queue?view=branch")

    # The customer writes; the ticket appears in the agent's open queue by itself, with its clock.
    customer = open_page()
    customer.goto(f"{installation.base_url}/postbox")
    customer.get_by_label("Your name").fill("Noor Customer")
    customer.get_by_label("Your address").fill("noor@customer.test")
    customer.get_by_label("To", exact=True).fill("support@north.demo.test")
    customer.get_by_label("Subject").fill(SUBJECT)
    customer.get_by_label("Text").fill(
        "Hello,\n\nmy parcel with the teapot arrived damaged: it has a crack.\n\nNoor"
    )
    customer.get_by_role("button", name="Send").click()
    expect(customer.get_by_text("on its way to the desk")).to_be_visible()
    row = agent.get_by_role("link").filter(has_text=SUBJECT)
    expect(row).to_be_visible()
    expect(row).to_contain_text("first")
    row.click()

    # The agent reads it, takes a suggested template, edits it in the editor and sends it.
    expect(agent.get_by_role("heading", name=SUBJECT)).to_be_visible()
    expect(agent.get_by_text("it has a crack").first).to_be_visible()
    expect(agent.get_by_text("Escalation path")).to_be_visible()
    editor = agent.locator("#reply-panel .ck-editor__editable")
    expect(editor).to_be_visible()
    agent.locator("#reply-panel .suggest").get_by_text("Damaged on arrival").click()
    expect(editor).to_contain_text("Dear Noor")
    editor.press("Control+End")
    editor.type("PS: the new one is green.")
    agent.locator("#reply-form").get_by_role("button", name="Send", exact=True).click()
    expect(agent.locator("article").filter(has_text="the new one is green").first).to_be_visible()

    # The mail is in the customer's postbox and carries what keeps the thread.
    sent = wait_until(
        lambda: mail_with(installation.var_dir, "the new one is green"), installation.log.read_text
    )
    ticket = installation.tickets(SUBJECT)[0]
    question, answer = ticket["messages"][0], ticket["messages"][1]
    assert sent["In-Reply-To"] == f"<{question['message_id']}>"
    assert f"<{question['message_id']}>" in sent["References"]
    assert sent["Message-ID"] == f"<{answer['message_id']}>"
    assert re.fullmatch(r"support\+t-[a-z2-7]+@north\.demo\.test", sent["Reply-To"])
    assert sent["From"].endswith("<support@north.demo.test>")
    assert f"[#{ticket['number']}]" in sent["Subject"]

    # The customer answers there; the agent's page shows it without a reload, in the same ticket.
    customer.goto(f"{installation.base_url}/postbox")
    customer.locator(".postbox-mails").get_by_role("link").filter(has_text="noor@customer.test").first.click()
    customer.get_by_label("Text").fill("Green is fine, thank you!")
    customer.get_by_role("button", name="Send").click()
    expect(agent.locator("article").filter(has_text="Green is fine").first).to_be_visible()
    messages = wait_until(
        lambda: len(found := installation.tickets(SUBJECT)[0]["messages"]) == 3 and found,
        installation.log.read_text,
    )
    assert len(installation.tickets(SUBJECT)) == 1
    assert messages[2]["thread_rule"] in ("signed_address", "our_message_id")
    assert messages[2]["text"].strip() == "Green is fine, thank you!"

    # Escalated with a reason, then resolved.
    agent.locator("summary").filter(has_text="Escalate now").click()
    agent.get_by_label("Why").fill("Third cracked teapot this week")
    agent.get_by_role("button", name="Escalate", exact=True).click()
    expect(agent.locator(".path [aria-current=step]")).to_contain_text("Tier 2")
    agent.get_by_label("Status", exact=True).select_option("resolved")
    expect(agent.get_by_label("Status", exact=True)).to_have_value("resolved")
    wait_until(lambda: installation.tickets(SUBJECT)[0]["status"] == "resolved", installation.log.read_text)

    # The north star has moved.
    assert answers_counted(lead, installation) == answered_before + 1


def answers_counted(lead: Any, installation: Installation) -> int:
    """How many first answers the north star rests on."""
    lead.goto(f"{installation.base_url}/leads/")
    words = lead.locator(".leads-star .leads-basis").inner_text()
    return int(re.search(r"([\d,]+)", words).group(1).replace(",", ""))


def mail_with(var_dir: Path, words: str) -> Any:
    """The newest mail in the postbox that holds those words."""
    for path in sorted((var_dir / "postbox").glob("*.eml"), reverse=True):
        mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        body = mail.get_body(("plain",))
        if body is not None and words in body.get_content():
            return mail
    return None
