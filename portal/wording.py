"""Words that are written in one place and spoken in another."""


def N_(words: str) -> str:  # noqa: N802 - the name that translators' tools know
    """The words as they are, marked for translation: whoever shows them translates them."""
    return words
