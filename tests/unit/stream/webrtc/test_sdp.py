"""Offers are judged before anything is opened for them; answers say how much may be sent."""

from __future__ import annotations

import pytest

from stream.errors import OfferInvalid, OfferRefused
from stream.webrtc.calls import WebRtcSettings
from stream.webrtc.sdp import (
    MAX_CANDIDATES,
    Offer,
    check_offer,
    complete_answer,
    is_useful,
    parse_fragment,
)
from tests.support.offers import AUDIO, CHROMIUM, only, with_audio

HOST = "a=candidate:1 1 udp 2113937151 192.0.2.7 39190 typ host"


def test_what_a_browser_offers_is_understood() -> None:
    offer = check_offer(CHROMIUM)
    assert offer.codecs == ("VP8", "H264", "AV1", "VP9")
    assert offer.ufrag == "m/zd"
    assert offer.tuned


def test_both_kinds_of_line_ends_will_do() -> None:
    assert check_offer(CHROMIUM.replace("\n", "\r\n")) == check_offer(CHROMIUM)


def test_audio_may_come_along() -> None:
    assert "m=audio" in check_offer(with_audio()).text


def test_no_name_of_an_offer_is_ever_looked_up() -> None:
    """Names in candidates (mDNS or any other) would make this machine ask its network."""
    offer = check_offer(CHROMIUM.replace("a=ice-ufrag", f"{HOST}\na=ice-ufrag", 1))
    assert ".local" not in offer.text
    assert HOST in offer.text


def test_a_peer_that_names_no_address_can_still_reach_us() -> None:
    """End of candidates would end the search before its first packet has come."""
    assert "end-of-candidates" not in check_offer(CHROMIUM + "a=end-of-candidates\n").text


@pytest.mark.parametrize(
    ("offered", "kept"), [("actpass", "active"), ("active", "active"), ("passive", "passive")]
)
def test_a_peer_that_may_begin_the_handshake_is_let(offered: str, kept: str) -> None:
    """A peer with an RSA certificate had no suite in common with us as the client."""
    text = check_offer(CHROMIUM.replace("setup:actpass", f"setup:{offered}")).text
    assert {x for x in text.splitlines() if x.startswith("a=setup:")} == {f"a=setup:{kept}"}


def test_candidates_of_one_peer_are_bounded() -> None:
    many = "".join(f"{HOST.replace(' 39190', f' {port}')}\n" for port in range(1000, 1400))
    assert check_offer(CHROMIUM + many).text.count("a=candidate:") <= MAX_CANDIDATES


@pytest.mark.parametrize(
    ("offer", "named"),
    [
        (only("AV1").replace("AV1/90000", "H265/90000"), "H265"),
        (only("VP9").replace("profile-id=0", "profile-id=1"), "VP9"),
        (only("AV1").replace("profile=0", "profile=1"), "AV1"),
        (only("red", "rtx"), "none"),
    ],
)
def test_video_that_cannot_be_decoded_is_refused_by_name(offer: str, named: str) -> None:
    with pytest.raises(OfferRefused) as refused:
        check_offer(offer)
    taken, _, offered = str(refused.value).partition("; offered: ")
    assert offered == named
    for codec in ("VP8", "H264 (constrained baseline)", "VP9 (profile 0)", "AV1 (profile 0)"):
        assert codec in taken


@pytest.mark.parametrize("codec", ["VP8", "H264", "VP9", "AV1"])
def test_one_codec_is_enough(codec: str) -> None:
    assert check_offer(only(codec)).codecs == (codec,)


def test_of_vp9_profile_0_alone_goes_on() -> None:
    """An answer names no profile, so a peer would take what it offered as another one for 0."""
    text = check_offer(CHROMIUM).text
    assert "a=rtpmap:98 VP9/90000" in text
    assert "a=rtpmap:100 " not in text
    assert "a=fmtp:100 " not in text
    assert "a=rtcp-fb:100 " not in text


def changed(old: str, new: str) -> str:
    assert old in CHROMIUM
    return CHROMIUM.replace(old, new)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "garbage",
        "v=1\n",
        "{}",
        "v=0\nnothing\n",
        changed("a=mid:0", "a=mid:0\x00"),
        changed("a=mid:1", "a=mid:0"),
        changed("a=mid:1\n", ""),
        changed("a=mid:0", "a=mid:two words"),
        changed("m=video 9 UDP", "m=video nine UDP"),
        changed("a=ice-pwd:w/8GJcJwLwS3t5X+G3FyMTOX", "a=ice-pwd:short"),
        changed("a=ice-ufrag:m/zd", "a=ice-ufrag:m zd"),
        changed("a=ice-ufrag:m/zd\n", ""),
        changed("a=fingerprint:sha-256 58:", "a=fingerprint:sha-256 5:"),
        changed("a=fingerprint:sha-256", "a=fingerprint:sha-1"),
        changed("a=setup:actpass", "a=setup:perhaps"),
        changed("a=setup:actpass\n", ""),
        changed("BUNDLE 0 1", "BUNDLE 0 7"),
        CHROMIUM + "a=x\n" * 3000,
    ],
)
def test_what_cannot_be_understood_is_invalid(text: str) -> None:
    with pytest.raises(OfferInvalid):
        check_offer(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (changed("m=video", "m=audio"), "no video"),
        (changed("a=sendrecv", "a=recvonly"), "sends none"),
        (changed("a=sendrecv", "a=inactive"), "sends none"),
        (changed("a=group:BUNDLE 0 1\n", ""), "BUNDLE"),
        (changed("BUNDLE 0 1", "BUNDLE 0"), "BUNDLE"),
        (changed("a=rtcp-mux\n", ""), "rtcp-mux"),
        (changed("m=video 9", "m=video 0"), "rejected"),
        (changed("m=application 9", "m=text 9"), "only audio, video and data"),
        (with_audio() + AUDIO.replace("a=mid:2", "a=mid:3"), "only one audio"),
    ],
)
def test_what_there_is_not_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(OfferRefused, match=words):
        check_offer(text)


def test_a_refusal_never_repeats_what_was_sent() -> None:
    """An offer may hold addresses and keys; errors end up in logs."""
    with pytest.raises(OfferInvalid) as invalid:
        check_offer(changed("a=setup:actpass", "a=setup:my-secret"))
    assert "my-secret" not in str(invalid.value)


# --- answers -----------------------------------------------------------------------------------

ANSWER = """\
v=0
m=video 9 UDP/TLS/RTP/SAVPF 96 97 102
c=IN IP4 0.0.0.0
a=rtpmap:96 VP8/90000
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:102 H264/90000
a=fmtp:102 packetization-mode=1;profile-level-id=42e01f
a=candidate:1 1 udp 2130706431 10.0.0.5 40000 typ host
a=candidate:2 1 udp 1694498815 198.51.100.1 40000 typ srflx raddr 10.0.0.5 rport 40000
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=candidate:1 1 udp 2130706431 10.0.0.5 40000 typ host
"""
LIMITS = WebRtcSettings(
    min_kbps=500, start_kbps=1500, max_kbps=2500, max_width=1280, max_height=720, max_fps=30
)


def completed(settings: WebRtcSettings = LIMITS, *, tuned: bool = True) -> list[str]:
    text = complete_answer(ANSWER, Offer("", ("VP8",), "m/zd", tuned), settings)
    assert text.endswith("\r\n")
    return text.split("\r\n")


def test_the_answer_bounds_the_rate_in_the_video_section() -> None:
    lines = completed()
    video = lines[: lines.index("m=application 9 UDP/DTLS/SCTP webrtc-datachannel")]
    assert "b=AS:2500" in video
    assert lines.count("b=AS:2500") == 1
    # RFC 8866: b= follows c=.
    assert video[video.index("b=AS:2500") - 1].startswith("c=")


def test_chromium_is_told_where_to_begin() -> None:
    lines = completed()
    tune = "x-google-start-bitrate=1500;x-google-min-bitrate=500;x-google-max-bitrate=2500"
    assert f"a=fmtp:96 max-fs=3600;max-fr=30;{tune}" in lines
    assert f"a=fmtp:102 packetization-mode=1;profile-level-id=42e01f;{tune}" in lines
    assert "a=fmtp:97 apt=96" in lines


def test_others_are_spared_what_they_do_not_know() -> None:
    lines = completed(tuned=False)
    assert not [line for line in lines if "x-google" in line]
    assert "a=fmtp:96 max-fs=3600;max-fr=30" in lines


def test_advertised_addresses_take_the_place_of_our_own() -> None:
    lines = completed(WebRtcSettings(advertise=("203.0.113.9", "2001:db8::9")))
    hosts = [line for line in lines if " typ host" in line]
    assert len(hosts) == 4
    assert all(" 203.0.113.9 40000 " in h or " 2001:db8::9 40000 " in h for h in hosts)
    assert [line for line in lines if " typ srflx" in line] == [
        "a=candidate:2 1 udp 1694498815 198.51.100.1 40000 typ srflx raddr 10.0.0.5 rport 40000"
    ]


# --- trickled fragments ------------------------------------------------------------------------


def test_a_fragment_names_its_session_and_its_candidates() -> None:
    fragment = parse_fragment(
        "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=video 9 RTP/AVP 0\r\n"
        f"a=mid:0\r\n{HOST}\r\na=candidate:2 1 tcp 1 192.0.2.1 9 typ host tcptype active\r\n"
        "a=end-of-candidates\r\n"
    )
    assert fragment.ufrag == "EsAw"
    assert fragment.candidates == (("0", HOST.removeprefix("a=candidate:")),)


@pytest.mark.parametrize(
    "text", ["", "garbage", "a=mid:0", HOST, f"m=video 9 RTP/AVP 0\n{HOST}", "a=ice-ufrag:\x01"]
)
def test_a_fragment_that_makes_no_sense_is_invalid(text: str) -> None:
    with pytest.raises(OfferInvalid):
        parse_fragment(text)


@pytest.mark.parametrize(
    ("line", "useful"),
    [
        (HOST, True),
        (HOST.replace("192.0.2.7", "2001:db8::7"), True),
        (HOST.replace("192.0.2.7", "fe80::1%eth0"), True),
        (HOST.replace("192.0.2.7", "host.local"), False),
        (HOST.replace("192.0.2.7", "example.net"), False),
        (HOST.replace("192.0.2.7", "224.0.0.251"), False),
        (HOST.replace("192.0.2.7", "255.255.255.255"), False),
        (HOST.replace("192.0.2.7", "0.0.0.0"), False),
        (HOST.replace(" udp ", " tcp "), False),
        (HOST.replace(" 39190 ", " 0 "), False),
        (HOST.replace(" 39190 ", " 99999 "), False),
        (HOST.replace(" 39190 ", " ٣٩ "), False),
        (HOST.replace("a=candidate:1 1", "a=candidate:1 2"), False),
        ("a=candidate:", False),
    ],
)
def test_only_addresses_of_one_host_are_tried(line: str, *, useful: bool) -> None:
    assert is_useful(line) is useful
