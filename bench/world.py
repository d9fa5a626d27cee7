"""A desk's year, made up the same way every time: what `bench.loader` copies into the database.

Ticket `index` of `count` decides everything about itself from its own number, so that any part can be made alone.
Times are seconds since 1970, counted back from `World.anchor`.
"""

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

BRANCH_COUNT = 20
AGENTS_PER_BRANCH = 10
TEMPLATE_COUNT = 50
TAG_COUNT = 20
YEAR_SECONDS = 365 * 86_400
OPEN_SHARE = 0.04
# A small desk has as many open tickets, so that its pages are as full as those of a large one.
LEAST_OPEN = 4_000
CLOSED_AFTER_SECONDS = 14 * 86_400
FIRST_RESPONSE_TARGET = 4 * 3600
RESOLUTION_TARGET = 3 * 86_400
COMMON_WORD, RARE_WORD = "parcel", "quillwort"
RARE_COUNT = 20
FIRST_NUMBER = 10_001

COLUMNS = {
    "customer": "id name language level notes created_at",
    "identity": "id customer_id kind address suppressed_reason created_at",
    "ticket": (
        "id number subject status priority type severity language branch_id tier_level assignee_id customer_id "
        "channel_kind account_id policy_id policy_version_id calendar_id created_at last_activity_at "
        "last_customer_message_at picked_up_at "
        "first_viewed_at first_responded_at resolved_at closed_at unread_since snippet is_last_message_ours "
        "message_count reopened_count next_due_at next_due_kind is_breached is_paused revision"
    ),
    "ticket_tag": "ticket_id tag_id",
    "inbox_item": (
        "id source_key channel_kind account_id envelope_from raw size_bytes sha256 state reason attempt_count "
        "next_attempt_at ticket_id processed_at created_at"
    ),
    "message": (
        "id ticket_id direction channel_kind account_id author_id template_id inbox_item_id from_address from_name "
        "subject text html quoted_text quoted_html has_remote_images is_auto_reply is_bounce is_automatic "
        "message_id_header in_reply_to_header references_headers thread_rule delivery_state sent_at created_at"
    ),
    "clock": (
        "id ticket_id policy_id kind cycle state target_seconds elapsed_seconds started_at stopped_at due_at "
        "warnings warn_at breached_at"
    ),
    "escalation": (
        'id ticket_id branch_id from_level to_level "trigger" reason created_at ended_at ended_how note'
    ),
    "event": (
        "id occurred_at kind version actor_kind actor_id ticket_id message_id branch_id tier_level channel_kind data"
    ),
}
NULL = "\\N"


@dataclass(frozen=True)
class World:
    """How many tickets, and the moment at which the year ends (a midnight, in seconds since 1970)."""

    ticket_count: int
    anchor: int

    @property
    def customer_count(self) -> int:
        return max(1, self.ticket_count // 4)

    @property
    def thread_numbers(self) -> dict[int, int]:
        """The ticket numbers of the threads with 10, 50 and 500 messages."""
        last = FIRST_NUMBER + self.ticket_count
        return {10: last - 3, 50: last - 2, 500: last - 4}

    @property
    def first_open(self) -> int:
        """From this ticket on they are open."""
        share = min(0.5, max(OPEN_SHARE, LEAST_OPEN / self.ticket_count))
        return int(self.ticket_count * (1 - share))


@dataclass
class Rows:
    """Lines in COPY's text format, by table."""

    lines: dict[str, list[str]] = field(default_factory=lambda: {table: [] for table in COLUMNS})

    def add(self, table: str, *values: object) -> None:
        self.lines[table].append("\t".join([NULL if value is None else str(value) for value in values]))


def customers(world: World) -> Iterator[Rows]:
    """Every customer with one address, in portions."""
    created = stamp(world.anchor - YEAR_SECONDS)
    for first in range(0, world.customer_count, 20_000):
        rows = Rows()
        for index in range(first, min(first + 20_000, world.customer_count)):
            number = index + 1
            rows.add("customer", number, customer_name(index), "en", "", "", created)
            rows.add("identity", number, number, "email", customer_address(index), "", created)
        yield rows


def tickets(world: World, portion: int = 5_000) -> Iterator[Rows]:
    """Every ticket with what belongs to it, in portions, the oldest first."""
    maker = _Maker(world)
    for first in range(0, world.ticket_count, portion):
        maker.rows = Rows()
        for index in range(first, min(first + portion, world.ticket_count)):
            maker.ticket(index)
        yield maker.rows


def customer_name(index: int) -> str:
    return f"{_FIRST_NAMES[index % len(_FIRST_NAMES)]} {_LAST_NAMES[(index // 7) % len(_LAST_NAMES)]}"


def customer_address(index: int) -> str:
    return f"customer{index}@mail{index % 97}.example"


def everyday_word() -> str:
    """The word that most sentences hold."""
    return _WORDS[0]


def template_text(number: int) -> str:
    """A few sentences for the template of that number."""
    return _text(number, has_rare=False)


def stamp(seconds: int | None) -> str | None:
    """A time in the form COPY reads fastest."""
    if seconds is None:
        return None
    day, rest = divmod(seconds, 86_400)
    if day not in _DAYS:
        from datetime import date

        _DAYS[day] = date.fromordinal(719_163 + day).isoformat()
    return f"{_DAYS[day]} {rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}+00"


class _Maker:
    """Numbers the rows while it makes them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rows = Rows()
        self.message_id = self.event_id = self.clock_id = self.escalation_id = self.inbox_id = 0
        self._thread_lengths = {number: length for length, number in world.thread_numbers.items()}

    def ticket(self, index: int) -> None:
        """One ticket, its three messages (or 10, 50, 500), clocks and events."""
        world, ticket_id = self.world, index + 1
        chance = _mix(index)
        created = world.anchor - YEAR_SECONDS + int(YEAR_SECONDS * (index + 0.5) / world.ticket_count)
        thread = self._thread_lengths.get(FIRST_NUMBER + index, 3)
        if thread > 3:
            created = world.anchor - 1_200 * thread
        branch_id = 1 if thread > 3 else 1 + chance % BRANCH_COUNT
        status = "open" if thread > 3 else self._status(index, chance, created)
        waited = _WAITS[(chance >> 5) % len(_WAITS)]
        is_answered = status not in ("new", "spam")
        responded = min(created + waited, world.anchor - 60) if is_answered else None
        waited = responded - created if responded else waited
        viewed = created + waited * 2 // 5 if is_answered else None
        picked = created + waited // 2 if is_answered and (chance >> 9) % 100 < 80 else None
        agent_id = agent_ids(branch_id)[(chance >> 3) % AGENTS_PER_BRANCH] if is_answered else None
        is_escalated = is_answered and (chance >> 11) % 100 < 6
        is_open = status in ("new", "open", "pending", "on_hold")
        resolved = (
            min(created + waited * 4 + 3_600, world.anchor) if status in ("resolved", "closed") else None
        )
        closed = resolved + CLOSED_AFTER_SECONDS if status == "closed" and resolved else None
        template_id = 1 + chance % TEMPLATE_COUNT if (chance >> 13) % 100 < 45 else None
        customer = _mix(index + 77) % world.customer_count

        place = (branch_id, 2 if is_escalated and is_open else 1)
        dues = self._clocks(ticket_id, created, responded, resolved, status)
        due = min(dues, default=None)
        last = resolved or (responded + 600 if responded else created)
        self.rows.add(
            "ticket",
            ticket_id,
            FIRST_NUMBER + index,
            _subject(chance, has_rare=_is_rare(index, world.ticket_count)),
            status,
            _PRIORITIES[(chance >> 7) % len(_PRIORITIES)],
            _TYPES[(chance >> 8) % len(_TYPES)],
            "none",
            "en",
            *place,
            agent_id if (chance >> 4) % 10 else None,
            customer + 1,
            "email",
            branch_id,
            1,
            1,
            1,
            stamp(created),
            stamp(last),
            stamp(created),
            stamp(picked),
            stamp(viewed),
            stamp(responded),
            stamp(resolved),
            stamp(closed),
            None if is_answered else stamp(created),
            _SENTENCES[chance % len(_SENTENCES)][:150],
            "f",
            thread,
            0,
            stamp(due[0]) if due else None,
            due[1] if due else None,
            "t" if due and due[0] < world.anchor else "f",
            "t" if status == "pending" else "f",
            thread,
        )
        if chance % 3 == 0:
            self.rows.add("ticket_tag", ticket_id, 1 + (chance >> 2) % TAG_COUNT)
        fact = _Facts(self, ticket_id, place)
        fact.add(
            "ticket_opened",
            created,
            "customer",
            data='{"priority": "normal", "route": "account", "follows": null}',
        )
        if viewed:
            fact.add(
                "ticket_viewed",
                viewed,
                "agent",
                agent_id,
                data=f'{{"is_first": true, "waited_seconds": {viewed - created}}}',
            )
        if picked:
            fact.add(
                "ticket_picked_up",
                picked,
                "agent",
                agent_id,
                data=f'{{"from": null, "to": {agent_id}, "name": ""}}',
            )
        self._messages(index, fact, thread, customer, agent_id, created, responded, template_id)
        if is_escalated and responded:
            self.escalation_id += 1
            self.rows.add(
                "escalation",
                self.escalation_id,
                ticket_id,
                branch_id,
                1,
                2,
                "manual",
                "Needs a specialist",
                stamp(responded),
                None if is_open else stamp(responded + 3_600),
                "" if is_open else "handed_back",
                "",
            )
            fact.add(
                "ticket_escalated",
                responded,
                "agent",
                agent_id,
                data='{"from_level": 1, "to_level": 2, "trigger": "manual"}',
            )
        if responded:
            fact.add(
                "status_changed",
                responded,
                "agent",
                agent_id,
                data='{"from": "new", "to": "pending", "rule": "answered"}',
            )
            fact.add(
                "sla_met",
                responded,
                data=f'{{"clock": "first_response", "cycle": 1, "elapsed_seconds": {waited}}}',
            )
        if resolved:
            fact.add(
                "status_changed",
                resolved,
                "agent",
                agent_id,
                data='{"from": "pending", "to": "resolved", "rule": "allowed"}',
            )
            fact.add(
                "sla_met",
                resolved,
                data=f'{{"clock": "resolution", "cycle": 1, "elapsed_seconds": {resolved - created}}}',
            )

    def _status(self, index: int, chance: int, created: int) -> str:
        if index >= self.world.first_open:
            return _OPEN_STATUSES[(chance >> 6) % len(_OPEN_STATUSES)]
        if (chance >> 6) % 50 == 0:
            return "spam"
        return "closed" if created < self.world.anchor - 2 * CLOSED_AFTER_SECONDS else "resolved"

    def _clocks(
        self, ticket_id: int, created: int, responded: int | None, resolved: int | None, status: str
    ) -> list[tuple[int, str]]:
        """The first-response and resolution clocks; returns when the running ones are due."""
        dues = []
        for kind, target, stopped in (
            ("first_response", FIRST_RESPONSE_TARGET, responded),
            ("resolution", RESOLUTION_TARGET, resolved),
        ):
            due = created + target
            is_late = (stopped or self.world.anchor) > due
            state = "breached" if is_late else "met" if stopped else "running"
            ended = created if status == "spam" else stopped
            if status == "spam":
                state, is_late = "cancelled", False
            elif status == "pending" and not stopped and not is_late:
                state = "paused"
            if state == "running" or (state == "breached" and not stopped):
                dues.append((due, kind))
            warned = stamp(created + target * 3 // 4) if state == "running" else None
            self.clock_id += 1
            self.rows.add(
                "clock",
                self.clock_id,
                ticket_id,
                1,
                kind,
                1,
                state,
                target,
                (ended or self.world.anchor) - created,
                stamp(created),
                stamp(ended),
                stamp(due),
                f'[[75, "{warned}"]]' if warned else "[]",
                warned,
                stamp(due) if is_late else None,
            )
        return dues

    def _messages(
        self,
        index: int,
        fact: "_Facts",
        thread: int,
        customer: int,
        agent_id: int | None,
        created: int,
        responded: int | None,
        template_id: int | None,
    ) -> None:
        ticket_id, branch_id = index + 1, fact.place[0]
        gap = ((responded or created) - created) or 60
        for position in range(thread):
            self.message_id += 1
            is_ours = bool(responded) and position % 2 == 1
            at = created + gap * position if position < 2 else (responded or created) + 600 * (position - 1)
            at = min(at, self.world.anchor - 1)
            text = _text(
                index * 53 + position, has_rare=position == 0 and _is_rare(index, self.world.ticket_count)
            )
            used = template_id if is_ours and position == 1 else None
            if position == 0:
                self.inbox_id += 1
                self.rows.add(
                    "inbox_item",
                    self.inbox_id,
                    f"bench-{index}",
                    "email",
                    branch_id,
                    customer_address(customer),
                    "\\\\x00",
                    1,
                    "0" * 64,
                    "processed",
                    "",
                    1,
                    stamp(at),
                    ticket_id,
                    stamp(at),
                    stamp(at),
                )
            self.rows.add(
                "message",
                self.message_id,
                ticket_id,
                "out" if is_ours else "in",
                "email",
                branch_id,
                agent_id if is_ours else None,
                used,
                self.inbox_id if position == 0 else None,
                f"support{branch_id}@bench.test" if is_ours else customer_address(customer),
                "Support" if is_ours else customer_name(customer),
                _subject(_mix(index)),
                text,
                f"<p>{text}</p>",
                "",
                "",
                "f",
                "f",
                "f",
                "f",
                f"<{ticket_id}.{position}@bench.test>",
                f"<{ticket_id}.{position - 1}@bench.test>" if position else "",
                f'{{"<{ticket_id}.{position - 1}@bench.test>"}}' if position else "{}",
                "message_id" if position else "new_ticket",
                "sent" if is_ours else "",
                stamp(at) if is_ours else None,
                stamp(at),
            )
            if is_ours:
                data: dict[str, object] = {"template_id": used}
                if position == 1 and responded:
                    data |= {
                        "first_response_seconds": responded - created,
                        "business_seconds": (responded - created) // 3,
                    }
                fact.add("reply_sent", at, "agent", agent_id, self.message_id, json.dumps(data))
                if used:
                    fact.add(
                        "template_sent",
                        at,
                        "agent",
                        agent_id,
                        self.message_id,
                        f'{{"template": {used}, "name": ""}}',
                    )
            else:
                fact.add(
                    "message_received",
                    at,
                    "customer",
                    None,
                    self.message_id,
                    '{"rule": "message_id", "is_automatic": false}',
                )


@dataclass(frozen=True)
class _Facts:
    """Writes events of one ticket."""

    maker: _Maker
    ticket_id: int
    place: tuple[int, int]

    def add(
        self,
        kind: str,
        at: int,
        actor_kind: str = "system",
        actor_id: int | None = None,
        message_id: int | None = None,
        data: str = "{}",
    ) -> None:
        self.maker.event_id += 1
        self.maker.rows.add(
            "event",
            self.maker.event_id,
            stamp(at),
            kind,
            1,
            actor_kind,
            actor_id,
            self.ticket_id,
            message_id,
            *self.place,
            "email",
            data,
        )


def agent_ids(branch_id: int) -> range:
    """The users who work in a branch: the first leads it. User 1 is the admin."""
    first = 2 + (branch_id - 1) * AGENTS_PER_BRANCH
    return range(first, first + AGENTS_PER_BRANCH)


def _mix(number: int) -> int:
    """A number that looks like chance and is always the same (the finaliser of MurmurHash3)."""
    number = (number + 0x9E3779B9) & 0xFFFFFFFF
    number = ((number ^ (number >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    number = ((number ^ (number >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return number ^ (number >> 16)


def _is_rare(index: int, count: int) -> bool:
    return index % max(1, count // RARE_COUNT) == 7


def _subject(chance: int, *, has_rare: bool = False) -> str:
    """Four words and an order number; the common word in one of twenty, the rare one where it is wanted."""
    word = RARE_WORD if has_rare else COMMON_WORD if (chance >> 10) % 20 == 3 else "order"
    return f"{_PHRASES[chance % len(_PHRASES)]} {word} {10_000 + (chance >> 7) % 89_999}"


def _text(seed: int, *, has_rare: bool) -> str:
    chance = _mix(seed)
    parts = [_SENTENCES[(chance >> shift) % len(_SENTENCES)] for shift in (0, 5, 9, 14)]
    return " ".join([*parts, RARE_WORD] if has_rare else parts)


def _make_words(dice: random.Random, amount: int) -> list[str]:
    syllables = [first + vowel for first in "bdfghklmnprstvw" for vowel in "aeiou"]
    words: dict[str, None] = {}
    while len(words) < amount:
        words["".join(dice.choice(syllables) for _ in range(dice.randint(2, 4)))] = None
    return list(words)


def _make_sentence(dice: random.Random) -> str:
    # Zipf: the word of rank r is used about 1/r as often as the first.
    chosen = [_WORDS[int(len(_WORDS) ** dice.random()) - 1] for _ in range(11)]
    if dice.random() < 0.03:
        chosen[dice.randrange(11)] = COMMON_WORD
    return " ".join(chosen).capitalize() + "."


_DICE = random.Random(20_261_123)
_DAYS: dict[int, str] = {}
_WORDS = _make_words(_DICE, 6_000)
_SENTENCES = [_make_sentence(_DICE) for _ in range(8_000)]
_PHRASES = [
    " ".join(_WORDS[int(len(_WORDS) ** _DICE.random()) - 1] for _ in range(4)).capitalize()
    for _ in range(3_000)
]
_FIRST_NAMES = [
    "Zoë",
    "Harald",
    "Imani",
    "Lena",
    "Tomás",
    "Aiko",
    "Pavel",
    "Noor",
    "Ruth",
    "Kwame",
    "Ines",
    "Jonas",
]
_LAST_NAMES = [word.capitalize() for word in _WORDS[100:500]]
# A long tail, as waiting times have: half under an hour and a half, nine in ten under seven hours.
_WAITS = [int(min(86_400, math.exp(_DICE.gauss(8.5, 1.1)))) + 30 for _ in range(4_096)]
_PRIORITIES = ["normal"] * 6 + ["low", "low", "high", "urgent"]
_TYPES = ["question"] * 5 + ["incident"] * 3 + ["bug", "feature_request"]
_OPEN_STATUSES = ["new"] * 3 + ["open"] * 4 + ["pending"] * 2 + ["on_hold"]
