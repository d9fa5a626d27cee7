"""Is the process there, and is everything it needs there too."""

from flask import Blueprint, Response, jsonify

from portal.services import health

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    return jsonify(status="ok")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    checks = health.check_all()
    is_ready = all(check.is_ok for check in checks)
    body = {check.name: {"ok": check.is_ok, "says": check.sentence} for check in checks}
    return jsonify(status="ready" if is_ready else "not ready", checks=body), 200 if is_ready else 503
