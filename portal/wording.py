"""Words that are written in one place and spoken in another."""

from collections.abc import Mapping
from typing import Any


class Sentence(str):
    """English that can still be said in other languages: `message` has %(named)s places for `values`.

    Whoever compares, stores or logs it has the English text; portal.language.tell() says it to a person.
    """

    message: str
    values: dict[str, Any]


def N_(words: str) -> str:  # noqa: N802 - the name that translators' tools know
    """The words as they are, marked for translation: whoever shows them translates them."""
    return words


def sentence(message: str, /, **values: object) -> Sentence:
    """The sentence with these values, marked for translation.

    A value that is a Sentence is translated with it; a tuple is a list with commas, each of it as a value.
    """
    kept = {name: _value(value) for name, value in values.items()}
    made = Sentence(message % {name: _text(value) for name, value in kept.items()})
    made.message, made.values = message, kept
    return made


def as_json(words: object) -> Any:
    """What to store beside an English text so that it can be told in other languages; a plain text as it is."""
    if isinstance(words, Sentence):
        return {
            "message": words.message,
            "values": {name: as_json(value) for name, value in words.values.items()},
        }
    return [as_json(each) for each in words] if isinstance(words, tuple) else words


def from_json(stored: Any) -> Any:
    """What as_json made: a Sentence where there was one."""
    if isinstance(stored, dict):
        message, values = stored["message"], stored["values"]
        return sentence(message, **{name: from_json(value) for name, value in values.items()})
    return tuple(from_json(each) for each in stored) if isinstance(stored, list) else stored


def as_evidence(reason: str) -> dict[str, Any]:
    """The entries under which a decision's reason is stored: its English, and its wording where that has values."""
    wording = {"wording": as_json(reason)} if isinstance(reason, Sentence) and reason.values else {}
    return {"reason": str(reason), **wording}


def reason_in(stored: Mapping[str, Any]) -> str:
    """The reason that as_evidence stored, or that was stored as English alone."""
    found: str = from_json(stored.get("wording")) or str(stored.get("reason") or "")
    return found


def _value(value: object) -> Any:
    if isinstance(value, tuple):
        return tuple(_value(each) for each in value)
    return value if isinstance(value, int | Sentence) else str(value)


def _text(value: Any) -> Any:
    return ", ".join(str(each) for each in value) if isinstance(value, tuple) else value
