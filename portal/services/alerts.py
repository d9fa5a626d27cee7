"""What is owed to those who hear of escalations outside of the desk: by mail, and in chat services and webhooks."""

import time
from collections.abc import Collection
from datetime import timedelta
from html import escape
from zoneinfo import ZoneInfo

import structlog
from flask import current_app
from flask_appbuilder.security.sqla.models import User
from sqlalchemy import BigInteger, ColumnElement, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from portal import access, enqueue, faults
from portal.channels import services_outside
from portal.channels.email.composing import Mailbox, OutgoingMail, compose
from portal.channels.email.smtp import send
from portal.errors import Permanent, Retryable, UserFault
from portal.extensions import db
from portal.models import Agent, Alert, EscalationTier, NotifyTarget, Ticket
from portal.models.columns import now
from portal.rules.quiet import QuietHours, mail_at
from portal.secrets_box import seal, unseal
from portal.services import accounts, notifications
from portal.services.outbox import LEASE, pause_after
from portal.services.transaction import affected, transaction
from portal.wording import N_, sentence

ITEMS_AT_ONCE = 20
# Beyond it the news is old; that it did not arrive stands in the list of targets.
GIVE_UP_AFTER = timedelta(days=1)
SUSPICIOUS_FAILURES = 3
JOB = "portal.jobs.alerts.alert_waiting"
_WAITING = ("queued", "sending", "deferred")

log = structlog.get_logger()


def owe(
    ticket: Ticket,
    tier: EscalationTier,
    text: str,
    *,
    fact_key: str,
    user_ids: Collection[int],
    on_call_ids: Collection[int] = (),
    to_targets: bool = True,
) -> None:
    """Write what is owed to the tier's targets, and as mail to these people, inside the caller's transaction.

    The same fact is owed once. A person's mail waits for the end of their quiet hours, except to whoever is on call.
    """
    at, title = now(), f"#{ticket.number} {ticket.subject}"
    target = select(
        NotifyTarget.id,
        literal(ticket.id, BigInteger),
        literal(fact_key),
        literal(title),
        literal(str(text)),
        literal("queued"),
        literal(0),
        literal(at),
        literal(""),
        literal(at),
    ).where(NotifyTarget.tier_id == tier.id, NotifyTarget.is_active, literal(to_targets))
    columns = ["ticket_id", "fact_key", "title", "text", "state", "attempt_count"]
    columns += ["next_attempt_at", "last_error", "created_at"]
    owed = affected(insert(Alert).from_select(["target_id", *columns], target).on_conflict_do_nothing())
    if tier.mails_members and user_ids:
        mails = [
            {
                "user_id": user_id,
                "ticket_id": ticket.id,
                "fact_key": fact_key,
                "title": title,
                "text": str(text),
                "next_attempt_at": mail_at(quiet, at, is_on_call=user_id in on_call_ids),
                "created_at": at,
            }
            for user_id, quiet in _quiet_hours(user_ids, ticket.branch_id).items()
        ]
        if mails:
            owed += affected(insert(Alert).values(mails).on_conflict_do_nothing())
    if owed:
        enqueue.wake_after_commit(JOB)


def has_owed() -> bool:
    """Whether one waits whose time has come. Reads only."""
    return bool(_owed_ids(1))


def deliver_waiting(most_seconds: float) -> None:
    """Send everything whose time has come, the longest waiting first. Commits after each.

    Begins no further one after `most_seconds`; `has_owed` then says whether more is left.
    """
    end = time.monotonic() + most_seconds
    while time.monotonic() < end and (ids := _owed_ids(ITEMS_AT_ONCE)):
        for alert_id in ids:
            deliver(alert_id)
            db.session.remove()
            if time.monotonic() >= end:
                return


def deliver(alert_id: int) -> None:
    """Send one. Commits. Does nothing when it is not due or another worker has it in hand.

    A crash between the far end's answer and our commit sends it again: a mail then carries the same Message-ID.
    """
    at = now()
    with transaction():
        claimed = affected(
            update(Alert)
            .where(Alert.id == alert_id, _is_owed())
            .values(state="sending", attempt_count=Alert.attempt_count + 1, next_attempt_at=at + LEASE)
        )
    if not claimed:
        return
    faults.point("alert_claimed")
    alert = db.session.get_one(Alert, alert_id)
    try:
        if alert.target is not None:
            _say(alert.target, alert.title, alert.text, alert.ticket)
        else:
            _mail(alert)
    except Retryable as problem:
        _settle(alert, str(problem), is_final=False)
        return
    except (Permanent, ValueError) as problem:
        _settle(alert, str(problem), is_final=True)
        return
    faults.point("alert_sent")
    _settle(alert, "", is_final=True)


def set_url(target: NotifyTarget, url: str) -> None:
    """Keep the address, encrypted, with what may be shown of it. Raises UserFault for one that cannot be used."""
    try:
        target.shown = services_outside.check_url(url)[:200]
    except services_outside.UnusableUrl as fault:
        raise UserFault(str(fault)) from fault
    target.url_encrypted = seal(url.strip())
    target.failing_since, target.failure_count, target.last_error = None, 0, ""


def send_test(target: NotifyTarget) -> None:
    """Say there that it works. Commits what came of it; raises UserFault with what the far end answered."""
    try:
        problem = ""
        _say(target, "Portal", f"A test: {target.tier} will be told of its escalations here.", None)
    except (Retryable, Permanent, ValueError) as error:
        problem = str(error)
    with transaction(target):
        _note(target, problem)
    if problem:
        raise UserFault("%(target)s: %(problem)s", target=target.name, problem=problem)


def _owed_ids(limit: int) -> list[int]:
    return list(
        db.session.scalars(select(Alert.id).where(_is_owed()).order_by(Alert.next_attempt_at).limit(limit))
    )


def _is_owed() -> ColumnElement[bool]:
    # One in state "sending" whose time has come was left behind by a worker that died.
    return Alert.state.in_(_WAITING) & (Alert.next_attempt_at <= now())


def _quiet_hours(user_ids: Collection[int], branch_id: int) -> dict[int, QuietHours | None]:
    """Those of them who are still there and see the branch, with their quiet hours."""
    found = (
        select(User.id, Agent.quiet_from, Agent.quiet_until, Agent.time_zone)
        .outerjoin(Agent, Agent.user_id == User.id)
        .where(User.id.in_(user_ids), User.active, access.sees_branch(User.id, branch_id))
    )
    return {
        user_id: QuietHours(begin, end, ZoneInfo(zone)) if begin is not None and end is not None else None
        for user_id, begin, end, zone in db.session.execute(found)
    }


def _link(ticket: Ticket) -> str:
    return f"{current_app.config['SETTINGS'].base_url}/tickets/{ticket.number}"


def _say(target: NotifyTarget, title: str, text: str, ticket: Ticket | None) -> None:
    if not target.is_active:
        raise Permanent(N_("The target has been switched off."))
    body = f"{text}\n{_link(ticket)}" if ticket is not None else text
    services_outside.say(
        unseal(target.url_encrypted), title, body, may_reach_internal=target.may_reach_internal
    )


def _mail(alert: Alert) -> None:
    user, ticket = alert.user, alert.ticket
    sees = select(User.id).where(
        User.id == alert.user_id, User.active, access.sees_branch(User.id, ticket.branch_id)
    )
    if user is None or db.session.scalar(sees) is None:
        raise Permanent(N_("The person does not see this ticket any more."))
    account = accounts.account_for(ticket)
    if account is None:
        raise Permanent(N_("The branch has no mail account to write from."))
    link = _link(ticket)
    raw = compose(
        OutgoingMail(
            from_name=f"{account.branch.name} · Portal",
            from_address=account.address,
            to=(Mailbox(name=str(user), address=user.email),),
            subject=alert.title,
            html=f'<p>{escape(alert.text)}</p><p><a href="{escape(link)}">{escape(link)}</a></p>',
            message_id=f"alert-{alert.id}@{current_app.config['SETTINGS'].mail_hostname}",
            date=alert.created_at,
            is_automatic=True,
            extra_headers=(("X-Loop", account.address),),
        )
    )
    # Without a return path nothing comes back to a desk that nobody reads for it.
    result = send(accounts.relay_of(account), "", [user.email], raw)[0]
    if result.state == "deferred":
        raise Retryable(result.reply)
    if result.state != "sent":
        raise Permanent(result.reply)


def _settle(alert: Alert, problem: str, *, is_final: bool) -> None:
    """Say what became of it. Commits."""
    with transaction(alert):
        at = now()
        alert.last_error = problem[:400]
        if not problem:
            alert.state, alert.sent_at = "sent", at
        elif is_final or at - alert.created_at > GIVE_UP_AFTER:
            alert.state = "failed"
            log.warning("alert_failed", alert_id=alert.id)
        else:
            alert.state = "deferred"
            alert.next_attempt_at = at + pause_after(alert.attempt_count)
        if alert.target is not None:
            _note(alert.target, problem)


def _note(target: NotifyTarget, problem: str) -> None:
    """Whether the target works, inside the caller's transaction; the admins are told once it keeps failing."""
    if not problem:
        target.failing_since, target.failure_count, target.last_error = None, 0, ""
        return
    target.failing_since = target.failing_since or now()
    target.failure_count += 1
    target.last_error = problem[:400]
    if target.failure_count >= SUSPICIOUS_FAILURES:
        notifications.notify_all(
            notifications.admin_ids(),
            "target_failing",
            sentence(
                "%(target)s of %(tier)s cannot be told of escalations: %(problem)s",
                target=target.name,
                tier=target.tier.name,
                problem=problem,
            ),
            fact_key=f"target-{target.id}-{int(target.failing_since.timestamp())}",
        )
