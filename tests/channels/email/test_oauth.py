"""Signing in without a password, against a provider and mail servers on loopback."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from portal.channels.email import imap, oauth, smtp
from portal.channels.email.imap import Cursor, FetchedMail, ImapSettings, fetch_new
from portal.channels.email.smtp import SmtpSettings
from tests.certificates import make_certificate
from tests.channels.email.servers import _FreePort
from tests.dovecot import Dovecot, dovecot, dovecot_running  # noqa: F401  # a fixture
from tests.oauth_provider import CLIENT_ID, CLIENT_SECRET, FakeProvider, provider_running

AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
BACK = "http://portal.test/back"
CLIENT = oauth.Client(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, address="desk@portal.test")


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with provider_running() as running:
        yield running


@pytest.fixture(scope="module")
def token_server(tmp_path_factory) -> Iterator[tuple[FakeProvider, Dovecot]]:
    """A Dovecot that asks the provider whose an access token is."""
    folder = tmp_path_factory.mktemp("dovecot-tokens")
    certificate = make_certificate(folder)
    with provider_running() as running:
        ask = f"{running.url}/tokeninfo?access_token="
        with dovecot_running(
            folder, certificate.certificate_file, certificate.key_file, token_info_url=ask
        ) as server:
            yield running, server


def google_of(provider: FakeProvider) -> oauth.Provider:
    return oauth.google(f"{provider.url}/authorize", f"{provider.url}/token")


def brought_back(address: str) -> dict[str, str]:
    """What the browser carries back after the provider's page."""

    class Stay(HTTPRedirectHandler):
        def redirect_request(self, _req, _fp, _code, _msg, _headers, newurl):
            raise Reached(newurl)

    class Reached(Exception):
        pass

    with pytest.raises(Reached) as reached:
        build_opener(Stay).open(address, timeout=10)
    return {name: values[0] for name, values in parse_qs(urlsplit(str(reached.value)).query).items()}


def signed_in(provider: FakeProvider) -> oauth.Tokens:
    who = google_of(provider)
    back = brought_back(oauth.sign_in_address(who, CLIENT, back=BACK, state="s", verifier="v" * 43))
    return oauth.tokens_for_code(who, CLIENT, code=back["code"], back=BACK, verifier="v" * 43, at=AT)


# --- tokens


def test_a_code_becomes_tokens_and_the_refresh_token_another_access_token(provider):
    provider.refresh_expires_in = 7 * 24 * 3600
    tokens = signed_in(provider)
    assert tokens.expires_at == AT + timedelta(hours=1)
    assert tokens.refresh_expires_at == AT + timedelta(days=7)
    again = oauth.refreshed(google_of(provider), CLIENT, tokens.refresh_token, AT)
    assert again.access_token != tokens.access_token
    assert again.refresh_token == ""
    assert [each["grant_type"] for each in provider.asked] == ["authorization_code", "refresh_token"]


def test_a_code_is_worth_nothing_without_its_verifier(provider):
    who = google_of(provider)
    back = brought_back(oauth.sign_in_address(who, CLIENT, back=BACK, state="s", verifier="v" * 43))
    with pytest.raises(oauth.SignInTrouble):
        oauth.tokens_for_code(who, CLIENT, code=back["code"], back=BACK, verifier="w" * 43, at=AT)


def test_microsoft_is_asked_in_its_tenant_for_imap_and_smtp():
    who = oauth.microsoft("https://login.example/", "my-tenant")
    address = oauth.sign_in_address(who, CLIENT, back=BACK, state="s", verifier="v")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert address.startswith("https://login.example/my-tenant/oauth2/v2.0/authorize?")
    assert asked["scope"].split() == [
        "offline_access",
        "https://outlook.office.com/IMAP.AccessAsUser.All",
        "https://outlook.office.com/SMTP.Send",
    ]
    assert (asked["code_challenge_method"], asked["login_hint"]) == ("S256", "desk@portal.test")


@pytest.mark.parametrize(
    ("refuses", "sentence", "is_refused"),
    [
        ((400, "invalid_grant"), "Google no longer accepts the sign-in of desk@portal.test", True),
        ((401, "invalid_client"), "does not accept the client id or the client secret", True),
        ((400, "invalid_scope"), "Google refused an access token: because of invalid_scope", True),
        ((503, "oops"), "gives no access token just now", False),
        ((400, "temporarily_unavailable"), "gives no access token just now", False),
    ],
)
def test_a_refusal_is_told_in_a_sentence(provider, refuses, sentence, is_refused):
    provider.refuses = refuses
    with pytest.raises(oauth.SignInTrouble, match=sentence) as caught:
        oauth.refreshed(google_of(provider), CLIENT, "r", AT)
    assert caught.value.is_refused is is_refused
    assert CLIENT_SECRET not in str(caught.value)


def test_a_provider_that_is_not_there_may_come_back():
    who = oauth.google("http://127.0.0.1:1/a", "http://127.0.0.1:1/t")
    with pytest.raises(oauth.SignInTrouble, match="could not be asked") as caught:
        oauth.refreshed(who, CLIENT, "r", AT)
    assert not caught.value.is_refused


def test_nothing_shows_a_token(provider):
    tokens = signed_in(provider)
    settings = ImapSettings(account_id=1, host="h", username="u", access_token=tokens.access_token)
    assert tokens.access_token not in repr(settings) + repr(tokens)
    assert tokens.refresh_token not in repr(tokens)


# --- IMAP, a real Dovecot


def imap_settings(server: Dovecot, username: str, access_token: str) -> ImapSettings:
    return ImapSettings(
        account_id=7,
        host="127.0.0.1",
        port=server.port,
        security="none",
        username=username,
        access_token=access_token,
        timeout_seconds=10,
    )


def test_mail_is_fetched_with_an_access_token(token_server):
    provider, server = token_server
    provider.username = "token-desk"
    with server.client("token-desk") as client:
        client.append("INBOX", b"Subject: one\r\n\r\none\r\n")
    kept: list[FetchedMail] = []
    fetch_new(imap_settings(server, "token-desk", signed_in(provider).access_token), Cursor(), kept.append)
    assert [each.raw for each in kept] == [b"Subject: one\r\n\r\none\r\n"]


def test_a_token_that_imap_does_not_take_is_told(token_server):
    _, server = token_server
    *_, last = imap.test_connection(imap_settings(server, "token-desk", "wrong"))
    assert (last.step, last.ok) == ("login", False)
    assert "127.0.0.1 refused the access token for token-desk" in last.sentence


def test_a_token_of_someone_else_opens_nothing(token_server):
    provider, server = token_server
    provider.username = "someone-else"
    token = signed_in(provider).access_token
    *_, last = imap.test_connection(imap_settings(server, "token-desk", token))
    assert (last.step, last.ok) == ("login", False)


def test_an_imap_server_without_xoauth2_is_told(dovecot):  # noqa: F811  # the fixture
    *_, last = imap.test_connection(imap_settings(dovecot, "desk", "token"))
    assert "offers no login by OAuth 2" in last.sentence


# --- SMTP


class _TokenSmtp(SMTP):
    async def auth_XOAUTH2(self, _server: SMTP, words: list[str]) -> AuthResult:  # noqa: N802
        said = base64.b64decode(words[1])
        taken = said == b"user=desk@portal.test\x01auth=Bearer good\x01\x01"
        if not taken:
            answer = await self.challenge_auth(b'{"status":"400"}')
            assert answer == b""
        return AuthResult(
            success=taken, handled=False, auth_data=LoginPassword(b"desk", b"") if taken else None
        )


class _Keeper:
    def __init__(self) -> None:
        self.kept: list[bytes] = []

    async def handle_DATA(self, _server, _session, envelope) -> str:  # noqa: N802
        self.kept.append(envelope.content)
        return "250 OK"


class _Server(_FreePort):
    def factory(self) -> SMTP:
        return _TokenSmtp(self.handler, auth_require_tls=False, auth_required=True)


@contextmanager
def smtp_running() -> Iterator[tuple[int, _Keeper]]:
    keeper = _Keeper()
    server = _Server(keeper, hostname="127.0.0.1", port=0)
    server.start()
    try:
        yield server.server.sockets[0].getsockname()[1], keeper
    finally:
        server.stop()


def smtp_settings(port: int, access_token: str) -> SmtpSettings:
    return SmtpSettings(
        host="127.0.0.1",
        port=port,
        security="none",
        username="desk@portal.test",
        access_token=access_token,
        timeout_seconds=10,
    )


def test_mail_is_sent_with_an_access_token():
    with smtp_running() as (port, keeper):
        (result,) = smtp.send(
            smtp_settings(port, "good"), "desk@portal.test", ["ada@customer.test"], b"Subject: a\r\n\r\nb\r\n"
        )
    assert (result.state, len(keeper.kept)) == ("sent", 1)


def test_a_token_that_smtp_does_not_take_is_told_and_the_mail_waits():
    with smtp_running() as (port, keeper):
        (result,) = smtp.send(
            smtp_settings(port, "bad"), "desk@portal.test", ["ada@customer.test"], b"a: b\r\n\r\n"
        )
        *_, last = smtp.test_connection(smtp_settings(port, "bad"))
    assert (result.state, keeper.kept) == ("deferred", [])
    assert "refused the access token for desk@portal.test" in last.sentence
