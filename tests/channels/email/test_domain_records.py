"""What an admin is told of a domain's records, asked from a DNS server on loopback."""

import socket

import pytest

from portal.channels.email import domain_records
from portal.channels.email.domain_keys import make_key
from portal.channels.email.domain_records import Finding, look_up
from tests.dns_server import BROKEN, dns_running

KEY, STRANGER = make_key().record, make_key().record
NAME = "s1._domainkey.shop.test"
WHOLE = {
    NAME: [KEY],
    "shop.test": ["some-site-verification=1", "v=spf1 ip4:192.0.2.10 -all"],
    "_dmarc.shop.test": ["v=DMARC1; p=reject; rua=mailto:x@shop.test"],
}


def found(records: dict, domain: str = "shop.test") -> dict[str, Finding]:
    with dns_running(records) as server:
        return {each.record: each for each in look_up(domain, "s1", KEY, [server])}


def test_a_domain_with_all_three_records_is_well():
    told = found(WHOLE)
    assert {name: each.verdict for name, each in told.items()} == dict.fromkeys(
        ("DKIM", "SPF", "DMARC"), "good"
    )
    assert told["DKIM"].sentence == f"The DKIM record at {NAME} is there, and its key is this branch's."
    assert "“v=spf1 ip4:192.0.2.10 -all”: mail from other servers is to be refused." in told["SPF"].sentence
    assert "receivers refuse forgeries of this domain" in told["DMARC"].sentence


def test_a_domain_without_any_record_is_told_so():
    told = found({"shop.test": []})
    assert {each.verdict for each in told.values()} == {"missing"}
    assert f"There is no DKIM record at {NAME}." in told["DKIM"].sentence
    assert told["SPF"].sentence.startswith("There is no SPF record at shop.test")
    assert told["DMARC"].sentence.startswith("There is no DMARC record at _dmarc.shop.test")


@pytest.mark.parametrize(
    ("values", "verdict", "words"),
    [
        ([STRANGER], "wrong", "but with another key than this branch's"),
        (["v=DKIM1; k=rsa; p="], "wrong", "its key was withdrawn"),
        (["v=spf1 -all"], "wrong", "but with another key"),
        ([KEY, STRANGER], "wrong", "2 records"),
        ([KEY.replace("; ", " ;\t").replace("p=M", "p= M")], "good", "is this branch's"),
        ([KEY.removeprefix("v=DKIM1; ")], "good", "is this branch's"),
        ([], "missing", "There is no DKIM record"),
    ],
)
def test_the_key_itself_is_compared(values, verdict, words):
    told = found({**WHOLE, NAME: values})["DKIM"]
    assert told.verdict == verdict
    assert words in told.sentence


@pytest.mark.parametrize(
    ("values", "verdict", "words"),
    [
        (["v=spf1 include:x.test ~all"], "good", "is suspicious"),
        (["V=SPF1 ?all"], "wrong", "nothing is said of other servers"),
        (["v=spf1 +all"], "wrong", "protects nobody"),
        (["v=spf1 all"], "wrong", "protects nobody"),
        (["v=spf1 mx"], "wrong", "nothing is said of other servers"),
        (["v=spf1 redirect=_spf.x.test"], "good", "the record of _spf.x.test holds"),
        (["v=spf1 -all", "v=spf1 ~all"], "wrong", "2 SPF records"),
        (["v=spf10 -all"], "missing", "no SPF record"),
    ],
)
def test_the_spf_record_is_told_in_words(values, verdict, words):
    told = found({**WHOLE, "shop.test": values})["SPF"]
    assert told.verdict == verdict
    assert words in told.sentence


@pytest.mark.parametrize(
    ("records", "verdict", "words"),
    [
        ({"_dmarc.shop.test": ["v=DMARC1;p=none"]}, "good", "only watch and report"),
        ({"_dmarc.shop.test": ["v=DMARC1; p=quarantine"]}, "good", "among the spam"),
        ({"_dmarc.shop.test": ["v=DMARC1; rua=mailto:x@y.test"]}, "wrong", "no policy"),
        ({"_dmarc.shop.test": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}, "wrong", "2 DMARC records"),
        ({"_dmarc.shop.test": ["v=spf1 -all"]}, "missing", "no DMARC record"),
    ],
)
def test_the_dmarc_record_is_told_in_words(records, verdict, words):
    told = found({**WHOLE, **records})["DMARC"]
    assert told.verdict == verdict
    assert words in told.sentence


def test_a_company_s_dmarc_record_holds_for_its_departments():
    records = {"_dmarc.shop.test": ["v=DMARC1; p=none; sp=reject"]}
    told = found(records, "mail.shop.test")["DMARC"]
    assert told.verdict == "good"
    assert "at _dmarc.shop.test" in told.sentence
    assert "receivers refuse forgeries" in told.sentence


def test_a_domain_with_umlauts_is_asked_about_as_the_dns_knows_it():
    records = {"s1._domainkey.xn--mller-kva.test": [KEY]}
    assert found(records, "Müller.test")["DKIM"].verdict == "good"


def test_a_server_that_fails_is_not_taken_for_a_missing_record():
    told = found({**WHOLE, NAME: [BROKEN]})
    assert list(told) == ["DKIM"]
    assert told["DKIM"].verdict == "unknown"
    assert "could not be asked" in told["DKIM"].sentence
    assert "Nothing is known" in told["DKIM"].sentence


def test_a_server_that_is_silent_is_not_taken_for_a_missing_record(monkeypatch):
    monkeypatch.setattr(domain_records, "TIMEOUT_SECONDS", 0.2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        told = look_up("shop.test", "s1", KEY, [f"127.0.0.1:{silent.getsockname()[1]}"])
    assert [each.verdict for each in told] == ["unknown"]
    assert "no answer came" in told[0].sentence


@pytest.mark.parametrize(
    ("domain", "server"),
    [("xn--\x00", "127.0.0.1"), ("a" * 70 + ".ü", "127.0.0.1"), ("shop.test", "no.address")],
)
def test_what_cannot_be_asked_is_said(domain, server):
    told = look_up(domain, "s1", KEY, [server])
    assert [each.verdict for each in told] == ["unknown"]
    assert told[0].sentence
