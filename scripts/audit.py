"""Known vulnerabilities in what we ship, by pip-audit; without the network it says so and passes.

An advisory service that cannot be reached says nothing about our packages: only findings fail the check.
"""

import json
import subprocess
import sys
from pathlib import Path

UNREACHABLE = (
    "ConnectionError",
    "ServiceError",
    "NameResolutionError",
    "Max retries",
    "timed out",
    "SSLError",
)


def main() -> int:
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--timeout", "10"]
    done = subprocess.run(
        [*command, "--requirement", "requirements.txt", "--format", "json", "--progress-spinner", "off"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[1],
    )
    try:
        found = [
            (package["name"], package["version"], advisory["id"])
            for package in json.loads(done.stdout)["dependencies"]
            for advisory in package.get("vulns", [])
        ]
    except (ValueError, KeyError):
        if any(word in done.stderr for word in UNREACHABLE):
            sys.stdout.write("pip-audit: the advisory service cannot be reached from here; not checked.\n")
            return 0
        sys.stderr.write(done.stderr)
        return 1
    for name, version, advisory in found:
        sys.stdout.write(f"{name} {version}: {advisory}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
