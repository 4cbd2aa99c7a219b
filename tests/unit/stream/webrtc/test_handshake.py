"""A failed handshake says why it failed and what to change."""

from __future__ import annotations

import pytest
from OpenSSL import SSL

from stream.events import ReasonCode
from stream.webrtc.handshake import CIPHERS, Handshake, failure


@pytest.mark.parametrize(
    ("handshake", "words"),
    [
        (Handshake(received=40), ("the peer refused it (handshake failure, alert 40)", "ECDHE")),
        (Handshake(sent=40), ("it was refused here (handshake failure, alert 40)", "ECDHE")),
        (Handshake(received=71), ("insufficient security, alert 71", "ECDHE")),
        (Handshake(sent=70), ("protocol version, alert 70", "DTLS 1.2 or later")),
        (Handshake(received=42), ("bad certificate, alert 42", "self-signed")),
        (Handshake(received=48), ("unknown ca, alert 48", "self-signed")),
        (Handshake(received=80), ("internal error, alert 80", "the peer itself")),
        (Handshake(received=231), ("(alert 231)", "the peer itself")),
        (Handshake(), ("the peer went away before it was done",)),
        (Handshake(done=True), ("no protection profile of SRTP", "SRTP_AES128_CM_SHA1_80")),
        (Handshake(done=True, protected=True), ("is not the one that its offer names",)),
        (Handshake(received=46, done=True, protected=True), ("certificate unknown, alert 46",)),
    ],
)
def test_a_failure_says_why_and_what_to_change(
    handshake: Handshake, words: tuple[str, ...]
) -> None:
    end = failure(handshake)
    assert end.code is ReasonCode.TLS
    assert end.detail.startswith("the DTLS handshake with the peer failed: ")
    for word in words:
        assert word in end.detail


def test_every_suite_is_known_to_the_library() -> None:
    """OpenSSL passes over a name that it does not know."""
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_cipher_list(CIPHERS.encode())
    known = SSL.Connection(context).get_cipher_list()
    assert set(CIPHERS.split(":")) <= set(known)
