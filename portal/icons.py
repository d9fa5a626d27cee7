"""Icons of the sprite, for templates."""

from functools import lru_cache

from flask import Flask
from markupsafe import Markup

from portal.assets import asset

SPRITE = "icons.svg"


def install_icons(app: Flask) -> None:
    """`icon(name, label)` for templates. A function, because a page has hundreds: a macro takes ten times as long."""
    app.jinja_env.globals["icon"] = icon


def icon(name: str, label: str | None = None, css: str = "") -> Markup:
    """An icon of the sprite. Without a label it is decoration; with one it is announced and shown on hover."""
    return _drawn(asset(SPRITE), name, str(label) if label else "", css)


@lru_cache(maxsize=2000)
def _drawn(sprite: str, name: str, label: str, css: str) -> Markup:
    spoken = Markup('role="img" aria-label="{0}"><title>{0}</title>').format(label)
    return Markup('<svg class="icon {}" {}<use href="{}#{}"></use></svg>').format(
        css, spoken if label else Markup('aria-hidden="true">'), sprite, name
    )
