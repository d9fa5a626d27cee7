"""Which tickets hold the words of a search, in what was said, subjects, fields, people and files, newest first.

What is looked at is bounded, however large the desk is: messages and subjects are looked through slice by slice of
their ids, from the newest back, until enough is found.
"""

import re
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Select,
    Text,
    TextualSelect,
    cast,
    func,
    literal,
    null,
    select,
    text,
    true,
    union_all,
)
from sqlalchemy.exc import OperationalError

from portal import access
from portal.errors import UserFault
from portal.extensions import db
from portal.models import Attachment, Customer, Identity, Message, Ticket, User
from portal.models.message import LARGE_SLICE, SEARCHED_TEXT, SMALL_SLICE
from portal.models.ticket import FIELD_WORDS, HAS_FIELDS
from portal.rules.search import Forms, Term, phrase_patterns, ts_query, words_of
from portal.services.patterns import containing

# Tickets that each way of finding gives at most; nobody reads further than this.
MOST_FOUND = 1000
# How many messages, or subjects, that match are held against the reader's reach and conditions.
MOST_LOOKED_AT = 3000
# A word that more messages than this hold is looked for in its usual forms, not by its beginning: everything that
# begins so would have to be gathered anew for each slice.
MANY_MESSAGES = 3000
MOST_FORMS = 40
# The first search after a start may have to read the index from the disk.
LONGEST_SEARCH_MS = 5000
LEXICON_SECONDS = 15 * 60
# The languages whose endings are taken off a word before it is looked for.
STEMMERS = ("english", "german", "french", "spanish", "italian", "dutch", "portuguese", "swedish")
SHORTEST_STEM = 3
# In fields a shorter word is looked for as it stands.
SHORTEST_BEGINNING = 4
TOO_LONG = (
    "This search took too long and was stopped. Add a word, or narrow it with from:, is:open, tag: or after:."
)
_NUMBER = re.compile(r"#?\s*(\d{1,18})")
# From the newest back: small slices for the newest two large ones, then large ones. Each is one look into the index.
_NEWEST_FIRST = """
    (
        SELECT hit.* FROM generate_series(
            (SELECT max(id) >> {small} FROM {table}),
            (SELECT greatest((max(id) >> {large}) - 1, 0) << ({large} - {small}) FROM {table}),
            -1
        ) AS slice,
        LATERAL (
            SELECT {columns} FROM {table} WHERE {condition} AND (id >> {small}) = slice ORDER BY id DESC
        ) AS hit
    )
    UNION ALL
    (
        SELECT hit.* FROM generate_series((SELECT (max(id) >> {large}) - 2 FROM {table}), 0, -1) AS slice,
        LATERAL (
            SELECT {columns} FROM {table} WHERE {condition} AND (id >> {large}) = slice ORDER BY id DESC
        ) AS hit
    )
    LIMIT {most}
"""


@dataclass(frozen=True)
class Found:
    """The tickets that were found, whether older ones that match were left out, and as what words were looked for."""

    ticket_ids: tuple[int, ...] = ()
    is_cut: bool = False
    forms: Mapping[str, Forms] = field(default_factory=dict)


@dataclass(frozen=True)
class Lexicon:
    """Words that many messages hold, in alphabetical order, with the number of messages."""

    words: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()

    def beginning_with(self, stem: str) -> list[tuple[str, int]]:
        """The words that begin so, those of the most messages first."""
        first = bisect_left(self.words, stem)
        found = []
        for word, count in zip(self.words[first:], self.counts[first:], strict=True):
            if not word.startswith(stem):
                break
            found.append((word, count))
        return sorted(found, key=lambda each: -each[1])


def find(terms: Sequence[Term], user: User, conditions: Iterable[ColumnElement[bool]] = ()) -> Found:
    """The tickets within reach that meet the conditions and hold all these words. Two statements, now and then three.

    Raises UserFault for a search that takes longer than LONGEST_SEARCH_MS.
    """
    reachable = access.visible_tickets(user).where(*conditions).with_only_columns(Ticket.id)
    forms = _forms(words_of([term for term in terms if not term.is_phrase]))
    parts = _parts(terms, forms, reachable)
    # The reach is in each way by itself; put into the looks at the index as well, it would unbound them.
    statement = union_all(*parts).execution_options(is_unscoped=True)
    try:
        rows = db.session.execute(statement).all()
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", "") != "57014":
            raise
        db.session.rollback()
        raise UserFault(TOO_LONG) from error
    ids = tuple(dict.fromkeys(ticket_id for _, ticket_id, _ in rows if ticket_id is not None))
    looked_at = max((count for _, _, count in rows if count is not None), default=0)
    fullest = max(Counter(way for way, _, _ in rows).values(), default=0)
    return Found(ids, looked_at >= MOST_LOOKED_AT or fullest >= MOST_FOUND, forms)


@lru_cache(maxsize=1)
def lexicon_of(_quarter_of_an_hour: int) -> Lexicon:
    """The words that are common on this desk, from the statistics that PostgreSQL keeps of the messages' index."""
    found = db.session.execute(
        text(
            "SELECT CAST(CAST(most_common_elems AS text) AS text[]), most_common_elem_freqs, "
            "(SELECT reltuples FROM pg_class WHERE oid = to_regclass('message')) FROM pg_stats "
            "WHERE tablename = 'ix_message_word_slices' AND attname = 'to_tsvector' AND schemaname = current_schema()"
        )
    ).first()
    if found is None or found[0] is None:
        return Lexicon()
    known, shares, messages = found
    # Behind the shares of the words stand the least and the greatest of them.
    counted = sorted((word, round(share * messages)) for word, share in zip(known, shares, strict=False))
    return Lexicon(tuple(word for word, _ in counted), tuple(count for _, count in counted))


def _forms(words: Sequence[str]) -> dict[str, Forms]:
    """What each word is looked for as. Sets the limits of the transaction in the same statement.

    A word is taken by its shortest stem in our languages: `refunds` finds `refund`, `Rechnungen` finds `Rechnung`.
    """
    found = db.session.execute(
        text(
            "SELECT set_config('statement_timeout', :longest, true), "
            "set_config('max_parallel_workers_per_gather', '0', true), "
            "(SELECT array_agg(ARRAY[word, stem]) FROM unnest(CAST(:words AS text[])) AS word, "
            "unnest(CAST(:stemmers AS text[])) AS stemmer, "
            "unnest(ts_lexize(CAST(stemmer AS regdictionary), word)) AS stem)"
        ),
        {
            "longest": str(LONGEST_SEARCH_MS),
            "words": list(words),
            "stemmers": [f"{language}_stem" for language in STEMMERS],
        },
    ).one()
    stems = {word: word for word in words}
    for word, stem in found[2] or ():
        # One that cuts off more than a third of the word would find everything that begins alike.
        is_usable = len(stem) >= max(SHORTEST_STEM, len(word) * 2 // 3) and word.startswith(stem)
        if is_usable and len(stem) < len(stems[word]):
            stems[word] = stem
    lexicon = lexicon_of(int(time.monotonic() // LEXICON_SECONDS)) if words else Lexicon()
    return {word: _forms_of(word, stem, lexicon) for word, stem in stems.items()}


def _forms_of(word: str, stem: str, lexicon: Lexicon) -> Forms:
    common = lexicon.beginning_with(stem)
    if sum(count for _, count in common) <= MANY_MESSAGES:
        return Forms(stem)
    return Forms(stem, tuple(dict.fromkeys([word, *(each for each, _ in common[:MOST_FORMS])])))


def _parts(terms: Sequence[Term], forms: dict[str, Forms], reachable: Select[Any]) -> list[Select[Any]]:
    """Rows (way, ticket id, None), and for what is looked through by slices one of (way, None, how many matched)."""
    said, titled, held = _said(terms, forms), _titled(terms), _held(terms, forms)
    whole = " ".join(term.text for term in terms)
    ways: dict[str, Select[Any]] = {}
    if titled is not None:
        ways["subject"] = _reached(reachable, titled)
    if said is not None:
        stands = [said.c.text.regexp_match(each, flags="i") for each in phrase_patterns(terms)]
        ways["words"] = _reached(reachable, said, *stands)
    if held is not None:
        stands = [held.c.text.regexp_match(each, flags="i") for each in phrase_patterns(terms)]
        ways["field"] = _reached(reachable, held, *stands)
    if _can_stand_within(whole):
        ways["file"] = _by_file(terms, reachable)
    ways |= _by_people(whole, reachable)
    number = number_in(whole)
    if number is not None:
        ways["number"] = reachable.where(Ticket.number == number)
    parts = [_part(way, found) for way, found in ways.items()]
    parts += [
        _count(way, looked)
        for way, looked in (("subject", titled), ("words", said), ("field", held))
        if looked is not None
    ]
    return parts


def number_in(text_: str) -> int | None:
    """The ticket number that a text is, if it is one: `10482` or `#10482`."""
    found = _NUMBER.fullmatch(text_.strip())
    return int(found[1]) if found else None


def _reached(reachable: Select[Any], newest: CTE, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Those of the newest whose ticket is within reach, each looked up by itself.

    Left to choose, the planner gathers all tickets within reach first, and these are as many as the desk has.
    """
    each = reachable.where(Ticket.id == newest.c.ticket_id).limit(1).correlate(newest).lateral()
    return select(each.c.id).select_from(newest.join(each, true())).where(*conditions)


def _by_people(whole: str, reachable: Select[Any]) -> dict[str, Select[Any]]:
    pattern = containing(whole)
    by_name = select(Customer.id).where(Customer.name.ilike(pattern)).limit(MOST_FOUND)
    by_address = select(Identity.customer_id).where(Identity.address.ilike(pattern)).limit(MOST_FOUND)
    return {
        "name": reachable.where(Ticket.customer_id.in_(by_name)),
        "address": reachable.where(Ticket.customer_id.in_(by_address)),
    }


def _by_file(terms: Sequence[Term], reachable: Select[Any]) -> Select[Any]:
    held = (
        select(Message.ticket_id)
        .join(Attachment, Attachment.message_id == Message.id)
        .where(*(Attachment.name.ilike(containing(term.text)) for term in terms))
        .limit(MOST_FOUND)
    )
    return reachable.where(Ticket.id.in_(held))


def _can_stand_within(text_: str) -> bool:
    """Whether to look for the text within others: an index of letters by three does not help with one or two.

    Signs alone, and scripts that write a word with two letters, have no other way; the time limit holds for them.
    """
    return not text_.isascii() or bool(re.search(r"\w{3}", text_)) or not re.search(r"[^\W_]", text_)


def _said(terms: Sequence[Term], forms: dict[str, Forms]) -> CTE | None:
    """The newest messages that hold the words; of a phrase, its words anywhere."""
    sought = ts_query(terms, forms)
    if not sought:
        return None
    condition = f"{SEARCHED_TEXT} @@ to_tsquery('simple', :sought)"
    # The text is wanted to see whether the words of a phrase stand together.
    columns = ["id", "ticket_id", "text"] if phrase_patterns(terms) else ["id", "ticket_id"]
    return _newest_first("message", columns, condition, {"sought": sought}).cte("said")


def _held(terms: Sequence[Term], forms: dict[str, Forms]) -> CTE | None:
    """The newest tickets whose own fields hold the words; whoever sees a ticket sees all values that it has."""
    # The letters that all numbers of orders begin with would be gathered anew for each slice.
    short = {word: Forms(word, (word,)) for word in forms if len(word) < SHORTEST_BEGINNING}
    sought = ts_query(terms, {**forms, **short})
    if not sought:
        return None
    condition = f"{HAS_FIELDS.text} AND {FIELD_WORDS} @@ to_tsquery('simple', :held)"
    columns = ["id", "id AS ticket_id"]
    if phrase_patterns(terms):
        columns.append("CAST(fields AS text) AS text")
    return _newest_first("ticket", columns, condition, {"held": sought}).cte("held")


def _titled(terms: Sequence[Term]) -> CTE | None:
    """The newest tickets whose subject holds each of these texts."""
    if not any(_can_stand_within(term.text) for term in terms):
        return None
    patterns = {f"subject_{index}": containing(term.text) for index, term in enumerate(terms)}
    condition = " AND ".join(f"subject ILIKE :{name}" for name in patterns)
    return _newest_first("ticket", ["id", "id AS ticket_id"], condition, patterns).cte("titled")


def _newest_first(
    table: str, columns: Sequence[str], condition: str, values: dict[str, str]
) -> TextualSelect:
    statement = _NEWEST_FIRST.format(
        table=table,
        columns=", ".join(columns),
        condition=condition,
        small=SMALL_SLICE,
        large=LARGE_SLICE,
        most=MOST_LOOKED_AT,
    )
    types = {"id": BigInteger, "ticket_id": BigInteger, "text": Text}
    names = [name.rpartition(" ")[2] for name in columns]
    return text(statement).bindparams(**values).columns(**{name: types[name] for name in names})


def _part(way: str, found: Select[Any]) -> Select[Any]:
    capped = found.limit(MOST_FOUND).subquery()
    return select(
        literal(way).label("way"), capped.c.id.label("ticket_id"), cast(null(), BigInteger).label("count")
    )


def _count(way: str, looked: CTE) -> Any:
    return select(literal(way), cast(null(), BigInteger), func.count()).select_from(looked)
