"""The applications that gunicorn and the flask command load."""

from flask import Flask

from portal import create_app


def create_worker_app() -> Flask:
    """For processes that serve no pages: without the admin's views, in a third of the memory."""
    return create_app(with_admin=False)


def __getattr__(name: str) -> Flask:
    # Made on first use, so that naming create_worker_app does not build the whole application as well.
    if name != "app":
        raise AttributeError(name)
    globals()["app"] = app = create_app()
    return app
