"""`make messages`: every word of pages and faults into the catalogues, in an order that does not change.

What is new stands there untranslated, what is gone is left out; no line numbers and no dates, so that two people who
add words seldom meet in one line.
"""

from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
TRANSLATIONS = ROOT / "portal" / "translations"
# What scripts say: static/js/words.js.
SCRIPTS = ("static/js/**.js", "javascript")
METHODS = [("templates/**.html", "jinja2"), ("**.py", "python"), SCRIPTS]
OPTIONS = {"templates/**.html": {"newstyle_gettext": "true", "trimmed": "true", "silent": "false"}}
# Faults are worded where they are raised; N_ marks what another place will show.
KEYWORDS = {
    **DEFAULT_KEYWORDS,
    **dict.fromkeys(("UserFault", "NotFound", "Forbidden", "Conflict", "lazy_gettext", "sentence")),
}
KEYWORDS |= {"lazy_ngettext": (1, 2), "lazy_pgettext": ((1, "c"), 2)}


def extracted() -> Catalog:
    """Every message of the code, without translations."""
    catalogue = Catalog(charset="utf-8")
    found = extract_from_dir(
        ROOT / "portal", METHODS, OPTIONS, KEYWORDS, comment_tags=("Translators:",), strip_comment_tags=True
    )
    for _file, _line, message, comments, context in found:
        # What a sentence is joined with is no message.
        if isinstance(message, tuple) or message.strip():
            catalogue.add(message, auto_comments=comments, context=context)
    return catalogue


def main() -> None:
    """Bring every catalogue up to date."""
    words = extracted()
    for path in sorted(TRANSLATIONS.glob("*/LC_MESSAGES/messages.po")):
        language = path.parts[-3]
        with path.open("rb") as file:
            catalogue = read_po(file, locale=language)
        catalogue.update(words, no_fuzzy_matching=True)
        with path.open("wb") as file:
            write_po(file, catalogue, width=0, omit_header=True, sort_output=True, ignore_obsolete=True)
        missing = sum(1 for each in catalogue if each.id and not all(_strings(each.string)))
        print(f"{language}: {len(catalogue)} messages, {missing} not translated")


def _strings(string: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    return (string or "",) if isinstance(string, str | None) else tuple(string)


if __name__ == "__main__":
    main()
