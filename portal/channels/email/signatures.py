"""Signatures: after "-- ", below a list's rule, and what telephones append."""

from portal.channels.email import reply_marks as marks
from portal.channels.email.lines import NEW, SIGNATURE, Line

# A "signature" longer than this is somebody's text after a line of dashes.
_LONGEST = 15


def tail_start(lines: list[Line]) -> int:
    """Where a signature or a list's footer at the very end begins: what stands there answers nothing."""
    seen = 0
    for position in range(len(lines) - 1, -1, -1):
        line = lines[position]
        if line.is_quoted or seen > _LONGEST:
            break
        words = line.words[: marks.LONGEST_LINE]
        if marks.SIGNATURE_START.match(words) or marks.FOOTER_RULE.match(words):
            return position
        seen += not line.is_empty
    return len(lines)


def mark_signatures(lines: list[Line], kinds: list[str]) -> None:
    """Turn the end of each stretch of NEW lines into SIGNATURE where it is one. The first stretch keeps a word."""
    for at, line in enumerate(lines):
        if line.mark == "signature" and kinds[at] == NEW:
            kinds[at] = SIGNATURE
    end = len(lines)
    while end > 0:
        begin = end
        while begin > 0 and kinds[begin - 1] == NEW:
            begin -= 1
        if begin < end:
            _mark_stretch(lines, kinds, begin, end)
        end = begin if begin < end else begin - 1


def _mark_stretch(lines: list[Line], kinds: list[str], begin: int, end: int) -> None:
    stop = _signature_start(lines, begin, end)
    while stop > begin and _is_trailer(lines[stop - 1]):
        stop -= 1
    if begin > 0 or any(not line.is_empty for line in lines[begin:stop]):
        kinds[stop:end] = [SIGNATURE] * (end - stop)


def _signature_start(lines: list[Line], begin: int, end: int) -> int:
    """The first line that begins a signature no longer than _LONGEST; `end` when there is none."""
    first = end
    below_count = 0
    for at in range(end - 1, begin - 1, -1):
        line = lines[at]
        if line.is_empty:
            continue
        words = line.words[: marks.LONGEST_LINE]
        is_rule = marks.FOOTER_RULE.match(words) and (
            below_count <= 2 or _has_footer_words(lines[at + 1 : end])
        )
        if not line.is_quoted and (is_rule or (marks.SIGNATURE_START.match(words) and at > 0)):
            first = at
        below_count += 1
        if below_count > _LONGEST:
            break
    return first


def _has_footer_words(lines: list[Line]) -> bool:
    return any(marks.FOOTER_WORDS.search(line.words[: marks.LONGEST_LINE]) for line in lines)


def _is_trailer(line: Line) -> bool:
    words = line.words[: marks.LONGEST_LINE]
    if line.is_quoted:
        return False
    return line.is_empty or bool(marks.DELIMITER_ONLY.match(words) or marks.MOBILE_SIGNATURE.match(words))
