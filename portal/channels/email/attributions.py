"""The line above a quote that says who wrote it: "On Monday, Ann wrote:", in many languages and over several lines.

A wrong yes hides words of a customer, so a line needs a date with a year or a time, or an address, besides the verb;
less will do where quoted lines follow at once. Every pattern meets a bounded text once, whatever it holds.
"""

import re

LONGEST = 600
MOST_LINES = 4

_VERB = re.compile(
    r"(?<![^\W_])(?:wrote|writes|sent|schrieb(?:en)?|geschrieben|schreef|geschreven|a [ée]crit|"
    r"escribi[óo]|escribe|ha scritto|"
    r"scrive|scrisse|escreveu|napisał(?:\(a\)|a)?|pisze|skrev|skreiv|kirjoitti|napsal(?:\(a\)|a)?|"
    r"napísal(?:\(a\)|a)?|yazdı|yazmış|"
    r"написал(?:\(а\)|а)?|пишет|писал(?:\(а\)|а)?|пише|написав|написала|írta|a scris|έγραψε|je napisao|"
    r"kirjutas|rašė|rakstīja|viết|"
    r"כתב|كتب)(?![^\W_])|写道|寫道|写信|さんは書きました|さんが書きました|"
    r"のメール(?=[:：])|님이 작성|님께서 작성|작성|님이 쓴 글",
    re.IGNORECASE,
)
_INTRO = re.compile(
    r"[-*_\s]{0,20}(?:on|am|le|el|il|op|em|no dia|a|dnia|w dniu|den|d\.|dne|dňa|pe|vào|la|på|i|at|в|во|у|"
    r"за|在|em data de|"
    r"il giorno|el día|le jour|på|den|kl\.?|ons|tirsdag|mandag)\s",
    re.IGNORECASE,
)
_DAY = (
    r"(?:mo[nt]|tue|wed|thu|fri|sat|sun|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mo|di|mi|do|fr|"
    r"sa|so|lun|mer|jeu|ven|sam|"
    r"dim|mié|jue|vie|sáb|dom|gio|seg|ter|qua|qui|sex|pon|wt|śr|czw|pt|sob|nie|man|tir|ons|tor|fre|lør|"
    r"søn|mån|lör|sön|ma|ti|ke|to|pe|"
    r"la|su|po|út|st|čt|pá|so|ne|pzt|sal|çar|per|cum|cmt|paz|пн|вт|ср|чт|пт|сб|вс|пон|втор|сред|чет|пят|суб|"
    r"воск|нед|вів|сер)"
)
_DATE = (
    r"(?:\d{1,4}[./-] ?\d{1,2}[./-] ?\d{1,4}|\d{4}\s?[年년]|\d{1,2}[-. ]{1,2}(?:de |"
    r"d')?[^\W\d_]{3,12}\.?[-, ]{1,3}(?:de |del )?\d{2,4}|"
    r"[^\W\d_]{3,12}\.? \d{1,2},? (?:at )?\d{2,4}|\d{1,2}:\d{2}|\d{1,2}\.? [^\W\d_]{3,12}|\d{1,2}\.\d{2}\b)"
)
_HAS_DATE = re.compile(_DATE)
_STARTS_WITH_DATE = re.compile(
    rf"[-*_\s]{{0,20}}(?:{_DAY}[^\W\d_]{{0,12}}[.,]{{0,2}}\s.{{0,20}}?)?{_DATE}", re.IGNORECASE
)
# A year or a time of day: without one it may be "the 3 things I wrote".
_STAMP = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d(?!\d)|\d{1,2}[:.h]\d{2}(?!\d)|\d{1,2}[/.-]\d{1,2}[/.-]\d{2}(?!\d))"
)
_ADDRESS = r"[^\s<>\"']{1,80}@[^\s<>\"']{1,80}"
_HAS_ADDRESS = re.compile(_ADDRESS)
_NAMED_ADDRESS = re.compile(rf"(?:[^\s<>:]{{1,40}}\s){{0,6}}<\s?(?:mailto:)?{_ADDRESS}\s?>")
_BARE_ADDRESS = re.compile(rf"{_ADDRESS}(?=\s|\Z)")
_SHORT_TAIL = re.compile(r"[\s>*_]{0,5}[:：]?[\s>*_-]{0,20}\Z")
_COLON = re.compile(r"[:：][\s*_]{0,5}\Z")
_PRONOUN_BEFORE = re.compile(
    r"(?:\A|[\s,])(?:you|i|we|they|he|she|it|who|which|that|ich|du|wir|sie|er|vous|je|nous|tu|elle|yo|"
    r"usted|ik|wij|jij|u|jag|jeg|vi|ja|"
    r"ty|я|вы|мы|ты|он|она|ci|mi|ti|me|te|le|les|nos|was|is|were|be|been|have|has|had|ha|hanno)\s*\Z",
    re.IGNORECASE,
)
_PRONOUN_AFTER = re.compile(
    r"\s*(?:ich|du|wir|sie|er|ihr|mir|ihnen|dir|uns|es|man|ik|wij|jij|u|hij|zij|jeg|jag|vi|du|han|hun|"
    r"hon|de|to|that|me|us|you|a|an|the)\b",
    re.IGNORECASE,
)
# 2014-10-17 11:28 GMT+03:00 Ann <ann@x>:   2013/7/20 Ann <ann@x>   2016-03-03 17:21 GMT+01:00 Ann
_DATED_NAME = re.compile(
    rf"(?:\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}[\s,(].{{0,100}}<\s?{_ADDRESS}>\s?[:：]?\Z|"
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2} \d{1,2}:\d{2}(?::\d\d)? (?:GMT|UTC)[+-]\d\d?:?\d\d .{1,100}\Z|"
    rf"(?:在\s?|于\s?)?\d{{4}}\s?[年년].{{0,150}}<\s?{_ADDRESS}>.{{0,20}}[:：]\Z)"
)
_ENDS_WITH_ADDRESS = re.compile(rf"<\s?{_ADDRESS}>\s?[:：]\Z")
_DASHED = re.compile(r"-{2,20}\s?[^-].{0,150}\s-{2,20}\Z")
_SENTENCE_END = re.compile(r"(?:\.{2,}|[^\W\d_]{4,}[.!?])\Z")
_SIGN = re.compile(r"[\d@<]")
# A piece of each verb: most lines hold none of them, and looking for plain text costs a fifth of the pattern.
_VERB_PIECES = (
    *("wrote", "writes", "sent", "schr", "crit", "escrib", "scri", "escreveu", "napisa", "pisze", "skre"),
    *("kirjoitti", "naps", "napís", "yazd", "yazm", "пис", "пише", "írta", "έγραψε", "kirjutas", "rašė"),
    *("rakstīja", "viết", "כתב", "كتب", "写", "寫", "書きました", "작성", "쓴"),
)
MAY_END = re.compile(rf"(?:[:：>-]|{_VERB.pattern})[\s*_]{{0,20}}\Z", re.IGNORECASE)
_TORN_START = re.compile(r"(?:On|Am|Le|El|Il|Op|Em|Den)\s", re.IGNORECASE)
_TORN_END = re.compile(rf">?\s?(?:{_VERB.pattern})\s?:\Z", re.IGNORECASE)
_SHARED = re.compile(r"(?:(?<=\S)-{2,20}\s?|\s)(?=(?:On|Am|Le|El|Il|Op|Em|Den|W dniu|Dnia|Dne)\s)")


def may_begin(words: str) -> bool:
    """Whether a line holds anything that an attribution could begin with."""
    if _SIGN.search(words):
        return True
    lowered = words.lower()
    return any(piece in lowered for piece in _VERB_PIECES) and _VERB.search(words) is not None


def is_attribution(joined: str, first_line: str, *, is_quoted_below: bool) -> bool:
    """Whether one to four lines, joined with spaces, say who wrote what follows. At most LONGEST characters count."""
    if len(joined) > LONGEST:
        return False
    if _DATED_NAME.match(joined):
        return True
    if joined != first_line and not _may_go_on(first_line):
        return False
    is_dated_name = _ENDS_WITH_ADDRESS.search(joined) and _begins(joined) and _STAMP.search(joined[:150])
    if is_dated_name or any(
        _fits(joined, verb, is_quoted_below) for verb in list(_VERB.finditer(joined))[-3:]
    ):
        return True
    if is_quoted_below and joined == first_line and _COLON.search(joined):
        return bool(_HAS_DATE.search(joined[:200]) or _HAS_ADDRESS.search(joined))
    return False


def _may_go_on(first_line: str) -> bool:
    """Whether the first of several lines looks like the beginning of an attribution, not the end of a sentence."""
    if _SENTENCE_END.search(first_line):
        return False
    return _begins(first_line) or "<" in first_line


def _begins(text: str) -> bool:
    head = text[:150]
    return bool((_INTRO.match(head) and _HAS_DATE.search(head)) or _STARTS_WITH_DATE.match(head))


def _fits(joined: str, verb: re.Match[str], is_quoted_below: bool) -> bool:
    head, tail = joined[: verb.start()], joined[verb.end() :]
    is_short = _SHORT_TAIL.match(tail) is not None
    has_address = _HAS_ADDRESS.search(head) is not None
    if is_quoted_below and is_short and (_COLON.search(joined) or _begins(head) or has_address):
        return True
    if _PRONOUN_BEFORE.search(head[-20:]) and not has_address:
        return False
    if verb.group().lower() in {"sent", "writes", "scrive", "escribe"} and not has_address:
        return False
    has_stamp = _STAMP.search(head) is not None
    if is_short:
        is_dated = _begins(head) and has_stamp
        is_named = _is_name_with_address(head) or (has_stamp and _NAMED_ADDRESS.match(head) is not None)
        return is_dated or is_named or _is_dashed(joined)
    if _DASHED.match(joined) and _SHORT_TAIL.match(tail.strip(" -")):
        return True
    return _fits_before_name(head, tail, has_stamp)


def _fits_before_name(head: str, tail: str, has_stamp: bool) -> bool:
    """ "Am 3.2.2016 um 10:00 schrieb Max <max@x>:" and "Max <max@x> schrieb am Fr., 28. Apr. 2017 um 11:53 Uhr:" """
    if not _COLON.search(tail) or _PRONOUN_AFTER.match(tail) or len(tail) > 200:
        return False
    if _begins(head) and has_stamp:
        name = tail.strip(" :：*_")
        return bool(_HAS_ADDRESS.search(tail)) or (
            (len(name) <= 60 and name[:1] in "\"'„“«") or name[:1].isupper()
        )
    return _is_name_with_address(head) and _STAMP.search(tail) is not None


def _is_name_with_address(head: str) -> bool:
    cleaned = head.strip()
    found = _NAMED_ADDRESS.match(cleaned) or _BARE_ADDRESS.match(cleaned)
    return found is not None and len(cleaned) - found.end() <= 20


def _is_dashed(joined: str) -> bool:
    return _DASHED.match(joined) is not None


def torn_length(words: list[str]) -> int:
    """How many of these lines make an attribution whose name and address stand on lines of their own; 0 for none."""
    if not words or not _TORN_START.match(words[0]) or not _HAS_DATE.search(words[0][:100]):
        return 0
    for position, one in enumerate(words[1:], start=1):
        if _TORN_END.match(one[:LONGEST]):
            return position + 1
        if one and one not in {"<", ">"} and "@" not in one and "mailto:" not in one:
            return 0
    return 0


def shared_line_at(words: str) -> int:
    """Where the attribution begins in a line that holds the end of the answer too; 0 when it holds none."""
    if len(words) > LONGEST or not _COLON.search(words) or not _VERB.search(words[-30:]):
        return 0
    for found in _SHARED.finditer(words):
        rest = words[found.end() :]
        if found.start() and _begins(rest) and is_attribution(rest, rest, is_quoted_below=True):
            return found.start()
    return 0
