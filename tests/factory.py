"""Rows for tests, each with only what the test does not care about filled in."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from flask_appbuilder.security.sqla.models import User

from portal.extensions import appbuilder, db
from portal.models import (
    Agent,
    Branch,
    BranchMembership,
    Calendar,
    CalendarVersion,
    ChannelAccount,
    Customer,
    EscalationTier,
    Identity,
    Message,
    ReplyTemplate,
    SlaPolicy,
    Ticket,
    TicketField,
)
from portal.models.columns import now
from portal.services import policies

FROM_THE_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
ALL_WEEK = [{"weekday": day, "start": "00:00", "end": "24:00"} for day in range(7)]


class Factory:
    """Makes rows and commits them (into the test's savepoint)."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def calendar(self, **values: Any) -> Calendar:
        """A calendar with one version; `values` are its name and what the version says."""
        name = values.pop("name", f"Calendar {next(self._numbers)}")
        version = CalendarVersion(
            **{"windows": ALL_WEEK, "recorded_at": FROM_THE_BEGINNING, "counted_at": now(), **values}
        )
        return self._add(Calendar(name=name, versions=[version]))

    def calendar_version(self, calendar: Calendar, **values: Any) -> CalendarVersion:
        return self._add(CalendarVersion(**{"calendar": calendar, "windows": ALL_WEEK, **values}))

    def policy(self, **values: Any) -> SlaPolicy:
        number = next(self._numbers)
        defaults = {
            "name": f"Policy {number}",
            "first_response_minutes": 60,
            "next_response_minutes": 120,
            "resolution_minutes": 480,
        }
        policy = self._add(SlaPolicy(**{**defaults, **values}))
        policies.newest_version(policy)
        db.session.commit()
        return policy

    def branch(self, *, tiers: int = 2, **values: Any) -> Branch:
        number = next(self._numbers)
        if "calendar" not in values and "calendar_id" not in values:
            values["calendar"] = self.calendar()
        if "policy" not in values:
            values["policy"] = self.policy()
        branch = self._add(Branch(**{"code": f"B{number}", "name": f"Branch {number}", **values}))
        for level in range(1, tiers + 1):
            self._add(EscalationTier(branch=branch, level=level, name=f"Tier {level}"))
        return branch

    def agent(
        self,
        role: str = "Agent",
        branch: Branch | None = None,
        *,
        tier: int = 1,
        is_lead: bool = False,
        username: str | None = None,
        password: str | None = None,
        first_name: str = "Ana",
        on_call: int | None = None,
    ) -> User:
        from werkzeug.security import generate_password_hash

        name = username or f"person{next(self._numbers)}"
        user = User(
            username=name,
            first_name=first_name,
            last_name=name.title(),
            email=f"{name}@desk.test",
            active=True,
            password=generate_password_hash(password) if password else None,
        )
        user.roles = [appbuilder.sm.find_role(role)]
        self._add(user)
        self._add(Agent(user_id=user.id))
        if branch is not None:
            self.membership(user, branch, tier=tier, is_lead=is_lead or role == "Lead", on_call=on_call)
        return user

    def membership(
        self,
        user: User,
        branch: Branch,
        *,
        tier: int = 1,
        is_lead: bool = False,
        on_call: int | None = None,
    ) -> BranchMembership:
        return self._add(
            BranchMembership(
                user_id=user.id, branch_id=branch.id, tier_level=tier, is_lead=is_lead, on_call_order=on_call
            )
        )

    def account(self, branch: Branch | None = None, **values: Any) -> ChannelAccount:
        number = next(self._numbers)
        defaults = {"name": f"Account {number}", "address": f"support{number}@portal.test"}
        branch = branch or self.branch()
        return self._add(ChannelAccount(branch_id=branch.id, **{**defaults, **values}))

    def customer(self, name: str = "Zoë Müller", address: str | None = None, **values: Any) -> Customer:
        customer = self._add(Customer(name=name, **values))
        address = address or f"customer{next(self._numbers)}@customer.test"
        self._add(Identity(customer_id=customer.id, kind="email", address=address))
        return customer

    def ticket(self, branch: Branch | None = None, customer: Customer | None = None, **values: Any) -> Ticket:
        branch = branch or self.branch()
        customer = customer or self.customer()
        values.setdefault("subject", f"Matter {next(self._numbers)}")
        ticket = self._add(
            Ticket(
                branch_id=branch.id,
                customer_id=customer.id,
                policy_id=branch.policy_id,
                policy_version_id=branch.policy.version_id if branch.policy else None,
                calendar_id=branch.calendar_id,
                **values,
            )
        )
        db.session.refresh(ticket)
        return ticket

    def message(self, ticket: Ticket, direction: str = "in", **values: Any) -> Message:
        defaults = {"text": "Hello", "html": "<p>Hello</p>", "subject": ticket.subject, "created_at": now()}
        return self._add(Message(ticket_id=ticket.id, direction=direction, **{**defaults, **values}))

    def template(self, **values: Any) -> ReplyTemplate:
        number = next(self._numbers)
        defaults = {"name": f"Template {number}", "body_html": "<p>Dear {{ customer.first_name }},</p>"}
        return self._add(ReplyTemplate(**{**defaults, **values}))

    def field(self, key: str, **values: Any) -> TicketField:
        defaults = {"name": key.replace("_", " ").capitalize(), "choices": [], "branches": []}
        return self._add(TicketField(key=key, **{**defaults, **values}))

    def tickets(self, amount: int, branch: Branch, **values: Any) -> list[Ticket]:
        """`amount` tickets of one customer, a minute apart, the newest last."""
        customer = values.pop("customer", None) or self.customer()
        start = now() - timedelta(minutes=amount)
        return [
            self.ticket(branch, customer, created_at=start + timedelta(minutes=index), **values)
            for index in range(amount)
        ]

    @staticmethod
    def _add(row: Any) -> Any:
        db.session.add(row)
        # Committed, so that a service which rolls back takes none of it along.
        db.session.commit()
        return row
