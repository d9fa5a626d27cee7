"""Which templates fit what the customer wrote, and why.

BM25 (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework") over the words of each template
and of the questions that it has answered, for any script; the branch, the language and the category move the
score a little. It needs no history: without past uses the template's own words decide.
"""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from portal.wording import Sentence, sentence

MOST_SUGGESTIONS = 5
_LONGEST_QUERY = 20_000
_K1, _B = 1.2, 0.75
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_STEM_LENGTH = 5
_STEM_MARK = "~"
# Words that a match is not worth mentioning for, in the languages most desks write.
_STOP_WORDS = frozenset(
    """
    a about all also am an and any are as at be been but by can could did do does for from had has have hello
    hi how i if in is it its just like me my no not of on or our please so some thank thanks that the their
    them then there they this to up us was we were what when where which who why will with would you your
    regards dear best aber als am an auch auf aus bei bin bitte das dass dem den der des die ein eine einen
    einem einer er es für hallo habe haben hat ich ihr ihre im in ist ja kann mein meine mich mir mit nach
    nicht noch nur oder sehr sich sie sind und uns von vom war was wenn wie wir wird zu zum zur danke grüße au
    aux avec ce ces cette dans de des du elle en est et été il je la le les leur mais me merci mon ne nous on
    ou par pas plus pour que qui sa se si son sont sur un une vous votre bonjour al como con de del el ella en
    es esta este gracias ha hay hola la las lo los me mi muy no nos o para pero por que se si sin su sus un
    una y ya che ciao con da di e gli grazie ho il la le lo ma mi mio non per più sono un una dag dat de een
    en er het hoe ik is je kan maar met mijn niet of ook op te u van voor wat we wij
    """.split()  # noqa: SIM905 - a list of six hundred quoted words reads worse
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A template that may be suggested. `past_texts` are the customers' messages it was an answer to.

    `branch_ids` empty means every branch; `sent_count` breaks ties.
    """

    template_id: int
    name: str
    body_text: str = ""
    category: str = ""
    language: str = ""
    branch_ids: frozenset[int] = frozenset()
    past_texts: tuple[str, ...] = ()
    sent_count: int = 0


@dataclass(frozen=True, slots=True)
class RankFacts:
    """What is known of the ticket besides its text. `topics` are its type and tags."""

    branch_id: int | None = None
    language: str = ""
    topics: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A template, how well it fits (only to compare within one answer), and the reason to show."""

    template_id: int
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class Index:
    """Candidates prepared for many rankings; made by `build_index`."""

    candidates: tuple[Candidate, ...]
    postings: Mapping[str, Mapping[int, float]] = field(repr=False)
    lengths: tuple[float, ...] = field(repr=False)
    mean_length: float


def tokenise(text: str) -> list[str]:
    """The words of a text in order, casefolded (NFKC); pairs of characters for scripts without spaces."""
    words: list[str] = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        words += _split_scripts(word)
    return words


def build_index(candidates: Sequence[Candidate]) -> Index:
    """The candidates' words, counted: the name three times, past questions as much as the body."""
    postings: dict[str, dict[int, float]] = defaultdict(dict)
    lengths = []
    for position, candidate in enumerate(candidates):
        weights = _document(candidate)
        lengths.append(sum(weights.values()))
        for term, weight in weights.items():
            postings[term][position] = weight
    mean = sum(lengths) / len(lengths) if lengths else 1.0
    return Index(tuple(candidates), dict(postings), tuple(lengths), mean or 1.0)


def rank(
    query_text: str, candidates: Sequence[Candidate], facts: RankFacts, most: int = MOST_SUGGESTIONS
) -> list[Suggestion]:
    """The best fitting templates, best first, at most `most`; those without a matching word are left out."""
    return rank_index(query_text, build_index(candidates), facts, most)


def rank_index(
    query_text: str, index: Index, facts: RankFacts, most: int = MOST_SUGGESTIONS
) -> list[Suggestion]:
    """As `rank`, for an index kept between tickets. Ties go to the more often sent, then the lower id."""
    terms = Counter(_terms(tokenise(query_text[:_LONGEST_QUERY])))
    scores: dict[int, float] = defaultdict(float)
    shares: dict[int, dict[str, float]] = defaultdict(dict)
    for term, count in terms.items():
        for position, share in _term_scores(term, index).items():
            scores[position] += share * min(count, 3)
            shares[position][term] = share
    suggestions = [
        (_suggestion(index.candidates[position], score, shares[position], facts), index.candidates[position])
        for position, score in scores.items()
    ]
    suggestions.sort(key=lambda pair: (-pair[0].score, -pair[1].sent_count, pair[1].template_id))
    return [suggestion for suggestion, _ in suggestions[:most]]


def _suggestion(
    candidate: Candidate, score: float, shares: Mapping[str, float], facts: RankFacts
) -> Suggestion:
    factor, notes = _boost(candidate, facts)
    best = sorted(shares, key=lambda term: (-shares[term], term))
    words = [term for term in best if not term.startswith(_STEM_MARK)]
    # A stem is worth showing only where no whole word of it is.
    words += [
        stem.removeprefix(_STEM_MARK) + "…"
        for stem in best
        if stem.startswith(_STEM_MARK) and not any(w.startswith(stem[1:]) for w in words)
    ]
    reason = sentence("matches: %(words)s", words=tuple(words[:4]))
    for note in notes:
        reason = sentence("%(reason)s; %(note)s", reason=reason, note=note)
    return Suggestion(candidate.template_id, round(score * factor, 6), reason)


def _boost(candidate: Candidate, facts: RankFacts) -> tuple[float, list[Sentence]]:
    factor, notes = 1.0, list[Sentence]()
    if facts.branch_id is not None and facts.branch_id in candidate.branch_ids:
        factor *= 1.1
        notes.append(sentence("made for this branch"))
    mine, theirs = _language(candidate.language), _language(facts.language)
    if mine and theirs:
        factor *= 1.1 if mine == theirs else 0.5
    topics = {topic.casefold() for topic in facts.topics}
    if candidate.category and candidate.category.casefold() in topics:
        factor *= 1.15
        notes.append(sentence("category %(name)s", name=candidate.category))
    return factor, notes


def _term_scores(term: str, index: Index) -> dict[int, float]:
    postings = index.postings.get(term, {})
    total = len(index.candidates)
    rarity = math.log(1 + (total - len(postings) + 0.5) / (len(postings) + 0.5))
    weight = rarity * (0.5 if term.startswith(_STEM_MARK) else 1.0)
    scores = {}
    for position, count in postings.items():
        norm = _K1 * (1 - _B + _B * index.lengths[position] / index.mean_length)
        scores[position] = weight * count * (_K1 + 1) / (count + norm)
    return scores


def _document(candidate: Candidate) -> Counter[str]:
    weights: Counter[str] = Counter()
    texts = [(candidate.name, 3), (candidate.category, 1), (candidate.body_text, 1)]
    for text, weight in [*texts, *((past, 1) for past in candidate.past_texts)]:
        for term in _terms(tokenise(text)):
            weights[term] += weight
    return weights


def _terms(words: Iterable[str]) -> Iterable[str]:
    """What is compared: the words worth it, and the beginnings of long ones, which endings do not change."""
    for word in words:
        if word in _STOP_WORDS:
            continue
        yield word
        if len(word) > _STEM_LENGTH:
            yield _STEM_MARK + word[:_STEM_LENGTH]


def _split_scripts(word: str) -> list[str]:
    """A word as it is; where it holds a script written without spaces, pairs of its characters instead."""
    pieces: list[str] = []
    start = 0
    for position in range(1, len(word) + 1):
        if position == len(word) or _is_unspaced(word[position]) != _is_unspaced(word[start]):
            run = word[start:position]
            is_long = _is_unspaced(run[0]) and len(run) > 2
            pieces += [run[i : i + 2] for i in range(len(run) - 1)] if is_long else [run]
            start = position
    return pieces


def _is_unspaced(character: str) -> bool:
    """Han, Kana, Hangul (words change by their endings), Thai, Lao, Khmer and Burmese."""
    return (
        "\u3040" <= character <= "\u30ff"
        or "\u3400" <= character <= "\u9fff"
        or "\uac00" <= character <= "\ud7a3"
        or "\u0e00" <= character <= "\u0eff"
        or "\u1000" <= character <= "\u109f"
        or "\u1780" <= character <= "\u17ff"
        or "\U00020000" <= character <= "\U0003134f"
    )


def _language(tag: str) -> str:
    return re.split(r"[-_]", tag)[0].lower()
