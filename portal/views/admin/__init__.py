"""Configuration, security and read-only ledgers, on Flask-AppBuilder."""

import re

from flask import Flask
from flask_appbuilder import AppBuilder

from portal.language import gettext
from portal.wording import N_

# What Flask-AppBuilder says and its own catalogues leave in English.
FAB_WORDS = (N_("Add"), N_("Edit"), N_("Delete"), N_("Are you sure you want to delete this item?"))


def install_admin(app: Flask, appbuilder: AppBuilder, session: object) -> None:
    """Bind Flask-AppBuilder and register the admin's views."""
    from portal.views.admin import roles, security
    from portal.views.admin.contents import APIS, VIEWS
    from portal.views.admin.index import AdminIndex

    app.config.update(
        APP_NAME="Portal",
        FAB_CREATE_DB=False,
        FAB_UPDATE_PERMS=False,
        FAB_ROLES=roles.FAB_ROLES,
        FAB_API_MAX_PAGE_SIZE=100,
        FAB_ADD_OPENAPI_VIEWS=False,
        FAB_ADD_MENU_API=False,
        FAB_SECURITY_SIGNALS_ENABLED=False,
        AUTH_RATE_LIMITED=False,
    )
    # FAB would switch the limiter off where nobody has said otherwise.
    app.config.setdefault("RATELIMIT_ENABLED", True)
    # The builder outlives an application where several are made, as in tests.
    appbuilder.baseviews.clear()
    appbuilder.menu = None
    appbuilder.indexview = AdminIndex
    appbuilder.security_manager_class = security.PortalSecurityManager
    appbuilder.init_app(app, session)
    app.jinja_env.filters["labelled_boxes"] = labelled_boxes
    for view in VIEWS:
        appbuilder.add_view_no_menu(view)
    for api in APIS:
        appbuilder.add_api(api)


def labelled_boxes(html: str) -> str:
    """The list that Flask-AppBuilder has drawn, with names for its boxes: they have none of their own."""
    every, one = gettext("Choose all rows"), gettext("Choose this row")
    named = html.replace('id="check_all"', f'id="check_all" aria-label="{every}"')
    return re.sub(r'(<input id="[^"]*" class="action_check")', rf'\1 aria-label="{one}"', named)
