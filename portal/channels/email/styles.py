"""Inline styles reduced to what text needs: nothing that moves, covers, loads or runs."""

import re

_PROPERTIES_WORDS = """
    color background-color background font font-family font-size font-style font-weight font-variant
    line-height letter-spacing text-align text-decoration text-indent text-transform vertical-align
    white-space word-break word-wrap overflow-wrap direction unicode-bidi list-style-type padding
    padding-top padding-right padding-bottom padding-left margin margin-top margin-right margin-bottom
    margin-left border border-top border-right border-bottom border-left border-color border-style
    border-width border-collapse border-spacing border-radius border-top-color border-top-style
    border-top-width border-bottom-color border-bottom-style border-bottom-width border-left-color
    border-left-style border-left-width border-right-color border-right-style border-right-width width
    max-width min-width height max-height min-height display float clear
"""
_PROPERTIES = frozenset(_PROPERTIES_WORDS.split())
_UNSAFE_VALUE = re.compile(
    r"(?i)[\\@<>{}]|/\*|url|expression|javascript|vbscript|behaviou?r|binding|import|attr\s*\(|var\s*\(|env\s*\(|image"
)
_SIZE = re.compile(r"-?\d{5,}|-\d")
_DISPLAYS_WORDS = """
    none block inline inline-block table table-row table-cell list-item
"""
_DISPLAYS = frozenset(_DISPLAYS_WORDS.split())
_LONGEST = 5_000


def safe_style(value: str) -> str:
    """The declarations of a style attribute that are harmless; empty when none is."""
    kept = []
    for declaration in value[:_LONGEST].split(";"):
        name, colon, stated = declaration.partition(":")
        name, stated = name.strip().lower(), stated.strip()
        if colon and name in _PROPERTIES and _is_harmless(name, stated):
            kept.append(f"{name}:{stated}")
    return ";".join(kept)


def _is_harmless(name: str, value: str) -> bool:
    if not value or len(value) > 300 or _UNSAFE_VALUE.search(value):
        return False
    if name == "display":
        return value.lower().replace("!important", "").strip() in _DISPLAYS
    # Negative margins and huge sizes put text over other text, or out of sight.
    return (
        _SIZE.search(value) is None
        if name.startswith(("margin", "padding", "width", "height", "min-", "text-indent"))
        else True
    )
