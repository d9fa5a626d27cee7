"""The answer that every yes-or-no rule gives."""

from dataclasses import dataclass, field
from typing import Any

# What a decision rests on: JSON-able, stored beside it, shown to whoever asks why.
Evidence = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something may happen. `rule` is a short stable name, `reason` a sentence for people."""

    allowed: bool
    rule: str
    reason: str
    evidence: Evidence = field(default_factory=dict)
