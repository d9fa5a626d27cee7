"""Commands of `flask --app wsgi`."""

from flask import Flask


def install_commands(app: Flask) -> None:
    """Attach every command; each imports what it needs when it runs."""
