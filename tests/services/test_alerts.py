"""Targets and mail of a tier: owed with the escalation, sent once, tried again, kept when they fail."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import time, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from flask import Flask
from sqlalchemy import select, text

from portal.channels import services_outside
from portal.channels.public_only import may_reach
from portal.errors import Retryable, UserFault
from portal.extensions import db
from portal.models import Agent, Alert, Branch, EscalationTier, Notification, NotifyTarget, User
from portal.models.columns import now
from portal.services import alerts, escalation
from tests.channels.email.servers import Sink, sink_running
from tests.factory import Factory


class Hook:
    """A web server that keeps what it is told, and answers with the next of its answers, 200 after the last."""

    def __init__(self, *answers: int, leads_to: str = "") -> None:
        self.answers, self.leads_to = list(answers), leads_to
        self.heard: list[dict[str, str]] = []
        self.port = 0


@contextmanager
def hook_running(hook: Hook) -> Iterator[Hook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = hook.answers.pop(0) if hook.answers else 200
            self.send_response(answer)
            if answer in (301, 302, 307):
                self.send_header("Location", hook.leads_to)
            else:
                hook.heard.append({"status": str(answer), **json.loads(body)})
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()


def second_tier(branch: Branch) -> EscalationTier:
    return db.session.scalars(select(EscalationTier).filter_by(branch_id=branch.id, level=2)).one()


def target_at(branch: Branch, url: str, *, may_reach_internal: bool = True) -> NotifyTarget:
    target = NotifyTarget(tier_id=second_tier(branch).id, name="Chat", may_reach_internal=may_reach_internal)
    alerts.set_url(target, url)
    db.session.add(target)
    db.session.commit()
    return target


def escalated(make: Factory, branch: Branch) -> Alert:
    escalation.escalate(make.ticket(branch, status="open", subject="Lost"), make.agent(branch=branch), "Help")
    return db.session.scalars(select(Alert).order_by(Alert.id.desc())).first()


def states() -> list[str]:
    return list(db.session.scalars(select(Alert.state).order_by(Alert.id)))


def test_a_webhook_hears_of_an_escalation_once(make: Factory) -> None:
    branch = make.branch()
    with hook_running(Hook()) as hook:
        target_at(branch, f"json://127.0.0.1:{hook.port}/in")
        escalated(make, branch)
        assert hook.heard == []
        alerts.deliver_waiting(10)
        alerts.deliver_waiting(10)
    assert len(hook.heard) == 1
    assert "Lost" in hook.heard[0]["title"]
    assert "came to Tier 2: Help" in hook.heard[0]["message"]
    assert "/tickets/" in hook.heard[0]["message"]
    assert states() == ["sent"]


def test_what_fails_is_tried_again_and_the_admins_hear_of_a_target_that_keeps_failing(make: Factory) -> None:
    branch, admin = make.branch(), make.agent("Admin")
    with hook_running(Hook(500, 500, 500)) as hook:
        target = target_at(branch, f"json://127.0.0.1:{hook.port}/in")
        alert = escalated(make, branch)
        for _ in range(4):
            db.session.execute(text("UPDATE alert SET next_attempt_at = now() - interval '1 second'"))
            db.session.commit()
            alerts.deliver(alert.id)
            db.session.refresh(target)
            if target.failure_count == 3:
                assert target.failing_since is not None
                assert "500" in target.last_error
        assert [each["status"] for each in hook.heard] == ["500", "500", "500", "200"]
    assert states() == ["sent"]
    assert (target.failing_since, target.failure_count, target.last_error) == (None, 0, "")
    told = db.session.scalars(
        select(Notification.text).where(
            Notification.user_id == admin.id, Notification.kind == "target_failing"
        )
    ).all()
    assert len(told) == 1
    assert "Chat of Tier 2" in told[0]


def test_after_a_day_it_is_given_up_and_says_so(make: Factory) -> None:
    branch = make.branch()
    with hook_running(Hook(503)) as hook:
        target_at(branch, f"json://127.0.0.1:{hook.port}/in")
        alert = escalated(make, branch)
        alert.created_at = now() - timedelta(days=2)
        db.session.commit()
        alerts.deliver(alert.id)
    assert states() == ["failed"]


@pytest.mark.parametrize(
    "url", ["json://127.0.0.1:{port}/", "json://localhost:{port}/", "json://127.0.0.2:{port}/"]
)
def test_addresses_of_our_own_network_are_not_reached_unless_allowed(make: Factory, url: str) -> None:
    with hook_running(Hook()) as hook:
        with pytest.raises(Retryable, match="our own network"):
            services_outside.say(url.format(port=hook.port), "Title", "Body")
        assert hook.heard == []
        services_outside.say(f"json://127.0.0.1:{hook.port}/", "Title", "Body", may_reach_internal=True)
        assert len(hook.heard) == 1


def test_a_redirect_does_not_lead_to_the_credentials_of_the_machine() -> None:
    with (
        hook_running(Hook(307, leads_to="http://169.254.169.254/latest/")) as hook,
        pytest.raises(Retryable, match="our own network"),
    ):
        services_outside.say(f"json://127.0.0.1:{hook.port}/", "Title", "Body", may_reach_internal=True)


@pytest.mark.parametrize(
    ("address", "is_public", "is_allowed"),
    [
        ("93.184.216.34", True, True),
        ("10.1.2.3", False, True),
        ("192.168.0.9", False, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("fd12::1", False, True),
        ("::ffff:10.0.0.1", False, True),
        ("64:ff9b::a00:1", False, True),
        ("2002:a00:1::", False, True),
        ("169.254.169.254", False, False),
        ("fe80::1%eth0", False, False),
        ("fd00:ec2::254", False, False),
        ("100.100.100.200", False, False),
        ("0.0.0.0", False, False),
        ("224.0.0.1", False, False),
        ("/run/postgresql", False, False),
    ],
)
def test_which_addresses_lead_inside(address: str, is_public: bool, is_allowed: bool) -> None:
    assert may_reach(address, may_reach_internal=False) is is_public
    assert may_reach(address, may_reach_internal=True) is is_allowed


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "foo://bar",
        "syslog://",
        "mailto://me:secret@mail.test",
        "dbus://",
        "msteams://a/b/c/d?template=/etc/passwd",
        "json://host/" + "x" * 3000,
    ],
)
def test_addresses_that_cannot_be_used_are_refused(url: str) -> None:
    with pytest.raises(UserFault):
        alerts.set_url(NotifyTarget(name="Chat"), url)


def test_the_address_is_a_secret(make: Factory) -> None:
    target = target_at(make.branch(), "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general")
    assert target.shown == "Slack"
    assert b"TIiajkdnlazkcOXrIdevi7FQ" not in (target.url_encrypted or b"")


def mailing(make: Factory) -> tuple[Branch, User, User]:
    """A branch that mails its second tier: one on call there, and one who sleeps all day and all night."""
    branch = make.branch()
    second_tier(branch).mails_members = True
    tom = make.agent(branch=branch, tier=2, on_call=1, first_name="Tom")
    eve = make.agent(branch=branch, tier=2, first_name="Eve")
    for person in (tom, eve):
        profile = db.session.get_one(Agent, person.id)
        begin = (now() - timedelta(hours=2)).replace(tzinfo=None, second=0, microsecond=0)
        profile.quiet_from, profile.quiet_until = begin.time(), (begin + timedelta(hours=4)).time()
    db.session.commit()
    return branch, tom, eve


def test_mail_waits_for_quiet_hours_except_for_whoever_is_on_call(make: Factory) -> None:
    branch, tom, eve = mailing(make)
    addresses, eve_id = [tom.email, eve.email], eve.id
    with sink_running(Sink()) as sink:
        make.account(branch, smtp_host="127.0.0.1", smtp_port=sink.port, smtp_security="none")
        escalated(make, branch)
        alerts.deliver_waiting(10)
        assert [envelope.rcpt_tos for envelope in sink.envelopes] == [[addresses[0]]]
        assert sink.envelopes[0].mail_from in ("", "<>")
        assert b"Auto-Submitted: auto-generated" in sink.envelopes[0].content
        waiting = db.session.scalars(select(Alert).where(Alert.user_id == eve_id)).one()
        assert (waiting.state, waiting.next_attempt_at > now() + timedelta(hours=1)) == ("queued", True)
        waiting.next_attempt_at = now()
        db.session.commit()
        alerts.deliver_waiting(10)
        assert [envelope.rcpt_tos for envelope in sink.envelopes[1:]] == [[addresses[1]]]
    assert set(states()) == {"sent"}


def test_whoever_has_lost_sight_of_the_ticket_gets_no_mail_of_it(make: Factory) -> None:
    branch, tom, _ = mailing(make)
    make.account(branch)
    escalated(make, branch)
    tom.active, tom_id = False, tom.id
    db.session.commit()
    alerts.deliver_waiting(10)
    mine = db.session.scalars(select(Alert).where(Alert.user_id == tom_id)).one()
    assert (mine.state, "does not see" in mine.last_error) == ("failed", True)


def test_a_test_says_what_the_service_answered(make: Factory) -> None:
    with hook_running(Hook(404)) as hook:
        target = target_at(make.branch(), f"json://127.0.0.1:{hook.port}/in")
        with pytest.raises(UserFault, match="404"):
            alerts.send_test(target)
        assert target.failure_count == 1
        alerts.send_test(target)
        assert (target.failure_count, hook.heard[-1]["title"]) == (0, "Portal")


def test_racing_workers_send_each_once(app: Flask, real_commits: None) -> None:
    make = Factory()
    branch = make.branch()
    with hook_running(Hook()) as hook:
        target_at(branch, f"json://127.0.0.1:{hook.port}/in")
        for _ in range(12):
            escalated(make, branch)

        def work(_: int) -> None:
            with app.app_context():
                alerts.deliver_waiting(10)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
    assert len(hook.heard) == len({each["title"] for each in hook.heard}) == 12


def test_what_a_worker_that_died_had_in_hand_is_sent_after_its_lease(make: Factory) -> None:
    branch = make.branch()
    with hook_running(Hook()) as hook:
        target_at(branch, f"json://127.0.0.1:{hook.port}/in")
        alert = escalated(make, branch)
        alert.state, alert.next_attempt_at = "sending", now() + timedelta(minutes=5)
        db.session.commit()
        assert not alerts.has_owed()
        alert.next_attempt_at = now()
        db.session.commit()
        alerts.deliver_waiting(10)
    assert (len(hook.heard), states()) == (1, ["sent"])


def test_quiet_hours_are_kept_and_need_both_ends(make: Factory, login: Callable) -> None:
    ana = make.agent(branch=make.branch())
    client = login(ana)
    form = {"time_zone": "Europe/Berlin", "language": "en", "quiet_from": "22:00", "quiet_until": "07:00"}
    assert client.post("/settings", data=form).status_code == 303
    profile = db.session.get_one(Agent, ana.id)
    assert (profile.quiet_from, profile.quiet_until) == (time(22), time(7))
    assert client.post("/settings", data={**form, "quiet_until": ""}).status_code == 422
    assert client.post("/settings", data={**form, "quiet_until": "late"}).status_code == 422
    assert 'value="22:00"' in client.get("/settings").get_data(as_text=True)
