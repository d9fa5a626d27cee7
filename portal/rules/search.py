"""What somebody asks the search box: words, "exact phrases", -not, and operators such as `from:` and `before:`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

LONGEST = 200
MOST_TERMS = 16
# A piece of a text that shows a match: how much of it, and how much of that before the match.
PIECE_LETTERS = 180
LETTERS_BEFORE = 60
# What can stand before a colon; anything else with a colon is a word, as in "error: 42".
OPERATORS = (
    "from",
    "branch",
    "is",
    "tag",
    "before",
    "after",
    "assignee",
    "priority",
    "type",
    "severity",
    "status",
    "has",
)
# Signs within a word that PostgreSQL does not split, or not as we do: numbers of orders, versions, addresses, paths.
_PIECE = re.compile(r"\w[@./:]\w|\d[^\w\s]\w|\w[^\w\s]\d")
_TERM = re.compile(
    r"(?P<not>-)?(?:(?P<operator>[a-z]{2,10}):)?(?:\"(?P<phrase>[^\"]*)\"?|(?P<word>[^\s\"]+))", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Term:
    """A word or a phrase; `operator` is empty for one that is looked for in what was said."""

    text: str
    operator: str = ""
    is_phrase: bool = False
    is_excluded: bool = False


@dataclass(frozen=True, slots=True)
class Forms:
    """What a word is looked for as: everything that begins with its stem, or these lexemes where that were too much."""

    stem: str
    lexemes: tuple[str, ...] = ()


def parse_query(text: str) -> tuple[Term, ...]:
    """The terms of a query in order, each once. Never raises: what makes no sense as an operator is a word."""
    found: dict[Term, None] = {}
    for match in _TERM.finditer(text[:LONGEST]):
        operator = (match["operator"] or "").lower()
        value = (match["phrase"] if match["phrase"] is not None else match["word"]).strip()
        if operator and operator not in OPERATORS:
            operator, value = "", f"{match['operator']}:{value}"
        if not value.strip("-:") or (value.lower().removesuffix(":") in OPERATORS and value.endswith(":")):
            continue
        term = Term(value, operator, match["phrase"] is not None, bool(match["not"]))
        found.setdefault(term)
    return tuple(found)[:MOST_TERMS]


def day_of(term: Term) -> date | None:
    """The day of `before:2026-11-23`, `before:2026-11` (its first) or `before:2026`; None when it is none."""
    parts = term.text.split("-")
    try:
        numbers = [int(part) for part in parts]
        year, month, day = [*numbers, 1, 1][:3] if len(numbers) < 3 else numbers
        found = date(year, month, day)
    except (ValueError, OverflowError):
        return None
    return found if 1970 <= found.year <= 9000 else None


def words_of(terms: Sequence[Term]) -> list[str]:
    """The words of these terms in small letters, each once; what is no word of letters or digits is left out."""
    return list(dict.fromkeys(word for term in terms for word in _words(term)))


def ts_query(terms: Sequence[Term], forms: Mapping[str, Forms]) -> str:
    """A PostgreSQL tsquery (configuration `simple`) for messages that hold all these words; "" when there is none.

    A word matches everything that begins with its stem, or the forms that are named; one of digits matches itself, also
    behind a hyphen. Of a phrase it asks for the words alone: that they stand together is for `phrase_patterns` to say.
    What PostgreSQL takes for one piece (AB-17, 2.4.1, ada@post.test) is asked for as such, too.
    """
    parts: dict[str, None] = {}
    for term in terms:
        words = [
            _number(word) if word.isdigit() else _quoted(word) if term.is_phrase else _any_of(word, forms)
            for word in _words(term)
        ]
        if words and _PIECE.search(term.text):
            parts.setdefault(f"({' & '.join(words)} | {_quoted(term.text)})")
        else:
            parts.update(dict.fromkeys(words))
    return " & ".join(parts)


def phrase_patterns(terms: Sequence[Term]) -> list[str]:
    """Regular expressions (PostgreSQL's) that a text must match to hold the phrases as they stand."""
    return [_pattern_of(term, {}) for term in terms if term.is_phrase and _words(term)]


def text_pattern(terms: Sequence[Term], forms: Mapping[str, Forms]) -> str:
    """A regular expression (PostgreSQL's) for any of these words and phrases in a text; "" when there is none."""
    return "|".join(_pattern_of(term, forms) for term in terms if _words(term))


def piece_of(text: str, pattern: str) -> list[tuple[str, bool]]:
    """The piece of a text around the first match of a `text_pattern`, in parts, and whether each is a match."""
    python_pattern = pattern.replace(r"\m", r"\b").replace(r"\M", r"\b")
    found = re.compile(rf"(?:{python_pattern})\w*", re.IGNORECASE)
    plain = " ".join(text.split())
    first = found.search(plain)
    at = first.start() if first else 0
    begin = plain.find(" ", max(0, at - LETTERS_BEFORE)) + 1 if at > LETTERS_BEFORE else 0
    piece = plain[begin : begin + PIECE_LETTERS]
    parts, end = [], 0
    for match in found.finditer(piece):
        parts += [(piece[end : match.start()], False), (match[0], True)]
        end = match.end()
    return [part for part in [*parts, (piece[end:], False)] if part[0]]


def _words(term: Term) -> list[str]:
    return [word.lower() for word in re.findall(r"\w+", term.text)]


def _number(word: str) -> str:
    """Behind a hyphen PostgreSQL reads a negative number: of AB-17 it keeps `ab` and `-17`."""
    return f"({_quoted(word)} | {_quoted('-' + word)})"


def _any_of(word: str, forms: Mapping[str, Forms]) -> str:
    found = forms.get(word, Forms(word))
    if not found.lexemes:
        return f"{_quoted(found.stem)}:*"
    return "(" + " | ".join(_quoted(lexeme) for lexeme in found.lexemes) + ")"


def _pattern_of(term: Term, forms: Mapping[str, Forms]) -> str:
    words = _words(term)
    if term.is_phrase:
        return r"\m" + r"\W+".join(words) + r"\M"
    return "|".join(rf"\m{forms.get(word, Forms(word)).stem}" for word in words)


def _quoted(lexeme: str) -> str:
    escaped = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
