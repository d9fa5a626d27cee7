"""`make run`: everything in the foreground, set up on the first run, stopped together.

Runs before anything of the application is loaded, so that what is wrong with the machine is said in one sentence.
"""

import hashlib
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from config import ROOT, BadSetting, Settings, load_settings
from portal.embedded import CannotStart, Embedded, start_database, start_redis, stop_database, stop_redis

WATCH_SECONDS = 2


def main() -> int:
    """Start everything and wait; the exit status of the process."""
    environment = {**os.environ, "DEMO": os.environ.get("DEMO", "1")}
    os.environ.update(environment)
    try:
        settings = load_settings()
        _check_ports(settings)
        return _run(settings)
    except (BadSetting, CannotRun) as error:
        print(f"\nPortal cannot start: {error}\n", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


class CannotRun(RuntimeError):
    """The machine is missing something; the message is one clear sentence."""


def _run(settings: Settings) -> int:
    embedded = Embedded(settings.var_dir)
    try:
        _start_engines(settings, embedded)
        _release(settings, embedded)
        return _serve(settings, embedded)
    except CannotStart as error:
        raise CannotRun(str(error)) from error
    finally:
        if settings.uses_embedded_redis:
            stop_redis(embedded)
        if settings.uses_embedded_database:
            stop_database(embedded)


def _check_ports(settings: Settings) -> None:
    wanted = {"PORT": settings.port, "SMTP_PORT": settings.smtp_port}
    if settings.is_demo:
        wanted["SINK_PORT"] = settings.sink_port
    if settings.lmtp_port:
        wanted["LMTP_PORT"] = settings.lmtp_port
    for name, port in wanted.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise CannotRun(
                    f"port {port} is taken ({error.strerror}). Stop what uses it, "
                    f"or choose another: make run {name}={port + 100}"
                ) from error


def _start_engines(settings: Settings, embedded: Embedded) -> None:
    if settings.uses_embedded_database:
        if not (embedded.database_dir / "PG_VERSION").exists():
            print("Setting up the database …", flush=True)
        start_database(embedded)
    if settings.uses_embedded_redis:
        start_redis(embedded)


def _release(settings: Settings, embedded: Embedded) -> None:
    """Migrate, sync roles, load demo data; skipped where this very code has done so with this very database."""
    stamp = settings.var_dir / "released"
    wanted = _fingerprint(settings, embedded)
    if wanted and stamp.exists() and stamp.read_text() == wanted:
        return
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "flask",
            "--app",
            "wsgi",
            "release",
            *(["--demo"] if settings.is_demo else []),
        ],
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        raise CannotRun("the database could not be brought up to date; the reason stands above.")
    stamp.write_text(wanted)


def _fingerprint(settings: Settings, embedded: Embedded) -> str:
    """What a release depends on; empty for a database of someone else, which may have changed in between."""
    if not settings.uses_embedded_database:
        return ""
    files = [embedded.database_dir / "PG_VERSION", ROOT / "requirements.txt", ROOT / "config.py"]
    files += sorted(path for room in ("portal", "migrations") for path in (ROOT / room).rglob("*.py"))
    digest = hashlib.sha256(f"demo={settings.is_demo}".encode())
    for path in files:
        found = path.stat()
        digest.update(f"{path} {found.st_ino} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _serve(settings: Settings, embedded: Embedded) -> int:
    from honcho.environ import parse_procfile
    from honcho.manager import Manager

    manager = Manager()
    commands = parse_procfile((ROOT / "Procfile").read_text()).processes
    if not settings.is_demo:
        commands.pop("sink", None)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        "VAR_DIR": str(settings.var_dir),
        "PORT": str(settings.port),
    }
    for name, command in commands.items():
        manager.add_process(name, command, quiet=False, env=environment, cwd=str(ROOT))
    threading.Thread(target=_say_when_ready, args=(settings,), daemon=True).start()
    threading.Thread(target=_watch_engines, args=(settings, embedded), daemon=True).start()
    manager.loop()
    # 130: stopped by Ctrl-C, which is how it is meant to end.
    return 0 if manager.returncode in (0, 130, -2, -15, None) else manager.returncode


def _say_when_ready(settings: Settings) -> None:
    while not _answers(settings.port):
        time.sleep(0.05)
    lines = [
        f"Portal is ready at {settings.base_url}",
        f"Mail comes in at 127.0.0.1:{settings.smtp_port} (SMTP)",
    ]
    if settings.is_demo:
        from portal.demo import demo_accounts

        lines.append(f"Write and read as a customer at {settings.base_url}/postbox")
        lines.append("")
        lines += [
            f"  {role:8} {account['username']:10} {account['password']}"
            for role, account in demo_accounts(settings.var_dir).items()
        ]
    lines.append("")
    lines.append("Ctrl-C stops everything.")
    print("\n" + "\n".join(f"  {line}" for line in lines) + "\n", flush=True)


def _answers(port: int) -> bool:
    # The socket is open long before the application behind it is loaded.
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30) as answer:
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException):
        return False


def _watch_engines(settings: Settings, embedded: Embedded) -> None:
    """Start an embedded server again that has died."""
    while True:
        time.sleep(WATCH_SECONDS)
        try:
            _start_engines(settings, embedded)
        except (CannotStart, OSError) as error:
            print(
                f"An embedded server is down and does not start again yet: {error}",
                file=sys.stderr,
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main())
