"""Signing in, being slowed down, and sessions that end."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.extensions import db
from portal.models import Event
from portal.redis_handle import redis_handle
from portal.views.admin import lockout, security

PASSWORD = "long password 1"


@pytest.fixture
def ada(house, make):
    return make.agent("Agent", house.north, username="ada", password=PASSWORD)


def sign_in(client, name, password, **options):
    return client.post("/login/", data={"username": name, "password": password}, **options)


def is_signed_in(client):
    return client.get("/admin/templates/list/").status_code == 200


def test_right_password_lands_on_the_queue_and_is_recorded(client, ada):
    response = sign_in(client, "ada", PASSWORD)
    assert (response.status_code, response.location) == (302, "/")
    assert is_signed_in(client)
    fact = db.session.scalar(select(Event).where(Event.kind == "user_logged_in"))
    assert (fact.actor_id, fact.data) == (ada.id, {"way": "page"})


def test_wrong_password_is_refused_in_the_same_words_as_an_unknown_name(client, ada):
    wrong = sign_in(client, "ada", "wrong password")
    unknown = sign_in(client, "nobody", "wrong password")
    assert wrong.status_code == unknown.status_code == 401
    for response in (wrong, unknown):
        assert security.WRONG in response.get_data(as_text=True)
    assert not is_signed_in(client)


@pytest.mark.parametrize(
    ("wanted", "target"),
    [
        ("/admin/templates/list/?page=2", "/admin/templates/list/?page=2"),
        ("http://localhost/admin/", "/admin/"),
        ("https://evil.test/", "/"),
        ("//evil.test/", "/"),
        ("https://evil.test//evil.test/", "/"),
        ("https://evil.test/admin/", "/admin/"),
        ("/\\evil.test", "/"),
        ("javascript:alert(1)", "/"),
        ("/login/", "/"),
        ("http://[", "/"),
        ("/%0d%0aSet-Cookie:x", "/%0d%0aSet-Cookie:x"),
    ],
)
def test_next_leads_to_pages_of_ours_only(wanted, target, client, ada):
    response = client.post(
        "/login/", query_string={"next": wanted}, data={"username": "ada", "password": PASSWORD}
    )
    assert response.location == target


@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_sixth_try_has_to_wait_whether_or_not_the_name_exists(name, client, ada):
    for _ in range(lockout.FREE_TRIES):
        assert sign_in(client, name, "wrong password").status_code == 401
    refused = sign_in(client, name, PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= lockout.FIRST_WAIT_SECONDS
    assert "Too many tries for this name" in refused.get_data(as_text=True)
    assert not is_signed_in(client)


def test_the_waits_hold_for_programs_too(client, ada):
    body = {"username": "ada", "password": "wrong password", "provider": "db"}
    for _ in range(lockout.FREE_TRIES):
        assert client.post("/api/v1/security/login", json=body).status_code == 401
    answer = client.post("/api/v1/security/login", json={**body, "password": PASSWORD})
    assert answer.status_code == 429
    assert answer.headers["Retry-After"]


def test_after_the_wait_the_right_password_opens(client, ada):
    for _ in range(lockout.FREE_TRIES):
        sign_in(client, "ada", "wrong password")
    assert sign_in(client, "ada", PASSWORD).status_code == 429
    # What the passing of time does.
    for key in redis_handle.client.scan_iter("portal:login:*:gate"):
        redis_handle.client.delete(key)
    assert sign_in(client, "ada", PASSWORD).status_code == 302


def test_waits_grow_and_end():
    waits = [lockout.wait_after(tries) for tries in range(lockout.FREE_TRIES, lockout.FREE_TRIES + 8)]
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]


def test_counting_goes_on_in_memory_while_redis_is_away(app, database):
    address = app.config["SETTINGS"].redis_url
    redis_handle.init_url("unix:///nowhere/redis.sock")
    try:
        assert [lockout.seconds_to_wait("memory") for _ in range(lockout.FREE_TRIES)] == [
            0
        ] * lockout.FREE_TRIES
        assert lockout.seconds_to_wait("memory") > 0
    finally:
        redis_handle.init_url(address)
        lockout.forget("memory")


@pytest.mark.parametrize("address", ["/login/", "/api/v1/security/login"])
def test_addresses_are_limited_on_both_doors(address, app, client, database):
    app.config["RATELIMIT_ENABLED"] = True
    try:
        statuses = {
            client.post(
                address,
                **(
                    {"json": {"username": f"n{turn}", "password": "x", "provider": "db"}}
                    if "api" in address
                    else {}
                ),
                environ_base={"REMOTE_ADDR": f"192.0.2.{len(address)}"},
            ).status_code
            for turn in range(31)
        }
    finally:
        app.config["RATELIMIT_ENABLED"] = False
    assert 429 in statuses


def test_new_password_ends_every_session(client, app, ada, house, login):
    sign_in(client, "ada", PASSWORD)
    old_key = client.post(
        "/api/v1/security/login",
        json={"username": "ada", "password": PASSWORD, "provider": "db", "refresh": True},
    ).json
    assert is_signed_in(client)
    security.reset_password(ada, "another password", house.admin)
    assert not is_signed_in(client)
    program = app.test_client()
    headers = {"Authorization": f"Bearer {old_key['access_token']}"}
    # A token knows its second only: one of the same second as the change is let through, and no older one.
    ada.agent.sessions_valid_from += timedelta(seconds=1)
    db.session.commit()
    assert program.get("/api/v1/tickets/", headers=headers).status_code == 401
    headers = {"Authorization": f"Bearer {old_key['refresh_token']}"}
    assert program.post("/api/v1/security/refresh", headers=headers).status_code == 401


def test_own_new_password_keeps_the_present_session(client, app, ada):
    elsewhere = app.test_client()
    sign_in(client, "ada", PASSWORD)
    sign_in(elsewhere, "ada", PASSWORD)
    body = {"password": "another password", "conf_password": "another password"}
    assert client.post("/resetmypassword/form", data=body).status_code == 302
    assert is_signed_in(client)
    assert not is_signed_in(elsewhere)
    assert sign_in(elsewhere, "ada", "another password").status_code == 302


def test_short_password_is_refused(client, ada):
    sign_in(client, "ada", PASSWORD)
    page = client.post("/resetmypassword/form", data={"password": "short", "conf_password": "short"})
    assert "at least 10" in page.get_data(as_text=True)


def test_switched_off_account_is_out_at_once(client, ada):
    sign_in(client, "ada", PASSWORD)
    ada.active = False
    db.session.commit()
    assert not is_signed_in(client)
    assert sign_in(client, "ada", PASSWORD).status_code == 401


def test_signing_out_ends_the_session(client, ada):
    sign_in(client, "ada", PASSWORD)
    assert client.get("/logout/").location == "/login/"
    assert not is_signed_in(client)


def test_a_planted_session_is_dropped_at_sign_in(client, ada):
    with client.session_transaction() as session:
        session["planted"] = "yes"
    sign_in(client, "ada", PASSWORD)
    with client.session_transaction() as session:
        assert "planted" not in session


def test_knowing_who_someone_is_takes_one_query(client, ada, house, login, count_queries):
    client = login(house.admin)
    with count_queries() as statements:
        client.get("/admin/")
    assert len([statement for statement in statements if "ab_user" in statement]) == 1
