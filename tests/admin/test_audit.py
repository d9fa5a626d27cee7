"""Every change of the configuration is told: who, what, from what to what, and no secret."""

import json

from sqlalchemy import select

from portal.extensions import db
from portal.models import AuditEntry, ChannelAccount, Tag
from portal.secrets_box import unseal
from portal.services import api_keys
from tests.admin.test_closed import branch_values

SECRET = "s3cret-of-the-mailbox"


def entries():
    return list(db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


def test_change_by_form_tells_from_and_to(house, login):
    values = branch_values(house.north) | {"name": "Norden"}
    login(house.admin).post(f"/admin/branches/edit/{house.north.id}", data=values)
    (entry,) = entries()
    assert (entry.actor_id, entry.action, entry.object_type) == (house.admin.id, "changed", "branch")
    assert entry.object_id == str(house.north.id)
    assert entry.changes == {"name": {"from": "North", "to": "Norden"}}


def test_saving_without_a_change_is_no_news(house, login):
    login(house.admin).post(f"/admin/branches/edit/{house.north.id}", data=branch_values(house.north))
    assert entries() == []


def test_new_and_deleted_rows_are_told(house, login):
    client = login(house.admin)
    client.post("/admin/tags/add", data={"name": "refund"})
    tag = db.session.scalar(select(Tag))
    client.post(f"/admin/tags/delete/{tag.id}")
    added, deleted = entries()
    assert (added.action, added.object_name, added.changes["name"]["to"]) == ("added", "refund", "refund")
    assert (deleted.action, deleted.object_name, deleted.object_id) == ("deleted", "refund", str(tag.id))


def test_change_by_rest_is_told_with_lists(house, make, login):
    template = make.template(branches=[house.north])
    login(house.admin).put(f"/api/v1/tags/{make_tag('a').id}", json={"name": "b"})
    (entry,) = entries()
    assert entry.changes == {"name": {"from": "a", "to": "b"}}
    body = {"branches": [house.south.id]}
    assert login(house.admin).put(f"/api/v1/templates/{template.id}", json=body).status_code == 200
    assert entries()[-1].changes["branches"] == {"from": ["North"], "to": ["South"]}


def test_refused_change_leaves_no_entry(house, login):
    make_tag("refund")
    login(house.admin).post("/admin/tags/add", data={"name": "refund"})
    assert entries() == []


def test_mailbox_password_goes_in_and_never_comes_out(house, login):
    client = login(house.admin)
    values = {
        "name": "Support",
        "kind": "email",
        "address": "Help@Portal.test",
        "branch": house.north.id,
        "is_active": "y",
        "imap_host": "imap.portal.test",
        "imap_username": "help",
        "imap_password": SECRET,
        "imap_security": "tls",
        "imap_post_action": "seen",
        "smtp_security": "starttls",
    }
    client.post("/admin/accounts/add", data=values)
    account = db.session.scalar(select(ChannelAccount))
    assert account.address == "help@portal.test"
    assert unseal(account.imap_password_encrypted) == SECRET
    assert SECRET.encode() not in account.imap_password_encrypted
    told = json.dumps([entry.changes for entry in entries()])
    assert "imap_password_encrypted" in told
    assert SECRET not in told
    assert "gAAAA" not in told
    for address in ("list/", f"show/{account.id}", f"edit/{account.id}"):
        page = client.get(f"/admin/accounts/{address}").get_data(as_text=True)
        assert SECRET not in page
        assert "gAAAA" not in page, "the sealed password does not leave either"
    answer = client.get(f"/api/v1/accounts/{account.id}")
    assert not [name for name in answer.json["result"] if "password" in name or name.endswith("_encrypted")]
    assert SECRET not in answer.get_data(as_text=True)
    client.post(f"/admin/accounts/edit/{account.id}", data={**values, "imap_password": "", "name": "Help"})
    db.session.expire_all()
    assert (account.name, unseal(account.imap_password_encrypted)) == ("Help", SECRET)


def test_stored_password_is_not_sent_to_another_server(house, make, login):
    from portal.secrets_box import seal

    account = make.account(house.north, imap_host="imap.portal.test", imap_password_encrypted=seal(SECRET))
    body = {"imap_host": "imap.evil.test"}
    answer = login(house.admin).put(f"/api/v1/accounts/{account.id}", json=body)
    assert answer.status_code == 422
    assert "enter its password again" in answer.json["message"]


def test_new_password_of_a_person_is_named_not_shown(house, make, login):
    login(house.admin).post(
        f"/admin/people/edit/{house.agent.id}", data=person_values(house.agent, password=SECRET)
    )
    told = json.dumps([entry.changes for entry in entries()])
    assert "password" in told
    assert SECRET not in told
    assert "scrypt" not in told


def test_places_in_branches_are_told(house, login):
    values = person_values(house.agent) | {
        "places-shown": "1",
        f"places-{house.south.id}-member": "1",
        f"places-{house.south.id}-level": "2",
    }
    login(house.admin).post(f"/admin/people/edit/{house.agent.id}", data=values)
    (entry,) = entries()
    assert entry.changes["branches"] == {"from": ["North (level 1)"], "to": ["South (level 2)"]}


def test_keys_are_told_without_the_key(house):
    key = api_keys.create_api_key(house.agent, "reports", house.admin)
    assert key not in json.dumps([entry.changes for entry in entries()])
    assert entries()[0].object_type == "ab_api_key"


def make_tag(name):
    db.session.add(tag := Tag(name=name))
    db.session.commit()
    return tag


def person_values(user, **more):
    return {
        "first_name": user.first_name,
        "last_name": user.last_name,
        "username": user.username,
        "email": user.email,
        "active": "y",
        "roles": [role.id for role in user.roles],
        "time_zone": "UTC",
        "language": "en",
        "availability": "available",
        "capacity": "20",
        **more,
    }
