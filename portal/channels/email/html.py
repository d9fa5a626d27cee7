"""HTML from outside made safe to keep and to show, and turned into text.

nh3 (ammonia) does the cleaning: an allow-list over a real HTML5 parser. What it leaves may still not leave its
frame: the console shows it isolated and under a Content-Security-Policy.
"""

import html as entities
import re
from collections.abc import Mapping
from dataclasses import dataclass

import nh3

from portal.channels.email.charsets import storable
from portal.channels.email.styles import safe_style

LONGEST_HTML = 2_000_000
LONGEST_TEXT_SOURCE = 500_000

_TAGS_WORDS = """
    a abbr address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd
    del details dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd
    li main mark nav ol p pre q rp rt ruby s samp section small span strike strong sub summary sup table
    tbody td tfoot th thead time tr tt u ul var wbr
"""
_TAGS = frozenset(_TAGS_WORDS.split())
_DROPPED_WHOLE_WORDS = """
    script style title template svg math iframe object embed applet noscript noframes noembed audio
    video canvas xml
"""
_DROPPED_WHOLE = frozenset(_DROPPED_WHOLE_WORDS.split())
_ATTRIBUTES: dict[str, set[str]] = {
    "*": {"style", "dir", "lang", "title", "align", "valign", "class", "id"},
    "a": {"href", "name"},
    "img": {"src", "alt", "width", "height", "data-remote-src"},
    "blockquote": {"type", "cite"},
    "div": {"name"},
    "font": {"color", "size", "face"},
    "ol": {"start", "type"},
    "ul": {"type"},
    "li": {"value"},
    "table": {"border", "cellpadding", "cellspacing", "width", "bgcolor"},
    "tr": {"bgcolor"},
    "td": {"colspan", "rowspan", "width", "height", "bgcolor", "nowrap"},
    "th": {"colspan", "rowspan", "width", "height", "bgcolor", "nowrap"},
    "col": {"span", "width"},
    "colgroup": {"span", "width"},
    "hr": {"width", "size", "color", "noshade"},
    "time": {"datetime"},
}
_SCHEMES = {"http", "https", "mailto", "tel", "cid", "data"}
# Class names and ids that mail programs put on quotes and signatures; all others are the page's own business.
_MARKS = re.compile(
    r"(?i)gmail_\w+|moz-\w[\w-]*|yahoo_\w+|yahoo-\w+|ydp\w{0,20}yahoo_\w+|protonmail_\w+|tutanota_\w+|zmail_\w+|x?_?mail_?quote\w*|"
    r"outlookmessageheader|divrplyfwdmsg|appendonsend|replysplit|applemailsignature|apple-\w[\w-]*|mobile_signature|"
    r"mail-editor-reference-message-container|oriMsgHtmlSeperator|isreplycontent|ms-outlook-\w[\w-]*|signature|"
    r"x_\w+|airmail_\w+|airmail-\w+|bloop_\w+|freebirdmessage\w*|zimbra\w*|hmmessage|front-blockquote|quote\w*|"
    r"sparrow\w*|mb_\w+|mail_extra|wordsection\d|msonormal|intercom-\w+|zd-\w+|unfilled|image|table"
)
_REMOTE = re.compile(r"(?i)https?://")
_DATA_IMAGE = re.compile(r"(?i)data:image/(?:png|gif|jpe?g|webp);base64,")
_IMAGE = re.compile(r"<img((?:\s+[\w-]+=\"[^\"]*\")*)\s*/?>")
_ATTRIBUTE = re.compile(r"\s+([\w-]+)=\"([^\"]*)\"")
_UPLOAD_URL = re.compile(r"/(?![/\\])[\w/.?=&%~-]*\Z")
_DEEPEST = 400
_NESTING_TAG = re.compile(
    r"<(/?)(?!(?:p|li|dd|dt|tr|td|th|tbody|thead|tfoot|option|br|img|hr|meta|link|input|col|wbr|area|base|source|o:p)\b)[a-zA-Z]",
    re.IGNORECASE,
)
# The parser compares each attribute of a tag with all before it, and escaping goes over a text anew for each character
# that it escapes: their time is that number squared.
_MOST_ATTRIBUTES = 500
_LONG_TAG = 5_000
_WHOLE_TAG = re.compile(r"(?s)<!--.*?(?:-->|\Z)|<[a-zA-Z](?:=\s*+(?:\"[^\"]*+\"|'[^']*+')|[^>])*+")
_ATTRIBUTE_NAME = re.compile(r"(?:\s|/)++[^\s/=]++(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'))?+")
_MOST_ESCAPED = 100_000
_SOME_ESCAPED = re.compile(r"(?:[&\u00a0][^&\u00a0]*+){1000}")
_ANY_TAG = re.compile(r"<[^<>]{0,10000}>")
_BLOCK_TAG = re.compile(r"(?i)<(?:/?(?:p|div|tr|li|h[1-6]|table|ul|ol|blockquote)|br|hr)\b[^<>]{0,10000}>")
_UNREAD = re.compile(
    r"(?is)<(script|style|title)\b[^<>]{0,1000}>(?:[^<]|<(?!/\1))*(?:</\1\s*>)?|<!--(?:[^-]|-(?!->))*(?:-->)?"
)


@dataclass(frozen=True, slots=True)
class SanitisedHtml:
    """HTML that is safe to keep; remote images wait in `data-remote-src`, attached ones in `src="cid:…"`."""

    html: str
    has_remote_images: bool


def sanitise(html: str) -> SanitisedHtml:
    """Mail HTML reduced to an allow-list of tags, attributes, URL schemes and style properties. Never raises.

    Links open a new window without referrer; tracking pixels are removed; no image is loaded from elsewhere.
    """
    cleaned = nh3.clean(
        _bounded(html),
        tags=set(_TAGS),
        clean_content_tags=set(_DROPPED_WHOLE),
        attributes=_ATTRIBUTES,
        attribute_filter=_mail_attribute,
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        url_schemes=_SCHEMES,
        url_relative="deny",
    )
    shielded = _IMAGE.sub(_shielded, cleaned)
    return SanitisedHtml(shielded, "data-remote-src=" in shielded)


def sanitise_reply(html: str) -> str:
    """HTML written by a colleague, made safe; pictures uploaded to us and remote ones keep their address."""
    return nh3.clean(
        _bounded(html),
        tags=set(_TAGS),
        clean_content_tags=set(_DROPPED_WHOLE),
        attributes={**_ATTRIBUTES, "span": {"data-unfilled", "data-placeholder", "data-mention"}},
        attribute_filter=_reply_attribute,
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        url_schemes=_SCHEMES,
        url_relative=lambda url: url if _UPLOAD_URL.match(url) else None,
    )


def resolve_images(html: str, url_by_content_id: Mapping[str, str], show_remote: bool) -> str:
    """Sanitised HTML with `cid:` pictures at our own addresses, and remote ones loaded if asked.

    A picture whose attachment is not there keeps its text only.
    """

    def resolved(found: re.Match[str]) -> str:
        attributes = dict(_ATTRIBUTE.findall(found.group(1)))
        source = entities.unescape(attributes.get("src", ""))
        if source.lower().startswith("cid:"):
            attributes.pop("src")
            url = url_by_content_id.get(source[4:]) or url_by_content_id.get(source[4:].strip("<>"))
            if url:
                attributes["src"] = entities.escape(url)
        if show_remote and "data-remote-src" in attributes:
            attributes["src"] = attributes.pop("data-remote-src")
        return _image(attributes)

    return _IMAGE.sub(resolved, html)


def text_to_html(text: str) -> str:
    """Plain text as paragraphs, every character of it shown as it is."""
    blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    return "".join(
        f"<p>{entities.escape(block.strip()).replace(chr(10), '<br>')}</p>"
        for block in blocks
        if block.strip()
    )


def html_to_text(html: str) -> str:
    """The words of an HTML text, laid out in lines. Never raises; reads at most LONGEST_TEXT_SOURCE characters."""
    source = storable(html[:LONGEST_TEXT_SOURCE])
    if not source.strip():
        return ""
    # Only mail with HTML pays for loading it.
    from inscriptis import get_text

    if _is_too_deep(source) or has_too_many_attributes(source):
        return _without_tags(source)
    try:
        return storable(get_text(source)).strip("\n")
    except (RecursionError, ValueError, TypeError, AttributeError, AssertionError, LookupError):
        # Nested deeper than the layout engine goes: the words without the layout.
        return _without_tags(source)


def _bounded(html: str) -> str:
    """The HTML, or its words alone where parsing it would take minutes."""
    bounded = storable(html[:LONGEST_HTML])
    is_hostile = (
        bounded.count("&") + bounded.count("\u00a0") > _MOST_ESCAPED
        or _is_too_deep(bounded)
        or has_too_many_attributes(bounded)
    )
    if not is_hostile:
        return bounded
    words = entities.escape(_without_tags(bounded)).replace("\n", "<br>")
    return _SOME_ESCAPED.sub(r"\g<0><wbr>", words)


def _is_too_deep(html: str) -> bool:
    # HTML5 parsing looks through all open elements again and again: its time is length times depth.
    depth = 0
    for found in _NESTING_TAG.finditer(html):
        depth = max(0, depth - 1) if found.group(1) else depth + 1
        if depth > _DEEPEST:
            return True
    return False


def has_too_many_attributes(html: str) -> bool:
    """Whether a tag has more attributes than any mail program writes: a parser would take minutes."""
    return any(
        len(_ATTRIBUTE_NAME.findall(found.group())) > _MOST_ATTRIBUTES
        for found in _WHOLE_TAG.finditer(html)
        if found.end() - found.start() > _LONG_TAG and found.group()[1] != "!"
    )


def _without_tags(source: str) -> str:
    lines = _BLOCK_TAG.sub("\n", _UNREAD.sub(" ", source))
    text = entities.unescape(_ANY_TAG.sub("", lines)).replace("\r", "")
    return storable("\n".join(line.strip() for line in text.split("\n") if line.strip()))


def _mail_attribute(tag: str, name: str, value: str) -> str | None:
    if tag == "div" and name == "name":
        return value if value == "quote" else None
    if tag == "img" and name == "src" and value.lower().startswith("data:"):
        return value if _DATA_IMAGE.match(value) else None
    if name == "data-remote-src":
        # Only what this very function has put there, so that HTML sanitised twice stays as it is.
        return value if _REMOTE.match(value) else None
    if name in {"href", "cite"} and value.lower().startswith(("data:", "cid:")):
        return None
    return _common_attribute(name, value)


def _reply_attribute(tag: str, name: str, value: str) -> str | None:
    if name == "data-remote-src":
        return None
    if name == "class":
        return re.sub(r"[^\w -]", "", value)[:200] or None
    return _mail_attribute(tag, name, value)


def _common_attribute(name: str, value: str) -> str | None:
    if name == "style":
        return safe_style(value) or None
    if name in {"class", "id"}:
        return " ".join(mark for mark in value.split()[:50] if _MARKS.fullmatch(mark)) or None
    # Sanitised HTML is searched by tag later: no attribute may look like one.
    return value.replace("<", "").replace(">", "")


def _shielded(found: re.Match[str]) -> str:
    attributes = dict(_ATTRIBUTE.findall(found.group(1)))
    source = entities.unescape(attributes.get("src", ""))
    if source.lower().startswith(("cid:", "data:")):
        return found.group()
    attributes.pop("src", None)
    source = source or entities.unescape(attributes.pop("data-remote-src", ""))
    if not source:
        return _image(attributes) if attributes.get("alt") else ""
    if _is_pixel(attributes):
        return ""
    return _image({**attributes, "data-remote-src": entities.escape(source)})


def _is_pixel(attributes: Mapping[str, str]) -> bool:
    sizes = [attributes.get(side, "").removesuffix("px").strip() for side in ("width", "height")]
    return all(size in {"0", "1"} for size in sizes)


def _image(attributes: Mapping[str, str]) -> str:
    return "<img" + "".join(f' {name}="{value}"' for name, value in attributes.items()) + ">"
