"""Parts of aiortc 1.16 and aioice 0.13 that their public interfaces do not offer.

The only module that touches anything private of them; each use says why, and a unit test fails
when a new version has moved one. What is public of aiortc is used in `peer.py`.

| private part | why it is touched |
|---|---|
| certificates of a connection | a call's own one, whose context below is made for the handshake |
| `_create_ssl_context` of a certificate | peers with RSA certificates are taken, alerts are noted |
| `_handle_rtp_packet`, codecs of a receiver | payloads of VP9 and AV1 keep their bounds |
| decoder queue of a receiver | compressed pictures are taken, not decoded into unbounded queues |
| `_send_rtcp_pli` of a receiver | keyframes are asked for; aiortc's own requests tell of a loss |
| NACK generator, jitter buffer | a hole is asked for again, and given up after a second |
| remote streams, RTX sources | figures of the media apart from those of retransmissions |
| RTP, RTCP and data once decrypted | only what the peer authenticated counts as its own |
| datagrams of the ICE agent's sockets | what is neither STUN nor the peer's media is let go |
| `_send_data` of the transport | data for a peer that has gone fails no task |
| RTP router, SCTP streams, ICE queue | what a peer piles up is bounded |
| ICE agent of the transport | addresses are chosen, round trips are timed |
| remote ICE parameters of a connection | a connection that is closed meanwhile does not go on |
"""

from __future__ import annotations

import contextlib
import queue
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aioice.ice
import aioice.stun
from aiortc import (
    RTCCertificate,
    RTCPeerConnection,
    RTCRtpReceiver,
    rtp,
)
from aiortc.codecs import CODECS, is_rtx
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpCodecParameters
from OpenSSL import SSL

from stream.webrtc.datagrams import DatagramKind, DatagramRefusal, kind_of
from stream.webrtc.depacketize import ASSEMBLERS, framed
from stream.webrtc.handshake import CIPHERS, Handshake
from stream.webrtc.statistics import LinkSample

CERTIFICATES = "_RTCPeerConnection__certificates"
DECODER_QUEUE = "_RTCRtpReceiver__decoder_queue"
REMOTE_STREAMS = "_RTCRtpReceiver__remote_streams"
RETRANSMISSIONS = "_RTCRtpReceiver__rtx_ssrc"
RECEIVED_CODECS = "_RTCRtpReceiver__codecs"
NACK_GENERATOR = "_RTCRtpReceiver__nack_generator"
JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
REMOTE_ICE = "_RTCPeerConnection__remoteIce"

FEEDBACK = (("nack", None), ("nack", "pli"), ("goog-remb", None))
FREE_PAYLOAD_TYPE = 110
"""Payload type that aiortc's own codecs leave free; only our own offers would use it."""

MAX_SOURCES = 64
"""Senders (SSRC) that one peer may name; aiortc remembers each of them."""

MAX_BACKLOG = 4096
"""Datagrams of one peer that may wait for the event loop."""

MAX_FRAGMENTS = 2048
"""Fragments of unfinished data messages that one peer may leave lying about."""


class CallCertificate(RTCCertificate):
    """Certificate of one call, whose handshake takes RSA certificates and tells why it fails.

    aiortc itself knows only suites for its own kind of certificate, ECDSA: as a client it would
    find none in common with a server whose certificate is RSA. And it tells nobody of alerts.

    Attributes:
        handshake: how far it came.
    """

    handshake: Handshake

    @classmethod
    def of(cls, connection: RTCPeerConnection) -> CallCertificate:
        """Give a connection one of its own, before it has a transport."""
        certificate: CallCertificate = cls.generateCertificate()
        certificate.handshake = Handshake()
        getattr(connection, CERTIFICATES)
        setattr(connection, CERTIFICATES, [certificate])
        return certificate

    def _create_ssl_context(self, srtp_profiles: Any) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(CIPHERS.encode())
        context.set_info_callback(self._note)
        return context

    def _note(self, connection: SSL.Connection, where: int, code: int) -> None:
        """Take note of a step; the code of an alert is its level, 2 when fatal, and its number."""
        level, description = divmod(code, 1 << 8)
        if where & SSL.SSL_CB_HANDSHAKE_DONE:
            self.handshake.done = True
            self.handshake.protected = bool(connection.get_selected_srtp_profile())
        elif where & SSL.SSL_CB_ALERT and level == 2:
            if where & SSL.SSL_CB_READ:
                self.handshake.received = description
            else:
                self.handshake.sent = description


def receive_more_codecs() -> None:
    """Have aiortc answer offers of the codecs that are put together here, from now on.

    Its list of codecs is one for the process, so this is done where calls are answered, and not
    where they are made: aiortc cannot send what is added here. Browsers number AV1 below 64, since
    they run out of the numbers from 96 on; aiortc would answer with a number of its own.
    """
    rtp.DYNAMIC_PAYLOAD_TYPES = range(35, 128)
    known = {codec.name.upper() for codec in CODECS["video"]}
    for number, name in enumerate(ASSEMBLERS):
        if name not in known:
            payload_type = FREE_PAYLOAD_TYPE + 2 * number
            feedback = [RTCRtcpFeedback(kind, parameter) for kind, parameter in FEEDBACK]
            CODECS["video"] += [
                RTCRtpCodecParameters(f"video/{name}", 90_000, None, payload_type, feedback),
                RTCRtpCodecParameters(
                    "video/rtx", 90_000, None, payload_type + 1, [], {"apt": payload_type}
                ),
            ]


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


class DatagramFilter:
    """Lets through what may be STUN, and media of the peer; everything else never reaches aiortc.

    Anybody may send to a call's port. aiortc indexes an empty datagram, decrypts into a buffer of
    1,500 bytes and takes every other exception for the end of the connection, and aioice drops the
    sender's address before it hands media on. So each socket of the ICE agent looks first. Media
    counts as the peer's when it comes from an address that ICE has nominated: one from which the
    peer has proved that it knows the call's ICE password, and which it has chosen.

    Args:
        connection: with a transceiver, before its local description is set.

    Attributes:
        refused: datagrams let go, by reason.
        authenticated: bytes of media and data that came with the peer's key.
    """

    def __init__(self, connection: RTCPeerConnection) -> None:
        self.refused: Counter[DatagramRefusal] = Counter()
        self.authenticated = 0
        receiver = connection.getReceivers()[0]
        self._agent = ice_agent(receiver)
        vars(self._agent)["data_received"] = self._misunderstood
        for owner, name in (
            (receiver.transport, "_handle_rtp_data"),
            (receiver.transport, "_handle_rtcp_data"),
            (connection.sctp, "_handle_data"),
        ):
            if owner is not None:
                vars(owner)[name] = self._counted(getattr(owner, name))

    def watch(self, protocol: aioice.ice.StunProtocol) -> None:
        """Look at everything that arrives on one socket from now on."""
        parse = protocol.datagram_received

        def received(data: bytes, address: tuple[Any, ...]) -> None:
            kind = kind_of(data)
            if kind is DatagramKind.STUN:
                try:
                    parse(data, address)
                except Exception:  # aioice parses without mercy
                    self.refused[DatagramRefusal.MALFORMED] += 1
            elif kind is DatagramKind.UNKNOWN:
                self.refused[DatagramRefusal.MALFORMED] += 1
            elif not self._nominated(protocol, (address[0], address[1])):
                self.refused[DatagramRefusal.STRANGER] += 1
            elif self._agent._queue.qsize() >= MAX_BACKLOG:
                self.refused[DatagramRefusal.BACKLOG] += 1
            else:
                self._agent._queue.put_nowait((data, protocol.local_candidate.component))

        vars(protocol)["datagram_received"] = received

    def _nominated(self, protocol: aioice.ice.StunProtocol, address: tuple[str, int]) -> bool:
        """Say whether one side has chosen the pair, which takes the ICE password of the other."""
        return any(
            pair.protocol is protocol
            and pair.remote_addr == address
            and (pair.nominated or pair.remote_nominated)
            for pair in self._agent._check_list
        )

    def _misunderstood(self, data: bytes, component: int) -> None:
        """Let go of what aioice could not parse as STUN, and would hand on as media."""
        self.refused[DatagramRefusal.MALFORMED] += 1

    def _counted(self, take: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """Count what aiortc takes in once it is decrypted; a packet that it fails at is let go."""

        async def counted(data: bytes, **given: Any) -> None:
            self.authenticated += len(data)
            try:
                await take(data, **given)
            except ConnectionError:
                raise
            except Exception:  # aiortc parses without mercy
                self.refused[DatagramRefusal.GARBLED] += 1

        return counted


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

    def keep_bounds(self) -> None:
        """Have payloads of the codecs that are put together here say their length."""
        take = self.receiver._handle_rtp_packet

        async def bounded(packet: Any, **given: Any) -> None:
            repairs, payload = 0, packet.payload
            codecs = getattr(self.receiver, RECEIVED_CODECS)
            codec = codecs.get(packet.payload_type)
            if codec is not None and is_rtx(codec):
                repairs, codec = 2, codecs.get(codec.parameters.get("apt"))
            if codec is not None and codec.name in ASSEMBLERS and len(payload) > repairs:
                packet.payload = payload[:repairs] + framed(payload[repairs:])
            await take(packet, **given)

        vars(self.receiver)["_handle_rtp_packet"] = bounded

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
            received: bytes that came with the peer's key, by then.

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


def gather_on(connection: RTCPeerConnection, hosts: Sequence[str] = ()) -> DatagramFilter:
    """Have a connection receive on these addresses; on loopback where this machine has no other.

    Args:
        connection: with a transceiver, before its local description is set.
        hosts: addresses of this machine; none means all but loopback.

    Returns:
        what looks at everything that arrives there.
    """
    agent = ice_agent(connection.getReceivers()[0])
    gather, datagrams = agent.get_component_candidates, DatagramFilter(connection)

    async def bound(component: int, addresses: list[str], timeout: int = 5) -> Any:  # noqa: ASYNC109 - the signature that is replaced
        found = await gather(component, list(hosts) or addresses or ["127.0.0.1"], timeout)
        for protocol in agent._protocols:
            datagrams.watch(protocol)
        return found

    vars(agent)["get_component_candidates"] = bound
    return datagrams


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
