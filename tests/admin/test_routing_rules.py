"""Routing rules as an admin builds, orders and tries them."""

import re
from typing import Any

import pytest
from sqlalchemy import select

from portal.errors import UserFault
from portal.extensions import db
from portal.models import AuditEntry, RoutingRule, Ticket
from portal.services import routing_rules, trying
from tests.factory import Factory

LIST = "/admin/routing-rules/list/"
ADD = "/admin/routing-rules/add"
MAIL = "From: Zoe <zoe@customer.test>\nTo: desk@shop.test\nSubject: A refund please\n\nMy lamp is broken.\n"
BASE = {"name": "Refunds", "position": "10", "is_active": "y", "is_last": "y", "conditions-kind": "all"}
ROW = {
    "conditions-0-kind": "all",
    "conditions-0-0-field": "subject",
    "conditions-0-0-operator": "contains",
    "conditions-0-0-value": "refund",
}


@pytest.fixture
def admin(house, login):
    return login(house.admin)


def rule(name: str, position: int, **values: Any) -> RoutingRule:
    row = RoutingRule(**{"name": name, "position": position, "conditions": {}, **values})
    db.session.add(row)
    db.session.commit()
    return row


def in_order() -> list[str]:
    found = select(RoutingRule).order_by(RoutingRule.position, RoutingRule.id)
    return [row.name for row in db.session.scalars(found.execution_options(populate_existing=True))]


def do(client, name: str, *rows: RoutingRule):
    return client.post(
        "/admin/routing-rules/action_post", data={"action": name, "rowid": [str(row.id) for row in rows]}
    )


class TestForm:
    def test_what_the_rows_say_is_stored(self, admin) -> None:
        answer = admin.post(ADD, data={**BASE, **ROW, "conditions-0-0-not": "not"})
        assert answer.status_code == 302
        stored = db.session.scalars(select(RoutingRule)).one()
        assert stored.conditions == {
            "all": [{"not": {"field": "subject", "operator": "contains", "value": "refund"}}]
        }

    def test_every_kind_of_value_is_read(self, admin) -> None:
        rows = {
            "conditions-0-kind": "any",
            "conditions-0-0-field": "weekday",
            "conditions-0-0-values": ["saturday", "sunday"],
            "conditions-0-1-field": "time",
            "conditions-0-1-from": "18:00",
            "conditions-0-1-until": "06:00",
            "conditions-0-2-field": "has_attachment",
            "conditions-0-2-value": "no",
            "conditions-1-kind": "none",
            "conditions-1-0-field": "header",
            "conditions-1-0-name": "X-Shop",
            "conditions-1-0-operator": "in",
            "conditions-1-0-value": "north\r\n south, east \r\n",
        }
        assert admin.post(ADD, data={**BASE, "conditions-kind": "any", **rows}).status_code == 302
        assert db.session.scalars(select(RoutingRule)).one().conditions == {
            "any": [
                {
                    "any": [
                        {"field": "weekday", "operator": "in", "value": ["saturday", "sunday"]},
                        {"field": "time", "operator": "between", "value": "18:00–06:00"},
                        {"field": "has_attachment", "operator": "equals", "value": False},
                    ]
                },
                {
                    "not": {
                        "any": [
                            {
                                "field": "header",
                                "name": "X-Shop",
                                "operator": "in",
                                "value": ["north", "south, east"],
                            }
                        ]
                    }
                },
            ]
        }

    def test_a_row_that_cannot_be_used_is_marked_and_nothing_is_lost(self, admin) -> None:
        rows = {**ROW, "conditions-0-0-operator": "matches", "conditions-0-0-value": "(re|<b>fund"}
        answer = admin.post(ADD, data={**BASE, **rows})
        page = answer.get_data(as_text=True)
        assert db.session.scalars(select(RoutingRule)).all() == []
        assert "Some conditions are not complete" in page
        assert "a bracket ( is opened and not closed" in page
        assert 'value="(re|&lt;b&gt;fund"' in page
        assert "<b>fund" not in page
        assert 'value="Refunds"' in page

    def test_buttons_change_rows_and_save_nothing(self, admin) -> None:
        page = admin.post(ADD, data={**BASE, **ROW, "do": "add-row-0"}).get_data(as_text=True)
        assert 'name="conditions-0-1-field"' in page
        assert 'value="Refunds"' in page
        page = admin.post(ADD, data={**BASE, **ROW, "do": "add-block"}).get_data(as_text=True)
        assert 'name="conditions-1-0-field"' in page
        page = admin.post(ADD, data={**BASE, **ROW, "do": "remove-row-0-0"}).get_data(as_text=True)
        assert 'name="conditions-0-0-field"' not in page
        assert "holds for every new ticket" in page
        assert db.session.scalars(select(RoutingRule)).all() == []

    def test_a_script_gets_the_rows_alone(self, admin) -> None:
        answer = admin.post(ADD, data={**BASE, **ROW, "do": "add-row-0"}, headers={"X-Partial": "1"})
        page = answer.get_data(as_text=True).strip()
        assert page.startswith('<div id="conditions"')
        assert "<html" not in page

    def test_a_stored_rule_comes_back_as_rows_and_unchanged(self, admin) -> None:
        known = {"any": [{"field": "subject", "operator": "any_word", "value": ["refund", "money"]}]}
        row = rule("Money", 10, conditions=known)
        page = admin.get(f"/admin/routing-rules/edit/{row.id}").get_data(as_text=True)
        assert ">refund\nmoney</textarea>" in page
        assert re.search(r'<option value="any_word" selected>', page)

    def test_what_is_too_deep_for_rows_stays_as_it_is(self, admin) -> None:
        test = {"field": "subject", "operator": "contains", "value": "a"}
        deep = {"all": [{"any": [{"all": [test, test]}, test]}]}
        row = rule("Deep", 10, conditions=deep)
        address = f"/admin/routing-rules/edit/{row.id}"
        page = admin.get(address).get_data(as_text=True)
        text = re.search(r'<textarea name="conditions"[^>]*>(.*?)</textarea>', page, re.DOTALL)
        assert text is not None
        sent = text[1].replace("&#34;", '"')
        page = admin.post(address, data={**BASE, "conditions": sent, "do": "rows"}).get_data(as_text=True)
        assert "too deep to be shown in rows" in page
        assert admin.post(address, data={**BASE, "conditions": sent}).status_code == 302
        db.session.refresh(row)
        assert row.conditions == deep

    @pytest.mark.parametrize(
        ("text", "said"),
        [("{", "not valid JSON"), ("[]", "A condition has"), ('{"field": "<i>"}', "There is no field")],
    )
    def test_json_that_cannot_be_used_is_refused_in_words(self, admin, text: str, said: str) -> None:
        page = admin.post(ADD, data={**BASE, "conditions": text}).get_data(as_text=True)
        assert said in page
        assert "<i>" not in page
        assert db.session.scalars(select(RoutingRule)).all() == []

    def test_many_rows_and_nonsense_break_nothing(self, admin) -> None:
        rows = {f"conditions-{block}-kind": "x" for block in range(300)}
        rows |= {f"conditions-0-{row}-field": "nonsense" for row in range(400)}
        answer = admin.post(ADD, data={**BASE, **rows, "do": "remove-row-999-999"})
        assert answer.status_code == 200

    def test_the_list_says_in_words_when_a_rule_holds(self, admin) -> None:
        rule(
            "Money", 10, conditions={"not": {"field": "has_attachment", "operator": "equals", "value": True}}
        )
        page = admin.get(LIST).get_data(as_text=True)
        assert "not: Has a file attached: Yes" in page


class TestOrder:
    def test_rules_move_together_and_are_numbered_anew(self, admin) -> None:
        first, second, third = rule("a", 5), rule("b", 5), rule("c", 90)
        do(admin, "up", second, third)
        assert in_order() == ["b", "c", "a"]
        do(admin, "up", second)
        assert in_order() == ["b", "c", "a"]
        do(admin, "down", second)
        assert in_order() == ["c", "b", "a"]
        do(admin, "down", first)
        assert in_order() == ["c", "b", "a"]
        assert {row.position for row in db.session.scalars(select(RoutingRule))} == {10, 20, 30}
        assert db.session.scalars(select(AuditEntry).where(AuditEntry.object_type == "routing_rule")).first()

    def test_a_copy_stands_below_and_is_off(self, admin, house) -> None:
        row = rule("a", 10, branch=house.north, tags=["x"], conditions={"all": []})
        rule("a (2)", 20)
        answer = do(admin, "duplicate", row)
        assert "/edit/" in answer.location
        assert in_order() == ["a", "a (3)", "a (2)"]
        copy = db.session.scalars(select(RoutingRule).where(RoutingRule.name == "a (3)")).one()
        assert (copy.is_active, copy.branch_id, copy.tags) == (False, house.north.id, ["x"])

    def test_rules_are_switched_off_and_on_again_where_they_can_work(self, admin, house) -> None:
        row = rule("a", 10, branch=house.north)
        do(admin, "disable", row)
        assert not row.is_active
        house.north.is_active = False
        db.session.commit()
        page = admin.post(
            "/admin/routing-rules/action_post",
            data={"action": "enable", "rowid": [str(row.id)]},
            follow_redirects=True,
        ).get_data(as_text=True)
        assert "is disabled and takes no tickets" in page
        assert not db.session.get_one(RoutingRule, row.id, populate_existing=True).is_active

    def test_whoever_may_not_change_rules_orders_none(self, house, login) -> None:
        row = rule("a", 10)
        rule("b", 20)
        assert do(login(house.lead), "down", row).status_code in (302, 403)
        assert in_order() == ["a", "b"]


class TestTrying:
    @pytest.fixture
    def shop(self, house, make: Factory):
        make.account(house.north, address="desk@shop.test")
        return house

    def try_it(self, client, **values: Any) -> str:
        answer = client.post(ADD, data={**BASE, **ROW, "do": "try", "try-mail": MAIL, **values})
        assert answer.status_code == 200
        return answer.get_data(as_text=True)

    def test_a_pasted_mail_shows_where_it_would_go_and_why(self, shop, admin) -> None:
        rule("Never", 1, conditions={"field": "subject", "operator": "contains", "value": "parcel"})
        page = self.try_it(admin, branch=str(shop.south.id))
        assert "It would go to South" in page
        assert "Does not hold: Subject contains “parcel”" in page
        assert "Holds: Subject contains “refund”" in page
        assert "this rule" in page
        assert db.session.scalars(select(Ticket)).all() == []
        assert [row.name for row in db.session.scalars(select(RoutingRule))] == ["Never"]

    def test_the_draft_stands_in_the_place_of_the_stored_rule(self, shop, admin) -> None:
        row = rule("Refunds", 10, branch=shop.south)
        answer = admin.post(
            f"/admin/routing-rules/edit/{row.id}",
            data={**BASE, **ROW, "branch": "__None", "do": "try", "try-mail": MAIL},
        )
        assert "It would go to North" in answer.get_data(as_text=True)
        db.session.refresh(row)
        assert row.branch_id == shop.south.id

    @pytest.mark.parametrize("mail", ["", "\x00\ud7ff<script>", "no header at all", "From: " + "x" * 70_000])
    def test_whatever_is_pasted_gets_an_answer(self, shop, admin, mail: str) -> None:
        page = self.try_it(admin, **{"try-mail": mail})
        assert "tried-title" in page or 'class="alert alert-danger"' in page
        assert "<script>" not in page.split('id="try-mail"')[1].split("</textarea>")[0]

    def test_without_an_address_it_says_so(self, house, admin) -> None:
        assert "Set up an address under Accounts first" in self.try_it(admin)

    def test_an_incomplete_rule_is_not_tried(self, shop, admin) -> None:
        page = self.try_it(admin, **{"conditions-0-0-value": ""})
        assert "Complete what is marked first" in page

    def test_the_last_tickets_are_decided_anew(self, shop, admin, make: Factory, count_queries) -> None:
        account = make.account(shop.north, address="other@shop.test")
        for number in range(12):
            ticket = make.ticket(shop.north, account_id=account.id, subject="x")
            make.message(ticket, subject=f"refund {number}" if number % 3 == 0 else "other", text="x")
        with count_queries() as statements:
            answer = admin.post(
                ADD, data={**BASE, **ROW, "branch": str(shop.south.id), "do": "replay", "try-last": "50"}
            )
        page = answer.get_data(as_text=True)
        assert "4 of the last tickets would be placed otherwise" in page
        assert "North → South" in page
        assert "Looked at: 12. This rule holds for 4 of them." in page
        assert len(statements) <= 24, "\n".join(statements)
        assert {ticket.branch_id for ticket in db.session.scalars(select(Ticket))} == {shop.north.id}

    def test_only_tickets_within_reach_are_looked_at(self, shop, make: Factory) -> None:
        account = make.account(shop.south, address="south@shop.test")
        make.message(make.ticket(shop.south, account_id=account.id), subject="refund")
        draft = RoutingRule(name="x", conditions={}, branch_id=shop.north.id)
        assert trying.replay(draft, shop.lead, 50).looked_at == 0
        assert trying.replay(draft, shop.admin, 50).changed == 1

    def test_a_rule_that_cannot_be_read_is_said(self, shop) -> None:
        with pytest.raises(UserFault, match="no field"):
            trying.try_mail(MAIL.encode(), RoutingRule(name="x", conditions={"field": "y"}))


def test_the_form_suggests_what_the_desk_has(house, make: Factory, count_queries) -> None:
    make.account(house.north, address="desk@shop.test")
    make.field("order")
    with count_queries() as statements:
        known = routing_rules.known_words()
    assert len(statements) == 1
    assert ("desk@shop.test" in known.accounts, known.fields) == (True, ("order",))
