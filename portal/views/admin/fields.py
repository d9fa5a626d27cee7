"""Form fields of the admin: words from checked columns, lists line by line, JSON, secrets that are never shown."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zoneinfo import available_timezones

from flask_appbuilder.fieldwidgets import (
    BS3PasswordFieldWidget,
    BS3TextAreaFieldWidget,
    BS3TextFieldWidget,
    Select2ManyWidget,
    Select2Widget,
)
from flask_appbuilder.forms import GeneralModelConverter
from flask_ckeditor import CKEditorField
from sqlalchemy import Boolean, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB
from wtforms import (
    BooleanField,
    Field,
    Form,
    IntegerField,
    PasswordField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, NumberRange, Optional, ValidationError

from portal.errors import UserFault
from portal.language import gettext, says, tell
from portal.rules.fields import KINDS
from portal.rules.lifecycle import TABLE, relabelled, usual_label
from portal.services import lifecycle
from portal.views.admin.rows import Rows, words_of
from portal.wording import N_

# Raises UserFault with a sentence when the value cannot be used.
Check = Callable[[Any], None]

NOTHING = ""
# Names of protocols and companies, and kinds of fields, are not written like other words.
NAMES = {
    "tls": "TLS",
    "starttls": "STARTTLS",
    "none": N_("None"),
    "oauth2_google": "Google (OAuth 2)",
    "oauth2_microsoft": "Microsoft 365 (OAuth 2)",
    **KINDS,
}
# What `label_of` makes of stored words by itself, for the catalogues.
MADE_OF_WORDS = (
    *(
        N_("Accepted"),
        N_("Api"),
        N_("Available"),
        N_("Away"),
        N_("Branch lead"),
        N_("Cancelled"),
        N_("Customer waits"),
    ),
    *(
        N_("Deferred"),
        N_("Draft"),
        N_("Email"),
        N_("Failed"),
        N_("High"),
        N_("Keyword"),
        N_("Least loaded"),
        N_("Leave"),
    ),
    *(N_("Low"), N_("Manual"), N_("Move"), N_("Next on call"), N_("Next tier"), N_("Normal"), N_("Priority")),
    *(
        N_("Processed"),
        N_("Published"),
        N_("Quarantined"),
        N_("Queued"),
        N_("Received"),
        N_("Reopened"),
        N_("Retired"),
    ),
    *(
        N_("Round robin"),
        N_("Seen"),
        N_("Sent"),
        N_("Sms"),
        N_("Sticky"),
        N_("Type"),
        N_("Urgent"),
        N_("Whatsapp"),
    ),
)
LARGEST_NUMBER = 2**31 - 1


def label_of(word: Any) -> str:
    """A stored word as people read it: `round_robin` is "Round robin", `pending` is "Waiting on customer"."""
    if word in (None, ""):
        return "–"
    text = str(word)
    if text in TABLE:
        return usual_label(text)
    return NAMES.get(text) or text.replace("_", " ").capitalize()


def told(words: str) -> str:
    """What `label_of` gives, in the reader's language, statuses in the desk's own words."""
    return tell(relabelled(words, lifecycle.current()))


def word_choices(words: Sequence[str], *, is_optional: bool = False) -> list[tuple[str, str]]:
    """Pairs for a drop-down; an optional one begins with the empty choice."""
    return ([(NOTHING, "–")] if is_optional else []) + [(word, label_of(word)) for word in words]


class WordField(SelectField):
    """One of the words that a column may hold; the empty choice is None."""

    def __init__(self, label: str = "", words: Sequence[str] = (), is_optional: bool = False, **kwargs: Any):
        super().__init__(
            label,
            choices=word_choices(words, is_optional=is_optional),
            coerce=lambda value: None if value in (None, NOTHING) else str(value),
            widget=Select2Widget(),
            **kwargs,
        )

    def iter_choices(self) -> Any:
        for value, words, *others in super().iter_choices():
            yield value, told(words), *others

    def pre_validate(self, form: Form) -> None:  # noqa: ARG002
        if (self.data or NOTHING) not in {value for value, *_ in self.choices}:
            raise ValidationError(N_("Choose one of the list."))


class DecisionField(SelectField):
    """Yes, no, or as the desk says: None."""

    def __init__(self, label: str = "", **kwargs: Any):
        choices = [("", N_("As the desk does")), ("1", N_("Yes")), ("0", N_("No"))]
        super().__init__(label, choices=choices, coerce=_decision, widget=Select2Widget(), **kwargs)

    def iter_choices(self) -> Any:
        for value, words, *others in super().iter_choices():
            yield value, tell(words), *others


def _decision(value: Any) -> bool | None:
    return None if value in (None, "", "None") else value in (True, "1", "True")


class TimeZoneField(SelectField):
    """A time zone of the tz database; UTC where nobody chooses."""

    def __init__(self, label: str = "", **kwargs: Any):
        zones = sorted(available_timezones())
        super().__init__(label, **{"choices": zones, "default": "UTC", "widget": Select2Widget(), **kwargs})


class WordsField(SelectMultipleField):
    """Any number of words of a list, in its order."""

    def __init__(self, label: str = "", words: Sequence[str] = (), **kwargs: Any):
        super().__init__(label, choices=word_choices(words), widget=Select2ManyWidget(), **kwargs)

    def iter_choices(self) -> Any:
        for value, words, *others in super().iter_choices():
            yield value, told(words), *others


class PercentsField(StringField):
    """Whole percentages with commas between them."""

    widget = BS3TextFieldWidget()

    def _value(self) -> str:
        return ", ".join(str(item) for item in self.data or [])

    def process_formdata(self, valuelist: list[str]) -> None:
        if not valuelist:
            return
        parts = [part.strip().removesuffix("%").strip() for part in valuelist[0].split(",")]
        if not all(part.isdecimal() for part in parts if part):
            raise ValueError(N_("Write percentages like 50, 80."))
        self.data = sorted({int(part) for part in parts if part})


class JsonField(TextAreaField):
    """A JSON value, shown indented; a mistake is answered with its place."""

    widget = BS3TextAreaFieldWidget()

    def __init__(self, label: str = "", empty: Any = None, **kwargs: Any):
        super().__init__(label, **kwargs)
        self.widget = _Area()
        self._empty = empty
        self._typed: str | None = None

    def __call__(self, **kwargs: Any) -> Any:
        rows = min(max(self._value().count("\n") + 2, 4), 24)
        self.render_kw = {"rows": rows, "class": "form-control monospace", "spellcheck": "false"}
        return super().__call__(**kwargs)

    def _value(self) -> str:
        if self._typed is not None:
            return self._typed
        return json.dumps(self._empty if self.data is None else self.data, indent=2, ensure_ascii=False)

    def process_formdata(self, valuelist: list[str]) -> None:
        if not valuelist:
            return
        self._typed = valuelist[0]
        if not self._typed.strip():
            self.data = self._empty
            return
        try:
            self.data = json.loads(self._typed)
        except ValueError as error:
            self.data = None
            line, sign = getattr(error, "lineno", 1), getattr(error, "colno", 1)
            said = gettext("This is not valid JSON (line %(line)s, sign %(sign)s).", line=line, sign=sign)
            raise ValueError(said) from error


class LinesField(TextAreaField):
    """A list of texts, one in each line."""

    def __init__(self, label: str = "", rows: int = 4, **kwargs: Any):
        super().__init__(label, render_kw={"rows": rows, "class": "form-control"}, **kwargs)
        self.widget = _Area()

    def _value(self) -> str:
        return "\n".join(str(item) for item in self.data or [])

    def process_formdata(self, valuelist: list[str]) -> None:
        if not valuelist:
            self.data = self.data or []
            return
        lines = valuelist[0].splitlines()
        self.data = list(dict.fromkeys(line.strip() for line in lines if line.strip()))


class SecretField(PasswordField):
    """Write-only: what is stored is never sent to a browser, and an empty field keeps it."""

    def __init__(self, label: str = "", **kwargs: Any):
        render = {"autocomplete": "new-password"}
        super().__init__(label, render_kw=render, widget=BS3PasswordFieldWidget(hide_value=True), **kwargs)

    def process_data(self, value: Any) -> None:  # noqa: ARG002
        """Nothing of the row: a person's column of this name holds the hash."""
        self.data = None

    def populate_obj(self, obj: Any, name: str) -> None:
        """The view seals or hashes it."""


class EditorField(CKEditorField):
    """HTML by Flask-CKEditor's field, edited with the page's editor where scripts run, as source where they do not."""

    def __init__(self, label: str = "", rows: int = 14, **kwargs: Any):
        render = {"rows": rows, "class": "form-control", "data-behaviour": "editor"}
        super().__init__(label, **{"default": "", "render_kw": render, **kwargs})
        self.widget = _Area()


class _Area(BS3TextAreaFieldWidget):
    """FAB's text area sets its own class and three rows; the field's are kept here."""

    def __call__(self, field: Field, **kwargs: Any) -> Any:
        wanted = field.render_kw or {}
        kwargs.update(wanted)
        return super(BS3TextAreaFieldWidget, self).__call__(field, **kwargs)


def checked(check: Check) -> Callable[[Form, Field], None]:
    """A form validator from a check that raises UserFault."""

    def validate(_form: Form, field: Field) -> None:
        if field.errors or field.process_errors:
            return
        try:
            check(field.data)
        except UserFault as fault:
            raise ValidationError(says(fault)) from fault

    return validate


def _at_most(longest: int) -> Callable[[Form, Field], None]:
    def validate(_form: Form, field: Field) -> None:
        if len(field.data or "") > longest:
            raise ValidationError(gettext("At most %(longest)s signs fit here.", longest=longest))

    return validate


class FormConverter(GeneralModelConverter):
    """Fields from columns, asking for no more than the table does: a column with a default may stay empty."""

    def __init__(self, datamodel: Rows, checks: Mapping[str, Check]) -> None:
        super().__init__(datamodel)
        self._checks = checks

    def _convert_many_to_one(self, col_name: str, *words: Any) -> dict[str, Any]:
        form_props: dict[str, Any] = super()._convert_many_to_one(col_name, *words)
        # Without words of its own the empty choice would be called by its value.
        form_props[col_name].kwargs["blank_text"] = "–"
        return form_props

    def _convert_simple(
        self, name: str, label: str, description: str, validators: list[Any], form_props: dict[str, Any]
    ) -> dict[str, Any]:
        column = self.datamodel.list_columns[name]
        default = self.datamodel.get_col_default(name)
        is_required = not column.nullable and default is None
        rules = [InputRequired(N_("This is needed.")) if is_required else Optional(), *validators]
        if name in self._checks:
            rules.append(checked(self._checks[name]))
        field = {"label": label, "description": description, "validators": rules}
        form_props[name] = self._field(name, column, default, field)
        return form_props

    def _field(self, name: str, column: Any, default: Any, field: dict[str, Any]) -> Any:
        words = words_of(self.datamodel.obj, name)
        if words:
            return WordField(words=words, is_optional=column.nullable, default=default, **field)
        if isinstance(column.type, JSONB):
            # The check speaks of an empty value too.
            field["validators"] = [rule for rule in field["validators"] if not isinstance(rule, Optional)]
            return JsonField(empty=default() if callable(default) else default, **field)
        if isinstance(column.type, Boolean):
            return BooleanField(field["label"], description=field["description"], default=default)
        if isinstance(column.type, Integer):
            field["validators"].append(
                NumberRange(0, LARGEST_NUMBER, message=N_("Enter a whole number that is not negative."))
            )
            return NumberField(default=default, **field)
        if isinstance(column.type, Text):
            return LongField(default=default, **field)
        longest = getattr(column.type, "length", None)
        if longest:
            field["validators"].append(_at_most(longest))
        is_optional = column.nullable
        return TextField(default=default, is_optional=is_optional, **field)


class NumberField(IntegerField):
    """A whole number; an empty field is the default, or nothing where there is none."""

    widget = BS3TextFieldWidget()

    def process_formdata(self, valuelist: list[str]) -> None:
        if not valuelist:
            return
        if not valuelist[0].strip():
            self.data = None if self.flags.required else self.default
            return
        try:
            self.data = int(valuelist[0])
        except ValueError as error:
            self.data = None
            raise ValueError(N_("Enter a whole number.")) from error


class TextField(StringField):
    """A line of text; an empty optional one is None."""

    widget = BS3TextFieldWidget()

    def __init__(self, *args: Any, is_optional: bool = False, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._is_optional = is_optional

    def process_formdata(self, valuelist: list[str]) -> None:
        if not valuelist:
            return
        text = valuelist[0].replace("\0", "").strip()
        self.data = text or (None if self._is_optional else "")


class LongField(TextAreaField):
    """A text of several lines."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, render_kw={"rows": 4, "class": "form-control"}, **kwargs)
        self.widget = _Area()
