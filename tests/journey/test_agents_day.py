"""An agent's day at the desk from signing in to the saved view: one browser, one colleague, real mail both ways."""

import email.policy
import re
import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.journey.conftest import Installation, wait_until
from tests.journey.test_main_job import mail_with

pytestmark = [pytest.mark.browser, pytest.mark.journey]

DESK = "support@north.demo.test"
# A red dot, put into the clipboard as a screenshot tool would.
COPY_A_PICTURE = """async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 40, height: 30 });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "red";
  pen.arc(20, 15, 10, 0, 7);
  pen.fill();
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
}"""


def test_an_agents_day(installation: Installation, open_page: Callable[..., Any]) -> None:
    # Signing in leads to the queue; one key takes the most urgent ticket, and it is theirs.
    ann = open_page("agent", permissions=["clipboard-read", "clipboard-write"])
    ann.goto(f"{installation.base_url}/queue")
    expect(ann.locator("[data-rows]")).to_be_visible()
    ann.keyboard.press("Shift+N")
    ann.wait_for_url(re.compile(r"/tickets/\d+"))
    number = int(re.search(r"/tickets/(\d+)", ann.url).group(1))
    subject = ann.locator("#ticket-subject").inner_text()
    expect(ann.get_by_label("Assignee", exact=True).locator("option:checked")).not_to_have_text("unassigned")

    # She reads what was said, and who said it.
    expect(ann.locator(".letter-in").last).to_be_visible()
    customer = ann.locator("#reply-to").input_value()
    assert customer in ann.locator("#side").inner_text()

    # A template, found and previewed with this ticket's values, goes in at the cursor and is edited.
    editor = ann.locator("#reply-panel .ck-editor__editable")
    expect(editor).to_be_visible()
    expect(ann.locator("#reply-panel .suggest button").first).to_be_visible()
    ann.keyboard.press("t")
    ann.get_by_label("Find a template").fill("refund")
    ann.keyboard.press("ArrowDown")
    expect(ann.locator("[data-preview]").filter(has_text="Dear")).to_be_visible()
    ann.keyboard.press("Enter")
    expect(editor).to_contain_text("Dear")
    editor.press("Control+End")
    editor.type("Here is how it looks:")
    editor.press("Enter")

    # A picture from the clipboard is uploaded and goes out in the text.
    ann.evaluate(COPY_A_PICTURE)
    ann.keyboard.press("Control+v")
    expect(editor.locator("img[src^='/files/']")).to_be_visible()
    send_button(ann).click()
    expect(ann.locator(".letter-out").last).to_contain_text("Here is how it looks")
    sent = wait_until(
        lambda: mail_with(installation.var_dir, "Here is how it looks"), installation.log.read_text
    )
    kinds = [part.get_content_type() for part in sent.walk()]
    assert "multipart/related" in kinds
    picture = next(part for part in sent.walk() if part.get_content_maintype() == "image")
    html = sent.get_body(("html",)).get_content()
    assert f"cid:{picture['Content-ID'].strip('<>')}" in html

    # The customer answers by mail; it stands in the open page without a reload.
    stays = ann.evaluate("window.stays = 'the same page'")
    answer(installation, customer, sent, "It works again, but the lid is loose.")
    expect(ann.locator(".letter-in").last).to_contain_text("the lid is loose")
    assert ann.evaluate("window.stays") == stays

    # A colleague looks at the same ticket and is seen; while Ann writes, Ben answers first.
    ben = open_page("lead")
    ben.goto(f"{installation.base_url}/tickets/{number}")
    expect(ann.locator(".here")).to_contain_text("is viewing")
    write(ann, "We send you a new lid.")
    expect(ben.locator(".here")).to_contain_text("is writing")
    write(ben, "A new lid left today.")
    send_button(ben).click()
    expect(ben.locator(".letter-out").last).to_contain_text("A new lid left today")
    expect(ann.locator(".letter-out").last).to_contain_text("A new lid left today")

    # The server refuses her answer once, shows what is new, and keeps her words; she lets it be.
    send_button(ann).click()
    refusal = ann.locator("#reply-form .refusal")
    expect(refusal.locator(".refusal-new")).to_contain_text("A new lid left today")
    expect(editor).to_contain_text("We send you a new lid.")
    refusal.get_by_role("button", name="I have read it").click()
    editor.press("Control+a")
    editor.press("Delete")

    # A note calls the lead in, whose bell rings.
    ben.goto(f"{installation.base_url}/queue")
    ann.keyboard.press("Escape")
    ann.locator("#tab-note").click()
    note = ann.locator("#note-panel .ck-editor__editable")
    expect(note).to_be_visible()
    note.click()
    ann.keyboard.type("@lau")
    expect(ann.locator(".ck-mentions")).to_be_visible()
    ann.keyboard.press("Enter")
    ann.keyboard.type(" is this the known fault?")
    ann.keyboard.press("Control+Enter")
    expect(ann.locator(".letter-note").last).to_contain_text("is this the known fault?")
    expect(ben.locator("[data-bell-count]")).to_be_visible()

    # Escalated with a reason; the path says where it is now.
    ann.locator("#ticket-subject").click()
    ann.keyboard.press("e")
    ann.get_by_label("Why").fill("Third loose lid this week")
    ann.get_by_role("button", name="Escalate", exact=True).click()
    expect(ann.locator(".path [aria-current=step]")).to_contain_text("Tier 2")
    expect(ann.locator("[data-thread]")).to_contain_text("Third loose lid this week")

    # The customer wrote a second mail about the same matter: it is merged into this ticket.
    write_anew(installation, customer, "Loose lid again")
    twin = wait_until(lambda: installation.tickets("Loose lid again"), installation.log.read_text)[0][
        "number"
    ]
    ann.goto(f"{installation.base_url}/tickets/{twin}")
    ann.get_by_label("More about this ticket").click()
    ann.get_by_text("Merge into another ticket").click()
    ann.get_by_label("Number, subject or customer").fill(str(number))
    ann.get_by_role("radio", name=re.compile(re.escape(subject))).check()
    ann.get_by_role("button", name="Merge into it").click()
    expect(ann.get_by_role("heading", name=subject, exact=True)).to_be_visible()
    expect(ann.get_by_text(f"#{twin} is part of this ticket now")).to_be_visible()
    expect(ann.locator("[data-thread]")).to_contain_text("The lid is loose, as I wrote.")

    # Three tickets in one go, by keys alone; what will change is shown first, and all of it can be taken back.
    ann.goto(f"{installation.base_url}/queue?view=branch&sort=newest")
    expect(ann.locator("a.row").nth(3)).to_be_visible()
    expect(ann.locator(".bulk-bar[data-ready]")).to_be_attached()
    for key in ("j", "x", "j", "j", "Shift+X"):
        ann.keyboard.press(key)
    expect(ann.locator(".bulk-count")).to_have_text("3 selected")
    chosen = [box.input_value() for box in ann.locator(".row-pick input:checked").all()]
    ann.locator(".bulk-bar").get_by_role("button", name="Tags").click()
    ann.get_by_label("Add tags").fill("loose-lid")
    ann.get_by_role("button", name="Change 3 tickets").click()
    for each in chosen:
        expect(ann.locator(f"#row-{each}")).to_contain_text("loose-lid")
    expect(ann.locator(".bulk-count")).to_have_text("")
    ann.locator(".toast").get_by_role("button", name="Undo").click()
    for each in chosen:
        expect(ann.locator(f"#row-{each}")).not_to_contain_text("loose-lid")

    # What was said is found again, marked, and the search is kept as a view.
    ann.keyboard.press("/")
    ann.keyboard.type('"lid is loose"')
    ann.keyboard.press("Enter")
    found = ann.locator("a.row").filter(has_text=f"#{number}")
    expect(found.locator("mark").first).to_be_visible()
    ann.locator("summary").filter(has_text="Save view").click()
    ann.get_by_label("Name of the view").fill("Loose lids")
    ann.get_by_role("button", name="Save", exact=True).click()
    shelf = ann.locator(".shelf-saved").filter(has_text="Loose lids")
    expect(shelf).to_be_visible()
    ann.goto(f"{installation.base_url}/queue")
    shelf.get_by_role("link").click()
    expect(ann.locator("a.row").filter(has_text=f"#{number}")).to_be_visible()


def write(page: Any, words: str) -> None:
    editor = page.locator("#reply-panel .ck-editor__editable")
    expect(editor).to_be_visible()
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type(words)


def send_button(page: Any) -> Any:
    return page.locator("#reply-form").get_by_role("button", name="Send", exact=True)


def answer(installation: Installation, customer: str, sent: Any, words: str) -> None:
    """As the customer's mail program answers: to the address it was given, with what it quotes."""
    mail = mail_of(customer, sent["Reply-To"], f"Re: {sent['Subject']}", words)
    mail["In-Reply-To"] = mail["References"] = sent["Message-ID"]
    deliver(installation, mail)


def write_anew(installation: Installation, customer: str, subject: str) -> None:
    deliver(installation, mail_of(customer, DESK, subject, "The lid is loose, as I wrote."))


def mail_of(sender: str, to: str, subject: str, words: str) -> EmailMessage:
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"], mail["To"], mail["Subject"] = sender, to, subject
    mail["Message-ID"] = f"<{abs(hash((sender, subject, words)))}@customer.test>"
    mail.set_content(words)
    return mail


def deliver(installation: Installation, mail: EmailMessage) -> None:
    with smtplib.SMTP("127.0.0.1", installation.smtp_port) as server:
        server.send_message(mail)
