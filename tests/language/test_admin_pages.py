"""Nothing of the admin goes past the translation either: lists, forms and rows of every noun."""

import re
from pathlib import Path

import flask_appbuilder
import pytest
from babel import Locale
from babel.messages.pofile import read_po
from flask.testing import FlaskClient
from flask_babel import get_domain

from portal.extensions import appbuilder, db
from portal.language import TRANSLATIONS
from portal.services import lifecycle, triage
from portal.views.admin.contents import SECTIONS
from tests.factory import Factory
from tests.language.test_pages import OPEN, Marked, unmarked

PAGES = [view for section in SECTIONS for view in section.views]
# What the factory calls things, names of roles, and what is written as programs write it.
DATA = re.compile(
    r"(?:Calendar|Account|Policy) \d+|Tier \d( \(level \d\))?|Datum Datum in Datum|Admin|Lead|Agent|Auditor|Addresses"
    r"|\d{1,2} [A-Z][a-z]{2}( \d{4} \d\d:\d\d)?|\d\d:\d\d(–\d\d:\d\d)?"
    r"|en|INBOX|TLS|STARTTLS|Google \(OAuth 2\)|Microsoft 365 \(OAuth 2\)|–|From: .*|Dear \{\{.*|\[\s.*",
    re.DOTALL,
)
# What countries are called comes with Babel, in every language.
TERRITORIES = set(Locale.parse("en_GB").territories.values())
FAB_CATALOGUE = "translations/de/LC_MESSAGES/messages.po"


class Asked(Marked):
    """Marks words, and remembers which."""

    words: set[str]

    def gettext(self, message: str) -> str:
        self.words.add(message)
        return super().gettext(message)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What pages have asked the catalogue for."""
    Asked.words = set()
    monkeypatch.setattr(get_domain(), "get_translations", Asked)
    return Asked.words


@pytest.fixture
def admin(make: Factory, login, asked: set[str]) -> FlaskClient:
    """One of everything, called Datum, and an admin who reads a language that marks its words."""
    branch = make.branch(name="Datum", code="DATUM")
    make.account(branch)
    make.ticket(branch, make.customer("Datum"), subject="Datum")
    make.template(name="Datum")
    return login(make.agent("Admin", branch, first_name="Datum", username="datum"))


@pytest.mark.parametrize("view", PAGES, ids=lambda view: view.__name__)
def test_every_word_of_the_admin_is_translated(view, admin: FlaskClient, asked: set[str]) -> None:
    instance = next(each for each in appbuilder.baseviews if type(each) is view)
    row = db.session.query(view.datamodel.obj).first()
    addresses = [f"{view.route_base}/list/"]
    if row is not None:
        pages = ("show", "edit") if "edit" not in instance.exclude_route_methods else ("show",)
        addresses += [f"{view.route_base}/{page}/{instance.datamodel.get_pk_value(row)}" for page in pages]
    if "add" not in instance.exclude_route_methods:
        addresses.append(f"{view.route_base}/add")
    criteria = {*triage.criteria().values(), *(code.label for code in lifecycle.current().codes)}
    found = []
    for address in addresses:
        answer = admin.get(address)
        assert answer.status_code == 200, address
        page = answer.get_data(as_text=True)
        assert OPEN in page
        found += [
            text
            for text in unmarked(page)
            if text.removesuffix(" – Portal") not in criteria | TERRITORIES
            and not DATA.fullmatch(text.removesuffix(" – Portal"))
        ]
    assert found == [], "\n".join(f"|{each}|" for each in found)
    unknown = {words for words in asked if not DATA.fullmatch(words)} - in_german()
    assert unknown == set(), "\n".join(f"|{each}|" for each in unknown)


def in_german() -> set[str]:
    """Every message that has German words: ours, and Flask-AppBuilder's."""
    known: set[str] = set()
    for path in (
        TRANSLATIONS / "de/LC_MESSAGES/messages.po",
        Path(flask_appbuilder.__file__).parent / FAB_CATALOGUE,
    ):
        with path.open("rb") as file:
            for message in read_po(file, locale="de"):
                if message.string:
                    known.update([message.id] if isinstance(message.id, str) else message.id)
    return known
