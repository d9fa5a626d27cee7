"""What looks wrong about a reply that is about to be sent. Its writer is asked once, and decides."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from portal.wording import sentence

# Words that announce a file, in the languages that people answer in; each stands for all its endings.
_ATTACHMENT = re.compile(
    r"(?<![^\W_])(?:attach(?:ed|ment|ments|ing)?|enclosed|"
    r"(?:im )?anhang|angehängt\w*|anbei|beigefügt\w*|in der anlage|als anlage|"
    r"pièces? jointes?|ci-joint\w*|en pj|adjunt[oa]s?|anex[oa]s?|em anexo|allegat[oi]|in allegato|"
    r"bijlagen?|bijgevoegde?|w załączniku|w załączeniu|załącznik\w*|vedhæftet|vedlagt|bifogad\w*|"
    r"liitteenä|liite|v příloze|příloha|ekte|ekli|во вложении|прикрепл\w+)(?![^\W_])|添付|附件|첨부",
    re.IGNORECASE,
)
_NO_REPLY = re.compile(
    r"(?:^|[._+-])(?:no[._-]?reply|do[._-]?not[._-]?reply|noreply|donotreply|keine[._-]?antwort|nepasrepondre|"
    r"ne[._-]?pas[._-]?repondre|no[._-]?responder|mailer-daemon|bounces?)(?:[._+-]|$)",
    re.IGNORECASE,
)
_LONGEST = 50_000


@dataclass(frozen=True, slots=True)
class Doubt:
    """A rule's name and the question to the writer."""

    rule: str
    question: str


def doubts_about(text: str, *, has_files: bool, recipients: Iterable[str]) -> Sequence[Doubt]:
    """What its writer should look at before `text` (the new words, without quotes) goes to these addresses."""
    found = []
    named = _ATTACHMENT.search(text[:_LONGEST])
    if named is not None and not has_files:
        question = sentence("You write “%(group)s”, but nothing is attached.", group=named.group())
        found.append(Doubt("attachment_missing", question))
    silent = [address for address in recipients if _NO_REPLY.search(address.rpartition("@")[0])]
    if silent:
        question = sentence("%(silent)s looks like an address that nobody reads.", silent=silent[0])
        found.append(Doubt("no_reply_address", question))
    return found
