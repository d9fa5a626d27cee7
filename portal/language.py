"""In which language pages speak: the person's own, else the browser's, else the installation's.

Pages are written in English; `portal/translations/<language>/LC_MESSAGES/messages.po` holds the other languages.
The catalogues are compiled on start, into the installation's own folder: nothing compiled is in the repository.
"""

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from gettext import NullTranslations
from pathlib import Path
from typing import Any, cast

import flask_babel
from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask, current_app, g, has_app_context, has_request_context, request, session
from flask_babel import get_babel, get_domain, get_locale
from flask_babel.speaklater import LazyString
from flask_login import current_user
from markupsafe import Markup, escape

from portal.errors import UserFault
from portal.wording import Sentence

SOURCE = "en"
# What people can choose, each in its own words; Flask-AppBuilder wants this shape.
LANGUAGES = {"en": {"flag": "gb", "name": "English"}, "de": {"flag": "de", "name": "Deutsch"}}
# Dates stand as in "12 Nov 2026", in English too.
FORMATS = {"en": "en_GB"}
_NOTHING = NullTranslations()
TRANSLATIONS = Path(__file__).resolve().parent / "translations"
SCRIPTS = Path(__file__).resolve().parent / "static" / "js"
SAID = re.compile(r'(?<![\w.])_\("([^"]+)"')


def install_language(app: Flask) -> None:
    """Choose the language of each request; after Flask-AppBuilder, which brings Flask-Babel."""
    with app.app_context():
        get_babel().locale_selector = language
    app.jinja_env.globals["script_words"] = script_words
    app.jinja_env.filters["tell"] = tell
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda words: catalogue().gettext(words),
        lambda one, many, num: catalogue().ngettext(one, many, num),
        newstyle=True,
        pgettext=lambda context, words: catalogue().pgettext(context, words),
        npgettext=lambda context, one, many, num: catalogue().npgettext(context, one, many, num),
    )
    # In place of Jinja's own, which makes the same words safe anew each time: a page says hundreds.
    app.jinja_env.globals.update(_=_said, language=spoken)
    _own_words()


def language() -> str:
    """The language of this request: the person's own, what was chosen before signing in, the browser's, the default."""
    default: str = current_app.config["BABEL_DEFAULT_LOCALE"]
    if not has_request_context():
        return default
    if current_user and current_user.is_authenticated:
        profile = getattr(current_user, "agent", None)
        if profile is not None and profile.language in LANGUAGES:
            return str(profile.language)
    # Flask-AppBuilder's own way to choose, at /lang/<language>.
    if session.get("locale") in LANGUAGES:
        return str(session["locale"])
    return request.accept_languages.best_match(LANGUAGES) or default


def gettext(words: str, /, **values: Any) -> str:
    """The words in the language of this request, with the values in their places. `values` are named as in `words`."""
    said = catalogue().gettext(words)
    return said % values if values else said


def ngettext(one: str, many: str, num: int, /, **values: Any) -> str:
    """The words for so many; `%(num)s` is the number."""
    return catalogue().ngettext(one, many, num) % {"num": num, **values}


def pgettext(context: str, words: str, /, **values: Any) -> str:
    """Words that mean one thing here and another elsewhere: `context` tells the translators which."""
    said = catalogue().pgettext(context, words)
    return said % values if values else said


def lazy_gettext(words: str, /, **values: Any) -> str:
    """The words in the language of whoever sees them: for tables that are made before anybody asks."""
    return cast(str, LazyString(gettext, words, **values))


class Told(dict[str, str]):
    """Words by name, each told in the language of whoever asks for it."""

    def __getitem__(self, name: str) -> str:
        return tell(super().__getitem__(name))

    def get(self, name: str, default: Any = None) -> Any:
        return tell(super().get(name, default))

    def items(self) -> Any:
        return [(name, self[name]) for name in self]

    def values(self) -> Any:
        return [self[name] for name in self]


def catalogue() -> NullTranslations:
    """The words of this request's language."""
    return _speech().catalogue


def refresh() -> None:
    """Forget the language of this request, for whoever has just chosen another one."""
    g.pop("speech", None)
    flask_babel.refresh()


def spoken() -> str:
    """The language of this request as a tag: en, de."""
    return _speech().tag


def formats() -> Locale:
    """How dates and numbers are written in this request."""
    return _speech().formats


@dataclass(frozen=True, slots=True)
class _Speech:
    tag: str
    catalogue: NullTranslations
    formats: Locale
    # What templates have said in this language, as they say it.
    said: dict[str, Markup]


def _speech() -> _Speech:
    """The language of this request, looked up once: a page asks hundreds of times."""
    if not has_app_context():
        return _Speech(SOURCE, _NOTHING, _formats(SOURCE), {})
    try:
        kept: _Speech = g.speech
    except AttributeError:
        tag = str(get_locale() or SOURCE)
        words = get_domain().get_translations()
        kept = g.speech = _Speech(tag, words, _formats(tag), _said_in(words))
    return kept


@lru_cache
def of_scripts() -> tuple[str, ...]:
    """What scripts say: every `_("…")` of theirs."""
    scripts = sorted(SCRIPTS.rglob("*.js"))
    found = (each for script in scripts for each in SAID.findall(script.read_text(encoding="utf-8")))
    return tuple(dict.fromkeys(found))


def script_words() -> dict[str, str]:
    """What scripts say, from English into the language of this request; nothing where that is English."""
    if spoken() == SOURCE:
        return {}
    return {words: catalogue().gettext(words) for words in of_scripts()}


def says(fault: Exception) -> str:
    """What the failure tells the person, in their language."""
    if isinstance(fault, UserFault):
        return tell(fault.sentence)
    words = fault.args[0] if fault.args and isinstance(fault.args[0], str) else str(fault)
    return tell(words)


def tell(words: str) -> str:
    """A sentence of the rules or the services, in the language of this request.

    Words that were only marked are looked up as they are; what people wrote themselves comes back unchanged.
    """
    if not isinstance(words, Sentence):
        return gettext(words) if words else ""
    return gettext(words.message, **{name: _told(value) for name, value in words.values.items()})


def _told(value: Any) -> Any:
    if isinstance(value, tuple):
        return ", ".join(str(_told(each)) for each in value)
    return tell(value) if isinstance(value, Sentence) else value


def _said(words: str, **values: Any) -> Markup:
    """What `_` is in a template: our own words are safe, the values are escaped.

    Flask-AppBuilder's templates say with it what they were handed, a fault with what somebody typed among it: what no
    catalogue holds is escaped.
    """
    speech = _speech()
    said = speech.said.get(words)
    if said is None:
        if words not in _own_words():
            foreign = escape(speech.catalogue.gettext(str(words)))
            return foreign % values if values else foreign
        said = speech.said[words] = Markup(speech.catalogue.gettext(words))  # noqa: S704 - our own words
    return said % values if values or "%%" in said else said


@lru_cache
def _own_words() -> frozenset[str]:
    """Every message of the code, as the catalogues hold it."""
    words: set[str] = set()
    for source in TRANSLATIONS.glob("*/LC_MESSAGES/*.po"):
        with source.open("rb") as file:
            for message in read_po(file):
                words.update([message.id] if isinstance(message.id, str) else message.id)
    return frozenset(words)


@lru_cache(maxsize=20)
def _said_in(_catalogue: NullTranslations) -> dict[str, Markup]:
    """Kept as long as the catalogue: templates say only what is written in them."""
    return {}


def compiled(var_dir: Path) -> Path:
    """The folder with the compiled catalogues; makes them where these very words have not been compiled yet.

    Several processes may come at once: each catalogue appears whole or not at all.
    """
    sources = sorted(TRANSLATIONS.glob("*/LC_MESSAGES/*.po"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    folder = var_dir / "translations" / digest
    for source in sources:
        target = folder / source.relative_to(TRANSLATIONS).with_suffix(".mo")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            _compile(source, target)
    return folder


def _compile(source: Path, target: Path) -> None:
    with source.open("rb") as file:
        catalogue = read_po(file, locale=source.parts[-3])
    descriptor, written = tempfile.mkstemp(dir=target.parent)
    with os.fdopen(descriptor, "wb") as file:
        write_mo(file, catalogue)
    Path(written).chmod(0o644)
    Path(written).replace(target)


@lru_cache
def _formats(tag: str) -> Locale:
    return Locale.parse(FORMATS.get(tag, tag))
