"""A provider of OAuth 2 on loopback, which grants what it is asked for and remembers what it was asked.

It signs in at once whoever comes, checks PKCE, and tells a mail server whom an access token belongs to.
"""

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

CLIENT_ID, CLIENT_SECRET = "portal-client", "very secret"


@dataclass
class FakeProvider:
    """What it has granted, and how it is to behave."""

    url: str = ""
    username: str = ""
    expires_in: int = 3600
    refresh_expires_in: int | None = None
    rotates: bool = False
    # An error word with its status, instead of tokens.
    refuses: tuple[int, str] | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refresh_tokens: set[str] = field(default_factory=set)
    access_tokens: dict[str, str] = field(default_factory=dict)

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser is sent back to."""
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, asked: dict[str, str]) -> tuple[int, dict[str, object]]:
        """The answer of the token endpoint."""
        self.asked.append(asked)
        if self.refuses:
            status, word = self.refuses
            return status, {"error": word, "error_description": f"because of {word}"}
        if (asked.get("client_id"), asked.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return 401, {"error": "invalid_client"}
        if asked["grant_type"] == "authorization_code":
            begun = self.codes.pop(asked["code"], None)
            digest = hashlib.sha256(asked["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if begun is None or (begun["code_challenge"], begun["redirect_uri"]) != (
                challenge,
                asked["redirect_uri"],
            ):
                return 400, {"error": "invalid_grant"}
            return 200, self._granted(is_new=True)
        if asked["refresh_token"] not in self.refresh_tokens:
            return 400, {"error": "invalid_grant", "error_description": "Token has been revoked."}
        return 200, self._granted(is_new=self.rotates)

    def _granted(self, *, is_new: bool) -> dict[str, object]:
        access_token = secrets.token_urlsafe(16)
        self.access_tokens[access_token] = self.username
        granted: dict[str, object] = {"access_token": access_token, "expires_in": self.expires_in}
        if is_new:
            self.refresh_tokens.add(refresh_token := secrets.token_urlsafe(16))
            granted["refresh_token"] = refresh_token
            if self.refresh_expires_in:
                granted["refresh_token_expires_in"] = self.refresh_expires_in
        return granted


@contextmanager
def provider_running() -> Iterator[FakeProvider]:
    """One on a free port of 127.0.0.1."""
    provider = FakeProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(address.query).items()}
            if address.path.endswith("/authorize"):
                self.send_response(302)
                self.send_header("Location", provider.authorize(asked))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            username = provider.access_tokens.get(asked.get("access_token", ""))
            if username is None:
                self._answer(400, {"error": "invalid_token"})
            else:
                self._answer(200, {"email": username, "active": True})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer(*provider.token({name: values[0] for name, values in parse_qs(body).items()}))

        def _answer(self, status: int, answer: dict[str, object]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
