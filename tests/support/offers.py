"""Offers that peers make, and pieces to make others of."""

from __future__ import annotations

from pathlib import Path

CHROMIUM = Path(__file__).with_name("chromium.sdp").read_text(encoding="utf-8")
"""What headless Chromium 156 offers for a canvas and a data channel."""

AUDIO = """\
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=ice-ufrag:m/zd
a=ice-pwd:w/8GJcJwLwS3t5X+G3FyMTOX
a=fingerprint:sha-256 58:5A:0B:A3:87:A2:61:5C:09:6E:F0:8B:3D:A0:CF:4B:32:F0:9E:84:A1:52:95:03:E0:\
AD:0E:0D:62:BF:FA:C0
a=setup:actpass
a=mid:2
a=sendonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
"""
"""An audio section to append; add its mid, 2, to the BUNDLE group."""


def only(*codecs: str) -> str:
    """Return Chromium's offer with these video codecs and no others."""
    lines = CHROMIUM.split("\n")
    kept = {
        line.split(":")[1].split(" ")[0]
        for line in lines
        if line.startswith("a=rtpmap:") and line.split(" ")[1].split("/")[0] in codecs
    }
    out = []
    for line in lines:
        if line.startswith("m=video"):
            bits = line.split(" ")
            line = " ".join(bits[:3] + [number for number in bits[3:] if number in kept])
        named = line.split(":")[0] in ("a=rtpmap", "a=fmtp", "a=rtcp-fb")
        if not named or line.split(":")[1].split(" ")[0] in kept:
            out.append(line)
    return "\n".join(out)


def with_audio() -> str:
    """Return Chromium's offer with an audio section at its end."""
    return CHROMIUM.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0 1 2") + AUDIO
