"""Writing at the desk: a draft on two machines, second thoughts, a file that was forgotten, a colleague called in."""

import re
import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.journey.conftest import Installation, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.journey]

DESK = "support@north.demo.test"


def test_words_survive_crashes_second_thoughts_and_forgotten_files(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    number = ticket_of_a_mail(installation, "The fridge hums")
    address = f"{installation.base_url}/tickets/{number}"

    # Begun at one machine, which then dies; gone on with at another.
    first = open_page("agent")
    first.goto(address)
    write(first, "We look into it")
    expect(first.locator("#reply-form [data-says]")).to_have_text("Draft kept")
    first.context.close()
    second = open_page("agent")
    second.goto(address)
    editor = second.locator("#reply-panel .ck-editor__editable")
    expect(editor).to_contain_text("We look into it")

    # A file that is announced and not there is asked about once.
    write(second, " and send the attached plan.")
    send_button(second).click()
    expect(second.get_by_text("You write “attached”, but nothing is attached.")).to_be_visible()
    assert answers_of(installation, "The fridge hums") == []
    second.get_by_role("button", name="Send anyway").click()
    expect(second.locator(".letter-out")).to_have_count(1)

    # Taken back at once: nothing counts, and the words are the draft again.
    second.locator(".toast").get_by_role("button", name="Undo").click()
    expect(second.locator("#reply-panel .ck-editor__editable")).to_contain_text("and send the attached plan.")
    expect(second.get_by_text("Taken back, not sent")).to_be_visible()
    assert answers_of(installation, "The fridge hums") == ["cancelled"]

    # A colleague is called in by name, and hears of it at once.
    colleague = open_page("lead")
    colleague.goto(f"{installation.base_url}/queue")
    bell = colleague.locator(".bell-menu > summary")
    expect(bell).to_be_visible()
    second.locator("#tab-note").click()
    note = second.locator("#note-panel .ck-editor__editable")
    expect(note).to_be_visible()
    note.click()
    second.keyboard.type("@lau")
    expect(second.locator(".ck-mentions")).to_be_visible()
    second.keyboard.press("Enter")
    second.keyboard.type(" please look")
    second.keyboard.press("Control+Enter")
    expect(second.locator(".letter-note")).to_contain_text("please look")
    expect(colleague.locator("[data-bell-count]")).to_be_visible()
    bell.click()
    colleague.locator(".bell-item").filter(has_text="mentioned you in").filter(
        has_text="The fridge hums"
    ).click()
    expect(colleague.locator("#ticket-subject")).to_have_text("The fridge hums")


def test_a_second_window_does_not_overwrite_the_first(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    number = ticket_of_a_mail(installation, "The oven beeps")
    address = f"{installation.base_url}/tickets/{number}"
    one = open_page("agent")
    one.goto(address)
    expect(one.locator("#reply-panel .ck-editor__editable")).to_be_visible()
    other = one.context.new_page()
    other.goto(address)
    write(one, "From the first window.")
    expect(one.locator("#reply-form [data-says]")).to_have_text("Draft kept")
    write(other, "From the second.")

    expect(other.get_by_text("You went on with this draft in another window.")).to_be_visible()
    other.get_by_role("button", name="Take the newer text").click()
    expect(other.locator("#reply-panel .ck-editor__editable")).to_contain_text("From the first window.")


WORD = """<html xmlns:o="urn:schemas-microsoft-com:office:office">
<head><meta name=Generator content="Microsoft Word 15">
<style><!-- p.MsoNormal {margin:0cm} @list l0:level1 {mso-level-number-format:bullet;} --></style></head>
<body><!--StartFragment--><p class=MsoNormal><b><span style='font-size:14.0pt'>Offer<o:p></o:p></span></b></p>
<p class=MsoListParagraphCxSpFirst style='text-indent:-18.0pt;mso-list:l0 level1 lfo1'><![if !supportLists]><span
style='font-family:Symbol;mso-list:Ignore'>·&nbsp;</span><![endif]>First point</p>
<p class=MsoListParagraphCxSpLast style='text-indent:-18.0pt;mso-list:l0 level1 lfo1'><![if !supportLists]><span
style='font-family:Symbol;mso-list:Ignore'>·&nbsp;</span><![endif]>Second point</p><!--EndFragment--></body></html>"""
EXCEL = """<html xmlns:x="urn:schemas-microsoft-com:office:excel">
<head><meta name=Generator content="Microsoft Excel 15"></head><body><table><!--StartFragment-->
<tr><td>1.50</td><td>Kettle</td></tr><!--EndFragment--></table></body></html>"""
PAGE = """<div><h2>Head</h2><p>See <a href="javascript:alert(1)">bad</a> and <a href="https://ok.test/">good</a>
<script>alert(1)</script><img src="https://tracker.test/pixel.gif" alt="a pixel"></p></div>"""
PASTE = """(html) => {
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/html", html);
  const editor = document.querySelector("#reply-panel .ck-editor__editable");
  editor.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
}"""


def test_what_is_pasted_keeps_its_shape_and_brings_nothing_along(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    page = open_page("agent")
    page.goto(f"{installation.base_url}/tickets/{ticket_of_a_mail(installation, 'The mixer stands still')}")
    editor = page.locator("#reply-panel .ck-editor__editable[role=textbox]")

    def pasted(html: str) -> str:
        editor.click()
        page.keyboard.press("Control+a")
        page.keyboard.press("Delete")
        page.evaluate(PASTE, html)
        written: str = page.locator("#reply-form").evaluate("form => form.writer.html")
        return re.sub(r' (data-list-item-id|target|rel)="[^"]*"', "", written)

    expect(editor).to_be_visible()
    assert "<strong>Offer</strong>" in pasted(WORD)
    assert "<ul><li>First point</li><li>Second point</li></ul>" in pasted(WORD)
    assert "mso" not in pasted(WORD)
    assert "<td>1.50</td><td>Kettle</td>" in pasted(EXCEL)
    from_a_page = pasted(PAGE)
    assert '<a href="https://ok.test/">good</a>' in from_a_page
    assert "a pixel" in from_a_page
    for never in ("alert", "javascript", "tracker"):
        assert never not in from_a_page


def test_a_session_that_ends_while_writing_costs_no_word(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    page = open_page("agent")
    address = f"{installation.base_url}/tickets/{ticket_of_a_mail(installation, 'The toaster smokes')}"
    page.goto(address)
    write(page, "These words outlive the session.")
    wait_until(lambda: is_signed_out(page), installation.log.read_text)
    send_button(page).click()
    page.get_by_role("link", name="Sign in and go on").click()
    page.get_by_label("User name").fill(installation.accounts["agent"]["username"])
    page.get_by_label("Password").fill(installation.accounts["agent"]["password"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(address)
    expect(page.locator("#reply-panel .ck-editor__editable")).to_contain_text(
        "These words outlive the session."
    )
    send_button(page).click()
    expect(page.locator(".letter-out")).to_contain_text("These words outlive the session.")


def is_signed_out(page: Any) -> bool:
    """Whether the session is gone for good: answers that were on their way may have brought it back."""
    page.context.clear_cookies()
    page.wait_for_timeout(2_000)
    asked = "fetch('/queue/list', { headers: { 'X-Partial': '1' } }).then((response) => response.status)"
    return bool(page.evaluate(asked) == 401)


def write(page: Any, words: str) -> None:
    editor = page.locator("#reply-panel .ck-editor__editable")
    expect(editor).to_be_visible()
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type(words)


def send_button(page: Any) -> Any:
    return page.locator("#reply-form").get_by_role("button", name="Send", exact=True)


def ticket_of_a_mail(installation: Installation, subject: str) -> int:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Nora <nora@customer.test>", DESK, subject
    mail["Message-ID"] = f"<{subject.replace(' ', '-')}@customer.test>"
    mail.set_content("Please help.")
    with smtplib.SMTP("127.0.0.1", installation.smtp_port) as server:
        server.send_message(mail)
    found = wait_until(lambda: installation.tickets(subject), installation.log.read_text)
    number: int = found[0]["number"]
    return number


def answers_of(installation: Installation, subject: str) -> list[str]:
    messages = installation.tickets(subject)[0]["messages"]
    return [message["delivery_state"] for message in messages if message["direction"] == "out"]
