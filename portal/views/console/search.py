"""What the search box finds: words of what was said, a number, a subject, a person, a file, within reach."""

import html as entities
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, time
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup
from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    exists,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.dialects.postgresql import distinct_on

from portal import access
from portal.extensions import db
from portal.models import Attachment, Branch, Customer, Identity, Message, Tag, Ticket, User
from portal.models.message import SEARCHED_WORDS
from portal.models.ticket import ticket_tag
from portal.rules.lifecycle import OPEN_STATUSES, STATUSES
from portal.rules.search import Term, day_of, parse_query, ts_query
from portal.services.patterns import containing

# A word that half the desk uses matches hundreds of thousands of tickets; nobody reads further than this.
MOST_MATCHES = 2000
# How far back a word is looked for in messages: the newest that hold it.
MOST_MESSAGES = 2000
# The languages whose endings are taken off a word before it is looked for.
STEMMERS = ("english", "german", "french", "spanish", "italian", "dutch", "portuguese", "swedish")
SHORTEST_STEM = 3
_NUMBER = re.compile(r"#?\s*(\d{1,18})")
_BEGIN, _END = "\x02", "\x03"


def matches(query: str, user: User, zone: str = "") -> ColumnElement[bool]:
    """The condition that a ticket is found by that query, of at most MOST_MATCHES a way of finding it.

    Each way is a select of its own with its own index: joined by OR they would read the whole table. Operators narrow
    what the words find; without words they stand alone.
    """
    terms = parse_query(query)
    wanted = [term for term in terms if not term.operator and not term.is_excluded]
    conditions = [_narrowed(term, user, zone) for term in terms if term.operator]
    conditions += [_without(term) for term in terms if not term.operator and term.is_excluded]
    if wanted:
        conditions.append(Ticket.id.in_(union_all(*(_capped(way) for way in _ways(wanted, user)))))
    elif not conditions:
        # Nothing that could be looked for was typed.
        return false()
    return and_(*conditions)


def snippets_of(query: str, ticket_ids: Sequence[int]) -> dict[int, Markup]:
    """Per ticket, the piece of its newest message that the words stand in, marked. One statement, or none."""
    sought = _words_query([term for term in parse_query(query) if not term.operator and not term.is_excluded])
    if not sought or not ticket_ids:
        return {}
    asked = func.to_tsquery(literal_column("'simple'"), sought)
    newest = (
        select(Message.ticket_id, Message.text)
        .where(Message.ticket_id.in_(ticket_ids), SEARCHED_WORDS.op("@@")(asked))
        .ext(distinct_on(Message.ticket_id))
        .order_by(Message.ticket_id, Message.created_at.desc())
        .subquery()
    )
    options = f"StartSel={_BEGIN}, StopSel={_END}, MaxWords=24, MinWords=8, MaxFragments=1, ShortWord=0"
    shown = func.ts_headline(literal_column("'simple'"), func.left(newest.c.text, 20_000), asked, options)
    rows = db.session.execute(select(newest.c.ticket_id, shown))
    return {ticket_id: _marked(piece) for ticket_id, piece in rows}


def number_in(text_: str) -> int | None:
    """The ticket number that a text is, if it is one: `10482` or `#10482`."""
    found = _NUMBER.fullmatch(text_.strip())
    return int(found[1]) if found else None


def _ways(terms: Sequence[Term], user: User) -> list[Select[Any]]:
    reachable = access.visible_tickets(user).with_only_columns(Ticket.id)
    whole = " ".join(term.text for term in terms)
    pattern = containing(whole)
    by_name = select(Customer.id).where(Customer.name.ilike(pattern)).limit(MOST_MATCHES)
    by_address = select(Identity.customer_id).where(Identity.address.ilike(pattern)).limit(MOST_MATCHES)
    by_file = (
        select(Message.ticket_id)
        .join(Attachment, Attachment.message_id == Message.id)
        .where(*(Attachment.name.ilike(containing(term.text)) for term in terms))
        .limit(MOST_MATCHES)
    )
    ways = [
        reachable.where(*(Ticket.subject.ilike(containing(term.text)) for term in terms)),
        reachable.where(Ticket.customer_id.in_(by_name)),
        reachable.where(Ticket.customer_id.in_(by_address)),
        reachable.where(Ticket.id.in_(by_file)),
    ]
    sought = _words_query(terms)
    if sought:
        said = select(Message.ticket_id).where(_says(sought)).order_by(Message.id.desc()).limit(MOST_MESSAGES)
        ways.append(reachable.where(Ticket.id.in_(said)))
    number = number_in(whole)
    if number is not None:
        ways.append(reachable.where(Ticket.number == number))
    return ways


def _says(sought: str) -> ColumnElement[bool]:
    return SEARCHED_WORDS.op("@@")(func.to_tsquery(literal_column("'simple'"), sought))


def _words_query(terms: Sequence[Term]) -> str:
    return ts_query(terms, _stems(terms))


def _stems(terms: Iterable[Term]) -> dict[str, str]:
    """Per word its shortest stem in our languages: `refunds` finds `refund`, `Rechnungen` finds `Rechnung`."""
    words = {word.lower() for term in terms if not term.is_phrase for word in re.findall(r"\w+", term.text)}
    return {word: _stem_of(word) for word in words}


@lru_cache(maxsize=10_000)
def _stem_of(word: str) -> str:
    """A stem that cuts off more than a third of the word would find everything that begins alike."""
    stems = db.session.scalars(
        text(
            "SELECT unnest(ts_lexize(CAST(stemmer AS regdictionary), :word)) "
            "FROM unnest(CAST(:stemmers AS text[])) AS stemmer"
        ),
        {"word": word, "stemmers": [f"{language}_stem" for language in STEMMERS]},
    )
    least = max(SHORTEST_STEM, len(word) * 2 // 3)
    usable = [stem for stem in stems if len(stem) >= least and word.startswith(stem)]
    return min(usable, key=len, default=word)


def _without(term: Term) -> ColumnElement[bool]:
    pattern = containing(term.text)
    sought = ts_query([term], {})
    said = exists().where(Message.ticket_id == Ticket.id, _says(sought)) if sought else false()
    return not_(or_(Ticket.subject.ilike(pattern), said))


def _narrowed(term: Term, user: User, zone: str) -> ColumnElement[bool]:
    condition = _OPERATORS[term.operator](term, user, zone)
    return not_(condition) if term.is_excluded else condition


def _from(term: Term, _user: User, _zone: str) -> ColumnElement[bool]:
    pattern = containing(term.text)
    named = select(Customer.id).where(Customer.name.ilike(pattern)).limit(MOST_MATCHES)
    addressed = select(Identity.customer_id).where(Identity.address.ilike(pattern)).limit(MOST_MATCHES)
    return Ticket.customer_id.in_(union_all(_plain(named), _plain(addressed)))


def _branch(term: Term, _user: User, _zone: str) -> ColumnElement[bool]:
    wanted = term.text.lower()
    pattern = containing(wanted)
    return Ticket.branch_id.in_(
        select(Branch.id).where(or_(func.lower(Branch.code) == wanted, Branch.name.ilike(pattern)))
    )


def _is(term: Term, user: User, _zone: str) -> ColumnElement[bool]:
    wanted = term.text.lower()
    states: dict[str, ColumnElement[bool]] = {
        "open": Ticket.status.in_(OPEN_STATUSES),
        "closed": Ticket.status.not_in(OPEN_STATUSES),
        "mine": Ticket.assignee_id == user.id,
        "unassigned": Ticket.assignee_id.is_(None),
        "assigned": Ticket.assignee_id.is_not(None),
        "late": Ticket.is_breached.is_(True),
        "unread": Ticket.unread_since.is_not(None),
        "escalated": Ticket.tier_level > 1,
        "waiting": Ticket.status == "pending",
        "snoozed": Ticket.snoozed_until.is_not(None),
        "followed": Ticket.follower_ids.contains([user.id]),
    }
    return states[wanted] if wanted in states else Ticket.status == wanted if wanted in STATUSES else false()


def _tag(term: Term, _user: User, _zone: str) -> ColumnElement[bool]:
    return exists(
        select(ticket_tag.c.ticket_id)
        .join(Tag, Tag.id == ticket_tag.c.tag_id)
        .where(ticket_tag.c.ticket_id == Ticket.id, Tag.name == term.text.lower())
    )


def _opened(*, is_before: bool) -> Callable[[Term, User, str], ColumnElement[bool]]:
    def condition(term: Term, _user: User, zone: str) -> ColumnElement[bool]:
        day = day_of(term)
        if day is None:
            return false()
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


def _has(term: Term, _user: User, _zone: str) -> ColumnElement[bool]:
    if term.text.lower() not in {"file", "files", "attachment", "attachments"}:
        return false()
    return exists(
        select(Attachment.id)
        .join(Message, Message.id == Attachment.message_id)
        .where(Message.ticket_id == Ticket.id, ~Attachment.is_inline)
    )


def _word_of(column: Any) -> Callable[[Term, User, str], ColumnElement[bool]]:
    return lambda term, _user, _zone: column == term.text.lower()


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


def _marked(piece: str) -> Markup:
    """The piece as HTML: everything escaped, then the marks put in."""
    plain = entities.escape(" ".join(piece.split(" ")))
    return Markup(plain.replace(_BEGIN, "<mark>").replace(_END, "</mark>"))  # noqa: S704 - escaped above


def _plain(found: Select[Any]) -> Select[Any]:
    capped = found.subquery()
    return select(capped.c[0])


def _capped(way: Select[Any]) -> Select[Any]:
    capped = way.limit(MOST_MATCHES).subquery()
    return select(capped.c.id)
