"""Errors of evidence bundles. They carry data and declare how they are told.

StreamError
├── BundleRefused    a file that is no bundle, or one that may do harm
├── BundleUnmade     an incident of which no bundle can be made
├── ReplayImpossible  a bundle that cannot be scored again here
└── SigningKeyLost   the key that signs bundles cannot be read
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.errors import StreamError


@dataclass(eq=False)
class BundleRefused(StreamError):
    """A file is no evidence bundle, or may do harm; nothing of it was unpacked."""

    code = "bundle_refused"
    title = "This file is not taken for an evidence bundle"
    hint = "Ask for the bundle again, as it was made"
    status = 422

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(eq=False)
class BundleUnmade(StreamError):
    """Too much belongs to an incident for one bundle."""

    code = "bundle_unmade"
    title = "No bundle can be made of this incident"
    hint = "Lower evidence.max_clip_bytes, so that later ones fit"
    status = 422

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(eq=False)
class ReplayImpossible(StreamError):
    """A bundle cannot be scored again here, and what it would take."""

    code = "replay_impossible"
    title = "This bundle cannot be scored again here"
    hint = "What is needed stands behind it"
    status = 422

    reason: str
    needs: str

    def __str__(self) -> str:
        return f"{self.reason}; needed: {self.needs}"


@dataclass(eq=False)
class SigningKeyLost(StreamError):
    """The key that signs bundles cannot be read, and is not replaced by another one."""

    code = "signing_key_lost"
    title = "The key that signs evidence cannot be read"
    hint = "Bring the key file back, or remove it: a new one is made, with another fingerprint"
    status = 500

    reason: str

    def __str__(self) -> str:
        return self.reason
