"""Whether a machine may answer a mail, and how often: what keeps two desks from writing to each other.

After RFC 3834 (automatic responses), RFC 3464 (delivery status), RFC 2919 (lists), RFC 5230 §4.6 (vacation).
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from portal.rules.decision import Decision, Evidence
from portal.wording import N_, sentence

_NO_REPLY = (
    "noreply",
    "donotreply",
    "dontreply",
    "noanswer",
    "nichtantworten",
    "keineantwort",
    "nepasrepondre",
    "nepasrépondre",
    "noresponder",
    "noresponda",
    "nonrispondere",
    "naoresponder",
    "nãoresponder",
    "nieodpowiadac",
    "geenantwoord",
    "svarikke",
    "svarinte",
    "alavastaa",
    "neodpovidat",
    "yanitlamayin",
)
# RFC 3834 §2 names these; they read no answers, or answer every one.
_ROBOTS = frozenset(
    {
        "mailerdaemon",
        "postmaster",
        "listserv",
        "majordomo",
        "mailman",
        "bounce",
        "bounces",
        "nobody",
        "root",
        "daemon",
    }
)
_ROBOT_AFFIX = re.compile(r"\Aowner-|-(?:request|owner|bounces?|errors|confirm|relay)\Z")
_SUPPRESSING = frozenset({"all", "oof", "autoreply"})
_BULK = frozenset({"bulk", "junk", "list", "auto_reply", "auto-reply"})


@dataclass(frozen=True, slots=True)
class MailOrigin:
    """What an incoming mail's headers say of where it comes from. Addresses as they stand, words in any case.

    `auto_submitted` is the first word of that header; `suppressed_responses` the words of
    X-Auto-Response-Suppress, which also stands on ordinary notifications and so only forbids answers;
    `is_ours` is true when its Message-ID or X-Loop is our own.
    """

    from_address: str
    reply_to_address: str = ""
    is_auto_reply: bool = False
    is_bounce: bool = False
    is_list: bool = False
    is_feedback_report: bool = False
    is_ours: bool = False
    has_null_return_path: bool = False
    auto_submitted: str = ""
    precedence: str = ""
    suppressed_responses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AutomaticCounts:
    """Automatic mails already sent within the window: to this address on any ticket, and on this ticket."""

    to_recipient: int
    on_ticket: int


@dataclass(frozen=True, slots=True)
class Caps:
    """How many automatic mails one address, and one ticket, get in a window."""

    per_recipient: int = 5
    per_ticket: int = 3
    window_seconds: int = 24 * 3600


def may_answer(
    origin: MailOrigin,
    own_addresses: Collection[str] = frozenset(),
    suppressed_addresses: Collection[str] = frozenset(),
) -> Decision:
    """Whether an automatic mail may answer this one; an agent always may.

    `own_addresses` are lower-case addresses of our accounts, `suppressed_addresses` those that bounced for
    good. An answer goes to Reply-To where there is one, so both addresses are judged.
    """
    for rule, is_so, reason in _objections(origin):
        if is_so:
            return Decision(False, rule, reason, _evidence(origin))
    for address in filter(None, (origin.from_address, origin.reply_to_address)):
        refusal = _refused_address(address, own_addresses, suppressed_addresses)
        if refusal is not None:
            return refusal
    return Decision(True, "a_person_wrote", N_("Nothing says that a machine sent this mail."))


def within_caps(counts: AutomaticCounts, caps: Caps) -> Decision:
    """Whether one more automatic mail may be sent; a cap of 0 forbids them all."""
    hours = caps.window_seconds / 3600
    evidence: Evidence = {
        "to_recipient": counts.to_recipient,
        "on_ticket": counts.on_ticket,
        "per_recipient": caps.per_recipient,
        "per_ticket": caps.per_ticket,
        "window_seconds": caps.window_seconds,
    }
    if counts.to_recipient >= caps.per_recipient:
        reason = sentence(
            "This address already got %(amount)s automatic mails within %(hours)s hours.",
            amount=counts.to_recipient,
            hours=f"{hours:g}",
        )
        return Decision(False, "recipient_cap", reason, evidence)
    if counts.on_ticket >= caps.per_ticket:
        reason = sentence(
            "This ticket already sent %(amount)s automatic mails within %(hours)s hours.",
            amount=counts.on_ticket,
            hours=f"{hours:g}",
        )
        return Decision(False, "ticket_cap", reason, evidence)
    return Decision(True, "within_caps", N_("The limits for automatic mail are not reached."), evidence)


def is_no_reply_address(address: str) -> bool:
    """Whether nobody reads what is sent there, or only a machine: no-reply@, mailer-daemon@, owner-x@."""
    local = address.strip().strip("<>").rpartition("@")[0].casefold().strip('"')
    base = local.partition("+")[0]
    joined = re.sub(r"[^\w]|_", "", base)
    if joined in _ROBOTS or _ROBOT_AFFIX.search(base):
        return True
    return any(joined.startswith(word) or joined.endswith(word) for word in _NO_REPLY)


def _objections(origin: MailOrigin) -> tuple[tuple[str, bool, str], ...]:
    automatic = origin.auto_submitted.casefold()
    suppressing = _SUPPRESSING.intersection(word.strip().casefold() for word in origin.suppressed_responses)
    return (
        ("no_sender", "@" not in origin.from_address, N_("The mail names no sender to answer.")),
        ("ours", origin.is_ours, N_("The mail is our own, come back to us.")),
        ("bounce", origin.is_bounce, N_("The mail reports a failed delivery.")),
        ("feedback_report", origin.is_feedback_report, N_("The mail is a complaint sent by a machine.")),
        ("null_return_path", origin.has_null_return_path, N_("Its empty return path says: do not answer.")),
        (
            "auto_submitted",
            automatic not in {"", "no"},
            sentence("It says that a machine sent it: %(automatic)s.", automatic=automatic),
        ),
        ("auto_reply", origin.is_auto_reply, N_("The mail is an automatic reply.")),
        ("list", origin.is_list, N_("The mail comes from a mailing list.")),
        (
            "precedence",
            origin.precedence.strip().casefold() in _BULK,
            sentence("Its precedence is %(precedence)s.", precedence=origin.precedence.strip().casefold()),
        ),
        ("responses_suppressed", bool(suppressing), N_("The sender asks not to be answered by machines.")),
    )


def _refused_address(address: str, own: Collection[str], suppressed: Collection[str]) -> Decision | None:
    plain = address.strip().strip("<>").lower()
    local, _, domain = plain.rpartition("@")
    evidence: Evidence = {"address": plain}
    if plain in own or f"{local.partition('+')[0]}@{domain}" in own:
        return Decision(
            False, "own_address", N_("The answer would go to one of our own addresses."), evidence
        )
    if is_no_reply_address(plain):
        return Decision(
            False, "no_reply_address", sentence("Nobody reads answers at %(plain)s.", plain=plain), evidence
        )
    if plain in suppressed:
        return Decision(
            False, "suppressed", sentence("Mail to %(plain)s bounced for good.", plain=plain), evidence
        )
    return None


def _evidence(origin: MailOrigin) -> Evidence:
    return {
        "from_address": origin.from_address,
        "auto_submitted": origin.auto_submitted,
        "precedence": origin.precedence,
        "suppressed_responses": list(origin.suppressed_responses),
    }
