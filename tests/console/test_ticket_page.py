"""The ticket page: within reach only, harmless whatever a customer wrote, in few statements."""

import re
from datetime import timedelta

import pytest

from portal import storage
from portal.extensions import db
from portal.models import Attachment, Event, InboxItem
from portal.models.columns import now
from portal.services import events, following, linking, snoozing
from tests.factory import Factory

MOST_STATEMENTS = 12
PAGES = ("", "/parts", "/clocks", "/history", "/choices", "/suggestions", "/templates")
ACTIONS = (
    ("reply", {"html": "Hello"}),
    ("note", {"html": "Hello"}),
    ("assign", {"assignee": "me"}),
    ("status", {"status": "closed"}),
    ("priority", {"priority": "urgent"}),
    ("type", {"type": "bug"}),
    ("tags", {"tags": "mine"}),
    ("branch", {"branch": "1"}),
    ("escalate", {"reason": "because"}),
    ("snooze", {"until": "2030-01-01T09:00"}),
    ("wake", {}),
    ("follow", {}),
    ("unfollow", {}),
    ("severity", {"severity": "critical"}),
    ("triage", {"type": "bug", "severity": "critical"}),
    ("link", {"number": "10001", "relation": "related"}),
    ("unlink", {"number": "10001"}),
    ("presence", {"state": "viewing"}),
)


def attach(message, content: bytes = b"bytes", **values) -> Attachment:
    kept = Attachment(
        message_id=message.id,
        name=values.pop("name", "file.bin"),
        size_bytes=len(content),
        sha256=storage.put(content),
        public_key=values.pop("public_key", "k" * 32),
        **values,
    )
    db.session.add(kept)
    db.session.flush()
    return kept


def test_a_foreign_ticket_is_not_found_by_address(make: Factory, login) -> None:
    foreign = make.ticket(make.branch())
    message = make.message(foreign)
    client = login(make.agent(branch=make.branch()))
    for page in PAGES:
        answer = client.get(f"/tickets/{foreign.number}{page}")
        assert answer.status_code == 404, page
        assert "within your reach" in answer.get_data(as_text=True)
    for page in ("body", "raw"):
        assert client.get(f"/messages/{message.id}/{page}").status_code == 404


def test_a_foreign_ticket_is_not_changed_by_posting(make: Factory, login) -> None:
    foreign = make.ticket(make.branch(), status="open")
    client = login(make.agent(branch=make.branch()))
    for action, data in ACTIONS:
        assert client.post(f"/tickets/{foreign.number}/{action}", data=data).status_code == 404, action
    assert db.session.query(Event).filter_by(ticket_id=foreign.id).count() == 0
    assert (foreign.status, foreign.priority, foreign.assignee_id) == ("open", "normal", None)


def test_someone_who_only_looks_sees_the_ticket_and_changes_nothing(make: Factory, login) -> None:
    ticket = make.ticket(make.branch(), unread_since=now())
    client = login(make.agent(role="Auditor"))
    page = client.get(f"/tickets/{ticket.number}")
    assert page.status_code == 200
    assert "data-composer" not in page.get_data(as_text=True)
    for action, data in ACTIONS[:-1]:
        assert client.post(f"/tickets/{ticket.number}/{action}", data=data).status_code == 403, action
    db.session.refresh(ticket)
    assert ticket.unread_since is not None


@pytest.mark.parametrize("number", ["0", "99999999999999999999", "-1", "abc"])
def test_a_number_that_is_none_is_not_found(make: Factory, login, number: str) -> None:
    assert login(make.agent(branch=make.branch())).get(f"/tickets/{number}").status_code == 404


def test_a_page_with_thirty_messages_takes_at_most_twelve_statements(
    make: Factory, login, count_queries
) -> None:
    branch = make.branch()
    agent = make.agent(branch=branch, tier=2)
    ticket = make.ticket(branch, tier_level=2, assignee_id=agent.id)
    for index in range(40):
        message = make.message(
            ticket, ("in", "out", "note")[index % 3], author_id=agent.id if index % 3 else None
        )
        attach(message, public_key=f"key-{index:030}")
        events.record("note_added", ticket=ticket, actor=agent, message_id=message.id)
    following.follow(ticket, agent)
    snoozing.snooze(ticket, now() + timedelta(days=1), agent)
    for _ in range(3):
        linking.link(ticket, make.ticket(branch), "causes", agent)
    client = login(agent)
    client.get(f"/tickets/{ticket.number}")
    for page in ("", "/parts"):
        db.session.expunge_all()
        with count_queries() as statements:
            assert client.get(f"/tickets/{ticket.number}{page}").status_code == 200
        assert len(statements) <= MOST_STATEMENTS, "\n".join(statements)


def test_opening_a_ticket_is_the_first_look_and_clears_unread(make: Factory, login) -> None:
    branch = make.branch()
    ticket = make.ticket(branch, unread_since=now())
    client = login(make.agent(branch=branch))
    client.get(f"/tickets/{ticket.number}")
    client.get(f"/tickets/{ticket.number}")
    db.session.refresh(ticket)
    assert ticket.unread_since is None
    assert ticket.first_viewed_at is not None
    assert [event.kind for event in events.of_ticket(ticket.id)] == ["ticket_viewed"]


def test_a_page_that_nobody_looks_at_leaves_the_ticket_unread(make: Factory, login) -> None:
    branch = make.branch()
    ticket = make.ticket(branch, unread_since=now())
    client = login(make.agent(branch=branch))
    client.get(f"/tickets/{ticket.number}/parts?looking=0")
    db.session.refresh(ticket)
    assert ticket.unread_since is not None
    client.get(f"/tickets/{ticket.number}/parts?looking=1")
    db.session.refresh(ticket)
    assert ticket.unread_since is None


def test_a_customers_html_stands_in_a_frame_that_can_do_nothing(make: Factory, login) -> None:
    branch = make.branch()
    ticket = make.ticket(branch)
    # As if the sanitiser had failed: what is shown must hold by itself.
    make.message(ticket, html='<p>Hi</p><script>parent.alert(1)</script><img src=x onerror="alert(2)">')
    page = login(make.agent(branch=branch)).get(f"/tickets/{ticket.number}").get_data(as_text=True)
    assert "<script>parent.alert" not in page
    assert "<img src=x" not in page
    frame = re.search(r"<iframe[^>]*srcdoc[^>]*>", page)
    assert frame is not None
    assert 'sandbox="allow-same-origin allow-popups allow-popups-to-escape-sandbox"' in frame[0]


def test_a_body_of_its_own_runs_nothing_and_loads_nothing_from_elsewhere(make: Factory, login) -> None:
    branch = make.branch()
    message = make.message(
        make.ticket(branch),
        html='<p>Hi</p><img data-remote-src="https://tracker.test/a.png">',
        has_remote_images=True,
    )
    client = login(make.agent(branch=branch))
    answer = client.get(f"/messages/{message.id}/body")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    assert "sandbox" in policy
    assert "allow-scripts" not in policy
    assert "https:" not in policy
    assert ' src="https://tracker.test' not in answer.get_data(as_text=True)
    asked = client.get(f"/messages/{message.id}/body?pictures=1")
    assert "img-src 'self' data: https: http:" in asked.headers["Content-Security-Policy"]
    assert ' src="https://tracker.test/a.png"' in asked.get_data(as_text=True)
    assert "allow-scripts" not in asked.headers["Content-Security-Policy"]


def test_hostile_plain_text_names_and_evidence_are_text(make: Factory, login) -> None:
    branch = make.branch()
    evil = "<script>alert(1)</script>"
    ticket = make.ticket(branch, make.customer(evil), subject=evil, route={"rule": "x", "reason": evil})
    make.message(
        ticket,
        html="",
        text=f"{evil} javascript:alert(1) https://ok.test/<b>",
        from_name=evil,
        thread_rule="follow_up",
        thread_evidence={"reason": evil},
        to=[{"name": evil, "address": evil}],
    )
    attach(make.message(ticket), name=f"{evil}.txt")
    events.record(
        "ticket_escalated", ticket=ticket, data={"trigger": "manual", "reason": evil, "to_name": evil}
    )
    client = login(make.agent(branch=branch))
    for page in ("", "/history", "/parts"):
        text = client.get(f"/tickets/{ticket.number}{page}").get_data(as_text=True)
        assert "<script>alert" not in text, page
    assert 'href="https://ok.test/"' in client.get(f"/tickets/{ticket.number}").get_data(as_text=True)


@pytest.mark.parametrize(
    ("content_type", "disposition", "served_as"),
    [
        ("image/png", "inline", "image/png"),
        ("application/pdf", "inline", "application/pdf"),
        ("image/svg+xml", "attachment", "application/octet-stream"),
        ("text/html", "attachment", "application/octet-stream"),
        ("text/plain", "attachment", "application/octet-stream"),
    ],
)
def test_files_are_shown_only_where_that_is_safe(
    make: Factory, login, content_type: str, disposition: str, served_as: str
) -> None:
    branch = make.branch()
    kept = attach(make.message(make.ticket(branch)), b"<script>", name="ä.html", content_type=content_type)
    answer = login(make.agent(branch=branch)).get(f"/files/{kept.public_key}/whatever")
    assert answer.data == b"<script>"
    assert answer.headers["Content-Type"] == served_as
    assert answer.headers["Content-Disposition"].startswith(disposition)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert (
        login(make.agent(branch=make.branch())).get(f"/files/{kept.public_key}/whatever").status_code == 404
    )


def test_what_can_be_shown_opens_above_the_page_and_the_rest_is_downloaded(make: Factory, login) -> None:
    branch = make.branch()
    ticket = make.ticket(branch)
    message = make.message(ticket)
    for place, kind in enumerate(("image/png", "application/pdf", "image/svg+xml")):
        attach(message, name=f"{place}.file", content_type=kind, public_key=str(place) * 32)
    page = login(make.agent(branch=branch)).get(f"/tickets/{ticket.number}").get_data(as_text=True)
    assert re.findall(r'href="/files/(\d)\d+/[^"]*"[^>]*data-preview="(\w+)"', page) == [
        ("0", "picture"),
        ("1", "pdf"),
    ]
    assert re.search(r'href="/files/2\d+/2\.file" download', page)


def test_a_file_that_is_gone_is_said_in_words(make: Factory, login) -> None:
    branch = make.branch()
    kept = attach(make.message(make.ticket(branch)))
    kept.sha256 = "0" * 64
    db.session.flush()
    answer = login(make.agent(branch=branch)).get(f"/files/{kept.public_key}/x")
    assert answer.status_code == 422
    assert "no longer in the store" in answer.get_data(as_text=True)


def test_a_picture_of_the_text_is_served_by_us(make: Factory, login) -> None:
    branch = make.branch()
    message = make.message(make.ticket(branch), html='<p><img src="cid:pic@mail"></p>')
    attach(message, content_type="image/png", content_id="pic@mail", is_inline=True, name="p.png")
    page = login(make.agent(branch=branch)).get(f"/messages/{message.id}/body").get_data(as_text=True)
    assert f'src="/files/{"k" * 32}/p.png"' in page


def test_the_raw_source_is_what_came_in(make: Factory, login) -> None:
    branch = make.branch()
    raw = b"From: a@b.test\r\n\r\nHello"
    item = InboxItem(source_key="x", raw=raw, size_bytes=len(raw), sha256="0" * 64)
    db.session.add(item)
    db.session.flush()
    ticket = make.ticket(branch)
    received, written = make.message(ticket, inbox_item_id=item.id), make.message(ticket, "out")
    client = login(make.agent(branch=branch))
    answer = client.get(f"/messages/{received.id}/raw")
    assert answer.data == raw
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert client.get(f"/messages/{written.id}/raw").status_code == 404


def test_why_a_message_stands_here_is_said_in_words(make: Factory, login) -> None:
    branch = make.branch()
    route = {
        "rule": "routing_rule",
        "rule_id": 7,
        "reason": "The rule “Postcode LS” sends it here.",
        "evidence": {"rules": [{"id": 7, "name": "Postcode LS"}]},
    }
    ticket = make.ticket(branch, route=route)
    make.message(ticket, thread_rule="new", thread_evidence={"reason": "Nothing points to a ticket."})
    make.message(
        ticket,
        thread_rule="our_message_id",
        thread_evidence={"reason": "It answers a message that we sent from this ticket."},
    )
    page = login(make.agent(branch=branch)).get(f"/tickets/{ticket.number}").get_data(as_text=True)
    assert "new ticket – no reference to an earlier message · routed by rule “Postcode LS”" in page
    assert "Here because: it answers a message that we sent from this ticket" in page


def test_older_messages_come_on_demand_and_none_is_lost(make: Factory, login) -> None:
    branch = make.branch()
    ticket = make.ticket(branch)
    start = now() - timedelta(days=1)
    ids = [make.message(ticket, created_at=start + timedelta(minutes=index // 2)).id for index in range(75)]
    client = login(make.agent(branch=branch))
    shown: list[int] = []
    address = f"/tickets/{ticket.number}"
    for _ in range(5):
        page = client.get(address, headers={"X-Partial": "1"}).get_data(as_text=True)
        shown = [int(number) for number in re.findall(r'id="message-(\d+)"', page)] + shown
        older = re.search(r'data-older="([^"]+)"', page)
        if older is None:
            break
        address = older[1]
    assert shown == ids


def test_the_same_parts_stand_in_the_page_and_in_its_updates(make: Factory, login) -> None:
    branch = make.branch()
    ticket = make.ticket(branch)
    make.message(ticket)
    client = login(make.agent(branch=branch))
    whole, parts = (
        client.get(f"/tickets/{ticket.number}{page}").get_data(as_text=True) for page in ("", "/parts")
    )
    marks = re.findall(r'id="(message-\d+)" data-mark="(\w+)"', whole)
    assert marks
    assert re.findall(r'id="(message-\d+)" data-mark="(\w+)"', parts) == marks
    assert set(re.findall(r'data-part="(\w+)"', parts)) == {"head", "timeline", "side"}


REMOTE = '<p>Look</p><img data-remote-src="https://pictures.test/a.png" alt="">'


def test_pictures_of_a_trusted_sender_are_shown_without_asking(make: Factory, login) -> None:
    branch = make.branch()
    customer = make.customer(address="zoe@customer.test")
    found = make.ticket(branch, customer)
    mails = [
        make.message(found, html=REMOTE, has_remote_images=True, from_address=address)
        for address in ("Zoe@customer.test", "bob@elsewhere.test")
    ]
    client = login(make.agent(branch=branch))
    before = client.get(f"/tickets/{found.number}").get_data(as_text=True)
    assert before.count("Show pictures") == 2
    # Only the ticket's customer can be trusted from here.
    assert before.count("Always of") == 1

    answer = client.post(f"/messages/{mails[0].id}/trust-pictures", follow_redirects=True)
    page = answer.get_data(as_text=True)
    assert page.count("Show pictures") == 1
    assert f'src="/messages/{mails[0].id}/body?pictures=1"' in page
    assert client.post(f"/messages/{mails[1].id}/trust-pictures").status_code == 404


def test_an_auditor_cannot_trust_pictures(make: Factory, login) -> None:
    found = make.ticket(customer=make.customer(address="zoe@customer.test"))
    message = make.message(found, html=REMOTE, has_remote_images=True, from_address="zoe@customer.test")
    client = login(make.agent(role="Auditor"))

    assert "Always of" not in client.get(f"/tickets/{found.number}").get_data(as_text=True)
    assert client.post(f"/messages/{message.id}/trust-pictures").status_code == 403


def test_an_invitation_is_shown_as_an_event(make: Factory, login) -> None:
    branch = make.branch()
    message = make.message(make.ticket(branch))
    calendar = (
        b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:Repair <b>now</b>\r\n"
        b"DTSTART:20240705T120000Z\r\nDTEND:20240705T130000Z\r\nLOCATION:Hall 3\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    for name in ("", "invite.ics"):
        attach(message, calendar, content_type="text/calendar", name=name, public_key=f"{name:k<32}")
    page = login(make.agent(branch=branch)).get(f"/tickets/{message.ticket.number}").get_data(as_text=True)

    assert page.count('class="event-card') == 1
    assert "Repair &lt;b&gt;now&lt;/b&gt;" in page
    assert "Fri 5 July 2024" in page
    assert "Hall 3" in page


def test_an_encrypted_mail_says_so(make: Factory, login) -> None:
    branch = make.branch()
    message = make.message(make.ticket(branch))
    attach(message, b"Version: 1", content_type="application/pgp-encrypted")
    page = login(make.agent(branch=branch)).get(f"/tickets/{message.ticket.number}").get_data(as_text=True)

    assert "Encrypted with PGP" in page
