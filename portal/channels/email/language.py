"""Which language a mail is written in, guessed from its script and its small words."""

import re
from collections import Counter

_SAMPLE = 4_000
_LABEL = re.compile(r"\s*([a-z]{2})\b", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]{0,500}>")
_WORD = re.compile(r"[^\W\d_]+")
_ASCII_WORD = re.compile(r"[a-z]+")
_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
)
_SMALL_WORDS = {
    "en": "the and you is that it for have with this not are my please we your to of i can",
    "de": "der die das und ich nicht ist sie mit ein eine wir haben auf für bitte es zu den ihr",
    "fr": "le la les et vous je est pas que pour une nous de des avec mon du ce bonjour merci",
    "es": "el la los que y no es por una con para mi de en se usted gracias pero como hola",
    "it": "il che non è per una sono con di la ho mi e gli grazie del ma come questo buongiorno",
    "nl": "de het een en ik niet is van dat voor met u wij op te zijn mijn hebben er graag",
    "pt": "o que não para uma com os de e do da meu em por obrigado você se mas as um",
    "pl": "i nie się na że w z do jest to jak mam proszę dla czy po od ale moje dziękuję",
    "da": "og jeg det ikke er at en til på med for har vi de kan hej tak som af den",
    "sv": "och jag det inte är att en till på med för har vi de kan hej tack som av den",
    "no": "og jeg det ikke er at en til på med for har vi de kan hei takk som av den",
    "fi": "ja on ei että se minä en mutta kun hän kiitos ole minun niin tai olen jos voi kuin ovat",
    "cs": "a je se na že v to není jsem s do pro ale jak prosím děkuji mi za dobrý jsou",
    "tr": "ve bir bu için ben de da ne çok ile merhaba var değil teşekkürler ama mi olarak daha gibi lütfen",
}
_BY_WORD: dict[str, list[str]] = {}
for _language, _words in _SMALL_WORDS.items():
    for _word in _words.split():
        _BY_WORD.setdefault(_word, []).append(_language)


def guess_language(label: str, text: str) -> str | None:
    """An ISO 639-1 code from the words of the text, else from Content-Language; None when neither says it."""
    sample = _TAG.sub(" ", text[:_SAMPLE]) if "<" in text[:_SAMPLE] else text[:_SAMPLE]
    is_ascii = sample.isascii()
    words = (_ASCII_WORD if is_ascii else _WORD).findall(sample.lower())
    # All of these scripts lie beyond ASCII.
    letters = 0 if is_ascii else sum(len(word) for word in words)
    for language, script in _SCRIPTS if letters else ():
        if len(script.findall(sample)) > letters * (0.05 if language == "ja" else 0.3):
            return language
    counts: Counter[str] = Counter()
    for word, count in Counter(words).items():
        for language in _BY_WORD.get(word, ()):
            counts[language] += count
    best = counts.most_common(2)
    if best and best[0][1] >= 2 and (len(best) == 1 or best[0][1] > best[1][1]):
        return best[0][0]
    stated = _LABEL.match(label)
    return stated.group(1).lower() if stated else None
