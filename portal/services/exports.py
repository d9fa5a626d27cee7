"""The filtered list as a file: PostgreSQL writes the CSV and it passes through, so that memory stays flat.

The rows are those of the select that is handed in, which has come through `portal.access` and the queue's filter.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from flask_appbuilder.security.sqla.models import User
from psycopg import sql as composing
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Numeric,
    Select,
    String,
    case,
    cast,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by, distinct_on
from sqlalchemy.orm import aliased

from portal.extensions import db
from portal.models import AuditEntry, Branch, Customer, Identity, Tag, Ticket
from portal.models import User as Person
from portal.models.ticket import ticket_tag
from portal.rules import lifecycle
from portal.rules.fields import Field
from portal.services import events
from portal.services import lifecycle as living
from portal.services.transaction import transaction

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
CHUNK_BYTES = 64 * 1024
# What a spreadsheet takes for a formula when a cell begins with it: = + - @, tab, line feed, carriage return (OWASP,
# "CSV Injection"). Such a cell gets an apostrophe in front; removing one leading apostrophe restores the text.
FORMULA_STARTS = tuple(ord(sign) for sign in "=+-@\t\n\r")


def stream_tickets(
    tickets: Select[Any], own_fields: Sequence[Field] = (), *, has_bom: bool = False
) -> Generator[bytes, None, None]:
    """The tickets of that select, in its order, as UTF-8 CSV with a header row, in chunks of about 64 KB.

    Each of the desk's `own_fields` has a column after the others.

    The statement begins with the first chunk, on the session of whoever takes it: an answer is sent after the
    request's own session has ended. Until the generator is used up or closed it holds that session's connection.
    Times are UTC. Reads only.
    """
    return _chunks(*copy_statement(tickets, own_fields), has_bom=has_bom)


def record_export(actor: User, filter_args: Mapping[str, Any], *, address: str = "") -> None:
    """Note in the ledger and in the audit that this person takes this list away. Commits.

    Before the first row goes out: a download that breaks off has still left the house.
    """
    wanted = {name: value for name, value in filter_args.items() if value not in (None, "", [], ())}
    with transaction():
        events.record(
            "list_exported", actor=actor, data={"list": "tickets", "format": "csv", "filter": wanted}
        )
        db.session.add(
            AuditEntry(
                actor_id=actor.id,
                action="exported",
                object_type="ticket",
                object_name="Tickets as CSV",
                changes={"filter": {"from": None, "to": wanted}},
                address=address,
            )
        )


def copy_statement(tickets: Select[Any], own_fields: Sequence[Field] = ()) -> tuple[str, dict[str, Any]]:
    """The COPY of those tickets and its values, which psycopg binds: COPY itself takes none from a client."""
    dialect = db.session.get_bind().dialect
    compiled = _export_of(tickets, own_fields).compile(
        dialect=dialect, compile_kwargs={"render_postcompile": True}
    )
    return f"COPY ({compiled}) TO STDOUT WITH (FORMAT csv, HEADER)", dict(compiled.params)


def _export_of(tickets: Select[Any], own_fields: Sequence[Field]) -> Select[Any]:
    """That select with the columns of the file. Our joins are aliases, so that the filter's own do not clash."""
    branch, assignee, customer = aliased(Branch), aliased(Person), aliased(Customer)
    # Gathered for all these tickets at once: looked up for each, they would take half the time of the export.
    addresses, tags = _first_addresses(tickets), _tag_names(tickets)
    return (
        tickets.with_only_columns(
            *_columns(branch, assignee, customer, addresses, tags),
            *(_field_column(field).label(_harmless(field.name)) for field in own_fields),
            maintain_column_froms=True,
        )
        .join(branch, branch.id == Ticket.branch_id)
        .join(customer, customer.id == Ticket.customer_id)
        .outerjoin(assignee, assignee.id == Ticket.assignee_id)
        .outerjoin(addresses, addresses.c.customer_id == Ticket.customer_id)
        .outerjoin(tags, tags.c.ticket_id == Ticket.id)
    )


def _columns(
    branch: Any, assignee: Any, customer: Any, addresses: Any, tags: Any
) -> list[ColumnElement[Any]]:
    return [
        Ticket.number.label("Number"),
        _safe(Ticket.subject).label("Subject"),
        _in_words(Ticket.status, lifecycle.labels(living.current())).label("Status"),
        func.initcap(Ticket.priority).label("Priority"),
        func.replace(Ticket.type, "_", " ").label("Type"),
        func.nullif(Ticket.severity, "none").label("Severity"),
        _safe(branch.name).label("Branch"),
        Ticket.tier_level.label("Tier"),
        _safe(assignee.first_name + " " + assignee.last_name).label("Assignee"),
        _safe(customer.name).label("Customer"),
        _safe(addresses.c.address).label("Address"),
        func.replace(Ticket.channel_kind, "_", " ").label("Channel"),
        Ticket.created_at.label("Created"),
        Ticket.last_activity_at.label("Last activity"),
        Ticket.first_responded_at.label("First response"),
        _seconds_between(Ticket.created_at, Ticket.first_responded_at).label("First response seconds"),
        Ticket.next_due_at.label("Due"),
        Ticket.is_breached.label("Late"),
        Ticket.resolved_at.label("Resolved"),
        Ticket.closed_at.label("Closed"),
        Ticket.message_count.label("Messages"),
        Ticket.reopened_count.label("Reopened"),
        _safe(tags.c.names).label("Tags"),
    ]


def _field_column(field: Field) -> ColumnElement[Any]:
    """What the field says, as portal.rules.fields.say_value does; numbers and days as a spreadsheet reads them."""
    value = Ticket.fields[field.key]
    if field.kind == "number":
        return cast(value.astext, Numeric)
    if field.kind == "yes_no":
        return case({"true": "Yes", "false": "No"}, value=value.astext)
    if field.kind == "choices":
        each = func.jsonb_array_elements_text(value).column_valued("each")
        named = func.string_agg(_in_words(each, field.labels), "; ")
        return _safe(select(named).correlate(Ticket).scalar_subquery())
    return _safe(_in_words(value.astext, field.labels) if field.kind == "choice" else value.astext)


def _first_addresses(tickets: Select[Any]) -> Any:
    """The first address of every customer of those tickets."""
    wanted = tickets.with_only_columns(Ticket.customer_id).order_by(None)
    found = select(Identity.customer_id, Identity.address).where(Identity.customer_id.in_(wanted))
    return (
        found.ext(distinct_on(Identity.customer_id))
        .order_by(Identity.customer_id, Identity.id)
        .subquery("addresses")
    )


def _tag_names(tickets: Select[Any]) -> Any:
    """The names of the tags of those tickets, in one text each."""
    wanted = tickets.with_only_columns(Ticket.id).order_by(None)
    names = func.string_agg(Tag.name, aggregate_order_by(literal("; "), Tag.name)).label("names")
    found = select(ticket_tag.c.ticket_id, names).join(Tag, Tag.id == ticket_tag.c.tag_id)
    return found.where(ticket_tag.c.ticket_id.in_(wanted)).group_by(ticket_tag.c.ticket_id).subquery("tags")


def _safe(column: Any) -> ColumnElement[str]:
    """The text of a cell that no spreadsheet takes for a formula."""
    return case((func.ascii(column).in_(FORMULA_STARTS), literal("'") + column), else_=cast(column, String))


def _harmless(name: str) -> str:
    """The same for the head of a column."""
    return f"'{name}" if name and ord(name[0]) in FORMULA_STARTS else name


def _in_words(column: Any, words: Mapping[str, str]) -> ColumnElement[str]:
    return case(dict(words), value=column, else_=column) if words else column


def _seconds_between(start: Any, end: Any) -> ColumnElement[int]:
    return cast(func.date_part("epoch", end - start), BigInteger)


def _chunks(statement: str, values: Mapping[str, Any], *, has_bom: bool) -> Generator[bytes, None, None]:
    connection = db.session.connection()
    # A list may take longer to download than a page may take to answer.
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    # Names and tags of a large list are joined by hashing, which is twice as slow where it spills to disk.
    connection.execute(text("SET LOCAL work_mem = '64MB'"))
    driver = connection.connection.driver_connection
    assert driver is not None, "a connection of the pool is open"
    buffer = bytearray(BYTE_ORDER_MARK if has_bom else b"")
    try:
        with driver.cursor() as cursor, cursor.copy(composing.SQL(statement), values) as copy:
            for row in copy:
                buffer += row
                if len(buffer) >= CHUNK_BYTES:
                    yield bytes(buffer)
                    buffer.clear()
        yield bytes(buffer)
    except GeneratorExit:
        # The reader has gone: psycopg has cancelled the statement, which leaves the transaction to be ended.
        db.session.rollback()
        raise
