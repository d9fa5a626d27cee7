"""Every case of the sample corpora passes, except those that are disputed with a reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import corpora
from bench.disputed import DISPUTED
from portal.channels.email.parsing import parse_mail
from tests.shared import shared_path

# How many cases each group has, so that a set that was not read cannot pass for one without failures.
CASES = {
    "auto-reply": 5,
    "bounce": 584,
    "crlf-invariance": 59,
    "feedback-report": 1,
    "flags-negative": 3,
    "line-endings": 24,
    "optional:is_feedback_report": 19,
    "parse-helpdesk": 6,
    "parse-malformed": 23,
    "parse-rfc": 10,
    "parse-thirdparty": 20,
    "reply-eml": 12,
    "reply-html": 21,
    "reply-text": 112,
    "robust": 339,
    "sanitize-keeps-text": 21,
    "threading-headers": 266,
}


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    shared_path("mail")
    answer = tmp_path_factory.mktemp("corpora") / "scores.json"
    assert corpora.score(answer) == 0
    found: dict[str, dict[str, Any]] = json.loads(answer.read_text())
    return found


@pytest.mark.parametrize("group", CASES)
def test_every_case_of_a_group_was_scored(scores: dict[str, dict[str, Any]], group: str) -> None:
    assert sum(one["n"] for name, one in scores.items() if name.split(" / ")[0] == group) >= CASES[group]


def test_only_disputed_cases_fail_and_all_of_them_do(scores: dict[str, dict[str, Any]]) -> None:
    assert corpora.failed_cases(scores) == DISPUTED.keys()


def test_every_sample_file_is_a_mail() -> None:
    for path in Path(shared_path("mail")).rglob("*"):
        if path.is_file():
            assert not parse_mail(path.read_bytes()).limit_exceeded.startswith("It could not be read"), path
