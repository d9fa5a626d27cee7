"""What of an answer is new: in the languages and clients that customers write with."""

import pytest

from portal.channels.email.quoting import split_html, split_reply

NEW = "Das passt, danke.\nWann kommt es an?"

ATTRIBUTIONS = {
    "english": "On Mon, 5 Feb 2024 at 10:15, Ann Example <ann@example.org> wrote:",
    "english, us": "On Feb 5, 2024, at 10:15 AM, Ann Example <ann@example.org> wrote:",
    "english, two lines": "On Mon, Feb 5, 2024 at 10:15 AM Ann Example via Support\n<ann@example.org> wrote:",
    "german, gmail": "Am Mo., 5. Feb. 2024 um 10:15 Uhr schrieb Ann Example <ann@example.org>:",
    "german, thunderbird": "Am 05.02.24 um 10:15 schrieb Ann Example:",
    "german, apple": "Am 05.02.2024 um 10:15 schrieb Ann Example <ann@example.org>:",
    "french": "Le lun. 5 févr. 2024 à 10:15, Ann Example <ann@example.org> a écrit :",
    "french, two lines": "Le lun. 5 févr. 2024 à 10:15, Ann Example <ann@example.org> a\nécrit :",
    "spanish": "El lun, 5 feb 2024 a las 10:15, Ann Example (<ann@example.org>) escribió:",
    "italian": "Il giorno lun 5 feb 2024 alle ore 10:15 Ann Example <ann@example.org> ha scritto:",
    "dutch": "Op ma 5 feb 2024 om 10:15 schreef Ann Example <ann@example.org>:",
    "dutch, apple": "Op 5 feb. 2024 om 10:15 heeft Ann Example <ann@example.org> het volgende geschreven:",
    "portuguese": "Em seg., 5 de fev. de 2024 às 10:15, Ann Example <ann@example.org> escreveu:",
    "polish": "pon., 5 lut 2024 o 10:15 Ann Example <ann@example.org> napisał(a):",
    "polish, thunderbird": "W dniu 5.02.2024 o 10:15, Ann Example pisze:",
    "danish": "Den man. 5. feb. 2024 kl. 10.15 skrev Ann Example <ann@example.org>:",
    "swedish": "Den mån 5 feb. 2024 kl 10:15 skrev Ann Example <ann@example.org>:",
    "norwegian": "man. 5. feb. 2024 kl. 10:15 skrev Ann Example <ann@example.org>:",
    "finnish": "ma 5. helmik. 2024 klo 10.15 Ann Example (ann@example.org) kirjoitti:",
    "czech": "po 5. 2. 2024 v 10:15 odesílatel Ann Example <ann@example.org> napsal:",
    "czech, thunderbird": "Dne 05. 02. 24 v 10:15 Ann Example napsal(a):",
    "turkish": "Ann Example <ann@example.org>, 5 Şub 2024 Pzt, 10:15 tarihinde şunu yazdı:",
    "russian": "пн, 5 февр. 2024 г. в 10:15, Ann Example <ann@example.org>:",
    "russian, mail.ru": "Понедельник, 5 февраля 2024, 10:15 +03:00 от Ann Example <ann@example.org>:",
    "russian, verb": "5 февраля 2024 г. 10:15 пользователь Ann Example <ann@example.org> написал:",
    "japanese": "2024年2月5日(月) 10:15 Ann Example <ann@example.org>:",
    "japanese, apple": "2024/02/05 10:15、Ann Example <ann@example.org>のメール：",
    "chinese": "Ann Example <ann@example.org> 于2024年2月5日周一 10:15写道：",
    "chinese, apple": "在 2024年2月5日，10:15，Ann Example <ann@example.org> 写道：",
    "korean": "2024년 2월 5일 (월) 오전 10:15, Ann Example <ann@example.org>님이 작성:",
}

HEADER_BLOCKS = {
    "english": "From: Ann Example <ann@example.org>\nSent: Monday, 5 February 2024 10:15\nTo: Bob\nSubject: Order",
    "german": "Von: Ann Example <ann@example.org>\nGesendet: Montag, 5. Februar 2024 10:15\nAn: Bob\nBetreff: Kauf",
    "french": "De : Ann Example <ann@example.org>\nEnvoyé : lundi 5 février 2024 10:15\nÀ : Bob\nObjet : Commande",
    "spanish": "De: Ann Example\nEnviado: lunes, 5 de febrero de 2024 10:15\nPara: Bob\nAsunto: Pedido",
    "italian": "Da: Ann Example\nInviato: lunedì 5 febbraio 2024 10:15\nA: Bob\nOggetto: Ordine",
    "dutch": "Van: Ann Example\nVerzonden: maandag 5 februari 2024 10:15\nAan: Bob\nOnderwerp: Bestelling",
    "portuguese": "De: Ann Example\nEnviada em: segunda-feira, 5 de fevereiro de 2024\nPara: Bob\nAssunto: Pedido",
    "polish": "Od: Ann Example\nWysłano: poniedziałek, 5 lutego 2024 10:15\nDo: Bob\nTemat: Zakup",
    "danish": "Fra: Ann Example\nSendt: 5. februar 2024 10:15\nTil: Bob\nEmne: Ordre",
    "swedish": "Från: Ann Example\nSkickat: den 5 februari 2024 10:15\nTill: Bob\nÄmne: Order",
    "norwegian": "Fra: Ann Example\nSendt: mandag 5. februar 2024 10:15\nTil: Bob\nEmne: Ordre",
    "finnish": "Lähettäjä: Ann Example\nLähetetty: maanantai 5. helmikuuta 2024\nVastaanottaja: Bob\nAihe: Tilaus",
    "czech": "Od: Ann Example\nOdesláno: pondělí 5. února 2024 10:15\nKomu: Bob\nPředmět: Nákup",
    "turkish": "Kimden: Ann Example\nGönderildi: 5 Şubat 2024 Pazartesi 10:15\nKime: Bob\nKonu: Sipariş",
    "russian": "От: Ann Example\nОтправлено: 5 февраля 2024 г. 10:15\nКому: Bob\nТема: Заказ",
    "japanese": "差出人: Ann Example\n送信日時: 2024年2月5日 10:15\n宛先: Bob\n件名: 注文",
    "chinese": "发件人: Ann Example\n发送时间: 2024年2月5日 10:15\n收件人: Bob\n主题: 订单",
    "korean": "보낸 사람: Ann Example\n보낸 날짜: 2024년 2월 5일 10:15\n받는 사람: Bob\n제목: 주문",
    "bold": "*From:* Ann Example <ann@example.org>\n*Date:* 5 February 2024\n*To:* Bob\n*Subject:* Order",
}


@pytest.mark.parametrize("attribution", ATTRIBUTIONS.values(), ids=ATTRIBUTIONS.keys())
def test_words_above_an_attribution_are_new(attribution: str) -> None:
    quoted = f"{attribution}\n\n> Your order left our house.\n> Kind regards"
    assert split_reply(f"{NEW}\n\n{quoted}\n", None).new == NEW


@pytest.mark.parametrize("attribution", ATTRIBUTIONS.values(), ids=ATTRIBUTIONS.keys())
def test_an_attribution_is_known_without_quote_marks_below(attribution: str) -> None:
    split = split_reply(f"{NEW}\n\n{attribution}\n\nYour order left our house.\nKind regards", None)
    assert split.new == NEW
    assert "left our house" in split.quoted


@pytest.mark.parametrize("block", HEADER_BLOCKS.values(), ids=HEADER_BLOCKS.keys())
def test_words_above_a_header_block_are_new(block: str) -> None:
    split = split_reply(f"{NEW}\n\n{block}\n\nYour order left our house.", None)
    assert split.new == NEW
    assert "left our house" in split.quoted


@pytest.mark.parametrize(
    "divider",
    [
        "-----Original Message-----",
        "-----Ursprüngliche Nachricht-----",
        "-------- Message d'origine --------",
        "-----Mensaje original-----",
        "-----Messaggio originale-----",
        "-----Oorspronkelijk bericht-----",
        "-----Mensagem original-----",
        "-----Oryginalna wiadomość-----",
        "-----Původní zpráva-----",
        "------------------ 原始邮件 ------------------",
        "-----Исходное сообщение-----",
    ],
)
def test_words_above_a_divider_are_new(divider: str) -> None:
    assert split_reply(f"{NEW}\n\n{divider}\nYour order left our house.", None).new == NEW


@pytest.mark.parametrize(
    "text",
    [
        "On Monday 5 May 2024 I sent you the following list:\n- a lamp\n- a chair",
        "My question is this.\nOn 5 May 2024 you wrote:\nthe price is 10 euros. Why is it 12 now?",
        "Am 5. Mai 2024 schrieb ich Ihnen folgendes:\n\nDie Lampe ist kaputt.",
        "I have the tickets.\nFrom: Berlin\nTo: Paris\nDate: 5 May",
        "Please get my iPhone order back on track.\nGet the iPhone replaced please",
        "I can not log in.\nFrom my iPhone I only see a white page.",
        "Here is the table:\n| lamp | 3 |\n| chair | 4",
        "Thank you!\n\n👍",
        "It fails with:\n\n>>> import shop\nError: no such shop\n\nWhat can I do?",
        "He wrote: nothing.\nI want my money back.",
        "I read these:\n--\n" + "\n".join(f"point {number} matters" for number in range(20)),
        "Answers below.\n\n> What colour?\nRed.\n\n> Which size?\nLarge.",
        "FYI\n\n---------- Forwarded message ---------\nFrom: A <a@b.example>\nSubject: Broken\n\nIt is broken.",
        "Siehe unten\n\nAnfang der weitergeleiteten Nachricht:\n\n"
        "> Von: A <a@b.example>\n> Betreff: Kaputt\n>\n> Kaputt.",
        "The 3 things in 2024 that my brother wrote\nabout the lamp were wrong: it is green.",
    ],
)
def test_words_that_may_be_new_are_shown(text: str) -> None:
    assert split_reply(text, None).new == text


def test_an_answer_below_the_quote_is_new() -> None:
    text = f"{ATTRIBUTIONS['english']}\n> Which one?\n\nThe red one."
    assert split_reply(text, None).new == "The red one."


def test_questions_stay_between_the_answers() -> None:
    text = f"{ATTRIBUTIONS['english']}\n> Which one?\nThe red one.\n> How many?\nTwo."
    assert split_reply(text, None).new == "> Which one?\nThe red one.\n> How many?\nTwo."


def test_a_mail_of_quotes_alone_is_shown() -> None:
    text = f"{ATTRIBUTIONS['english']}\n> Which one?"
    assert split_reply(text, None).new == text


def test_the_signature_is_a_piece_of_its_own() -> None:
    split = split_reply("Thanks.\n\n-- \nAnn Example\n+1 555 0100", None)
    assert (split.new, split.signature) == ("Thanks.", "-- \nAnn Example\n+1 555 0100")


@pytest.mark.parametrize(
    "line",
    ["Sent from my iPhone", "Von meinem iPhone gesendet", "Envoyé de mon iPhone", "Enviado desde mi iPhone",
     "Inviato da iPhone", "Verstuurd vanaf mijn iPhone", "Wysłane z iPhone'a", "Sendt fra min iPad",
     "Skickat från min iPhone", "Отправлено с iPhone", "iPhoneから送信", "发自我的 iPhone", "나의 iPhone에서 보냄",
     "Get Outlook for iOS<https://aka.ms/o0ukef>"],
)  # fmt: skip
def test_what_a_telephone_appends_is_no_new_word(line: str) -> None:
    assert split_reply(f"Thanks.\n\n{line}", None).new == "Thanks."


PAGES = {
    "gmail": '<div dir="ltr">New words</div><br><div class="gmail_quote">'
    '<div dir="ltr" class="gmail_attr">On Mon, 5 Feb 2024'
    ' at 10:15, Ann wrote:<br></div><blockquote class="gmail_quote"><p>Old words</p></blockquote></div>',
    "outlook": '<div><p>New words</p><div style="border:none;border-top:solid #E1E1E1 1.0pt">'
    "<p><b>From:</b> Ann"
    " &lt;ann@example.org&gt;<br><b>Sent:</b> Monday<br><b>To:</b> Bob<br><b>Subject:</b> Order</p></div>"
    "<p>Old words</p></div>",
    "outlook web": '<div>New words</div><div id="appendonsend"></div><hr><div id="divRplyFwdMsg"><b>Von:</b> Ann</div>'
    "<div>Old words</div>",
    "thunderbird": '<p>New words</p><div class="moz-cite-prefix">Am 05.02.24 um 10:15 schrieb Ann:<br></div>'
    '<blockquote type="cite"><p>Old words</p></blockquote>',
    "apple": "<html><body>New words<div><br><blockquote type='cite'><div>On 5 Feb 2024,"
    " at 10:15, Ann &lt;ann@example.org&gt;"
    " wrote:</div><br><div>Old words</div></blockquote></div></body></html>",
    "yahoo": '<div>New words</div><div id="yahoo_quoted_1" class="yahoo_quoted"><div>On Monday, Ann wrote:</div>'
    "<div>Old words</div></div>",
    "proton": '<div>New words</div><div class="protonmail_quote">On Monday, Ann wrote:<blockquote'
    ' class="protonmail_quote" type="cite">Old words</blockquote></div>',
    "gmx": '<div>New words<div name="quote" style="margin:10px"><b>Gesendet:</b> Montag<br>'
    '<b>Von:</b> Ann<br>Old words</div></div>',
}  # fmt: skip


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_a_page_is_split_where_its_program_marked_it(page: str) -> None:
    split = split_reply(None, page)
    new_html, quoted_html = split_html(page)
    assert split.new == "New words"
    assert "Old words" in split.quoted
    assert ("New words" in new_html, "Old words" in new_html) == (True, False)
    assert ("New words" in quoted_html, "Old words" in quoted_html) == (False, True)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_a_sanitised_page_is_split_as_the_raw_one(page: str) -> None:
    from portal.channels.email.html import sanitise

    new_html, quoted_html = split_html(sanitise(page).html)
    assert ("Old words" in new_html, "Old words" in quoted_html) == (False, True)


def test_an_answer_below_the_quote_of_a_page_is_new() -> None:
    page = PAGES["thunderbird"].replace("<p>New words</p>", "") + "<p>The red one.</p>"
    assert split_reply(None, page).new == "The red one."


def test_a_page_without_quotes_comes_back_as_it_was() -> None:
    page = "<p>One <b>two</b></p><blockquote style='border:none'>indented</blockquote>"
    assert split_html(page) == (page, "")


def test_the_page_is_taken_where_the_text_part_is_a_stub() -> None:
    page = "<p>" + "Every word of the customer stands here. " * 5 + "</p>"
    assert split_reply("Your program cannot show HTML.", page).new.startswith("Every word")


@pytest.mark.parametrize("text", [None, "", "  \n"])
def test_nothing_gives_nothing(text: str | None) -> None:
    assert split_reply(text, None).new.strip() == ""
