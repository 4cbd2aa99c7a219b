"""Private parts of aiortc and aioice that are used: still there, and as expected."""

from __future__ import annotations

import asyncio
from operator import attrgetter

from aiortc import RTCPeerConnection, RTCRtpReceiver

from stream.webrtc import aiortc_compat
from stream.webrtc.aiortc_compat import MediaReceiver, ice_agent


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
    buffer = getattr(receiver, aiortc_compat.JITTER_BUFFER)
    assert attrgetter("_origin")(buffer) is None
    assert getattr(receiver, aiortc_compat.NACK_GENERATOR).missing == set()
    for name in ("_send_rtcp_pli", "_send_rtcp_nack"):
        assert asyncio.iscoroutinefunction(getattr(RTCRtpReceiver, name))
    assert asyncio.iscoroutinefunction(ice.get_component_candidates)
    assert attrgetter("_nominated")(ice) == {}
    assert attrgetter("_queue")(ice).qsize() == 0
    assert attrgetter("_rtp_router.ssrc_table")(receiver.transport) == {}
    assert MediaReceiver(receiver).bytes_received == 0
    connection.createDataChannel("x")
    assert connection.sctp is not None
    assert attrgetter("_inbound_streams")(connection.sctp) == {}
    await connection.close()
