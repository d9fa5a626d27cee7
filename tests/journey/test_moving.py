"""A second matter in one thread: an agent moves it to where it belongs, and the customer's answer follows it."""

import email
import email.policy
import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.journey.conftest import Installation, wait_until
from tests.journey.test_main_job import mail_with

pytestmark = [pytest.mark.browser, pytest.mark.journey]

CUSTOMER, DESK = "mona@customer.test", "support@north.demo.test"


def test_an_answer_follows_the_message_that_an_agent_moved(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    # Two matters of one customer, and a third mail that belongs to the second but answers the first.
    send(installation, "garden@customer.test", "Garden chair wobbles")
    send(installation, "invoice@customer.test", "Invoice of October")
    chair = wait_for(installation, "Garden chair wobbles", 1)
    invoice = wait_for(installation, "Invoice of October", 1)
    send(installation, "vat@customer.test", "Re: Garden chair wobbles", answers="garden@customer.test")
    wait_for(installation, "Garden chair wobbles", 2)

    # The agent answers in the ticket of the chair, so that the customer has that ticket's signed address.
    agent = open_page("agent")
    agent.goto(f"{installation.base_url}/tickets/{chair['number']}")
    editor = agent.locator("#reply-panel .ck-editor__editable")
    expect(editor).to_be_visible()
    editor.type("We send a new chair.")
    agent.locator("#reply-form").get_by_role("button", name="Send", exact=True).click()
    sent = wait_until(
        lambda: mail_with(installation.var_dir, "We send a new chair"), installation.log.read_text
    )

    # By keyboard alone: the menu of the message, the number, the ticket, Enter.
    letter = agent.locator(".letter-in").last
    letter.locator(".letter-menu > summary").focus()
    agent.keyboard.press("Enter")
    item = letter.get_by_role("link", name="Move to another ticket")
    expect(item).to_be_visible()
    for _ in range(letter.locator(".menu-item").count()):
        if item.evaluate("each => each === document.activeElement"):
            break
        agent.keyboard.press("ArrowDown")
    expect(item).to_be_focused()
    agent.keyboard.press("Enter")
    expect(agent.get_by_label("Number, subject or customer")).to_be_focused()
    agent.keyboard.type(str(invoice["number"]))
    expect(agent.get_by_role("status").filter(has_text="1 found")).to_be_attached()
    agent.keyboard.press("ArrowDown")
    agent.keyboard.press("Enter")
    expect(agent.get_by_text(f"Moved to #{invoice['number']}.")).to_be_visible()
    expect(agent.get_by_role("link", name=f"Message moved to #{invoice['number']} by you")).to_be_visible()
    expect(agent.locator(".letter-in")).to_have_count(1)

    # The customer answers the mail that was moved, with a mail program that uses the address it was given.
    send(
        installation,
        "again@customer.test",
        "Re: Garden chair wobbles",
        answers="vat@customer.test",
        to=sent["Reply-To"],
    )
    messages = wait_for(installation, "Invoice of October", 3)["messages"]
    assert [message["message_id"] for message in messages] == [
        "invoice@customer.test",
        "vat@customer.test",
        "again@customer.test",
    ]
    assert messages[2]["thread_rule"] == "moved_message"
    agent.goto(f"{installation.base_url}/tickets/{invoice['number']}")
    expect(agent.get_by_text(f"Here because: moved here from #{chair['number']}")).to_be_visible()

    # The rest of it is merged; its number leads on.
    agent.goto(f"{installation.base_url}/tickets/{chair['number']}")
    agent.get_by_label("More about this ticket").click()
    agent.get_by_text("Merge into another ticket").click()
    # Chosen from the customer's other tickets before the answer to the search has come: it stays chosen.
    asked: list[Route] = []

    def hold(route: Route) -> None:
        asked.append(route)

    agent.route("**/merge?q=*", hold)
    with agent.expect_request("**/merge?q=*"):
        agent.get_by_label("Number, subject or customer").fill(str(invoice["number"]))
    chosen = agent.get_by_role("radio", name="Invoice of October")
    chosen.check()
    asked[0].continue_()
    expect(agent.get_by_role("status").filter(has_text="1 found")).to_be_attached()
    expect(chosen).to_be_checked()
    agent.get_by_role("button", name="Merge into it").click()
    expect(agent.get_by_role("heading", name="Invoice of October")).to_be_visible()
    agent.goto(f"{installation.base_url}/tickets/{chair['number']}")
    expect(agent.get_by_text(f"#{chair['number']} was merged into this ticket.")).to_be_visible()
    expect(agent.get_by_text("We send a new chair.").first).to_be_visible()


def send(
    installation: Installation, message_id: str, subject: str, *, answers: str = "", to: str = DESK
) -> None:
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"], mail["To"], mail["Subject"] = f"Mona <{CUSTOMER}>", to, subject
    mail["Message-ID"] = f"<{message_id}>"
    if answers:
        mail["In-Reply-To"] = mail["References"] = f"<{answers}>"
    mail.set_content(f"Words of {message_id}")
    with smtplib.SMTP("127.0.0.1", installation.smtp_port) as server:
        server.send_message(mail, CUSTOMER, [to])


def wait_for(installation: Installation, subject: str, amount: int) -> dict[str, Any]:
    """The ticket of that subject, once it has so many messages."""

    def found() -> dict[str, Any] | None:
        tickets = installation.tickets(subject)
        return tickets[0] if tickets and len(tickets[0]["messages"]) >= amount else None

    return wait_until(found, installation.log.read_text)
