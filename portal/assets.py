"""Static files under addresses that change with their content, so that browsers may keep them for ever."""

import hashlib
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, request, url_for

KEEP_SECONDS = 365 * 24 * 3600


def install_assets(app: Flask) -> None:
    """`asset(path)` for templates, and the caching headers that go with it."""
    app.jinja_env.globals["asset"] = asset
    app.after_request(_keep_hashed)


def asset(path: str) -> str:
    """The address of `static/<path>`, with the first half of its SHA-256 as the version."""
    from flask import current_app

    file = Path(current_app.static_folder or "") / path
    return url_for("static", filename=path, v=_digest(file, file.stat().st_mtime_ns))


@lru_cache(maxsize=512)
def _digest(file: Path, _changed_at: int) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def _keep_hashed(response: Response) -> Response:
    if request.endpoint == "static" and response.status_code == 200 and request.args.get("v"):
        response.headers["Cache-Control"] = f"public, max-age={KEEP_SECONDS}, immutable"
    return response
