"""Fields that a desk defines for its own tickets: what a value may be, how it is said, what has to be filled in.

A value is what JSON can hold: text, a number, true or false, a day as 2026-11-23, the key of a choice, or a list of
such keys. Whatever is empty has no value.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from portal.rules.decision import Decision
from portal.wording import N_, sentence

KINDS = {
    "text": N_("Text"),
    "number": N_("Number"),
    "date": N_("Date"),
    "yes_no": N_("Yes or no"),
    "choice": N_("One of a list"),
    "choices": N_("Several of a list"),
}
WITH_CHOICES = ("choice", "choices")
WITH_ORDER = ("number", "date")
LONGEST_KEY = 40
LONGEST_NAME = 60
LONGEST_TEXT = 500
MOST_CHOICES = 200
YES_NO = {"yes": True, "no": False}
# What an address says of a field that is asked to be empty: field.amount.is=empty.
EMPTY = "empty"

_KEY = re.compile(r"[a-z][a-z0-9_]*")
# As many figures as a float gives back unchanged.
_NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d{1,3})?", re.ASCII)
_CHOICE = re.compile(r"([a-z0-9][a-z0-9_]*)\s*=\s*(.+)")

# JSON as it is stored; a list is a tuple here, so that what holds it can be compared and kept.
Value = str | int | float | bool | tuple[str, ...]


class UnreadableValueError(ValueError):
    """A value that the field cannot take, with a sentence for whoever wrote it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a list: `key` is stored and stays, `label` is shown. A retired one is readable where it was chosen."""

    key: str
    label: str
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Field:
    """What an admin has defined. Without branches it belongs to every branch."""

    key: str
    name: str
    kind: str
    help: str = ""
    choices: tuple[Choice, ...] = ()
    branch_ids: frozenset[int] = frozenset()
    is_required: bool = False
    is_in_filter: bool = False
    is_active: bool = True
    id: int = 0

    def is_of(self, branch_id: int) -> bool:
        """Whether tickets of that branch have the field."""
        return not self.branch_ids or branch_id in self.branch_ids

    @property
    def labels(self) -> dict[str, str]:
        """What the choices are called, retired ones included."""
        return {choice.key: choice.label for choice in self.choices}


@dataclass(frozen=True, slots=True)
class Condition:
    """What a list of tickets asks of one field: one of these values, or what lies between two, both included.

    Where the field `is_many`, a value is a list, and one of these in it is enough. With `or_empty` tickets that have
    the field without a value match as well; alone it asks for these only.
    """

    key: str
    any_of: tuple[Value, ...] = ()
    first: Value | None = None
    last: Value | None = None
    is_many: bool = False
    or_empty: bool = False

    @property
    def asks_for_value(self) -> bool:
        """Whether a value can match at all."""
        return bool(self.any_of) or self.first is not None or self.last is not None


def read_value(field: Field, written: Sequence[str], current: Value | None = None) -> Value | None:
    """The value that a form's words mean; None where they are empty. Raises UnreadableValueError.

    A retired choice is taken only where it is the `current` one already.
    """
    words = [text for text in (" ".join(each.replace("\0", "").split()) for each in written) if text]
    if not words:
        return None
    if field.kind == "choices":
        kept = current if isinstance(current, tuple) else ()
        chosen = {_choice_of(field, text, kept) for text in words}
        return tuple(choice.key for choice in field.choices if choice.key in chosen)
    if field.kind == "choice":
        return _choice_of(field, words[0], (current,) if isinstance(current, str) else ())
    return _plain_value(field, words[0])


def read_condition(field: Field, written: Mapping[str, str]) -> Condition:
    """What the words of an address ask of the field: {"": value or values, "from": …, "to": …, "is": "empty"}.

    Several choices have commas between them; retired ones can be asked for. Raises UnreadableValueError.
    """
    if field.kind not in WITH_ORDER and (written.get("from") or written.get("to")):
        raise UnreadableValueError(
            sentence(
                "“%(name)s” has no order: it can be one value, not from one to another.", name=field.name
            )
        )
    if written.get("is", EMPTY) not in ("", EMPTY):
        raise UnreadableValueError(
            sentence(
                "“%(name)s” can be asked to be “%(empty)s”, not “%(written)s”.",
                name=field.name,
                empty=EMPTY,
                written=written["is"],
            )
        )
    several = written.get("", "").split(",") if field.kind in WITH_CHOICES else [written.get("", "")]
    known = tuple(field.labels)
    any_of = [_plain_value(field, text, known) for text in (each.strip() for each in several) if text]
    bounds = [written.get(end, "").strip() for end in ("from", "to")]
    first, last = (_plain_value(field, bound) if bound else None for bound in bounds)
    return Condition(
        field.key,
        tuple(dict.fromkeys(any_of)),
        first,
        last,
        is_many=field.kind == "choices",
        or_empty=bool(written.get("is")),
    )


def write_condition(condition: Condition) -> dict[str, str]:
    """The words of an address that mean the condition, as read_condition takes them."""
    parts = {
        "": ",".join(write_value(value)[0] for value in condition.any_of),
        "from": write_value(condition.first)[0] if condition.first is not None else "",
        "to": write_value(condition.last)[0] if condition.last is not None else "",
        "is": EMPTY if condition.or_empty else "",
    }
    return {name: text for name, text in parts.items() if text}


def write_value(value: Value | None) -> tuple[str, ...]:
    """The words of a form that mean the value, as read_value takes them; at least one."""
    if value is None:
        return ("",)
    if isinstance(value, bool):
        return ("yes" if value else "no",)
    if isinstance(value, int | float):
        return (_figures(value),)
    return value if isinstance(value, tuple) else (value,)


def say_value(field: Field, value: Value | None) -> str:
    """The value in words for a page, a mail or a table; "" for none. What cannot be read any more is said as it is."""
    if value is None:
        return ""
    if field.kind in WITH_CHOICES:
        keys = value if isinstance(value, tuple) else (str(value),)
        return ", ".join(field.labels.get(key, key) for key in keys)
    if isinstance(value, bool):
        return sentence("Yes") if value else sentence("No")
    if field.kind == "date":
        return _day_in_words(str(value))
    return write_value(value)[0]


def say_condition(field: Field, condition: Condition) -> str:
    """The condition in words: Colour: Blue, Red; Amount: from 5 to 10; Order: no value."""
    parts = [
        say_value(replace(field, kind="choice") if condition.is_many else field, one)
        for one in condition.any_of
    ]
    parts += _span(field, condition)
    nothing = (sentence("no value"),) if condition.or_empty else ()
    return sentence("%(name)s: %(parts)s", name=field.name, parts=(*parts, *nothing))


def value_from(stored: Any) -> Value | None:
    """A value as JSON holds it."""
    if isinstance(stored, list | tuple):
        return tuple(str(item) for item in stored) or None
    return stored if isinstance(stored, str | int | float | bool) else None


def may_finish(fields: Iterable[Field], values: Mapping[str, Any], branch_id: int) -> Decision:
    """Whether a ticket of that branch with these values may be resolved: what is required there is filled in."""
    missing = [
        field
        for field in fields
        if field.is_active
        and field.is_required
        and field.is_of(branch_id)
        and value_from(values.get(field.key)) is None
    ]
    if not missing:
        return Decision(True, "complete", N_("Everything that is required is filled in."))
    names = _and_between([f"“{field.name}”" for field in missing])
    return Decision(
        False,
        "required_field",
        sentence("Fill in %(names)s first: a ticket of this branch cannot be resolved without.", names=names),
        {"fields": [field.key for field in missing]},
    )


def check_key(key: str) -> None:
    """Raise UnreadableValueError for a key that cannot stand in addresses and templates."""
    if not _KEY.fullmatch(key) or len(key) > LONGEST_KEY:
        raise UnreadableValueError(
            sentence(
                "Write the key with small letters, digits and _, beginning with a letter, %(most)s at most.",
                most=LONGEST_KEY,
            )
        )


def choices_from(lines: Sequence[str], before: Sequence[Choice] = ()) -> tuple[Choice, ...]:
    """The choices that an admin has written, one a line: `key = Words` or just the words, in their order.

    The key is made of the words where there is none, and found again by the same words. What is no longer written is
    retired, at the end. Raises UnreadableValueError.
    """
    known = {choice.label.casefold(): choice.key for choice in before}
    found: dict[str, Choice] = {}
    for line in (" ".join(each.replace("\0", "").split()) for each in lines):
        if not line:
            continue
        written = _CHOICE.fullmatch(line)
        label = written.group(2) if written else line
        key = written.group(1) if written else known.get(label.casefold()) or _key_of(label)
        if key in found:
            raise UnreadableValueError(
                sentence(
                    "“%(label)s” and “%(other)s” have the same key, %(key)s.",
                    label=label,
                    other=found[key].label,
                    key=key,
                )
            )
        if len(key) > LONGEST_KEY or len(label) > LONGEST_TEXT:
            raise UnreadableValueError(sentence("“%(value)s…” is too long for a choice.", value=label[:40]))
        found[key] = Choice(key, label)
    if len(found) > MOST_CHOICES:
        raise UnreadableValueError(sentence("A list has at most %(most)s choices.", most=MOST_CHOICES))
    retired = (replace(choice, is_active=False) for choice in before if choice.key not in found)
    return (*found.values(), *retired)


def _choice_of(field: Field, text: str, also: Iterable[Value | None]) -> str:
    taken = {choice.key for choice in field.choices if choice.is_active} | set(also)
    if text in taken:
        return text
    label = field.labels.get(text, text)
    raise UnreadableValueError(
        sentence(
            "“%(label)s” cannot be chosen for “%(name)s”. Take one of its list.", label=label, name=field.name
        )
    )


def _plain_value(field: Field, text: str, retired: Iterable[str] = ()) -> Value:
    if field.kind == "number":
        if not _NUMBER.fullmatch(text):
            raise UnreadableValueError(
                sentence(
                    "“%(name)s” must be a number like 12 or 12.5 (at most 12 figures and 3 decimals), not “%(text)s”.",
                    name=field.name,
                    text=text,
                )
            )
        number = Decimal(text)
        return int(number) if number == number.to_integral_value() else float(number)
    if field.kind == "date":
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError as error:
            raise UnreadableValueError(
                sentence(
                    "“%(name)s” must be a day like 2026-11-23, not “%(text)s”.", name=field.name, text=text
                )
            ) from error
    if field.kind == "yes_no":
        if text not in YES_NO:
            raise UnreadableValueError(
                sentence("“%(name)s” must be yes or no, not “%(text)s”.", name=field.name, text=text)
            )
        return YES_NO[text]
    if field.kind in WITH_CHOICES:
        return _choice_of(field, text, retired)
    if len(text) > LONGEST_TEXT:
        raise UnreadableValueError(
            sentence(
                "“%(name)s” takes %(most)s characters at most; these are %(count)s.",
                name=field.name,
                most=LONGEST_TEXT,
                count=len(text),
            )
        )
    return text


def _key_of(label: str) -> str:
    key = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")[:LONGEST_KEY]
    if not key:
        raise UnreadableValueError(f"Write a key before “{label}”, like: some_key = {label}")
    return key


def _figures(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.3f}".rstrip("0").rstrip(".")


def _day_in_words(text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return text
    return f"{day.day} {day:%B %Y}"


def _span(field: Field, condition: Condition) -> tuple[str, ...]:
    first, last = (say_value(field, bound) for bound in (condition.first, condition.last))
    if first and last:
        between = (
            N_("from %(first)s until %(last)s") if field.kind == "date" else N_("from %(first)s to %(last)s")
        )
        return (sentence(between, first=first, last=last),)
    if first:
        return (sentence("from %(first)s", first=first),)
    until = N_("until %(last)s") if field.kind == "date" else N_("to %(last)s")
    return (sentence(until, last=last),) if last else ()


def _and_between(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return sentence("%(names)s and %(last)s", names=tuple(names[:-1]), last=names[-1])
