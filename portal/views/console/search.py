"""What the search box finds: words of what was said, a number, a subject, a person, a file, within reach."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from flask import g
from markupsafe import Markup, escape
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    and_,
    any_,
    exists,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import distinct_on

from portal.extensions import db
from portal.models import Attachment, Branch, Customer, Identity, Message, Tag, Ticket, User
from portal.models.branch import PRIORITIES
from portal.models.ticket import SEVERITIES, TICKET_TYPES, ticket_tag
from portal.rules.lifecycle import OPEN_STATUSES, STATUSES
from portal.rules.search import Term, day_of, parse_query, piece_of, text_pattern
from portal.services.patterns import containing
from portal.views.console.finding import Found, find

# How much of a message is looked at for the piece that is shown.
SHOWN_LETTERS = 20_000
# People whom a `from:` may mean.
MOST_PEOPLE = 2000


def matches(query: str, user: User, zone: str = "") -> ColumnElement[bool]:
    """The condition that a ticket is found by that query.

    What the words find is looked up at once, bounded and newest first (`portal.views.console.finding`), once a request.
    Operators narrow what the words find; without words they stand alone.
    """
    terms = parse_query(query)
    conditions = [_narrowed(term, user, zone) for term in terms if term.operator]
    without = [_without(term) for term in terms if not term.operator and term.is_excluded]
    if _wanted(terms):
        ids = found_by(query, user, zone).ticket_ids
        conditions = [Ticket.id == any_(literal(list(ids), ARRAY(BigInteger)))]
    elif not conditions and not without:
        # Nothing that could be looked for was typed.
        return false()
    return and_(*conditions, *without)


def found_by(query: str, user: User, zone: str = "") -> Found:
    """What the words of the query find, as far as its operators allow. Asked for once a request."""
    terms = parse_query(query)
    wanted = _wanted(terms)
    if not wanted:
        return Found()
    known: dict[tuple[str, int, str], Found] = g.setdefault("searches", {})
    key = (query, user.id, zone)
    if key not in known:
        known[key] = find(wanted, user, [_narrowed(term, user, zone) for term in terms if term.operator])
    return known[key]


def snippets_of(query: str, found: Found, ticket_ids: Sequence[int]) -> dict[int, Markup]:
    """Per ticket, the piece of its newest message that the words stand in, marked. One statement, or none."""
    pattern = text_pattern(_wanted(parse_query(query)), found.forms)
    if not pattern or not ticket_ids:
        return {}
    said = func.left(Message.text, SHOWN_LETTERS)
    newest = (
        select(Message.ticket_id, said)
        .where(Message.ticket_id.in_(ticket_ids), said.regexp_match(pattern, flags="i"))
        .ext(distinct_on(Message.ticket_id))
        .order_by(Message.ticket_id, Message.created_at.desc())
    )
    return {ticket_id: _marked(words, pattern) for ticket_id, words in db.session.execute(newest)}


def _wanted(terms: Sequence[Term]) -> list[Term]:
    return [term for term in terms if not term.operator and not term.is_excluded]


def _without(term: Term) -> ColumnElement[bool]:
    """Looked up for each ticket by itself: all messages with a common word would be too many to gather."""
    in_subject = Ticket.subject.ilike(containing(term.text))
    pattern = text_pattern([term], {})
    if not pattern:
        return not_(in_subject)
    said = (
        select(literal_column("true"))
        .where(Message.ticket_id == Ticket.id, Message.text.regexp_match(pattern, flags="i"))
        .limit(1)
        .scalar_subquery()
    )
    return and_(not_(in_subject), not_(func.coalesce(said, false())))


def not_understood(query: str) -> list[str]:
    """What the query asks with an operator that makes no sense, as it was typed: is:opne, before:soon."""
    return [
        f"{'-' if term.is_excluded else ''}{term.operator}:{term.text}"
        for term in parse_query(query)
        if term.operator and not _makes_sense(term)
    ]


def _makes_sense(term: Term) -> bool:
    known = _KNOWN.get(term.operator)
    if term.operator in ("before", "after"):
        return day_of(term) is not None
    return known is None or term.text.lower() in known


def _narrowed(term: Term, user: User, zone: str) -> ColumnElement[bool]:
    if not _makes_sense(term):
        # Turned round as well: not what is nonsense would be everything.
        return false()
    condition = _OPERATORS[term.operator](term, user, zone)
    return not_(condition) if term.is_excluded else condition


def _from(term: Term, _user: User, _zone: str) -> ColumnElement[bool]:
    pattern = containing(term.text)
    named = select(Customer.id).where(Customer.name.ilike(pattern)).limit(MOST_PEOPLE)
    addressed = select(Identity.customer_id).where(Identity.address.ilike(pattern)).limit(MOST_PEOPLE)
    return Ticket.customer_id.in_(union_all(_plain(named), _plain(addressed)))


def _branch(term: Term, _user: User, _zone: str) -> ColumnElement[bool]:
    wanted = term.text.lower()
    pattern = containing(wanted)
    return Ticket.branch_id.in_(
        select(Branch.id).where(or_(func.lower(Branch.code) == wanted, Branch.name.ilike(pattern)))
    )


def _is(term: Term, user: User, _zone: str) -> ColumnElement[bool]:
    wanted = term.text.lower()
    return _STATES[wanted](user) if wanted in _STATES else Ticket.status == wanted


def _tag(term: Term, _user: User, _zone: str) -> ColumnElement[bool]:
    return exists(
        select(ticket_tag.c.ticket_id)
        .join(Tag, Tag.id == ticket_tag.c.tag_id)
        .where(ticket_tag.c.ticket_id == Ticket.id, Tag.name == term.text.lower())
    )


def _opened(*, is_before: bool) -> Callable[[Term, User, str], ColumnElement[bool]]:
    def condition(term: Term, _user: User, zone: str) -> ColumnElement[bool]:
        day = day_of(term)
        assert day is not None, "what is no day is not asked for"
        begins = datetime.combine(day, time.min, tzinfo=ZoneInfo(zone or "UTC"))
        return Ticket.created_at < begins if is_before else Ticket.created_at >= begins

    return condition


def _assignee(term: Term, user: User, _zone: str) -> ColumnElement[bool]:
    wanted = term.text.lower()
    if wanted in {"me", "none"}:
        return Ticket.assignee_id == user.id if wanted == "me" else Ticket.assignee_id.is_(None)
    full_name = User.first_name + " " + User.last_name
    pattern = containing(wanted)
    return Ticket.assignee_id.in_(
        select(User.id).where(or_(func.lower(User.username) == wanted, full_name.ilike(pattern)))
    )


def _has(_term: Term, _user: User, _zone: str) -> ColumnElement[bool]:
    return exists(
        select(Attachment.id)
        .join(Message, Message.id == Attachment.message_id)
        .where(Message.ticket_id == Ticket.id, ~Attachment.is_inline)
    )


def _word_of(column: Any) -> Callable[[Term, User, str], ColumnElement[bool]]:
    return lambda term, _user, _zone: column == term.text.lower()


_STATES: dict[str, Callable[[User], ColumnElement[bool]]] = {
    "open": lambda _: Ticket.status.in_(OPEN_STATUSES),
    "closed": lambda _: Ticket.status.not_in(OPEN_STATUSES),
    "mine": lambda user: Ticket.assignee_id == user.id,
    "unassigned": lambda _: Ticket.assignee_id.is_(None),
    "assigned": lambda _: Ticket.assignee_id.is_not(None),
    "late": lambda _: Ticket.is_breached.is_(True),
    "unread": lambda _: Ticket.unread_since.is_not(None),
    "escalated": lambda _: Ticket.tier_level > 1,
    "waiting": lambda _: Ticket.status == "pending",
    "snoozed": lambda _: Ticket.snoozed_until.is_not(None),
    "followed": lambda user: Ticket.follower_ids.contains([user.id]),
}
# What can stand behind an operator that takes one of a few words.
_KNOWN: dict[str, Collection[str]] = {
    "is": {*_STATES, *STATUSES},
    "has": {"file", "files", "attachment", "attachments"},
    "priority": PRIORITIES,
    "type": TICKET_TYPES,
    "severity": SEVERITIES,
    "status": STATUSES,
}
_OPERATORS: dict[str, Callable[[Term, User, str], ColumnElement[bool]]] = {
    "from": _from,
    "branch": _branch,
    "is": _is,
    "tag": _tag,
    "before": _opened(is_before=True),
    "after": _opened(is_before=False),
    "assignee": _assignee,
    "priority": _word_of(Ticket.priority),
    "type": _word_of(Ticket.type),
    "severity": _word_of(Ticket.severity),
    "status": _word_of(Ticket.status),
    "has": _has,
}


def _marked(words: str, pattern: str) -> Markup:
    """The piece around the match as HTML: everything escaped, the matches marked."""
    parts = (
        Markup("<mark>{}</mark>").format(part) if is_match else escape(part)
        for part, is_match in piece_of(words, pattern)
    )
    return Markup("").join(parts)


def _plain(found: Select[Any]) -> Select[Any]:
    capped = found.subquery()
    return select(capped.c[0])
