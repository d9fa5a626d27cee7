"""The search box: what was said is found, within reach, and nothing that is typed breaks it."""

import re

import pytest
from sqlalchemy import insert, text

from portal.extensions import db
from portal.models import Attachment, Message, Tag
from portal.models.ticket import FIELD_WORDS, HAS_FIELDS
from portal.views.console import finding
from tests.factory import Factory


@pytest.fixture
def desk(make: Factory, login):
    """Two tickets of one branch, a third out of reach; search(query) gives the numbers that an agent finds."""
    branch = make.branch(code="NOR", name="North Leeds")
    foreign = make.branch()
    lamp = make.ticket(branch, make.customer("Zoë Müller", address="zoe@shop.test"), subject="Red lamp")
    kettle = make.ticket(branch, make.customer("Max"), subject="Kettle", status="closed", priority="high")
    hidden = make.ticket(foreign, make.customer("Hidden"), subject="Red lamp too")
    make.message(lamp, text="Two refunds were promised for the broken bulb.", html="")
    make.message(lamp, text="Die Rechnungen fehlen <b>noch</b> & < mehr.", html="")
    make.message(kettle, text="My refund for the bulb; it leaks.", html="")
    make.message(hidden, text="refund bulb secret", html="")
    agent = make.agent(branch=branch)
    client = login(agent)

    def search(query: str) -> list[str]:
        page = client.get("/queue/list", query_string={"view": "all", "text": query}).get_data(as_text=True)
        names = {str(lamp.number): "lamp", str(kettle.number): "kettle", str(hidden.number): "hidden"}
        return sorted(names[number] for number in set(re.findall(r'id="row-(\d+)"', page)))

    search.client, search.lamp, search.kettle, search.agent = client, lamp, kettle, agent
    search.hidden = hidden
    return search


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("refund", ["kettle", "lamp"]),
        # The endings of our languages are taken off.
        ("refunds", ["kettle", "lamp"]),
        ("Rechnung", ["lamp"]),
        ("rechnungen", ["lamp"]),
        ("refund bulb", ["kettle", "lamp"]),
        ("refund leaks", ["kettle"]),
        ('"broken bulb"', ["lamp"]),
        ('"bulb broken"', []),
        ("refund -leaks", ["lamp"]),
        ("-refund lamp", []),
        ("red lamp", ["lamp"]),
        ("lamp red", ["lamp"]),
        ("zoë", ["lamp"]),
        ("zoe@shop", ["lamp"]),
        ("secret", []),
        ("from:zoe@shop.test", ["lamp"]),
        ("from:müller refund", ["lamp"]),
        ("-from:zoe@shop.test refund", ["kettle"]),
        ("is:open refund", ["lamp"]),
        ("is:closed refund", ["kettle"]),
        ("is:unassigned", ["kettle", "lamp"]),
        ("is:nonsense", []),
        ("branch:nor", ["kettle", "lamp"]),
        ('branch:"north leeds"', ["kettle", "lamp"]),
        ("branch:south", []),
        ("priority:high", ["kettle"]),
        ("status:closed", ["kettle"]),
        ("before:2000", []),
        ("after:2000 refund", ["kettle", "lamp"]),
        ("before:never", []),
        ("assignee:none", ["kettle", "lamp"]),
        ("assignee:me", []),
        ("tag:billing", ["lamp"]),
        ("-tag:billing", ["kettle"]),
        ("has:file", ["kettle"]),
        ("manual.pdf", ["kettle"]),
    ],
)
def test_what_is_asked_for_is_found(desk, query: str, found: list[str]) -> None:
    desk.lamp.tags = [Tag(name="billing")]
    db.session.add(
        Attachment(
            message_id=desk.kettle.messages[0].id, name="Manual.pdf", size_bytes=1, sha256="0" * 64,
            public_key="m" * 24,
        )
    )  # fmt: skip
    db.session.commit()

    assert desk(query) == found


@pytest.mark.parametrize(
    "query",
    [
        "'",
        '"',
        "\\",
        "%",
        "_",
        ":*",
        "a:b:c",
        "!!",
        "()",
        "& | <->",
        "-",
        "from:",
        "é",
        "日本",
        "\x02mark",
        "x" * 199,
    ],
)
def test_nothing_that_is_typed_breaks_it(desk, query: str) -> None:
    answer = desk.client.get("/queue/list", query_string={"view": "all", "text": query})

    assert answer.status_code == 200


def test_the_words_are_shown_where_they_stand_and_nothing_else_is_marked(desk) -> None:
    page = desk.client.get("/queue/list", query_string={"view": "all", "text": "rechnung"}).get_data(
        as_text=True
    )

    assert "Die <mark>Rechnungen</mark> fehlen" in page
    assert "&amp; &lt; mehr" in page
    assert "<b>noch" not in page


def test_words_are_found_by_their_index(desk) -> None:
    db.session.execute(text("SET LOCAL enable_seqscan = off"))
    plan = db.session.scalars(
        text(
            "EXPLAIN SELECT ticket_id FROM message WHERE "
            "to_tsvector('simple'::regconfig, \"left\"(message.text, 100000)) @@ to_tsquery('simple', 'refund') "
            "AND (id >> 14) = 0::bigint"
        )
    )
    found = "\n".join(plan)
    assert "ix_message_word_slices" in found
    assert "(id >> 14) = " in found.partition("Index Cond")[2]


def test_a_common_word_is_looked_for_among_the_newest_and_the_page_says_so(desk, count_queries) -> None:
    """As on a desk of a million: the statistics know the word, and each look at the index is at one slice."""
    _fill(desk.lamp.id, finding.MOST_LOOKED_AT + 10)
    finding.lexicon_of.cache_clear()
    try:
        with count_queries() as statements:
            page = desk.client.get("/queue", query_string={"view": "all", "text": "refunded"}).get_data(
                as_text=True
            )
        assert len(statements) <= 12, "\n".join(statements)
        known = dict(finding.lexicon_of(0).beginning_with("refund"))
        assert known["refund"] > finding.MANY_MESSAGES
        assert f'id="row-{desk.lamp.number}"' in page
        assert re.search(r'class="list-note[^>]*data-part="note" >', page)
        # What else narrows it still finds what is older.
        assert desk("refunded leaks") == ["kettle"]
    finally:
        finding.lexicon_of.cache_clear()


def _fill(ticket_id: int, amount: int) -> None:
    said = {"ticket_id": ticket_id, "direction": "in", "text": "A refund, once more."}
    db.session.execute(insert(Message), [said] * amount)
    db.session.execute(text("ANALYZE message"))
    db.session.commit()


@pytest.mark.parametrize(
    ("said", "queries"),
    [
        ("Order AB-12345, please", ("AB-12345", "ab-12345", "12345", '"order AB-12345"', '"AB-12345"')),
        ("Invoice RE2024/11.", ("RE2024/11", "invoice RE2024/11")),
        ("since version v2.4.1 of it", ("v2.4.1", '"version v2.4.1"')),
        ("write to bo.li@else.test", ("bo.li@else.test",)),
        ("on 2026-11-23 at 10:30", ("2026-11-23", "10:30")),
        ("part 7-8 of https://shop.test/a/b?c=1", ("7-8", "shop.test/a/b?c=1")),
    ],
)
def test_numbers_of_orders_versions_and_addresses_are_found_as_they_are_written(
    desk, make: Factory, said: str, queries: tuple[str, ...]
) -> None:
    make.message(desk.lamp, text=said, html="")
    for query in queries:
        assert desk(query) == ["lamp"], query


def test_what_stands_in_the_desks_own_fields_is_found_within_reach(desk, make: Factory) -> None:
    for key, kind in (("order", "text"), ("amount", "number"), ("bought", "date")):
        make.field(key, kind=kind)
    desk.kettle.fields = {"order": "ZX-4711 Copper handles", "amount": 98765, "bought": "2026-03-04"}
    desk.hidden.fields = {"order": "ZX-4711 as well"}
    db.session.commit()
    for query in ("ZX-4711", "4711", "copper", "handle copper", '"copper handles"', "98765", "2026-03-04"):
        assert desk(query) == ["kettle"], query
    for query in ("copper nothing", '"handles copper"', "copper is:open"):
        assert desk(query) == [], query


@pytest.mark.parametrize(
    "query", ["is:opne", "-is:opne", "before:soon", "-before:soon", "refund -has:x", "priority:hgih refund"]
)
def test_an_operator_that_makes_no_sense_is_said_and_never_widens_the_list(desk, query: str) -> None:
    assert desk(query) == []
    page = desk.client.get("/queue/list", query_string={"view": "all", "text": query}).get_data(as_text=True)
    assert "cannot be understood" in page
    assert "cannot be understood" not in desk.client.get("/queue/list?view=all&text=is:open+xyz").text


def test_fields_are_found_by_their_index(desk) -> None:
    db.session.execute(text("SET LOCAL enable_seqscan = off"))
    # By the slice first, as a search asks; tickets without values are not in it, so those that come in cost nothing.
    sought = "to_tsquery('simple', 'copper') AND (id >> 14) = 0"
    condition = f"{HAS_FIELDS.text} AND {FIELD_WORDS} @@ {sought}"
    plan = "\n".join(db.session.scalars(text(f"EXPLAIN SELECT id FROM ticket WHERE {condition}")))
    assert "ix_ticket_field_word_slices" in plan, plan


def test_a_word_of_two_letters_and_an_unknown_one_are_found_too(desk) -> None:
    assert desk("my") == ["kettle"]
    assert desk("re") == ["kettle", "lamp"]
