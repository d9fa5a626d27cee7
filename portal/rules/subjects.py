"""Subject lines: the prefixes that mail clients add, and our number in them."""

import re

# "Re", "Fwd" and what the clients of other languages write in their place, casefolded.
_PREFIXES = (
    "re|fw|fwd|r|i|rif|res|enc|rv|aw|antw|antwort|wg|tr|sv|vs|vb|vl|vá|tov|továbbítás|válasz|doorst|odp|pd|"
    "ynt|ilt|i̇lt|yanıt|cevap|atb|ats|bls|trs|balas|rasp|răsp|edasi|reenv|réf|ref|"
    "απ|σχετ|πρθ|отв|ответ|пересл|на|відп|תגובה|השב|הועבר|רד|رد|تحويل|"
    "回复|回覆|答复|答覆|转发|轉寄|轉發|返信|転送|회신|답장|전달|ตอบ|trả lời|chuyển tiếp"
)
_PREFIX = re.compile(
    rf"\s*(?:{_PREFIXES})\s*(?:[\[(]\d{{1,4}}[\])]|\*\d{{1,4}}|\^\d{{1,4}})?\s*[:：]\s*", re.IGNORECASE
)
# Those among them that pass a mail on. In some languages one stands for an answer too.
_FORWARD = re.compile(
    r"\s*(?:fw|fwd|i|enc|rv|wg|tr|vs|vb|vl|tov|továbbítás|doorst|pd|ynt|ilt|i̇lt|bls|trs|reenv|edasi|"
    r"πρθ|пересл|转发|轉寄|轉發|転送|전달|הועבר|تحويل|chuyển tiếp)\s*(?:[\[(]\d{1,4}[\])])?\s*[:：]",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\[\s{0,3}[#＃]\s{0,3}([0-9]{1,18})\s{0,3}\]")
_LONGEST = 2000


def strip_reply_prefixes(subject: str) -> str:
    """The subject without leading "Re:", "AW:", "Fwd:", "回复：" … in any language, however often repeated.

    A number of ours between two prefixes stays where it is: `Re: [#7] AW: Hello` becomes `[#7] Hello`.
    """
    rest = " ".join(subject[:_LONGEST].split())
    numbers = ""
    while True:
        if found := _PREFIX.match(rest):
            rest = rest[found.end() :]
        elif (found := _NUMBER.match(rest)) and _PREFIX.match(rest, found.end()):
            numbers += found.group() + " "
            rest = rest[found.end() :]
        else:
            return (numbers + rest).strip()


def is_forward(subject: str) -> bool:
    """Whether a subject begins as mail programs mark what they pass on: "Fwd:", "WG:", "TR:", "转发：" …"""
    return _FORWARD.match(subject[:_LONGEST]) is not None


def subject_numbers(subject: str) -> tuple[int, ...]:
    """Every ticket number written as `[#10482]`, in order, each once."""
    numbers = (int(digits) for digits in _NUMBER.findall(subject[:_LONGEST]))
    return tuple(dict.fromkeys(numbers))


def subject_number(subject: str) -> int | None:
    """The first ticket number in a subject; None where there is none."""
    return next(iter(subject_numbers(subject)), None)


def numbered_subject(subject: str, number: int) -> str:
    """The subject of a reply: `Re: Where is my parcel? [#10482]`, with one prefix and one number."""
    bare = bare_subject(subject)
    return f"Re: {bare} [#{number}]" if bare else f"Re: [#{number}]"


def bare_subject(subject: str) -> str:
    """The subject without reply prefixes and numbers of ours: `Re: Hello [#7]` becomes `Hello`."""
    without_number = " ".join(_NUMBER.sub(" ", strip_reply_prefixes(subject)).split())
    return strip_reply_prefixes(without_number)


def forwarded_subject(subject: str, number: int) -> str:
    """The subject of what is passed on: `Fwd: Where is my parcel? [#10482]`."""
    return f"Fwd: {numbered_subject(subject, number).removeprefix('Re: ')}"
