"""Two branches with their people, and pages for the failures that these tests provoke."""

from dataclasses import dataclass

import pytest
from flask_appbuilder.security.sqla.models import User

from portal.models import Branch
from tests.factory import Factory


@dataclass(frozen=True)
class House:
    """North and South, with an admin, an auditor, and a lead and an agent of North."""

    north: Branch
    south: Branch
    admin: User
    auditor: User
    lead: User
    agent: User

    def person(self, role: str) -> User:
        return {"Admin": self.admin, "Auditor": self.auditor, "Lead": self.lead, "Agent": self.agent}[role]


@pytest.fixture
def house(make: Factory) -> House:
    north, south = make.branch(name="North", code="NORTH"), make.branch(name="South", code="SOUTH")
    return House(
        north,
        south,
        make.agent("Admin", username="boss"),
        make.agent("Auditor", username="auditor"),
        make.agent("Lead", north, username="lead"),
        make.agent("Agent", north, username="agent"),
    )
