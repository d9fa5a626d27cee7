"""The demo: plausible data, a sink that catches outgoing mail, and the postbox where one plays the customer.

Only with DEMO=1; nothing else of Portal knows of this room but the wiring.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

ACCOUNTS_FILE = "demo-accounts.json"


def demo_accounts(var_dir: Path) -> dict[str, dict[str, str]]:
    """User names and passwords of the demo by role: admin, lead, agent, agent2; {} before they are made."""
    path = var_dir / ACCOUNTS_FILE
    if not path.exists():
        return {}
    accounts: dict[str, dict[str, str]] = json.loads(path.read_text())
    return accounts


def install_demo(app: "Flask") -> None:
    """Register the postbox, and tell templates that this is a demo."""
    from portal.views.customer import postbox

    app.register_blueprint(postbox.blueprint)
    app.context_processor(lambda: {"is_demo": True})
