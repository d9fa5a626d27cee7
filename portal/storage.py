"""Files, content-addressed by SHA-256, in a local folder or any store that obstore speaks to."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlparse

from flask import current_app
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from portal.errors import Permanent, Retryable

PUTS_AT_ONCE = 8


def put(content: bytes) -> str:
    """Store the bytes and return their SHA-256; storing the same bytes again changes nothing.

    Raises Retryable when the store does not take them.
    """
    return _put(_store(), content)


def put_all(contents: Sequence[bytes]) -> list[str]:
    """Like put, for many at once: most of the time that a store takes is waiting."""
    if len(contents) < 2:
        return [put(content) for content in contents]
    store = _store()
    with ThreadPoolExecutor(max_workers=min(len(contents), PUTS_AT_ONCE)) as threads:
        return list(threads.map(lambda content: _put(store, content), contents))


def get(digest: str) -> bytes:
    """The bytes with that SHA-256. Raises Permanent when they are not there, Retryable when the store is away."""
    return b"".join(stream(digest))


def stream(digest: str) -> Iterator[bytes]:
    """Like get, in pieces."""
    try:
        for piece in _store().get(_path(digest)).stream():
            yield bytes(piece)
    except (NotFoundError, FileNotFoundError) as error:
        raise Permanent("This file is no longer in the store.") from error
    except (BaseError, OSError) as error:
        raise Retryable("The file store does not answer; try again.") from error


def _put(store: ObjectStore, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    try:
        store.put(_path(digest), content)
    except (BaseError, OSError) as error:
        raise Retryable("The file store does not answer; nothing was lost, try again.") from error
    return digest


def _path(digest: str) -> str:
    return f"{digest[:2]}/{digest[2:4]}/{digest}"


def _store() -> ObjectStore:
    return _open_store(current_app.config["STORAGE_URL"])


@lru_cache(maxsize=4)
def _open_store(url: str) -> ObjectStore:
    parts = urlparse(url)
    if parts.scheme == "file":
        return LocalStore(Path(unquote(parts.path)), mkdir=True)
    return from_url(url)
