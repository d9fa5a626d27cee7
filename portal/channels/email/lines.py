"""A mail's body as lines: what is judged when new words are told from quoted ones."""

from typing import NamedTuple

from portal.channels.email import attributions

NEW, QUOTED, SIGNATURE = "new", "quoted", "signature"


class Line(NamedTuple):
    """A line as shown, its words without quote marks, how deep it is quoted, and what the mail program called it.

    `mark`: "quote" inside an element that only replies have, "divider" where one begins, "signature", or empty.
    """

    raw: str
    words: str
    depth: int = 0
    mark: str = ""

    @property
    def is_empty(self) -> bool:
        return not self.words

    @property
    def is_quoted(self) -> bool:
        return self.depth > 0


def text_lines(text: str) -> list[Line]:
    """The lines of a plain text; a line that the answer shares with an attribution becomes two."""
    raws = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines: list[Line] = []
    for raw, below in zip(raws, [*raws[1:], ""], strict=True):
        cut = attributions.shared_line_at(raw) if below.startswith(">") and not raw.startswith(">") else 0
        lines.extend([_text_line(raw[:cut]), _text_line(raw[cut:])] if cut else [_text_line(raw)])
    return lines


def _text_line(raw: str) -> Line:
    words = raw.strip()
    depth = 0
    sign = words[:1]
    if sign in {">", "＞"} or words.startswith("&gt;"):
        stripped = words.lstrip(">＞ ") if sign != "&" else words.replace("&gt;", "").strip()
        depth = max(1, sum(character in ">＞" for character in words[: len(words) - len(stripped)]))
        words = stripped
    return Line(raw, words, depth)
