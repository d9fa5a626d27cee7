"""What a writer is asked before a reply goes out."""

import pytest

from portal.rules.doubts import doubts_about


@pytest.mark.parametrize(
    "text",
    ["Please see the attached invoice.", "Die Rechnung liegt im Anhang.", "Vous trouverez ci-joint la facture.",
     "La factura va adjunta.", "In allegato la fattura.", "Faktura w załączniku.", "請看附件"],
)  # fmt: skip
def test_an_announced_file_that_is_missing_is_asked_about(text: str) -> None:
    assert [one.rule for one in doubts_about(text, has_files=False, recipients=["a@b.test"])] == [
        "attachment_missing"
    ]
    assert not doubts_about(text, has_files=True, recipients=["a@b.test"])


@pytest.mark.parametrize(
    "text", ["", "I am quite attachedly yours", "Reattach it yourself", "Es war anbeißend"]
)
def test_other_words_announce_nothing(text: str) -> None:
    assert not doubts_about(text, has_files=False, recipients=["a@b.test"])


@pytest.mark.parametrize(
    ("address", "is_asked"),
    [
        ("no-reply@shop.test", True),
        ("NoReply@shop.test", True),
        ("orders.donotreply@shop.test", True),
        ("noreply+42@shop.test", True),
        ("reply@shop.test", False),
        ("ann@noreply.test", False),
        ("bouncesson@shop.test", False),
    ],
)
def test_an_address_that_nobody_reads_is_asked_about(address: str, is_asked: bool) -> None:
    found = doubts_about("Hello", has_files=False, recipients=["a@b.test", address])

    assert [one.rule for one in found] == (["no_reply_address"] if is_asked else [])
