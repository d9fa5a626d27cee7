"""Where the shared sample mails and questions lie: beside the project, never inside it."""

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared_path(name: str) -> Path:
    """The shared folder or file `name`; skips the test where it is absent, fails it when CI=true."""
    path = SHARED / name
    if path.exists():
        return path
    message = f"sample data {name!r} is not beside the project (expected ../shared/{name})"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
