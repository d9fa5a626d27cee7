"""A reply that waits: the times that are offered are those of the agent's profile, wherever the machine stands."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from tests.journey.conftest import Installation
from tests.journey.test_writing import ticket_of_a_mail, write

pytestmark = [pytest.mark.browser, pytest.mark.journey]


def test_the_usual_times_stand_in_the_agents_zone_and_not_in_the_browsers(
    installation: Installation, open_page: Callable[..., Any]
) -> None:
    number = ticket_of_a_mail(installation, "The clock is slow")
    page = open_page("agent", timezone_id="Pacific/Kiritimati")
    page.goto(f"{installation.base_url}/tickets/{number}")
    write(page, "Tomorrow, then.")
    page.get_by_title("Send later").click()
    panel = page.locator("[data-later]")
    zone = ZoneInfo(panel.get_attribute("data-zone"))
    here = datetime.now(zone)
    field = panel.locator("input")
    earliest = datetime.fromisoformat(field.get_attribute("min")).replace(tzinfo=zone)
    assert abs((earliest - here).total_seconds()) < 120

    panel.get_by_role("button", name="Tomorrow morning").click()
    chosen = datetime.fromisoformat(field.input_value())
    assert (chosen.date() - here.date()).days == 1
    assert (chosen.hour, chosen.minute) == (9, 0)
    panel.get_by_role("button", name="Send then").click()
    expect(page.locator(".letter-out")).to_contain_text("Will be sent Tomorrow 09:00")
