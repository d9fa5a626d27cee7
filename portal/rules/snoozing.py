"""When a ticket may be put aside, until when people usually do, and what is due meanwhile."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from portal.rules import lifecycle
from portal.rules.decision import Decision, Evidence
from portal.wording import N_, sentence

LONGEST = timedelta(days=366)
MORNING = time(9)
# "Later today" is offered as long as it ends before the evening.
LATER = timedelta(hours=3)
EVENING = time(19)
MONDAY = 0


@dataclass(frozen=True, slots=True)
class Preset:
    """A usual moment to have a ticket back, aware, in the zone of whoever asked."""

    label: str
    at: datetime


def presets(at: datetime, zone: ZoneInfo) -> tuple[Preset, ...]:
    """The usual moments after `at`, as clocks in `zone` show them, the soonest first; each moment once."""
    here = at.astimezone(zone)
    later = (at + LATER).astimezone(zone).replace(minute=0, second=0, microsecond=0)
    found = [
        Preset(N_("Tomorrow morning"), _morning(here, 1)),
        Preset(N_("Monday"), _morning(here, (MONDAY - here.weekday() - 1) % 7 + 1)),
        Preset(N_("In a week"), _morning(here, 7)),
    ]
    if later.date() == here.date() and later.time() <= EVENING:
        found.insert(0, Preset(N_("Later today"), later))
    return tuple(sorted({preset.at: preset for preset in reversed(found)}.values(), key=lambda each: each.at))


def check_snooze(status: str, until: datetime, at: datetime, life: lifecycle.Lifecycle) -> Decision:
    """Whether a ticket of `status` may be put aside until that moment. Both moments aware."""
    evidence: Evidence = {"status": status, "until": until.isoformat()}
    if status not in lifecycle.OPEN_STATUSES:
        reason = sentence(
            "A ticket that is %(status)s is out of the way already. Only open ones are snoozed.",
            status=lifecycle.label(status, life),
        )
        return Decision(False, "not_open", reason, evidence)
    if until <= at:
        return Decision(
            False, "passed", N_("That moment has passed. Choose one that is still to come."), evidence
        )
    if until > at + LONGEST:
        return Decision(False, "too_long", N_("Choose a moment within the next year."), evidence)
    return Decision(True, "allowed", N_("It comes back then, or as soon as the customer writes."), evidence)


def is_due_before(due_at: datetime | None, until: datetime) -> bool:
    """Whether a clock runs out while the ticket is out of sight: clocks do not stand still for a snooze."""
    return due_at is not None and due_at < until


def _morning(here: datetime, days: int) -> datetime:
    # Of the calendar day, so that a night in which clocks change does not move the morning.
    return datetime.combine(here.date() + timedelta(days=days), MORNING, tzinfo=here.tzinfo)
