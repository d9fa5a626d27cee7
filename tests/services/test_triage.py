"""Type and severity: judged in one go, each with its own fact."""

import pytest

from portal.errors import UserFault
from portal.models.ticket import SEVERITIES, TICKET_TYPES
from portal.services import events, triage
from tests.factory import Factory


def test_what_changes_is_told_and_nothing_else(make: Factory) -> None:
    ticket = make.ticket()
    agent = make.agent(branch=ticket.branch)
    triage.judge(ticket, agent, ticket_type="incident", severity="critical")
    triage.judge(ticket, agent, ticket_type="incident", severity="major")
    triage.judge(ticket, agent, severity="major")
    assert (ticket.type, ticket.severity) == ("incident", "major")
    assert [(event.kind, event.data["to"]) for event in events.of_ticket(ticket.id)] == [
        ("type_changed", "incident"),
        ("severity_changed", "critical"),
        ("severity_changed", "major"),
    ]
    assert ticket.revision == 2


@pytest.mark.parametrize("wanted", [{"ticket_type": "riddle"}, {"severity": "awful"}, {"severity": ""}])
def test_what_there_is_not_is_refused(make: Factory, wanted: dict) -> None:
    ticket = make.ticket()
    with pytest.raises(UserFault, match="There is no"):
        triage.judge(ticket, None, **wanted)
    assert events.of_ticket(ticket.id) == []


def test_a_release_brings_words_for_every_type_and_severity(make: Factory) -> None:
    says = triage.criteria()
    assert set(says) == {("type", each) for each in TICKET_TYPES} | {
        ("severity", each) for each in SEVERITIES
    }
    assert all(text.strip() for text in says.values())
