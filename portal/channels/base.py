"""What every channel is made of.

A channel gets everything by argument: its settings as a frozen dataclass, and a callback that keeps what came in. A
new one brings a module or package here with

- a way in that hands `IncomingBytes` to an `Accept`, and tells its source only after that has returned;
- `parse…(raw: bytes)`: a pure function that gives a frozen dataclass and never raises, whatever the bytes;
- `compose…(…) -> bytes`: the same bytes for the same input, so that a second try is recognised as one;
- a `Sender`: hands those bytes over and says what became of each recipient, without raising for the far end's trouble;
- a `ConnectionTest`: the steps of reaching the far end, each with a sentence for the admin who typed the settings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

RecipientState = Literal["sent", "deferred", "failed"]


@dataclass(frozen=True, slots=True)
class IncomingBytes:
    """What a source hands over. `source_key` is the same when the source hands the same thing over again."""

    source_key: str  # at most 255 characters
    channel_kind: str
    account_id: int | None  # None: to be found by `envelope_to`
    envelope_from: str  # empty for bounces, and where there is no envelope
    envelope_to: tuple[str, ...]
    received_at: datetime  # UTC
    raw: bytes


# Keeps the bytes for good (commits) or raises; the source hears "accepted" only when this has returned.
Accept = Callable[[IncomingBytes], object]


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """What is handed to the far end: composed bytes and whom they are for."""

    envelope_from: str
    recipients: tuple[str, ...]
    raw: bytes


@dataclass(frozen=True, slots=True)
class RecipientResult:
    """What became of a message for one recipient. `deferred` may be tried again, `failed` may not.

    `code` is the far end's own, None when it did not get to say anything; `reply` is one line for people.
    """

    recipient: str
    state: RecipientState
    code: int | None
    reply: str


@dataclass(frozen=True, slots=True)
class DeliveryReceipt:
    """What became of an outgoing message: one result for each recipient, in their order."""

    results: tuple[RecipientResult, ...]

    @property
    def is_settled(self) -> bool:
        """Whether nobody is left to try again for."""
        return all(result.state != "deferred" for result in self.results)


@dataclass(frozen=True, slots=True)
class ConnectionStep:
    """One step of reaching the far end: `step` is its short name, `sentence` says what was found."""

    step: str
    ok: bool
    sentence: str


class ChannelTrouble(Exception):
    """The far end could not be used. The text is a sentence for the admin; `step` says how far we came."""

    def __init__(self, step: str, sentence: str) -> None:
        super().__init__(sentence)
        self.step = step


class Sender(Protocol):
    """Hands bytes to the far end."""

    def __call__(
        self, settings: Any, envelope_from: str, recipients: Sequence[str], raw: bytes, /
    ) -> list[RecipientResult]:
        """One result for each recipient, in their order. Trouble on the way defers, it does not raise."""


class ConnectionTest(Protocol):
    """Tries the settings without sending or changing anything."""

    def __call__(self, settings: Any, /) -> list[ConnectionStep]:
        """The steps that were taken; only the last one can have failed."""
