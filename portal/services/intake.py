"""From raw bytes to a message in a ticket: accept first, acknowledge after, parse later.

`accept` is what a source waits for: one row, one commit. `process` does the rest in a job, as often as it takes,
and makes one message of one mail however many workers try at once.
"""

import hashlib
import math
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import structlog
from sqlalchemy import ColumnElement, Table, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import undefer

from portal import enqueue, faults
from portal.channels.base import IncomingBytes
from portal.channels.email.parsing import ParsedMail
from portal.errors import Retryable
from portal.extensions import db
from portal.models import InboxItem
from portal.models.columns import now
from portal.services import arrivals, events
from portal.services.transaction import transaction

MOST_ATTEMPTS = 5
FIRST_PAUSE = timedelta(seconds=10)
# So many mails, and no more bytes than that, are in one transaction. Of what is left in the end each worker takes a
# third, so that all of them have something to do until it is done.
BATCH = 100
SMALLEST_BATCH = 50
SHARES = 3
BATCH_BYTES = 24 * 1024 * 1024

# Written against the table: a source waits for it, and an entity would cost as much as the row.
_TABLE = cast(Table, InboxItem.__table__)
_KEEP = insert(_TABLE).on_conflict_do_nothing(index_elements=["source_key"]).returning(_TABLE.c.id)

log = structlog.get_logger()


def accept(incoming: IncomingBytes, *, problem: str = "") -> int:
    """Keep the bytes and return the inbox item's id. Commits; only then may the source be told.

    Bytes under a source key that is known already are not kept twice. With a `problem` (a mail that its mailbox could
    not give whole) the item goes to quarantine for someone to look. Raises sqlalchemy.exc.OperationalError when
    the database does not take them: the source must then be told to try again.
    """
    with transaction():
        item_id: int | None = db.session.scalar(
            _KEEP,
            {
                "source_key": incoming.source_key,
                "channel_kind": incoming.channel_kind,
                "account_id": incoming.account_id,
                "envelope_from": incoming.envelope_from,
                "envelope_to": list(incoming.envelope_to),
                "raw": incoming.raw,
                "size_bytes": len(incoming.raw),
                "sha256": hashlib.sha256(incoming.raw).hexdigest(),
                "state": "quarantined" if problem else "accepted",
                "reason": problem,
                "attempt_count": 0,
                "next_attempt_at": now(),
                "created_at": incoming.received_at,
            },
        )
        if item_id is not None and problem:
            events.record("mail_quarantined", data={"inbox_item": item_id, "reason": problem})
        elif item_id is not None:
            enqueue.wake_after_commit("portal.jobs.intake.process_waiting", queue="intake")
        faults.point("mail_kept")
    faults.point("mail_committed")
    if item_id is None:
        item_id = db.session.scalar(select(InboxItem.id).where(InboxItem.source_key == incoming.source_key))
    assert item_id is not None, "a key that was in the way belongs to an item"
    return item_id


def has_owed() -> bool:
    """Whether an accepted item waits whose time has come. Reads only."""
    owed = select(InboxItem.id).where(_is_owed()).limit(1)
    return db.session.scalar(owed) is not None


def process_waiting(most_seconds: float = math.inf) -> int:
    """Make messages of all accepted items whose time has come, the longest waiting first; return how many.

    Begins no further batch after `most_seconds`; `has_owed` then says whether more is left.
    Commits after each batch. Several workers share what is there: none waits for what another has in hand. When a
    batch fails as a whole, its mails are processed one by one, so that one bad mail never stops the next.
    """
    done_count = 0
    end = time.monotonic() + most_seconds
    before: dict[int, ParsedMail] = {}
    left: dict[int, ParsedMail] = {}
    while time.monotonic() < end:
        # What another worker had in hand a moment ago is passed over for a round.
        batch = _process_batch(left, {**before, **left})
        done_count += batch.done_count
        if not batch.ids and not left:
            return done_count
        if batch.ids and not batch.done_count:
            # All of it hangs together with what another worker has in hand.
            process(batch.ids[0])
            done_count += 1
        before, left = left, batch.left
    return done_count


def process(inbox_item_id: int) -> None:
    """Make a message of one accepted item, or put it into quarantine with the reason. Commits.

    Does nothing when that has happened already or another worker is at it. What goes wrong is tried again with
    growing pauses; after MOST_ATTEMPTS the item waits in quarantine for someone to look.
    """
    try:
        with transaction():
            items = _locked([inbox_item_id])
            if items:
                arrivals.take(items, may_wait=True)
    except Exception as error:
        log.exception("intake_failed", inbox_item_id=inbox_item_id)
        _note_failure(inbox_item_id, error)


def retry(item: InboxItem) -> None:
    """Process a quarantined item again. Commits."""
    with transaction(item):
        item.state, item.reason, item.attempt_count, item.next_attempt_at = "accepted", "", 0, now()
        enqueue.wake_after_commit("portal.jobs.intake.process_waiting", queue="intake")


@dataclass(frozen=True)
class _Batch:
    """The items that were claimed, and what became of them."""

    ids: list[int]
    done_count: int
    left: dict[int, ParsedMail]


def _process_batch(passed_over: Collection[int], known: Mapping[int, ParsedMail]) -> _Batch:
    """Deal with a batch of owed items, without those passed over. Commits. `known`: see arrivals.take."""
    ids: list[int] = []
    try:
        with transaction():
            ids = _claimed_ids(passed_over)
            items = _locked(ids)
            faults.point("intake_claimed")
            taken = arrivals.take(items, may_wait=False, known=known) if items else arrivals.Taken(0, {})
            faults.point("intake_written")
        batch = _Batch(ids, taken.done_count, taken.left)
    except Exception:
        log.exception("intake_batch_failed", inbox_item_ids=ids)
        for inbox_item_id in ids:
            process(inbox_item_id)
        batch = _Batch(ids, len(ids), {})
    faults.point("intake_committed")
    # The next batch begins with nothing of the session's in memory.
    db.session.remove()
    return batch


def _claimed_ids(passed_over: Collection[int]) -> list[int]:
    """Ids of owed items that nobody else has in hand, now locked; so many as fit a batch, at least one."""
    waiting = select(InboxItem.id).where(_is_owed()).limit(SHARES * BATCH).subquery()
    waiting_count = db.session.scalar(select(func.count()).select_from(waiting)) or 0
    owed = (
        select(InboxItem.id, InboxItem.size_bytes)
        .where(_is_owed(), InboxItem.id.not_in(passed_over))
        .order_by(InboxItem.next_attempt_at, InboxItem.id)
        .limit(min(max(waiting_count // SHARES, SMALLEST_BATCH), BATCH))
        .with_for_update(skip_locked=True)
    )
    ids: list[int] = []
    size_bytes = 0
    for item_id, item_bytes in db.session.execute(owed):
        size_bytes += item_bytes
        if ids and size_bytes > BATCH_BYTES:
            break
        ids.append(item_id)
    return ids


def _locked(ids: list[int]) -> list[InboxItem]:
    if not ids:
        return []
    found = (
        select(InboxItem)
        .where(InboxItem.id.in_(ids), InboxItem.state == "accepted")
        .options(undefer(InboxItem.raw))
        .order_by(InboxItem.id)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return list(db.session.scalars(found))


def _is_owed() -> ColumnElement[bool]:
    return (InboxItem.state == "accepted") & (InboxItem.next_attempt_at <= now())


def _note_failure(inbox_item_id: int, error: Exception) -> None:
    with transaction():
        item = db.session.get(InboxItem, inbox_item_id, with_for_update=True)
        if item is None or item.state != "accepted":
            return
        item.attempt_count += 1
        item.reason = f"{type(error).__name__}: {error}"[:1000]
        if item.attempt_count >= MOST_ATTEMPTS and not isinstance(error, Retryable):
            arrivals.quarantine(item, item.reason)
        else:
            item.next_attempt_at = now() + FIRST_PAUSE * 2 ** min(item.attempt_count, 8)
