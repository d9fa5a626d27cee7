"""How the reading of mail does on the sample corpora: `python -m bench.corpora` prints a table.

The scorer beside the corpora says what it expects of an adapter; `parse`, `visible_reply` and `sanitize_html` here
are that adapter.
"""

import subprocess
import sys
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[1]
# The scorer loads this file by its path, from a folder of its own.
sys.path.insert(0, str(_PROJECT))
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
    """Run the scorer over the corpora with the arguments that it knows (--only, --show, --json)."""
    if not (CORPORA / "score.py").exists():
        print(
            "The sample mails are not beside the project (expected ../shared/mail), so there is nothing to score."
        )
        return 0
    command = [
        sys.executable,
        str(CORPORA / "score.py"),
        str(Path(__file__)),
        "--root",
        str(CORPORA),
        *arguments,
    ]
    return subprocess.run(command, cwd=_PROJECT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
