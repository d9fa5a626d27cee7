"""The panel in which a list is narrowed, and what its filter asks for in words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from flask import render_template, request, url_for

from portal import access
from portal.errors_pages import wants_partial
from portal.extensions import db
from portal.language import gettext, lazy_gettext, tell
from portal.models import Branch, ReplyTemplate
from portal.models.branch import PRIORITIES
from portal.models.customer import CHANNEL_KINDS
from portal.models.ticket import SEVERITIES, TICKET_TYPES
from portal.rules import fields as field_rules
from portal.rules import lifecycle
from portal.services import fields, saved_views
from portal.views.console import lists, words
from portal.views.console.blueprint import blueprint, person
from portal.views.console.filters import FIELD_ENDS, FIELD_PREFIX, SLA_STATES, TicketFilter, filter_from
from portal.views.console.paging import ORDERS

MOST_TEMPLATES = 500
OF_FINISHED = ("newest", "oldest", "activity")
# Spans of days: the name of the two arguments without _from and _to, and how the span is called.
SPANS = {
    "opened": lazy_gettext("Opened"),
    "activity": lazy_gettext("Last activity"),
    "answered": lazy_gettext("First answered"),
}


@dataclass(frozen=True)
class Narrowing:
    """One thing that a filter asks for, in words, and the address of the list without it."""

    label: str
    url: str


@dataclass(frozen=True)
class Option:
    """Something to choose, and whether the filter asks for it; under a name of its own where it has one."""

    value: str
    label: str
    is_chosen: bool
    name: str = ""


@dataclass(frozen=True)
class Pick:
    """A part of the filter of which any number of values can be chosen."""

    name: str
    label: str
    options: tuple[Option, ...]

    @property
    def said(self) -> str:
        return ", ".join(option.label for option in self.options if option.is_chosen) or gettext("Any")


@dataclass(frozen=True)
class FieldPart:
    """A field of the desk's own in the panel: a pick, or one value, or from one to another."""

    name: str
    label: str
    kind: str
    pick: Pick | None
    value: str
    first: str
    last: str
    is_empty: bool


@blueprint.get("/queue/filter")
def filter_form() -> str:
    """The panel: in the queue's page for a script, else a page of its own."""
    wanted = filter_from(request.args, person())
    page = "console/_filter_form.html" if wants_partial() else "console/filter_form.html"
    return render_template(page, wanted=wanted, **_form_of(wanted))


def said_of(wanted: TicketFilter) -> dict[str, Any]:
    """What the queue's page says of its filter, in three statements at most."""
    return {
        "order_says": words.within(str(wanted.order.label)),
        "narrowings": list(_narrowings(wanted)),
        "clear_url": _clear_url(wanted),
        "shareable": _led_branches(),
    }


def _led_branches() -> list[Branch]:
    """The branches with which the person can share a view."""
    led = access.led_branch_ids(person())
    if led is not None and not led:
        return []
    return [
        branch
        for branch in lists.branches_of(person())
        if branch.is_active and saved_views.leads(person(), branch.id)
    ]


def _narrowings(wanted: TicketFilter) -> Iterator[Narrowing]:
    """What the filter asks for beyond its view, each with the way back out."""
    names = lists.names_in(wanted, person())
    args = wanted.to_args()

    def without(label: str, *gone: str) -> Narrowing:
        return Narrowing(
            label, url_for("console.queue", **{name: args[name] for name in args if name not in gone})
        )

    for name, label in _said(wanted, names):
        if label:
            yield without(label, *(("tag", "tag_id", "is_untagged") if name == "tag" else (name,)))
    for name, label in SPANS.items():
        first, last = getattr(wanted, f"{name}_from"), getattr(wanted, f"{name}_to")
        said = [gettext("from %(day)s", day=first)] if first else []
        said += [gettext("until %(day)s", day=last)] if last else []
        parts = [" ".join(said)] if said else []
        if name == "answered" and wanted.is_unanswered:
            parts.append(gettext("not yet"))
        if parts:
            yield without(f"{label} {words.either(parts)}", f"{name}_from", f"{name}_to", "is_unanswered")
    known = {field.key: field for field in fields.visible_definitions(person())} if wanted.fields else {}
    for condition in wanted.fields:
        prefix = FIELD_PREFIX + condition.key
        if condition.key in known:
            said_there = tell(field_rules.say_condition(known[condition.key], condition))
            yield without(said_there, *(f"{prefix}.{end}".rstrip(".") for end in FIELD_ENDS))


def _said(wanted: TicketFilter, names: dict[tuple[str, str], str]) -> Iterator[tuple[str, str]]:
    """The parts of the filter that are no spans and no fields, in words."""

    def named(part: str, ids: Iterable[object], other: str) -> str:
        return words.either(names.get((part, str(one))) or other for one in ids)

    people = {"me": gettext("me"), "none": gettext("nobody")}
    assigned = words.either(
        people.get(one) or names.get(("assignee", one)) or gettext("someone else") for one in wanted.assignee
    )
    tags = [*wanted.tag, *(names.get(("tag_id", str(one)), gettext("that is gone")) for one in wanted.tag_id)]
    customer = names.get(("customer", wanted.customer), "") if wanted.customer.isdigit() else wanted.customer
    yield "text", wanted.text and f"“{wanted.text}”"
    yield "status", words.either(words.status(status) for status in wanted.status)
    yield "branch", named("branch", wanted.branch, gettext("Branch"))
    yield "tier", gettext("Tier %(level)s", level=wanted.tier) if wanted.tier else ""
    yield "assignee", gettext("Assigned to %(names)s", names=assigned) if assigned else ""
    yield "priority", words.either(words.PRIORITIES[priority] for priority in wanted.priority)
    yield "type", words.either(words.TYPES[kind] for kind in wanted.type)
    yield "severity", _severities(wanted)
    yield "channel", words.either(words.CHANNELS[kind] for kind in wanted.channel)
    tags += [gettext("none")] if tags and wanted.is_untagged else []
    yield "tag", gettext("Tag %(names)s", names=words.either(tags)) if tags else ""
    yield "is_untagged", gettext("No tag") if wanted.is_untagged and not tags else ""
    yield (
        "customer",
        gettext("Customer %(name)s", name=customer or gettext("without a name")) if wanted.customer else "",
    )
    templates = named("template", wanted.template, gettext("one that is retired"))
    yield "template", gettext("Template %(names)s", names=templates) if templates else ""
    yield "sla", str(words.SLA_STATES[wanted.sla]) if wanted.sla else ""


def _severities(wanted: TicketFilter) -> str:
    said = words.either(words.within(str(words.SEVERITIES[name])) for name in wanted.severity)
    return gettext("Severity %(names)s", names=said) if said else ""


def _form_of(wanted: TicketFilter) -> dict[str, Any]:
    names = lists.names_in(wanted, person())
    tags = [*wanted.tag, *(names[part] for part in names if part[0] == "tag_id")]
    asked = {condition.key: condition for condition in wanted.fields}
    people = {"me": gettext("Me"), "none": gettext("Nobody")}
    people |= {str(each.id): str(each) for each in lists.colleagues_of(person()) if each.id != person().id}
    branches = {str(branch.id): branch.name for branch in lists.branches_of(person())}
    shown = [
        field
        for field in fields.visible_definitions(person())
        if (field.is_active and field.is_in_filter) or field.key in asked
    ]
    return {
        "picks": [
            _pick(
                "status",
                gettext("Status"),
                {name: words.status(name) for name in lifecycle.STATUSES},
                wanted.status,
            ),
            _pick(
                "priority",
                gettext("Priority"),
                _words(words.PRIORITIES, reversed(PRIORITIES)),
                wanted.priority,
            ),
            _pick("branch", gettext("Branch"), branches, wanted.branch),
            _pick("assignee", gettext("Assigned to"), people, wanted.assignee),
        ],
        "more_picks": [
            _pick("type", gettext("Type"), _words(words.TYPES, TICKET_TYPES), wanted.type),
            _pick(
                "severity",
                gettext("Severity"),
                _words(words.SEVERITIES, reversed(SEVERITIES)),
                wanted.severity,
            ),
            _pick("channel", gettext("Channel"), _words(words.CHANNELS, CHANNEL_KINDS), wanted.channel),
            _pick("template", gettext("Template used"), _templates(), wanted.template),
        ],
        "sla_states": {name: words.SLA_STATES[name] for name in SLA_STATES},
        "spans": SPANS,
        "tags": ", ".join(tags),
        "own_fields": [_field_part(field, asked.get(field.key)) for field in shown],
        "orders": [order for name, order in ORDERS.items() if _fits(name, wanted)],
        "is_more_open": bool(
            wanted.type
            or wanted.severity
            or wanted.channel
            or wanted.template
            or wanted.tier
            or wanted.is_unanswered
        )
        or any(
            getattr(wanted, f"{name}_{end}") for name in ("activity", "answered") for end in ("from", "to")
        ),
        "clear_url": _clear_url(wanted),
    }


def _templates() -> dict[str, str]:
    found = access.visible_templates(person()).with_only_columns(ReplyTemplate.id, ReplyTemplate.name)
    ordered = found.order_by(ReplyTemplate.name).limit(MOST_TEMPLATES)
    return {str(template_id): name for template_id, name in db.session.execute(ordered)}


def _field_part(field: field_rules.Field, asked: field_rules.Condition | None) -> FieldPart:
    name = FIELD_PREFIX + field.key
    written = field_rules.write_condition(asked) if asked else {}
    chosen = written.get("", "").split(",")
    options = dict.fromkeys(field_rules.YES_NO) if field.kind == "yes_no" else field.labels
    labels = {key: label or key.capitalize() for key, label in options.items()}
    is_empty = asked is not None and asked.or_empty
    nothing = Option(field_rules.EMPTY, gettext("No value"), is_empty, name=f"{name}.is")
    return FieldPart(
        name=name,
        label=field.name,
        kind=field.kind,
        pick=_pick(name, field.name, labels, chosen, nothing) if labels else None,
        value=written.get("", ""),
        first=written.get("from", ""),
        last=written.get("to", ""),
        is_empty=is_empty,
    )


def _pick(name: str, label: str, labels: dict[str, str], chosen: Iterable[object], *others: Option) -> Pick:
    asked = {str(one) for one in chosen}
    options = (Option(key, str(said), key in asked) for key, said in labels.items())
    return Pick(name, label, (*options, *others))


def _words(labels: dict[str, str], names: Iterable[str]) -> dict[str, str]:
    return {name: labels[name] for name in names}


def _fits(order: str, wanted: TicketFilter) -> bool:
    """Whether that order is offered: what is finished has no clock and no urgency, and no index for either."""
    return order == wanted.order.name or wanted.view != "closed" or order in OF_FINISHED


def _clear_url(wanted: TicketFilter) -> str:
    """The named list, without what narrows it."""
    return url_for("console.queue", view=wanted.view or None, sort=wanted.sort or None)
