"""What mail clients write before a subject, and our number in it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.rules.subjects import numbered_subject, strip_reply_prefixes, subject_number, subject_numbers


@pytest.mark.parametrize(
    "prefix",
    [
        *(
            "Re:",
            "RE:",
            "re :",
            "Fwd:",
            "FW:",
            "AW:",
            "Antwort:",
            "WG:",
            "SV:",
            "VS:",
            "Antw:",
            "TR:",
            "RÉF:",
        ),
        *(
            "Rif:",
            "R:",
            "I:",
            "RES:",
            "ENC:",
            "RV:",
            "Odp:",
            "PD:",
            "YNT:",
            "İLT:",
            "Vá:",
            "VB:",
            "VL:",
            "Doorst:",
        ),
        *(
            "Ответ:",
            "Отв:",
            "回复：",
            "回复:",
            "答复：",
            "转发：",
            "回覆：",
            "轉寄：",
            "返信:",
            "転送:",
            "회신:",
            "전달:",
        ),
        *("Re[2]:", "Re (3):", "RE^4:", "Re*2:", "ΑΠ:", "ΣΧΕΤ:", "Trả lời:", "תגובה:", "رد:"),
        *("Re: AW: SV:", "Fwd: Re: Fwd:", "Re:Re:Re:"),
    ],
)
def test_prefixes_of_every_language_go(prefix: str) -> None:
    assert strip_reply_prefixes(f"{prefix} Where is my parcel?") == "Where is my parcel?"


@pytest.mark.parametrize(
    "subject",
    [
        "Refund: please",
        "Return of goods",
        "Award: winner",
        "Invoice 12: late",
        "Swapped item: help",
        "TRX: 5",
        "",
    ],
)
def test_words_that_only_look_alike_stay(subject: str) -> None:
    assert strip_reply_prefixes(subject) == subject


@pytest.mark.parametrize(
    ("subject", "number"),
    [
        ("Re: Where is it? [#10482]", 10482),
        ("[#10482] Where is it?", 10482),
        ("AW: [ # 10482 ] Wo?", 10482),
        ("回复：包裹 [＃10482]", 10482),
        ("Re: #10482", None),
        ("Order [10482]", None),
        ("[#]", None),
        ("", None),
        ("[#1234567890123456789012]", None),
    ],
)
def test_only_our_form_is_a_number(subject: str, number: int | None) -> None:
    assert subject_number(subject) == number


def test_several_numbers_come_in_order_each_once() -> None:
    assert subject_numbers("[#7] Re: [#8] [#7]") == (7, 8)


@given(st.text(max_size=80), st.integers(1, 10**9))
def test_a_numbered_subject_has_one_prefix_and_one_number_however_often_it_goes_round(
    subject: str, number: int
) -> None:
    first = numbered_subject(subject, number)
    assert subject_numbers(first) == (number,)
    assert numbered_subject(f"AW: {first}", number) == first
    assert "\n" not in first
    assert "\r" not in first


def test_a_hostile_subject_costs_no_time() -> None:
    started = time.perf_counter()
    strip_reply_prefixes("Re: " * 200_000)
    strip_reply_prefixes(" " * 500_000 + "re")
    subject_numbers("[#" * 300_000)
    assert time.perf_counter() - started < 0.5
