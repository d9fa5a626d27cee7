"""OAuth 2 of mailboxes: an admin signs in once, access tokens are got from then on by ourselves."""

import json
from datetime import timedelta

from flask import current_app

from portal.channels.email import oauth
from portal.errors import UserFault
from portal.extensions import db
from portal.models import ChannelAccount
from portal.models.columns import now
from portal.redis_handle import redis_handle
from portal.secrets_box import seal, unseal
from portal.services.transaction import transaction

# An access token is renewed this long before it ends.
EARLY = timedelta(minutes=5)
# So long may signing in at the provider take.
BEGUN_SECONDS = 900
BACK_PATH = "/admin/accounts/signed_in"


def provider_of(account: ChannelAccount) -> oauth.Provider:
    """Who signs the account in. Raises UserFault where that is a password."""
    settings = current_app.config["SETTINGS"]
    if account.auth_kind == "oauth2_google":
        return oauth.google(settings.google_authorize_url, settings.google_token_url)
    if account.auth_kind == "oauth2_microsoft":
        return oauth.microsoft(settings.microsoft_login_url, account.oauth_tenant)
    raise UserFault("This account logs in with a password: there is nowhere to sign in.")


def begin(account: ChannelAccount, user_id: int) -> str:
    """The address at the provider where the person signs in, as whoever owns the mailbox. Raises UserFault."""
    provider = provider_of(account)
    if not account.oauth_client_id:
        raise UserFault(
            "Enter the client id that %(name)s gave for Portal first.",
            name=provider.name,
        )
    state, verifier = oauth.new_secret(), oauth.new_secret()
    kept = json.dumps({"account": account.id, "user": user_id, "verifier": verifier})
    redis_handle.client.set(_key(state), kept, ex=BEGUN_SECONDS)
    return oauth.sign_in_address(provider, _client(account), back=_back(), state=state, verifier=verifier)


def finish(state: str, code: str, user_id: int) -> ChannelAccount:
    """Keep the tokens for the code that the person's browser brought back. Commits.

    A state counts once, and only for who began with it. Raises UserFault or oauth.SignInTrouble.
    """
    begun = json.loads(redis_handle.client.getdel(_key(state[:100])) or "{}")
    account = db.session.get(ChannelAccount, begun["account"]) if begun.get("user") == user_id else None
    if account is None:
        raise UserFault(
            "This sign-in was not begun here, or too long ago. Begin again on the account's page."
        )
    tokens = oauth.tokens_for_code(
        provider_of(account),
        _client(account),
        code=code,
        back=_back(),
        verifier=begun["verifier"],
        at=now(),
    )
    with transaction():
        _keep(account, tokens)
        account.oauth_signed_in_at = account.next_fetch_at = now()
        account.login_failure_count, account.login_failed_at, account.last_error = 0, None, ""
    return account


def access_token(account: ChannelAccount) -> str:
    """A token that lasts some minutes still, got anew where it has to be. Commits then.

    Two processes may get one each: both are good. Raises oauth.SignInTrouble (Retryable), and Permanent when what
    is stored cannot be read.
    """
    ends_at = account.oauth_access_expires_at
    if account.oauth_access_token_encrypted and ends_at and ends_at - EARLY > now():
        return unseal(account.oauth_access_token_encrypted)
    refresh_token = unseal(account.oauth_refresh_token_encrypted)
    if not refresh_token:
        raise oauth.SignInTrouble(
            f"Nobody has signed in for {account.address} yet. Sign in on the account's page.", is_refused=True
        )
    tokens = oauth.refreshed(provider_of(account), _client(account), refresh_token, now())
    with transaction():
        _keep(account, tokens)
    return tokens.access_token


def forget(account: ChannelAccount) -> None:
    """Drop every token: they were for another client or provider. Does not commit."""
    account.oauth_refresh_token_encrypted = account.oauth_access_token_encrypted = None
    account.oauth_access_expires_at = account.oauth_refresh_expires_at = account.oauth_signed_in_at = None


def _keep(account: ChannelAccount, tokens: oauth.Tokens) -> None:
    account.oauth_access_token_encrypted = seal(tokens.access_token)
    account.oauth_access_expires_at = tokens.expires_at
    if tokens.refresh_token:
        account.oauth_refresh_token_encrypted = seal(tokens.refresh_token)
        account.oauth_refresh_expires_at = tokens.refresh_expires_at


def _client(account: ChannelAccount) -> oauth.Client:
    return oauth.Client(
        client_id=account.oauth_client_id,
        client_secret=unseal(account.oauth_client_secret_encrypted),
        address=account.imap_username or account.address,
    )


def _back() -> str:
    base: str = current_app.config["SETTINGS"].base_url
    return base + BACK_PATH


def _key(state: str) -> str:
    return f"portal:sign_in:{state}"
