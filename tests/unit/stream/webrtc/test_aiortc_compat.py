"""Private parts of aiortc and aioice that are used: still there, and as expected."""

from __future__ import annotations

import asyncio
from operator import attrgetter, methodcaller

from aioice import Candidate
from aioice.ice import CandidatePair
from aiortc import RTCPeerConnection, RTCRtpReceiver
from aiortc.codecs import CODECS, depayload
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket

from stream.webrtc import aiortc_compat
from stream.webrtc.aiortc_compat import (
    MAX_BACKLOG,
    MediaReceiver,
    gather_on,
    ice_agent,
    receive_more_codecs,
)
from stream.webrtc.datagrams import DatagramRefusal


async def test_what_is_used_inside_aiortc_is_still_there() -> None:
    """Read this when it fails after an update: the module says what each of them is for."""
    connection = RTCPeerConnection()
    transceiver = connection.addTransceiver("video")
    receiver, ice = transceiver.receiver, ice_agent(transceiver.receiver)
    for name in (
        aiortc_compat.RECEIVED_CODECS,
        aiortc_compat.DECODER_QUEUE,
        aiortc_compat.REMOTE_STREAMS,
        aiortc_compat.RETRANSMISSIONS,
        aiortc_compat.NACK_GENERATOR,
    ):
        assert hasattr(receiver, name)
    assert getattr(connection, aiortc_compat.REMOTE_ICE) == {}
    (certificate,) = getattr(connection, aiortc_compat.CERTIFICATES)
    assert certificate.getFingerprints()
    assert callable(attrgetter("_create_ssl_context")(certificate))
    buffer = getattr(receiver, aiortc_compat.JITTER_BUFFER)
    assert attrgetter("_origin")(buffer) is None
    assert getattr(receiver, aiortc_compat.NACK_GENERATOR).missing == set()
    for name in ("_handle_rtp_packet", "_send_rtcp_pli", "_send_rtcp_nack"):
        assert asyncio.iscoroutinefunction(getattr(RTCRtpReceiver, name))
    assert asyncio.iscoroutinefunction(ice.get_component_candidates)
    assert attrgetter("_nominated")(ice) == {}
    assert attrgetter("_queue")(ice).qsize() == 0
    assert attrgetter("_rtp_router.ssrc_table")(receiver.transport) == {}
    assert attrgetter("_check_list")(ice) == []
    assert attrgetter("_protocols")(ice) == []
    for name in ("_handle_rtp_data", "_handle_rtcp_data"):
        assert asyncio.iscoroutinefunction(getattr(receiver.transport, name))
    connection.createDataChannel("x")
    assert connection.sctp is not None
    assert attrgetter("_inbound_streams")(connection.sctp) == {}
    assert asyncio.iscoroutinefunction(attrgetter("_handle_data")(connection.sctp))
    await connection.close()


async def test_what_a_call_hears_is_filtered_before_aioice_and_counted() -> None:
    """aioice hands everything that is no STUN on to aiortc, which indexes an empty datagram."""
    connection = RTCPeerConnection()
    transceiver = connection.addTransceiver("video")
    datagrams = gather_on(connection, ("127.0.0.1",))
    await connection.setLocalDescription(await connection.createOffer())
    ice = ice_agent(transceiver.receiver)
    (protocol,) = attrgetter("_protocols")(ice)
    stranger = ("127.0.0.1", 9)
    garbled = b"\x00\x01\x00\x08\x21\x12\xa4\x42" + bytes(12) + b"\x00\x24\x00\x01" + bytes(4)
    for data in (b"", b"\x80" * 11, garbled, b"\x80\x60" * 10):
        protocol.datagram_received(data, stranger)
    assert attrgetter("_queue")(ice).qsize() == 0
    assert datagrams.refused == {DatagramRefusal.MALFORMED: 3, DatagramRefusal.STRANGER: 1}

    pair = CandidatePair(protocol, Candidate("1", 1, "udp", 1, "127.0.0.1", 9, "host"))
    vars(pair.remote_candidate)["_network_host"] = "127.0.0.1"
    attrgetter("_check_list")(ice).append(pair)
    protocol.datagram_received(b"\x80\x60" * 10, stranger)
    assert datagrams.refused[DatagramRefusal.STRANGER] == 2
    pair.remote_nominated = True
    for _ in range(MAX_BACKLOG + 1):
        protocol.datagram_received(b"\x80\x60" * 10, stranger)
    assert attrgetter("_queue")(ice).qsize() == MAX_BACKLOG
    assert datagrams.refused[DatagramRefusal.BACKLOG] == 1
    attrgetter("_check_list")(ice).clear()
    await connection.close()


async def test_payloads_that_aiortc_does_not_take_apart_keep_their_bounds() -> None:
    """Also when they are sent again, which puts two bytes before them."""
    receiver = RTCRtpReceiver(
        "video", RTCPeerConnection().addTransceiver("video").receiver.transport
    )
    codecs = getattr(receiver, aiortc_compat.RECEIVED_CODECS)
    for number, name, apt in ((96, "VP8", 0), (98, "VP9", 0), (99, "rtx", 98), (97, "rtx", 96)):
        codecs[number] = RTCRtpCodecParameters(f"video/{name}", 90_000, None, number)
        codecs[number].parameters = {"apt": apt} if apt else {}
    taken: list[bytes] = []

    async def take(packet: RtpPacket, **_: object) -> None:
        taken.append(packet.payload)

    vars(receiver)["_handle_rtp_packet"] = take
    MediaReceiver(receiver).keep_bounds()
    for number, payload in (
        (98, b"abc"), (99, b"\0\7abc"), (99, b"\0\7"), (98, b""), (96, b"abc"), (97, b"\0\7abc"),
        (77, b"abc"),
    ):  # fmt: skip
        packet = RtpPacket(payload_type=number, payload=payload)
        await methodcaller("_handle_rtp_packet", packet, arrival_time_ms=0)(receiver)
    assert taken[:2] == [b"\0\3abc", b"\0\7\0\3abc"]
    assert taken[2:] == [b"\0\7", b"", b"abc", b"\0\7abc", b"abc"]


async def test_more_codecs_are_received_and_aiortc_leaves_their_payloads_alone() -> None:
    receive_more_codecs()
    before = len(CODECS["video"])
    receive_more_codecs()
    assert len(CODECS["video"]) == before
    known = {codec.name: codec for codec in CODECS["video"]}
    for name in ("VP9", "AV1"):
        assert depayload(known[name], b"as it is") == b"as it is"
    numbers = [codec.payloadType for codec in CODECS["video"]]
    assert len(set(numbers)) == len(numbers)
