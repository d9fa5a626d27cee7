"""A page of mail HTML as lines of words, and back: the same page without some of its lines."""

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field

import lxml.html
from lxml import etree

from portal.channels.email.charsets import storable
from portal.channels.email.lines import Line

_DEEPEST = 250
_BLOCKS_WORDS = """
    address article aside blockquote body br caption center dd details div dl dt fieldset figure footer
    form h1 h2 h3 h4 h5 h6 header hr html li main nav ol p pre section summary table tbody td tfoot th
    thead tr ul
"""
_BLOCKS = frozenset(_BLOCKS_WORDS.split())
_UNREAD_WORDS = """
    script style title head meta link template noscript
"""
_UNREAD = frozenset(_UNREAD_WORDS.split())
_CELLS = frozenset({"td", "th"})
_QUOTE_CLASS = re.compile(
    r"(?i)(?:^|\s)(?:gmail_attr|gmail_quote_attribution|yahoo_quoted|ydp\w*yahoo_quoted|protonmail_quote|tutanota_quote|zmail_extra|moz-cite-prefix|"
    r"moz-email-headers-table|front-blockquote|airmail_on|bloop_original_html|mail_extra|gmail_extra_quote)(?:\s|$)"
)
_QUOTE_ID = re.compile(
    r"(?i)^(?:x_)*(?:ydp\w*)?(?:yahoo_quoted|replyintro|reply-intro|isreplycontent|mail-editor-reference-message-container)"
)
_DIVIDER_ID = re.compile(
    r"(?i)^(?:x_)*(?:divrplyfwdmsg|appendonsend|stopspelling|orimsghtmlseperator|replysplit|ms-outlook-mobile-reference)"
)
_DIVIDER_CLASS = re.compile(
    r"(?i)(?:^|\s)(?:outlookmessageheader|ms-outlook-mobile-reference-message|hmmessage_divider)(?:\s|$)"
)
_SIGNATURE_CLASS = re.compile(
    r"(?i)(?:^|\s)(?:gmail_signature|moz-signature|protonmail_signature_block|mobile_signature|tutanota_signature|zmail_signature)"
)
_SIGNATURE_ID = re.compile(
    r"(?i)^(?:x_)*(?:applemailsignature|ms-outlook-mobile-signature|mobile_signature|signature$)"
)
_INDENT_ONLY = re.compile(r"(?i)border\s?:\s?(?:none|0)")


@dataclass(slots=True)
class _Chunk:
    """A text, a tail or a picture: where it is in document order, and in which line."""

    index: int
    line: int


@dataclass(slots=True)
class Page:
    """A parsed page: its lines, and which line each piece of text belongs to."""

    root: "etree._Element | None"
    lines: list[Line] = field(default_factory=list)
    chunks: list[_Chunk] = field(default_factory=list)

    def without(self, kinds: list[str], unwanted: set[str]) -> str:
        """The HTML of the page without the lines of the unwanted kinds, and without what that leaves empty."""
        if self.root is None:
            return ""
        gone = {chunk.index for chunk in self.chunks if kinds[chunk.line] in unwanted}
        root = deepcopy(self.root)
        emptied = _empty(root, gone)
        _prune(root, emptied)
        return _inner_html(root)


def read_page(html: str) -> Page:
    """The lines of a page. A page that cannot be read has one line for each of its text's lines, all new."""
    try:
        root = lxml.html.fragment_fromstring(storable(html), create_parent="div")
    except (etree.ParserError, etree.XMLSyntaxError, ValueError, AssertionError):
        return Page(None, [])
    page = Page(root)
    _Reader(page).read(root)
    return page


@dataclass(slots=True)
class _State:
    depth: int
    mark: str


class _Reader:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.words: list[str] = []
        self.state = _State(0, "")
        self.line_state: _State | None = None
        self.index = 0

    def read(self, root: "etree._Element") -> None:
        states: list[_State] = []
        for event, element in _events(root):
            if event == "start":
                states.append(self.state)
                self._start(element)
            else:
                self._end(element)
                self.state = states.pop()
                self._text(element.tail if element is not root else None)
        self._break()

    def _start(self, element: "etree._Element") -> None:
        tag = _tag(element)
        if tag in _BLOCKS and tag not in _CELLS:
            self._break()
        self.state = _entered(element, self.state)
        if self.state.mark == "divider":
            self._break()
            self._divider()
        if tag == "img":
            self._picture()
        self._text(None if tag in _UNREAD or tag == "" else element.text)

    def _end(self, element: "etree._Element") -> None:
        tag = _tag(element)
        if tag in _CELLS:
            self.words.append(" ")
        elif tag in _BLOCKS and tag != "br":
            self._break()

    def _divider(self) -> None:
        self.page.lines.append(Line("", "[divider]", self.state.depth, "divider"))
        self.state = _State(self.state.depth, "")

    def _picture(self) -> None:
        self.page.chunks.append(_Chunk(self.index, len(self.page.lines)))
        self.index += 1
        self.line_state = self.line_state or self.state

    def _text(self, text: str | None) -> None:
        self.page.chunks.append(_Chunk(self.index, len(self.page.lines)))
        self.index += 1
        if text and text.strip():
            self.line_state = self.line_state or self.state
        self.words.append(text or "")

    def _break(self) -> None:
        words = " ".join("".join(self.words).split())
        state = self.line_state or self.state
        self.page.lines.append(Line(words, words, state.depth, state.mark))
        self.words, self.line_state = [], None


def _entered(element: "etree._Element", state: _State) -> _State:
    classes, identity = element.get("class") or "", element.get("id") or ""
    if _DIVIDER_ID.match(identity) or _DIVIDER_CLASS.search(classes):
        return _State(state.depth, "divider")
    if _SIGNATURE_CLASS.search(classes) or _SIGNATURE_ID.match(identity):
        return _State(state.depth, state.mark or "signature")
    if _QUOTE_CLASS.search(classes) or _QUOTE_ID.match(identity) or element.get("name") == "quote":
        return _State(state.depth, "quote")
    if _tag(element) == "blockquote" and not _is_indent(element):
        return _State(state.depth + 1, state.mark)
    return state


def _is_indent(element: "etree._Element") -> bool:
    if element.get("type") or element.get("class") or element.get("cite"):
        return False
    return _INDENT_ONLY.search(element.get("style") or "") is not None


def _events(root: "etree._Element") -> Iterator[tuple[str, "etree._Element"]]:
    return iter(etree.iterwalk(root, events=("start", "end")))


def _tag(element: "etree._Element") -> str:
    return element.tag.lower() if isinstance(element.tag, str) else ""


def _empty(root: "etree._Element", gone: set[int]) -> set["etree._Element"]:
    """Take the texts with these numbers away, counting as the reader does; gives the elements that lost one."""
    emptied = set()
    index = 0
    for event, element in _events(root):
        if event == "start":
            if _tag(element) == "img":
                if index in gone:
                    element.set("data-gone", "1")
                    emptied.add(element)
                index += 1
            if index in gone:
                element.text = None
                emptied.add(element)
            index += 1
        else:
            if index in gone:
                element.tail = None
                parent = element.getparent()
                if parent is not None:
                    emptied.add(parent)
            index += 1
    return emptied


def _prune(root: "etree._Element", emptied: set["etree._Element"]) -> None:
    for element in reversed(list(root.iter())):
        parent = element.getparent()
        if parent is None or len(element) or (element.text or "").strip():
            continue
        is_gone = element.get("data-gone") is not None
        if is_gone or (element in emptied and _tag(element) not in {"img", "br", "hr", "td", "th"}):
            emptied.add(parent)
            tail = element.tail
            element.tail = None
            before = element.getprevious()
            parent.remove(element)
            if tail:
                if before is not None:
                    before.tail = (before.tail or "") + tail
                else:
                    parent.text = (parent.text or "") + tail


def _inner_html(root: "etree._Element") -> str:
    inner = "".join(etree.tostring(child, encoding="unicode", method="html") for child in root)
    from html import escape

    return (escape(root.text, quote=False) if root.text else "") + inner
