"""Signing in for a mailbox on its admin page, and what the page says before a login ends."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select

from portal.errors import Retryable
from portal.extensions import db
from portal.models import Notification
from portal.models.columns import now
from portal.secrets_box import seal, unseal
from portal.services import accounts, health, mailbox_warnings, mailboxes, sign_in
from tests.oauth_provider import CLIENT_ID, CLIENT_SECRET, provider_running


@pytest.fixture
def provider(app, monkeypatch):
    with provider_running() as running:
        settings = replace(
            app.config["SETTINGS"],
            google_authorize_url=f"{running.url}/authorize",
            google_token_url=f"{running.url}/token",
            microsoft_login_url=running.url,
        )
        monkeypatch.setitem(app.config, "SETTINGS", settings)
        yield running


@pytest.fixture
def account(house, make):
    return make.account(
        house.north,
        auth_kind="oauth2_google",
        oauth_client_id=CLIENT_ID,
        oauth_client_secret_encrypted=seal(CLIENT_SECRET),
        imap_host="imap.portal.test",
        imap_username="help@portal.test",
        smtp_host="smtp.portal.test",
        smtp_username="help@portal.test",
    )


def to_provider(client, account) -> str:
    """Where the button leads."""
    assert f"/admin/accounts/sign_in/{account.id}" in client.get(
        f"/admin/accounts/show/{account.id}"
    ).get_data(as_text=True)
    answer = client.get(f"/admin/accounts/sign_in/{account.id}")
    assert answer.status_code == 302
    return answer.location


def back_from(provider, address: str) -> str:
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    back = urlsplit(provider.authorize(asked))
    return f"{back.path}?{back.query}"


@pytest.mark.parametrize("kind", ["oauth2_google", "oauth2_microsoft"])
def test_signing_in_keeps_the_tokens_sealed(house, provider, account, login, kind):
    account.auth_kind = kind
    db.session.commit()
    client = login(house.admin)
    page = client.get(back_from(provider, to_provider(client, account)), follow_redirects=True)
    page = page.get_data(as_text=True)
    assert f"Portal is signed in for {account.address}" in page
    refresh_token = unseal(account.oauth_refresh_token_encrypted)
    assert refresh_token in provider.refresh_tokens
    assert refresh_token not in page
    assert "gAAAA" not in page
    assert refresh_token.encode() not in account.oauth_refresh_token_encrypted
    assert mailboxes.settings_of(account).access_token in provider.access_tokens
    assert accounts.relay_of(account).access_token in provider.access_tokens
    assert len(provider.asked) == 1, "the access token is kept as long as it lasts"


def test_an_access_token_that_ends_is_renewed_and_a_rotated_refresh_token_is_kept(
    house, provider, account, login
):
    client = login(house.admin)
    client.get(back_from(provider, to_provider(client, account)))
    first, former = sign_in.access_token(account), unseal(account.oauth_refresh_token_encrypted)
    account.oauth_access_expires_at = now() + timedelta(minutes=1)
    provider.rotates = True
    db.session.commit()
    assert sign_in.access_token(account) != first
    assert unseal(account.oauth_refresh_token_encrypted) != former


def test_a_state_counts_once_and_only_for_who_began(house, provider, account, login, make):
    client, other = login(house.admin), login(make.agent("Admin"))
    back = back_from(provider, to_provider(client, account))
    other.get(back)
    assert account.oauth_refresh_token_encrypted is None
    client.get(back)
    assert account.oauth_refresh_token_encrypted is None, "the other one has used it up"
    page = client.get("/admin/accounts/signed_in?code=x&state=made-up", follow_redirects=True)
    assert "was not begun here" in page.get_data(as_text=True)
    page = client.get("/admin/accounts/signed_in?error=access_denied", follow_redirects=True)
    assert "The sign-in was not completed: access_denied" in page.get_data(as_text=True)
    assert provider.asked == []


@pytest.mark.parametrize("role", ["Agent", "Lead", "Auditor"])
def test_only_who_may_change_accounts_signs_in(house, account, login, role):
    answer = login(house.person(role)).get(f"/admin/accounts/sign_in/{account.id}")
    assert answer.status_code in (302, 403)
    assert "authorize" not in (answer.location or "")


def test_tokens_do_not_go_to_another_server(house, provider, account, login):
    client = login(house.admin)
    client.get(back_from(provider, to_provider(client, account)))
    answer = client.put(f"/api/v1/accounts/{account.id}", json={"imap_host": "imap.elsewhere.test"})
    assert answer.status_code == 200, answer.json
    db.session.expire_all()
    assert account.oauth_refresh_token_encrypted is None
    assert account.oauth_access_token_encrypted is None
    with pytest.raises(Retryable, match="Nobody has signed in"):
        sign_in.access_token(account)


def test_tokens_are_never_sent_in_the_clear(house, account, login):
    answer = login(house.admin).put(f"/api/v1/accounts/{account.id}", json={"smtp_security": "none"})
    assert answer.status_code == 422
    assert "choose TLS for SMTP" in answer.json["message"]


# --- warnings


def bell() -> list[tuple[int, str]]:
    return list(db.session.execute(select(Notification.user_id, Notification.text)).tuples())


@pytest.mark.parametrize(
    ("days", "says"),
    [
        (31, None),
        (30, "expires in 30 days"),
        (1, "expires tomorrow"),
        (0, "expires today"),
        (-1, "has expired"),
    ],
)
def test_a_secret_is_told_before_it_ends(house, make, login, days, says):
    account = make.account(
        house.north,
        smtp_host="smtp.portal.test",
        secret_expires_on=(now() + timedelta(days=days)).date(),
    )
    sentences = [warning.sentence for warning in mailbox_warnings.warnings_of(account)]
    page = login(house.admin).get(f"/admin/accounts/show/{account.id}").get_data(as_text=True)
    if says is None:
        assert sentences == []
        assert "alert-danger" not in page
    else:
        assert len(sentences) == 1
        assert f"the password {says}" in sentences[0]
        assert sentences[0] in page


def test_admins_are_told_once_in_each_step(house, make):
    account = make.account(
        house.north, smtp_host="smtp.portal.test", secret_expires_on=(now() + timedelta(days=20)).date()
    )
    for _ in range(3):
        mailbox_warnings.look_and_tell()
    assert [user_id for user_id, _ in bell()] == [house.admin.id]
    account.secret_expires_on = (now() + timedelta(days=6)).date()
    db.session.commit()
    mailbox_warnings.look_and_tell()
    mailbox_warnings.look_and_tell()
    assert len(bell()) == 2


def test_refused_sign_ins_are_counted_told_and_forgotten_after_success(house, provider, account, login):
    client = login(house.admin)
    client.get(back_from(provider, to_provider(client, account)))
    account.oauth_access_expires_at = now()
    db.session.commit()
    provider.refuses = (400, "invalid_grant")
    pauses = []
    for _ in range(mailbox_warnings.SUSPICIOUS_FAILURES):
        account.next_fetch_at = None
        db.session.commit()
        assert mailboxes.fetch(account.id) == 0
        pauses.append(account.next_fetch_at - now())
    assert pauses == sorted(pauses)
    assert pauses[-1] > 2 * pauses[0], "a wrong login is tried less and less often"
    (told,) = bell()
    assert told[0] == house.admin.id
    assert "refused 3 times" in told[1]
    assert "Sign in again" in told[1]
    provider.refuses = None
    client.get(back_from(provider, to_provider(client, account)))
    assert (account.login_failure_count, account.last_error) == (0, "")


def test_a_provider_that_is_away_is_no_refused_login(house, provider, account, login):
    client = login(house.admin)
    client.get(back_from(provider, to_provider(client, account)))
    account.oauth_access_expires_at = now()
    db.session.commit()
    provider.refuses = (503, "oops")
    mailboxes.fetch(account.id)
    assert account.login_failure_count == 0
    assert "gives no access token just now" in account.last_error


def test_the_sign_in_of_a_test_registration_is_told_before_it_ends(house, provider, account, login):
    provider.refresh_expires_in = 6 * 24 * 3600
    client = login(house.admin)
    client.get(back_from(provider, to_provider(client, account)))
    sentences = [warning.sentence for warning in mailbox_warnings.warnings_of(account)]
    assert any("the sign-in expires in 6 days" in sentence for sentence in sentences)


def test_readyz_counts_warnings_and_names_nobody(house, make):
    make.account(
        house.north, smtp_host="smtp.portal.test", secret_expires_on=now().date(), address="name@portal.test"
    )
    check = next(check for check in health.check_all() if check.name == "mailboxes")
    assert check.is_ok
    assert "1 warnings" in check.sentence
    assert "name@portal.test" not in check.sentence
