"""DTLS handshake of a call: what it asks of a peer, and why it failed in words. Pure.

Source: RFC 8827 (what WebRTC asks of DTLS), RFC 5764 (SRTP over it), RFC 8446, section 6 (alerts).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from stream.errors import SourceError
from stream.events import ReasonCode

CIPHERS = ":".join(
    f"ECDHE-{certificate}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "CHACHA20-POLY1305", "AES128-SHA", "AES256-SHA")
    for certificate in ("ECDSA", "RSA")
)
"""Suites of DTLS 1.2 in OpenSSL's words: forward secret, and for either kind of certificate."""

_CERTIFICATES = range(42, 47)
_UNKNOWN_CA = 48
_VERSION = 70
_SUITES = (40, 71)


@dataclass(slots=True)
class Handshake:
    """How far a handshake came.

    Attributes:
        sent: description of the fatal alert that we have sent.
        received: description of the fatal alert that the peer has sent.
        done: both sides have finished.
        protected: they have agreed on a protection profile of SRTP.
    """

    sent: int | None = None
    received: int | None = None
    done: bool = False
    protected: bool = False


def failure(handshake: Handshake) -> SourceError:
    """Return a failed handshake as what ended the call: why, and what to change."""
    return SourceError(
        ReasonCode.TLS, f"the DTLS handshake with the peer failed: {_why(handshake)}"
    )


def unfinished(within_s: float) -> SourceError:
    """Return a handshake that came to no end as what ended the call."""
    return SourceError(
        ReasonCode.TLS,
        f"a way to the peer was found, but its DTLS handshake was not done within {within_s:g} s;"
        " see what the peer itself reports, and whether large datagrams pass on the way",
    )


def _why(handshake: Handshake) -> str:
    if handshake.received is not None:
        return f"the peer refused it ({_words(handshake.received)}); {_advice(handshake.received)}"
    if handshake.sent is not None:
        return f"it was refused here ({_words(handshake.sent)}); {_advice(handshake.sent)}"
    if not handshake.done:
        return "the peer went away before it was done; see what the peer itself reports"
    if not handshake.protected:
        return (
            "the peer has no protection profile of SRTP in common with this analyzer; let it offer"
            " SRTP_AES128_CM_SHA1_80 or AES-GCM (use_srtp)"
        )
    return (
        "the peer's certificate is not the one that its offer names; let it send the a=fingerprint"
        " of the same connection, unchanged"
    )


def _words(alert: int) -> str:
    """Return an alert as RFC 8446 calls it, with its number."""
    try:
        name = ssl.AlertDescription(alert).name.removeprefix("ALERT_DESCRIPTION_")
    except ValueError:
        return f"alert {alert}"
    return f"{name.lower().replace('_', ' ')}, alert {alert}"


def _advice(alert: int) -> str:
    if alert in _SUITES:
        return "let it offer ECDHE suites with AES-GCM or ChaCha20, and P-256 or X25519"
    if alert == _VERSION:
        return "let it speak DTLS 1.2 or later"
    if alert in _CERTIFICATES or alert == _UNKNOWN_CA:
        return "let it take self-signed certificates, which a=fingerprint vouches for"
    return "see what the peer itself reports"
