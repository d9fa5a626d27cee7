"""The web process of `make run`, which also says of each answer what its statements took, in its Server-Timing."""

import time
from typing import Any

from flask import Response, g, has_request_context
from sqlalchemy import Engine, event

from wsgi import app

__all__ = ["app"]


@event.listens_for(Engine, "before_cursor_execute")
def _before(*_what: Any) -> None:
    if has_request_context():
        g.statement_began = time.perf_counter()


@event.listens_for(Engine, "after_cursor_execute")
def _after(*_what: Any) -> None:
    if has_request_context():
        g.setdefault("statement_seconds", []).append(time.perf_counter() - g.statement_began)


@app.after_request
def _say(response: Response) -> Response:
    spent = g.get("statement_seconds", [])
    response.headers["Server-Timing"] = f"db;dur={sum(spent) * 1000:.3f};desc={len(spent)}"
    return response
