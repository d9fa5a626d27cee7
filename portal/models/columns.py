"""Column kinds that every table shares: big ids, aware timestamps, checked words."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Annotated, Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Integer, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import mapped_column

_told_at: ContextVar[datetime | None] = ContextVar("told_at", default=None)


def now() -> datetime:
    """The current time, aware, in UTC."""
    return _told_at.get() or datetime.now(UTC)


@contextmanager
def as_of(moment: datetime) -> Iterator[None]:
    """Within it `now()` is that moment: for history that is told afterwards, as demo data and imports are."""
    token = _told_at.set(moment)
    try:
        yield
    finally:
        _told_at.reset(token)


SmallId = Annotated[int, mapped_column(Integer, Identity(), primary_key=True)]
BigId = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]
Timestamp = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Created = Annotated[datetime, mapped_column(DateTime(timezone=True), default=now, server_default=func.now())]
UserId = Annotated[int, mapped_column(Integer, ForeignKey("ab_user.id"))]
Json = Annotated[dict[str, Any], mapped_column(JSONB, default=dict, server_default="{}")]
JsonList = Annotated[list[Any], mapped_column(JSONB, default=list, server_default="[]")]


def one_of(column: str, words: Sequence[str]) -> CheckConstraint:
    """A check that `column` holds one of `words`: an enumeration that a migration can extend cheaply."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)
