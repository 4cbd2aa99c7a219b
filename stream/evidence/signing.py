"""Signatures of evidence: Ed25519, with a key that is made at first use.

The private key lies in the user's data directory, readable by its owner alone. A signature tells
that whoever had the key made the bundle; it tells no time, and nothing to those who do not know the
key's fingerprint from elsewhere.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from stream.evidence.errors import SigningKeyLost

KEY_FILE = "evidence.key"
"""Name of the key's file in the user's data directory."""

KEY_BYTES, SIGNATURE_BYTES = 32, 64


class SigningKey:
    """The private key of an analyzer.

    Args:
        seed: its 32 bytes.
    """

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @classmethod
    def at(cls, path: Path) -> SigningKey:
        """Return the key of a file, which is made when there is none.

        Raises:
            SigningKeyLost: there is a file that holds no key, or cannot be read.
            OSError: it cannot be made.
        """
        return cls(_read(path) if path.exists() else _made(path))

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key, in hexadecimal."""
        return fingerprint(self.public)

    def sign(self, data: bytes) -> bytes:
        """Return the signature of data, 64 bytes."""
        return self._key.sign(data)


def fingerprint(public: bytes) -> str:
    """Return what people compare of a public key: its SHA-256, in hexadecimal."""
    return hashlib.sha256(public).hexdigest()


def fits(public: bytes, signature: bytes, data: bytes) -> bool:
    """Say whether a signature of data was made with the key that belongs to a public one."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _read(path: Path) -> bytes:
    try:
        seed = path.read_bytes()
    except OSError as error:
        raise SigningKeyLost(f"{path.name} cannot be read: {error.strerror}") from error
    if len(seed) != KEY_BYTES:
        raise SigningKeyLost(f"{path.name} holds no key")
    return seed


def _made(path: Path) -> bytes:
    """Make the key, readable by its owner alone; whole, or not there."""
    seed = os.urandom(KEY_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(seed)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(part, path)
    except FileExistsError:  # somebody was quicker
        return _read(path)
    finally:
        part.unlink(missing_ok=True)
    return seed
