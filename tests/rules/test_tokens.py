"""What we sign comes back as what it was; what others make up is nothing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.rules import tokens

KEY, OLD_KEY, FOREIGN_KEY = b"k" * 32, b"o" * 32, b"f" * 32
IDS = st.integers(min_value=1, max_value=2**63 - 1)


@given(IDS)
def test_a_ticket_token_reads_back_in_any_case(ticket_id: int) -> None:
    token = tokens.ticket_token(KEY, ticket_id)
    assert re.fullmatch(r"[a-z2-7]{15,26}", token)
    assert tokens.read_ticket_token([KEY], token) == ticket_id
    assert tokens.read_ticket_token([KEY], token.upper()) == ticket_id


@given(IDS)
def test_a_token_survives_the_way_through_an_address(ticket_id: int) -> None:
    address = tokens.reply_address("support@north.demo.test", tokens.ticket_token(KEY, ticket_id))
    local = address.partition("@")[0]
    assert len(local) <= 64
    for seen in (address, address.upper(), f" <{address}> "):
        token = tokens.token_in_address(seen)
        assert token is not None
        assert tokens.read_ticket_token([KEY], token) == ticket_id


@given(IDS)
def test_message_ids_and_return_paths_read_back(number: int) -> None:
    message_id = tokens.message_id_for(KEY, number, "North.Demo.test")
    assert message_id.endswith("@north.demo.test")
    assert tokens.read_message_id([KEY], message_id) == number
    assert tokens.read_message_id([KEY], f" <{message_id}>\r\n") == number
    path = tokens.return_path_for(KEY, number, "bounce@north.demo.test")
    assert tokens.read_return_path([KEY], path) == number
    assert tokens.read_return_path([KEY], f"<{path.upper()}>") == number


def test_the_message_id_of_a_message_never_changes() -> None:
    first = tokens.message_id_for(KEY, 55, "a.test")
    assert first == tokens.message_id_for(KEY, 55, "a.test")
    assert first != tokens.message_id_for(KEY, 56, "a.test")


def test_a_replaced_key_still_reads_old_mails() -> None:
    token = tokens.ticket_token(OLD_KEY, 7)
    message_id = tokens.message_id_for(OLD_KEY, 7, "a.test")
    assert tokens.read_ticket_token([KEY, OLD_KEY], token) == 7
    assert tokens.read_message_id([KEY, OLD_KEY], message_id) == 7
    assert tokens.read_ticket_token([KEY], token) is None
    assert tokens.read_message_id([KEY], message_id) is None


@given(IDS, IDS)
def test_a_signature_of_one_id_is_worth_nothing_for_another(signed: int, wanted: int) -> None:
    if signed == wanted:
        return
    signature = tokens.message_id_for(KEY, signed, "a.test").split(".")[2].partition("@")[0]
    assert tokens.read_message_id([KEY], f"m.{wanted}.{signature}@a.test") is None
    assert tokens.read_return_path([KEY], f"bounce+{wanted}-{signature}@a.test") is None


def test_a_signature_of_one_purpose_is_worth_nothing_for_another() -> None:
    signature = tokens.message_id_for(KEY, 9, "a.test").split(".")[2].partition("@")[0]
    assert tokens.read_return_path([KEY], f"bounce+9-{signature}@a.test") is None
    path_signature = tokens.return_path_for(KEY, 9, "b@a.test").partition("-")[2].partition("@")[0]
    assert tokens.read_message_id([KEY], f"m.9.{path_signature}@a.test") is None


@given(IDS, st.data())
def test_a_changed_character_makes_a_token_worthless(ticket_id: int, data: st.DataObject) -> None:
    token = tokens.ticket_token(KEY, ticket_id)
    position = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
    forged = token[:position] + other + token[position + 1 :]
    assert (tokens.read_ticket_token([KEY], forged) == ticket_id) is (forged == token)
    assert tokens.read_ticket_token([FOREIGN_KEY], token) is None


def test_a_token_has_one_spelling() -> None:
    token = tokens.ticket_token(KEY, 10482_000)  # eleven bytes leave two bits of the last character unused
    spellings = [token[:-1] + last for last in "abcdefghijklmnopqrstuvwxyz234567"]
    assert [each for each in spellings if tokens.read_ticket_token([KEY], each)] == [token]


@given(st.text(max_size=60))
def test_anything_else_is_no_token_and_no_error(text: str) -> None:
    assert tokens.read_ticket_token([KEY], text) is None
    assert tokens.read_message_id([KEY], text) is None
    assert tokens.read_return_path([KEY], text) is None
    assert tokens.token_in_address(text) is None or "+t-" in text.lower()


@pytest.mark.parametrize(
    "address",
    [
        "support@a.test",
        "support+t@a.test",
        "support+t-@a.test",
        "t-aaaaaaaaaaaaaaaa@a.test",
        "support@t-aaaaaaaaaaaaaaaa.test",
        "",
        "+t-aaaaaaaaaaaaaaaa",
    ],
)
def test_addresses_without_a_token(address: str) -> None:
    assert tokens.token_in_address(address) is None


def test_an_address_that_carries_a_tag_already_gets_ours_behind_it() -> None:
    address = tokens.reply_address("help+shop@a.test", "aaaaaaaaaaaaaaaa")
    assert address == "help+shop+t-aaaaaaaaaaaaaaaa@a.test"
    assert tokens.token_in_address(address) == "aaaaaaaaaaaaaaaa"


def test_what_cannot_be_signed_is_refused() -> None:
    with pytest.raises(ValueError, match="between 1 and"):
        tokens.ticket_token(KEY, 0)
    with pytest.raises(ValueError, match="between 1 and"):
        tokens.message_id_for(KEY, 2**63, "a.test")
    with pytest.raises(ValueError, match="key"):
        tokens.ticket_token(b"", 1)
    with pytest.raises(ValueError, match="not an e-mail address"):
        tokens.reply_address("support", "aaaaaaaaaaaaaaaa")
    with pytest.raises(ValueError, match="too long"):
        tokens.reply_address("s" * 50 + "@a.test", "aaaaaaaaaaaaaaaa")
