"""Conditions as a form shows them: blocks of rows, which all, any or none hold, and how the blocks combine.

Two levels are what people can read. A condition that is deeper, or whose texts a form would change, has no form and is
edited as JSON.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from portal.rules.conditions import FIELDS, TEXT_OPERATORS, Condition, Group, Test, parse_condition

BlockKind = Literal["all", "any", "none"]
BLOCK_KINDS: tuple[BlockKind, ...] = ("all", "any", "none")


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison as it stands in the form: every value is text, a list has one text in each line.

    Days are their words in `values`; a time of day is `18:00–06:00`.
    """

    field: str = "subject"
    operator: str = "contains"
    value: str = ""
    name: str = ""
    is_not: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of which all, any or none hold."""

    kind: BlockKind = "all"
    rows: tuple[Row, ...] = (Row(),)


@dataclass(frozen=True, slots=True)
class Form:
    """Blocks of which all or any hold. Without blocks the rule always holds."""

    kind: Literal["all", "any"] = "all"
    blocks: tuple[Block, ...] = ()


def form_of(condition: Condition) -> Form | None:
    """The form of a condition, which says the same; None where it has none."""
    blocks: Sequence[Block | None]
    kind: Literal["all", "any"] = "all"
    if isinstance(condition, Group) and condition.kind != "not":
        kind = condition.kind
        rows = [row for part in condition.conditions if (row := _row_of(part)) is not None]
        groups = [part for part in condition.conditions if _row_of(part) is None]
        blocks = [*([Block(kind, tuple(rows))] if rows else []), *(_block_of(part) for part in groups)]
    else:
        blocks = [_block_of(condition)]
    whole = tuple(block for block in blocks if block is not None)
    if len(whole) < len(blocks):
        return None
    # One block alone says by itself how its rows combine.
    return Form("all" if len(whole) < 2 else kind, whole)


def json_of(form: Form) -> dict[str, Any]:
    """The JSON form of what the form says; its values are not checked."""
    parts = [_block_json(block) for block in form.blocks if block.rows]
    if not parts:
        return {}
    return parts[0] if len(parts) == 1 else {form.kind: parts}


def row_json(row: Row) -> dict[str, Any]:
    """The JSON form of one row, its values not checked."""
    known = FIELDS.get(row.field)
    named = {"name": row.name} if known is not None and known.is_named else {}
    test: dict[str, Any] = {"field": row.field, **named, "operator": row.operator, "value": row.value}
    if known is not None and known.kind == "yes_no":
        test |= {"operator": "equals", "value": row.value != "no"}
    elif known is not None and known.kind == "days":
        test |= {"operator": "in", "value": list(row.values)}
    elif known is not None and known.kind == "times":
        test |= {"operator": "between"}
    elif row.operator in TEXT_OPERATORS and TEXT_OPERATORS[row.operator].takes == "list":
        test |= {"value": [line.strip() for line in row.value.splitlines() if line.strip()]}
    return {"not": test} if row.is_not else test


def fault_of(row: Row) -> str:
    """What is wrong with a row, in a sentence; empty where nothing is."""
    try:
        parse_condition(row_json(row))
    except ValueError as error:
        fault: str = error.args[0]
        return fault
    return ""


def with_block(form: Form) -> Form:
    """A further block, with an empty row."""
    return replace(form, blocks=(*form.blocks, Block()))


def with_row(form: Form, block: int) -> Form:
    """A further row in that block; the form as it was where there is no such block."""
    return _changed(form, block, lambda rows: (*rows, Row()))


def without_row(form: Form, block: int, row: int) -> Form:
    """Without that row; a block goes with its last one."""
    shorter = _changed(form, block, lambda rows: rows[:row] + rows[row + 1 :])
    return replace(shorter, blocks=tuple(each for each in shorter.blocks if each.rows))


def _changed(form: Form, block: int, change: Any) -> Form:
    if not 0 <= block < len(form.blocks):
        return form
    blocks = list(form.blocks)
    blocks[block] = replace(blocks[block], rows=change(blocks[block].rows))
    return replace(form, blocks=tuple(blocks))


def _row_of(part: Condition) -> Row | None:
    is_not = isinstance(part, Group) and part.kind == "not"
    test = part.conditions[0] if isinstance(part, Group) and is_not else part
    if not isinstance(test, Test):
        return None
    kind = FIELDS[test.field].kind
    if kind == "yes_no":
        return Row(test.field, "equals", "yes" if test.value else "no", is_not=is_not)
    if kind == "days":
        return Row(test.field, "in", values=tuple(map(str, test.value)), is_not=is_not)  # type: ignore[arg-type]
    texts = test.value if isinstance(test.value, tuple) else (str(test.value),)
    # A line break would make two texts of one.
    if any(len(text.splitlines()) > 1 for text in texts):
        return None
    return Row(test.field, test.operator, "\n".join(texts), test.name, is_not)


def _block_of(part: Condition) -> Block | None:
    """A block that says the same as the part, if there is one."""
    row = _row_of(part)
    if row is not None:
        return Block("all", (row,))
    if isinstance(part, Test):
        return None
    kind: BlockKind = "all"
    conditions = part.conditions
    if part.kind == "any":
        kind = "any"
    elif part.kind == "not":
        inner = part.conditions[0]
        # Not all of them: that has no block of its own.
        if not isinstance(inner, Group) or inner.kind != "any":
            return None
        kind, conditions = "none", inner.conditions
    rows = tuple(row for each in conditions if (row := _row_of(each)) is not None)
    return Block(kind, rows) if rows and len(rows) == len(conditions) else None


def _block_json(block: Block) -> dict[str, Any]:
    rows = [row_json(row) for row in block.rows]
    if block.kind == "none":
        return {"not": {"any": rows}}
    return {block.kind: rows}
