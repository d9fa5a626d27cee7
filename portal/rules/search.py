"""What somebody asks the search box: words, "exact phrases", -not, and operators such as `from:` and `before:`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

LONGEST = 200
MOST_TERMS = 16
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


def ts_query(terms: Sequence[Term], stems: Mapping[str, str]) -> str:
    """A PostgreSQL tsquery (configuration `simple`) for messages that hold all these words; "" when there is none.

    A word matches everything that begins with its stem (`stems`, by word, where a language has one); a phrase matches
    its words as they stand, one after the other.
    """
    parts = []
    for term in terms:
        words = [word.lower() for word in re.findall(r"\w+", term.text)]
        if not words:
            continue
        if term.is_phrase:
            parts.append("(" + " <-> ".join(_quoted(word) for word in words) + ")")
        else:
            parts.extend(f"{_quoted(stems.get(word, word))}:*" for word in words)
    return " & ".join(parts)


def _quoted(lexeme: str) -> str:
    escaped = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
