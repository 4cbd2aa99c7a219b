"""Private parts of aiortc and aioice that are used: still there, and as expected."""

from __future__ import annotations

import asyncio
from operator import attrgetter

from aioice import Candidate
from aioice.ice import CandidatePair
from aiortc import RTCPeerConnection, RTCRtpReceiver

from stream.webrtc import aiortc_compat
from stream.webrtc.aiortc_compat import MAX_BACKLOG, gather_on, ice_agent
from stream.webrtc.datagrams import DatagramRefusal


async def test_what_is_used_inside_aiortc_is_still_there() -> None:
    """Read this when it fails after an update: the module says what each of them is for."""
    connection = RTCPeerConnection()
    transceiver = connection.addTransceiver("video")
    receiver, ice = transceiver.receiver, ice_agent(transceiver.receiver)
    for name in (
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
    for name in ("_send_rtcp_pli", "_send_rtcp_nack"):
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
