"""A whole installation, started as a newcomer starts it, and a browser to use it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120
# For what a page does at once: a machine may have much else to do.
PATIENCE_MS = 60_000
# Before its behaviours are attached, a link leads to a page of its own and a key is kept for later.
# A function: an expression would be evaluated anew at every look, which our pages do not let anybody do.
IS_ATTACHED = """() => [...document.querySelectorAll("[data-behaviour]")].every((one) => {
  const attached = (one.dataset.attached ?? "").split(" ");
  return one.dataset.behaviour.trim().split(/\\s+/).every((name) => attached.includes(name));
})"""
BROWSER_NAMES = ("chromium", "chromium-browser", "google-chrome")
# In CI and in containers Chromium runs as root, where it has no sandbox; it asks no host but ours.
BROWSER_WORDS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Installation:
    """A running Portal: where it is, and how to log in."""

    base_url: str
    smtp_port: int
    var_dir: Path
    accounts: dict[str, dict[str, str]]
    log: Path
    pid: int

    def flask(self, *words: str) -> str:
        """What a `flask` command prints; fails the test when the command fails."""
        environment = {**os.environ, "VAR_DIR": str(self.var_dir), "PYTHONWARNINGS": "ignore", "DEMO": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "wsgi", *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def tickets(self, query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.flask("tickets", "--json", "--query", query))
        return found


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """`make run` without make: the launcher in a temporary folder, on free ports."""
    with started(tmp_path_factory.mktemp("journey")) as installation:
        yield installation


@contextmanager
def started(folder: Path, *, demo: bool = True) -> Iterator[Installation]:
    """An installation of its own in that folder, with the demo's data or empty."""
    for each in (folder, *folder.parents[:2]):
        each.chmod(0o755)
    var_dir, log = folder / "var", folder / "launch.log"
    web_port, smtp_port = free_port(), free_port_pair()
    environment = {
        **os.environ,
        "VAR_DIR": str(var_dir),
        "PORT": str(web_port),
        "SMTP_PORT": str(smtp_port),
        "DEMO": "1" if demo else "0",
        "PYTHONWARNINGS": "ignore",
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "portal.launch"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    base_url = f"http://127.0.0.1:{web_port}"
    try:
        wait_until(lambda: _is_ready(base_url, process), log.read_text, START_SECONDS)
        accounts = json.loads((var_dir / "demo-accounts.json").read_text()) if demo else {}
        yield Installation(base_url, smtp_port, var_dir, accounts, log, process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium as the machine has it."""
    path = next((found for name in BROWSER_NAMES if (found := shutil.which(name))), None)
    if path is None:
        message = "Chromium is not installed (apt install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=BROWSER_WORDS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(installation: Installation, open_page_of: Callable[..., Any]) -> Callable[..., Any]:
    """Like open_page_of, of the demo."""
    return partial(open_page_of, installation)


@pytest.fixture
def open_page_of(browser: Any) -> Iterator[Callable[..., Any]]:
    """A page of a fresh browser, logged in as the given account; what goes wrong in it fails the test.

    Its `goto` returns once the page's behaviours are attached, unless it is told what to wait for.
    """
    contexts, complaints = [], []

    def open_it(installation: Installation, who: str | None = None, **settings: Any) -> Any:
        context = browser.new_context(viewport={"width": 1440, "height": 900}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto = _goto_of(page)
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        page.on(
            "console", lambda message: complaints.append(message.text) if _is_complaint(message) else None
        )
        page.on("request", lambda request: _check_host(request.url, installation.base_url, complaints))
        if who is not None:
            log_in(page, installation, who)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not complaints, complaints


def _goto_of(page: Any) -> Callable[..., Any]:
    plain = page.goto

    def goto(address: str, **how: Any) -> Any:
        answer = plain(address, **how)
        if "wait_until" not in how:
            page.wait_for_function(IS_ATTACHED)
        return answer

    return goto


def log_in(page: Any, installation: Installation, who: str) -> None:
    account = installation.accounts[who]
    page.goto(f"{installation.base_url}/login/")
    page.get_by_label("User name").fill(account["username"])
    page.get_by_label("Password").fill(account["password"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login" not in url)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def free_port_pair() -> int:
    """A free port whose successor, where the sink listens, is free as well."""
    while True:
        port = free_port()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def wait_until(is_done: Callable[[], Any], explain: Callable[[], str], seconds: float = 20) -> Any:
    """What `is_done` gives once it is true; fails with what `explain` says when that takes too long."""
    end = time.monotonic() + seconds
    while True:
        if found := is_done():
            return found
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds} s in vain:\n{explain()[-4000:]}")
        time.sleep(0.05)


def _is_ready(base_url: str, process: subprocess.Popen) -> bool:
    assert process.poll() is None, "the launcher has ended"
    try:
        with urllib.request.urlopen(f"{base_url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _is_complaint(message: Any) -> bool:
    # A refusal that a test provokes (422, 409, 404) is reported by the browser as a failed resource.
    return message.type == "error" and "Failed to load resource" not in message.text


def _check_host(url: str, base_url: str, complaints: list[str]) -> None:
    if not url.startswith((base_url, "data:", "blob:", "about:")):
        complaints.append(f"asked a foreign host: {url}")
