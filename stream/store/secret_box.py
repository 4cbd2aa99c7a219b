"""Encryption of credentials: AES-256-GCM with a key that lies in a file of its own.

Whoever copies the database alone has no credentials. The key is made at first use, readable by its
owner alone. What is sealed is bound to what it is about, so that sealed text that is moved to
another row cannot be opened.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stream.errors import SecretLost

log = structlog.get_logger(__name__)

KEY_FILE = "store.key"
"""Name of the key's file; it lies beside the database."""

_KEY_BYTES, _NONCE_BYTES = 32, 12
_FORMAT = b"\x01"


class SecretBox:
    """Seals text and opens it again. For any thread.

    Args:
        path: of the key; made when something is sealed and there is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def seal(self, text: str, about: str) -> bytes:
        """Return text encrypted.

        Args:
            text: the secret.
            about: what it belongs to; needed to open it.

        Raises:
            OSError: the key cannot be made.
            SecretLost: there is a key file that holds none.
        """
        with self._lock:
            key = self._made() if not self.path.exists() else self._read()
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + nonce + AESGCM(key).encrypt(nonce, text.encode(), about.encode())

    def open(self, sealed: bytes, about: str) -> str:
        """Return text that was sealed.

        Raises:
            SecretLost: the key is gone or another one, or the text is damaged.
        """
        key = self._read()
        nonce = sealed[len(_FORMAT) : len(_FORMAT) + _NONCE_BYTES]
        rest = sealed[len(_FORMAT) + _NONCE_BYTES :]
        if not sealed.startswith(_FORMAT):
            raise SecretLost("stored credentials are of another version")
        try:
            return AESGCM(key).decrypt(nonce, rest, about.encode()).decode()
        except (InvalidTag, ValueError):
            raise SecretLost(f"stored credentials do not fit the key in {self.path.name}") from None

    def _read(self) -> bytes:
        try:
            mode = self.path.stat().st_mode
            key = self.path.read_bytes()
        except OSError as error:
            why = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
            raise SecretLost(f"the key of stored credentials, {self.path.name}, {why}") from None
        if len(key) != _KEY_BYTES:
            raise SecretLost(f"{self.path.name} holds no key of stored credentials")
        if mode & 0o077:
            log.warning("others may read the key of stored credentials", file=str(self.path))
        return key

    def _made(self) -> bytes:
        """Make the key, readable by its owner alone; whole, or not there."""
        key = os.urandom(_KEY_BYTES)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(part, self.path)
        except FileExistsError:  # another process was quicker
            return self._read()
        finally:
            part.unlink(missing_ok=True)
        log.info("made a key for stored credentials", file=str(self.path))
        return key
