"""When a rule holds, as rows of selects and texts. Works without scripts: rows come and go by buttons of the form."""

import json
import re
from collections.abc import Mapping
from typing import Any

from flask import render_template, request
from markupsafe import Markup
from wtforms import Field, Form
from wtforms.validators import ValidationError

from portal.language import gettext, tell
from portal.models.customer import CHANNEL_KINDS
from portal.rules import condition_form
from portal.rules.condition_form import BLOCK_KINDS, Block, BlockKind, Row, fault_of, form_of, json_of
from portal.rules.conditions import FIELDS, TEXT_OPERATORS, WEEKDAYS, Condition, Test, parse_condition
from portal.services import routing_rules
from portal.wording import N_

MOST_ROWS = 200
BLOCK_WORDS = {
    "all": N_("all of these hold"),
    "any": N_("any of these holds"),
    "none": N_("none of these holds"),
}
_BLOCK = re.compile(r"(\d{1,3})-kind")
_ROW = re.compile(r"(\d{1,3})-(\d{1,3})-field")


def asked() -> str:
    """What a button of the form asks for instead of saving: `add-row-0`, `try` …; empty when it is to be saved."""
    return request.form.get("do", "") if request.method == "POST" else ""


class ConditionField(Field):
    """A condition in its JSON form, edited in rows; one that is too deep for them, or by wish, as JSON."""

    def widget(self, _field: Field, **_words: Any) -> Markup:
        """The rows, or the JSON text."""
        return Markup(  # noqa: S704 - a template, which escapes
            render_template(
                "admin/_conditions.html",
                field=self,
                fields=FIELDS,
                operators=TEXT_OPERATORS,
                weekdays=WEEKDAYS,
                channels=CHANNEL_KINDS,
                block_kinds=BLOCK_KINDS,
                block_words=BLOCK_WORDS,
                fault_of=fault_of,
                known=routing_rules.known_words(),
            )
        )

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:  # noqa: ARG002
        """From what was sent, else from the row."""
        self.process_errors, self.errors = [], []
        self.is_checked = False
        self.text = ""
        self.form: condition_form.Form | None = condition_form.Form()
        self.data: Any = {}
        if formdata and self.name in formdata:
            self._read_text(formdata[self.name])
        elif formdata and f"{self.name}-kind" in formdata:
            self.form = _changed(_read(formdata, f"{self.name}-"), asked())
            self.data = json_of(self.form)
        elif isinstance(data, Mapping):
            self._show(data)
        if asked() == "json":
            self._as_text()
        if asked():
            # Nothing is validated then.
            self.errors = list(self.process_errors)

    def pre_validate(self, form: Form) -> None:  # noqa: ARG002
        """Mark the rows that cannot be used."""
        self.is_checked = True
        if self.form is not None and any(fault_of(row) for block in self.form.blocks for row in block.rows):
            raise ValidationError(gettext("Some conditions are not complete. Each says what it needs."))
        try:
            parse_condition(self.data)
        except ValueError as error:
            raise ValidationError(tell(error.args[0])) from error

    @property
    def is_text(self) -> bool:
        """Whether it is edited as JSON."""
        return self.form is None

    def _show(self, value: Mapping[str, Any]) -> None:
        self.data = dict(value)
        try:
            self.form = form_of(parse_condition(self.data))
        except ValueError:
            self.form = None
        if self.form is None:
            self._as_text()

    def _as_text(self) -> None:
        self.form = None
        self.text = self.text or json.dumps(self.data, indent=2, ensure_ascii=False)

    def _read_text(self, text: str) -> None:
        self.text, self.form = text, None
        try:
            self.data = json.loads(text or "{}")
        except ValueError as error:
            line, sign = getattr(error, "lineno", 1), getattr(error, "colno", 1)
            self.process_errors = [
                gettext("This is not valid JSON (line %(line)s, sign %(sign)s).", line=line, sign=sign)
            ]
            return
        if asked() == "rows" and isinstance(self.data, dict):
            self._show(self.data)
            if self.form is None:
                self.process_errors = [gettext("These conditions are too deep to be shown in rows.")]


def in_words(condition: Condition) -> str:
    """A condition as a sentence's part: `Subject contains “refund” and Channel is “email”`."""
    if isinstance(condition, Test):
        return _test_in_words(condition)
    parts = [
        f"({in_words(part)})" if not isinstance(part, Test) and len(part.conditions) > 1 else in_words(part)
        for part in condition.conditions
    ]
    if condition.kind == "not":
        return gettext("not: %(what)s", what=parts[0])
    if not parts:
        return gettext("always")
    return f" {gettext('and') if condition.kind == 'all' else gettext('or')} ".join(parts)


def _test_in_words(test: Test) -> str:
    known = FIELDS[test.field]
    label = f"{tell(known.label)} {test.name}".strip()
    if known.kind == "yes_no":
        return f"{label}: {gettext('Yes') if test.value else gettext('No')}"
    if known.kind == "days":
        return f"{label}: {', '.join(tell(WEEKDAYS[day]) for day in test.value)}"  # type: ignore[union-attr]
    if known.kind == "times":
        return f"{label}: {test.value}"
    operator = TEXT_OPERATORS[test.operator]
    if operator.takes == "nothing":
        return f"{label} {tell(operator.label)}"
    texts = test.value if isinstance(test.value, tuple) else (str(test.value),)
    return f"{label} {tell(operator.label)} {', '.join(f'“{text}”' for text in texts)}"


def _read(data: Any, prefix: str) -> condition_form.Form:
    names = [name.removeprefix(prefix) for name in data if name.startswith(prefix)]
    rows: dict[int, list[tuple[int, Row]]] = {
        int(found[1]): [] for name in names if (found := _BLOCK.fullmatch(name))
    }
    for name in names[: MOST_ROWS * 10]:
        found = _ROW.fullmatch(name)
        if found and int(found[1]) in rows:
            rows[int(found[1])].append((int(found[2]), _read_row(data, f"{prefix}{found[1]}-{found[2]}-")))
    blocks = tuple(
        Block(
            _kind(data.get(f"{prefix}{number}-kind")),
            tuple(row for _, row in sorted(rows[number], key=_number)),
        )
        for number in sorted(rows)
    )
    kind = "any" if data.get(f"{prefix}kind") == "any" else "all"
    return condition_form.Form(kind, tuple(block for block in blocks if block.rows))


def _read_row(data: Any, prefix: str) -> Row:
    field = data.get(f"{prefix}field", "")
    value = data.get(f"{prefix}value", "")
    if FIELDS.get(field) is not None and FIELDS[field].kind == "times":
        since, until = data.get(f"{prefix}from", ""), data.get(f"{prefix}until", "")
        value = f"{since}–{until}" if since or until else value
    return Row(
        field=field,
        operator=data.get(f"{prefix}operator", "contains"),
        value=value,
        name=data.get(f"{prefix}name", ""),
        is_not=data.get(f"{prefix}not") == "not",
        values=tuple(data.getlist(f"{prefix}values")),
    )


def _changed(form: condition_form.Form, what: str) -> condition_form.Form:
    numbers = [int(each) for each in re.findall(r"\d{1,3}", what)]
    if what == "add-block":
        return condition_form.with_block(form)
    if re.fullmatch(r"add-row-\d{1,3}", what):
        return condition_form.with_row(form, numbers[0])
    if re.fullmatch(r"remove-row-\d{1,3}-\d{1,3}", what):
        return condition_form.without_row(form, *numbers)
    return form


def _kind(value: Any) -> BlockKind:
    return next((kind for kind in BLOCK_KINDS if kind == value), "all")


def _number(numbered: tuple[int, Row]) -> int:
    return numbered[0]
