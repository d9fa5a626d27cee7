"""A real IMAP server for tests: Dovecot, on a free port of 127.0.0.1, everything it has in one folder.

Debian's dovecot-imapd is used where it is installed, and installed where the tests run as root and apt is there;
otherwise the tests skip with a message, and fail when CI=true.
"""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.certificates import make_certificate

PASSWORD = "right"  # of every user
_PLACES = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/sbin"
_START_SECONDS = 20


@dataclass(frozen=True)
class Dovecot:
    """A running server. Every user name exists and has its own mailbox, made when it is first used."""

    folder: Path
    port: int
    tls_port: int
    certificate_file: str

    def client(self, username: str) -> IMAPClient:
        """A logged-in client, to put mail in and to look at what became of it."""
        client = IMAPClient("127.0.0.1", self.port, ssl=False, timeout=10)
        client.login(username, PASSWORD)
        return client

    def cut_connections(self, username: str) -> None:
        """Throw out everyone who is logged in as that user."""
        _doveadm(self.folder, "kick", username)

    def skip_numbers(self, username: str, next_uid: int, folder: str = "INBOX") -> None:
        """Let the next mail in the folder have that number."""
        _doveadm(self.folder, "mailbox", "update", "-u", username, "--min-next-uid", str(next_uid), folder)

    def renumber(self, username: str, folder: str = "INBOX", uid_validity: int = 0) -> None:
        """Give the folder another UIDVALIDITY, as a restored backup or a moved mailbox has."""
        box = [
            "mailbox",
            "update",
            "-u",
            username,
            "--uid-validity",
            str(uid_validity or int(time.time()) + 1000),
        ]
        _doveadm(self.folder, *box, folder)


@pytest.fixture(scope="session")
def dovecot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dovecot]:
    """One server for the whole run: a test takes a user name of its own."""
    folder = tmp_path_factory.mktemp("dovecot")
    certificate = make_certificate(folder)
    with dovecot_running(folder, certificate.certificate_file, certificate.key_file) as running:
        yield running


@contextmanager
def dovecot_running(
    folder: Path, certificate_file: str, key_file: str, *, token_info_url: str = ""
) -> Iterator[Dovecot]:
    """A server with its data in `folder`, which is made passable for the user it runs as.

    With `token_info_url` it also takes access tokens (XOAUTH2), and asks there whose they are.
    """
    program = find_or_install()
    for each in (folder, *folder.parents[:3]):
        each.chmod(each.stat().st_mode | 0o055)
    port, tls_port = _free_port(), _free_port()
    config = folder / "dovecot.conf"
    written = _config(folder, port, tls_port, certificate_file, key_file)
    config.write_text(written + (_tokens(folder, token_info_url) if token_info_url else ""))
    _make_folders(folder)
    process = subprocess.Popen(
        [program, "-F", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        _wait_for(process, port, folder)
        yield Dovecot(folder, port, tls_port, certificate_file)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def find_or_install() -> str:
    """The path of Dovecot with IMAP; skips the test where there is none, fails it when CI=true."""
    found = _find()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _install()
        found = _find()
    if found is not None:
        return found
    message = "Dovecot is not installed: apt-get install dovecot-imapd"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def _find() -> str | None:
    program = shutil.which("dovecot", path=_PLACES)
    return program if program and _imap_program() else None


def _imap_program() -> Path | None:
    places = (
        Path(place) / "dovecot" / "imap" for place in ("/usr/lib", "/usr/libexec", "/usr/local/libexec")
    )
    return next((place for place in places if place.exists()), None)


def _install() -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "dovecot-imapd"]
    for command in (install, ["apt-get", "update", "-q"], install):
        done = subprocess.run(command, env=environment, capture_output=True, timeout=300, check=False)
        if command is install and done.returncode == 0:
            return


def _config(folder: Path, port: int, tls_port: int, certificate_file: str, key_file: str) -> str:
    is_root = os.geteuid() == 0
    me = pwd.getpwuid(os.geteuid()).pw_name
    master = "dovecot" if is_root else me
    login = "dovenull" if is_root else me
    # Dovecot keeps no mail as root; the mail belongs to its own user then.
    owner = pwd.getpwnam(master)
    version = _version()
    head = (
        f"dovecot_config_version = {version}\ndovecot_storage_version = {version}\n"
        if version >= "2.4"
        else ""
    )
    return head + (_CONFIG_24 if version >= "2.4" else _CONFIG_23).format(
        folder=folder,
        port=port,
        tls_port=tls_port,
        certificate_file=certificate_file,
        key_file=key_file,
        master=master,
        login=login,
        group=_group_name(owner.pw_gid),
        uid=owner.pw_uid,
        gid=owner.pw_gid,
        password=PASSWORD,
        chroot="" if is_root else "chroot =",
    )


_COMMON = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
listen = 127.0.0.1
protocols = imap
default_internal_user = {master}
default_internal_group = {group}
default_login_user = {login}
first_valid_uid = 1
mail_uid = {uid}
mail_gid = {gid}
service imap-login {{
  {chroot}
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  {chroot}
  # No waiting after a wrong password.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  {chroot}
}}
"""

_CONFIG_23 = (
    _COMMON
    + """
mail_location = maildir:{folder}/mail/%u
mailbox_list_index = no
disable_plaintext_auth = no
auth_failure_delay = 0
ssl = yes
ssl_cert = <{certificate_file}
ssl_key = <{key_file}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home/%u
}}
namespace inbox {{
  inbox = yes
}}
"""
)

_CONFIG_24 = (
    _COMMON
    + """
mail_driver = maildir
mail_path = {folder}/mail/%{{user}}
auth_allow_cleartext = yes
auth_failure_delay = 0
ssl = yes
ssl_server_cert_file = {certificate_file}
ssl_server_key_file = {key_file}
passdb static {{
  password = {password}
}}
userdb static {{
  fields {{
    uid = {uid}
    gid = {gid}
    home = {folder}/home/%{{user}}
  }}
}}
namespace inbox {{
  inbox = yes
}}
"""
)


def _tokens(folder: Path, token_info_url: str) -> str:
    """The part of the configuration for logins by XOAUTH2."""
    if _version() >= "2.4":
        return (
            "auth_mechanisms = plain login xoauth2\n"
            f"oauth2 {{\n  tokeninfo_url = {token_info_url}\n  username_attribute = email\n}}\n"
            "passdb oauth2 {\n  mechanisms_filter = xoauth2\n}\n"
        )
    settings = folder / "tokens.conf"
    settings.write_text(f"tokeninfo_url = {token_info_url}\nusername_attribute = email\n")
    settings.chmod(0o644)
    return (
        "auth_mechanisms = plain login xoauth2\n"
        f"passdb {{\n  driver = oauth2\n  mechanisms = xoauth2\n  args = {settings}\n}}\n"
    )


def _version() -> str:
    program = shutil.which("dovecot", path=_PLACES) or "dovecot"
    told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True)
    return told.stdout.split()[0].partition("-")[0]


def _group_name(gid: int) -> str:
    import grp

    return grp.getgrgid(gid).gr_name


def _make_folders(folder: Path) -> None:
    owner = pwd.getpwnam("dovecot") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    for name in ("run", "state", "mail", "home"):
        (folder / name).mkdir()
        if name in ("mail", "home"):
            os.chown(folder / name, owner.pw_uid, owner.pw_gid)


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
        return port


def _wait_for(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                if connection.recv(4) == b"* OK":
                    return
        except OSError:
            time.sleep(0.02)  # until the server listens; there is nothing to wait on
    process.terminate()
    _, said = process.communicate(timeout=10)
    log = folder / "dovecot.log"
    pytest.fail(f"Dovecot did not start: {said.decode()} {log.read_text() if log.exists() else ''}")


def _doveadm(folder: Path, *words: str) -> None:
    program = shutil.which("doveadm", path=_PLACES) or "doveadm"
    command = [program, "-c", str(folder / "dovecot.conf"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr or done.stdout
