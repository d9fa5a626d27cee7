"""What is left of a mail's HTML: nothing that runs, loads, or leaves its frame."""

import re
import time

import html5lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.corpora import CORPORA
from portal.channels.email.html import _TAGS, html_to_text, resolve_images, sanitise, sanitise_reply
from tests.shared import shared_path


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href=' jAvAsCrIpT&colon;alert(1)'>x</a>",
        "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
        "<svg><script>alert(1)</script></svg>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
        "<form action=https://evil.example><input name=password></form>",
        "<meta http-equiv=refresh content='0;url=https://evil.example'>",
        "<base href=https://evil.example/>",
        "<style>body{display:none}</style>",
        "<link rel=stylesheet href=https://evil.example/x.css>",
        "<p style='position:fixed;top:0;background:url(https://evil.example/x)'>x</p>",
        "<p style='width:expression(alert(1))'>x</p>",
        "<p style='back\\67round:url(x)'>x</p>",
        "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
        '<p title="<img src=" class="x" lang="><img src=x onerror=alert(1)>">x</p>',
        "<template><script>alert(1)</script></template>",
        "<object data=https://evil.example/x.swf></object>",
    ],
)
def test_nothing_that_runs_or_loads_is_left(html: str) -> None:
    shared_path("mail")
    check = _scorer().chk_sanitize
    for clean in (sanitise(html).html, sanitise_reply(html)):
        assert check(clean) is None
        assert "evil.example/x" not in clean
        assert "position" not in clean


def _scorer():
    import importlib.util

    spec = importlib.util.spec_from_file_location("score", CORPORA / "score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_PIECES = st.sampled_from(
    ["<script>", "</script>", "<style>", "</style>", "<svg>", "<math>", "<mtext>", "<noscript>", "<template>",
     "<table>", "<td>", "</table>", "<p ", "<a ", "<img ", "<div ", "<b>", "</b>", "<select>", "<title>",
     "<textarea>", "<!--", "-->",
     "<![CDATA[", "]]>", ">", "/>", '"', "'", " ", "=", "&", "&colon;", "&#106;", "&#x3a;", "\\", "\x00", "\x09",
     "onerror=alert(1)", "ONLOAD=x", " src=", " href=", " style=", " data-remote-src=", "javascript:alert(1)",
     "jAvA\tscript:x", "vbscript:x", "data:text/html,x", "data:image/svg+xml,<svg onload=x>", "https://evil.example/x",
     "//evil.example/x", "cid:a", "position:fixed;top:0", "background:url(https://evil.example/x)",
     "@import 'https://evil.example/x';", "color:red", "width:expression(x)", "-moz-binding:url(x)", "x"]
)  # fmt: skip
_HTML = st.one_of(
    st.lists(_PIECES, max_size=25).map("".join),
    st.lists(st.one_of(_PIECES, st.text(max_size=4)), max_size=25).map("".join),
    st.text(alphabet="<>/=\"' abimgsrconeloadscriptstyle:;&#x()-!", max_size=200),
)
_LOADS = (
    "src",
    "srcset",
    "background",
    "poster",
    "action",
    "formaction",
    "data",
    "ping",
    "longdesc",
    "xlink:href",
)


def check_is_harmless(clean: str) -> None:
    """What an independent parser finds in it: no script, no handler, no odd address, nothing that loads or moves."""
    for element in html5lib.parseFragment(clean, namespaceHTMLElements=False).iter():
        assert not isinstance(element.tag, str) or element.tag in _TAGS | {"DOCUMENT_FRAGMENT"}, element.tag
        for name, value in element.attrib.items():
            address = re.sub(r"[\x00-\x20]", "", value).lower()
            assert not str(name).lower().startswith("on"), (name, value)
            if name in _LOADS:
                assert element.tag == "img"
                assert address.startswith(("cid:", "data:image/")), (name, value)
                assert "svg" not in address[:20]
            if name in ("href", "cite"):
                assert address.startswith(("http:", "https:", "mailto:", "tel:")), (name, value)
            if name == "data-remote-src":
                assert address.startswith(("http://", "https://")), value
            if name == "style":
                assert not re.search(r"(?i)url|@import|position|expression|binding|\\", value), value


@given(_HTML)
@settings(max_examples=400)
def test_any_html_is_harmless_and_stays_as_it_is(html: str) -> None:
    clean = sanitise(html).html
    check_is_harmless(clean)
    # A reader of HTML puts misnested links in order once, and once more when it reads that; then nothing changes.
    again = sanitise(clean).html
    assert sanitise(again).html == again
    check_is_harmless(again)
    # Nothing is loaded from elsewhere before someone asks.
    assert "evil.example" not in "".join(
        element.attrib.get("src", "")
        for element in html5lib.parseFragment(resolve_images(clean, {}, show_remote=False)).iter()
    )
    assert isinstance(html_to_text(html), str)


@given(_HTML)
@settings(max_examples=150)
def test_any_reply_is_harmless(html: str) -> None:
    for element in html5lib.parseFragment(sanitise_reply(html), namespaceHTMLElements=False).iter():
        for name, value in element.attrib.items():
            assert not str(name).lower().startswith("on"), (name, value)
            assert "script:" not in re.sub(r"\s", "", value).lower() or name in (
                "title",
                "alt",
                "data-unfilled",
            ), value


@pytest.mark.parametrize(
    "source", ["javascript:alert(1)", "data:text/html,x", "//evil.example/x", "/x", "cid:a", "blob:x"]
)
def test_a_mail_cannot_say_itself_what_is_loaded_when_asked_for(source: str) -> None:
    clean = sanitise(f'<img data-remote-src="{source}" alt="x">').html
    assert clean == '<img alt="x">'
    assert "src" not in resolve_images(clean, {"a": "/a"}, show_remote=True)


def test_links_open_elsewhere_and_tell_nothing() -> None:
    clean = sanitise('<a href="https://shop.example/a?b=1&c=2">x</a>').html
    assert 'target="_blank"' in clean
    assert 'rel="noopener noreferrer nofollow"' in clean
    assert 'href="https://shop.example/a?b=1&amp;c=2"' in clean


def test_remote_images_wait_until_asked_for() -> None:
    clean = sanitise('<img src="https://shop.example/logo.png?a=1&amp;b=2" alt="Logo">')
    assert clean.has_remote_images
    assert ' src="' not in clean.html
    assert ' src="https://shop.example/logo.png?a=1&amp;b=2"' in resolve_images(
        clean.html, {}, show_remote=True
    )
    assert ' src="' not in resolve_images(clean.html, {}, show_remote=False)


def test_tracking_pixels_are_taken_away() -> None:
    clean = sanitise('<p>x</p><img src="https://spy.example/1.gif" width="1" height="1">')
    assert (clean.html, clean.has_remote_images) == ("<p>x</p>", False)


def test_attached_images_come_from_our_own_address() -> None:
    clean = sanitise('<img src="cid:part1@shop">')
    assert not clean.has_remote_images
    assert resolve_images(clean.html, {"part1@shop": "/a/1"}, show_remote=False) == '<img src="/a/1">'
    assert resolve_images(clean.html, {}, show_remote=False) == "<img>"


def test_harmless_styles_stay() -> None:
    clean = sanitise('<p style="color: #ff0000; font-weight:bold; margin-left:-900px; z-index:9">x</p>').html
    assert clean == '<p style="color:#ff0000;font-weight:bold">x</p>'


def test_a_reply_keeps_uploaded_pictures_and_loses_foreign_paths() -> None:
    assert 'src="/uploads/abc"' in sanitise_reply('<img src="/uploads/abc">')
    assert "evil" not in sanitise_reply('<img src="//evil.example/x"><img src="/\\evil.example/x">')


def test_a_reply_shows_which_placeholder_is_unfilled() -> None:
    assert "data-unfilled" in sanitise_reply('<span data-unfilled="customer.name">x</span>')


def test_text_of_a_page_keeps_its_lines() -> None:
    lines = html_to_text("<p>One</p><ul><li>two</li><li>three</li></ul><script>no()</script>").split("\n")
    assert [line.strip(" *-") for line in lines if line.strip()] == ["One", "two", "three"]


@pytest.mark.parametrize(
    "html",
    ["<div>" * 300_000, "<b><i><a href=x>" * 30_000, "<table><tr><td>" * 50_000, "<" * 1_000_000, "<!--" * 200_000,
     "<p " + "a=b " * 300_000 + ">", "<img src=a>" * 100_000, "<blockquote>" * 50_000,
     "<p " + " ".join(f"a{number}" for number in range(180_000)) + ">", "&" * 2_000_000, "&nbsp;" * 330_000,
     "\u00a0" * 2_000_000, "<p title='" + "&" * 1_900_000 + "'>x"],
    ids=["divs", "formatting", "tables", "brackets", "comments", "attributes", "images", "quotes",
         "different attributes", "ampersands", "references", "spaces", "escaped attribute"],
)  # fmt: skip
def test_hostile_pages_take_bounded_time(html: str) -> None:
    from portal.channels.email.quoting import split_html, split_reply

    started = time.process_time()
    clean = sanitise(html).html
    html_to_text(html)
    split_html(clean)
    split_reply(None, html)
    assert time.process_time() - started < 10


def test_a_mail_of_many_ampersands_keeps_its_words() -> None:
    clean = sanitise("<p>first " + "&amp;" * 150_000 + " last</p>").html
    assert clean.startswith("first &amp;")
    assert clean.count("&amp;") == 150_000
    assert clean.endswith(" last<wbr>")


def test_words_survive_where_the_nesting_is_given_up() -> None:
    assert "the words" in sanitise("<div>" * 5_000 + "the words").html
    assert "the words" in html_to_text("<div>" * 5_000 + "the words")
