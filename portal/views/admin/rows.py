"""How the admin's pages and its REST interface read rows: within reach, counted and paged up to a cap, in few queries.

FAB's own interface counts exactly, pages without end, searches any column by "contains" and loads relations row by
row; at a million rows each of these takes seconds.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from dateutil import parser as dates
from flask_appbuilder.models.filters import BaseFilter, BaseFilterConverter, Filters
from flask_appbuilder.models.sqla.interface import SQLAInterface
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Integer,
    LargeBinary,
    String,
    Text,
    inspect,
)
from sqlalchemy.orm import Query, defer, joinedload, selectinload
from sqlalchemy.orm.attributes import InstrumentedAttribute

from portal.errors import UserFault
from portal.views.admin import reach

COUNT_CAP = 1_000
DEPTH_CAP = 10_000
PAGE_CAP = 100
CHOICE_CAP = 1_000
SHORTEST_SEARCH = 3

# Tables that grow with the mail: here only what an index serves may be ordered and searched by.
LARGE_TABLES = frozenset(
    {
        "ticket",
        "message",
        "attachment",
        "customer",
        "identity",
        "event",
        "clock",
        "escalation",
        "inbox_item",
        "outbox_item",
        "delivery",
        "notification",
        "audit_entry",
    }
)


class CappedCount(int):
    """A count that stopped at the cap: a number for arithmetic, "1,000+" for people."""

    def __str__(self) -> str:
        return f"{int(self):,}+"

    __format__ = lambda self, _how: str(self)  # noqa: E731


def words_of(model: type, column_name: str) -> tuple[str, ...]:
    """The words that a checked text column may hold, as `models.columns.one_of` laid them down; else ()."""
    for constraint in model.__table__.constraints:
        if isinstance(constraint, CheckConstraint):
            text = str(constraint.sqltext)
            if text.startswith(f"{column_name} IN ("):
                return tuple(re.findall(r"'([^']*)'", text))
    return ()


def is_ordered_by_index(model: type, column_name: str) -> bool:
    """Whether a complete b-tree index or the primary key begins with that column."""
    table = model.__table__
    if column_name not in table.columns:
        return False
    if next(iter(table.primary_key.columns)).name == column_name or table.columns[column_name].unique:
        return True
    for index in table.indexes:
        options = index.dialect_options["postgresql"]
        if options.get("using") or options.get("where") is not None:
            continue
        if getattr(next(iter(index.expressions)), "name", None) == column_name:
            return True
    return any(
        next(iter(constraint.columns)).name == column_name
        for constraint in table.constraints
        if type(constraint).__name__ == "UniqueConstraint"
    )


def is_searched_by_trigrams(model: type, column_name: str) -> bool:
    """Whether a trigram index serves "contains" on that column."""
    return any(
        index.dialect_options["postgresql"].get("ops", {}).get(column_name) == "gin_trgm_ops"
        for index in model.__table__.indexes
    )


class Rows(SQLAInterface):
    """Reads one table for the admin. Every row comes through `_reachable`, drop-downs and actions included."""

    def __init__(self, obj: type, session: Any = None) -> None:
        super().__init__(obj, session)
        self.filter_converter_class = Converter

    @property
    def is_large(self) -> bool:
        return self.obj.__tablename__ in LARGE_TABLES

    def get_filters(self, search_columns: Any = None, search_filters: Any = None) -> "SafeFilters":
        return SafeFilters(
            Converter, self, search_columns=search_columns or [], search_filters=search_filters
        )

    def query(  # noqa: PLR0917 - FAB's signature
        self,
        filters: Filters | None = None,
        order_column: str = "",
        order_direction: str = "",
        page: int | None = None,
        page_size: int | None = None,
        select_columns: Sequence[str] | None = None,
        outer_default_load: bool = False,  # noqa: ARG002
    ) -> tuple[int, list[Any]]:
        """A page of rows and how many there are, up to COUNT_CAP. Without a page size: the rows of a drop-down."""
        found = self._reachable(filters)
        if page_size is None:
            rows = self._ordered(found, order_column, order_direction).limit(CHOICE_CAP).all()
            return len(rows), rows
        size = min(max(page_size, 1), PAGE_CAP)
        start = max(page or 0, 0) * size
        if start >= DEPTH_CAP:
            raise UserFault(
                f"Lists are paged to {DEPTH_CAP:,} rows. Narrow the search, or go on after the last id by a filter."
            )
        ordered = self._ordered(found, order_column, order_direction)
        rows = ordered.options(*self.loading(select_columns)).offset(start).limit(size).all()
        if len(rows) < size and (rows or start == 0):
            return start + len(rows), rows
        return self._count(found), rows

    def get(
        self,
        id: Any,  # noqa: A002
        filters: Filters | None = None,
        select_columns: Sequence[str] | None = None,
        outer_default_load: bool = False,  # noqa: ARG002
    ) -> Any:
        """The row with that id within reach; None for every other id, also one that is no number."""
        pk = self.get_pk()
        value = _whole_number(id, pk)
        if value is None:
            return None
        return (
            self._reachable(filters).options(*self.loading(select_columns)).filter(pk == value).one_or_none()
        )

    def get_related_obj(self, col_name: str, value: Any) -> Any:
        return self.get_related_interface(col_name).get(value)

    def get_related_interface(self, col_name: str) -> "Rows":
        return Rows(self.get_related_model(col_name))

    def loading(self, columns: Iterable[str] | None) -> list[Any]:
        """Options that load what these columns show with the rows, and leave long texts that they do not show."""
        if not columns:
            return []
        roots = {column.split(".")[0] for column in columns}
        options: list[Any] = []
        for root in sorted(roots):
            if self.is_relation(root):
                attribute = getattr(self.obj, root)
                is_many = self.list_properties[root].uselist
                options.append(selectinload(attribute) if is_many else joinedload(attribute))
        for name, column in self.list_columns.items():
            if name not in roots and isinstance(column.type, Text | LargeBinary) and not column.primary_key:
                options.append(defer(getattr(self.obj, name)))
        return options

    def _reachable(self, filters: Filters | None) -> Query:
        found = self.session.query(self.obj)
        limit = reach.condition_for(self.obj)
        if limit is not None:
            found = found.filter(limit)
        return filters.apply_all(found) if filters else found

    def _ordered(self, found: Query, column: str, direction: str) -> Query:
        if not column:
            return found.order_by(self.get_pk())
        attribute = getattr(self.obj, column)
        pk = self.get_pk()
        keys = [attribute] if attribute is pk else [attribute, pk]
        return found.order_by(*(key.desc() if direction == "desc" else key.asc() for key in keys))

    def _count(self, found: Query) -> int:
        capped = found.with_entities(self.get_pk()).order_by(None).limit(COUNT_CAP + 1)
        count = capped.count()
        return CappedCount(COUNT_CAP) if count > COUNT_CAP else count


class EventRows(Rows):
    """Events have their time in the key, because they are partitioned by it; the id alone names one."""

    def is_pk_composite(self) -> bool:
        return False

    def _get_pk_name(self, model: type) -> str:  # noqa: ARG002
        return "id"


class SafeFilters(Filters):
    """Filters that take from a request only what the view offers, and answer nonsense in words."""

    def add_filter_index(self, column_name: str, filter_instance_index: int, value: Any) -> None:
        offered = self._search_filters.get(column_name, [])
        if filter_instance_index < len(offered):
            self._add_filter(offered[filter_instance_index], value)

    def rest_add_filters(self, data: list[dict[str, Any]]) -> None:
        for wanted in data:
            name, operation = wanted.get("col"), wanted.get("opr")
            offered = {one.arg_name: one for one in self._search_filters.get(name, [])}
            if operation not in offered:
                raise UserFault(
                    f"There is no filter {operation!r} on {name!r}. The resource's _info lists them."
                )
            self._add_filter(offered[operation], wanted.get("value"))


class ColumnFilter(BaseFilter):
    """One comparison with a column of the table itself."""

    def apply(self, query: Query, value: Any) -> Query:
        attribute = getattr(self.model, self.column_name)
        return query.filter(self.condition(attribute, typed(attribute, value)))

    def condition(self, attribute: Any, value: Any) -> Any:
        raise NotImplementedError


class Equal(ColumnFilter):
    name, arg_name = "is", "eq"

    def condition(self, attribute: Any, value: Any) -> Any:
        return attribute == value


class NotEqual(ColumnFilter):
    name, arg_name = "is not", "neq"

    def condition(self, attribute: Any, value: Any) -> Any:
        return attribute.is_distinct_from(value)


class Greater(ColumnFilter):
    name, arg_name = "is above", "gt"

    def condition(self, attribute: Any, value: Any) -> Any:
        return attribute > value


class Smaller(ColumnFilter):
    name, arg_name = "is below", "lt"

    def condition(self, attribute: Any, value: Any) -> Any:
        return attribute < value


class After(Greater):
    name = "is after"


class Before(Smaller):
    name = "is before"


class Contains(ColumnFilter):
    name, arg_name = "contains", "ct"

    def condition(self, attribute: Any, value: Any) -> Any:
        # A trigram index knows nothing shorter than three signs and would read the whole table.
        if self.datamodel.is_large and len(value.strip()) < SHORTEST_SEARCH:
            raise UserFault(
                "Type at least %(shortest_search)s letters to search.",
                shortest_search=SHORTEST_SEARCH,
            )
        escaped = re.sub(r"([\\%_])", r"\\\1", value.strip())
        return attribute.ilike(f"%{escaped}%", escape="\\")


class RelatedIs(BaseFilter):
    """The row refers to that one row: compared by the foreign key, with no second query."""

    name, arg_name = "is", "rel_o_m"

    def apply(self, query: Query, value: Any) -> Query:
        (column,) = inspect(self.model).relationships[self.column_name].local_columns
        number = _whole_number(value, column)
        if number is None:
            raise UserFault("Choose one of the list to filter by it.")
        return query.filter(column == number)


class RelatedIncludes(BaseFilter):
    """The row's list holds that row."""

    name, arg_name = "includes", "rel_m_m"

    def apply(self, query: Query, value: Any) -> Query:
        relation = getattr(self.model, self.column_name)
        pk = inspect(relation.property.mapper.class_).primary_key[0]
        number = _whole_number(value, pk)
        if number is None:
            raise UserFault("Choose one of the list to filter by it.")
        return query.filter(relation.any(pk == number))


class Converter(BaseFilterConverter):
    """Which comparisons a column offers: on large tables only those that an index serves."""

    def convert(self, col_name: str) -> list[BaseFilter] | None:
        kinds = _comparisons(self.datamodel, col_name)
        return [kind(col_name, self.datamodel) for kind in kinds] or None


def _comparisons(rows: Rows, name: str) -> tuple[type[BaseFilter], ...]:
    if rows.is_relation(name):
        return (RelatedIncludes,) if rows.list_properties[name].uselist else (RelatedIs,)
    column = rows.list_columns.get(name)
    kind = column.type if column is not None else None
    if isinstance(kind, DateTime):
        return (After, Before)
    if isinstance(kind, Integer):
        return (Equal, Greater, Smaller)
    if isinstance(kind, Boolean) or words_of(rows.obj, name):
        return (Equal,) if rows.is_large else (Equal, NotEqual)
    if not isinstance(kind, String):
        return ()
    is_served = not rows.is_large or is_searched_by_trigrams(rows.obj, name)
    return (Contains, Equal) if is_served else (Equal,)


def typed(attribute: InstrumentedAttribute[Any], value: Any) -> Any:
    """The value in the column's type. Raises UserFault with a sentence for the person who typed it."""
    kind = attribute.property.columns[0].type
    text = "" if value is None else str(value).strip()
    if isinstance(kind, Boolean):
        return text.lower() in ("y", "yes", "true", "1", "on")
    if isinstance(kind, Integer):
        number = _whole_number(text, attribute.property.columns[0])
        if number is None:
            raise UserFault(
                "“%(text)s” is not a whole number.",
                text=text[:40],
            )
        return number
    if isinstance(kind, DateTime):
        return _moment(text)
    # PostgreSQL's text holds no NUL.
    return text.replace("\0", "")


def _moment(text: str) -> datetime:
    try:
        moment = dates.parse(text)
    except (ValueError, OverflowError) as error:
        raise UserFault(
            "“%(text)s” is not a date. Write it like 2026-11-23 14:00.",
            text=text[:40],
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _whole_number(value: Any, column: Any) -> int | None:
    """The value as a number that fits the column; None otherwise."""
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,18}", text):
        return None
    number = int(text)
    widest = 2**63 if isinstance(column.type, BigInteger) else 2**31
    return number if -widest <= number < widest else None
