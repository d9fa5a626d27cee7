"""The filter on the page: said in chips, asked for in a panel, kept as a view; what is out of reach is not told."""

import pytest

from portal.extensions import db
from portal.models import SavedView
from portal.services import tickets
from tests.console.test_queue import MOST_STATEMENTS, numbers_in

COLOURS = [{"key": "blue", "label": "Dark blue", "is_active": True}]


@pytest.fixture
def desk(make, login):
    branch = make.branch(name="North")
    agent = make.agent(branch=branch)
    return branch, agent, login(agent)


def test_each_condition_is_a_chip_with_the_way_back_out(make, desk) -> None:
    branch, agent, client = desk
    colleague = make.agent(branch=branch, first_name="Bea")
    template = make.template(name="Refund granted")
    ada = make.customer("Ada", "ada@post.test")
    ticket = make.ticket(branch, ada)
    tickets.set_tags(ticket, ["parcel"], agent)
    make.field("colour", kind="choice", choices=COLOURS, name="Colour")
    make.field("amount", kind="number", name="Amount")
    address = (
        f"/queue?view=all&assignee=none,{colleague.id}&template={template.id}&customer={ada.id}"
        f"&tag_id={ticket.tags[0].id}&field.colour=blue&field.amount.from=5&activity_from=2026-11-01"
    )
    page = client.get(address).text
    for said in (
        f"Assigned to nobody or {colleague}",
        "Template Refund granted",
        "Customer Ada",
        "Tag parcel",
        "Colour: Dark blue",
        "Amount: from 5",
        "Last activity from 2026-11-01",
        "Clear",
    ):
        assert f">{said}<" in page, said
    assert "field.colour=blue" in page
    without = client.get(address.replace("&field.colour=blue", "")).text
    assert "Colour: Dark blue" not in without


def test_names_out_of_reach_are_not_told(make, desk) -> None:
    _, _, client = desk
    foreign = make.branch()
    stranger = make.agent(branch=foreign, first_name="Stranger")
    template = make.template(name="Secret words", branches=[foreign])
    customer = make.customer("Hidden Harry", "harry@post.test")
    make.ticket(foreign, customer)
    field = make.field("secret", name="Secret field", branches=[foreign])
    address = f"/queue?view=all&assignee={stranger.id}&template={template.id}&customer={customer.id}"
    for page in (client.get(address).text, client.get(address.replace("/queue", "/queue/filter")).text):
        for name in ("Stranger", "Secret words", "Hidden Harry", field.name):
            assert name not in page
    for address in (
        "/queue?field.secret=1",
        "/queue?field.secret.from=x",
        "/queue/filter?field.secret.is=empty",
    ):
        refused = client.get(address)
        assert refused.status_code == 422
        assert "There is no field" in refused.text
        assert field.name not in refused.text
    assert client.get(f"/queue?branch={foreign.id}").status_code == 404
    found = client.get("/addresses?customers=1&q=harry").json
    assert found == []


def test_the_panel_holds_what_the_address_asks_for(make, desk) -> None:
    branch, _, client = desk
    make.field("colour", kind="choice", choices=COLOURS, name="Colour")
    make.field("quiet", is_in_filter=False)
    page = client.get(
        f"/queue/filter?view=open&status=open,new&branch={branch.id}&field.colour=blue&tier=2"
    ).text
    assert page.count(" checked>") == 4
    assert '<details class="filter-more" open>' in page
    assert "field.quiet" not in page
    assert 'name="field.quiet"' in client.get("/queue/filter?field.quiet=x").text
    partial = client.get("/queue/filter", headers={"X-Partial": "1"}).text
    assert "<html" not in partial
    assert client.get("/queue/filter?status=lost").status_code == 422


def test_what_the_form_sends_becomes_a_short_address(make, desk) -> None:
    branch, _, client = desk
    wanted, _ = make.ticket(branch, priority="high"), make.ticket(branch, priority="low")
    sent = "/queue?view=open&priority=high&priority=urgent&tag=&customer=&sla=&opened_from=&sort=due"
    answer = client.get(sent)
    assert answer.status_code == 302
    assert answer.location == "/queue?view=open&priority=high,urgent"
    assert numbers_in(client.get(answer.location).text) == [wanted.number]


def test_a_page_with_every_kind_of_filter_takes_at_most_twelve_statements(
    make, desk, login, count_queries
) -> None:
    branch, agent, _ = desk
    lead = make.agent("Lead", branch)
    make.field("colour", kind="choice", choices=COLOURS)
    for index in range(3):
        ticket = make.ticket(branch, make.customer(), assignee_id=agent.id, fields={"colour": "blue"})
        tickets.set_tags(ticket, [f"tag {index}"], agent)
    db.session.add(SavedView(owner_id=lead.id, name="Blue", filter={"field.colour": "blue", "tag_id": "1"}))
    db.session.commit()
    client = login(lead)
    query = f"view=open&assignee={agent.id}&branch={branch.id}&field.colour=blue&tag_id={ticket.tags[0].id}"
    for address in (f"/queue?{query}", f"/queue/filter?{query}", f"/queue/export.csv?{query}"):
        db.session.expunge_all()
        with count_queries() as statements:
            assert client.get(address).status_code == 200
        assert len(statements) <= MOST_STATEMENTS, "\n".join(statements)
    client.get(f"/tickets/{ticket.number}")
    with count_queries() as statements:
        assert client.get(f"/tickets/{ticket.number}?{query}").status_code == 200
    assert len(statements) <= MOST_STATEMENTS, "\n".join(statements)


def test_a_view_outlives_the_renaming_of_its_tag(make, desk) -> None:
    branch, agent, client = desk
    ticket = make.ticket(branch)
    make.ticket(branch)
    tickets.set_tags(ticket, ["parcel"], agent)
    client.post("/queue/views", data={"name": "Parcels", "view": "open", "tag": "parcel"})
    ticket.tags[0].name = "shipping"
    db.session.commit()
    kept = db.session.query(SavedView).one()
    page = client.get("/queue", query_string=kept.filter).text
    assert numbers_in(page) == [ticket.number]
    assert ">Tag shipping<" in page


def test_a_lead_shares_a_view_with_a_branch_they_lead_and_nobody_else_does(make, desk, login) -> None:
    branch, _, agents = desk
    other = make.branch()
    leads = login(make.agent("Lead", branch))
    view = {"name": "Urgent here", "view": "open", "priority": "urgent"}
    assert "Everyone in North" in leads.get("/queue?view=open&priority=urgent").text
    assert "Everyone in North" not in agents.get("/queue?view=open&priority=urgent").text
    auditors = login(make.agent("Auditor"))
    assert "Everyone in" not in auditors.get("/queue?view=open&priority=urgent").text
    for client, branch_id in ((agents, branch.id), (leads, other.id), (auditors, branch.id)):
        assert client.post("/queue/views", data={**view, "shared_with": branch_id}).status_code == 403
    assert db.session.query(SavedView).count() == 0
    assert leads.post("/queue/views", data={**view, "shared_with": branch.id}).status_code == 302
    kept = db.session.query(SavedView).one()
    assert "Urgent here" in agents.get("/queue").text
    assert agents.post(f"/queue/views/{kept.id}/remove").status_code == 404
    other_lead = login(make.agent("Lead", branch))
    assert other_lead.post(f"/queue/views/{kept.id}/remove").status_code == 302
    assert db.session.query(SavedView).count() == 0


def test_a_value_for_sharing_that_cannot_be_read_is_refused(make, desk, login) -> None:
    branch, _, _ = desk
    leads = login(make.agent("Lead", branch))
    answer = leads.post("/queue/views", data={"name": "x", "view": "open", "shared_with": "everyone"})
    assert answer.status_code == 422
    assert db.session.query(SavedView).count() == 0


def test_a_removed_view_comes_back_as_it_was_for_whoever_removed_it(make, desk, login) -> None:
    branch, agent, client = desk
    lead = login(make.agent("Lead", branch))
    db.session.add(
        SavedView(owner_id=agent.id, branch_id=branch.id, name="Late", filter={"sla": "late"}, position=3)
    )
    db.session.commit()

    def told(view: SavedView) -> tuple:
        return view.owner_id, view.branch_id, view.name, view.filter, view.position

    kept = db.session.query(SavedView).one()
    before = told(kept)
    answer = lead.post(f"/queue/views/{kept.id}/remove", headers={"X-Partial": "1"}).json
    assert db.session.query(SavedView).count() == 0
    back = answer["action"]
    damaged = {"undo": back["fields"]["undo"][:-2]}
    for someone, fields in ((client, back["fields"]), (lead, damaged), (lead, {})):
        assert someone.post(back["post"], data=fields).status_code == 422
    assert db.session.query(SavedView).count() == 0
    assert "is back" in lead.post(back["post"], data=back["fields"]).json["says"]
    assert told(db.session.query(SavedView).one()) == before
    # Pressed twice, it does not come twice.
    assert lead.post(back["post"], data=back["fields"]).status_code == 422
    assert db.session.query(SavedView).count() == 1


def test_what_is_asked_to_be_empty_is_said_and_can_be_taken_back(make, desk) -> None:
    _, _, client = desk
    make.field("colour", kind="choice", choices=COLOURS, name="Colour")
    make.field("amount", kind="number", name="Amount")
    address = (
        "/queue?view=all&field.colour=blue&field.colour.is=empty"
        "&is_untagged=yes&is_unanswered=yes&field.amount.is=empty"
    )
    page = client.get(address).text
    for said in ("Colour: Dark blue, no value", "Amount: no value", "No tag", "First answered not yet"):
        assert f">{said}<" in page, said
    assert (
        'href="/queue?view=all&amp;is_untagged=yes&amp;is_unanswered=yes&amp;field.amount.is=empty"' in page
    )
    form = client.get(address.replace("/queue", "/queue/filter")).text
    for name in ("field.colour.is", "field.amount.is", "is_untagged", "is_unanswered"):
        box = next(line for line in form.splitlines() if f'name="{name}"' in line)
        assert "checked" in box, name


def test_a_view_that_no_browser_could_open_is_not_kept(make, desk) -> None:
    _, _, client = desk
    many, ids = ",".join(f"tag {index}" for index in range(200)), ",".join(map(str, range(1, 300)))
    refused = client.post(
        "/queue/views", data={"name": "Many", "tag": many, "text": "ä" * 200, "template": ids}
    )
    assert refused.status_code == 422
    assert "too long to be opened as a link" in refused.text
    assert db.session.query(SavedView).count() == 0


def test_a_shared_view_about_what_is_out_of_reach_says_so_instead_of_showing_something_else(
    make, desk, login
) -> None:
    branch, _, client = desk
    make.field("secret", name="Secret field", branches=[make.branch()])
    lead = make.agent("Admin")
    view = {"name": "Ours & <b>theirs</b>", "field.secret": "x", "shared_with": branch.id}
    assert login(lead).post("/queue/views", data=view).status_code == 302
    page = client.get("/queue").text
    assert "Ours &amp; &lt;b&gt;theirs&lt;/b&gt;" in page
    assert 'href="/queue?field.secret=x"' in page
    refused = client.get("/queue?field.secret=x")
    assert refused.status_code == 422
    assert "There is no field" in refused.text
    assert "Secret field" not in refused.text
