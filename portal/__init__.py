"""Portal: a customer-support desk that a company runs itself."""

from typing import TYPE_CHECKING

from config import Settings, load_settings

if TYPE_CHECKING:
    from flask import Flask

__version__ = "0.1.0"


def create_app(settings: Settings | None = None, *, with_admin: bool = True) -> "Flask":
    """The application, wired. The one place where parts meet.

    `with_admin=False` leaves Flask-AppBuilder's pages out, for processes that serve no page and save the memory.
    """
    from flask import Flask
    from werkzeug.middleware.proxy_fix import ProxyFix

    from portal import access, assets, cli, embedded, enqueue, errors_pages, icons, live, logs, security
    from portal.extensions import ckeditor, csrf, db, limiter, migrate
    from portal.redis_handle import redis_handle

    settings = embedded.with_engines(settings or load_settings())
    logs.configure_logs(settings.log_format)
    app = Flask(__name__)
    app.config.from_mapping(_flask_config(settings))
    if settings.is_https:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]

    redis_handle.init_url(settings.redis_url)
    db.init_app(app)
    migrate.init_app(app, db)
    access.scope_session(db.session)
    enqueue.install(db.session)
    live.install(db.session)
    security.install_security(app)
    assets.install_assets(app)
    icons.install_icons(app)
    cli.install_commands(app)
    if with_admin:
        csrf.init_app(app)
        limiter.init_app(app)
        ckeditor.init_app(app)
        errors_pages.install_error_pages(app)
        _install_views(app)
    return app


def _install_views(app: "Flask") -> None:
    from portal import language
    from portal.extensions import appbuilder, db
    from portal.views import admin, install_views, navigation

    settings = app.config["SETTINGS"]
    app.config.update(
        LANGUAGES=language.LANGUAGES,
        BABEL_TRANSLATION_DIRECTORIES=str(language.compiled(settings.var_dir)),
    )
    navigation.install_navigation(app)
    with app.app_context():
        admin.install_admin(app, appbuilder, db.session)
        language.install_language(app)
        install_views(app)


def _flask_config(settings: Settings) -> dict[str, object]:
    return {
        "SETTINGS": settings,
        "SECRET_KEY": settings.secret_key,
        "ENCRYPTION_KEY": settings.encryption_key,
        "STORAGE_URL": settings.storage_url,
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SESSION_COOKIE_NAME": "portal_session",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.is_https,
        "REMEMBER_COOKIE_HTTPONLY": True,
        "REMEMBER_COOKIE_SECURE": settings.is_https,
        "PERMANENT_SESSION_LIFETIME": 12 * 3600,
        "MAX_CONTENT_LENGTH": settings.mail_size_limit_bytes,
        "MAX_FORM_MEMORY_SIZE": 8 * 1024 * 1024,
        "WTF_CSRF_TIME_LIMIT": None,
        "RATELIMIT_STORAGE_URI": _limits_url(settings.redis_url),
        # Redis may vanish: limits are then counted in each process.
        "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True,
        "RATELIMIT_HEADERS_ENABLED": True,
        "BABEL_DEFAULT_LOCALE": settings.default_language,
        "BABEL_DEFAULT_TIMEZONE": "UTC",
        "CKEDITOR_SERVE_LOCAL": True,
    }


def _limits_url(redis_url: str) -> str:
    return redis_url.replace("unix://", "redis+unix://", 1)
