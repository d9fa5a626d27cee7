"""Files come out of a winmail.dat, and the winmail.dat itself stays."""

import json

from portal.channels.email import tnef
from portal.channels.email.parsing import parse_mail
from tests.shared import shared_path


def test_the_sample_streams_give_their_files() -> None:
    folder = shared_path("mail") / "MimeKit"
    cases = [case for case in json.loads((folder / "expected.json").read_text()) if case["kind"] == "tnef"]
    named = [case for case in cases if (case.get("expect") or case).get("names")]
    assert named
    for case in named:
        files = tnef.unpack((folder / case["file"]).read_bytes())
        assert sorted(one.name or "" for one in files) == sorted((case.get("expect") or case)["names"]), case[
            "file"
        ]


def test_a_mail_shows_the_stream_and_its_files() -> None:
    stream = (shared_path("mail") / "MimeKit" / "tnef" / "long-filename.tnef").read_bytes()
    mail = parse_mail(
        b'From: a@b.example\nContent-Type: application/ms-tnef; name="winmail.dat"\n\n' + stream
    )
    assert [one.name for one in mail.attachments] == ["winmail.dat", "allproductsmar2000.dat"]


def test_a_torn_stream_gives_what_was_whole() -> None:
    stream = (shared_path("mail") / "MimeKit" / "tnef" / "missing-filenames.tnef").read_bytes()
    whole = tnef.unpack(stream)
    for length in range(0, len(stream), max(1, len(stream) // 40)):
        torn = tnef.unpack(stream[:length])
        assert len(torn) <= len(whole)
        assert [one.content for one in torn[:-1]] == [one.content for one in whole][: max(0, len(torn) - 1)]
