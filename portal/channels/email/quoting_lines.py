"""Which lines of a mail are new, quoted, or the signature."""

from portal.channels.email import attributions
from portal.channels.email import reply_marks as marks
from portal.channels.email.lines import NEW, QUOTED, Line
from portal.channels.email.signatures import mark_signatures, tail_start

_MOST_HEADER_LINES = 12


def judge_lines(lines: list[Line]) -> list[str]:
    """For every line NEW, QUOTED or SIGNATURE. All are NEW when nothing new would be left in doubt."""
    kinds = [NEW] * len(lines)
    _Judge(lines, kinds).run()
    mark_signatures(lines, kinds)
    if any(kind == NEW and not line.is_empty for line, kind in zip(lines, kinds, strict=True)):
        return kinds
    return [NEW] * len(lines)


class _Judge:
    """One pass over the lines; `is_anything_new` says whether a new word came before the present line."""

    def __init__(self, lines: list[Line], kinds: list[str]) -> None:
        self.lines = lines
        self.kinds = kinds
        self.is_anything_new = False
        self.tail = tail_start(lines)
        self.last_unquoted = max(
            (
                position
                for position, line in enumerate(lines[: self.tail])
                if line.words and not line.is_quoted and not marks.DELIMITER_ONLY.match(line.words)
            ),
            default=-1,
        )

    def run(self) -> None:
        position = 0
        while position < len(self.lines):
            position = self._step(position)

    def _step(self, at: int) -> int:
        line = self.lines[at]
        if line.is_empty or line.mark == "signature":
            return at + 1
        if marks.FORWARD.match(line.words[: marks.LONGEST_LINE]):
            return len(self.lines)
        if line.mark == "divider" or self._is_divider(at):
            return self._cut(at)
        if line.mark == "quote":
            return self._skip_marked(at)
        length = self._attribution_length(at)
        return self._after_attribution(at, length) if length else self._words(at)

    def _words(self, at: int) -> int:
        if self.lines[at].is_quoted:
            return self._quoted_block(at)
        self.is_anything_new = True
        return at + 1

    def _is_divider(self, at: int) -> bool:
        words = self.lines[at].words[: marks.LONGEST_LINE]
        if marks.DIVIDER.match(words) or marks.REPLY_ABOVE.match(words):
            return True
        return is_header_block(self.lines, at)

    def _cut(self, at: int) -> int:
        """Everything from here on is quoted, if something new came before it; else nobody knows, and it is shown."""
        if self._is_forward_near(at):
            return len(self.lines)
        if self.is_anything_new:
            self._hide(at, len(self.lines))
        return len(self.lines)

    def _is_forward_near(self, at: int) -> bool:
        before = [line for line in self.lines[max(0, at - 3) : at] if not line.is_empty]
        return bool(before) and marks.FORWARD.match(before[-1].words[: marks.LONGEST_LINE]) is not None

    def _skip_marked(self, at: int) -> int:
        end = at
        while end < len(self.lines) and (self.lines[end].mark == "quote" or self.lines[end].is_empty):
            if marks.FORWARD.match(self.lines[end].words[: marks.LONGEST_LINE]):
                return len(self.lines)
            end += 1
        self._hide(at, end)
        if end < len(self.lines) and self.lines[end].is_quoted:
            return self._introduced_block(end, end)
        return end

    def _after_attribution(self, at: int, length: int) -> int:
        begin = self._next_words(at + length)
        if begin < len(self.lines) and (self.lines[begin].is_quoted or self.lines[begin].mark == "quote"):
            return self._introduced_block(at, begin)
        if self.is_anything_new:
            self._hide(at, len(self.lines))
            return len(self.lines)
        if begin >= len(self.lines):
            return len(self.lines)
        self._hide(at, at + length)
        return len(self.lines)

    def _introduced_block(self, at: int, begin: int) -> int:
        """A quoted block and the attribution before it, which begins at `at`."""
        end = self._block_end(begin)
        if self._has_forward(begin, min(end, begin + 6)):
            self.is_anything_new = True
            return end
        self._hide(at, begin if self._is_interleaved(end) else end)
        return end

    def _quoted_block(self, at: int) -> int:
        end = self._block_end(at)
        if self._has_forward(at, min(end, at + 6)):
            self.is_anything_new = True
            return end
        is_last = end > self.last_unquoted and self.is_anything_new
        if (
            is_last
            or self._inner_attribution(at)
            or (self.is_anything_new and is_header_block(self.lines, at))
        ):
            self._hide(at, end)
        return end

    def _inner_attribution(self, at: int) -> bool:
        return any(
            self._attribution_length(i)
            for i in range(at, min(at + 3, len(self.lines)))
            if self.lines[i].is_quoted
        )

    def _has_forward(self, begin: int, end: int) -> bool:
        return any(marks.FORWARD.match(line.words[: marks.LONGEST_LINE]) for line in self.lines[begin:end])

    def _is_interleaved(self, end: int) -> bool:
        """Whether answers stand between the quoted lines: then those are what the answers answer, and stay."""
        state = 0
        for line in self.lines[end : self.tail]:
            if line.is_empty:
                continue
            if not line.is_quoted and state in {0, 2}:
                state += 1
            elif line.is_quoted and state == 1:
                state = 2
            if state == 3:
                return True
        return False

    def _block_end(self, begin: int) -> int:
        """The end of a run of quoted lines, with the empty ones and torn links between them."""
        end = begin
        position = begin
        while position < len(self.lines):
            line = self.lines[position]
            if line.is_quoted or line.mark == "quote":
                end = position + 1
            elif not line.is_empty and not self._is_torn_link(position):
                break
            position += 1
        return end

    def _is_torn_link(self, at: int) -> bool:
        words = self.lines[at].words
        if words.startswith(("(http", "<http", "http")):
            return at + 1 < len(self.lines) and self.lines[at + 1].is_quoted
        before = self.lines[at - 1].words if at else ""
        is_open = "(http" in before and ")" not in before.rpartition("(http")[2]
        is_open = is_open or ("<http" in before and ">" not in before.rpartition("<http")[2])
        return is_open and " " not in words.strip(" )>")

    def _attribution_length(self, at: int) -> int:
        """How many lines an attribution that begins here takes; 0 when none does."""
        first = self.lines[at]
        if attributions.may_begin(first.words[: marks.LONGEST_LINE]):
            joined = ""
            for length, line in enumerate(self.lines[at : at + attributions.MOST_LINES], start=1):
                if (
                    line.is_empty
                    or line.depth < first.depth
                    or len(joined) + len(line.words) > attributions.LONGEST
                ):
                    break
                joined += line.words if not joined or joined.endswith("<") else f" {line.words}"
                is_end = length == 1 or attributions.MAY_END.search(joined[-60:])
                if is_end and attributions.is_attribution(
                    joined, first.words, is_quoted_below=self._is_quoted_below(at, length)
                ):
                    return length
        return attributions.torn_length([line.words for line in self.lines[at : at + 8]])

    def _is_quoted_below(self, at: int, length: int) -> bool:
        below = self._next_words(at + length)
        return below < len(self.lines) and self.lines[below].depth > self.lines[at].depth

    def _next_words(self, at: int) -> int:
        while at < len(self.lines) and self.lines[at].is_empty and not self.lines[at].is_quoted:
            at += 1
        return at

    def _hide(self, begin: int, end: int) -> None:
        self.kinds[begin:end] = [QUOTED] * (end - begin)


def is_header_block(lines: list[Line], at: int) -> bool:
    """Whether the headers of another mail begin here: "From: … Sent: … Subject: …", in any of our languages."""
    kind, _ = marks.label_kind(lines[at].words)
    if kind not in {"from", "sent", "date", "to", "subject", "reply"}:
        return False
    kinds: set[str] = set()
    values = ""
    misses = 0
    for line in lines[at : at + _MOST_HEADER_LINES]:
        if line.is_empty:
            misses += 2
        else:
            found, value = marks.label_kind(line.words)
            if found:
                kinds.add(found)
                values += " " + value
                misses = 0
            else:
                misses += 1
                values += " " + line.words[:200] if misses == 1 else ""
        if misses > 2:
            break
    if not kinds & {"from", "sent", "date"} or len(kinds) < 2:
        return False
    # "From: Berlin, To: Paris, Date: …" is a journey; a time of sending, a subject or an address makes it a mail.
    return (bool(kinds & {"subject", "sent"}) and len(kinds) >= 3) or "@" in values
