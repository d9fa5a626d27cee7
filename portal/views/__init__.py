"""Pages and APIs: they load, call one service, and answer."""

from flask import Flask


def install_views(app: Flask) -> None:
    """Register every blueprint."""
    from portal.views import health, leads
    from portal.views.console import console_blueprint

    app.register_blueprint(health.blueprint)
    app.register_blueprint(console_blueprint())
    app.register_blueprint(leads.blueprint)
    if app.config["SETTINGS"].is_demo:
        from portal.demo import install_demo

        install_demo(app)
