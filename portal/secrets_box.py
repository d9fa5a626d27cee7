"""Passwords of mailboxes, encrypted at rest with the installation's key."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken
from flask import current_app

from portal.errors import Permanent


def seal(secret: str) -> bytes:
    """The secret, encrypted and authenticated (Fernet: AES-128-CBC and HMAC-SHA256)."""
    return _box().encrypt(secret.encode())


def unseal(sealed: bytes | None) -> str:
    """The secret again, "" for none. Raises Permanent when the key is not the one it was sealed with."""
    if not sealed:
        return ""
    try:
        return _box().decrypt(sealed).decode()
    except InvalidToken as error:
        raise Permanent(
            "A stored password cannot be read with the present ENCRYPTION_KEY. "
            "Restore the former key, or enter the password again."
        ) from error


def _box() -> Fernet:
    material = hashlib.sha256(b"portal secrets box:" + current_app.config["ENCRYPTION_KEY"]).digest()
    return Fernet(base64.urlsafe_b64encode(material))
