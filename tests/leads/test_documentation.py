"""The written definitions keep up with the code."""

import re
from pathlib import Path

from portal.services.events import KINDS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def test_every_kind_of_event_is_documented_and_no_other() -> None:
    _, _, table = DOCUMENT.read_text().partition("## Events")
    named = {
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert named == set(KINDS)
