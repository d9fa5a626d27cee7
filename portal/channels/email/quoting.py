"""What of a mail is new: `split_reply` for its words, `split_html` for the page that shows them.

One decision serves both: text and HTML become lines with a quote depth and what the mail program marked, and the
lines are judged. Whatever is in doubt counts as new: a folded question is worse than an unfolded quote. Forwarded
mail counts as new, because it is what the customer wants us to read.
"""

from dataclasses import dataclass

from portal.channels.email.html import has_too_many_attributes, html_to_text
from portal.channels.email.lines import NEW, QUOTED, SIGNATURE, Line, text_lines
from portal.channels.email.quoting_html import Page, read_page
from portal.channels.email.quoting_lines import judge_lines

__all__ = ["SplitReply", "split_html", "split_reply"]

# Judging stops here; what lies beyond counts as new.
LONGEST_JUDGED = 300_000
# A text part with less than this share of the HTML's new words is a stub ("your program cannot show HTML").
_STUB_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class SplitReply:
    """The three pieces of a message as text: what its writer wrote, what they quoted, how they sign."""

    new: str
    quoted: str
    signature: str


def split_reply(text: str | None, html: str | None) -> SplitReply:
    """The new words of a mail, its quoted ones and its signature; from the better of both parts where both are given.

    Nothing is lost: every line is in one of the three. `new` is everything when nothing says otherwise. Never raises;
    time grows no faster than the length.
    """
    from_text = _split_text(text) if text and text.strip() else None
    if not html or not html.strip():
        return from_text or SplitReply("", "", "")
    judged = html[:LONGEST_JUDGED]
    if has_too_many_attributes(judged):
        return from_text or _split_text(html_to_text(judged))
    from_html = _split_page(read_page(judged))
    if from_text is None or _is_better(from_html, from_text):
        return from_html
    return from_text


def split_html(html: str) -> tuple[str, str]:
    """Sanitised HTML as (new, quoted): two pages with the same structure, the quoted one with its signature.

    `quoted` is empty when nothing is quoted; then `new` is the page as it was given. Never raises.
    """
    if not html.strip() or len(html) > LONGEST_JUDGED:
        return html, ""
    page = read_page(html)
    kinds = judge_lines(page.lines)
    if QUOTED not in kinds or NEW not in kinds:
        return html, ""
    return page.without(kinds, {QUOTED}), page.without(kinds, {NEW, SIGNATURE})


def _split_text(text: str) -> SplitReply:
    judged, rest = text[:LONGEST_JUDGED], text[LONGEST_JUDGED:]
    lines = text_lines(judged)
    split = _joined(lines, judge_lines(lines))
    return SplitReply(split.new + rest, split.quoted, split.signature) if rest else split


def _split_page(page: Page) -> SplitReply:
    return _joined(page.lines, judge_lines(page.lines))


def _joined(lines: list[Line], kinds: list[str]) -> SplitReply:
    def of(kind: str) -> str:
        return "\n".join(line.raw for line, one in zip(lines, kinds, strict=True) if one == kind).strip("\n")

    return SplitReply(of(NEW), of(QUOTED), of(SIGNATURE))


def _is_better(from_html: SplitReply, from_text: SplitReply) -> bool:
    html_words, text_words = len(from_html.new.split()), len(from_text.new.split())
    if text_words < html_words * _STUB_SHARE:
        return True
    return bool(from_html.quoted and not from_text.quoted and from_html.new.strip())
