"""Nothing on a page goes past the translation: in a language that marks its words, what is not marked is data."""

import re
from collections.abc import Iterator
from gettext import NullTranslations
from html.parser import HTMLParser

import pytest
from babel import Locale
from flask import Flask
from flask_babel import get_domain

from portal.models.columns import now
from portal.rules import lifecycle
from portal.services import people, triage
from portal.wording import as_evidence
from tests.factory import Factory

OPEN, CLOSE = "⟦", "⟧"
# Read out or shown on hover as well.
SPOKEN = {"aria-label", "title", "placeholder", "alt", "data-key-label", "data-dialog-title"}
SILENT = {"script", "style", "template", "textarea", "svg"}
# Without a closing tag.
VOID = {"input", "br", "img", "meta", "link", "hr", "use", "source", "wbr", "path"}
# What is the same in every language: names, keys, units of a file, languages by their own names.
SAME_EVERYWHERE = {"Portal", "Ctrl", "Esc", "English", "Deutsch", "UTC", "KB", "MB"}
# What the factory calls tiers and policies, and days as CLDR writes them.
MONTHS, DAYS = (
    "|".join(
        re.escape(name)
        for form in ("format", "stand-alone")
        for width in ("wide", "abbreviated")
        for name in names[form][width].values()
    )
    for names in (Locale("de").months, Locale("de").days)
)
NAMED = re.compile(
    rf"\b(?:Tier|Policy) \d+\b|\b\d+\. (?:{MONTHS})|\b(?:{DAYS}) \d\d:\d\d|\S*@\S*|\b[hsd]\b|\bmin\b"
)
# What a person, a branch or a customer is called in these tests, and what they wrote.
DATA = "datum"


class Marked(NullTranslations):
    """A language whose every word stands in brackets."""

    def gettext(self, message: str) -> str:
        return f"{OPEN}{message}{CLOSE}"

    def ngettext(self, one: str, many: str, num: int) -> str:
        return f"{OPEN}{one if num == 1 else many}{CLOSE}"

    def pgettext(self, _context: str, message: str) -> str:
        return f"{OPEN}{message}{CLOSE}"

    ugettext, ungettext = gettext, ngettext


class Reader(HTMLParser):
    """Collects what a page shows or reads out and nobody has marked."""

    def __init__(self) -> None:
        super().__init__()
        self.within: list[tuple[str, bool]] = []
        self.bare: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        is_data = tag in SILENT or "data-datum" in values or "words" in (values.get("class") or "").split()
        # The zones of the world are names.
        # Initials, and the names of keys.
        is_data = is_data or tag == "kbd" or "avatar" in (values.get("class") or "").split()
        is_data = is_data or (tag == "select" and values.get("name") == "time_zone")
        if not any(silent for _tag, silent in self.within):
            for name in SPOKEN & values.keys():
                self.look_at(values[name] or "")
        if tag not in VOID:
            self.within.append((tag, is_data))

    def handle_endtag(self, tag: str) -> None:
        while self.within and self.within.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not any(silent for _tag, silent in self.within):
            self.look_at(data)

    def look_at(self, text: str) -> None:
        if any(word not in SAME_EVERYWHERE for word in bare_words(text)):
            self.bare.append(" ".join(text.split()))


def bare_words(text: str) -> list[str]:
    """The words outside every bracket that are no data: figures, addresses and what is named with DATA are."""
    depth, outside = 0, []
    for letter in text:
        depth += (letter == OPEN) - (letter == CLOSE)
        outside.append(letter if depth == 0 else " ")
    plain = NAMED.sub(" ", "".join(outside))
    return [word for word in re.findall(r"[A-Za-z]{2,}\w*", plain) if DATA not in word.lower()]


@pytest.fixture
def marked(app: Flask) -> Iterator[None]:
    """German, said in the marked words instead."""
    with app.test_request_context():
        cache = get_domain().get_translations_cache(None)
    before = dict(cache)
    cache["de", "messages"] = Marked()
    yield
    cache.clear()
    cache.update(before)


@pytest.fixture
def desk(make: Factory, login, marked):
    """A lead who reads that language, with a ticket to whom much has happened."""
    branch = make.branch(name="Datum")
    user = make.agent("Lead", branch=branch, is_lead=True, first_name="Datum")
    user.last_name = "Datum"
    people.keep_preferences(user, people.Preferences(language="de"))
    customer = make.customer(name="Datum")
    ticket = make.ticket(branch, customer, subject="Datum", assignee_id=user.id)
    reason = lifecycle.status_after_customer_message("closed", None, now(), 14, lifecycle.Lifecycle()).reason
    make.message(
        ticket,
        text="Datum",
        html="<p>Datum</p>",
        from_name="Datum",
        thread_rule="follow_up",
        thread_evidence=as_evidence(reason),
    )
    return login(user), ticket


PAGES = [
    "/queue",
    "/queue?view=unassigned&priority=high&tag=datum&status=pending",
    "/queue/bulk?do=status&number={number}&status=closed",
    "/queue/bulk?do=assign&number={number}&assignee=none",
    "/tickets/{number}",
    "/tickets/{number}/history",
    "/notifications",
    "/settings",
    "/leads/",
    "/leads/undelivered",
    "/queue/filter",
    "/tickets/{number}/clocks",
    "/tickets/{number}/customer",
    "/tickets/{number}/templates",
    "/tickets/{number}/snooze",
    "/tickets/{number}/link",
    "/tickets/{number}/triage",
    "/tickets/{number}/merge",
]


@pytest.mark.parametrize("path", PAGES)
def test_every_word_of_a_page_is_translated(desk, path: str) -> None:
    client, ticket = desk
    answer = client.get(path.format(number=ticket.number))
    assert answer.status_code == 200
    page = answer.get_data(as_text=True)
    assert OPEN in page
    # By what a desk judges is its admins' own text, and a new desk has some to begin with.
    written = set(triage.criteria().values())
    assert [text for text in unmarked(page) if text not in written] == []


def unmarked(page: str) -> list[str]:
    reader = Reader()
    reader.feed(page)
    return reader.bare


def test_a_bare_word_is_found() -> None:
    page = '<p title="⟦Fine⟧ not"><b>⟦Good⟧</b> bad <input placeholder="Worse"> 12 h ⟦and ⟦so⟧ on⟧ Datum</p>'
    assert unmarked(page) == ["⟦Fine⟧ not", "bad", "Worse"]
