"""How the reading of mail does on the sample corpora: `python -m bench.corpora` prints a table.

The scorer beside the corpora says what it expects of an adapter; `parse`, `visible_reply` and `sanitize_html` here
are that adapter.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).resolve().parents[1]
# The scorer loads this file by its path, from a folder of its own.
sys.path.insert(0, str(_PROJECT))
from bench.disputed import DISPUTED  # noqa: E402

CORPORA = _PROJECT.parent / "shared" / "mail"


def parse(raw: bytes) -> dict[str, object]:
    """A mail as the scorer wants it."""
    from portal.channels.email.parsing import parse_mail

    mail = parse_mail(raw)
    return {
        "subject": mail.subject,
        "from_addr": mail.from_address or None,
        "text": mail.text,
        "html": mail.html,
        "message_id": mail.message_id,
        "in_reply_to": mail.in_reply_to,
        "references": list(mail.references),
        "attachments": [(one.name, one.content_type, one.size) for one in mail.attachments],
        "is_bounce": mail.is_bounce,
        "is_auto_reply": mail.is_auto_reply,
        "is_feedback_report": mail.is_feedback_report,
        "bounce_recipients": list(mail.failed_recipients),
        "bounce_temporary": mail.is_temporary_bounce,
    }


def visible_reply(body: str, is_html: bool) -> str:
    """What the customer wrote."""
    from portal.channels.email.quoting import split_reply

    return split_reply(None, body).new if is_html else split_reply(body, None).new


def sanitize_html(html: str) -> str:
    """HTML that is safe to show."""
    from portal.channels.email.html import sanitise

    return sanitise(html).html


def main(arguments: list[str]) -> int:
    """Run the scorer over the corpora with the arguments that it knows (--only, --show, --json), then say what the
    disputed cases are and what the mean is without them."""
    if not (CORPORA / "score.py").exists():
        print(
            "The sample mails are not beside the project (expected ../shared/mail), so there is nothing to score."
        )
        return 0
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "scores.json"
        status = score(answer, arguments)
        if status == 0 and answer.exists():
            _print_disputed(json.loads(answer.read_text()))
    return status


def score(answer: Path, arguments: list[str] | None = None) -> int:
    """Run the scorer; its figures go to `answer` as JSON ({group: {n, passed, fails: [[case, why]]}})."""
    command = [sys.executable, str(CORPORA / "score.py"), str(Path(__file__)), "--root", str(CORPORA)]
    return subprocess.run(
        [*command, "--json", str(answer), *(arguments or [])], cwd=_PROJECT, check=False
    ).returncode


def failed_cases(scores: dict[str, dict[str, Any]]) -> set[str]:
    """The names of the cases that failed, without their group's name."""
    return {case_name(case) for figures in scores.values() for case, _why in figures["fails"]}


def case_name(case: str) -> str:
    """`a-set/a-group/0011:001.eml` as `a-set/a-group/001.eml`."""
    return f"{case.rpartition('/')[0]}/{case.rpartition(':')[2]}"


def _print_disputed(scores: dict[str, dict[str, Any]]) -> None:
    failed = failed_cases(scores)
    disputed = sorted(failed & DISPUTED.keys())
    groups: dict[str, list[int]] = {}
    for name, figures in scores.items():
        group = name.split(" / ")[0]
        if group.startswith(("optional", "sanitize")):
            continue
        total = groups.setdefault(group, [0, 0])
        total[0] += figures["n"] - sum(case_name(case) in DISPUTED for case, _why in figures["fails"])
        total[1] += figures["passed"]
    print(f"\nNot bent to ({len(disputed)} cases), with the reason:")
    for case in disputed:
        print(f"  {case}: {DISPUTED[case]}")
    for case in sorted(failed - DISPUTED.keys()):
        print(f"  {case}: FAILED, and nothing excuses it")
    shares = [passed / count for count, passed in groups.values() if count]
    if shares:
        print(f"Mean of groups without them: {100 * sum(shares) / len(shares):.1f}%")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
