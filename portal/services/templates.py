"""Prepared replies: which fit a ticket, and what they say there."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_appbuilder.security.sqla.models import User
from sqlalchemy import select
from sqlalchemy.orm import selectinload, undefer

from portal import access
from portal.errors import NotFound, UserFault
from portal.extensions import db
from portal.models import Message, ReplyTemplate, Ticket
from portal.models.columns import now
from portal.rules import lifecycle as rules
from portal.rules import ranking, templating
from portal.services import accounts, events, fields, lifecycle, people
from portal.services.transaction import transaction

MOST_CANDIDATES = 2000


@dataclass(frozen=True)
class Suggested:
    """A template, how well it fits, and the reason to show."""

    template: ReplyTemplate
    score: float
    reason: str


def suggestions(ticket: Ticket, user: User, limit: int = 5) -> list[Suggested]:
    """The templates that fit the customer's unanswered messages best, best first. Reads only."""
    templates = {template.id: template for template in usable_templates(user, ticket)}
    candidates = [_candidate(template) for template in templates.values()]
    facts = ranking.RankFacts(
        branch_id=ticket.branch_id,
        language=ticket.language,
        topics=frozenset({ticket.type, *(tag.name for tag in ticket.tags)}),
    )
    found = ranking.rank(_question(ticket), candidates, facts, most=limit)
    return [Suggested(templates[item.template_id], item.score, item.reason) for item in found]


def usable_templates(user: User, ticket: Ticket | None = None) -> list[ReplyTemplate]:
    """The published templates of the person's branches (of the ticket's, where one is given), by name."""
    found = (
        access.visible_templates(user)
        .options(selectinload(ReplyTemplate.branches))
        .order_by(ReplyTemplate.name)
        .limit(MOST_CANDIDATES)
    )
    templates: list[ReplyTemplate] = list(db.session.scalars(found))
    if ticket is None:
        return templates
    return [
        template
        for template in templates
        if not template.branches or ticket.branch_id in {branch.id for branch in template.branches}
    ]


def access_template(template_id: int, user: User, ticket: Ticket | None = None) -> ReplyTemplate:
    """The template, if that person may use it (there). Raises NotFound."""
    template = next((each for each in usable_templates(user, ticket) if each.id == template_id), None)
    if template is None:
        raise NotFound("This template has been retired or belongs to another branch. Choose another one.")
    return template


@dataclass(frozen=True)
class Addresses:
    """Where the customer and the branch of a ticket are written to, and what statuses are called (None: read it)."""

    customer: str
    branch: str
    life: rules.Lifecycle | None = None


def filled_body(
    template: ReplyTemplate, ticket: Ticket, user: User, addresses: Addresses | None = None
) -> templating.Filled:
    """The template's text with this ticket's values; what is unfilled is marked and named. Reads only."""
    return templating.fill(template.body_html, values_of(ticket, user, addresses))


def values_of(ticket: Ticket, user: User | None, addresses: Addresses | None = None) -> dict[str, str | None]:
    """What every placeholder stands for on this ticket, in the branch's time zone; no agent without a user. Reads.

    `addresses`: for callers that fill many; read here otherwise.
    """
    addresses = addresses or Addresses(
        people.address_of(ticket.customer), accounts.address_of_branch(ticket.branch_id)
    )
    first_name, _, last_name = ticket.customer.name.strip().partition(" ")
    zone = ZoneInfo(ticket.branch.time_zone)
    return {
        "customer.first_name": first_name,
        "customer.last_name": last_name,
        "customer.name": ticket.customer.name,
        "customer.email": addresses.customer,
        "customer.company": "",
        "ticket.number": str(ticket.number),
        "ticket.subject": ticket.subject,
        "ticket.status": rules.label(ticket.status, addresses.life or lifecycle.current()),
        "ticket.priority": ticket.priority.capitalize(),
        "ticket.opened_on": _date(ticket.created_at, zone),
        "agent.first_name": user.first_name if user else None,
        "agent.name": f"{user.first_name} {user.last_name}".strip() if user else None,
        "agent.email": user.email if user else None,
        "branch.name": ticket.branch.name,
        "branch.email": addresses.branch,
        "today": _date(now(), zone),
        **{templating.FIELD_PREFIX + key: said for key, said in fields.values_in_words(ticket).items()},
    }


def record_offered(ticket: Ticket, offered: Iterable[Suggested], actor: User) -> None:
    """Note which templates were suggested. Commits; asking again for the same ones notes nothing."""
    ids = [item.template.id for item in offered]
    if not ids:
        return
    last = events.of_ticket(ticket.id, ["template_offered"])
    if last and last[-1].data.get("templates") == ids and last[-1].actor_id == actor.id:
        return
    with transaction():
        events.record("template_offered", ticket=ticket, actor=actor, data={"templates": ids})


def record_inserted(
    ticket: Ticket, template: ReplyTemplate, actor: User, *, was_offered: bool = False
) -> None:
    """Note that a template was put into a reply. Commits."""
    with transaction():
        events.record(
            "template_inserted",
            ticket=ticket,
            actor=actor,
            data={"template": template.id, "name": template.name, "was_offered": was_offered},
        )


def check_body(html: str) -> None:
    """Raise UserFault with every problem of a template's placeholders."""
    field_keys = [field.key for field in fields.definitions()] if templating.FIELD_PREFIX in html else ()
    problems = templating.check(html, field_keys)
    if problems:
        raise UserFault(" ".join(problem.message for problem in problems))


def plain_body(html: str) -> str:
    """The template's words, for the ranking."""
    from portal.channels.email.html import html_to_text

    return html_to_text(html)


def _question(ticket: Ticket) -> str:
    """What the customer wrote since our last answer, the subject first."""
    found = (
        select(Message)
        .where(Message.ticket_id == ticket.id, Message.direction != "note")
        .options(undefer(Message.text))
        .order_by(Message.created_at.desc(), Message.id.desc())
        .limit(10)
    )
    unanswered: list[str] = []
    for message in db.session.scalars(found):
        if message.direction == "out" and not message.is_automatic:
            break
        unanswered.append(message.text)
    return "\n".join([ticket.subject, *reversed(unanswered)])


def _candidate(template: ReplyTemplate) -> ranking.Candidate:
    return ranking.Candidate(
        template_id=template.id,
        name=template.name,
        body_text=template.body_text or plain_body(template.body_html),
        category=template.category,
        language=template.language,
        branch_ids=frozenset(branch.id for branch in template.branches),
        sent_count=template.sent_count,
    )


def _date(moment: datetime, zone: Any) -> str:
    local = moment.astimezone(zone)
    return f"{local.day} {local:%B %Y}"
