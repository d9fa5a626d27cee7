"""A browser for measuring: signs in as a person does, then asks over one kept connection."""

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from flask import Flask
from flask.testing import FlaskClient

from bench.installation import Installation
from config import ROOT

START_SECONDS = 30


class Browser:
    """One person's session with a running Portal."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._cookies: dict[str, str] = {}
        self._token = ""
        # Of the last answer, where the web process is `bench.watched`.
        self.statements = 0
        self.statement_seconds = 0.0

    def sign_in(self, username: str, password: str) -> None:
        """Through the sign-in form, its token included."""
        _, page = self.get("/login/")
        token = re.search(rb'name="csrf_token"[^>]*value="([^"]+)"', page)
        form = {"username": username, "password": password, "csrf_token": token[1].decode() if token else ""}
        status, answer = self._ask("POST", "/login/", urlencode(form))
        if status != 302:
            raise RuntimeError(f"Signing in as {username} was answered with {status}: {answer[:300]!r}")

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body."""
        return self._ask("GET", path)

    def post(self, path: str, fields: dict[str, str]) -> tuple[int, bytes]:
        """Status and body of the answer to a form, which a page of ours must have given a token before."""
        return self._ask("POST", path, urlencode({"csrf_token": self._token, **fields}))

    def page(self, path: str) -> bytes:
        """The body of a page that must be there."""
        status, body = self.get(path)
        if status != 200:
            raise RuntimeError(f"{path} was answered with {status}: {body[:300]!r}")
        found = re.search(rb'name="csrf-token" content="([^"]+)"', body)
        self._token = found[1].decode() if found else self._token
        return body

    def stream(self, path: str) -> Iterator[bytes]:
        """The body in portions, as it comes."""
        self._connection.request("GET", path, headers=self._headers())
        answer = self._connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{path} was answered with {answer.status}")
        while portion := answer.read1(1 << 16):
            yield portion

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        try:
            answer = self._answer(method, path, body)
        except http.client.RemoteDisconnected:
            # The web process ends connections that were idle for long; the next request opens one.
            answer = self._answer(method, path, body)
        content = answer.read()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self._cookies[key] = rest.partition(";")[0]
        said = re.fullmatch(r"db;dur=([\d.]+);desc=(\d+)", answer.headers.get("Server-Timing", ""))
        if said:
            self.statement_seconds, self.statements = float(said[1]) / 1000, int(said[2])
        return answer.status, content

    def _answer(self, method: str, path: str, body: str | None) -> http.client.HTTPResponse:
        self._connection.request(method, path, body, self._headers(is_form=body is not None))
        return self._connection.getresponse()

    def _headers(self, *, is_form: bool = False) -> dict[str, str]:
        headers = {"Accept": "text/html", "Cookie": "; ".join(f"{k}={v}" for k, v in self._cookies.items())}
        if is_form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return headers


def client_of(app: Flask, username: str) -> FlaskClient:
    """A client of the application in this process, signed in without its password."""
    from portal.extensions import db
    from portal.models import User

    # Closed before the first request: an open context would carry one person into the next one's request.
    with app.app_context():
        user_id = db.session.query(User.id).filter_by(username=username).scalar()
    client = app.test_client()
    with client.session_transaction() as session:
        session["_user_id"], session["_fresh"] = str(user_id), True
    return client


def cookie_of(app: Flask, username: str) -> str:
    """The header of a session of that person."""
    name = app.config["SESSION_COOKIE_NAME"]
    cookie = client_of(app, username).get_cookie(name)
    if cookie is None:
        raise RuntimeError(f"{username} has no session.")
    return f"{name}={cookie.value}"


@contextmanager
def served(installation: Installation, app: str = "wsgi:app") -> Iterator[tuple[int, int]]:
    """The web process of `make run` on a free port, as (port, process id of its one worker)."""
    port = _free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", app]
    environment = {**os.environ, **installation.environment, "PORT": str(port), "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        _wait_for(port, process)
        yield port, _child_of(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"The web process ended with {process.returncode}.")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"The web process gave no answer within {START_SECONDS} s.")


def _child_of(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0])
