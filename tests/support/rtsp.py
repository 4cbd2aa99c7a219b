"""An RTSP server of our own for tests and benchmarks, with the faults that real cameras have.

It plays video files in an endless loop as H.264 or H.265 over RTP, interleaved in TCP or over UDP,
with digest or basic authentication and TLS. Like a camera it is live: the video goes on whether or
not anybody looks, and whoever joins first gets the packets since the last keyframe. It runs on an
event loop in a thread of its own. What may be changed while it runs (`Faults`, `kill`, `start`) may
be changed from any thread.

    with RtspServer({"/cam": Media(path)}) as server:
        open(server.url("/cam"))
        server.faults.loss = 0.02
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import hashlib
import ipaddress
import random
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import quote

import av
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.ports import free_port

MTU = 1200
CLOCK_HZ = 90_000
TICKS_AT_START = 0xFFF00000  # anything but 0, as the RFC asks, and so that it wraps after 12 s
MAX_CLIENT_BYTES = 4 << 20
"""A TCP client that does not read loses packets beyond this, as with a real camera."""

Send = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Unit:
    """One access unit: its RTP time in the loop, its NAL units, and whether it is a keyframe."""

    ticks: int
    nals: tuple[bytes, ...]
    keyframe: bool


class Media:
    """A video file cut into access units."""

    def __init__(self, path: Path) -> None:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            self.codec = stream.codec_context.name
            annex_b = av.BitStreamFilterContext(f"{self.codec}_mp4toannexb", stream)
            units = [
                (float(unit.pts * unit.time_base), tuple(nal_units(bytes(unit))), unit.is_keyframe)
                for packet in container.demux(stream)
                if packet.size
                for unit in annex_b.filter(packet)
            ]
        first = min(at for at, _, _ in units)
        self.units = [Unit(round((at - first) * CLOCK_HZ), n, k) for at, n, k in units]
        ordered = sorted(unit.ticks for unit in self.units)
        self.step = ordered[1] - ordered[0]
        self.length = ordered[-1] + self.step

    def sdp(self) -> bytes:
        """Describe the video, parameter sets included."""
        sets = {self._kind(nal): nal for nal in self.units[0].nals}
        if self.codec == "h264":
            profile = sets[7][1:4].hex()
            sprop = ",".join(base64.b64encode(sets[kind]).decode() for kind in (7, 8))
            form = f"packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={sprop}"
        else:
            names = (("vps", 32), ("sps", 33), ("pps", 34))
            form = ";".join(
                f"sprop-{name}={base64.b64encode(sets[kind]).decode()}" for name, kind in names
            )
        name = "H264" if self.codec == "h264" else "H265"
        lines = (
            "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=test", "c=IN IP4 0.0.0.0", "t=0 0",
            "a=control:*", "m=video 0 RTP/AVP 96", f"a=rtpmap:96 {name}/{CLOCK_HZ}",
            f"a=fmtp:96 {form}", "a=control:trackID=0",
        )  # fmt: skip
        return "".join(f"{line}\r\n" for line in lines).encode()

    def payloads(self, nal: bytes) -> Iterator[bytes]:
        """Cut one NAL unit into RTP payloads (RFC 6184 and RFC 7798)."""
        if len(nal) <= MTU:
            yield nal
            return
        if self.codec == "h264":
            head, kind, body = bytes([(nal[0] & 0xE0) | 28]), nal[0] & 0x1F, nal[1:]
        else:
            head = bytes([(nal[0] & 0x81) | (49 << 1), nal[1]])
            kind, body = self._kind(nal), nal[2:]
        for start in range(0, len(body), MTU):
            flags = (0x80 if start == 0 else 0) | (0x40 if start + MTU >= len(body) else 0)
            yield head + bytes([flags | kind]) + body[start : start + MTU]

    def _kind(self, nal: bytes) -> int:
        return nal[0] & 0x1F if self.codec == "h264" else (nal[0] >> 1) & 0x3F


def nal_units(annex_b: bytes) -> Iterator[bytes]:
    """Yield the NAL units between start codes."""
    starts = [m.end() for m in re.finditer(b"\x00\x00\x01", annex_b)]
    for start, end in zip(starts, [*[s - 3 for s in starts[1:]], None], strict=True):
        nal = annex_b[start:end]
        yield nal.rstrip(b"\x00") if end is not None else nal


@dataclass(slots=True)
class Faults:
    """What is wrong with the camera or the network; every field may be set at any time.

    Attributes:
        loss: probability that an RTP packet is lost.
        drop_units: this many access units right after the next keyframe are left out.
        frozen: connected, answering, but sending no video.
        lost_packets: RTP packets lost so far.
        dropped_units: access units left out so far.
        past_keyframe: a keyframe has passed since `drop_units` was set.
    """

    loss: float = 0.0
    drop_units: int = 0
    frozen: bool = False
    lost_packets: int = 0
    dropped_units: int = 0
    past_keyframe: bool = False
    rng: random.Random = field(default_factory=lambda: random.Random(7))

    def loses_packet(self) -> bool:
        """Decide the fate of one RTP packet."""
        lost = self.loss > 0 and self.rng.random() < self.loss
        self.lost_packets += lost
        return lost

    def drops_unit(self, unit: Unit) -> bool:
        """Decide the fate of one access unit."""
        if unit.keyframe:
            self.past_keyframe = self.drop_units > 0
        if unit.keyframe or not self.past_keyframe or self.drop_units <= 0:
            return False
        self.drop_units -= 1
        self.dropped_units += 1
        return True


class _Broadcast:
    """One media file, played for ever to whoever has asked for it."""

    def __init__(self, media: Media, faults: Faults) -> None:
        self.media = media
        self.ssrc = 0x5EED
        self.viewers: set[Send] = set()
        self._faults = faults
        self._sequence = 0
        self._since_keyframe: list[bytes] = []

    async def play(self) -> None:
        loop = asyncio.get_running_loop()
        start, played = loop.time(), 0
        while True:
            for index, unit in enumerate(self.media.units):
                due = start + (played + index * self.media.step) / CLOCK_HZ
                await asyncio.sleep(due - loop.time())
                self._send(unit, played + unit.ticks)
            played += self.media.length

    def join(self, send: Send) -> None:
        for packet in self._since_keyframe:
            send(packet)
        self.viewers.add(send)

    def _send(self, unit: Unit, ticks: int) -> None:
        if self._faults.frozen:
            return
        if unit.keyframe:
            self._since_keyframe.clear()
        payloads = [p for nal in unit.nals for p in self.media.payloads(nal)]
        dropped = self._faults.drops_unit(unit)
        for index, payload in enumerate(payloads):
            marker = 0x80 if index == len(payloads) - 1 else 0
            self._sequence = (self._sequence + 1) & 0xFFFF
            head = struct.pack(
                "!BBHII",
                0x80,
                96 | marker,
                self._sequence,
                (TICKS_AT_START + ticks) & 0xFFFFFFFF,
                self.ssrc,
            )
            if dropped or self._faults.loses_packet():
                continue
            self._since_keyframe.append(head + payload)
            for send in list(self.viewers):
                send(head + payload)


class RtspServer:
    """The server; a context manager that listens on a free port of 127.0.0.1.

    Args:
        media: what is served, by path.
        user: who may watch; nobody is asked when None.
        password: their password.
        basic: ask for basic instead of digest authentication.
        tls: serve RTSPS with this context.
        refuse: transports answered with 461: "tcp", "udp".
    """

    def __init__(
        self,
        media: Mapping[str, Media],
        *,
        user: str | None = None,
        password: str = "",
        basic: bool = False,
        tls: ssl.SSLContext | None = None,
        refuse: frozenset[str] = frozenset(),
    ) -> None:
        self.faults = Faults()
        self.port = free_port()  # it may listen again
        self.requests: list[str] = []
        self._media = media
        self._user, self._password, self._basic = user, password, basic
        self._tls = tls
        self._refuse = refuse
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._broadcasts: dict[str, _Broadcast] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._writers: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def url(self, path: str, user: str | None = None, password: str | None = None) -> str:
        """Return the address of a path, with credentials if given."""
        login = "" if user is None else f"{quote(user, safe='')}:{quote(password or '', safe='')}@"
        return f"rtsp{'s' if self._tls else ''}://{login}127.0.0.1:{self.port}{path}"

    def start(self) -> None:
        """Listen (again, on the same port) and begin to play."""
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(5)

    def kill(self) -> None:
        """Cut every connection without a word and stop listening, as when the power fails."""
        asyncio.run_coroutine_threadsafe(self._kill(), self._loop).result(5)

    def chatter(self, stop: threading.Event) -> None:
        """Send every client interleaved RTCP reports, and nothing else, until told to stop."""
        report = struct.pack("!cBH", b"$", 1, 28) + b"\x80\xc8\x00\x06" + bytes(24)
        while not stop.wait(0.3):
            for writer in list(self._writers):
                self._loop.call_soon_threadsafe(writer.write, report)

    async def _start(self) -> None:
        self._broadcasts = {p: _Broadcast(m, self.faults) for p, m in self._media.items()}
        self._tasks = [asyncio.create_task(b.play()) for b in self._broadcasts.values()]
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _kill(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        session = _Session(self, writer)
        try:
            while True:
                request = await _read_request(reader)
                self.requests.append(request.method)
                session.answer(request)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has left
        finally:
            session.close()
            self._writers.discard(writer)
            writer.close()

    def is_allowed(self, request: _Request) -> bool:
        """Check the request's credentials."""
        if self._user is None:
            return True
        given = request.headers.get("authorization", "")
        if self._basic:
            login = f"{self._user}:{self._password}".encode()
            return given == f"Basic {base64.b64encode(login).decode()}"
        fields = dict(re.findall(r'(\w+)="([^"]*)"', given))
        login = _md5(f"{self._user}:{REALM}:{self._password}")
        action = _md5(f"{request.method}:{fields.get('uri', '')}")
        return fields.get("response") == _md5(f"{login}:{NONCE}:{action}")

    @property
    def challenge(self) -> str:
        """What a client without credentials is told."""
        return (
            f'Basic realm="{REALM}"' if self._basic else f'Digest realm="{REALM}", nonce="{NONCE}"'
        )

    def broadcast(self, url: str) -> _Broadcast | None:
        """Return what is served under a URL."""
        path = re.sub(r"^\w+://[^/]*", "", url).removesuffix("/trackID=0").rstrip("/")
        return self._broadcasts.get(path)

    def refuses(self, transport: str) -> bool:
        """Return whether a transport is answered with 461."""
        return transport in self._refuse


REALM, NONCE = "camera", "0123456789abcdef"


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    headers: Mapping[str, str]


async def _read_request(reader: asyncio.StreamReader) -> _Request:
    """Read the next request, skipping the RTCP that clients interleave."""
    while (first := await reader.readexactly(1)) == b"$":
        _, length = struct.unpack("!BH", await reader.readexactly(3))
        await reader.readexactly(length)
    lines = (first + await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, url, _ = lines[0].split(" ", 2)
    pairs = (line.split(":", 1) for line in lines[1:] if ":" in line)
    return _Request(method, url, {k.strip().lower(): v.strip() for k, v in pairs})


class _Session:
    """One client's connection."""

    def __init__(self, server: RtspServer, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._writer = writer
        self._broadcast: _Broadcast | None = None
        self._send: Send | None = None
        self._socket: socket.socket | None = None

    def answer(self, request: _Request) -> None:
        if request.method != "OPTIONS" and not self._server.is_allowed(request):
            self._reply(request, "401 Unauthorized", {"WWW-Authenticate": self._server.challenge})
        elif request.method == "OPTIONS":
            methods = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"
            self._reply(request, headers={"Public": methods})
        elif request.method == "DESCRIBE":
            self._describe(request)
        elif request.method == "SETUP":
            self._set_up(request)
        elif request.method == "PLAY" and self._broadcast and self._send:
            self._reply(request, headers={"Range": "npt=0.000-"})
            self._broadcast.join(self._send)
        else:
            self._reply(request)

    def close(self) -> None:
        if self._broadcast and self._send:
            self._broadcast.viewers.discard(self._send)
        if self._socket is not None:
            self._socket.close()

    def _describe(self, request: _Request) -> None:
        broadcast = self._server.broadcast(request.url)
        if broadcast is None:
            self._reply(request, "404 Not Found")
            return
        headers = {"Content-Base": f"{request.url}/", "Content-Type": "application/sdp"}
        self._reply(request, headers=headers, body=broadcast.media.sdp())

    def _set_up(self, request: _Request) -> None:
        wanted = request.headers["transport"]
        transport = "tcp" if "TCP" in wanted else "udp"
        self._broadcast = self._server.broadcast(request.url)
        if self._server.refuses(transport):
            self._reply(request, "461 Unsupported Transport")
        elif self._broadcast is None:
            self._reply(request, "404 Not Found")
        elif transport == "tcp":
            self._send = self._send_interleaved
            answer = "RTP/AVP/TCP;unicast;interleaved=0-1"
            self._reply(request, headers={"Transport": answer})
        else:
            found = re.search(r"client_port=(\d+)", wanted)
            assert found is not None
            self._set_up_udp(request, int(found[1]))

    def _set_up_udp(self, request: _Request, client: int) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        sock.setblocking(False)
        self._socket = sock
        self._send = lambda packet: _send_datagram(sock, packet, client)
        ports = f"client_port={client}-{client + 1};server_port={port}-{port + 1}"
        self._reply(request, headers={"Transport": f"RTP/AVP;unicast;{ports}"})

    def _send_interleaved(self, packet: bytes) -> None:
        if self._writer.transport.get_write_buffer_size() < MAX_CLIENT_BYTES:
            self._writer.write(struct.pack("!cBH", b"$", 0, len(packet)) + packet)

    def _reply(
        self,
        request: _Request,
        status: str = "200 OK",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> None:
        fields = {"CSeq": request.headers.get("cseq", "0"), "Session": "1;timeout=60"}
        fields |= headers or {}
        if body:
            fields["Content-Length"] = str(len(body))
        head = "".join(f"{key}: {value}\r\n" for key, value in fields.items())
        self._writer.write(f"RTSP/1.0 {status}\r\n{head}\r\n".encode() + body)


def _send_datagram(sock: socket.socket, packet: bytes, port: int) -> None:
    with contextlib.suppress(OSError):  # a full buffer or a client that left: UDP promises nothing
        sock.sendto(packet, ("127.0.0.1", port))


def self_signed(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server context with a fresh certificate for 127.0.0.1, and that certificate."""
    files = certificate_files(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context, files[0]


def certificate_files(folder: Path, *hosts: str) -> tuple[Path, Path]:
    """Return files of a fresh certificate for 127.0.0.1 and these hosts, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "StyleFlow Live tests")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    names = [address, *(x509.DNSName(host) for host in hosts)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(2060, 1, 1, tzinfo=datetime.UTC))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "test.pem", folder / "test.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file
