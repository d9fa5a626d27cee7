"""Choosing tickets of the queue, seeing what an action will do, and doing it."""

import re

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal.extensions import db
from portal.models import Branch, Ticket, User
from portal.services import bulk
from tests.factory import Factory

PARTIAL = {"X-Partial": "1"}


@pytest.fixture
def branch(make: Factory) -> Branch:
    branch = make.branch()
    make.account(branch, address="desk@shop.test")
    return branch


@pytest.fixture
def ann(make: Factory, branch: Branch) -> User:
    return make.agent(branch=branch, username="ann")


def unsigned(answer: TestResponse) -> str:
    """Without the tokens, in which the second of their making stands."""
    return re.sub(r'name="csrf_token" value="[^"]*"', "", answer.get_data(as_text=True))


def plan(client: FlaskClient, found: list[Ticket], do: str, **chosen: str) -> str:
    numbers = ",".join(str(ticket.number) for ticket in found)
    asked = {"do": do, "numbers": numbers, **chosen}
    whole = client.get("/queue/bulk", query_string=asked, headers=PARTIAL)
    plan_alone = client.post("/queue/bulk/plan", data=asked, headers=PARTIAL)
    assert (whole.status_code, plan_alone.status_code) == (200, 200), whole.get_data(as_text=True)
    assert unsigned(plan_alone).strip() in unsigned(whole)
    return whole.get_data(as_text=True)


def agree(client: FlaskClient, page: str) -> dict:
    """Press the button of a preview."""
    form = page[page.index('method="post"') :]
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form):
        fields.setdefault(name, []).append(value)
    answer = client.post("/queue/bulk", data=fields, headers=PARTIAL)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_json()


def test_rows_have_a_box_in_the_queue_and_none_beside_a_ticket(make: Factory, branch, ann, login) -> None:
    ticket = make.ticket(branch)
    client = login(ann)
    box = f'name="number" value="{ticket.number}" form="bulk"'
    for page in ("/queue", "/queue/parts", "/queue/list"):
        assert box in client.get(page).get_data(as_text=True), page
    assert 'id="bulk"' in client.get("/queue").get_data(as_text=True)
    assert box not in client.get(f"/queue/list?current={ticket.number}").get_data(as_text=True)


def test_people_who_only_look_have_no_boxes_and_no_action(make: Factory, branch, login) -> None:
    ticket = make.ticket(branch)
    client = login(make.agent(role="Auditor", username="audrey"))
    assert 'form="bulk"' not in client.get("/queue").get_data(as_text=True)
    assert client.get(f"/queue/bulk?do=priority&number={ticket.number}&priority=high").status_code == 403
    assert client.post("/queue/bulk", data={"do": "priority", "priority": "high"}).status_code == 403


def test_what_is_shown_is_what_is_done_and_undone(make: Factory, branch, ann, login) -> None:
    found = [make.ticket(branch, subject=f"Matter {number}") for number in range(3)]
    found[2].priority = "urgent"
    client = login(ann)
    page = plan(client, found, "priority", priority="urgent")
    assert "Change 2 tickets" in page
    assert "It is Urgent already." in page
    answer = agree(client, page)
    assert answer["says"] == "2 tickets changed."
    assert [ticket.priority for ticket in found] == ["urgent"] * 3
    undo = answer["action"]
    # The toast goes, the way back stays open as long as it is.
    assert (undo["seconds"], undo["kept"]["seconds"]) == (60, bulk.UNDO_SECONDS)
    undone = client.post(undo["post"], data=undo["fields"], headers=PARTIAL).get_json()
    assert undone == {"says": "2 tickets as before.", "action": None}
    assert [ticket.priority for ticket in found] == ["normal", "normal", "urgent"]


def test_without_scripts_it_is_three_pages(make: Factory, branch, ann, login) -> None:
    ticket = make.ticket(branch)
    client = login(ann)
    page = client.get(f"/queue/bulk?do=status&number={ticket.number}&status=resolved").get_data(as_text=True)
    assert "<!doctype html>" in page
    seen = re.search(r'name="seen" value="([^"]+)"', page).group(1)
    done = client.post("/queue/bulk", data={"do": "status", "status": "resolved", "seen": seen})
    text = done.get_data(as_text=True)
    assert "1 ticket changed." in text
    undo = re.search(r'name="undo" value="([^"]+)"', text).group(1)
    assert "1 ticket as before." in client.post("/queue/bulk/undo", data={"undo": undo}).get_data(
        as_text=True
    )
    assert ticket.status == "new"


@pytest.mark.parametrize(
    ("do", "chosen", "says"),
    [
        ("assign", {"assignee": "me"}, "Ann"),
        ("assign", {"assignee": "none"}, "Nobody has it."),
        ("tags", {"added": "VIP,  vip ", "removed": ""}, "vip"),
        ("escalate", {"reason": "The same fault"}, "Tier 2"),
        ("status", {"status": "pending"}, "Waiting on customer"),
    ],
)
def test_previews_say_what_will_be(make: Factory, branch, ann, login, do, chosen, says) -> None:
    assert says in plan(login(ann), [make.ticket(branch)], do, **chosen)


def test_a_mail_is_shown_as_it_will_go_out_and_never_as_a_script(make: Factory, branch, ann, login) -> None:
    template = make.template(body_html="<p>Dear {{ customer.name }}</p>")
    customer = make.customer("<script>alert(1)</script> Zoë")
    ticket = make.ticket(branch, customer)
    page = plan(login(ann), [ticket], "reply", template=str(template.id))
    assert "Dear &lt;script&gt;alert(1)&lt;/script&gt; Zoë" in page
    assert "<script>alert" not in page
    assert customer.identities[0].address in page
    answer = agree(login(ann), page)
    assert answer["says"] == "1 ticket changed."
    assert db.session.get(Ticket, ticket.id).status == "pending"


def test_merge_asks_for_one_of_the_chosen(make: Factory, branch, ann, login) -> None:
    target, other = make.ticket(branch, subject="The lid"), make.ticket(branch)
    for ticket in (target, other):
        make.message(ticket)
    client = login(ann)
    assert f'<option value="{target.number}" >#{target.number} The lid' in plan(
        client, [target, other], "merge"
    )
    page = plan(client, [target, other], "merge", into=str(target.number))
    assert "The others come here." in page
    assert agree(client, page)["says"] == "1 ticket changed."
    assert db.session.get(Ticket, other.id).merged_into_id == target.id


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("do=dance&number=1", "Choose what to do"),
        ("do=status", "Choose the tickets first"),
        ("do=status&number=abc", "not the number of a ticket"),
        ("do=status&number=99999999999999999999", "not the number of a ticket"),
        ("do=status&numbers=" + ",".join(map(str, range(1, 202))), "at most 200"),
        ("do=status&number=1&status=dancing", "There is no status"),
        ("do=priority&number=1&priority=x", "There is no priority"),
        ("do=assign&number=1&assignee=999999", "no such colleague"),
        ("do=assign&number=1&assignee=x", "no such colleague"),
        ("do=reply&number=1&template=999999", "retired or belongs to another branch"),
        ("do=merge&number=1&into=999999", "within your reach"),
        ("do=move&number=1&branch=999999", "no such branch"),
    ],
)
def test_what_cannot_be_read_is_said(ann, login, query: str, says: str) -> None:
    answer = login(ann).get(f"/queue/bulk?{query}", headers=PARTIAL)
    assert answer.status_code < 500
    assert says in answer.get_data(as_text=True)


def test_tickets_of_other_branches_are_not_shown_and_not_changed(make: Factory, ann, login) -> None:
    foreign = make.ticket(make.branch(), subject="Secret matter")
    client = login(ann)
    page = plan(client, [foreign], "priority", priority="urgent")
    assert "Secret matter" not in page
    assert "None of these tickets is within your reach" in page
    data = {"do": "priority", "priority": "urgent", "seen": f"{foreign.number}:0"}
    answer = client.post("/queue/bulk", data=data, headers=PARTIAL).get_json()
    assert answer["says"].startswith("Nothing was changed.")
    assert foreign.priority == "normal"
    assert "Secret" not in plan(client, [foreign], "merge", into=str(foreign.number))


def test_the_preview_says_that_some_of_the_chosen_are_out_of_reach(make: Factory, branch, ann, login) -> None:
    near, far = make.ticket(branch), make.ticket(make.branch())
    page = plan(login(ann), [near, far], "priority", priority="urgent")
    assert "1 of the chosen tickets is not within your reach, and is left alone." in page
    assert f"#{far.number}" not in page
    assert "not within your reach" not in plan(login(ann), [near], "priority", priority="urgent")


def test_colleagues_out_of_reach_are_not_told_by_their_ids(make: Factory, branch, ann, login) -> None:
    ticket = make.ticket(branch)
    stranger = make.agent(branch=make.branch(), first_name="Stranger")
    client = login(ann)
    asked = {"do": "assign", "numbers": str(ticket.number), "assignee": str(stranger.id)}
    for answer in (
        client.get("/queue/bulk", query_string=asked, headers=PARTIAL),
        client.post("/queue/bulk", data={**asked, "seen": f"{ticket.number}:0"}, headers=PARTIAL),
        client.post(f"/tickets/{ticket.number}/assign", data={"assignee": str(stranger.id)}, headers=PARTIAL),
    ):
        assert "Stranger" not in answer.get_data(as_text=True)
        assert "no such colleague" in answer.get_data(as_text=True)
    assert ticket.assignee_id is None


def test_reasons_are_named_for_the_first_three(make: Factory, branch, ann, login) -> None:
    found = make.tickets(5, branch)
    client = login(ann)
    page = plan(client, found, "priority", priority="urgent")
    for ticket in found:
        ticket.priority = "high"
    db.session.commit()
    says = agree(client, page)["says"]
    assert says.startswith(
        f"Nothing was changed. Left alone: #{found[0].number} (it has changed since you looked)"
    )
    assert says.endswith(" and 2 more.")


def test_what_is_not_shown_can_be_chosen_too(make: Factory, branch, ann, login) -> None:
    found = make.tickets(3, branch)
    make.ticket(make.branch())
    numbers = login(ann).get("/queue/numbers?view=branch").get_json()["numbers"]
    assert sorted(numbers) == sorted(ticket.number for ticket in found)


def test_a_long_reason_is_no_address(make: Factory, branch, ann, login) -> None:
    client = login(ann)
    asked = {"do": "escalate", "numbers": str(make.ticket(branch).number), "reason": "x" * 2000}
    assert "Change 1 ticket" in client.post("/queue/bulk/plan", data=asked).get_data(as_text=True)


def test_the_ticket_says_what_is_part_of_it(make: Factory, branch, ann, login) -> None:
    target, other = make.ticket(branch), make.ticket(branch)
    for ticket in (target, other):
        make.message(ticket)
    client = login(ann)
    done = agree(client, plan(client, [other], "merge", into=str(target.number)))
    said = f"Part of this ticket: #{other.number}"
    assert said in client.get(f"/tickets/{target.number}").get_data(as_text=True)
    client.post(done["action"]["post"], data=done["action"]["fields"], headers=PARTIAL)
    assert said not in client.get(f"/tickets/{target.number}").get_data(as_text=True)
