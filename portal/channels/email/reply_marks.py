"""How mail programs mark what is not new: header blocks, dividers, forwards, signatures, in many languages.

Every pattern is applied to one line, or a few joined ones, of bounded length, so that no text costs more than its
length.
"""

import re

LONGEST_LINE = 600

_LABELS = {
    "from": "from|von|de|da|van|od|fra|från|lähettäjä|kimden|gönderen|от|от кого|від|отправитель|差出人|送信者|"
    "发件人|寄件者|寄件人|"
    "보낸 사람|보낸사람|expéditeur|mittente|remitente|avsändare|afsender|absender|nadawca|odesílatel|feladó|"
    "de la|מאת|من",
    "sent": "sent|gesendet|envoyé|envoyé le|enviado|enviado el|enviada em|enviado em|inviato|verzonden|"
    "wysłano|wysłane|sendt|skickat|"
    "lähetetty|odesláno|gönderildi|gönderilme tarihi|отправлено|送信日時|发送时间|发送日期|寄件日期|보낸 날짜|sent at|"
    "sent on|odoslané|"
    "elküldve|надіслано",
    "date": "date|datum|data|fecha|dato|päivämäärä|päiväys|tarih|дата|日時|日付|日期|时间|날짜",
    "to": "to|an|à|a|para|aan|do|komu|til|till|vastaanottaja|kime|alıcı|кому|宛先|收件人|收件者|받는 사람|받는사람|"
    "destinataire|destinatario|"
    "empfänger|címzett|către|אל|إلى",
    "cc": "cc|kopie|copie|kopia|копия|抄送|副本|참조|c\\.c\\.|kopi|bcc|dw|udw|bilgi",
    "subject": "subject|betreff|objet|asunto|oggetto|onderwerp|assunto|temat|emne|ämne|aihe|předmět|"
    "predmet|konu|тема|件名|主题|主旨|"
    "제목|betr|tárgy|subiect|sujet|ang|נושא|الموضوع",
    "reply": "reply-to|reply to|antwort an|répondre à|responder a|risposta|rispondi a|responder para|"
    "antwoord aan|odpowiedz do|svar til",
    "more": "importance|wichtigkeit|importancia|priorità|priority|attachments|anlagen|mailed-by|"
    "signed-by|organization|newsgroups",
}
_KIND_BY_LABEL = {label: kind for kind, labels in _LABELS.items() for label in labels.split("|")}
_LABEL_LINE = re.compile(r"[\s>*_|]{0,12}([^\W\d_][^\n:：*<>@]{0,30}?)[\s*_]{0,4}[:：][\s*_]{0,4}(.*)\Z")


def label_kind(line: str) -> tuple[str, str]:
    """Which header a line names ("from", "date", …), and its value; two empty strings when it names none."""
    found = _LABEL_LINE.match(line[:LONGEST_LINE])
    if found is None:
        return "", ""
    return _KIND_BY_LABEL.get(found.group(1).strip().lower(), ""), found.group(2).strip()


_ORIGINAL = (
    r"original message|original e-?mail|reply message|replied message|reply to message|"
    r"original appointment|ursprüngliche (?:nachricht|e-?mail)|"
    r"originalnachricht|original-?nachricht|message d'origine|message original|message initial|"
    r"mensaje original|messaggio originale|"
    r"oorspronkelijk bericht|mensagem original|wiadomość oryginalna|oryginalna wiadomość|"
    r"original(?:t)? meddelelse|oprindelig meddelelse|"
    r"opprinnelig melding|ursprungligt meddelande|originalmeddelande|alkuperäinen viesti|původní zpráva|"
    r"pôvodná správa|orijinal mesaj|"
    r"özgün ileti|исходное сообщение|оригинальное сообщение|original besked|元のメッセージ|original message|"
    r"原始邮件|原始郵件|邮件原件|"
    r"원본 메시지|원본 메일|eredeti üzenet|mesajul original|quoted text|antwort nachricht"
)
DIVIDER = re.compile(
    rf"[\s>*]{{0,10}}(?:[-_=*#]{{2,60}}|[—–]{{1,30}})\s{{0,5}}(?:{_ORIGINAL})\s{{0,5}}(?:[-_=*#]{{0,60}}|"
    rf"[—–]{{0,30}})[\s*:]{{0,10}}\Z",
    re.IGNORECASE,
)
_FORWARDED = (
    r"forwarded (?:message|by|e-?mail|mail)|begin forwarded message|forwarded|"
    r"weitergeleitete (?:nachricht|e-?mail)|anfang der weitergeleiteten|"
    r"message transféré|message transmis|début du message (?:réexpédié|transféré)|mensaje reenviado|"
    r"inicio del mensaje reenviado|"
    r"messaggio inoltrato|inizio messaggio inoltrato|doorgestuurd bericht|begin doorgestuurd bericht|"
    r"mensagem encaminhada|"
    r"mensagem reencaminhada|início da mensagem encaminhada|przekazana wiadomość|początek przekazywanej|"
    r"wiadomość przekazana|"
    r"videresendt (?:besked|melding|meddelelse)|start på videresendt|vidarebefordrat (?:meddelande|brev)|"
    r"vidarebefordrat|"
    r"välitetty viesti|edelleen lähetetty|přeposlaná zpráva|přeposlan[áý]|preposlaná správa|"
    r"yönlendirilen|iletilen (?:mesaj|ileti)|"
    r"пересылаемое сообщение|пересланное сообщение|перенаправленное|начало переадресованного|"
    r"転送(?:された)?メッセージ|転送メール|"
    r"转发邮件|转发的邮件|轉寄的郵件|已转发邮件|전달된 메시지|továbbított üzenet|mesaj redirecționat"
)
FORWARD = re.compile(
    rf"[\s>*|]{{0,12}}(?:[-_=*]{{2,60}}\s{{0,5}}(?:{_FORWARDED})\b.{{0,80}}|(?:begin forwarded message|"
    rf"anfang der weitergeleiteten (?:nachricht|e-?mail)|"
    r"début du message (?:réexpédié|transféré)|inicio del mensaje reenviado|inizio messaggio inoltrato|"
    r"begin doorgestuurd bericht|"
    r"início da mensagem encaminhada|początek przekazywanej wiadomości|start på videresendt besked|"
    r"vidarebefordrat brev|"
    r"начало переадресованного сообщения|転送されたメッセージ|以下转发的邮件)\s?[:：]?)\s{0,5}\Z",
    re.IGNORECASE,
)
REPLY_ABOVE = re.compile(
    r"(?i)[\s>#*=_-]{0,20}(?:please )?(?:type|write|reply|enter)?\s?(?:your )?(?:reply|respond|response|"
    r"answer|comment)?s? ?above this line|"
    r"[\s>#*=_-]{0,20}bitte (?:antworten sie )?oberhalb dieser (?:linie|zeile)|"
    r"[\s>#*=_-]{0,20}(?:veuillez )?(?:répondre|répondez) au-dessus de cette ligne|"
    r"[\s>#*=_-]{0,20}(?:por favor,? )?(?:escriba su respuesta|responda) (?:por )?(?:encima|"
    r"arriba) de esta línea"
)

DELIMITER_ONLY = re.compile(r"[\s_=*#~+—–•ᐧ-]{0,200}\Z")
SIGNATURE_START = re.compile(r"\s{0,3}[-_]{2,3}\s{0,3}\Z")
FOOTER_RULE = re.compile(r"\s{0,3}_{5,200}\s{0,3}\Z")
FOOTER_WORDS = re.compile(r"(?i)mailing list|mailman|unsubscribe|listinfo|abmelden|désabonner|darse de baja")
_DEVICES = (
    r"iphone|ipad|ipod|android|smartphone|mobil|phone|tablet|handy|samsung|galaxy|huawei|htc|blackberry|"
    r"windows|outlook|yahoo|mailbox|airmail|"
    r"gmail|nine|spark|mail\b|device|cell|k-9|proton|thunderbird|nokia|xperia|lumia|xiaomi|pixel|oneplus|"
    r"alcatel|ti-\d+|\bpc\b|gerät|"
    r"téléphone|móvil|celular|cellulare|telefon|puhelin|телефон|устройств|гаджет|手机|手機|携帯|스마트폰|휴대폰|mac\b|"
    r"acompli|boxer|superhuman"
)
_SENT_FROM = (
    r"sent (?:from|via|with|using|by)|envoyé (?:depuis|de|à partir|avec)|von mein\w+|gesendet (?:von|mit|"
    r"aus)|"
    r"diese nachricht wurde von|verstuurd v\w+|verzonden (?:met|v\w+)|enviado (?:desde|do|de|a partir)|"
    r"enviada do|"
    r"inviato (?:da|dal)|wysłan[oe] z|sendt fra|skickat från|lähetetty|odesláno z|iphone'umdan|"
    r"отправлено (?:с|из)|"
    r"从我的|發自我的|发自我的|從我的|elküldve|trimis de pe|надіслано"
)
MOBILE_SIGNATURE = re.compile(
    rf"[\s<(\[*_-]{{0,8}}(?:(?:{_SENT_FROM}).{{0,30}}(?:{_DEVICES}).{{0,160}}|sent (?:from|via|"
    rf"with)\s.{{0,60}}|"
    r"someone from mobile|from my \w{2,12} ?\w{0,3}|get \[?(?:outlook|bluemail|yahoo mail|spark|"
    r"aqua mail)\b.{0,80}|"
    r".{0,40}(?:から送信|에서 보냄|傳送|iphone'umdan gönderildi)"
    r")[\s>)\]*_.]{0,8}\Z",
    re.IGNORECASE,
)
