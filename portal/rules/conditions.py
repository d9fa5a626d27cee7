"""What a routing rule may ask of a new ticket, and whether it holds.

Conditions are plain JSON, so that a form can build them and a person can read them: `{"all": […]}`, `{"any":
[…]}`, `{"not": …}` around `{"field": "subject", "operator": "contains", "value": "refund"}`; `{}` always
holds. A header or a field of the desk's own is named: `{"field": "header", "name": "X-Priority", …}`. A new
operator is one entry in `_TEXT_TESTS`. Regular expressions are RE2's, whose time grows with the text alone.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

import re2

from portal.rules import hours
from portal.rules.decision import Evidence
from portal.wording import N_, sentence

_MOST_CONDITIONS = 200
_DEEPEST = 10
_LONGEST_TEXT = 100_000
_LONGEST_VALUE = 500
_MOST_VALUES = 200
_SHOWN_TEXT = 120
# What a compiled expression may take, in bytes: enough for hundreds of alternatives.
_PATTERN_MEMORY = 1 << 20

WEEKDAYS: dict[str, str] = {
    "monday": N_("Monday"),
    "tuesday": N_("Tuesday"),
    "wednesday": N_("Wednesday"),
    "thursday": N_("Thursday"),
    "friday": N_("Friday"),
    "saturday": N_("Saturday"),
    "sunday": N_("Sunday"),
}

FieldKind = Literal["text", "yes_no", "days", "times"]


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """What is known of a new ticket when it is placed. Comparisons ignore case and character width.

    `at` (aware) is when it came, read by the wall clock of `time_zone`; without it no condition on time holds.
    `headers` are pairs of name and value in their order, `fields` the values of the desk's own fields by key,
    `tags` those that the ticket has before any rule.
    """

    channel: str = "email"
    account: str = ""
    sender: str = ""
    sender_name: str = ""
    recipients: tuple[str, ...] = ()
    subject: str = ""
    body: str = ""
    language: str = ""
    has_attachment: bool = False
    attachment_names: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    customer_name: str = ""
    customer_level: str = ""
    customer_language: str = ""
    customer_tags: tuple[str, ...] = ()
    is_known_customer: bool = False
    tags: tuple[str, ...] = ()
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    at: datetime | None = None
    time_zone: str = "UTC"
    calendar: hours.Hours | None = None
    # Texts as they are compared, each folded once however many rules ask for it.
    _folded: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def domain(self) -> str:
        """What stands after the @ of the sender."""
        return self.sender.rpartition("@")[2]

    @property
    def weekday(self) -> str:
        """The day of the week on which it came, as a word of WEEKDAYS."""
        return list(WEEKDAYS)[self._local.weekday()] if self.at else ""

    @property
    def time(self) -> str:
        """The time of day at which it came, as HH:MM."""
        return f"{self._local:%H:%M}" if self.at else ""

    @property
    def working_hours(self) -> bool:
        """Whether it came while the branch was open."""
        return self.at is not None and self.calendar is not None and hours.is_working(self.calendar, self.at)

    @property
    def _local(self) -> datetime:
        assert self.at is not None, "asked only where there is a moment"
        return self.at.astimezone(ZoneInfo(self.time_zone))

    def folded(self, text: str) -> str:
        """The beginning of the text as it is compared."""
        known = self._folded.get(text)
        if known is None:
            known = self._folded[text] = _folded(text[:_LONGEST_TEXT])
        return known


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison: `field` of the facts (`name` of a header or an own field), an operator, and the value."""

    field: str
    operator: str
    value: str | bool | tuple[str, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions of which all, any or (`not`) none must hold; an empty `all` always holds."""

    kind: Literal["all", "any", "not"]
    conditions: "tuple[Condition, ...]" = ()


Condition = Test | Group


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator as a form shows it: its label, and how many texts its value is."""

    label: str
    takes: Literal["text", "list", "pattern", "nothing"] = "text"


@dataclass(frozen=True, slots=True)
class Field:
    """A field as a form shows it: its label, the kind of its value, and whether it is one of many with a name."""

    label: str
    kind: FieldKind = "text"
    is_named: bool = False


TEXT_OPERATORS: dict[str, Operator] = {
    "contains": Operator(N_("contains")),
    "any_word": Operator(N_("has any of the words"), "list"),
    "all_words": Operator(N_("has all of the words"), "list"),
    "equals": Operator(N_("is")),
    "in": Operator(N_("is one of"), "list"),
    "starts_with": Operator(N_("starts with")),
    "ends_with": Operator(N_("ends with")),
    "matches": Operator(N_("matches the pattern"), "pattern"),
    "present": Operator(N_("is there, whatever it says"), "nothing"),
}

FIELDS: dict[str, Field] = {
    "subject": Field(N_("Subject")),
    "body": Field(N_("Text")),
    "sender": Field(N_("Sender's address")),
    "domain": Field(N_("Sender's domain")),
    "sender_name": Field(N_("Sender's name")),
    "recipients": Field(N_("Any recipient")),
    "account": Field(N_("Our address")),
    "channel": Field(N_("Channel")),
    "language": Field(N_("Language")),
    "has_attachment": Field(N_("Has a file attached"), "yes_no"),
    "attachment_names": Field(N_("Name of a file")),
    "header": Field(N_("Header"), is_named=True),
    "customer_name": Field(N_("Customer's name")),
    "customer_level": Field(N_("Customer's level")),
    "customer_language": Field(N_("Customer's language")),
    "customer_tags": Field(N_("Tag of an earlier ticket of the customer")),
    "is_known_customer": Field(N_("Customer has written before"), "yes_no"),
    "tags": Field(N_("Tag given by an earlier rule")),
    "custom_field": Field(N_("Own field"), is_named=True),
    "working_hours": Field(N_("Came in working hours"), "yes_no"),
    "weekday": Field(N_("Day of the week"), "days"),
    "time": Field(N_("Time of day"), "times"),
}


def parse_condition(value: Any) -> Condition:
    """The condition of its JSON form; raises ValueError with a sentence that an admin understands."""
    condition = _parse(value, depth=0)
    if _size(condition) > _MOST_CONDITIONS:
        raise ValueError(sentence("A rule can have at most %(most)s conditions.", most=_MOST_CONDITIONS))
    return condition


def condition_json(condition: Condition) -> dict[str, Any]:
    """The JSON form of a condition: `parse_condition` of it gives an equal one."""
    if isinstance(condition, Test):
        value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
        named = {"name": condition.name} if condition.name else {}
        return {"field": condition.field, **named, "operator": condition.operator, "value": value}
    parts = [condition_json(part) for part in condition.conditions]
    return {"not": parts[0]} if condition.kind == "not" else {condition.kind: parts}


def matched_tests(condition: Condition, facts: RouteFacts) -> list[Evidence] | None:
    """The comparisons that make a condition hold, as evidence; None when it does not hold."""
    if isinstance(condition, Test):
        found = _found(condition, facts)
        return None if found is None else [{**condition_json(condition), "found": found}]
    if condition.kind == "not":
        (part,) = condition.conditions
        return [{"not": condition_json(part)}] if matched_tests(part, facts) is None else None
    if condition.kind == "any":
        results = (matched_tests(part, facts) for part in condition.conditions)
        return next((result for result in results if result is not None), None)
    matched: list[Evidence] = []
    for part in condition.conditions:
        result = matched_tests(part, facts)
        if result is None:
            return None
        matched += result
    return matched


def failed_part(condition: Condition, facts: RouteFacts) -> Condition | None:
    """The first part because of which a condition does not hold; None where it does."""
    if matched_tests(condition, facts) is not None:
        return None
    if isinstance(condition, Group) and condition.kind == "all":
        failed = (failed_part(part, facts) for part in condition.conditions)
        return next(part for part in failed if part is not None)
    return condition


def asks_for(condition: Condition, name: str) -> bool:
    """Whether the condition looks at that field."""
    if isinstance(condition, Test):
        return condition.field == name
    return any(asks_for(part, name) for part in condition.conditions)


def texts_of_value(value: Any) -> tuple[str, ...]:
    """The value of one of the desk's own fields as texts to compare with."""
    if isinstance(value, bool):
        return ("yes" if value else "no",)
    if isinstance(value, list | tuple):
        return tuple(str(item) for item in value)
    return () if value is None else (str(value),)


def _parse(value: Any, depth: int) -> Condition:
    if depth > _DEEPEST:
        raise ValueError(sentence("Conditions can be nested %(most)s deep at most.", most=_DEEPEST))
    if not isinstance(value, Mapping):
        raise ValueError(  # noqa: TRY004
            sentence("A condition has “all”, “any”, “not” or “field”, not %(value)s.", value=_shown(value))
        )
    if not value:
        return Group("all")
    if "field" in value:
        return _parse_test(value)
    if len(value) == 1:
        ((kind, content),) = value.items()
        if kind == "not":
            return Group("not", (_parse(content, depth + 1),))
        if kind in ("all", "any"):
            return _parse_group(kind, content, depth)
    raise ValueError(
        sentence(
            "A condition has exactly one of “all”, “any”, “not” or “field”, not %(value)s.",
            value=_shown(value),
        )
    )


def _parse_group(kind: Literal["all", "any"], content: Any, depth: int) -> Group:
    if not isinstance(content, list | tuple):
        raise ValueError(sentence("“%(kind)s” needs a list of conditions.", kind=kind))  # noqa: TRY004
    if kind == "any" and not content:
        raise ValueError(N_("“any” without conditions would never hold: add one or remove it."))
    if len(content) > _MOST_CONDITIONS:
        raise ValueError(sentence("A rule can have at most %(most)s conditions.", most=_MOST_CONDITIONS))
    return Group(kind, tuple(_parse(item, depth + 1) for item in content))


def _parse_test(value: Mapping[str, Any]) -> Test:
    unknown = sorted(set(map(str, value)) - {"field", "operator", "value", "name"})
    if unknown:
        raise ValueError(
            sentence(
                "A condition has a field, an operator and a value, but no “%(unknown)s”.", unknown=unknown[0]
            )
        )
    key = value["field"]
    if not isinstance(key, str) or key not in FIELDS:
        raise ValueError(
            sentence(
                "There is no field %(name)s. Fields are: %(fields)s.",
                name=_shown(key),
                fields=", ".join(FIELDS),
            )
        )
    known = FIELDS[key]
    name = _parse_name(value.get("name"), known)
    if known.kind == "yes_no":
        operator, wanted = value.get("operator", "equals"), value.get("value", True)
        if operator != "equals" or not isinstance(wanted, bool):
            raise ValueError(
                sentence(
                    "“%(label)s” is compared with “equals” and true or false.", label=sentence(known.label)
                )
            )
        return Test(key, "equals", wanted)
    if known.kind == "days":
        return Test(key, "in", _parse_days(value.get("value")))
    if known.kind == "times":
        return Test(key, "between", _parse_times(value.get("value")))
    operator = value.get("operator")
    if not isinstance(operator, str) or operator not in TEXT_OPERATORS:
        raise ValueError(
            sentence(
                "“%(label)s” can be compared with: %(operators)s; not with %(operator)s.",
                label=sentence(known.label),
                operators=", ".join(TEXT_OPERATORS),
                operator=_shown(operator),
            )
        )
    return Test(key, operator, _parse_value(value.get("value"), known, TEXT_OPERATORS[operator]), name)


def _parse_name(value: Any, known: Field) -> str:
    if not known.is_named:
        return ""
    if not isinstance(value, str) or not 0 < len(value.strip()) <= _SHOWN_TEXT:
        raise ValueError(sentence("“%(label)s” needs its name.", label=sentence(known.label)))
    return value.strip().rstrip(":").strip()


def _parse_days(value: Any) -> tuple[str, ...]:
    items = re.split(r"[,;\s]+", value) if isinstance(value, str) else value
    listed = items if isinstance(items, list | tuple) else ()
    wanted = [str(item).strip().lower() for item in listed if str(item).strip()]
    known = [next((day for day in WEEKDAYS if len(word) > 1 and day.startswith(word)), "") for word in wanted]
    if not known or not all(known):
        raise ValueError(N_("Choose at least one day of the week, like Monday, Tuesday."))
    return tuple(day for day in WEEKDAYS if day in known)


def _parse_times(value: Any) -> str:
    found = re.fullmatch(r"\s*(\d{1,2}):(\d\d)\s*(?:-|–|to|bis)\s*(\d{1,2}):(\d\d)\s*", str(value))
    if found is None:
        raise ValueError(N_("Write a time of day from and until, like 18:00–06:00."))
    start, end = (int(found[1]), int(found[2])), (int(found[3]), int(found[4]))
    if start == end or any(
        hour > 24 or minute > 59 or (hour, minute) > (24, 0) for hour, minute in (start, end)
    ):
        raise ValueError(N_("Write a time of day from and until, like 18:00–06:00."))
    return f"{start[0]:02}:{start[1]:02}–{end[0]:02}:{end[1]:02}"


def _parse_value(value: Any, known: Field, operator: Operator) -> str | tuple[str, ...]:
    told = {"label": sentence(known.label), "other": sentence(operator.label)}
    if operator.takes == "nothing":
        return ""
    if operator.takes != "list":
        if not isinstance(value, str) or not value.strip():
            raise ValueError(sentence("“%(label)s %(other)s” needs a text to compare with.", **told))
        text = value if operator.takes == "pattern" else value.strip()
        _check_length(text)
        if operator.takes == "pattern":
            check_pattern(text)
        return text
    items = re.split(r"[,;\n]", value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError(sentence("“%(label)s %(other)s” needs a list of texts.", **told))
    texts = tuple(item.strip() for item in items if item.strip())
    if not texts:
        raise ValueError(sentence("“%(label)s %(other)s” needs at least one text.", **told))
    if len(texts) > _MOST_VALUES:
        raise ValueError(sentence("A condition can list at most %(most)s texts.", most=_MOST_VALUES))
    for text in texts:
        _check_length(text)
    return texts


def _check_length(text: str) -> None:
    if len(text) > _LONGEST_VALUE:
        raise ValueError(
            sentence("A text to compare with can have at most %(most)s signs.", most=_LONGEST_VALUE)
        )


# What RE2 says of a pattern that it refuses (re2/re2.cc, RegexpStatus), and what an admin is told.
_REFUSALS = {
    "missing )": N_("a bracket ( is opened and not closed"),
    "unexpected )": N_("a bracket ) is closed that was not opened; write \\) for the sign itself"),
    "missing ]": N_("a bracket [ is opened and not closed; write \\[ for the sign itself"),
    "no argument for repetition": N_(
        "*, + or ? stands where there is nothing to repeat; write \\* for the sign"
    ),
    "bad repetition": N_("something is repeated twice, as in ** or {2}{3}"),
    "invalid repetition size": N_("something is to be repeated more than 1000 times"),
    "invalid perl operator": N_("looking ahead or behind, as in (?=…) or (?<!…), is not possible here"),
    "invalid escape": N_(
        "a \\ stands before something that it cannot stand before; \\1 and the like are not possible"
    ),
    "trailing \\": N_("it ends with a single \\; write \\\\ for the sign itself"),
    "invalid character class": N_("what stands in [ ] is no set of signs, as in [z-a]"),
    "pattern too large": N_("it is too large"),
}


def check_pattern(pattern: str) -> None:
    """Raise ValueError, with a sentence that says what is wrong, for a pattern that cannot be used."""
    try:
        _compiled(pattern)
    except re2.error as error:
        said = error.args[0] if error.args else b""
        told = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        why = next((words for begin, words in _REFUSALS.items() if told.startswith(begin)), "")
        raise ValueError(
            sentence(
                "The pattern “%(pattern)s” cannot be used: %(why)s.",
                pattern=pattern if len(pattern) <= _SHOWN_TEXT else pattern[:_SHOWN_TEXT] + "…",
                why=sentence(why or N_("it is no regular expression")),
            )
        ) from error


@lru_cache(maxsize=2000)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = _PATTERN_MEMORY
    return re2.compile(pattern, options)


def _size(condition: Condition) -> int:
    return 1 if isinstance(condition, Test) else 1 + sum(_size(part) for part in condition.conditions)


def _texts_of(test: Test, facts: RouteFacts) -> Sequence[str]:
    if test.field == "header":
        wanted = test.name.lower()
        return [value for name, value in facts.headers if name.lower() == wanted]
    if test.field == "custom_field":
        return facts.fields.get(test.name, ())
    actual = getattr(facts, test.field)
    return actual if isinstance(actual, tuple) else (actual,)


def _found(test: Test, facts: RouteFacts) -> str | None:
    """The text of the facts that satisfies the test, cut to where it does; None when none does."""
    if isinstance(test.value, bool):
        return ("yes" if test.value else "no") if getattr(facts, test.field) is test.value else None
    if test.operator == "between":
        return facts.time if _is_between(facts.time, str(test.value)) else None
    for text in _texts_of(test, facts):
        if test.operator == "present":
            if text.strip():
                return _cut(text, 0)
        elif test.operator == "matches":
            match = _compiled(str(test.value)).search(text[:_LONGEST_TEXT])
            if match:
                return _cut(text, match.start())
        else:
            place = _TEXT_TESTS[test.operator](facts.folded(text), _wanted(test.value))
            if place is not None:
                return _cut(text, place)
    return None


def _is_between(time: str, span: str) -> bool:
    start, _, end = span.partition("–")
    if not time:
        return False
    return start <= time < end if start < end else time >= start or time < end


@lru_cache(maxsize=4000)
def _wanted(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_folded, value)) if isinstance(value, tuple) else (_folded(value),)


def _cut(text: str, place: int) -> str:
    """So much of a long text as shows that place: a folded one may have moved a little."""
    if len(text) <= _SHOWN_TEXT:
        return text
    start = max(0, place - _SHOWN_TEXT // 3)
    shown = text[start : start + _SHOWN_TEXT]
    return ("…" if start else "") + shown + ("…" if start + _SHOWN_TEXT < len(text) else "")


def _word_at(text: str, word: str) -> int | None:
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        if not (_joins(text[start - 1 : start], word[0]) or _joins(word[-1], text[end : end + 1])):
            return start
        start = text.find(word, start + 1)
    return None


def _joins(left: str, right: str) -> bool:
    """Whether two neighbours belong to one word. Scripts without spaces have no such neighbours."""
    return _is_spaced(left) and _is_spaced(right)


def _is_spaced(character: str) -> bool:
    return character.isalnum() and not (
        "\u0e00" <= character <= "\u109f" or "\u3040" <= character <= "\u9fff"
    )


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _first_word(text: str, wanted: tuple[str, ...]) -> int | None:
    return next((place for word in wanted if (place := _word_at(text, word)) is not None), None)


def _every_word(text: str, wanted: tuple[str, ...]) -> int | None:
    places = [_word_at(text, word) for word in wanted]
    return None if None in places else places[0]


def _where(is_so: bool, place: int = 0) -> int | None:
    return place if is_so else None


# Where in the text the test is satisfied; None where it is not.
_TEXT_TESTS: dict[str, Callable[[str, tuple[str, ...]], int | None]] = {
    "equals": lambda text, wanted: _where(text == wanted[0]),
    "in": lambda text, wanted: _where(text in wanted),
    "contains": lambda text, wanted: _where((place := text.find(wanted[0])) >= 0, place),
    "starts_with": lambda text, wanted: _where(text.startswith(wanted[0])),
    "ends_with": lambda text, wanted: _where(text.endswith(wanted[0]), len(text) - len(wanted[0])),
    "all_words": _every_word,
    "any_word": _first_word,
}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
