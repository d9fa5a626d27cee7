"""What a non-delivery report says: whom the mail did not reach, why, for good or for now, and which mail it was.

First the machine's part (RFC 3464), then the fields some servers add, then the words of those that follow no standard.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from portal.channels.email.headers import Headers, decode_words, split_headers
from portal.channels.email.mime import Part, inner_headers

_MOST_RECIPIENTS = 100
_LONGEST_PROSE = 20_000
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_CODE = re.compile(r"(?<![\d.:/-])([45])\d\d(?=[ -](?:[45]\.\d|[A-Za-z#<\"'\[(]))")
_ADDRESS = r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"
_RECIPIENT_LINE = re.compile(
    r"(?im)^(?:[ \t>*-]{0,10}(?:(?:failed |final |original )?recipients?(?: address)?|to|user|address|"
    r"rcpt to|forward-path)"
    r"[ \t]{0,5}[:=][ \t]{0,5})?[ \t]{0,10}[<\"'(]{0,2}(?:mailto:|rfc822;)?(" + _ADDRESS + r")[>\"')]{0,2}"
    r"(?=[ \t]{0,5}(?:$|[:;.,(-]|\.{3}))"
)
_RETURNED_ID = re.compile(r"(?im)^[ \t>]{0,8}message-id:\s{0,80}<([^<>\s]{3,1000})>")
_TEMPORARY = re.compile(
    r"(?i)delay(?:ed)?|still being (?:re)?tried|will (?:continue to )?(?:be )?retr|warning: (?:message|"
    r"could not)|"
    r"not yet been delivered|temporar|do not need to resend"
)


@dataclass(frozen=True, slots=True)
class BounceDetails:
    """Whom it did not reach, the enhanced status (RFC 3463) or None, whether that may pass, and our Message-ID."""

    failed_recipients: tuple[str, ...] = ()
    status: str | None = None
    is_temporary: bool = False
    returned_message_id: str | None = None


def delivery_actions(top: Part) -> tuple[str, ...]:
    """The Action of each recipient in the delivery-status parts, in lower case."""
    actions = [fields.get("action").lower().split() for fields in _recipient_fields(top)]
    return tuple(words[0].strip("();,") for words in actions if words)


def bounce_details(top: Part, text: str) -> BounceDetails:
    """The details of a mail that is known to be a bounce. Never raises."""
    per_recipient = list(_recipient_fields(top))
    failed = [
        one
        for one in per_recipient
        if not one.get("action").lower().startswith(("deliver", "relay", "expand"))
    ]
    prose = _prose(text)
    named = (
        [_recipient(one) for one in failed]
        or _header_recipients(top.headers)
        or _RECIPIENT_LINE.findall(prose)
    )
    status = _status(failed, prose)
    return BounceDetails(
        failed_recipients=_unique(named),
        status=status,
        is_temporary=_is_temporary(failed, status, prose, top.headers.text("subject")),
        returned_message_id=_returned_message_id(top, text),
    )


def _recipient_fields(top: Part) -> Iterable[Headers]:
    for part in top.walk():
        if part.content_type not in {"message/delivery-status", "message/global-delivery-status"}:
            continue
        content = part.content
        for block in re.split(rb"\r?\n[ \t]*\r?\n", content, maxsplit=_MOST_RECIPIENTS):
            headers, _ = split_headers(block.lstrip(), 0, len(block))
            if headers.get("action") or headers.get("final-recipient") or headers.get("status"):
                yield headers


def _recipient(fields: Headers) -> str:
    value = (
        fields.get("final-recipient") or fields.get("original-recipient") or fields.get("x-actual-recipient")
    )
    found = re.search(_ADDRESS, decode_words(value.partition(";")[2] or value))
    return found.group() if found else ""


def _header_recipients(headers: Headers) -> list[str]:
    value = " ".join(headers.all("x-failed-recipients") + headers.all("x-failed-recipient"))
    return re.findall(_ADDRESS, value[:10_000])


def _prose(text: str) -> str:
    """What the server says, without the mail it sends back."""
    cut = re.search(
        r"(?im)^[ \t>-]{0,20}(?:this is a copy of|below this line is a copy|(?:the )?(?:header|"
        r"original message|returned message)"
        r"|original (?:message|mail)|message header|received:|return-path:|={3,}|unsent message|"
        r"-{3,} ?(?:original|returned))",
        text[:_LONGEST_PROSE],
    )
    return text[: cut.start() if cut and cut.start() > 40 else _LONGEST_PROSE]


def _status(failed: list[Headers], prose: str) -> str | None:
    stated = [found.group(1) for one in failed if (found := _STATUS.search(one.get("status")))]
    diagnostic = [found.group(1) for one in failed if (found := _STATUS.search(one.get("diagnostic-code")))]
    # "5.0.0" says nothing; the server's own words often say more.
    telling = [one for one in (*stated, *diagnostic) if not one.endswith(".0.0")]
    found = _STATUS.search(prose)
    return next(iter((*telling, *stated, *([found.group(1)] if found else []))), None)


def _is_temporary(failed: list[Headers], status: str | None, prose: str, subject: str) -> bool:
    actions = {one.get("action").lower() for one in failed}
    if any(action.startswith("delay") for action in actions):
        return True
    if any(action.startswith("fail") for action in actions):
        return False
    if status:
        return status.startswith("4")
    code = _CODE.search(prose)
    if code:
        return code.group(1) == "4"
    return bool(_TEMPORARY.search(subject) or _TEMPORARY.search(prose[:2_000]))


def _returned_message_id(top: Part, text: str) -> str | None:
    for part in top.walk():
        if part is top or part.content_type not in {
            "message/rfc822",
            "message/global",
            "message/rfc822-headers",
            "text/rfc822-headers",
            "message/global-headers",
        }:
            continue
        value = inner_headers(part).get("message-id").strip("<> ")
        if value:
            return value
    found = _RETURNED_ID.search(text[:200_000])
    return found.group(1) if found else None


def _unique(addresses: Iterable[str]) -> tuple[str, ...]:
    seen: dict[str, str] = {}
    for address in addresses:
        cleaned = address.strip("<>\"'.,;: ")
        if cleaned:
            seen.setdefault(cleaned.lower(), cleaned)
    return tuple(list(seen.values())[:_MOST_RECIPIENTS])
