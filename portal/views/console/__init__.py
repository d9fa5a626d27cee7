"""The agent's desk: what waits, what was said, what matters about it."""

from flask import Blueprint


def console_blueprint() -> Blueprint:
    """The blueprint with every page of the desk registered."""
    from portal.views.console import (
        actions,
        composer,
        customers,
        files,
        live,
        moving,
        personal,
        queue,
        snoozing,
        ticket,
        triage,
    )
    from portal.views.console.blueprint import blueprint

    assert all(
        (actions, composer, customers, files, live, moving, personal, queue, snoozing, ticket, triage)
    ), "importing them registers their pages"
    return blueprint
