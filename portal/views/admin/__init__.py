"""Configuration, security and read-only ledgers, on Flask-AppBuilder."""

from flask import Flask
from flask_appbuilder import AppBuilder


def install_admin(app: Flask, appbuilder: AppBuilder, session: object) -> None:
    """Bind Flask-AppBuilder and register the admin's views."""
    app.config.update(FAB_UPDATE_PERMS=False, FAB_CREATE_DB=False, APP_NAME="Portal", AUTH_RATE_LIMITED=False)
    appbuilder.init_app(app, session)
