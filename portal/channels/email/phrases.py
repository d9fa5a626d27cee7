"""The words by which machines' mail is known, in the languages of the servers that write it."""

import re

ROBOT_SENDER = re.compile(
    r"(?i)mailer-?\s?daemon|mail\.?delivery\.?(?:sub)?system|post[_-]?master|mail administrator|"
    r"\bmaildaemon|"
    r"mdaemon|<bounces?[@+-]|system administrator|\bmta-daemon|undeliver|mail delivery"
)

BOUNCE_SUBJECT = re.compile(
    r"(?i)undeliver|un-?deliverable|non-?deliver|returned (?:mail|message|e-?mail)|return(?:ed|"
    r"ing)? (?:message )?to sender|"
    r"failure notice|failure delivery|failed delivery|delivery (?:has )?(?:fail|status|notification|"
    r"problem|error|report|delay)|"
    r"(?:mail|message|e-?mail) (?:delivery )?(?:has )?(?:fail|could not be|delivery|system error)|"
    r"could not be delivered|delayed mail|message delayed|delivery delayed|not delivered|"
    r"cannot (?:be )?deliver|"
    r"warning: (?:message|could not send)|error sending your mail|smtp server: errors|permanent delivery|"
    r"mail error|rejected (?:mail|message)|user unknown|loop alert|are not member|malformed recipient|"
    r"unzustellbar|"
    r"nicht zugestellt|zustellung|non remis|échec de la remise|non distribu|no se puede entregar|"
    r"no entregado|devuelto|"
    r"mancata consegna|impossibile recapitare|onbestelbaar|niet (?:kunnen )?bezorg|não (?:foi )?entreg|"
    r"falha na entrega|"
    r"niedostarcz|nie dostarcz|ikke leveres|kunne ikke lever|kunde inte levereras|går inte att leverera|"
    r"toimittaminen|nedoručiteln|teslim edilemedi|доставить|недоставлен|не доставлен|"
    r"сообщение не доставлено|"
    r"配信不能|配送でき|エラー通知|メール配信エラー|送信エラー|退信|系统退信|无法投递|無法傳遞|전송 실패|반송"
)

BOUNCE_BODY = re.compile(
    r"(?i)(?:could not|couldn't|cannot|can't|can not|was not|were not|not been|unable to|"
    r"failed to) (?:be )?(?:successfully )?"
    r"(?:deliver|reach|send|process|complete)|undeliver|delivery (?:has |"
    r"to the following[^\n]{0,60})?(?:fail|error|attempt)|"
    r"has been delayed|returned to (?:you|sender)|permanent (?:fatal )?error|following (?:address|"
    r"recipient|error)|"
    r"user (?:is )?unknown|unknown (?:user|recipient)|no such (?:user|recipient|mailbox)|"
    r"mailbox (?:is )?(?:full|unavailable|not found)|"
    r"over quota|exceeded (?:the )?(?:storage|quota)|does ?n[o']t exist|recipient (?:address )?rejected|"
    r"host unknown|"
    r"relay(?:ing)? (?:access )?denied|(?<!\d)5\d\d[ -](?:5\.\d\.\d|[a-z])|(?<!\d)[45]\.\d\.\d{1,3}(?!\d)|"
    r"address(?:es)? (?:had|failed|you entered)|rejected (?:by|your)|will be retried|not listed in|"
    r"invalid (?:recipient|address)|"
    r"not (?:a )?member of|are not member|duplicated message-id|mail loop|too many hops|nicht zugestellt|"
    r"konnte nicht|n'a pas pu|no se ha podido|non è stato|"
    r"não pôde|配信でき|配送でき|送信でき|届け|エラー|не может быть доставлено|не удалось доставить"
)

COMPLAINT_SUBJECT = re.compile(r"(?i)complaint about message from|abuse report")

AUTO_REPLY_SUBJECT = re.compile(
    r"(?i)\s*(?:\[[^\]]{1,40}\]\s*)?(?:"
    r"auto(?:mated|matic|matische?|matica|matique)?[ -]?(?:re(?:ply|sponse|sponder)|antwort|svar|"
    r"odpoved)\b|"
    r"out[ -]of[ -](?:the[ -])?office|(?:i am |i'm )?(?:currently )?away (?:from|until|till)\b|"
    r"on vacation\b|vacation (?:reply|message|notice|response)|"
    r"abwesen(?:d|heit)|automatische (?:antwort|abwesenheit)|außer haus|urlaub(?:sbenachrichtigung|"
    r"smeldung)|"
    r"réponse automatique|reponse automatique|absence du bureau|absent du bureau|"
    r"message automatique d'absence|"
    r"respuesta automática|respuesta automatica|fuera de (?:la )?oficina|"
    r"risposta automatica|fuori (?:sede|ufficio)|automatisch antwoord|afwezigheid|niet aanwezig|"
    r"resposta automática|resposta automatica|ausência|fora do escritório|"
    r"automatyczna odpowiedź|odpowiedź automatyczna|poza biurem|nieobecnoś|"
    r"automatisk svar|automatiskt svar|autosvar|ikke til stede|fraværende|frånvaro|autosvar|"
    r"automaattinen vastaus|poissa(?:olo)?|automatická odpověď|mimo kancelář|"
    r"otomatik (?:yanıt|cevap)|ofis dışında|автоответ|автоматический ответ|"
    r"自動返信|自動応答|不在(?:通知|連絡|の)|自动回复|自動回覆|不在办公室|자동 ?(?:응답|회신)|부재"
    r")"
)
