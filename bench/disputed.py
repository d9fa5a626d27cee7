"""What the sample corpora expect and Portal does not give, case by case, with the reason.

The sets were made by others for their own programs; where one contradicts another or the standard, the case stands
here instead of being bent to. A test holds this list against what really fails: nothing else may, and all of it does.
"""

_OUTER_BOUNDARY = (
    "RFC 2046 §5.1.2: an outer boundary ends what is inside. The set lets a torn inner multipart swallow what follows "
    "it and counts that as an attachment; we show the text of the parts that follow."
)
_UNCLOSED = (
    "The set counts a multipart that nothing closes as an attachment. Its parts are all there, and we show each of "
    "them once, as what it is."
)
_NO_DELIMITER = (
    "The set counts a multipart none of whose delimiters is there as an attachment and does not show its text; we show "
    "it."
)
_HTML_AS_TEXT = (
    "The set shows the source of the page as words of the sender, since the first delimiter is missing; we read the "
    "parts whose delimiters are there, as text and as a page."
)
_FORWARD = (
    "The set hides a forwarded mail, which is what the sender wants us to read; talon's 031 wants it shown."
)

_TRIMMER = "discourse-email_reply_trimmer/reply-text"
_MALFORMED = "stalwart-mail-parser/parse-malformed"
_THIRD_PARTY = "stalwart-mail-parser/parse-thirdparty"

DISPUTED: dict[str, str] = {
    f"{_TRIMMER}/embedded_email_7.txt": (
        "The set shows the quote between two stretches of new text; talon's 016 to 018 want such a quote hidden."
    ),
    f"{_TRIMMER}/embedded_email_17.txt": (
        "The set shows the quote between the answers without the line that says whose it is; we show both."
    ),
    f"{_TRIMMER}/forwarded_apple.txt": _FORWARD,
    f"{_TRIMMER}/forwarded_gmail.txt": _FORWARD,
    f"{_TRIMMER}/forwarded_message.txt": _FORWARD + " Here it shows the words without saying whose they are.",
    f"{_TRIMMER}/spam_1.txt": (
        "Of a mail of quotes alone the set shows nothing; its own quote_only wants such a mail shown."
    ),
    "mailgun-talon/reply-text/001.txt": (
        "Tests that library's own limit of lines, which it lowers for this case; the second line is new text."
    ),
    "sisimai-set-of-emails/bounce/lhost-sendmail-14.eml": (
        "A person forwards a bounce to another with a word of his own: no server reports a failure to us."
    ),
    f"{_MALFORMED}/001.eml": _OUTER_BOUNDARY + " Its text is `--a`, which the set hides.",
    f"{_MALFORMED}/002.eml": _NO_DELIMITER,
    f"{_MALFORMED}/003.eml": _OUTER_BOUNDARY + " The set's own 013 counts no attachment in the same shape.",
    f"{_MALFORMED}/004.eml": _NO_DELIMITER,
    f"{_MALFORMED}/005.eml": (
        "The delimiter of the inner multipart is the closing delimiter of the outer one (RFC 2046 §5.1.1), so nothing "
        "is inside; we show all that stands below it as it came, where the set shows one part of it."
    ),
    f"{_MALFORMED}/006.eml": _UNCLOSED,
    f"{_MALFORMED}/007.eml": (
        "The first delimiter stands below the fields without an empty line. The set misses it and counts the whole as "
        "an attachment; we find it and an empty text below it."
    ),
    f"{_MALFORMED}/008.eml": _OUTER_BOUNDARY,
    f"{_MALFORMED}/009.eml": _OUTER_BOUNDARY + " The set hides two of three texts.",
    f"{_MALFORMED}/011.eml": _OUTER_BOUNDARY + " The set hides two of three texts.",
    f"{_MALFORMED}/012.eml": _OUTER_BOUNDARY + " It swallows the last of three attached mails.",
    f"{_MALFORMED}/016.eml": _OUTER_BOUNDARY,
    f"{_MALFORMED}/019.eml": (
        "The header is torn and the delimiter's case is wrong. The set shows empty lines; we show the words."
    ),
    f"{_MALFORMED}/020.eml": _HTML_AS_TEXT,
    f"{_MALFORMED}/021.eml": _HTML_AS_TEXT,
    f"{_THIRD_PARTY}/000.eml": (
        "The set keeps a NUL in the text. No store takes one, and the group `robust` forbids it."
    ),
    f"{_THIRD_PARTY}/002.eml": (
        "The set counts a text that is no base64 as an attachment; we show what can be decoded of it."
    ),
    f"{_THIRD_PARTY}/015.eml": "Three mails are attached, each with its name. The set counts one.",
}
