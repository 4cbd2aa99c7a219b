"""Parts of aiortc 1.16 and aioice 0.13 that their public interfaces do not offer.

The only module that touches anything private of them; each use says why, and a unit test fails
when a new version has moved one. What is public of aiortc is used in `peer.py`.

| private part | why it is touched |
|---|---|
| decoder queue of a receiver | compressed pictures are taken, not decoded into unbounded queues |
| `_send_rtcp_pli` of a receiver | keyframes are asked for; aiortc's own requests tell of a loss |
| NACK generator, jitter buffer | a hole is asked for again, and given up after a second |
| remote streams, RTX sources | figures of the media apart from those of retransmissions |
| statistics of the transport | bytes of everything that arrives |
| `_send_data` of the transport | data for a peer that has gone fails no task |
| RTP router, SCTP streams, ICE queue | what a peer piles up is bounded |
| ICE agent of the transport | addresses are chosen, round trips are timed |
| remote ICE parameters of a connection | a connection that is closed meanwhile does not go on |
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Sequence
from typing import Any

import aioice.ice
import aioice.stun
from aiortc import RTCPeerConnection, RTCRtpReceiver
from OpenSSL import SSL

from stream.webrtc.statistics import LinkSample

DECODER_QUEUE = "_RTCRtpReceiver__decoder_queue"
REMOTE_STREAMS = "_RTCRtpReceiver__remote_streams"
RETRANSMISSIONS = "_RTCRtpReceiver__rtx_ssrc"
NACK_GENERATOR = "_RTCRtpReceiver__nack_generator"
JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
REMOTE_ICE = "_RTCPeerConnection__remoteIce"

MAX_SOURCES = 64
"""Senders (SSRC) that one peer may name; aiortc remembers each of them."""

MAX_BACKLOG = 4096
"""Datagrams of one peer that may wait for the event loop."""

MAX_FRAGMENTS = 2048
"""Fragments of unfinished data messages that one peer may leave lying about."""


class FrameTap(queue.Queue[Any]):
    """Takes what aiortc means for its decoder; only the end of it reaches aiortc's thread.

    Args:
        take: given the codec's name, the compressed frame and its RTP time.
        ended: told that nothing more will come.
    """

    def __init__(self, take: Callable[[str, bytes, int], None], ended: Callable[[], None]) -> None:
        super().__init__()
        self._take = take
        self._ended = ended

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002 - the base class's signature
        """Hand a frame over, or let the decoder thread end."""
        if item is None:
            self._ended()
            super().put(None, block, timeout)
            return
        codec, frame = item
        self._take(codec.name.upper(), frame.data, frame.timestamp)


def tap(receiver: RTCRtpReceiver, frames: FrameTap) -> None:
    """Take the place of a receiver's decoder queue, before its thread is started."""
    getattr(receiver, DECODER_QUEUE)
    setattr(receiver, DECODER_QUEUE, frames)


class MediaReceiver:
    """The receiver of one peer's video, with what aiortc keeps to itself.

    Args:
        receiver: aiortc's.
    """

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self.receiver = receiver

    def watch_losses(self, lost: Callable[[], None]) -> None:
        """Have every keyframe request of aiortc's own told; it makes them after losses only."""
        send = self.receiver._send_rtcp_pli

        async def told(ssrc: int) -> None:
            lost()
            await send(ssrc)

        vars(self.receiver)["_send_rtcp_pli"] = told

    def send_quietly(self) -> None:
        """Have data for a peer that has gone lost, rather than fail a task that nobody awaits."""
        transport = self.receiver.transport
        send = transport._send_data

        async def quiet(data: bytes) -> None:
            with contextlib.suppress(ConnectionError, SSL.Error):
                await send(data)

        vars(transport)["_send_data"] = quiet

    async def ask_for_keyframe(self) -> bool:
        """Ask the sender for a keyframe; False while it is not known whom to ask."""
        ssrc = self._main()
        if ssrc is None:
            return False
        await RTCRtpReceiver._send_rtcp_pli(self.receiver, ssrc)
        return True

    async def ask_for_hole(self) -> bool:
        """Ask the sender once more for what is missing; False when nothing is."""
        ssrc, nacks = self._main(), getattr(self.receiver, NACK_GENERATOR)
        if ssrc is None or not nacks.missing:
            return False
        await self.receiver._send_rtcp_nack(ssrc, sorted(nacks.missing))
        return True

    def give_up_hole(self) -> None:
        """Let go of everything that waits for what is missing, and begin with what comes next.

        What was missing may still come; it is then behind the beginning, and let go.
        """
        nacks, buffer = (getattr(self.receiver, name) for name in (NACK_GENERATOR, JITTER_BUFFER))
        nacks.missing.clear()
        if buffer._origin is not None and nacks.max_seq is not None:
            buffer.remove(buffer.capacity)
            buffer._origin = (nacks.max_seq + 1) % (1 << 16)

    def sample(self, at: float, received: int) -> LinkSample:
        """Return the figures of the media stream; retransmissions do not count.

        Args:
            at: monotonic seconds.
            received: bytes of everything, by then.

        `getStats` has one entry per receiver, which retransmissions overwrite, so its source is
        read instead.
        """
        ssrc = self._main()
        if ssrc is None:
            return LinkSample(at, received, 0, 0, 0.0)
        stream = getattr(self.receiver, REMOTE_STREAMS)[ssrc]
        return LinkSample(
            at, received, stream.packets_expected, stream.packets_received, stream.jitter / 90_000
        )

    @property
    def bytes_received(self) -> int:
        """Bytes that have come in over the receiver's transport, of everything."""
        transport = self.receiver.transport
        return int(transport._get_stats()[transport._stats_id].bytesReceived)

    @property
    def ice(self) -> aioice.ice.Connection:
        """The ICE agent below the receiver."""
        return ice_agent(self.receiver)

    async def ping(self) -> bool:
        """Send a STUN request over the chosen pair; say whether it was answered."""
        agent = self.ice
        pair = agent._nominated.get(1)
        if pair is None or agent.remote_password is None:
            return False
        try:
            await pair.protocol.request(
                agent.build_request(pair, nominate=False),
                pair.remote_addr,
                integrity_key=agent.remote_password.encode(),
                retransmissions=0,
            )
        except (aioice.stun.TransactionError, ConnectionError, OSError):
            return False
        return True

    def excess(self, connection: RTCPeerConnection) -> str:
        """Return what the peer has piled up beyond all measure; empty when nothing."""
        if len(self.receiver.transport._rtp_router.ssrc_table) > MAX_SOURCES:
            return "too many senders in one call"
        if self.ice._queue.qsize() > MAX_BACKLOG:
            return "more packets than this machine can take in"
        sctp = connection.sctp
        if sctp is not None:
            streams = sctp._inbound_streams.values()
            if sum(len(stream.reassembly) for stream in streams) > MAX_FRAGMENTS:
                return "too many unfinished data messages"
        return ""

    def _main(self) -> int | None:
        """Return the busiest sender that the receiver knows and that sends no repairs."""
        repairs, streams = (
            getattr(self.receiver, name) for name in (RETRANSMISSIONS, REMOTE_STREAMS)
        )
        main = [ssrc for ssrc in streams if ssrc not in repairs]
        return max(main, key=lambda ssrc: int(streams[ssrc].packets_received), default=None)


def ice_agent(receiver: RTCRtpReceiver) -> aioice.ice.Connection:
    """Return the ICE agent below a receiver."""
    return receiver.transport.transport._connection


def gather_on(connection: RTCPeerConnection, hosts: Sequence[str] = ()) -> None:
    """Have a connection receive on these addresses; on loopback where this machine has no other.

    Args:
        connection: with a transceiver, before its local description is set.
        hosts: addresses of this machine; none means all but loopback.
    """
    for receiver in connection.getReceivers()[:1]:
        agent = ice_agent(receiver)
        gather = agent.get_component_candidates

        async def bound(component: int, addresses: list[str], timeout: int = 5) -> Any:  # noqa: ASYNC109 - the signature that is replaced
            return await gather(component, list(hosts) or addresses or ["127.0.0.1"], timeout)  # noqa: B023 - there is one receiver at most

        vars(agent)["get_component_candidates"] = bound


async def close_quietly(connection: RTCPeerConnection) -> None:
    """Close a connection, also one that is still being made, without an error in the log.

    aiortc's task that connects would go on with what is closed meanwhile: fail where nobody looks,
    or start a receiver that nobody stops. So it is left nothing more to do.
    """

    async def nothing(parameters: object) -> None:
        return

    getattr(connection, REMOTE_ICE).clear()
    for receiver in connection.getReceivers():
        vars(receiver)["receive"] = nothing
    for sender in connection.getSenders():
        vars(sender)["send"] = nothing
    await connection.close()
