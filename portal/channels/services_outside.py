"""Chat services and webhooks, by the addresses of Apprise: checking one, and saying something there.

Only services that speak HTTP: what else the library offers reaches into the machine that Portal runs on.
"""

import logging
import sys
import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

from portal.channels.public_only import guarded
from portal.errors import Retryable
from portal.wording import N_

LONGEST_URL = 2000
LONGEST_SECONDS = 10.0
# They make the library read a file of this machine.
_FILE_OPTIONS = frozenset({"template", "keyfile", "attach", "subfile"})
_FILE_SERVICES = frozenset({"fcm", "vapid"})


class UnusableUrl(ValueError):
    """The address cannot be used; the message is a sentence of N_ for whoever entered it."""


def check_url(url: str) -> str:
    """What may be shown of the address: the service, and for a webhook its host. Raises UnusableUrl."""
    plugin = _plugin(url)
    host = str(getattr(plugin, "host", "") or "")
    is_webhook = type(plugin).__module__.rpartition(".")[2].startswith("custom_")
    return f"{plugin.service_name} · {host}" if is_webhook and host else str(plugin.service_name)


def say(url: str, title: str, body: str, *, may_reach_internal: bool = False) -> None:
    """Say it there. Raises Retryable with what the far end answered, and UnusableUrl."""
    plugin = _plugin(url)
    heard = _Heard()
    log = logging.getLogger("apprise")
    log.addHandler(heard)
    try:
        with guarded(may_reach_internal=may_reach_internal) as guard:
            is_taken = plugin.notify(body=body, title=title)
    except Exception as error:
        # Some services raise what the library below them raises.
        raise Retryable(type(error).__name__) from error
    finally:
        log.removeHandler(heard)
    if guard.refused:
        raise Retryable(N_("It leads to an address of our own network, which this target may not reach."))
    if not is_taken:
        raise Retryable(heard.last or N_("The service did not take the message."))


def _plugin(url: str) -> Any:
    # Loading the services of the library takes a second, and only those who announce something need them.
    from apprise import Apprise, AppriseAsset

    url = url.strip()
    schema = url.partition("://")[0].lower()
    if not schema or "://" not in url or len(url) > LONGEST_URL or not url.isprintable():
        raise UnusableUrl(N_("Enter an address like slack://…, msteams://… or json://host/path."))
    asset = AppriseAsset(async_mode=False, secure_logging=True, storage_mode="memory", plugin_paths=[])
    plugin: Any = Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if plugin is None:
        raise UnusableUrl(
            N_(
                "No service understands this address. Compare it with the service's page in Apprise's documentation."
            )
        )
    options = {name.lower() for name in parse_qs(urlsplit(url).query, keep_blank_values=True)}
    if schema in _FILE_SERVICES or options & _FILE_OPTIONS or not _speaks_http(plugin):
        raise UnusableUrl(N_("This service cannot be used from here: it would reach into this machine."))
    plugin.socket_connect_timeout = min(float(plugin.socket_connect_timeout or 4), LONGEST_SECONDS)
    plugin.socket_read_timeout = min(float(plugin.socket_read_timeout or 4), LONGEST_SECONDS)
    # Trying again is ours to do, and to remember.
    plugin.retry = 0
    return plugin


def _speaks_http(plugin: Any) -> bool:
    return any(hasattr(sys.modules.get(base.__module__), "requests") for base in type(plugin).__mro__)


class _Heard(logging.Handler):
    """The last warning of the library in this thread: the library answers only whether it went well."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.last = record.getMessage()[:300]
