"""What is wrong with the machine is said in one sentence, and no traceback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journey.conftest import ROOT, free_port, free_port_pair

pytestmark = pytest.mark.journey


def start(var_dir: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run the launcher with something wrong; it must end by itself."""
    settings = {
        "PORT": str(free_port()),
        "SMTP_PORT": str(free_port_pair()),
        "VAR_DIR": str(var_dir),
        "DEMO": "0",
    }
    return subprocess.run(
        [sys.executable, "-m", "portal.launch"],
        cwd=ROOT,
        env={**os.environ, **settings, "PYTHONWARNINGS": "ignore", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def complaint_of(done: subprocess.CompletedProcess) -> str:
    said = done.stderr + done.stdout
    assert done.returncode == 1, said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("name", ["PORT", "SMTP_PORT"])
def test_a_taken_port_is_named_with_the_way_out(tmp_path: Path, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = complaint_of(start(tmp_path / "var", **{name: str(port)}))
    assert f"port {port} is taken" in said
    assert f"make run {name}=" in said


def test_a_setting_that_is_no_number_is_named(tmp_path: Path) -> None:
    assert "PORT must be a whole number" in complaint_of(start(tmp_path / "var", PORT="eighty"))


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    said = complaint_of(start(tmp_path / "var", SMTP_TLS_CERTIFICATE="/nowhere/listener.pem"))
    assert "SMTP_TLS_CERTIFICATE must be a file: /nowhere/listener.pem is none" in said


def test_a_database_of_another_kind_is_refused(tmp_path: Path) -> None:
    said = complaint_of(start(tmp_path / "var", DATABASE_URL="mysql://somewhere/else"))
    assert "DATABASE_URL must be a PostgreSQL address" in said


def test_a_database_that_is_not_there_is_said(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    said = complaint_of(start(tmp_path / "var", DATABASE_URL=url))
    assert "PostgreSQL cannot be reached" in said
    assert "DATABASE_URL" in said


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    said = complaint_of(start(blocked / "var"))
    assert str(blocked) in said
    assert "VAR_DIR" in said
