"""Static files under addresses that change with their content, so that browsers may keep them for ever, compressed.

Pages themselves are left as they are: they hold what the reader typed beside the form's token, and the length of such
an answer, compressed, tells of both (BREACH). A server in front may decide otherwise.
"""

import gzip
import hashlib
import time
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, current_app, request, url_for

KEEP_SECONDS = 365 * 24 * 3600
# Files are looked at again after this long: somebody at work on them sees what they have changed.
LOOK_SECONDS = 2
COMPRESSIBLE = frozenset(
    {"text/css", "text/javascript", "application/javascript", "image/svg+xml", "application/json"}
)
SMALLEST_COMPRESSED = 600
# Modules import one another by name, so a change in one must change the address of all.
MODULES = "js"


def install_assets(app: Flask) -> None:
    """`asset(path)` for templates, and the caching headers that go with it."""
    app.jinja_env.globals["asset"] = asset
    app.after_request(_keep_hashed)
    app.after_request(_compressed)


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


def _compressed(response: Response) -> Response:
    """A static file compressed, where the browser takes that."""
    if not (request.endpoint or "").endswith("static") or response.mimetype not in COMPRESSIBLE:
        return response
    response.vary.add("Accept-Encoding")
    is_wanted = response.status_code == 200 and request.method == "GET" and "gzip" in request.accept_encodings
    if not is_wanted or (response.content_length or 0) < SMALLEST_COMPRESSED:
        return response
    response.direct_passthrough = False
    response.set_data(_gzip(response.get_data()))
    response.headers["Content-Encoding"] = "gzip"
    response.headers.pop("ETag", None)
    return response


@lru_cache(maxsize=256)
def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)
