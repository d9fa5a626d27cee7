"""What admins have made of the life of a ticket, as `portal.rules.lifecycle` takes it."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from flask import g, has_request_context
from flask_appbuilder.security.sqla.models import User
from sqlalchemy import ColumnElement, Text, literal_column, select

from portal.errors import UserFault
from portal.extensions import db
from portal.models import LifecycleSetting, LifecycleStatus
from portal.rules import lifecycle as rules
from portal.services import audit
from portal.services.transaction import transaction
from portal.wording import N_, sentence

_AS_JSON = """(SELECT CAST(jsonb_build_object(
    'statuses', (SELECT jsonb_object_agg(name, jsonb_build_object('label', label, 'may_become', may_become))
                 FROM lifecycle_status),
    'codes', (SELECT jsonb_agg(jsonb_build_object('id', id, 'label', label, 'is_active', is_active)
                               ORDER BY position, label) FROM resolution_code),
    'setting', (SELECT to_jsonb(lifecycle_setting) FROM lifecycle_setting)) AS text))"""


def current() -> rules.Lifecycle:
    """The life of a ticket as it is set up now: one statement where nobody has read it in this request."""
    kept: rules.Lifecycle | None = g.get("lifecycle") if has_request_context() else None
    return kept if kept is not None else keep(db.session.scalar(select(as_json())))


def as_json() -> ColumnElement[str]:
    """All of it in one text of a row: what reads a row anyway takes it along, for `keep`."""
    return literal_column(_AS_JSON, Text)


def keep(found: str | None) -> rules.Lifecycle:
    """What `as_json` has read, kept for the rest of the request."""
    life = _parsed(found or "{}")
    if has_request_context():
        g.lifecycle = life
    return life


def code_named(label: str) -> rules.ResolutionCode:
    """The resolution code of that label, whatever its case. Raises UserFault that names those there are."""
    codes = current().offered_codes
    found = next((code for code in codes if code.label.casefold() == label.strip().casefold()), None)
    if found is None:
        raise UserFault(
            "There is no resolution code “%(label)s”. Choose one of: %(codes)s.",
            label=label,
            codes=", ".join(code.label for code in codes) or "–",
        )
    return found


@dataclass(frozen=True)
class Wanted:
    """How the life of a ticket is to be: words (empty: ours) and moves by status, and what holds for every branch."""

    labels: Mapping[str, str]
    moves: Mapping[str, Collection[str]]
    requires_code: bool = False
    close_after_days: int = rules.CLOSE_AFTER_DAYS


class UnfitError(UserFault):
    """A life that no ticket could live. `problems`: a sentence for each field, by its name on the page."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("This was not saved. Correct what is marked.")
        self.problems = problems


def problems_of(wanted: Wanted, life: rules.Lifecycle) -> dict[str, str]:
    """What is wrong with it, a sentence for each field: `label-<status>`, `moves-<status>`, or a setting's name."""
    said = rules.problems_of_labels(wanted.labels)
    moves = rules.problems_of_moves(wanted.moves, replace(life, labels={}))
    problems = {
        **{f"label-{name}": words for name, words in said.items()},
        **{f"moves-{name}": words for name, words in moves.items()},
    }
    if wanted.requires_code and not life.offered_codes:
        problems["requires_code"] = N_("There is no resolution code to choose. Enable one first.")
    if not 0 <= wanted.close_after_days <= rules.LONGEST_WAIT_DAYS:
        problems["close_after_days"] = sentence(
            "Enter a number of days between 0 and %(most)s.", most=rules.LONGEST_WAIT_DAYS
        )
    return problems


def configure(wanted: Wanted, actor: User) -> bool:
    """Set up the life of a ticket with an audit entry for each row that changes; whether any did. Commits.

    Raises UnfitError, with a sentence for each field.
    """
    if problems := problems_of(wanted, current()):
        raise UnfitError(problems)
    with transaction():
        found = select(LifecycleStatus).order_by(LifecycleStatus.id).with_for_update()
        rows: list[Any] = list(db.session.scalars(found))
        setting = db.session.get_one(LifecycleSetting, 1, with_for_update=True)
        for row in rows:
            # As the table has them, so that saving the same again changes nothing.
            ways = [name for name in rules.STATUSES if name in wanted.moves[row.name] and name != row.name]
            label = wanted.labels.get(row.name, "")
            row.label = "" if label == rules.TABLE[row.name].label else label
            row.may_become = ways
        setting.requires_code, setting.close_after_days = wanted.requires_code, wanted.close_after_days
        changed = [(row, changes) for row in (*rows, setting) if (changes := audit.changes_of(row))]
        db.session.flush()
        for row, changes in changed:
            audit.record_change(row, "changed", actor, changes)
    forget()
    return bool(changed)


def forget() -> None:
    """It has been changed in this request: whoever asks again reads it anew."""
    if has_request_context():
        g.pop("lifecycle", None)


@lru_cache(maxsize=8)
def _parsed(text: str) -> rules.Lifecycle:
    found = json.loads(text)
    setting = found.get("setting") or {}
    statuses = found.get("statuses") or {}
    return rules.Lifecycle(
        labels={name: row["label"] for name, row in statuses.items() if row["label"]},
        # A row that is missing says nothing: the usual moves hold.
        moves={
            **rules.USUAL_MOVES,
            **{name: frozenset(row["may_become"]) for name, row in statuses.items() if name in rules.TABLE},
        },
        codes=tuple(rules.ResolutionCode(**code) for code in found.get("codes") or ()),
        requires_code=setting.get("requires_code", False),
        close_after_days=setting.get("close_after_days", rules.CLOSE_AFTER_DAYS),
    )
