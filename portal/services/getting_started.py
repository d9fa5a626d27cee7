"""What a desk needs before customers can be answered, and what of it is there."""

from dataclasses import dataclass

from sqlalchemy import exists, select

from portal.extensions import Model, db
from portal.models import (
    Branch,
    BranchMembership,
    Calendar,
    ChannelAccount,
    EscalationTier,
    ReplyTemplate,
    SlaPolicy,
)
from portal.wording import N_


@dataclass(frozen=True)
class Step:
    """Something to set up: what, why, and where. `view` is the admin's view of it, `model` what is there then."""

    what: str
    why: str
    view: str
    model: type[Model]


# In the order in which each can be made: a branch needs a calendar, a person a branch.
STEPS = (
    Step(N_("Working hours"), N_("Clocks that count business time run in them."), "CalendarView", Calendar),
    Step(N_("Targets"), N_("How soon customers are to be answered."), "PolicyView", SlaPolicy),
    Step(N_("A branch"), N_("Where tickets belong, and who works on them."), "BranchView", Branch),
    Step(N_("Tiers"), N_("Who answers first, and who is asked next."), "TierView", EscalationTier),
    Step(N_("People"), N_("Everybody who answers, with their branches."), "PeopleView", BranchMembership),
    Step(N_("An address"), N_("The mailbox that customers write to."), "AccountView", ChannelAccount),
    Step(N_("Templates"), N_("Prepared replies, which the console suggests."), "TemplateView", ReplyTemplate),
)


def steps_done() -> list[bool]:
    """Of each of STEPS whether there is one. One statement."""
    found = db.session.execute(select(*(exists(select(step.model)) for step in STEPS))).one()
    return list(found)


def has_branch() -> bool:
    """Whether there is any branch at all."""
    return bool(db.session.scalar(select(exists(select(Branch)))))
