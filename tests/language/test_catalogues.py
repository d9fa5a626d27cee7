"""Every word that is marked for it is translated, and no text of a template goes past that."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po

from portal.language import LANGUAGES, SCRIPTS, SOURCE, TRANSLATIONS, of_scripts
from scripts.messages import extracted

PLACE = re.compile(r"%\(\w+\)[sd]|%%")
TEMPLATES = TRANSLATIONS.parent / "templates"
TOKENS = re.compile(
    r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<!--.*?-->|<style.*?</style>|<(?:\{\{.*?\}\}|\{%.*?%\}|[^>])*>",
    re.DOTALL,
)
SPOKEN = re.compile(r'\s(?:aria-label|title|placeholder|alt|data-key-label|data-dialog-title)="([^"]*)"')
CODE = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|&\w+;", re.DOTALL)
# What a script says and not only marks: two words and more in quotes, the first one large, or one word that is shown.
BARE_IN_SCRIPT = re.compile(
    r"""(?<!_\()["'`]([A-Z][^"'`\n]*? [^"'`\n]*?)["'`]|(?:textContent = |aria-label", )["'`]([A-Z]\w+)["'`]"""
)
# Names, keys, and what the demo's postbox shows of raw mail.
SAME_EVERYWHERE = {"P", "Portal", "Ctrl ↵", "Esc", "R", "N", "M", "E", "T", "DKIM", "SPF", "DMARC"}


def catalogue(language: str) -> dict[tuple[object, str | None], Message]:
    with (TRANSLATIONS / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return {(each.id, each.context): each for each in read_po(file, locale=language) if each.id}


def forms(words: object) -> list[str]:
    return [words] if isinstance(words, str) else list(words or [""])  # type: ignore[call-overload]


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != SOURCE])
def test_every_message_is_translated_with_its_places(language: str) -> None:
    known = catalogue(language)
    wrong = []
    for message in extracted():
        if not message.id:
            continue
        translated = known.get((message.id, message.context))
        if translated is None or translated.fuzzy or not all(forms(translated.string)):
            wrong.append(("not translated", message.id))
            continue
        places = {place for form in forms(message.id) for place in PLACE.findall(form)} - {"%%"}
        for form in forms(translated.string):
            said = set(PLACE.findall(form)) - {"%%"}
            # A plural's forms may leave out the number.
            if said != places and (isinstance(message.id, str) or said | {"%(num)s"} != places | {"%(num)s"}):
                wrong.append(("other places", message.id))
    assert wrong == []


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != SOURCE])
def test_a_translation_brings_no_markup(language: str) -> None:
    """What a catalogue says is taken as it is in pages: a quote or a tag would end an attribute."""
    brings = [
        each.id
        for each in catalogue(language).values()
        if set('<>"') & set("".join(forms(each.string))) - set("".join(forms(each.id)))
    ]
    assert brings == []


@pytest.mark.parametrize(
    "path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES))
)
def test_no_visible_text_goes_past_the_translation(path: Path) -> None:
    assert bare_words(path.read_text()) == []


def test_text_that_goes_past_the_translation_is_seen() -> None:
    page = '<p title="Look here">Hello {{ name }}</p>{{ _("Fine") }} <b aria-label="{{ _("Too") }}">{# none #}</b>'
    assert bare_words(page) == ["Hello", "Look here"]


def bare_words(source: str) -> list[str]:
    """The words of a template that nobody translates: between its tags, then in what is read out or shown on hover."""
    between = [re.sub(r"&\w+;", "", text).strip(" \n·–—…,.:()#×+/") for text in TOKENS.split(source)]
    spoken = [CODE.sub("", said).strip(" ·–()#") for said in SPOKEN.findall(source)]
    return [
        text
        for text in [*between, *spoken]
        if re.search(r"[A-Za-z]{2}", text) and text not in SAME_EVERYWHERE and not text.startswith("layout-")
    ]


def test_what_scripts_say_is_found_and_brought() -> None:
    found = set(of_scripts())
    assert "Draft kept" in found
    assert found <= {message.id for message in extracted()}


def test_no_script_says_a_bare_sentence() -> None:
    bare = [
        (path.name, said)
        for path in sorted(SCRIPTS.rglob("*.js"))
        for said in BARE_IN_SCRIPT.findall(
            re.sub(r"/\*.*?\*/|^\s*//.*?$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
        )
    ]
    assert bare == []
