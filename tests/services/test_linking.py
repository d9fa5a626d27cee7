"""Two tickets that have to do with each other: one link, seen from both sides."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from flask_appbuilder.security.sqla.models import User
from sqlalchemy import func, select

from portal.errors import Forbidden, NotFound, UserFault
from portal.extensions import db
from portal.models import Branch, Ticket, TicketLink
from portal.services import events, linking, moving
from tests.factory import Factory


@pytest.fixture
def branch(make: Factory) -> Branch:
    return make.branch()


@pytest.fixture
def ann(make: Factory, branch: Branch) -> User:
    return make.agent(branch=branch)


def links() -> list[tuple[int, str, int]]:
    found = select(TicketLink.from_ticket_id, TicketLink.kind, TicketLink.to_ticket_id).order_by(
        TicketLink.id
    )
    return [tuple(row) for row in db.session.execute(found)]


def told(ticket: Ticket) -> list[tuple[str, str]]:
    kinds = ["ticket_linked", "ticket_unlinked"]
    return [(event.kind, event.data["relation"]) for event in events.of_ticket(ticket.id, kinds)]


@pytest.mark.parametrize(
    ("relation", "back"),
    [
        ("related", "related"),
        ("duplicates", "duplicated_by"),
        ("duplicated_by", "duplicates"),
        ("causes", "caused_by"),
        ("caused_by", "causes"),
    ],
)
def test_both_sides_are_told_what_they_are_to_each_other(
    make: Factory, branch: Branch, ann: User, relation: str, back: str
) -> None:
    one, two = make.ticket(branch), make.ticket(branch)
    linking.link(one, two, relation, ann)
    linking.link(one, two, relation, ann)
    linking.link(two, one, back, ann)
    assert len(links()) == 1
    assert (told(one), told(two)) == ([("ticket_linked", relation)], [("ticket_linked", back)])
    assert linking.unlink(two, one, ann) == back
    assert linking.unlink(two, one, ann) is None
    assert links() == []
    assert (told(one)[-1], told(two)[-1]) == (("ticket_unlinked", relation), ("ticket_unlinked", back))


def test_linking_again_changes_the_link(make: Factory, branch: Branch, ann: User) -> None:
    one, two = make.ticket(branch), make.ticket(branch)
    linking.link(two, one, "related", ann)
    assert links() == [(one.id, "related", two.id)]
    linking.link(two, one, "causes", ann)
    assert links() == [(two.id, "causes", one.id)]


def test_what_makes_no_sense_is_refused(make: Factory, branch: Branch, ann: User) -> None:
    one, two, gone = make.ticket(branch), make.ticket(branch), make.ticket(branch)
    make.message(gone)
    moving.merge([gone], two, ann)
    for other, relation, says in (
        (one, "related", "linked to itself"),
        (two, "loves", "have to do with each other"),
        (gone, "related", "was merged into"),
    ):
        with pytest.raises(UserFault, match=says):
            linking.link(one, other, relation, ann)
    assert links() == []


def test_both_tickets_must_be_within_reach(make: Factory, branch: Branch, ann: User) -> None:
    here, elsewhere = make.ticket(branch), make.ticket()
    boss, auditor = make.agent(role="Admin"), make.agent(role="Auditor")
    for one, two in ((here, elsewhere), (elsewhere, here)):
        with pytest.raises(NotFound):
            linking.link(one, two, "related", ann)
    with pytest.raises(Forbidden):
        linking.link(here, elsewhere, "related", auditor)
    linking.link(here, elsewhere, "related", boss)
    with pytest.raises(NotFound):
        linking.unlink(here, elsewhere, ann)
    assert len(links()) == 1


def test_a_merge_takes_the_links_along_once(make: Factory, branch: Branch, ann: User) -> None:
    gone, into, cause, both = (make.ticket(branch, status="open") for _ in range(4))
    make.message(gone)
    linking.link(gone, cause, "caused_by", ann)
    linking.link(gone, both, "related", ann)
    linking.link(into, both, "duplicates", ann)
    linking.link(gone, into, "duplicates", ann)
    moving.merge([gone], into, ann)
    of_survivor = {link for link in links() if into.id in (link[0], link[2]) and gone.id not in link}
    assert of_survivor == {(into.id, "duplicates", both.id), (cause.id, "causes", into.id)}


def test_open_effects_are_counted_wherever_they_are(make: Factory, branch: Branch) -> None:
    boss = make.agent(role="Admin")
    problem = make.ticket(branch, status="resolved")
    for status, where in (("open", branch), ("pending", make.branch()), ("resolved", branch)):
        linking.link(problem, make.ticket(where, status=status), "causes", boss)
    linking.link(problem, make.ticket(branch, status="open"), "related", boss)
    assert linking.count_open_effects(problem) == 2


def test_two_who_link_at_once_make_one_link(app: Flask, real_commits: None) -> None:
    make = Factory()
    branch = make.branch()
    ann_id = make.agent(branch=branch).id
    ids = [make.ticket(branch).id for _ in range(2)]

    def work(turn: int) -> None:
        with app.app_context():
            one, two = (db.session.get_one(Ticket, ids[(turn + side) % 2]) for side in (0, 1))
            linking.link(one, two, "related", db.session.get_one(User, ann_id))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))
    assert db.session.scalar(select(func.count()).select_from(TicketLink)) == 1
