"""Static files under addresses that change with their content, so that browsers may keep them for ever."""

import hashlib
import time
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, current_app, request, url_for

KEEP_SECONDS = 365 * 24 * 3600
# Files are looked at again after this long: somebody at work on them sees what they have changed.
LOOK_SECONDS = 2
# Modules import one another by name, so a change in one must change the address of all.
MODULES = "js"


def install_assets(app: Flask) -> None:
    """`asset(path)` for templates, and the caching headers that go with it."""
    app.jinja_env.globals["asset"] = asset
    app.after_request(_keep_hashed)


def asset(path: str) -> str:
    """The address of `static/<path>` with a version made from its content."""
    return _address(
        current_app.static_folder or "", request.script_root, path, int(time.monotonic() // LOOK_SECONDS)
    )


@lru_cache(maxsize=512)
def _address(root: str, _script_root: str, path: str, _look: int) -> str:
    return url_for("static", filename=path, v=_version(Path(root), path))


def _version(root: Path, path: str) -> str:
    is_module = path.startswith(f"{MODULES}/")
    files = sorted((root / MODULES).rglob("*.js")) if is_module else [root / path]
    return _digest(tuple((file, file.stat().st_mtime_ns) for file in files))


@lru_cache(maxsize=512)
def _digest(files: tuple[tuple[Path, int], ...]) -> str:
    digest = hashlib.sha256()
    for file, _changed_at in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _keep_hashed(response: Response) -> Response:
    if request.endpoint == "static" and response.status_code == 200 and request.args.get("v"):
        response.headers["Cache-Control"] = f"public, max-age={KEEP_SECONDS}, immutable"
    return response
