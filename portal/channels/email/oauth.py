"""Signing in to mail servers without a password: OAuth 2 (RFC 6749) with PKCE (RFC 7636), spoken as XOAUTH2.

Three small requests and no library for them: Authlib costs 25 MB in every process that sends or fetches.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

from portal.errors import Retryable

TIMEOUT_SECONDS = 10
_LONGEST_ANSWER = 100_000
# Where the provider does not say how long an access token lasts.
_USUAL_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class Provider:
    """Who signs people in: where, and what is asked for."""

    name: str
    authorize_url: str
    token_url: str
    scope: str
    more: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Client:
    """Portal as the provider knows it, on behalf of one mailbox."""

    client_id: str
    client_secret: str = field(repr=False)
    address: str


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What a provider has granted. Without a new refresh token the former one stays."""

    access_token: str = field(repr=False)
    expires_at: datetime
    refresh_token: str = field(repr=False)
    refresh_expires_at: datetime | None


class SignInTrouble(Retryable):
    """There is no access token. The text is a sentence for the admin; `is_refused` when only a person can help."""

    def __init__(self, sentence: str, *, is_refused: bool) -> None:
        super().__init__(sentence)
        self.is_refused = is_refused


def google(authorize_url: str, token_url: str) -> Provider:
    """Gmail and Google Workspace. Consent is asked for each time: only then is there a refresh token."""
    return Provider(
        name="Google",
        authorize_url=authorize_url,
        token_url=token_url,
        scope="https://mail.google.com/",
        more={"access_type": "offline", "prompt": "consent"},
    )


def microsoft(login_url: str, tenant: str) -> Provider:
    """Microsoft 365, in one organisation ("tenant") or any."""
    base = f"{login_url.rstrip('/')}/{tenant or 'organizations'}/oauth2/v2.0"
    outlook = "https://outlook.office.com"
    return Provider(
        name="Microsoft",
        authorize_url=f"{base}/authorize",
        token_url=f"{base}/token",
        scope=f"offline_access {outlook}/IMAP.AccessAsUser.All {outlook}/SMTP.Send",
        more={"prompt": "select_account"},
    )


def new_secret() -> str:
    """A random word of 256 bits: a state, or the verifier of PKCE."""
    return secrets.token_urlsafe(32)


def sign_in_address(provider: Provider, client: Client, *, back: str, state: str, verifier: str) -> str:
    """Where the admin's browser goes to sign in; it comes back to `back` with a code."""
    digest = hashlib.sha256(verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": back,
        "scope": provider.scope,
        "state": state,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "login_hint": client.address,
        **provider.more,
    }
    return f"{provider.authorize_url}?{urlencode(asked)}"


def tokens_for_code(
    provider: Provider, client: Client, *, code: str, back: str, verifier: str, at: datetime
) -> Tokens:
    """The tokens for a code that a browser brought back. Raises SignInTrouble."""
    asked = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": back,
        "code_verifier": verifier,
    }
    tokens = _tokens(provider, client, asked, at)
    if not tokens.refresh_token:
        raise SignInTrouble(
            f"{provider.name} gave no lasting permission (no refresh token). Allow offline access for Portal's "
            "registration there, and sign in again.",
            is_refused=True,
        )
    return tokens


def refreshed(provider: Provider, client: Client, refresh_token: str, at: datetime) -> Tokens:
    """A new access token. Raises SignInTrouble."""
    asked = {"grant_type": "refresh_token", "refresh_token": refresh_token, "scope": provider.scope}
    return _tokens(provider, client, asked, at)


def xoauth2(username: str, access_token: str) -> bytes:
    """What the client says for SASL XOAUTH2, before base64."""
    return f"user={username}\x01auth=Bearer {access_token}\x01\x01".encode()


class _NoRedirects(HTTPRedirectHandler):
    # A token endpoint that sends us elsewhere would carry the secret there.
    def redirect_request(self, *_words: Any) -> None:
        return None


def _tokens(provider: Provider, client: Client, asked: dict[str, str], at: datetime) -> Tokens:
    form = {**asked, "client_id": client.client_id}
    if client.client_secret:
        form["client_secret"] = client.client_secret
    answer = _asked(provider, client, form)
    access_token = answer.get("access_token")
    if not isinstance(access_token, str) or not access_token.isprintable():
        raise SignInTrouble(f"{provider.name} answered without an access token.", is_refused=False)
    refresh_token = answer.get("refresh_token")
    refresh_seconds = _seconds(answer.get("refresh_token_expires_in"))
    return Tokens(
        access_token=access_token,
        expires_at=at + timedelta(seconds=_seconds(answer.get("expires_in")) or _USUAL_SECONDS),
        refresh_token=refresh_token if isinstance(refresh_token, str) else "",
        refresh_expires_at=at + timedelta(seconds=refresh_seconds) if refresh_seconds else None,
    )


def _asked(provider: Provider, client: Client, form: dict[str, str]) -> dict[str, Any]:
    request = Request(  # noqa: S310 - the address is the administrator's setting
        provider.token_url, urlencode(form).encode(), headers={"Accept": "application/json"}
    )
    try:
        with build_opener(_NoRedirects).open(request, timeout=TIMEOUT_SECONDS) as response:
            return _object(response.read(_LONGEST_ANSWER))
    except HTTPError as error:
        raise _refusal(provider, client, error.code, _object(error.read(_LONGEST_ANSWER))) from None
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise SignInTrouble(
            f"{provider.name} could not be asked for an access token: {reason}.", is_refused=False
        ) from error


def _refusal(provider: Provider, client: Client, status: int, answer: dict[str, Any]) -> SignInTrouble:
    word = str(answer.get("error") or "")
    said = " ".join(str(answer.get("error_description") or word or f"status {status}").split())[:300]
    if status >= 500 or status == 429 or word == "temporarily_unavailable":
        return SignInTrouble(f"{provider.name} gives no access token just now: {said}.", is_refused=False)
    if word == "invalid_grant":
        sentence = (
            f"{provider.name} no longer accepts the sign-in of {client.address}: it has expired or was withdrawn. "
            f"Sign in again on the account's page. ({said})"
        )
    elif word in ("invalid_client", "unauthorized_client"):
        sentence = (
            f"{provider.name} does not accept the client id or the client secret, which may have expired. "
            f"Enter a new secret. ({said})"
        )
    else:
        sentence = f"{provider.name} refused an access token: {said}."
    return SignInTrouble(sentence, is_refused=True)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(value: Any) -> int:
    try:
        return max(int(value), 0)
    except (TypeError, ValueError):
        return 0
