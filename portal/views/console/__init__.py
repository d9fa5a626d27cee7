"""The agent's desk: what waits, what was said, what matters about it."""

from importlib import import_module

from flask import Blueprint

PAGES = (
    "actions",
    "bulk",
    "composer",
    "customers",
    "files",
    "filter_panel",
    "linking",
    "live",
    "moving",
    "own_fields",
    "personal",
    "queue",
    "snoozing",
    "ticket",
    "triage",
)


def console_blueprint() -> Blueprint:
    """The blueprint with every page of the desk registered, which importing them does."""
    for name in PAGES:
        import_module(f"{__name__}.{name}")
    from portal.views.console.blueprint import blueprint

    return blueprint
